"""Indexing while a disk fails, a file changes or a copy cannot be read: no wrong feature is kept, no video refused."""

import os
import threading

import pytest
from own_videos import NAME, tiny_model, write_clip
from test_index import same_index

from diffret_core.index import build_index, open_index, reading


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def videos(tmp_path):
    """A video of three segments and its copy."""
    content = write_clip(tmp_path / "videos" / "a.mp4", seconds=10).read_bytes()
    (tmp_path / "videos" / "b.mp4").write_bytes(content)
    return tmp_path / "videos"


@pytest.fixture
def index_of(model, tmp_path, videos):
    """Index the videos once more; gives the report."""
    return lambda num_workers=1: build_index(videos, tmp_path / "index", model, NAME, num_workers=num_workers)


def read_with(monkeypatch, *, before_second):
    """Let something happen before the second segment of a.mp4 is decoded."""
    read = reading.read_segments

    def reading_on(path, **options):
        segments = read(path, **options)
        yield next(segments)
        if path.name == "a.mp4":
            before_second(path)
        yield from segments

    monkeypatch.setattr(reading, "read_segments", reading_on)


def fail(path):
    raise OSError(5, "Input/output error")


# A copy of what could not be read


@pytest.mark.parametrize("num_workers", [0, 1])
def test_copy_of_a_video_whose_disk_fails_is_read_itself(index_of, tmp_path, monkeypatch, num_workers):
    read_with(monkeypatch, before_second=fail)
    report = index_of(num_workers)
    assert report.refused == [("a.mp4", "cannot be read (Input/output error)")]
    assert (report.num_videos, report.num_encoded) == (1, 1)
    assert [video.id for video in open_index(tmp_path / "index").videos] == ["b.mp4"]
    monkeypatch.undo()
    report = index_of()
    assert report.refused == [] and (report.num_videos, report.num_recognised) == (2, 1)


@pytest.mark.parametrize("num_copies", [1, 3])
def test_copies_that_had_ended_before_the_disk_failed_are_read_themselves(
    index_of, tmp_path, videos, monkeypatch, num_copies
):
    for number in range(1, num_copies):
        (videos / f"b{number}.mp4").write_bytes((videos / "b.mp4").read_bytes())
    began, passed = threading.Event(), threading.Semaphore(0)
    claim, digest_of = reading.FileReader._claim, reading.file_digest

    def claiming(self, digest):
        is_new = claim(self, digest)
        began.set() if is_new else passed.release()
        return is_new

    def waiting(path):
        assert path.name == "a.mp4" or began.wait(timeout=30)
        return digest_of(path)

    def fail_later(path):
        for _ in range(num_copies):
            assert passed.acquire(timeout=30)
        fail(path)

    monkeypatch.setattr(reading.FileReader, "_claim", claiming)
    monkeypatch.setattr(reading, "file_digest", waiting)
    read_with(monkeypatch, before_second=fail_later)
    report = index_of(2)
    assert [one.path for one in report.refused] == ["a.mp4"] and report.num_videos == num_copies
    assert len(open_index(tmp_path / "index").videos) == num_copies


def test_copy_of_a_video_that_changes_while_it_is_read_is_indexed(index_of, tmp_path, videos, monkeypatch):
    whole = (videos / "a.mp4").read_bytes()
    read_with(monkeypatch, before_second=lambda path: path.write_bytes(whole[:-40]))
    (refused,) = index_of().refused
    assert refused.path == "a.mp4" and refused.reason.startswith("changed while it was read")
    assert [video.id for video in open_index(tmp_path / "index").videos] == ["b.mp4"]


def test_video_that_is_gone_or_changed_is_not_called_damaged_by_its_decoder(index_of, videos, monkeypatch):
    def unplug(path):
        path.rename(path.with_suffix(".aside"))
        raise ValueError(f"{path}: cannot be decoded")

    (videos / "b.mp4").unlink()
    read_with(monkeypatch, before_second=unplug)
    (refused,) = index_of().refused
    assert "no such video file" in refused.reason
    monkeypatch.undo()
    (videos / "a.aside").rename(videos / "a.mp4")  # with size and date as they were
    report = index_of()
    assert report.refused == [] and report.num_encoded == 1


# Features of another content


def test_features_of_a_file_that_changed_are_not_taken_for_those_of_its_former_content(
    index_of, model, tmp_path, videos, monkeypatch
):
    (videos / "b.mp4").unlink()
    whole = (videos / "a.mp4").read_bytes()
    other = write_clip(tmp_path / "other.mp4", seconds=10, seed=1)
    read = reading.read_segments

    def replaced(path, **options):
        yield next(read(path, **options))
        path.write_bytes(other.read_bytes())
        later = read(path, **options)
        next(later)
        yield from later

    monkeypatch.setattr(reading, "read_segments", replaced)
    assert index_of().num_videos == 0
    monkeypatch.undo()
    (videos / "a.mp4").write_bytes(whole)
    assert index_of().num_segments_encoded == 2  # the first had been read before the change
    build_index(videos, tmp_path / "undisturbed", model, NAME)
    same_index(tmp_path / "index", tmp_path / "undisturbed")


# Names and damage


def test_video_whose_name_is_no_text_is_refused_with_advice_and_indexed_when_renamed(index_of, videos):
    (videos / "b.mp4").unlink()
    odd = (videos / "a.mp4").rename(videos / os.fsdecode(b"\xff.mp4"))
    assert [one.reason for one in index_of().refused] == [
        "its name or folder is no UTF-8, and decord cannot open it; rename it"
    ]
    odd.rename(videos / "a.mp4")
    report = index_of()
    assert report.refused == [] and report.num_encoded == 1


def test_index_whose_features_cannot_be_read_says_how_they_are_made_anew(index_of, tmp_path, videos):
    index_of()
    (shard,) = (tmp_path / "index").glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(ValueError, match=f"damaged; make them anew: diffret index {videos} --out {tmp_path}"):
        open_index(tmp_path / "index")
    with pytest.warns(UserWarning, match="features are computed again"):
        index_of()
    assert len(open_index(tmp_path / "index").videos) == 2
