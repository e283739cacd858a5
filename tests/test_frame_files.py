"""Frames in a mapped file are those in memory; what is decoded stays decoded; faults are named before any work."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from killed_run import recipe_of
from tiny_collection import make_collection, tiny_recipe

from diffret_core import frame_files
from diffret_core.checkpoints import load_checkpoint
from diffret_core.datasets import read_collection
from diffret_core.extraction import read_one
from diffret_core.frame_files import FRAMES_FILE, MASK_FILE, map_videos
from diffret_core.galleries import read_videos
from diffret_core.training.run import train

CONFIG = tiny_recipe().model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("frames") / "data")


@pytest.fixture
def paths(data):
    return sorted((data / "videos").iterdir())[:5]


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that are decoded from here on."""
    names = []
    monkeypatch.setattr(frame_files, "read_one", lambda path, config: names.append(path.name) or read_one(path, config))
    return names


def test_mapped_frames_are_those_in_memory(paths, tmp_path):
    expected = read_videos(paths, CONFIG)
    calls = []
    found = map_videos(paths, CONFIG, tmp_path / "new", progress=lambda *done: calls.append(done))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert calls == [(number, 5) for number in (1, 2, 3, 4, 5)]
    assert (tmp_path / "new" / FRAMES_FILE).stat().st_size == expected[0].numel()


def test_frames_are_decoded_once(paths, tmp_path, decoded):
    first = map_videos(paths, CONFIG, tmp_path)
    assert sorted(decoded) == [path.name for path in paths]
    again = map_videos(paths, CONFIG, tmp_path)
    assert len(decoded) == 5 and torch.equal(again[0], first[0]) and torch.equal(again[1], first[1])


def test_interrupted_decoding_goes_on_with_the_videos_that_are_left(paths, tmp_path, decoded):
    expected = map_videos(paths, CONFIG, tmp_path)
    num_frames = expected[1].shape[1]
    with (tmp_path / MASK_FILE).open("r+b") as file:  # as if video 3 had not been finished
        file.seek(3 * num_frames)
        file.write(bytes(num_frames))
    decoded.clear()
    found = map_videos(paths, CONFIG, tmp_path)
    assert decoded == [paths[3].name]
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])


@pytest.mark.parametrize("change", ["other videos", "other sampling", "a changed file"])
def test_frames_of_other_videos_are_decoded_anew(paths, tmp_path, change):
    copies = [tmp_path / path.name for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    map_videos(copies, CONFIG, tmp_path / "frames")
    config = CONFIG
    if change == "other videos":
        copies = copies[::-1]
    elif change == "other sampling":
        config = replace(CONFIG, max_frames=2)
    else:
        copies[0].write_bytes(paths[1].read_bytes())
    expected = read_videos(copies, config)
    found = map_videos(copies, config, tmp_path / "frames")
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_video_that_is_not_there_is_named_before_any_is_decoded(paths, tmp_path, decoded):
    with pytest.raises(FileNotFoundError, match="nothing.mp4: there is no such video file"):
        map_videos([*paths, tmp_path / "nothing.mp4"], CONFIG, tmp_path)
    assert decoded == []


def test_damaged_video_is_named_and_the_others_stay_decoded(paths, tmp_path, decoded):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    with pytest.raises(ValueError, match="bad.mp4"):
        map_videos([*paths, bad], CONFIG, tmp_path / "frames")
    assert len(decoded) == 6


def test_too_little_room_is_said_before_any_is_decoded(paths, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(frame_files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(OSError, match=r"the frames take 0.0 GB and 0.0 GB are free; make room"):
        map_videos(paths, CONFIG, tmp_path)
    assert decoded == []


def test_run_with_frames_on_disk_is_the_run_in_memory_and_leaves_no_frames(data, tmp_path):
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    recipe = recipe_of(3)
    on_disk = replace(recipe, contrastive=replace(recipe.contrastive, frames_on_disk=True))
    for name, one in (("memory", recipe), ("disk", on_disk)):
        train(one, collection, tmp_path / name)
    expected = load_checkpoint(tmp_path / "memory").state_dict()
    found = load_checkpoint(tmp_path / "disk").state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert not (tmp_path / "disk" / "frames").exists()
