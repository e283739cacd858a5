"""Extraction as whole programs, killed and in two processes; and the precision of the encoder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from byte_encoder import RecordingEncoder, extractor, write_files
from tiny_collection import make_collection, tiny_recipe
from tiny_models import tiny_retriever

from diffret_core.checkpoints import video_encoder_fingerprint
from diffret_core.extraction import extractor_of, sampling_of
from diffret_core.feature_cache import Extraction, cached_video_features
from diffret_core.features import VideoFeatures, file_digest, load_features, video_feature_key
from diffret_core.galleries import encode_video_files

TESTS = Path(__file__).resolve().parent


def start(num_processes, folder, **options):
    """Start `byte_encoder.py` in one or several processes."""
    paths = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    environment["GLOO_SOCKET_IFNAME"] = "lo"
    program = [sys.executable, str(TESTS / "byte_encoder.py")]
    arguments = [str(num_processes), str(folder / "files"), str(folder / "features")]
    return [
        subprocess.Popen([*program, str(rank), *arguments], env=environment, **options) for rank in range(num_processes)
    ]


def in_one_process(paths, folder):
    encoder = RecordingEncoder()
    return cached_video_features(paths, extractor(encoder), folder=folder).frames, encoder.names


def test_killed_extraction_goes_on_with_what_was_not_written(tmp_path):
    paths = write_files(tmp_path / "files", 13)
    content = paths[11].read_bytes()
    paths[11].write_bytes(b"stop")  # eight are in two files by then, two are encoded only
    (process,) = start(1, tmp_path)
    while len(list(tmp_path.glob("features/video_features_*.safetensors"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    paths[11].write_bytes(content)
    frames, encoded = in_one_process(paths, tmp_path / "features")
    assert encoded == [path.name for path in paths[8:]]
    assert frames.equal(in_one_process(paths, tmp_path / "undisturbed")[0])


def test_two_processes_encode_a_share_each_and_read_all(tmp_path):
    paths = write_files(tmp_path / "files", 13)
    for process in start(2, tmp_path):
        assert process.wait(300) == 0
    expected, _ = in_one_process(paths, tmp_path / "alone")
    for rank in (0, 1):
        *done, frames, encoded = json.loads((tmp_path / f"features.report{rank}").read_text())
        done = Extraction(*done)
        assert (done.num_videos, done.num_to_encode, done.num_encoded) == (13, 13, 13)
        assert encoded == [path.name for path in paths[rank::2]]
        assert torch.tensor(frames).equal(expected)
    shards = [load_features(path, VideoFeatures)[1] for path in (tmp_path / "features").iterdir()]
    assert sorted(map(len, shards)) == [2, 3, 4, 4]
    assert {digest for shard in shards for digest in shard} == {file_digest(path) for path in paths}


def test_all_processes_end_where_one_cannot_read_a_video(tmp_path):
    paths = write_files(tmp_path / "files", 13)
    paths[5].write_bytes(b"bad")  # in the share of the second process
    processes = start(2, tmp_path, stderr=subprocess.PIPE, text=True)
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert all(process.returncode != 0 for process in processes)
    assert "video05.mp4: cannot be decoded" in said[1]


@pytest.fixture
def model():
    return tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16)


def test_features_of_lower_precision_are_close_and_kept_apart(model, tmp_path):
    make_collection(tmp_path / "data")
    paths = sorted((tmp_path / "data" / "videos").iterdir())[:4]
    full, lower = (
        encode_video_files(model, paths, cache_folder=tmp_path / "features", precision=precision).frames
        for precision in ("float32", "bfloat16")
    )
    assert lower.dtype == torch.float32
    assert not lower.equal(full)
    assert torch.nn.functional.cosine_similarity(lower, full, dim=-1).min() > 0.999
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_single_precision_keeps_the_names_that_features_had(model):
    """Shipped features and those of users were named before there was a choice."""
    assert extractor_of(model).key == video_feature_key(video_encoder_fingerprint(model), sampling_of(model.config))
    assert extractor_of(model, precision="bfloat16").key != extractor_of(model).key


def test_precision_that_there_is_not_is_refused(model):
    with pytest.raises(ValueError, match="precision is 'float16'; it must be one of float32, bfloat16"):
        extractor_of.__wrapped__(model, precision="float16")


@pytest.mark.parametrize("lengths", [(1, 1), (4, 4), (3, 2, 1, 4, 1), (2, 4, 3, 4)])
def test_encoder_sees_few_numbers_of_frames_and_the_features_do_not_depend_on_it(model, lengths):
    draw = torch.Generator().manual_seed(0)
    decoded = [
        (Path(f"{place}.mp4"), torch.randint(0, 256, (length, 3, 16, 16), dtype=torch.uint8, generator=draw))
        for place, length in enumerate(lengths)
    ]
    seen = []
    hook = model.clip.visual.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    together = extractor_of(model).encode(decoded)
    hook.remove()
    assert seen[0] % 4 == 0 and 0 < seen[0] - sum(lengths) <= 4  # F is 4
    assert together.frame_mask.sum(dim=1).tolist() == list(lengths)
    for row, one in enumerate(decoded):
        alone = extractor_of(model).encode([one]).frames[0, : lengths[row]]
        torch.testing.assert_close(together.frames[row, : lengths[row]], alone, rtol=1e-4, atol=1e-5)
