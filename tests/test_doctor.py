import json

import pytest
from benchmark_layouts import LAYOUTS, make_layout
from tiny_collection import tiny_recipe

from diffret_core.cli.main import main
from diffret_core.datasets import Counts, SplitCounts, read_collection
from diffret_core.doctor import Needs, estimates, examine, is_healthy, needs
from diffret_core.doctor.videos import spread
from diffret_core.recipes import RECIPES, recipe

MINI = tiny_recipe(name="mini")
MINIATURE = Counts(SplitCounts(8, 16), SplitCounts(4, 8), SplitCounts(4, 4))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A whole miniature, which the recipe "mini" needs; its model is small."""
    monkeypatch.setitem(RECIPES, "mini", lambda: MINI)
    monkeypatch.setitem(needs._NEEDS, "mini", Needs(expected=MINIATURE, remedy="fetch them"))
    return make_layout("msrvtt", tmp_path / "data")


def path_of(folder, split, place):
    collection = read_collection("msrvtt", folder, hold_out_validation=True)
    return collection.video_path(collection.video_ids(split)[place])


def replace_content(path, content):
    path.unlink()  # a link to a sample video
    path.write_bytes(content)


def test_whole_collection_is_healthy(data):
    report = examine(MINI, annotations=data)
    assert is_healthy(report)
    assert report.faults == []
    assert [(split.num_videos, split.num_captions, split.num_missing) for split in report.splits.values()] == [
        (8, 16, 0),
        (4, 8, 0),
        (4, 4, 0),
    ]
    assert report.videos.num_needed == report.videos.num_opened == len(report.videos.seconds) == 16
    files = (data / "videos").iterdir()
    assert report.videos.num_bytes == sum(path.stat().st_size for path in files)
    assert all(2 <= seconds <= 3 for seconds in report.videos.seconds.values())  # the sample videos' lengths


def test_every_kind_of_bad_video_is_reported(data):
    missing, empty, cut = (path_of(data, "train", place) for place in range(3))
    missing.unlink()
    replace_content(empty, b"")
    replace_content(cut, cut.read_bytes()[:500])
    twice = path_of(data, "validation", 0)
    (data / "videos" / f"{twice.stem}.avi").symlink_to(twice)
    same, other = path_of(data, "test", 0), path_of(data, "test", 1)
    replace_content(other, same.read_bytes())
    report = examine(MINI, annotations=data)
    found = report.videos
    assert not is_healthy(report)
    assert found.missing == [missing.stem]
    assert found.empty == [empty.stem]
    assert list(found.unreadable) == [cut.stem]
    assert list(found.ambiguous) == [twice.stem]
    assert found.duplicates == [[same.stem, other.stem]]
    assert report.splits["train"].num_missing == 1
    assert len(report.faults) == 4
    assert f"1 of 16 videos are missing ({missing.stem}); fetch them" in report.faults[0]
    assert f"1 videos have files of 0 bytes ({empty.stem}); fetch them again" in report.faults[1]
    assert "are both video" in report.faults[2]
    assert "is cut off or damaged" in report.faults[3]
    assert not any("\n" in fault for fault in report.faults)


def test_videos_that_are_there_twice_are_no_fault(data):
    same, other = path_of(data, "test", 0), path_of(data, "train", 1)
    replace_content(other, same.read_bytes())
    report = examine(MINI, annotations=data)
    assert report.videos.duplicates == [[other.stem, same.stem]]
    assert is_healthy(report)


def test_quick_look_opens_a_sample_only(data, monkeypatch):
    monkeypatch.setattr("diffret_core.doctor.videos.QUICK_SAMPLE", 4)
    report = examine(MINI, annotations=data, quick=True)
    assert report.videos.num_opened == len(report.videos.seconds) == 4
    assert report.videos.duplicates is None
    assert is_healthy(report)


def test_spread_takes_values_from_the_whole_range():
    assert spread(list("abcdefgh"), 4) == ["a", "c", "e", "g"]
    assert spread(list("abc"), 4) == ["a", "b", "c"]


def test_videos_that_open_but_cannot_be_decoded_are_found_by_the_estimate(data):
    damaged = path_of(data, "train", 0)
    content = damaged.read_bytes()
    at = content.index(b"mdat") + 4
    replace_content(damaged, content[:at] + bytes(1500) + content[at + 1500 :])
    report = examine(MINI, annotations=data)
    assert damaged.stem in report.videos.seconds
    assert len(report.faults) == 1 and "cannot be decoded" in report.faults[0]
    assert report.estimate.measured_on == 5


def test_estimate_is_for_all_videos(data):
    listened = []
    report = examine(MINI, annotations=data, listen=lambda *what: listened.append(what))
    config = tiny_recipe().model
    features = 16 * config.max_frames * (config.dim * 2 + 1)  # half precision and a mask
    assert features < report.estimate.feature_bytes < features + 16 * 200
    assert report.estimate.decoding_seconds > 0 and report.estimate.encoding_seconds > 0
    assert ("looking at videos", 16, 16) in listened
    assert listened[-1] == ("estimating the extraction of features", 1, 1)


def test_estimated_seconds_are_those_of_the_measured_videos_times_how_many_there_are(data, monkeypatch):
    decode, encode = estimates._decode, estimates._encode
    monkeypatch.setattr(estimates, "_decode", lambda *given: (decode(*given)[0], 1.0, {}))
    monkeypatch.setattr(estimates, "_encode", lambda *given: (encode(*given)[0], 2.0))
    estimate = examine(MINI, annotations=data).estimate
    assert (estimate.decoding_seconds, estimate.encoding_seconds) == (16 / 5, 2 * 16 / 5)


def test_too_little_disk_is_a_fault(data, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert "free there; make room" in examine(MINI, annotations=data).faults[0]


def test_counts_are_reported_though_the_folder_of_videos_is_missing(data, capsys):
    report = examine(MINI, annotations=data, videos_folder=data / "nowhere")
    assert report.splits["test"].num_videos == report.splits["test"].num_missing == 4
    assert report.videos is None
    assert report.faults == [f"{data / 'nowhere'}: no such folder of videos; fetch them"]
    assert main(["doctor", "--recipe", "mini", "--annotations", str(data), "--videos", str(data / "nowhere")]) == 1
    assert "train            8        8       16       16       8" in capsys.readouterr().out


def test_folder_of_other_videos_is_said_to_be_that(data):
    other = data / "other"
    other.mkdir()
    (other / "holiday.mp4").touch()
    report = examine(MINI, annotations=data, videos_folder=other)
    assert len(report.faults) == 1
    assert "has none of the 16 videos, such as video0.mp4; it holds holiday.mp4 and the like" in report.faults[0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_half_copied_annotations_are_a_fault_with_both_numbers(tmp_path, name):
    folder = make_layout(name, tmp_path / name, with_videos=False)
    report = examine(recipe(name), annotations=folder)
    assert report.splits["test"].expected_videos == report_expected(name)
    assert any(f"test has 4 videos, expected {report_expected(name)}" in fault for fault in report.faults)
    assert len(report.uncaptioned) == {"activitynet": 2, "didemo": 1}.get(name, 0)


def report_expected(name):
    return {"msrvtt": 1000, "lsmdc": 1000, "msvd": 670, "activitynet": 4917, "didemo": 1004}[name]


def test_doctor_prints_one_json_document_and_progress_elsewhere(data, capsys):
    assert main(["doctor", "--recipe", "mini", "--annotations", str(data), "--device", "cpu", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["is_healthy"] and report["faults"] == []
    assert report["splits"]["train"] == {
        "num_videos": 8,
        "num_captions": 16,
        "expected_videos": 8,
        "expected_captions": 16,
        "num_missing": 0,
    }
    assert report["videos"]["num_needed"] == 16
    assert report["estimate"]["measured_on"] == 5
    assert "looking at videos" in said.err


def test_doctor_prints_everything_and_exits_with_1_if_something_is_to_mend(data, capsys):
    command = ["doctor", "--recipe", "mini", "--annotations", str(data), "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr().out
    for words in ("16 of 16 there", "0 unreadable", "lengths of 16 videos", "estimated from 5 of them", "all is there"):
        assert words in said
    path_of(data, "test", 0).unlink()
    assert main(command) == 1
    assert "to mend: 1 of 16 videos are missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "imagenet"], "there is no recipe 'imagenet'; choose one of: tiny, msrvtt"),
        (["--recipe", "msvd"], "recipe msvd needs the folder of its annotation files; give --data"),
        (["--recipe", "msvd", "--data", "/nowhere"], "/nowhere: no such folder, expected the MSVD"),
        (["--recipe", "msvd", "--annotations", "DATA"], "it holds files of msrvtt, so choose that instead of msvd"),
        (["--recipe", "msrvtt", "--annotations", "DATA", "--protocol", "8k"], "8k"),
    ],
)
def test_doctor_answers_bad_input_in_one_line(data, capsys, arguments, message):
    arguments = [str(data) if one == "DATA" else one for one in arguments]
    try:
        assert main(["doctor", *arguments]) == 1
    except TypeError as error:  # the tests' type check comes first
        assert message in str(error)
        return
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1 and message in said.err
