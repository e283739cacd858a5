"""The folder of videos that notebook 11 makes, indexed as a reader's own."""

import pytest
from own_videos import NAME, tiny_model
from tiny_demo import make_samples

from diffret_core.course import own_folder
from diffret_core.course.own_folder import CUT, LONG, TEXT, make_own_folder, report_in_words
from diffret_core.frames import probe_video
from diffret_core.index import build_index, open_index


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A model that looks four times a second, so that seconds and frames differ."""
    made = make_samples(tmp_path_factory.mktemp("samples"))
    return made._replace(model=tiny_model(frames_per_second=4.0))


@pytest.fixture
def own(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(own_folder, "NUM_VIDEOS", 2)
    monkeypatch.setattr(own_folder, "NUM_JOINED", 2)
    return make_own_folder(tmp_path / "videos", samples)


def test_folder_holds_what_it_says(own, samples):
    files = sorted(str(path.relative_to(own.path)) for path in own.path.rglob("*") if path.is_file())
    short = [f"short/{video}.mp4" for video in samples.video_ids[:2]]
    assert files == sorted([LONG, CUT, TEXT, *short])
    assert own.joined == samples.video_ids[2:4]


def test_scenes_of_the_long_video_begin_where_it_says(own, samples):
    rate = samples.model.config.frames_per_second
    seconds = [probe_video(samples.video_path(video)).duration_seconds for video in own.joined]
    assert own.starts == [0.0, pytest.approx(seconds[0], abs=1 / rate)]
    assert probe_video(own.path / LONG).duration_seconds == pytest.approx(sum(seconds), abs=2 / rate)


def test_report_counts_and_names_every_refusal_but_no_time(own, samples, tmp_path):
    first, again = (
        report_in_words(build_index(own.path, tmp_path / "index", samples.model, NAME, num_workers=1)) for _ in "12"
    )
    assert first.startswith("3 videos in ")
    assert "3 encoded, 0 known by their content, 0 unchanged, 0 dropped" in first
    assert f"refused: {CUT}: is cut off" in first
    assert f"refused: {TEXT}: is no video" in first
    assert "0 encoded, 0 known by their content, 5 unchanged" in again
    assert str(tmp_path) not in first
    (own.path / LONG).unlink()
    gone = build_index(own.path, tmp_path / "index", samples.model, NAME, num_workers=1)
    assert ", 1 of them missing\n" in report_in_words(gone)
    assert len(open_index(tmp_path / "index").videos) == 3
