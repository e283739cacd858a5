"""Features that are a fixed function of a file's bytes; as a program, their extraction in one process or several.

Arguments of the program: the process's rank, the number of processes, the folder of files, that of features. A file
that begins with "bad" cannot be decoded; one that begins with "stop" is decoded for ever.
"""

import json
import sys
import threading
from pathlib import Path

import torch
from torch import distributed

from diffret_core.feature_cache import How, cached_video_features, fill_cache
from diffret_core.features import Extractor, VideoFeatures, video_feature_key

SAMPLING = {"num_frames": 3, "frames_per_second": 1.0}


class RecordingEncoder:
    """A frozen encoder that counts; what is decoded is the path itself."""

    def __init__(self, dim=4):
        self.calls = []
        self.dim = dim

    def __call__(self, paths):
        self.calls.append([path.name for path in paths])
        seeds = [torch.Generator().manual_seed(int.from_bytes(path.read_bytes()[:4], "big")) for path in paths]
        frames = torch.stack([torch.randn(3, self.dim, generator=seed) for seed in seeds])
        frame_mask = torch.tensor([[True, True, False]]).expand(len(paths), 3)
        return VideoFeatures(frames, frame_mask)

    @property
    def names(self):
        return [name for call in self.calls for name in call]


def extractor(encode, *, model_fingerprint="model a", sampling=SAMPLING, decode=lambda path: path):
    key = video_feature_key(model_fingerprint, sampling)
    return Extractor(decode, encode, key, (3, getattr(encode, "dim", 4)))


def write_files(folder, number):
    """Small files standing for videos: the cache looks at nothing but their bytes."""
    folder.mkdir()
    paths = [folder / f"video{place:02}.mp4" for place in range(number)]
    for place, path in enumerate(paths):
        path.write_bytes(place.to_bytes(4, "big") * 9)
    return paths


def decode_or_stop(path):
    start = path.read_bytes()
    if start.startswith(b"bad"):
        raise ValueError(f"{path.name}: cannot be decoded")
    if start.startswith(b"stop"):
        threading.Event().wait()
    return path


if __name__ == "__main__":
    rank, num_processes, files, features = sys.argv[1:]
    if int(num_processes) > 1:
        meeting = f"file://{features}.meeting"
        distributed.init_process_group("gloo", init_method=meeting, rank=int(rank), world_size=int(num_processes))
    one = extractor(RecordingEncoder(), decode=decode_or_stop)
    how = How(batch_size=2, num_workers=1, videos_per_shard=4, all_processes=True)
    paths = sorted(Path(files).iterdir())
    done = fill_cache(paths, one, folder=features, how=how)
    frames = cached_video_features(paths, one, folder=features, how=how).frames
    Path(f"{features}.report{rank}").write_text(json.dumps([*done, frames.tolist(), one.encode.names]))
    if int(num_processes) > 1:
        distributed.destroy_process_group()
