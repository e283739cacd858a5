import zipfile
from dataclasses import replace

import pytest

from diffret_core.datasets import counts_of, read_collection
from diffret_core.datasets.annotation_files import read_json_object
from diffret_core.datasets.plain_pickle import read_plain_pickle
from diffret_core.datasets.video_files import stem


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


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("msrvtt", {"protocol": "7k", "hold_out_validation": True}, (6_513, 130_260, 497, 9_940, 1_000, 1_000)),
        ("msrvtt", {"protocol": "full"}, (6_513, 130_260, 497, 9_940, 2_990, 59_800)),
        ("msvd", {}, (1_200, 48_774, 100, 4_290, 670, 27_763)),
        ("activitynet", {}, (10_009, 10_009, 500, 500, 4_917, 4_917)),
        ("activitynet", {"hold_out_validation": True}, (9_509, 9_509, 500, 500, 4_917, 4_917)),
        ("didemo", {}, (8_362, 8_362, 1_065, 1_065, 1_004, 1_004)),
    ],
)
def test_real_benchmark_has_the_published_counts(shared_folder, name, options, expected):
    collection = read_collection(name, shared_folder / "annotations" / name, count_allowance=0, **options)
    assert sum(counts_of(collection), ()) == expected
    assert len(collection.uncaptioned) == {"activitynet": 24, "didemo": 30}.get(name, 0)
    ids = [stem(video_id) for split in ("train", "validation", "test") for video_id in collection.video_ids(split)]
    if options or name != "activitynet":  # which validates on training videos unless they are held out
        assert len(set(ids)) == len(ids)  # no two ids would share a file


def test_real_paragraphs_are_joined(shared_folder):
    activitynet = read_collection("activitynet", shared_folder / "annotations" / "activitynet")
    assert activitynet.pairs("test")[0].text == (
        "A weight lifting tutorial is given. The coach helps the guy in red with the proper body placement and lifting "
        "technique."
    )
    didemo = read_collection("didemo", shared_folder / "annotations" / "didemo")
    assert didemo.pairs("test")[0].text.startswith("someone kicks the bug towards some rocks. a man in a red shirt")
    for collection in (activitynet, didemo):
        texts = [text for split in ("train", "test") for text, _ in collection.pairs(split)]
        assert not any("  " in text or "\n" in text or text != text.strip() for text in texts)


def test_real_pickle_of_msvd_says_the_same_as_the_json(shared_folder):
    folder = shared_folder / "annotations" / "msvd"
    words = read_plain_pickle(folder / "raw-captions.pkl")
    joined = {video_id: [" ".join(sentence) for sentence in sentences] for video_id, sentences in words.items()}
    assert joined == read_json_object(folder / "xpool_captions_msvd.json")


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
