"""The sample collection in data_samples, and the command that makes and checks it."""

import argparse
import itertools
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

import numpy as np
import pytest
import torch
from whole_collection import draw_elsewhere

from diffret_core.cli import samples
from diffret_core.datasets.msrvtt import read_msrvtt
from diffret_core.metrics import target_ranks
from diffret_core.scenes import collection, production
from diffret_core.scenes.annotations import annotate, annotation_files
from diffret_core.scenes.captions import PATTERNS, exchanged_caption
from diffret_core.scenes.claims import full_claim, is_true
from diffret_core.scenes.drawing import draw_frames, frames_sha256
from diffret_core.scenes.exchange import EXCHANGES
from diffret_core.scenes.manifest import find_faults, read_manifest, update_manifest
from diffret_core.scenes.splits import SPLITS
from diffret_core.scenes.vocabulary import COLOURS, SHAPES, UNSEEN_PAIRS
from diffret_core.scenes.word_counts import distractor_pairs, word_counts

COLLECTION = Path(__file__).resolve().parent.parent / "data_samples"


SHIPPED = ("test", "shifted", "unseen_pairs")
TESTED = (*SHIPPED, "validation")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The whole collection, drawn anew."""
    return draw_elsewhere(tmp_path_factory.mktemp("whole") / "collection.pickle")


def twins_of(entries):
    """Each scene that has a twin, and the twin."""
    return [(first, second) for first, second in itertools.pairwise(entries) if second.scene.exchanged is not None]


def first_captions(whole, split):
    return [texts[0] for texts in whole.texts[split]]


def have_distractor(texts):
    """For each caption whether another one holds the same words."""
    paired = {position for pair in distractor_pairs(texts) for position in pair}
    return np.array([position in paired for position in range(len(texts))])


def count_matrix(texts):
    """How often each caption (row) holds each word (column)."""
    counts = [word_counts(text) for text in texts]
    words = sorted(set().union(*counts))
    return np.array([[count[word] for word in words] for count in counts], dtype=float)


def words_shared(count):
    """How many words every two captions share."""
    return np.stack([np.minimum(row, count).sum(axis=1) for row in count])


def cosine(count):
    """The cosine of the angle between the counts of every two captions."""
    length = np.linalg.norm(count, axis=1)
    return count @ count.T / np.outer(length, length)  # equal counts give equal cosines: the products are whole numbers


@pytest.fixture
def small_collection(tmp_path, monkeypatch):
    """A folder with the lists of a collection of three test, one shifted, one unseen-pairs and two training videos.

    None is rendered.
    """
    num_videos = {"test": 3, "shifted": 1, "unseen_pairs": 1, "validation": 0, "train": 2}
    for name, split in SPLITS.items():
        monkeypatch.setitem(SPLITS, name, replace(split, num_videos=num_videos[name]))
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


# the collection's promises: files


def test_annotations_in_git_are_reproduced_byte_for_byte(whole):
    assert set(whole.files) == {path.name for path in COLLECTION.glob("MSRVTT_*")}
    for name, data in whole.files.items():
        assert (COLLECTION / name).read_bytes() == data, name


def test_annotations_are_the_same_at_every_call():
    splits = [replace(split, num_videos=8) for split in SPLITS.values()]
    once, again = annotate(splits), annotate(splits)
    assert once == again and annotation_files(once) == annotation_files(again)


def test_files_in_git_are_as_the_manifest_says():
    assert find_faults(COLLECTION) == []


@pytest.mark.parametrize("split", SHIPPED)
def test_frames_are_as_the_manifest_says(whole, split):
    files, entries = read_manifest(COLLECTION), whole.entries[split]
    for entry in entries[:: len(entries) // 8]:
        expected = files[f"videos/{entry.video_id}.mp4"]["frames_sha256"]
        assert frames_sha256(draw_frames(entry.scene)) == expected


def test_shipped_videos_are_numbered_8000_to_9999_and_no_others(whole):
    for split, entries in whole.entries.items():
        in_git = [re.fullmatch(r"video[89]\d{3}", entry.video_id) is not None for entry in entries]
        assert set(in_git) == {split in SHIPPED}
    shipped = {f"videos/{entry.video_id}.mp4" for split in SHIPPED for entry in whole.entries[split]}
    videos = {name: entry["bytes"] for name, entry in read_manifest(COLLECTION).items() if name.startswith("videos/")}
    assert set(videos) == shipped and sum(videos.values()) <= 12_000_000


@pytest.mark.parametrize(
    ("split", "label", "first", "num_videos"),
    [
        ("test", "test", 9000, 1000),
        ("shifted", "test", 8000, 300),
        ("unseen_pairs", "test", 8300, 300),
        ("validation", "validate", 10000, 1000),
        ("train", "train", 0, 8000),
    ],
)
def test_split_has_the_stated_size_and_numbers(whole, split, label, first, num_videos):
    data = json.loads(whole.files["MSRVTT_data.json"])
    assert len(data["videos"]) == 10_600 and len(data["sentences"]) == 53_000
    assert [sentence["sen_id"] for sentence in data["sentences"]] == list(range(53_000))
    own = {f"video{number}" for number in range(first, first + num_videos)}
    videos = [video for video in data["videos"] if video["video_id"] in own]
    assert len(videos) == num_videos and {video["split"] for video in videos} == {label}
    captions = Counter(sentence["video_id"] for sentence in data["sentences"] if sentence["video_id"] in own)
    assert captions == dict.fromkeys(own, 5)
    assert [entry.video_id for entry in whole.entries[split]] == [video["video_id"] for video in videos]


@pytest.mark.parametrize("split", SHIPPED)
def test_list_holds_the_first_captions_of_its_split(whole, split):
    options = {} if split == "test" else {"test_list": f"MSRVTT_{split}_test.csv"}
    read = read_msrvtt(COLLECTION, **options)
    videos = {name: [entry.video_id for entry in entries] for name, entries in whole.entries.items()}
    assert list(read.video_ids("test")) == videos[split]
    assert list(read.pairs("test")) == list(zip(first_captions(whole, split), videos[split], strict=True))
    for name in ("train", "validation"):  # of train the order counts: stage 1 takes the first 4,000 videos
        assert list(read.video_ids(name)) == videos[name]
        spoken = zip(whole.texts[name], videos[name], strict=True)
        assert list(read.pairs(name)) == [(text, video) for texts, video in spoken for text in texts]


# the collection's promises: what is shown


def test_only_the_shifted_split_is_drawn_in_the_other_style(whole):
    for split, entries in whole.entries.items():
        assert {entry.scene.style for entry in entries} == {"shifted" if split == "shifted" else "plain"}


def test_unseen_pairs_are_seen_in_their_split_only(whole):
    shown = {
        split: [{(actor.shape, actor.colour) for actor in entry.scene.actors} for entry in entries]
        for split, entries in whole.entries.items()
    }
    assert all(looks & UNSEEN_PAIRS for looks in shown["unseen_pairs"])
    assert set().union(*shown["unseen_pairs"]) >= UNSEEN_PAIRS
    everything = set(itertools.product(SHAPES, COLOURS))
    assert set().union(*shown["train"]) == everything - UNSEEN_PAIRS  # every shape and colour, also the unseen pairs'
    for split in set(shown) - {"unseen_pairs"}:
        assert not set().union(*shown[split]) & UNSEEN_PAIRS


@pytest.mark.parametrize("split", ["test", "validation"])
def test_twins_show_what_they_say_and_their_originals_do_not(whole, split):
    twins = twins_of(whole.entries[split])
    assert {twin.scene.exchanged for _, twin in twins} == {"motions", "objects", "colours", "turns"}
    assert {(twin.scene.kind, twin.scene.exchanged) for _, twin in twins} == {
        (kind, what) for kind, kinds in EXCHANGES.items() for what in kinds
    }
    for original, twin in twins:
        assert not is_true(full_claim(original.scene), twin.scene)
        assert not is_true(full_claim(twin.scene), original.scene)
        for caption, exchanged in zip(original.captions, twin.captions, strict=True):
            assert exchanged == exchanged_caption(caption, twin.scene.exchanged)
            assert is_true(exchanged.claim, twin.scene) and not is_true(exchanged.claim, original.scene)
            assert is_true(caption.claim, original.scene) and not is_true(caption.claim, twin.scene)


# the collection's promises: what is said


def test_there_are_at_least_forty_patterns_and_training_holds_them_all(whole):
    patterns = {pattern for kind in PATTERNS.values() for pattern in kind}
    assert len(patterns) >= 40
    assert {caption.pattern for entry in whole.entries["train"] for caption in entry.captions} == patterns


def test_every_video_has_five_different_captions(whole):
    for spoken in whole.texts.values():
        assert all(len(set(texts)) == len(texts) == 5 for texts in spoken)


def test_no_caption_occurs_in_two_splits(whole):
    texts = {split: set(itertools.chain(*spoken)) for split, spoken in whole.texts.items()}
    for split, other in itertools.combinations(texts, 2):
        assert not texts[split] & texts[other], (split, other)


def test_every_caption_says_what_its_claim_says_and_no_more(whole):
    assert whole.misread == []


def test_every_caption_is_true_of_its_video(whole):
    assert whole.untrue == []


@pytest.mark.parametrize(("split", "first"), [*((split, 0) for split in TESTED), ("train", 4000)])
def test_every_caption_is_true_of_one_video_only(whole, split, first):
    # In training that holds among the videos of stage 2, which takes the similar ones as negatives.
    assert whole.indexed[split] == [[[entry.video_id]] * 5 for entry in whole.entries[split][first:]]


@pytest.mark.parametrize("split", SHIPPED)
def test_looking_for_other_videos_by_index_misses_none(whole, split):
    assert whole.searched[split] == [videos[0] for videos in whole.indexed[split]]


# the collection's promises: counting words is not enough


def test_a_fifth_of_the_test_captions_have_a_distractor(whole):
    entries = whole.entries["test"]
    texts = first_captions(whole, "test")
    assert have_distractor(texts).sum() >= 200
    for first, second in distractor_pairs(texts):
        assert word_counts(texts[first]) == word_counts(texts[second])
        assert not is_true(entries[first].captions[0].claim, entries[second].scene)
        assert not is_true(entries[second].captions[0].claim, entries[first].scene)


@pytest.mark.parametrize("split", TESTED)
def test_twins_have_captions_of_the_same_words(whole, split):
    for original, twin in twins_of(whole.entries[split]):
        for caption, exchanged in zip(original.captions, twin.captions, strict=True):
            assert caption.text != exchanged.text and word_counts(caption.text) == word_counts(exchanged.text)


@pytest.mark.parametrize("similarity", [words_shared, cosine])
@pytest.mark.parametrize("split", TESTED)
def test_counting_words_finds_all_videos_but_those_with_a_distractor(whole, split, similarity):
    texts = first_captions(whole, split)
    score = similarity(count_matrix(texts))  # as if a model knew every word of every video's caption
    ranks = target_ranks(torch.from_numpy(score), torch.arange(len(texts))).numpy()
    paired = have_distractor(texts)
    assert (ranks[paired] > 1).all()
    assert (ranks[~paired] == 1).mean() >= 0.99
    assert (ranks == 1).mean() <= 0.85


# the command


def test_render_offers_every_split():
    assert samples.SPLIT_NAMES[-1] == "all" and sorted(samples.SPLIT_NAMES[:-1]) == sorted(SPLITS)


def test_render_makes_what_is_missing(small_collection, capsys):
    assert render(small_collection) == 0
    assert rendered_in(small_collection) == [f"video{n}.mp4" for n in (0, 1, 8000, 8300, 9000, 9001, 9002)]
    assert "7 videos rendered, 0 of 7" in capsys.readouterr().out
    kept = small_collection / "videos" / "video0.mp4"
    kept.write_bytes(b"kept")  # training videos are not in the manifest: what is there stays
    (small_collection / "videos" / "video9001.mp4").unlink()
    assert render(small_collection) == 0
    assert "1 videos rendered, 6 of 7" in capsys.readouterr().out
    assert kept.read_bytes() == b"kept"
    assert (small_collection / "videos" / "video9001.mp4").is_file()


def test_render_replaces_an_empty_training_video(small_collection):
    emptied = small_collection / "videos" / "video1.mp4"
    assert render(small_collection, "--split", "train") == 0
    emptied.write_bytes(b"")
    assert render(small_collection, "--split", "train") == 0
    assert emptied.stat().st_size > 0


@pytest.mark.parametrize(("split", "numbers"), [("train", (0, 1)), ("shifted", (8000,)), ("unseen_pairs", (8300,))])
def test_render_makes_the_chosen_split_only(small_collection, split, numbers):
    assert render(small_collection, "--split", split) == 0
    assert rendered_in(small_collection) == [f"video{number}.mp4" for number in numbers]


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
    assert "5 videos rendered, 2 of 7" in capsys.readouterr().out


RENDER_VALIDATION = """
import argparse, signal, sys
from diffret_core.cli import samples
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a background job starts may ignore it
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
    while process.poll() is None and not list(tmp_path.glob("videos/*.mp4")):  # the other process may be starting still
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in error and "Traceback" not in error
    assert 0 < len(list(tmp_path.glob("videos/*.mp4"))) < 1000
    assert list(tmp_path.glob("videos/*.partial")) == []


def test_check_accepts_a_whole_collection(small_collection, capsys):
    render(small_collection)
    assert samples_command("check", "--folder", small_collection) == 0
    assert "10 of 10 files" in capsys.readouterr().out


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
