"""Small video files of one's own, and a small model that can index and search them."""

import av
import numpy as np
from tiny_models import SMALL, architecture, tiny_retriever

from diffret_core.index import ModelName

RATE = 4  # frames per second; the model below looks at one a second, 4 a segment
NAME = ModelName("checkpoint", "a tiny model")


def write_clip(path, *, seconds=2.0, seed=0, codec="mpeg4"):
    """A video of 64 x 64 pixels whose colours change all the time; another seed gives other colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for colour in draw.integers(0, 256, (round(seconds * RATE), 2, 3), dtype=np.uint8):
            pixels = np.repeat(np.repeat(colour[:, None], 32, axis=0), 64, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_folder(folder):
    """Five videos in three folders, one of 10 seconds, which is three segments of the tiny model's."""
    for number, (name, seconds) in enumerate(
        [("a.mp4", 2), ("b/long.MOV", 10), ("b/c/d.mkv", 3), ("b/e.mp4", 1), ("z.avi", 5)]
    ):
        write_clip(folder / name, seconds=seconds, seed=number)
    return folder


def tiny_model(**changes):
    """Segments of 4 seconds; videos of up to 6 seconds stay whole."""
    return tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), max_words=16, **changes)
