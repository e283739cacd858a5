import re
from dataclasses import replace

import pytest
from benchmark_layouts import LAYOUTS, SIZES, make_layout

from diffret_core.datasets import (
    READERS,
    Caption,
    Collection,
    SplitContents,
    read_collection,
    refuse_missing,
)
from diffret_core.datasets.video_files import stem


def contents(*captions):
    pairs = tuple(Caption(text, video_id) for video_id, text in captions)
    return SplitContents(tuple(dict.fromkeys(video_id for _, video_id in pairs)), pairs)


def as_collection(folder, videos_folder=None):
    return Collection(
        name="small",
        videos_folder=videos_folder or folder / "videos",
        train=contents(
            ("video1", "a red circle"),
            ("video0", "a blue square"),
            ("video2", "a red circle"),
            ("video1", "a green star"),
        ),
        validation=contents(("video2", "a red circle")),
        test=contents(("video4", "a star, and a cross"), ("video3", "a red circle")),
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_video_of_caption_points_into_the_videos_of_the_split(folder):
    collection = as_collection(folder)
    assert collection.video_of_caption("train") == [0, 1, 2, 0]
    assert collection.video_of_caption("test") == [0, 1]


def test_videos_are_found_by_id_and_extension(folder):
    videos = folder / "videos"
    videos.mkdir()
    for name in ("video3.webm", "video1.mp4", "video10.mp4", "video4.txt"):
        (videos / name).touch()
    collection = as_collection(folder)
    assert collection.video_path("video3") == videos / "video3.webm"
    assert collection.missing_videos("test") == ("video4",)
    assert collection.missing_videos("train") == ("video0", "video2")
    with pytest.raises(FileNotFoundError, match="no file video4 with an extension of"):
        collection.video_path("video4")


def test_videos_folder_can_be_elsewhere(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "video4.avi").touch()
    collection = as_collection(folder, elsewhere)
    assert collection.missing_videos("test") == ("video3",)


def test_two_files_for_one_video_are_refused(folder):
    (folder / "videos").mkdir()
    for name in ("video3.mp4", "video3.avi"):
        (folder / "videos" / name).touch()
    with pytest.raises(ValueError, match=re.escape("video3.avi and video3.mp4 are both video video3")):
        as_collection(folder).video_path("video3")


def test_without_videos_drops_their_captions_in_every_split(folder):
    collection = as_collection(folder).without_videos(["video1", "video4"])
    assert collection.video_ids("train") == ("video0", "video2")
    assert {caption.video_id for caption in collection.pairs("train")} == {"video0", "video2"}
    assert collection.pairs("test") == (Caption("a red circle", "video3"),)
    assert collection.video_of_caption("test") == [0]


def test_with_one_caption_keeps_the_first_of_each_video_of_one_split(folder):
    collection = as_collection(folder)
    one = collection.with_one_caption("train")
    assert one.pairs("train") == (
        Caption("a red circle", "video1"),
        Caption("a blue square", "video0"),
        Caption("a red circle", "video2"),
    )
    assert one.video_ids("train") == collection.video_ids("train")
    assert one.video_of_caption("train") == [0, 1, 2]
    for split in ("validation", "test"):
        assert one.contents(split) == collection.contents(split)
    assert len(collection.pairs("train")) == 4  # the original stays as it was
    assert one.with_one_caption("train") == one


@pytest.mark.parametrize(
    ("video_id", "file"),
    [
        ("video7", "video7.MP4"),
        ("1_a.avi", "1_a.avi"),
        ("1_a.avi", "1_a.avi.mp4"),
        ("1_a.avi", "1_a.mp4"),
        ("1_a.", "1_a."),
        ("1_a.", "1_a..mp4"),
        ("1_a.", "1_a.mp4"),
        ("1_a.null", "1_a.null.mp4"),
        ("1_a.null", "1_a.mp4"),
        ("1001_FILM_00.00.01.000-00.00.02.886", "1001_FILM_00.00.01.000-00.00.02.886.avi"),
        ("video7", "TrainValVideo/video7.mp4"),
    ],
)
def test_file_of_a_video_is_found_whatever_was_done_to_its_name(folder, video_id, file):
    collection = replace(as_collection(folder), test=contents((video_id, "a cat")))
    path = folder / "videos" / file
    path.parent.mkdir(parents=True)
    assert collection.missing_videos("test") == (video_id,)
    with pytest.raises(FileNotFoundError, match="no file"):
        collection.video_path(video_id)
    path.touch()  # also one that comes later
    assert collection.video_path(video_id) == path
    assert collection.missing_videos("test") == ()
    path.unlink()
    assert collection.missing_videos("test") == (video_id,)
    with pytest.raises(FileNotFoundError, match="no file"):
        collection.video_path(video_id)


@pytest.mark.parametrize("file", ["video77.mp4", "video7.txt", "video7.mp4.part", "._video7.mp4", "VIDEO7.mp4", ".mp4"])
def test_other_files_are_not_taken_for_the_video(folder, file):
    (folder / "videos").mkdir()
    (folder / "videos" / file).touch()
    collection = replace(as_collection(folder), test=contents(("video7", "a cat")))
    assert collection.missing_videos("test") == ("video7",)


def test_stem_of_a_clip_keeps_the_dots_inside():
    assert stem("1001_FILM_00.23.23.000-00.23.28.886.avi") == "1001_FILM_00.23.23.000-00.23.28.886"


def test_prefix_is_optional_only_where_the_benchmark_says_so(folder):
    (folder / "videos").mkdir()
    (folder / "videos" / "abc.mp4").touch()
    collection = replace(as_collection(folder), test=contents(("v_abc", "a cat")))
    assert collection.missing_videos("test") == ("v_abc",)
    assert replace(collection, optional_prefix="v_").video_path("v_abc").name == "abc.mp4"


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_video_of_every_benchmark_layout_is_found(tmp_path, name):
    collection = read_collection(name, make_layout(name, tmp_path / name), hold_out_validation=True)
    assert collection.name == name
    assert not set(collection.video_ids("train")) & set(collection.video_ids("validation"))
    for split in ("train", "validation", "test"):
        assert collection.video_ids(split)
        assert collection.missing_videos(split) == ()
        files = {collection.video_path(video_id) for video_id in collection.video_ids(split)}
        assert len(files) == len(collection.video_ids(split))
    assert len(collection.video_ids("test")) == SIZES["test"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_half_copied_benchmark_is_refused_with_both_numbers_when_counts_are_asked_for(tmp_path, name):
    folder = make_layout(name, tmp_path / name, with_videos=False)
    published = read_collection(name, folder).published.test.num_videos
    with pytest.raises(
        ValueError, match=f"{name}: not as published: .*test has 4 videos, expected {published}"
    ) as found:
        read_collection(name, folder, count_allowance=0)
    assert "\n" not in str(found.value)
    assert read_collection(name, folder, count_allowance=200_000)


@pytest.mark.parametrize("name", LAYOUTS)
def test_folder_of_another_benchmark_is_recognised(tmp_path, name):
    other = "lsmdc" if name == "didemo" else "didemo"
    folder = make_layout(name, tmp_path / name, with_videos=False)
    with pytest.raises(FileNotFoundError, match=f"it holds files of {name}, so choose that instead of {other}"):
        read_collection(other, folder)


@pytest.mark.parametrize("name", READERS)
def test_missing_folder_and_unknown_options_are_refused_by_every_reader(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / 'absent'}: no such folder"):
        read_collection(name, tmp_path / "absent")
    with pytest.raises(ValueError, match=f"the reader of {name} has no option 'colour'"):
        read_collection(name, tmp_path, colour="red")


def test_missing_videos_are_refused_unless_so_many_are_allowed(folder):
    (folder / "videos").mkdir()
    for number in (0, 1, 3):
        (folder / "videos" / f"video{number}.mp4").touch()
    collection = as_collection(folder)
    message = "2 of 5 train and test videos are missing in .*the first is video2.*--allow-missing 2"
    for allowed in (0, 1):
        with pytest.raises(FileNotFoundError, match=message):
            refuse_missing(collection, ["train", "test"], allowed=allowed)
    with pytest.warns(UserWarning, match="2 of 5 train and test videos are missing and left out"):
        smaller = refuse_missing(collection, ["train", "test"], allowed=2)
    assert smaller.video_ids("train") == ("video1", "video0")
    assert smaller.video_ids("test") == ("video3",)
    with pytest.raises(FileNotFoundError, match="1 of 1 validation videos are missing") as refusal:
        refuse_missing(collection, ["validation"], allowed=5)  # none would be left, so more cannot be allowed
    assert "--allow-missing" not in str(refusal.value)
    with pytest.raises(ValueError, match="-1 missing videos allowed"):
        refuse_missing(collection, ["test"], allowed=-1)


def test_complete_collection_stays_the_same(folder):
    (folder / "videos").mkdir()
    for number in (3, 4):
        (folder / "videos" / f"video{number}.mp4").touch()
    collection = as_collection(folder)
    assert refuse_missing(collection, ["test"]) is collection


def test_unknown_names_are_answered_with_the_known_ones(folder):
    with pytest.raises(ValueError, match="no reader for a collection named 'imagenet': choose one of activitynet,"):
        read_collection("imagenet", folder)
    with pytest.raises((ValueError, TypeError)):  # TypeError where the tests' type check comes first
        as_collection(folder).pairs("val")
