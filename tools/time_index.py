"""How long `diffret index` takes beside the work in it, and how long when nothing is new; to be run on a quiet machine.

    python tools/time_index.py FOLDER [--model NAME] [--pretrained FILE] [--workers N]

The work is decoding and encoding, done in turns and measured in processor seconds; shared by all cores it could at best
be done in that time divided by their number.
"""

import argparse
import tempfile
import time
from pathlib import Path

from diffret_core.extraction import Decoded, extractor_of
from diffret_core.frames import read_segments
from diffret_core.index import Model, build_index, load_model, model_name, open_index
from diffret_core.index.build import BATCH_SIZE
from diffret_core.work_ahead import num_workers_here


def work_seconds(model: Model, paths: list[Path]) -> tuple[float, float]:
    """Processor seconds of decoding and of encoding every video, batch by batch."""
    extractor, config = extractor_of(model), model.config
    decoding = encoding = 0.0
    batch: list[Decoded] = []

    def encode() -> float:
        start = time.process_time()
        extractor.encode(batch)
        batch.clear()
        return time.process_time() - start

    for path in paths:
        segments = read_segments(
            path,
            max_frames=config.max_frames,
            frames_per_second=config.frames_per_second,
            image_size=config.image_size,
        )
        while True:
            start = time.process_time()
            segment = next(segments, None)
            decoding += time.process_time() - start
            if segment is None:
                break
            batch.append((path, segment.frames))
            if len(batch) == BATCH_SIZE:
                encoding += encode()
    return decoding, encoding + (encode() if batch else 0.0)


def main() -> None:
    """Measure, and print one line a fact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--pretrained", default="openai")
    parser.add_argument("--workers", type=int, default=num_workers_here())
    arguments = parser.parse_args()
    name = model_name(arguments.model, arguments.pretrained)
    model, cores = load_model(name), num_workers_here()
    with tempfile.TemporaryDirectory() as out:
        index = Path(out) / "index"
        start = time.process_time()
        first = build_index(arguments.folder, index, model, name, num_workers=arguments.workers)
        cpu = time.process_time() - start
        again = build_index(arguments.folder, index, model, name, num_workers=arguments.workers)
        decoding, encoding = work_seconds(model, [video.path for video in open_index(index).videos])
    best = (decoding + encoding) / cores
    print(f"{first.num_videos} videos, {first.num_segments} segments, {len(first.refused)} refused; {name}")
    print(f"work: {decoding:.1f} s of processor decoding, {encoding:.1f} s encoding; on {cores} cores {best:.1f} s")
    print(f"index: {first.seconds:.1f} s, {first.seconds / best:.2f} times that; {cpu:.1f} s of processor")
    print(f"again: {again.seconds:.2f} s, {again.seconds / first.seconds:.1%} of the first time")


if __name__ == "__main__":
    main()
