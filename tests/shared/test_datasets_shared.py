import zipfile
from dataclasses import replace

import pytest

from diffret_core.datasets import read_collection


@pytest.fixture(scope="module")
def annotations(shared_folder):
    return shared_folder / "annotations" / "msrvtt"


@pytest.fixture(scope="module")
def msrvtt(annotations):
    return read_collection("msrvtt", annotations)


def test_msrvtt_has_the_published_counts(msrvtt):
    assert len(msrvtt.video_ids("train")) == 9_000
    assert len(msrvtt.pairs("train")) == 180_000
    assert len(msrvtt.video_ids("validation")) == 497
    assert len(msrvtt.pairs("validation")) == 9_940
    assert len(msrvtt.video_ids("test")) == 1_000
    assert len(msrvtt.pairs("test")) == 1_000
    assert len({caption.text for caption in msrvtt.pairs("test")}) == 995


def test_msrvtt_rows_are_those_of_the_files(msrvtt):
    assert msrvtt.pairs("test")[0] == ("a person is connecting something to system", "video9770")
    assert msrvtt.video_ids("train")[:3] == ("video0", "video1", "video2")
    assert msrvtt.pairs("train")[0].text == "a cartoon animals runs through an ice cave in a video game"


def test_msrvtt_validation_can_be_held_out(annotations, msrvtt):
    held_out = read_collection("msrvtt", annotations, hold_out_validation=True)
    assert len(held_out.video_ids("train")) == 9_000 - 497
    assert len(held_out.pairs("train")) == 180_000 - 9_940
    assert not set(held_out.video_ids("train")) & set(held_out.video_ids("validation"))
    assert held_out.test == msrvtt.test


def test_msrvtt_7k_list_is_the_official_training_set(annotations):
    collection = read_collection("msrvtt", annotations, train_list="MSRVTT_train.7k.csv")
    assert len(collection.video_ids("train")) == 7_010
    assert len(collection.pairs("train")) == 140_200


def test_msrvtt_with_other_line_ends_and_unpacked_annotations_is_the_same(annotations, msrvtt, tmp_path):
    for name in ("train_val_annotation.zip", "test_videodatainfo.json.zip"):
        with zipfile.ZipFile(annotations / name) as archive:
            names = [member for member in archive.namelist() if member.endswith("videodatainfo.json")]
            archive.extractall(tmp_path, [member for member in names if not member.startswith("__")])
    for unpacked in list(tmp_path.rglob("*videodatainfo.json")):
        unpacked.rename(tmp_path / unpacked.name)
    for path in (annotations / "variants_crlf").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert b"\r\n" in (tmp_path / "MSRVTT_train.9k.csv").read_bytes()
    assert replace(read_collection("msrvtt", tmp_path), videos_folder=msrvtt.videos_folder) == msrvtt


def test_real_clips_are_found_by_their_ids(annotations, shared_folder):
    clips = shared_folder / "clips" / "msrvtt_sample"
    collection = read_collection("msrvtt", annotations, videos_folder=clips)
    missing = collection.missing_videos("test")
    there = [video_id for video_id in collection.video_ids("test") if video_id not in missing]
    assert there
    for video_id in there:
        assert collection.video_path(video_id).stem == video_id
    smaller = collection.without_videos(missing)
    assert sorted(smaller.video_ids("test")) == sorted(there)
