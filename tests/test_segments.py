"""Long videos in parts: held equal to `read_frames`, and to frames picked from a whole sequential decode."""

import av
import pytest
import torch
from own_videos import RATE, write_clip
from PIL import Image

from diffret_core.frames import read_frames, read_segments, resize_and_crop, sample_frame_indices
from diffret_core.frames.segments import segment_starts

SAMPLING = {"max_frames": 4, "frames_per_second": 1}  # segments of 4 seconds


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (0.25, [0]),
        (4, [0]),
        (6, [0]),  # up to one and a half segments
        (6.25, [0, 12]),  # 25 frames: 12 and 13
        (8, [0, 16]),
        (8.25, [0, 11, 22]),
        (10, [0, 13, 26]),
    ],
)
def test_segments_are_the_fewest_equal_parts_that_are_looked_at_whole(seconds, starts):
    assert segment_starts(round(seconds * RATE), RATE, **SAMPLING) == starts


def test_slow_pictures_are_not_cut_into_more_segments_than_there_are_pictures():
    assert segment_starts(3, 0.01, **SAMPLING) == [0, 1, 2]  # five minutes in three pictures


@pytest.mark.parametrize("num_frames", [1, 5, 24, 25, 60, 1000])
def test_segments_are_never_longer_than_what_is_looked_at(num_frames):
    ends = [*segment_starts(num_frames, RATE, **SAMPLING)[1:], num_frames]
    lengths = [end - start for start, end in zip(segment_starts(num_frames, RATE, **SAMPLING), ends, strict=True)]
    assert max(lengths) <= (24 if len(lengths) == 1 else 16) and max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("seconds", [0.25, 3, 6])
def test_video_that_stays_whole_is_read_as_in_the_collections(tmp_path, seconds):
    path = write_clip(tmp_path / "a.mp4", seconds=seconds)
    (segment,) = read_segments(path, **SAMPLING, image_size=16)
    whole = read_frames(path, **SAMPLING, image_size=16)
    assert segment.frames.equal(whole.frames) and segment.seconds == whole.seconds
    assert (segment.number, segment.num_segments, segment.start_seconds) == (0, 1, 0.0)
    assert segment.duration_seconds == whole.duration_seconds == seconds


def test_segments_of_a_long_video_are_frames_of_one_whole_decode(tmp_path):
    path = write_clip(tmp_path / "a.mp4", seconds=10)
    with av.open(str(path)) as container:
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    found = list(read_segments(path, **SAMPLING, image_size=16))
    assert [(one.number, one.num_segments, one.start_seconds) for one in found] == [
        (0, 3, 0),
        (1, 3, 3.25),
        (2, 3, 6.5),
    ]
    for segment, start, length in zip(found, (0, 13, 26), (13, 13, 14), strict=True):
        indices = [start + index for index in sample_frame_indices(length, RATE, **SAMPLING)]
        expected = torch.stack([resize_and_crop(pictures[index], 16) for index in indices])
        assert (segment.frames.int() - expected.int()).abs().max() <= 2  # two builds of FFmpeg round colours alike
        assert segment.seconds == [index / RATE for index in indices]
        assert segment.duration_seconds == 10


def test_gif_is_cut_too(tmp_path):
    colours = [(25 * number, 0, 0) for number in range(10)]
    first, *others = [Image.new("RGB", (16, 16), colour) for colour in colours]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=1000)
    found = list(read_segments(tmp_path / "a.gif", **SAMPLING, image_size=4))
    assert [one.start_seconds for one in found] == [0, 3, 6]
    assert [one.frames[:, 0, 0, 0].tolist() for one in found] == [[0, 25, 50], [75, 100, 125], [150, 175, 200, 225]]


def test_stderr_is_only_hidden_while_a_segment_is_decoded(tmp_path, capfd):
    import os

    segments = read_segments(write_clip(tmp_path / "a.mp4", seconds=10), **SAMPLING, image_size=16)
    next(segments)
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_file_that_is_no_video_is_refused_with_its_name(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"a\.mp4: is no video that can be read but text"):
        next(read_segments(tmp_path / "a.mp4", **SAMPLING))
    with pytest.raises(FileNotFoundError, match=r"b\.mp4"):
        next(read_segments(tmp_path / "b.mp4", **SAMPLING))
