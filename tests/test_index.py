"""An index of one's own videos: made, brought up to date, searched; real files, a real small model."""

import os
import tempfile
from pathlib import Path

import pytest
import torch
from own_videos import NAME, tiny_model, write_clip, write_folder

from diffret_core.checkpoints import save_checkpoint
from diffret_core.extraction import extractor_of
from diffret_core.features import VideoFeatures
from diffret_core.first_cut import first_cut
from diffret_core.folder_lock import alone_in
from diffret_core.frames import read_frames, read_segments
from diffret_core.index import (
    ModelName,
    build_index,
    model_name,
    model_of,
    open_index,
    read_description,
    search_index,
)
from diffret_core.index.catalogue import CATALOGUE, read_catalogue
from diffret_core.index.searching import best_segments
from diffret_core.retriever import Retriever
from diffret_core.search import search
from diffret_core.tensor_files import read_rows

PATHS = ["a.mp4", "b/c/d.mkv", "b/e.mp4", "b/long.MOV", "z.avi"]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def videos(tmp_path):
    return write_folder(tmp_path / "videos")


@pytest.fixture
def index_of(model, tmp_path, videos):
    """Index the videos once more; gives the report."""

    def build(**options):
        options = {"num_workers": 2, **options}
        return build_index(videos, tmp_path / "index", options.pop("model", model), NAME, **options)

    return build


def same_index(one, other):
    """Equal lists of files and segments, and features that are equal but for how batches fell."""
    first, second = open_index(one), open_index(other)
    assert [(video.id, video.duration_seconds, video.missing) for video in first.videos] == [
        (video.id, video.duration_seconds, video.missing) for video in second.videos
    ]
    assert first.start_seconds == second.start_seconds
    assert first.features.frame_mask.equal(second.features.frame_mask)
    torch.testing.assert_close(first.features.frames, second.features.frames, rtol=2e-3, atol=2e-3)


# Making it


@pytest.mark.parametrize("num_workers", [0, 3])
def test_index_holds_every_video_and_its_segments(index_of, tmp_path, videos, model, num_workers):
    report = index_of(num_workers=num_workers)
    assert (report.num_videos, report.num_segments, report.num_encoded, report.num_segments_encoded) == (5, 7, 5, 7)
    assert report.refused == [] and 0 <= report.waiting_share <= 1
    index = open_index(tmp_path / "index")
    assert [video.id for video in index.videos] == PATHS
    assert [video.duration_seconds for video in index.videos] == [2, 3, 1, 10, 5]
    assert [video.path for video in index.videos] == [videos / path for path in PATHS]
    assert not any(video.missing for video in index.videos)
    assert index.video_of_segment.tolist() == [0, 1, 2, 3, 3, 3, 4]
    assert index.start_seconds == [0, 0, 0, 0, 3.25, 6.5, 0]


def test_features_are_those_of_the_segments_as_the_model_encodes_them(index_of, tmp_path, videos, model):
    index_of()
    index = open_index(tmp_path / "index")
    expected = []
    for path in PATHS:
        for segment in read_segments(videos / path, max_frames=4, image_size=16):
            expected.append(extractor_of(model).encode([(videos / path, segment.frames)]))
    frames, frame_mask = (torch.cat(part) for part in zip(*expected, strict=True))
    assert index.features.frame_mask.equal(frame_mask)
    torch.testing.assert_close(index.features.frames, frames, rtol=2e-3, atol=2e-3)  # kept in half precision
    whole = read_frames(videos / "a.mp4", max_frames=4, image_size=16).frames
    alone = extractor_of(model).encode([(videos / "a.mp4", whole)]).frames[0]
    torch.testing.assert_close(index.features.frames[0], alone, rtol=2e-3, atol=2e-3)


def test_second_run_reads_no_video(index_of, tmp_path, monkeypatch):
    index_of()
    before = {path.name: path.read_bytes() for path in (tmp_path / "index").iterdir()}

    def refuse(*_):
        raise AssertionError("a video was read")

    monkeypatch.setattr("diffret_core.index.reading.check_video_file", refuse)
    report = index_of()
    assert (report.num_unchanged, report.num_encoded, report.num_recognised, report.refused) == (5, 0, 0, [])
    assert {path.name: path.read_bytes() for path in (tmp_path / "index").iterdir()} == before


def test_renamed_copied_and_touched_files_are_not_encoded_again(index_of, tmp_path, videos, monkeypatch):
    index_of()
    (videos / "b" / "long.MOV").rename(videos / "new name.mp4")
    (videos / "copy.mp4").write_bytes((videos / "a.mp4").read_bytes())
    os.utime(videos / "z.avi", ns=(1, 1))
    monkeypatch.setattr("diffret_core.index.reading.read_segments", lambda *_, **__: pytest.fail("decoded"))
    report = index_of()
    assert (report.num_unchanged, report.num_recognised, report.num_encoded, report.num_missing) == (3, 3, 0, 0)
    index = open_index(tmp_path / "index")
    assert [video.id for video in index.videos] == [
        "a.mp4",
        "b/c/d.mkv",
        "b/e.mp4",
        "copy.mp4",
        "new name.mp4",
        "z.avi",
    ]
    assert not any(video.missing for video in index.videos)
    assert index.features.frames[0].equal(index.features.frames[3])  # a.mp4 and its copy
    assert index_of().num_unchanged == 6


def test_same_content_under_two_names_is_decoded_once(model, tmp_path):
    one = write_clip(tmp_path / "videos" / "a.mp4", seconds=10)
    (tmp_path / "videos" / "b.mp4").write_bytes(one.read_bytes())
    report = build_index(tmp_path / "videos", tmp_path / "index", model, NAME, num_workers=2)
    assert (report.num_encoded, report.num_recognised, report.num_segments_encoded) == (1, 1, 3)
    assert open_index(tmp_path / "index").start_seconds == [0, 3.25, 6.5] * 2


def test_replaced_file_is_encoded_anew_and_only_that(index_of, tmp_path, videos):
    index_of()
    before = open_index(tmp_path / "index").features.frames
    write_clip(videos / "a.mp4", seconds=7, seed=99)
    report = index_of()
    assert (report.num_encoded, report.num_unchanged) == (1, 4)
    after = open_index(tmp_path / "index")
    assert after.start_seconds == [0, 3.5, 0, 0, 0, 3.25, 6.5, 0]
    assert after.features.frames[2:].equal(before[1:])
    assert not after.features.frames[0].equal(before[0])


def test_file_that_changes_while_it_is_read_is_refused_and_read_next_time(index_of, videos, monkeypatch):
    from diffret_core.index import reading

    digest = reading.file_digest

    def growing(path):
        found = digest(path)
        if path.name == "a.mp4":
            with path.open("ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(reading, "file_digest", growing)
    report = index_of()
    assert [(one.path, one.reason[:27]) for one in report.refused] == [("a.mp4", "changed while it was read; ")]
    monkeypatch.undo()
    report = index_of()
    assert report.refused == [] and report.num_encoded == 1


def test_interruption_keeps_what_was_done_also_after_a_line_that_a_kill_left_half_written(index_of, tmp_path):
    index_of()
    (tmp_path / "index" / CATALOGUE).write_text('{"path": "a.mp4", "num_by', encoding="utf-8")

    def interrupt(done):
        if done.num_files == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_of(listen=interrupt)
    assert sorted(read_catalogue(tmp_path / "index")) == PATHS
    report = index_of()
    assert (report.num_unchanged, report.num_segments_encoded) == (5, 0)


def test_no_file_is_called_done_whose_features_could_not_be_written(index_of, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr("diffret_core.feature_shards.save_features", full)
    with pytest.raises(OSError, match="no room"):
        index_of()
    assert read_catalogue(tmp_path / "index") == {}
    monkeypatch.undo()
    assert index_of().num_encoded == 5


# What is gone


def test_gone_files_are_marked_and_come_back(index_of, tmp_path, videos, monkeypatch):
    index_of()
    (videos / "a.mp4").rename(tmp_path / "aside.mp4")
    report = index_of()
    assert (report.num_videos, report.num_missing, report.num_dropped) == (5, 1, 0)
    assert [video.id for video in open_index(tmp_path / "index").videos if video.missing] == ["a.mp4"]
    (tmp_path / "aside.mp4").rename(videos / "a.mp4")
    monkeypatch.setattr("diffret_core.index.reading.read_segments", lambda *_, **__: pytest.fail("decoded"))
    assert index_of().num_missing == 0


def test_pruning_takes_out_what_is_gone_with_its_features(index_of, tmp_path, videos):
    index_of()
    kept = open_index(tmp_path / "index")
    size = sum(path.stat().st_size for path in (tmp_path / "index").glob("*.safetensors"))
    (videos / "b" / "long.MOV").unlink()
    report = index_of(prune=True)
    assert (report.num_videos, report.num_segments, report.num_dropped, report.num_missing) == (4, 4, 1, 0)
    index = open_index(tmp_path / "index")
    assert index.features.frames.equal(kept.features.frames[[0, 1, 2, 6]])
    assert sum(path.stat().st_size for path in (tmp_path / "index").glob("*.safetensors")) < size
    assert index_of(prune=True).num_dropped == 0


@pytest.mark.parametrize("prune", [False, True])
def test_unplugged_disk_does_not_empty_an_index(index_of, tmp_path, videos, prune):
    index_of()
    aside = videos.rename(tmp_path / "unplugged")
    with pytest.raises(FileNotFoundError, match="is its disk there"):
        index_of(prune=prune)
    videos.mkdir()  # the place where it is mounted
    if prune:
        with pytest.raises(ValueError, match="nothing is pruned; is its disk there"):
            index_of(prune=True)
    else:
        assert index_of().num_missing == 5
    assert len(open_index(tmp_path / "index").videos) == 5
    videos.rmdir()
    aside.rename(videos)
    report = index_of(prune=prune)
    assert (report.num_unchanged, report.num_missing, report.num_dropped) == (5, 0, 0)


def test_videos_in_a_folder_that_cannot_be_looked_into_are_neither_there_nor_gone(index_of, tmp_path, monkeypatch):
    index_of()
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = index_of(prune=True)
    assert (report.num_videos, report.num_missing, report.num_dropped) == (5, 0, 0)
    assert report.refused == [("b/", "cannot be looked into (Permission denied)")]
    assert not any(video.missing for video in open_index(tmp_path / "index").videos)


# What is refused


def test_files_that_are_no_videos_are_refused_with_reasons_and_the_rest_is_indexed(index_of, tmp_path, videos):
    whole = (videos / "z.avi").read_bytes()
    (videos / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "letter.mp4").write_text("Dear all,")
    (videos / "letter again.mp4").write_text("Dear all,")
    (videos / "empty.mp4").touch()
    (videos / "<img src=x onerror=alert(1)>.mp4").write_text("Dear all,")
    (videos / "gone.mp4").symlink_to(tmp_path / "nothing")
    os.mkfifo(videos / "pipe.mp4")
    report = index_of()
    reasons = dict(report.refused)
    assert sorted(reasons) == sorted(
        ["cut.mp4", "letter.mp4", "letter again.mp4", "empty.mp4", "<img src=x onerror=alert(1)>.mp4", "gone.mp4"]
        + ["pipe.mp4"]
    )
    assert reasons["cut.mp4"].startswith("is cut off or damaged")
    assert "text that begins 'Dear all,'" in reasons["letter.mp4"]
    assert reasons["empty.mp4"].startswith("is empty")
    assert "no such video file" in reasons["gone.mp4"]
    assert "not a regular file" in reasons["pipe.mp4"]
    assert report.num_videos == 5 and [video.id for video in open_index(tmp_path / "index").videos] == PATHS


def test_refused_files_are_named_again_without_being_read(index_of, videos, monkeypatch):
    (videos / "letter.mp4").write_text("Dear all,")
    first = index_of()
    monkeypatch.setattr("diffret_core.index.reading.check_video_file", lambda _: pytest.fail("read"))
    second = index_of()
    assert second.refused == first.refused and second.num_unchanged == 6


def test_truncated_file_is_indexed_when_it_has_arrived(index_of, videos):
    whole = (videos / "a.mp4").read_bytes()
    (videos / "a.mp4").write_bytes(whole[:-40])
    assert [one.path for one in index_of().refused] == ["a.mp4"]
    (videos / "a.mp4").write_bytes(whole)
    report = index_of()
    assert report.refused == [] and report.num_encoded == 1


def test_video_damaged_in_the_middle_is_refused_whole_under_all_its_names(index_of, tmp_path, videos, monkeypatch):
    from diffret_core.index import reading

    read = reading.read_segments

    def failing(path, **options):
        segments = read(path, **options)
        yield next(segments)
        if path.name.startswith(("long", "copy")):
            raise ValueError(f"{path}: its data are damaged")
        yield from segments

    monkeypatch.setattr(reading, "read_segments", failing)
    (videos / "b" / "copy.mp4").write_bytes((videos / "b" / "long.MOV").read_bytes())
    report = index_of()
    assert report.refused == [("b/copy.mp4", "its data are damaged"), ("b/long.MOV", "its data are damaged")]
    index = open_index(tmp_path / "index")
    assert [video.id for video in index.videos] == ["a.mp4", "b/c/d.mkv", "b/e.mp4", "z.avi"]


def test_file_that_may_not_be_read_is_refused_and_read_when_it_may(model):
    """Not below tmp_path, which only its owner may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        videos, out = Path(folder) / "videos", Path(folder) / "index"
        write_clip(videos / "a.mp4")
        write_clip(videos / "b.mp4", seed=1).chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may read everything
        try:
            report = build_index(videos, out, model, NAME, num_workers=1)
        finally:
            os.seteuid(user)
        (refused,) = report.refused
        assert refused.path == "b.mp4" and "no permission to read" in refused.reason
        assert report.num_videos == 1
        (videos / "b.mp4").chmod(0o644)  # which changes neither size nor date
        report = build_index(videos, out, model, NAME, num_workers=1)
        assert report.refused == [] and report.num_encoded == 1


def test_folder_without_videos_gives_an_empty_index_that_says_so(model, tmp_path):
    (tmp_path / "videos").mkdir()
    assert build_index(tmp_path / "videos", tmp_path / "index", model, NAME).num_videos == 0
    with pytest.raises(ValueError, match="holds no video yet; run: diffret index"):
        open_index(tmp_path / "index")


# Whose it is


def test_index_of_another_model_is_refused_and_stays(index_of, tmp_path):
    index_of()
    before = (tmp_path / "index" / CATALOGUE).read_bytes()
    with pytest.raises(ValueError, match="was made with the model in a tiny model, which is not"):
        index_of(model=tiny_model(seed=1))
    assert (tmp_path / "index" / CATALOGUE).read_bytes() == before


def test_two_runs_into_one_index_at_once_are_refused(index_of, tmp_path):
    index_of()
    with (
        alone_in(tmp_path / "index", "writes to this index"),
        pytest.raises(ValueError, match="another process writes to this index"),
    ):
        index_of()


def test_damaged_features_are_made_anew(index_of, tmp_path, videos, recwarn):
    index_of()
    (shard,) = (tmp_path / "index").glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)
    report = index_of()
    assert report.num_encoded == 5 and len(open_index(tmp_path / "index").videos) == 5
    assert any("checksum" in str(one.message) for one in recwarn)


def test_model_of_an_index_is_found_again_and_another_is_refused(tmp_path, videos, model):
    save_checkpoint(tmp_path / "model", model)
    name = model_name(str(tmp_path / "model"))
    assert name == ModelName("checkpoint", str(tmp_path / "model"))
    build_index(videos, tmp_path / "index", model, name)
    description = read_description(tmp_path / "index")
    found = model_of(description)
    assert isinstance(found, Retriever) and extractor_of(found).key == description.key
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        model_of(description)
    model_of(description, name=model_name(str(tmp_path / "moved")))
    save_checkpoint(tmp_path / "other", tiny_model(seed=1))
    with pytest.raises(ValueError, match="is not what the index was made with"):
        model_of(description, name=model_name(str(tmp_path / "other")))


# Searching it


def test_search_ranks_each_video_by_its_best_segment(index_of, tmp_path, model):
    index_of()
    index = open_index(tmp_path / "index")
    found = search_index(index, model, "a red circle", num_results=5)
    with torch.no_grad():
        similarity = model.similarity(model.encode_texts(["a red circle"]), index.features)[0]
    assert [one.rank for one in found.results] == [1, 2, 3, 4, 5]
    assert sorted(one.video for one in found.results) == PATHS
    for one in found.results:
        segments = (index.video_of_segment == PATHS.index(one.video)).nonzero().flatten()
        best = segments[similarity[segments].argmax()]
        assert one.similarity == pytest.approx(float(similarity[best]), abs=1e-6)
        assert one.start_seconds == index.start_seconds[best]
        assert one.combined_score == pytest.approx(one.similarity + one.generated_probability, abs=1e-6)
    scores = [one.combined_score for one in found.results]
    assert scores == sorted(scores, reverse=True)
    assert sum(one.generated_probability for one in found.results) == pytest.approx(1)
    assert len(found.search.candidates) == 3


def test_search_is_that_of_a_collection_whose_videos_are_the_best_segments(index_of, tmp_path, model):
    index_of()
    index = open_index(tmp_path / "index")
    with torch.no_grad():
        similarity = model.similarity(model.encode_texts(["a star"]), index.features)[0]
    best = best_segments(similarity, index.video_of_segment, 5)
    expected = search(model, VideoFeatures(*(part[best] for part in index.features)), PATHS, "a star", seed=3)
    found = search_index(index, model, "a star", num_results=4, seed=3)
    assert [one.video for one in found.results] == [one.video for one in expected.results[:4]]
    for one, other in zip(found.results, expected.results, strict=False):
        assert one.combined_score == pytest.approx(other.combined_score, abs=1e-6)
    assert found.search.candidates == expected.candidates
    assert found.search.states.allclose(expected.states, atol=1e-5)


def test_large_index_is_searched_alike_but_reads_only_what_the_first_cut_keeps(index_of, tmp_path, model, monkeypatch):
    index_of()
    whole = open_index(tmp_path / "index")
    expected = search_index(whole, model, "a red circle", num_results=5)
    monkeypatch.setattr("diffret_core.index.large.LARGE_FROM", 7)
    assert index_of().num_unchanged == 5
    large = open_index(tmp_path / "index")
    assert large.features is None and large.vectors.shape == (7, 64)
    picked = torch.tensor([5, 0, 6])
    assert large.features_of(picked).frames.equal(whole.features.frames[picked])
    assert large.features_of(picked).frame_mask.equal(whole.features_of(picked).frame_mask)
    found = search_index(large, model, "a red circle", num_results=5)
    assert found.results == expected.results
    monkeypatch.setattr("diffret_core.index.searching.NUM_KEPT", 2)
    read = []
    monkeypatch.setattr(
        "diffret_core.index.large.read_rows", lambda path, rows: read.append(len(rows)) or read_rows(path, rows)
    )
    kept = first_cut(model, model.encode_texts(["a red circle"]), large.vectors, 2)[0]
    found = search_index(large, model, "a red circle", num_results=2)
    assert sum(read) == 2
    assert {one.video for one in found.results} == {PATHS[int(large.video_of_segment[one])] for one in kept}


def test_vectors_of_a_large_index_follow_its_changes(index_of, tmp_path, videos, monkeypatch):
    monkeypatch.setattr("diffret_core.index.large.LARGE_FROM", 7)
    index_of()
    (first,) = (tmp_path / "index").glob("first_cut_*.npy")
    write_clip(videos / "new.mp4", seed=50)
    index_of()
    (second,) = (tmp_path / "index").glob("first_cut_*.npy")
    assert first != second and open_index(tmp_path / "index").vectors.shape == (8, 64)
    for path in videos.glob("*.*"):
        path.unlink()
    index_of(prune=True)
    assert list((tmp_path / "index").glob("first_cut_*.npy")) == []
    assert open_index(tmp_path / "index").features is not None


def test_large_index_passes_over_a_video_whose_features_are_damaged_and_whose_file_is_gone(
    index_of, tmp_path, videos, model, monkeypatch, recwarn
):
    index_of()
    first = set((tmp_path / "index").glob("*.safetensors"))
    new = write_clip(videos / "new.mp4", seed=50)
    index_of()
    (damaged,) = set((tmp_path / "index").glob("*.safetensors")) - first
    damaged.write_bytes(damaged.read_bytes()[:-9])
    new.rename(tmp_path / "aside.mp4")
    monkeypatch.setattr("diffret_core.index.large.LARGE_FROM", 7)
    report = index_of()
    assert (report.num_videos, report.num_segments, report.num_missing) == (5, 7, 0)
    assert [one.path for one in report.refused] == ["new.mp4"] and "features were damaged" in report.refused[0].reason
    index = open_index(tmp_path / "index")
    assert index.vectors.shape == (7, 64) and [video.id for video in index.videos] == PATHS
    assert len(search_index(index, model, "a star").results) == 5
    (tmp_path / "aside.mp4").rename(new)
    report = index_of()
    assert (report.num_videos, report.num_encoded, report.refused) == (6, 1, [])
    assert open_index(tmp_path / "index").vectors.shape == (8, 64)


def test_best_segments_by_hand():
    similarity = torch.tensor([0.1, 0.5, 0.5, 0.2, -0.3, -0.4])
    assert best_segments(similarity, torch.tensor([0, 0, 0, 1, 2, 2]), 3).tolist() == [1, 3, 4]


def test_results_say_which_files_are_not_there_now(index_of, tmp_path, videos, model):
    index_of()
    index = open_index(tmp_path / "index")
    (videos / "z.avi").unlink()
    found = search_index(index, model, "a star", num_results=5)
    assert [one.video for one in found.results if one.missing] == ["z.avi"]


def test_index_is_searched_while_it_is_being_made(index_of, tmp_path, videos):
    index_of()
    lines = (tmp_path / "index" / CATALOGUE).read_bytes().splitlines(keepends=True)
    (tmp_path / "index" / CATALOGUE).write_bytes(b"".join(lines[:2]) + lines[2][:30])
    assert [video.id for video in open_index(tmp_path / "index").videos] == PATHS[:2]


def test_refused_files_are_in_the_catalogue_and_not_in_the_open_index(index_of, tmp_path, videos):
    (videos / "letter.mp4").write_text("Dear all,")
    index_of()
    assert read_catalogue(tmp_path / "index")["letter.mp4"].refused is not None
    assert "letter.mp4" not in [video.id for video in open_index(tmp_path / "index").videos]


def test_search_refuses_what_cannot_be_asked(index_of, tmp_path, model):
    index_of()
    index = open_index(tmp_path / "index")
    with pytest.raises(ValueError, match="text 0 is empty"):
        search_index(index, model, "  ")
    with pytest.raises(ValueError, match="num_results is 0"):
        search_index(index, model, "a star", num_results=0)
