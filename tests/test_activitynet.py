import json

import pytest
from benchmark_layouts import make_layout

from diffret_core.datasets import Caption, Counts, SplitCounts, read_activitynet, read_collection


def record(*sentences):
    return {"duration": 2.0, "timestamps": [[0, 1]] * len(sentences), "sentences": list(sentences)}


FILES = {
    "train.json": {"v_b": record("A cat.", "  It sleeps. "), "v_a": record("A dog\nruns.")},
    "val_1.json": {"v_t": record(" A bird.")},
    "train_ids.json": ["v_a", "v_lost", "v_b"],
    "val_ids.json": ["v_t", "v_gone"],
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_activitynet_joins_the_sentences_of_a_video(folder):
    collection = read_activitynet(folder)
    assert collection.pairs("train") == (Caption("A cat. It sleeps.", "v_b"), Caption("A dog runs.", "v_a"))
    assert collection.video_ids("train") == ("v_a", "v_b")
    assert collection.video_of_caption("train") == [1, 0]
    assert collection.pairs("test") == (Caption("A bird.", "v_t"),)


def test_activitynet_ids_without_captions_are_in_no_split_but_known(folder):
    collection = read_activitynet(folder)
    assert collection.uncaptioned == ("v_lost", "v_gone")
    assert not {"v_lost", "v_gone"} & {*collection.video_ids("train"), *collection.video_ids("test")}


def test_activitynet_holds_a_share_of_train_out_when_asked_for(folder):
    published, held_out = (read_activitynet(folder, hold_out_validation=choice) for choice in (False, True))
    assert published.validation == held_out.validation
    assert len(held_out.video_ids("validation")) == 1
    assert set(held_out.video_ids("train")) == {"v_a", "v_b"} - set(held_out.video_ids("validation"))
    assert {caption.video_id for caption in held_out.pairs("train")} == set(held_out.video_ids("train"))
    assert held_out.test == published.test
    assert held_out.published == Counts(SplitCounts(9_509, 9_509), SplitCounts(500, 500), SplitCounts(4_917, 4_917))
    assert published.published.train == SplitCounts(10_009, 10_009)


def test_activitynet_files_are_found_with_and_without_their_prefix(tmp_path):
    collection = read_collection("activitynet", make_layout("activitynet", tmp_path / "activitynet"))
    names = [collection.video_path(video_id).name for video_id in collection.video_ids("train")]
    assert len([name for name in names if name.startswith("v_")]) == len(names) / 2


@pytest.mark.parametrize("name", FILES)
def test_activitynet_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {name}; put the ActivityNet Captions annotation files there"):
        read_activitynet(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.json", [], "train.json: holds a list, expected a JSON object"),
        ("train.json", {"v_a": ["A dog."]}, "train.json: v_a has no list of texts under 'sentences'"),
        ("train.json", {"v_a": {"sentences": ["A dog.", 7]}}, "v_a has no list of texts"),
        ("train.json", {"v_a": record(" ", "")}, "the sentences of v_a are empty"),
        ("train.json", {"v_a": record("A."), "v_z": record("A.")}, "v_z is not among the listed ids"),
        ("train_ids.json", {"v_a": 1}, "train_ids.json: holds a dict, expected a JSON list"),
        ("train_ids.json", ["v_a", 7], r"train_ids.json\[1\]: is '7', expected an id"),
        ("train_ids.json", ["v_a", "v_a"], "video v_a is listed twice"),
        ("train_ids.json", ["v_a", "v/b"], "'v/b' is no video id"),
        ("train_ids.json", ["v_a", "v_b", "v_t"], "train_ids.json: video v_t is also a test video in .*val_ids.json"),
        ("train.json", {"v_a": record("A dog.")}, "1 training videos: too few to hold 1 of them out"),
    ],
)
def test_activitynet_damage_is_refused_naming_the_file(folder, name, content, message):
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        read_activitynet(folder)
    assert "\n" not in str(refusal.value)
