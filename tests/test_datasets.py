import json
import zipfile

import pytest

from diffret_core.datasets import Caption, read_collection, read_msrvtt

VIDEOS = [("video0", "train"), ("video1", "train"), ("video2", "validate"), ("video3", "test"), ("video4", "test")]
SENTENCES = [
    ("a red circle", "video1"),
    (" a blue square ", "video0"),
    ("a red circle", "video2"),
    ("a green star", "video1"),
    ("a test video", "video3"),
]
TEST_ROWS = 'ret0,msr4,video4,"a star, and a cross"\nret1,msr3,video3,a red circle\n'


def annotation(videos=VIDEOS, sentences=SENTENCES):
    return {
        "videos": [{"video_id": video_id, "split": split, "id": 0} for video_id, split in videos],
        "sentences": [
            {"caption": text, "video_id": video_id, "sen_id": number}
            for number, (text, video_id) in enumerate(sentences)
        ],
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "MSRVTT_data.json").write_text(json.dumps(annotation()), encoding="utf-8")
    (tmp_path / "MSRVTT_train.csv").write_text("video_id\nvideo1\nvideo0\nvideo2\n", encoding="utf-8")
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("key,vid_key,video_id,sentence\n" + TEST_ROWS, encoding="utf-8")
    return tmp_path


def refusal_of(folder, error=ValueError, **options):
    """The one-line message with which the collection in a folder is refused."""
    with pytest.raises(error) as refusal:
        read_msrvtt(folder, **options)
    assert "\n" not in str(refusal.value)
    assert str(folder) in str(refusal.value)
    return str(refusal.value)


def test_msrvtt_splits_come_in_file_order(folder):
    collection = read_collection("msrvtt", folder)
    assert collection.name == "msrvtt"
    assert collection.video_ids("train") == ("video1", "video0", "video2")
    assert [caption.text for caption in collection.pairs("train")] == [
        "a red circle",
        "a blue square",
        "a red circle",
        "a green star",
    ]
    assert collection.pairs("validation") == (Caption("a red circle", "video2"),)
    assert collection.pairs("test") == (Caption("a star, and a cross", "video4"), Caption("a red circle", "video3"))


def test_validation_is_held_out_of_train_when_asked_for(folder):
    collection = read_msrvtt(folder, hold_out_validation=True)
    assert collection.video_ids("train") == ("video1", "video0")
    assert "video2" not in {caption.video_id for caption in collection.pairs("train")}
    assert collection.video_ids("validation") == ("video2",)


def test_line_ends_and_byte_order_mark_change_nothing(folder):
    expected = read_msrvtt(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_msrvtt(folder) == expected


@pytest.mark.parametrize("zipped", [False, True])
def test_official_annotation_files_equal_the_merged_one(folder, zipped):
    expected = read_msrvtt(folder)
    (folder / "MSRVTT_data.json").unlink()
    parts = {
        "train_val": annotation(VIDEOS[:3], SENTENCES[:4]),
        "test": annotation(VIDEOS[3:], SENTENCES[4:]),
    }
    zip_names = {"train_val": "train_val_annotation.zip", "test": "test_videodatainfo.json.zip"}
    for part, content in parts.items():
        name, text = f"{part}_videodatainfo.json", json.dumps(content)
        if zipped:
            with zipfile.ZipFile(folder / zip_names[part], "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, text)
                archive.writestr("readme.txt", "about")
        else:
            (folder / name).write_text(text, encoding="utf-8")
    assert read_msrvtt(folder) == expected


def test_9k_list_is_preferred_and_another_can_be_named(folder):
    (folder / "MSRVTT_train.9k.csv").write_text("video_id\nvideo0\n", encoding="utf-8")
    (folder / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\n", encoding="utf-8")
    assert read_msrvtt(folder).video_ids("train") == ("video0",)
    assert read_msrvtt(folder, train_list="MSRVTT_train.7k.csv").video_ids("train") == ("video1",)


def test_two_equally_good_lists_are_refused(folder):
    (folder / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\n", encoding="utf-8")
    assert "choose one with train_list='MSRVTT_train.7k.csv'" in refusal_of(folder)


@pytest.mark.parametrize("name", ["MSRVTT_data.json", "MSRVTT_train.csv", "MSRVTT_JSFUSION_test.csv"])
def test_missing_annotation_file_is_named(folder, name):
    (folder / name).unlink()
    assert name in refusal_of(folder, FileNotFoundError)


def test_missing_folder_is_named(tmp_path):
    assert "no such folder" in refusal_of(tmp_path / "absent", FileNotFoundError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "holds a list"),
        (b'{"videos": []}', "has no list 'sentences'"),
        (annotation(videos=[*VIDEOS, ("video1", "train")]), "video video1 is described a second time"),
        (annotation(videos=[("video1", "held")]), "the 'split' of video1 is 'held'"),
        (annotation(videos=[("../../etc/passwd", "train")]), "is no video id"),
        (annotation(sentences=[*SENTENCES, ("  ", "video1")]), "sentences[5] (video1): its 'caption' is '  '"),
        (annotation(sentences=[*SENTENCES, (7, "video1")]), "sentences[5] (video1): its 'caption' is 7"),
        (annotation(sentences=[*SENTENCES, ("a cat", "video9")]), "the sentence 'a cat' describes 'video9'"),
        (annotation(sentences=SENTENCES[:2]), "lists 1 videos without a caption, first video2"),
        ({"videos": [{"video_id": "video1"}], "sentences": []}, "videos[0] (video1): has no 'split'"),
        ({"videos": [7], "sentences": []}, "videos[0] (no video id): has no 'video_id'"),
        ({**annotation(), "sentences": [{"video_id": "video1"}]}, "sentences[0] (video1): has no 'caption'"),
    ],
)
def test_damaged_annotation_is_refused_naming_file_and_place(folder, content, message):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "MSRVTT_data.json").write_bytes(data)
    refusal = refusal_of(folder)
    assert message in refusal
    assert "MSRVTT_data.json" in refusal


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("MSRVTT_train.csv", "video_id\nvideo0\nvideo0\n", "video video0 is listed twice"),
        ("MSRVTT_train.csv", "video_id\n", "lists no video"),
        ("MSRVTT_train.csv", "", "has no column 'video_id'"),
        ("MSRVTT_train.csv", "video\nvideo0\n", "has no column 'video_id'; it reads 'video'"),
        ("MSRVTT_train.csv", "video_id\nvideo7\n", "lists 1 videos without a caption, first video7"),
        ("MSRVTT_train.csv", "video_id\nvideo0\nvideo4\n", "video video4 is also a test video"),
        ("MSRVTT_train.csv", "video_id\nvideo0,video1\n", "line 2: expected 1 fields"),
        ("MSRVTT_JSFUSION_test.csv", "video_id,sentence\nvideo3,a cat\nvideo3,a dog\n", "video3 is listed twice"),
        ("MSRVTT_JSFUSION_test.csv", "video_id,sentence\nvideo3, \n", "line 2: its 'sentence' is empty"),
        ("MSRVTT_JSFUSION_test.csv", "video_id,sentence\nvideo3\n", "line 2: expected 2 fields"),
        ("MSRVTT_JSFUSION_test.csv", "video_id,sentence\na/b,a cat\n", "'a/b' is no video id"),
    ],
)
def test_damaged_list_is_refused_naming_file_and_place(folder, name, text, message):
    (folder / name).write_text(text, encoding="utf-8")
    refusal = refusal_of(folder)
    assert message in refusal
    assert name in refusal


def test_list_that_is_no_text_is_refused(folder):
    (folder / "MSRVTT_train.csv").write_bytes(b"video_id\n\xff\xfe\n")
    assert "MSRVTT_train.csv: is not a readable CSV file" in refusal_of(folder)


def test_test_video_marked_for_validation_is_refused(folder):
    videos = [*VIDEOS[:3], ("video3", "validate"), VIDEOS[4]]
    (folder / "MSRVTT_data.json").write_text(json.dumps(annotation(videos)), encoding="utf-8")
    assert "video video3 is also a test video" in refusal_of(folder)


@pytest.mark.parametrize(
    ("content", "message"), [(b"PK\x03\x04 cut off", "is not a readable zip"), (None, "holds 2 .json files")]
)
def test_damaged_zip_is_refused(folder, content, message):
    (folder / "MSRVTT_data.json").unlink()
    path = folder / "train_val_annotation.zip"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.json", "{}")
            archive.writestr("b.json", "{}")
    else:
        path.write_bytes(content)
    (folder / "test_videodatainfo.json").write_text(json.dumps(annotation(VIDEOS[3:], SENTENCES[4:])), encoding="utf-8")
    assert message in refusal_of(folder)


def test_published_split_is_chosen_by_name(folder):
    (folder / "MSRVTT_train.9k.csv").write_text("video_id\nvideo0\nvideo2\n", encoding="utf-8")
    (folder / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\n", encoding="utf-8")
    nine, seven = (read_msrvtt(folder, protocol=protocol) for protocol in ("9k", "7k"))
    assert (nine.video_ids("train"), seven.video_ids("train")) == (("video0", "video2"), ("video1",))
    assert nine == read_msrvtt(folder)
    assert nine.published.train == (9_000, 180_000)
    assert seven.published.train == (7_010, 140_200)
    held_out = read_msrvtt(folder, protocol="9k", hold_out_validation=True)
    assert held_out.video_ids("train") == ("video0",)
    assert held_out.published.train == (8_503, 170_060)


def test_full_split_is_the_official_one_and_needs_no_list(folder):
    sentences = [*SENTENCES, ("a second one", "video3"), ("a last one", "video4")]
    (folder / "MSRVTT_data.json").write_text(json.dumps(annotation(sentences=sentences)), encoding="utf-8")
    for name in ("MSRVTT_train.csv", "MSRVTT_JSFUSION_test.csv"):
        (folder / name).unlink()
    collection = read_msrvtt(folder, protocol="full")
    assert [collection.video_ids(split) for split in ("train", "validation", "test")] == [
        ("video0", "video1"),
        ("video2",),
        ("video3", "video4"),
    ]
    assert collection.video_of_caption("test") == [0, 0, 1]
    assert collection.published == ((6_513, 130_260), (497, 9_940), (2_990, 59_800))


def test_own_lists_have_no_published_numbers(folder):
    assert read_msrvtt(folder).published is None
    with pytest.raises(ValueError, match="no published numbers are known"):
        read_collection("msrvtt", folder, count_allowance=0)


def test_published_split_that_does_not_exist_or_contradicts_a_list_is_refused(folder):
    with pytest.raises((ValueError, TypeError)):  # TypeError where the tests' type check comes first
        read_collection("msrvtt", folder, protocol="8k")
    with pytest.raises(ValueError, match="give either the split '9k' or the names of lists"):
        read_msrvtt(folder, protocol="9k", test_list="other.csv")


def test_another_test_list_can_be_named(folder):
    usual = read_msrvtt(folder)
    (folder / "other_test.csv").write_text("video_id,sentence\nvideo3,a green cross\n", encoding="utf-8")
    other = read_collection("msrvtt", folder, test_list="other_test.csv")
    assert other.pairs("test") == (Caption("a green cross", "video3"),)
    assert other.video_ids("test") == ("video3",)
    for split in ("train", "validation"):
        assert other.contents(split) == usual.contents(split)
    assert read_msrvtt(folder) == usual


def test_another_test_list_is_checked_as_the_usual_one_is(folder):
    assert "has no other_test.csv" in refusal_of(folder, FileNotFoundError, test_list="other_test.csv")
    (folder / "other_test.csv").write_text("video_id,sentence\nvideo1,a star\n", encoding="utf-8")
    refusal = refusal_of(folder, test_list="other_test.csv")
    assert "video video1 is also a test video in" in refusal and "other_test.csv" in refusal
