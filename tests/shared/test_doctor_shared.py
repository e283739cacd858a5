"""`diffret doctor` on the real annotation files and the real clips, arranged as a benchmark's folder."""

import json

import pytest

from diffret_core.doctor import examine, is_healthy
from diffret_core.recipes import recipe


@pytest.mark.parametrize(("name", "num_there"), [("msrvtt", 16), ("msvd", 5)])
def test_real_clips_of_a_benchmark_are_found_and_the_others_are_missing(shared_folder, name, num_there):
    videos = shared_folder / "clips" / f"{name}_sample"
    report = examine(recipe(name), annotations=shared_folder / "annotations" / name, videos_folder=videos)
    assert not is_healthy(report)
    assert report.videos.num_needed - len(report.videos.missing) == num_there
    assert len(report.videos.seconds) == num_there
    assert len(report.faults) == 1 and "videos are missing" in report.faults[0]
    for split in report.splits.values():
        assert (split.num_videos, split.num_captions) == (split.expected_videos, split.expected_captions)


def test_every_real_clip_is_opened_or_refused_with_a_reason(shared_folder, tmp_path):
    clips = sorted(path for path in (shared_folder / "clips").glob("*/*") if path.suffix not in {"", ".json", ".md"})
    (tmp_path / "videos").mkdir()
    ids = [f"clip{number}" for number in range(len(clips))]
    for video_id, path in zip(ids, clips, strict=True):
        (tmp_path / "videos" / (video_id + path.suffix)).symlink_to(path)
    for name, some in (("train", ids[:-2]), ("val", ids[-2:-1]), ("test", ids[-1:])):
        (tmp_path / f"{name}_list.txt").write_text("\n".join(some), encoding="utf-8")
    captions = {video_id: ["a clip"] for video_id in ids}
    (tmp_path / "raw-captions.json").write_text(json.dumps(captions), encoding="utf-8")
    report = examine("msvd", annotations=tmp_path)
    assert report.videos.missing == []
    assert len(report.videos.seconds) + len(report.videos.unreadable) == len(clips) == 84
    for reason in report.videos.unreadable.values():
        assert str(tmp_path) in reason and "\n" not in reason
    assert len(report.videos.unreadable) <= 1  # the AV1 file, where no decoder for it is at hand
