"""The sample collection in data_samples, and the command that makes and checks it."""

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from diffret_core.cli import samples
from diffret_core.scenes import collection, production
from diffret_core.scenes.annotations import annotate, annotation_files
from diffret_core.scenes.claims import is_true
from diffret_core.scenes.drawing import draw_frames, frames_sha256
from diffret_core.scenes.manifest import find_faults, read_manifest, update_manifest
from diffret_core.scenes.splits import SPLITS, Split

COLLECTION = Path(__file__).resolve().parent.parent / "data_samples"


# In a process of its own: checking shapes at every call, as in this one, takes ten times as long.
HASH_ALL = """
import hashlib, json
from diffret_core.scenes.annotations import annotate, annotation_files
from diffret_core.scenes.splits import SPLITS
files = annotation_files(annotate(SPLITS.values()))
print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}))
"""


@pytest.fixture(scope="module")
def annotated():
    """All of the test and validation splits, and the first training scenes."""
    return annotate([SPLITS["test"], SPLITS["validation"], replace(SPLITS["train"], num_videos=100)])


def captions_in_git():
    """Split -> its sentences, as the file in git has them."""
    data = json.loads((COLLECTION / "MSRVTT_data.json").read_text())
    split_of = {video["video_id"]: video["split"] for video in data["videos"]}
    captions = {split: [] for split in split_of.values()}
    for sentence in data["sentences"]:
        captions[split_of[sentence["video_id"]]].append(sentence["caption"])
    return captions


@pytest.fixture
def small_collection(tmp_path, monkeypatch):
    """A folder with the lists of a collection of three test and two training videos, none rendered."""
    monkeypatch.setitem(SPLITS, "test", Split("test", "test", 9000, 3, distinct=True))
    monkeypatch.setitem(SPLITS, "validation", Split("validation", "validate", 10000, 0, distinct=True))
    monkeypatch.setitem(SPLITS, "train", Split("train", "train", 0, 2, distinct=False))
    files = annotation_files(annotate(SPLITS.values()))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    hashes = {
        f"videos/{rendering.path.name}": frames_sha256(draw_frames(rendering.scene))
        for rendering in collection.release_renderings(tmp_path)
    }
    (tmp_path / "videos").mkdir()
    for name in hashes:
        shutil.copy(COLLECTION / name, tmp_path / name)
    update_manifest(tmp_path, {name: {} for name in files} | {name: {"frames_sha256": hashes[name]} for name in hashes})
    for name in hashes:
        (tmp_path / name).unlink()
    return tmp_path


def samples_command(*words):
    parser = argparse.ArgumentParser()
    samples.add_arguments(parser)
    return samples.run(parser.parse_args([str(word) for word in words]))


def render(folder, *words):
    return samples_command("render", "--folder", folder, "--workers", 1, *words)


def rendered_in(folder):
    return sorted(path.name for path in (folder / "videos").iterdir())


# the collection's promises


def test_annotations_in_git_are_reproduced_byte_for_byte():
    done = subprocess.run(
        [sys.executable, "-c", HASH_ALL], capture_output=True, text=True, check=True, cwd=COLLECTION.parent
    )
    for name, expected in json.loads(done.stdout).items():
        assert hashlib.sha256((COLLECTION / name).read_bytes()).hexdigest() == expected, name


def test_files_in_git_are_as_the_manifest_says():
    assert find_faults(COLLECTION) == []


def test_frames_are_as_the_manifest_says():
    files = read_manifest(COLLECTION)
    for rendering in collection.release_renderings(COLLECTION)[::60]:
        expected = files[f"videos/{rendering.path.name}"]["frames_sha256"]
        assert frames_sha256(draw_frames(rendering.scene)) == expected


def test_collection_has_the_stated_sizes():
    data = json.loads((COLLECTION / "MSRVTT_data.json").read_text())
    assert Counter(video["split"] for video in data["videos"]) == {"train": 4000, "validate": 300, "test": 300}
    assert set(Counter(sentence["video_id"] for sentence in data["sentences"]).values()) == {5}
    assert [sentence["sen_id"] for sentence in data["sentences"]] == list(range(23_000))
    assert len({video["video_id"] for video in data["videos"]}) == 4600
    videos = [entry["bytes"] for name, entry in read_manifest(COLLECTION).items() if name.startswith("videos/")]
    assert len(videos) == 300 and sum(videos) <= 3_000_000


def test_lists_name_the_videos_of_their_split():
    split_of = {v["video_id"]: v["split"] for v in json.loads((COLLECTION / "MSRVTT_data.json").read_text())["videos"]}
    with open(COLLECTION / "MSRVTT_train.csv", newline="") as file:
        train = [row["video_id"] for row in csv.DictReader(file)]
    with open(COLLECTION / "MSRVTT_JSFUSION_test.csv", newline="") as file:
        test = [row["video_id"] for row in csv.DictReader(file)]
    assert sorted(train) == sorted(video for video, split in split_of.items() if split == "train")
    assert sorted(test) == sorted(video for video, split in split_of.items() if split == "test")


def test_files_numbered_8000_to_9999_are_the_ones_in_git(annotated):
    for entry in annotated:
        in_git = re.fullmatch(r"video[89]\d{3}", entry.video_id) is not None
        assert in_git is (entry.split.name == "test")


def test_every_caption_is_true_of_its_video(annotated):
    assert all(is_true(caption.claim, entry.scene) for entry in annotated for caption in entry.captions)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_every_caption_of_a_distinct_split_is_true_of_one_video_only(annotated, split):
    entries = [entry for entry in annotated if entry.split.name == split]
    scenes = [entry.scene for entry in entries]
    first = [(entry.scene, entry.captions[0]) for entry in entries]
    rest = [(entry.scene, caption) for entry in entries[::10] for caption in entry.captions[1:]]
    for scene, caption in first + rest:
        assert [other for other in scenes if is_true(caption.claim, other)] == [scene]


def test_no_caption_occurs_in_two_splits():
    texts = {split: set(captions) for split, captions in captions_in_git().items()}
    assert not texts["test"] & texts["validate"]
    assert not texts["train"] & (texts["test"] | texts["validate"])


def test_captions_of_one_video_differ(annotated):
    assert all(len({caption.text for caption in entry.captions}) == 5 for entry in annotated)


# the command


def test_render_makes_what_is_missing(small_collection, capsys):
    assert render(small_collection) == 0
    assert rendered_in(small_collection) == [f"video{n}.mp4" for n in (0, 1, 9000, 9001, 9002)]
    assert "5 videos rendered, 0 of 5" in capsys.readouterr().out
    kept = small_collection / "videos" / "video0.mp4"
    kept.write_bytes(b"kept")  # training videos are not in the manifest: what is there stays
    (small_collection / "videos" / "video9001.mp4").unlink()
    assert render(small_collection) == 0
    assert "1 videos rendered, 4 of 5" in capsys.readouterr().out
    assert kept.read_bytes() == b"kept"
    assert (small_collection / "videos" / "video9001.mp4").is_file()


def test_render_replaces_an_empty_training_video(small_collection):
    emptied = small_collection / "videos" / "video1.mp4"
    assert render(small_collection, "--split", "train") == 0
    emptied.write_bytes(b"")
    assert render(small_collection, "--split", "train") == 0
    assert emptied.stat().st_size > 0


def test_render_makes_the_chosen_split_only(small_collection):
    assert render(small_collection, "--split", "train") == 0
    assert rendered_in(small_collection) == ["video0.mp4", "video1.mp4"]


def test_render_with_two_processes_gives_the_same_files(small_collection):
    assert render(small_collection) == 0
    alone = {path: path.read_bytes() for path in (small_collection / "videos").iterdir()}
    shutil.rmtree(small_collection / "videos")
    assert samples_command("render", "--folder", small_collection, "--workers", 2) == 0
    assert {path: path.read_bytes() for path in (small_collection / "videos").iterdir()} == alone


def test_render_goes_on_after_an_interruption(small_collection, monkeypatch, capsys):
    def stop_after_two(rendering, render_one=production._render):
        if len(list((small_collection / "videos").iterdir())) == 2:
            raise KeyboardInterrupt
        return render_one(rendering)

    with monkeypatch.context() as patch:
        patch.setattr(production, "_render", stop_after_two)
        assert render(small_collection) == 130
    assert len(rendered_in(small_collection)) == 2
    assert "run the same command again" in capsys.readouterr().err
    assert render(small_collection) == 0
    assert "3 videos rendered, 2 of 5" in capsys.readouterr().out


RENDER_VALIDATION = """
import argparse, sys
from diffret_core.cli import samples
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    samples.add_arguments(parser)
    words = ["render", "--split", "validation", "--folder", sys.argv[1]]
    sys.exit(samples.run(parser.parse_args(words)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_interrupt_of_working_processes_leaves_whole_files_and_no_traceback(tmp_path):
    shutil.copy(COLLECTION / "MANIFEST.json", tmp_path)
    script = tmp_path / "render_samples.py"  # a file: the processes that render import it again
    script.write_text(RENDER_VALIDATION)
    environment = os.environ | {"PYTHONPATH": str(COLLECTION.parent)}
    process = subprocess.Popen(
        [sys.executable, script, tmp_path], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not list(tmp_path.glob("videos/*.mp4")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in error and "Traceback" not in error
    assert 0 < len(list(tmp_path.glob("videos/*.mp4"))) < 300
    assert list(tmp_path.glob("videos/*.partial")) == []


def test_check_accepts_a_whole_collection(small_collection, capsys):
    render(small_collection)
    assert samples_command("check", "--folder", small_collection) == 0
    assert "6 of 6 files" in capsys.readouterr().out


def test_check_names_missing_and_altered_files_with_the_command_that_mends_them(small_collection, capsys):
    render(small_collection)
    altered, missing = (small_collection / "videos" / f"video{n}.mp4" for n in (9000, 9002))
    data = bytearray(altered.read_bytes())
    data[-1] ^= 1
    altered.write_bytes(data)
    missing.unlink()
    (small_collection / "MSRVTT_train.csv").write_text("video_id\n")
    capsys.readouterr()
    assert samples_command("check", "--folder", small_collection) == 1
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 3
    mend = f"diffret samples render --split test --folder {small_collection}"
    assert "MSRVTT_train.csv: its bytes" in faults[0] and "git checkout" in faults[0] and mend not in faults[0]
    assert "video9000.mp4: its bytes" in faults[1] and mend in faults[1]
    assert "video9002.mp4: missing" in faults[2] and mend in faults[2]
    assert render(small_collection, "--split", "test") == 0
    assert len(find_faults(small_collection)) == 1


def test_render_refuses_frames_other_than_those_of_the_release(small_collection):
    manifest = small_collection / "MANIFEST.json"
    document = json.loads(manifest.read_text())
    document["files"]["videos/video9001.mp4"]["frames_sha256"] = "0" * 64
    manifest.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"video9001.mp4: its frames are not .*git checkout"):
        render(small_collection)


@pytest.mark.parametrize("action", ["render", "check"])
def test_folder_without_a_collection_is_refused(tmp_path, action):
    with pytest.raises(FileNotFoundError, match="--folder"):
        samples_command(action, "--folder", tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": {"a": {"bytes": 1}}}', '{"files": {"a": 3}}'])
def test_damaged_manifest_is_refused(tmp_path, text):
    (tmp_path / "MANIFEST.json").write_text(text)
    with pytest.raises(ValueError, match="MANIFEST.json"):
        samples_command("check", "--folder", tmp_path)


def test_render_without_workers_is_refused(small_collection):
    with pytest.raises(ValueError, match="--workers 1"):
        samples_command("render", "--folder", small_collection, "--workers", 0)


def test_release_keeps_entries_of_other_files(small_collection):
    (small_collection / "weights.safetensors").write_bytes(b"weights")
    update_manifest(small_collection, {"weights.safetensors": {}})
    before = read_manifest(small_collection)
    assert samples_command("release", "--folder", small_collection, "--workers", 1) == 0
    assert read_manifest(small_collection)["weights.safetensors"] == before["weights.safetensors"]
    assert find_faults(small_collection) == []
