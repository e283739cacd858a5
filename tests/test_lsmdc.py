import pytest
from benchmark_layouts import make_layout

from diffret_core.datasets import Caption, read_collection, read_lsmdc

TIMES = "00.00.01.000\t00.00.02.000\t00.00.01.000\t00.00.02.000"


def lines(*clips):
    return "".join(f"{clip}\t{TIMES}\t{sentence}\n" for clip, sentence in clips)


@pytest.fixture
def folder(tmp_path):
    files = {
        "LSMDC16_annos_training.csv": lines(
            ("1_A_00.00.01.000-00.00.02.000", 'SOMEONE says "no", and goes. '), ("1_B", "A")
        ),
        "LSMDC16_annos_val.csv": lines(("2_A", "A dog.")),
        "LSMDC16_challenge_1000_publictect.csv": lines(("3_B", "A cat, asleep."), ("3_A", "SOMEONE\u2028waits.")),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_lsmdc_has_a_sentence_a_clip_in_file_order(folder):
    collection = read_lsmdc(folder)
    first = Caption('SOMEONE says "no", and goes.', "1_A_00.00.01.000-00.00.02.000")
    assert collection.pairs("train") == (first, Caption("A", "1_B"))
    assert collection.pairs("validation") == (Caption("A dog.", "2_A"),)
    assert collection.pairs("test") == (Caption("A cat, asleep.", "3_B"), Caption("SOMEONE\u2028waits.", "3_A"))
    assert collection.video_ids("test") == ("3_B", "3_A")


def test_lsmdc_clips_lie_in_a_folder_for_each_film(tmp_path):
    collection = read_collection("lsmdc", make_layout("lsmdc", tmp_path / "lsmdc"))
    clip = collection.video_ids("test")[0]
    assert clip.count(".") == 6
    assert collection.video_path(clip) == collection.videos_folder / "1004_FILM" / f"{clip}.avi"


def test_lsmdc_line_ends_and_byte_order_mark_change_nothing(folder):
    expected = read_lsmdc(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert read_lsmdc(folder) == expected


def test_lsmdc_training_clip_listed_again_has_two_sentences(folder):
    (folder / "LSMDC16_annos_training.csv").write_text(lines(("1_A", "one"), ("1_B", "x"), ("1_A", "two")))
    collection = read_lsmdc(folder)
    assert collection.video_ids("train") == ("1_A", "1_B")
    assert collection.video_of_caption("train") == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("LSMDC16_annos_training.csv", "1_A,0,0,0,0,A cat\n", "line 1: has 1 fields, expected 6 with tabs"),
        ("LSMDC16_annos_training.csv", lines(("1_A", "x"), ("1_B", "x\ty")), "line 2: has 7 fields, expected 6"),
        ("LSMDC16_annos_val.csv", lines(("2_A", "x")) + "\n" + lines(("2_B", " ")), "line 3: its sentence"),
        ("LSMDC16_annos_val.csv", "\n", "lists no clip"),
        ("LSMDC16_annos_val.csv", lines(("../2_A", "x")), "line 1: '../2_A' is no video id"),
        ("LSMDC16_annos_val.csv", lines(("", "x")), "line 1: '' is no video id"),
        ("LSMDC16_annos_val.csv", lines(("3_A", "x")), "video 3_A is also a test video"),
        ("LSMDC16_challenge_1000_publictect.csv", lines(("3_A", "x"), ("3_A", "y")), "video 3_A is listed twice"),
    ],
)
def test_lsmdc_damage_is_refused_naming_file_and_place(folder, name, text, message):
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        read_lsmdc(folder)
    assert str(folder / name) in str(refusal.value) and "\n" not in str(refusal.value)


def test_lsmdc_file_that_is_no_text_or_missing_is_named(folder):
    path = folder / "LSMDC16_annos_val.csv"
    path.write_bytes(b"\xff\xfe1_A")
    with pytest.raises(ValueError, match="LSMDC16_annos_val.csv: is not UTF-8 text"):
        read_lsmdc(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="has no LSMDC16_annos_val.csv; put the LSMDC annotation files there"):
        read_lsmdc(folder)
