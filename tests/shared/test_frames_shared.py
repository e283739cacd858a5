import json

import av
import numpy as np
import pytest
import torch
from PIL import Image

from diffret_core.frames import normalise_frames, read_frames, resize_and_crop

REFUSED = {"av1_video.mkv": "no decoder for its video codec"}
# On its own thread and at 3 frames a clip, reading them all is a matter of half a minute.


def test_preprocessing_of_a_real_picture_equals_clip(shared_folder):
    values = shared_folder / "real_values"
    frames = resize_and_crop(Image.open(values / "franz-kafka.jpg"), 224)[None]
    expected = torch.from_numpy(np.load(values / "expected_preprocessed_image.npy"))
    difference = (normalise_frames(frames) - expected).abs().max().item()
    assert difference <= 1e-6


def test_every_clip_is_read_or_refused_with_a_reason(shared_folder, capfd):
    clips = shared_folder / "clips"
    listed = json.loads((clips / "clips.json").read_text(encoding="utf-8"))
    paths = [clips / clip["source"] / clip["file"] for clip in listed]
    assert len(paths) == 84
    for path in paths:
        if path.name in REFUSED:
            with pytest.raises(ValueError, match=REFUSED[path.name]) as refusal:
                read_frames(path, max_frames=3, image_size=32)
            assert str(path) in str(refusal.value)
            continue
        video = read_frames(path, max_frames=3, image_size=32)
        assert 1 <= len(video.frames) <= 3
        assert video.frames.float().std() > 1, path  # a picture, not one colour
        assert video.seconds[-1] < video.duration_seconds < 60
    assert capfd.readouterr().err == ""


def test_real_videos_without_time_stamps_equal_an_independent_decoder(shared_folder):
    """decord's own indexing returns other frames for these five."""
    paths = sorted((shared_folder / "clips" / "msvd_sample").glob("*.avi"))
    assert len(paths) == 5
    for path in paths:
        video = read_frames(path, max_frames=4, image_size=64)
        with av.open(str(path)) as container:
            rate = float(container.streams.video[0].average_rate)
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for seconds, frame in zip(video.seconds, video.frames, strict=True):
            expected = resize_and_crop(Image.fromarray(frames[round(seconds * rate)]), 64)
            assert torch.equal(frame, expected), (path, seconds)
