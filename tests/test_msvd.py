import json
import pickle

import pytest
from benchmark_layouts import make_layout

from diffret_core.datasets import Caption, read_msvd
from diffret_core.datasets.plain_pickle import read_plain_pickle

CAPTIONS = {"c_0_9": ["a cat", "a cat sleeps"], "a_1_2": ["a dog"], "b_0_4": [" a bird"], "d_5_6": ["unlisted"]}


@pytest.fixture
def folder(tmp_path):
    for name, video_id in (("train", "a_1_2"), ("val", "b_0_4"), ("test", "c_0_9")):
        (tmp_path / f"{name}_list.txt").write_text(video_id, encoding="utf-8")
    (tmp_path / "raw-captions.json").write_text(json.dumps(CAPTIONS), encoding="utf-8")
    return tmp_path


def refusal_of(folder, message, error=ValueError):
    with pytest.raises(error, match=message) as refusal:
        read_msvd(folder)
    assert str(folder) in str(refusal.value) and "\n" not in str(refusal.value)


def test_msvd_test_has_several_captions_a_video(folder):
    collection = read_msvd(folder)
    assert collection.pairs("test") == (Caption("a cat", "c_0_9"), Caption("a cat sleeps", "c_0_9"))
    assert collection.video_of_caption("test") == [0, 0]
    assert collection.pairs("train") == (Caption("a dog", "a_1_2"),)
    assert collection.pairs("validation") == (Caption("a bird", "b_0_4"),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_msvd_pickle_of_words_says_the_same_as_the_json(folder, protocol):
    expected = read_msvd(folder)
    (folder / "raw-captions.json").unlink()
    words = {video_id: [text.split() for text in texts] for video_id, texts in CAPTIONS.items()}
    (folder / "raw-captions.pkl").write_bytes(pickle.dumps(words, protocol=protocol))
    assert read_msvd(folder) == expected


def test_msvd_text_file_says_the_same_as_the_json(folder):
    expected = read_msvd(folder)
    (folder / "raw-captions.json").unlink()
    lines = ["# about", "#", "", *(f"{video_id} {text}" for video_id, texts in CAPTIONS.items() for text in texts)]
    (folder / "AllVideoDescriptions.txt").write_text("\r\n".join(lines), encoding="utf-8")
    assert read_msvd(folder) == expected
    (folder / "AllVideoDescriptions.txt").write_text("a_1_2 a dog\nb_0_4\n", encoding="utf-8")
    refusal_of(folder, "AllVideoDescriptions.txt, line 2: expected an id, a space and a sentence")


def test_msvd_prefers_the_json_to_the_pickle(folder):
    (folder / "raw-captions.pkl").write_bytes(b"not even a pickle")
    assert read_msvd(folder).pairs("train") == (Caption("a dog", "a_1_2"),)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_pickle_is_refused_and_runs_nothing(folder, tmp_path, protocol):
    made = tmp_path / "made_by_the_pickle"
    data = pickle.dumps({"a_1_2": [["a", "dog"]], "b_0_4": Malicious(made)}, protocol=protocol)
    pickle.loads(data)["b_0_4"].close()  # noqa: S301 (it would work on an ordinary reader)
    made.unlink()
    (folder / "raw-captions.json").unlink()
    (folder / "raw-captions.pkl").write_bytes(data)
    refusal_of(folder, "raw-captions.pkl: is not a pickle that is read here, byte .* asks for .*use the JSON file")
    assert not made.exists()


@pytest.mark.parametrize("content", [{"a": [b"bytes"]}, {"a": [1]}, {1: ["a"]}, {"a": [None]}, {"a": {"set"}}, 7, 1.5])
def test_pickle_of_anything_but_texts_is_refused(tmp_path, content):
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="some.pkl: is not a pickle that is read here"):
        read_plain_pickle(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02}",
        b"\x80\x02.",  # nothing to return
        b"\x80\x02(X\x01\x00\x00\x00ae.",  # appends to nothing
        b"\x80\x02}X\x01\x00\x00\x00aa.",  # appends to a dictionary
        b"\x80\x02}(X\x01\x00\x00\x00au.",  # a key without a value
        b"\x80\x02}]]s.",  # a list as a key
        b"\x80\x02h\x07.",  # remembers what was never there
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text of 2 GB, they say
        b"(((((((((u.",
        pickle.dumps({"a": ["b"]})[:-2],
    ],
)
def test_damaged_pickle_is_refused(tmp_path, data):
    path = tmp_path / "some.pkl"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="some.pkl: ") as refusal:
        read_plain_pickle(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["train_list.txt", "val_list.txt", "test_list.txt", "raw-captions.json"])
def test_msvd_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refusal_of(folder, f"has no {name}", FileNotFoundError)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train_list.txt", "a_1_2\nc_0_9\n", "train_list.txt: video c_0_9 is also a test video in .*test_list.txt"),
        ("train_list.txt", "a_1_2\na_1_2\n", "video a_1_2 is listed twice"),
        ("train_list.txt", "\n", "lists no video"),
        ("val_list.txt", "z_1_2\n", "lists 1 videos without a caption, first z_1_2; captions are read from .*json"),
        ("raw-captions.json", "[]", "holds a list, expected a JSON object"),
        ("raw-captions.json", '{"a_1_2": "a dog"}', "expected ids with lists of sentences, found 'a_1_2'"),
        ("raw-captions.json", '{"a_1_2": ["a dog", 7]}', r"a_1_2\[1\]: is '7', expected a sentence"),
        ("raw-captions.json", '{"a_1_2": [" "]}', r"a_1_2\[0\]: is ' ', expected a sentence"),
        ("raw-captions.json", '{"a_1_2": [["a", 7]]}', r"a_1_2\[0\]: is .*, expected a sentence"),
    ],
)
def test_msvd_damage_is_refused_naming_file_and_place(folder, name, text, message):
    (folder / name).write_text(text, encoding="utf-8")
    refusal_of(folder, message)


def test_msvd_layout_gives_the_same_from_json_and_pickle(tmp_path):
    folder = make_layout("msvd", tmp_path / "msvd", with_videos=False)
    expected = read_msvd(folder)
    (folder / "raw-captions.json").unlink()
    assert read_msvd(folder) == expected
