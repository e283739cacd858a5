import json

import pytest
from benchmark_layouts import make_layout

from diffret_core.datasets import Caption, SplitCounts, read_collection, read_didemo


def records(*descriptions):
    return [{"video": video, "description": text, "times": [[0, 5]]} for video, text in descriptions]


FILES = {
    "train_data.json": records(("1_a.", "a cat"), ("2_b.mov", "a dog"), ("1_a.", " it\nsleeps")),
    "val_data.json": records(("3_c.avi", "a fish"), ("9_other.mp4", "not listed")),
    "test_data.json": records(("4_d.3gp", "a bird."), ("4_d.3gp", "it flies.")),
}
LISTS = {"train_list.txt": "2_b.mov\n1_a.\n5_lost.wmv\n", "val_list.txt": "3_c.avi\n", "test_list.txt": "4_d.3gp\n"}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    for name, text in LISTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_didemo_joins_the_descriptions_of_a_video(folder):
    collection = read_didemo(folder)
    assert collection.pairs("train") == (Caption("a cat it sleeps", "1_a."), Caption("a dog", "2_b.mov"))
    assert collection.video_ids("train") == ("2_b.mov", "1_a.")
    assert collection.pairs("validation") == (Caption("a fish", "3_c.avi"),)
    assert collection.pairs("test") == (Caption("a bird. it flies.", "4_d.3gp"),)


def test_didemo_listed_id_without_a_description_is_in_no_split_but_known(folder):
    assert read_didemo(folder).uncaptioned == ("5_lost.wmv",)


def test_didemo_line_ends_and_byte_order_mark_change_nothing(folder):
    expected = read_didemo(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_didemo(folder) == expected


def test_didemo_joined_paragraphs_are_read_and_counted_by_themselves(folder):
    collection = read_didemo(folder)
    (folder / "train_data.json").unlink()
    joined = records(("1_a.", "a cat it sleeps"), ("2_b.mov", "a dog"))
    (folder / "train_data.joined_paragraphs.json").write_text(json.dumps(joined), encoding="utf-8")
    other = read_didemo(folder)
    assert other.train == collection.train
    assert collection.published.train == SplitCounts(8_392, 8_392)
    assert other.published.train == SplitCounts(8_362, 8_362)


def test_didemo_files_are_found_with_another_or_a_second_extension(tmp_path):
    collection = read_collection("didemo", make_layout("didemo", tmp_path / "didemo"))
    found = {video: collection.video_path(video).name for video in collection.video_ids("test")}
    assert {(video[-4:], name[-8:]) for video, name in found.items()} == {
        (".mov", ".mov.mp4"),
        ("_ab.", "2_ab.mp4"),
        (".avi", "2_ab.avi"),
        (".3gp", "2_ab.mp4"),
    }


@pytest.mark.parametrize("name", [*FILES, *LISTS])
def test_didemo_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {name}.*; put the DiDeMo annotation files there"):
        read_didemo(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train_data.json", "{}", "train_data.json: holds a dict, expected a JSON list"),
        ("train_data.json", "[", "train_data.json: is not valid JSON"),
        ("train_data.json", '[{"video": "1_a."}]', r"train_data.json\[0\] \(1_a.\): has no 'description'"),
        ("val_data.json", '[{"video": "3_c.avi", "description": " "}]', r"\[0\] \(3_c.avi\): its 'description' is ' '"),
        ("train_list.txt", "2_b.mov\n4_d.3gp\n", "train_list.txt: video 4_d.3gp is also a test video in .*test_list"),
        ("val_list.txt", "3_c.avi\n3_c.avi\n", "val_list.txt: video 3_c.avi is listed twice"),
        ("val_list.txt", " \n", "val_list.txt: lists no video"),
        ("val_list.txt", "a/b.mov\n", "'a/b.mov' is no video id"),
    ],
)
def test_didemo_damage_is_refused_naming_file_and_place(folder, name, text, message):
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        read_didemo(folder)
    assert "\n" not in str(refusal.value)
