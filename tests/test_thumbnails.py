"""Pictures of parts of long videos: only what is shown is decoded, and nothing twice until the file changes."""

import base64
import io
import os

import decord
import pytest
import torch
from own_videos import RATE, write_clip
from PIL import Image

from diffret_core.course import thumbnails
from diffret_core.course.thumbnails import Part, moving_picture, still
from diffret_core.frames import read_frames, read_segments, sample_frame_indices, sample_part_indices

SECONDS = 12


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Twelve seconds whose colours change all the time: for a model of four frames, three segments."""
    return write_clip(tmp_path_factory.mktemp("film") / "film.mp4", seconds=SECONDS)


@pytest.fixture
def decoded(monkeypatch):
    """One entry for each frame that was decoded; nothing is remembered from before."""
    frames, plain = [], decord.VideoReader.next
    monkeypatch.setattr(decord.VideoReader, "next", lambda reader: frames.append(None) or plain(reader))
    thumbnails._moving_picture.cache_clear()
    thumbnails._still.cache_clear()
    return frames


def pixels(uri, number):
    """A frame of a picture, as it is seen."""
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    picture.seek(number)
    shown = picture.convert("RGB")
    return (
        torch.tensor(list(shown.tobytes()), dtype=torch.float32).reshape(shown.height, shown.width, 3).permute(2, 0, 1)
    )


def apart(one, other):
    return float((one - other.float()).abs().mean())


@pytest.mark.parametrize(("num_frames", "rate"), [(1, 25.0), (48, 4.0), (1000, 29.97)])
def test_whole_video_is_the_part_from_its_first_frame_to_its_last(num_frames, rate):
    sampling = {"max_frames": 12, "frames_per_second": 2}
    whole = sample_frame_indices(num_frames, rate, **sampling)
    assert sample_part_indices(num_frames, rate, **sampling) == whole
    assert sample_part_indices(num_frames, rate, end_seconds=2 * num_frames / rate, **sampling) == whole
    assert sample_part_indices(num_frames, rate, start_seconds=1e6, **sampling) == [num_frames - 1]


def test_part_has_the_frames_of_its_segment(film):
    segments = list(read_segments(film, max_frames=4, image_size=32))
    assert len(segments) == 3
    ends = [one.start_seconds for one in segments[1:]] + [None]
    for segment, end in zip(segments, ends, strict=True):
        chosen = sample_part_indices(
            SECONDS * RATE, RATE, start_seconds=segment.start_seconds, end_seconds=end, max_frames=4
        )
        assert [index / RATE for index in chosen] == segment.seconds


@pytest.mark.parametrize("part", [Part(), Part(4.0, 8.0), Part(8.0)])
def test_moving_picture_is_of_its_part_and_nothing_behind_it_is_decoded(film, decoded, part):
    picture = moving_picture(film, part)
    assert len(decoded) <= (part.end_seconds or SECONDS) * RATE
    frames = read_frames(film, max_frames=1000, frames_per_second=RATE, image_size=thumbnails.SIDE).frames
    distances = [apart(pixels(picture, 0), frame) for frame in frames]
    assert distances.index(min(distances)) == part.start_seconds * RATE


@pytest.mark.parametrize(("part", "middle"), [(Part(), 6.0), (Part(4.0, 8.0), 6.0), (Part(0.0, 4.0), 2.0)])
def test_still_is_the_middle_of_its_part_and_ends_the_decoding(film, decoded, part, middle):
    picture = still(film, side=36, part=part)
    place = len(decoded) - 1
    assert abs(place - middle * RATE) <= RATE / 2
    frames = read_frames(film, max_frames=1000, frames_per_second=RATE, image_size=36).frames
    distances = [apart(pixels(picture, 0), frame) for frame in frames]
    assert distances.index(min(distances)) == place


@pytest.mark.parametrize("make", [moving_picture, lambda path: still(path, side=36)], ids=["moving", "still"])
def test_picture_is_made_again_only_if_the_file_has_changed(tmp_path, decoded, make):
    path = write_clip(tmp_path / "clip.mp4")
    first, number = make(path), len(decoded)
    assert make(path) == first
    assert len(decoded) == number
    write_clip(path, seed=5)
    os.utime(path, ns=(1, 1))
    assert make(path) != first
    path.unlink()
    with pytest.raises(FileNotFoundError):
        make(path)


@pytest.mark.parametrize("make", [moving_picture, lambda path: still(path, side=36)], ids=["moving", "still"])
def test_broken_film_is_refused_each_time_but_read_once(tmp_path, monkeypatch, make):
    asked, plain = [], thumbnails.read_chosen_frames
    monkeypatch.setattr(
        thumbnails, "read_chosen_frames", lambda *given, **options: asked.append(given) or plain(*given, **options)
    )
    path = tmp_path / "list.mp4"
    path.write_text("milk, bread\n")
    for _ in range(3):
        with pytest.raises(ValueError, match=r"list\.mp4"):
            make(path)
    assert len(asked) == 1
    write_clip(path)
    assert make(path).startswith("data:image/webp")
