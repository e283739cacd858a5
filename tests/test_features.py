"""Saved features come back whole or not at all; the cache encodes what it has not seen and nothing else."""

import os
import warnings

import pytest
import torch

from diffret_core.features import (
    TextFeatures,
    VideoFeatures,
    cached_video_features,
    file_digest,
    load_features,
    save_features,
    video_feature_key,
)

SAMPLING = {"num_frames": 3, "frames_per_second": 1.0}


class RecordingEncoder:
    """A frozen encoder that counts: features are a fixed function of a file's bytes."""

    def __init__(self, dim=4):
        self.calls = []
        self.dim = dim

    def __call__(self, paths):
        self.calls.append([path.name for path in paths])
        seeds = [torch.Generator().manual_seed(int.from_bytes(path.read_bytes()[:4], "big")) for path in paths]
        frames = torch.stack([torch.randn(3, self.dim, generator=seed) for seed in seeds])
        frame_mask = torch.tensor([[True, True, False]]).expand(len(paths), 3)
        return VideoFeatures(frames, frame_mask)

    @property
    def names(self):
        return [name for call in self.calls for name in call]


@pytest.fixture
def videos(tmp_path):
    """Five small files standing for videos: the cache looks at nothing but their bytes."""
    paths = [tmp_path / "videos" / f"video{number}.mp4" for number in range(5)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(number.to_bytes(4, "big") * 9)
    return paths


@pytest.fixture
def ask(tmp_path, videos):
    """Ask the cache for the five videos; any warning is an error unless a test expects it."""

    def _ask(encode, paths=videos, **changes):
        settings = {"folder": tmp_path / "features", "model_fingerprint": "model a", "sampling": SAMPLING, **changes}
        with warnings.catch_warnings():
            if not changes.get("warns"):
                warnings.simplefilter("error")
            settings.pop("warns", None)
            return cached_video_features(paths, encode=encode, **settings)

    return _ask


def features_file(tmp_path):
    (path,) = (tmp_path / "features").iterdir()
    return path


def same(first, second):
    return all(a.equal(b) and a.dtype == b.dtype for a, b in zip(first, second, strict=True))


def kept(features):
    """What the cache makes of features: it keeps them in half precision."""
    return features._replace(frames=features.frames.half().float())


def test_saved_features_come_back_equal_with_ids_and_metadata(tmp_path):
    texts = TextFeatures(torch.randn(2, 5, 4), torch.randn(2, 4), torch.ones(2, 5, dtype=torch.bool))
    save_features(tmp_path / "new" / "texts.safetensors", texts, ids=["sen0", "größer"], metadata={"model": "a"})
    loaded, ids, metadata = load_features(tmp_path / "new" / "texts.safetensors", TextFeatures)
    assert isinstance(loaded, TextFeatures)
    assert same(loaded, texts)
    assert (ids, metadata) == (["sen0", "größer"], {"model": "a"})


def test_save_features_refuses_another_number_of_ids(tmp_path):
    features = VideoFeatures(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="1 ids for 2 rows"):
        save_features(tmp_path / "f.safetensors", features, ids=["video0"], metadata={})


def test_load_features_refuses_features_of_another_kind(tmp_path):
    features = VideoFeatures(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    save_features(tmp_path / "f.safetensors", features, ids=["video0", "video1"], metadata={})
    with pytest.raises(ValueError, match="holds VideoFeatures, expected TextFeatures"):
        load_features(tmp_path / "f.safetensors", TextFeatures)


def test_load_features_notices_a_change_of_any_single_byte(tmp_path):
    path = tmp_path / "f.safetensors"
    features = VideoFeatures(torch.ones(1, 2, 3), torch.tensor([[True, False]]))
    save_features(path, features, ids=["video7"], metadata={"model": "a"})
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ValueError, match="f.safetensors"):
            load_features(path, VideoFeatures)


def test_load_features_notices_every_truncation(tmp_path):
    path = tmp_path / "f.safetensors"
    save_features(path, VideoFeatures(torch.ones(1, 2, 3), torch.tensor([[True, False]])), ids=["a"], metadata={})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="f.safetensors"):
            load_features(path, VideoFeatures)


def test_key_depends_on_model_and_every_sampling_setting_but_not_on_their_order():
    key = video_feature_key("model a", SAMPLING)
    assert key == video_feature_key("model a", dict(reversed(SAMPLING.items())))
    others = [
        video_feature_key("model b", SAMPLING),
        video_feature_key("model a", {**SAMPLING, "num_frames": 4}),
        video_feature_key("model a", {**SAMPLING, "height": 64}),
    ]
    assert len({key, *others}) == 4


def test_cache_encodes_once_and_returns_the_same_features_ever_after(ask, videos):
    first, second = RecordingEncoder(), RecordingEncoder()
    encoded = ask(first)
    assert first.names == [path.name for path in videos]
    loaded = ask(second)
    assert second.calls == []
    assert same(loaded, encoded)
    assert same(encoded, kept(RecordingEncoder()(videos)))


def test_cache_returns_the_same_features_whether_just_encoded_or_kept(ask, videos):
    exact = RecordingEncoder()(videos).frames
    just_encoded, from_file = ask(RecordingEncoder(), videos[:3]), ask(RecordingEncoder())
    assert not just_encoded.frames.equal(exact[:3])  # so that there is something to round
    torch.testing.assert_close(just_encoded.frames, exact[:3], rtol=2**-11, atol=0)
    assert from_file.frames[:3].equal(just_encoded.frames)
    assert from_file.frames.dtype == torch.float32


def test_cache_refuses_features_too_large_for_half_precision(ask):
    def encode(paths):
        frames, frame_mask = RecordingEncoder()(paths)
        return VideoFeatures(frames * 1e6, frame_mask)

    with pytest.raises(ValueError, match="not finite"):
        ask(encode)


def test_cache_keeps_what_the_encoder_gave_for_padded_slots(ask, videos):
    ask(RecordingEncoder())
    features = ask(RecordingEncoder())
    assert not features.frame_mask[:, 2].any()
    assert features.frames[:, 2].equal(kept(RecordingEncoder()(videos)).frames[:, 2])


def test_cache_gives_rows_in_the_order_asked_for_and_keeps_those_not_asked_for(ask, videos):
    everything = ask(RecordingEncoder())
    encoder = RecordingEncoder()
    some = ask(encoder, [videos[3], videos[1], videos[3]])
    assert some.frames.equal(everything.frames[[3, 1, 3]])
    ask(encoder)
    assert encoder.calls == []


def test_cache_serves_several_splits_without_encoding_any_twice(ask, videos):
    encoder = RecordingEncoder()
    for split in (videos[:2], videos[2:], videos[:2], videos):
        ask(encoder, split)
    assert sorted(encoder.names) == [path.name for path in videos]


def test_cache_encodes_a_changed_file_and_no_other(ask, videos):
    before = ask(RecordingEncoder())
    changed_at = os.stat(videos[2])
    videos[2].write_bytes(b"different" * 4)  # same length; and the same time below: only the content tells
    os.utime(videos[2], ns=(changed_at.st_atime_ns, changed_at.st_mtime_ns))
    encoder = RecordingEncoder()
    after = ask(encoder)
    assert encoder.names == ["video2.mp4"]
    assert same(after, kept(RecordingEncoder()(videos)))
    assert not after.frames[2].equal(before.frames[2])


def test_cache_knows_a_renamed_file_and_encodes_equal_files_once(ask, videos):
    ask(RecordingEncoder(), videos[:2])
    renamed = videos[0].rename(videos[0].with_name("renamed.avi"))
    videos[4].write_bytes(videos[3].read_bytes())
    encoder = RecordingEncoder()
    features = ask(encoder, [renamed, *videos[1:]])
    assert len(encoder.names) == 2
    assert features.frames[3].equal(features.frames[4])


@pytest.mark.parametrize("change", [{"model_fingerprint": "model b"}, {"sampling": {**SAMPLING, "num_frames": 4}}])
def test_cache_encodes_anew_for_another_model_or_sampling_and_forgets_neither(ask, change):
    ask(RecordingEncoder())
    encoder = RecordingEncoder()
    ask(encoder, **change)
    assert len(encoder.names) == 5
    ask(encoder)
    ask(encoder, **change)
    assert len(encoder.names) == 5


def test_cache_refuses_a_file_that_was_renamed_to_another_models(ask, tmp_path):
    ask(RecordingEncoder())
    stored = features_file(tmp_path)
    stored.rename(stored.with_name(f"video_features_{video_feature_key('model b', SAMPLING)[:16]}.safetensors"))
    encoder = RecordingEncoder()
    with pytest.warns(UserWarning, match="belongs to another model or sampling"):
        ask(encoder, model_fingerprint="model b", warns=True)
    assert len(encoder.names) == 5


def test_cache_encodes_in_batches_and_reports_progress(ask):
    encoder, progress = RecordingEncoder(), []
    ask(encoder, batch_size=2, progress=lambda num_done, num_missing: progress.append((num_done, num_missing)))
    assert [len(call) for call in encoder.calls] == [2, 2, 1]
    assert progress == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.99])
def test_cache_rebuilds_a_truncated_file(ask, tmp_path, part):
    expected = ask(RecordingEncoder())
    stored = features_file(tmp_path)
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(part * len(whole))])
    encoder = RecordingEncoder()
    with pytest.warns(UserWarning, match="computed again") as caught:
        rebuilt = ask(encoder, warns=True)
    assert len(encoder.names) == 5
    assert len(caught) == 1
    assert str(stored) in str(caught[0].message)
    assert same(rebuilt, expected)
    ask(encoder)
    assert len(encoder.names) == 5


def test_cache_rebuilds_a_file_with_a_flipped_bit_among_the_features(ask, tmp_path):
    expected = ask(RecordingEncoder())
    stored = features_file(tmp_path)
    whole = bytearray(stored.read_bytes())
    whole[-20] ^= 4
    stored.write_bytes(whole)
    with pytest.warns(UserWarning, match="computed again"):
        assert same(ask(RecordingEncoder(), warns=True), expected)
    assert same(ask(RecordingEncoder()), expected)


def stopped_by(error):
    """Stand in for os.replace and stop where the new file is complete but not yet in place."""

    def stop(source, destination):
        raise error("stopped")

    return stop


def test_interrupted_write_leaves_the_old_file_whole_and_nothing_beside_it(ask, videos, tmp_path, monkeypatch):
    expected = ask(RecordingEncoder(), videos[:3])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", stopped_by(KeyboardInterrupt))
        ask(RecordingEncoder())
    features_file(tmp_path)  # one file: no temporary file is left
    encoder = RecordingEncoder()
    assert same(ask(encoder, videos[:3]), expected)
    assert encoder.calls == []


def test_features_are_returned_when_writing_fails_and_the_old_file_stays(ask, videos, tmp_path, monkeypatch):
    ask(RecordingEncoder(), videos[:3])
    with monkeypatch.context() as patched, pytest.warns(UserWarning, match="could not be saved in .*stopped"):
        patched.setattr(os, "replace", stopped_by(OSError))
        features = ask(RecordingEncoder(), warns=True)
    assert same(features, kept(RecordingEncoder()(videos)))
    encoder = RecordingEncoder()
    ask(encoder)
    assert encoder.names == ["video3.mp4", "video4.mp4"]


def test_features_are_returned_with_one_warning_when_they_cannot_be_saved(ask, videos, tmp_path):
    (tmp_path / "features").write_bytes(b"a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be saved in .*features") as caught:
        features = ask(RecordingEncoder(), warns=True)
    assert len(caught) == 1
    assert same(features, kept(RecordingEncoder()(videos)))


def test_features_encoded_before_a_bad_video_are_kept(ask, videos):
    class StopsAtLast(RecordingEncoder):
        def __call__(self, paths):
            if videos[4] in paths:
                raise ValueError("video4.mp4: cannot be decoded")
            return super().__call__(paths)

    with pytest.raises(ValueError, match="cannot be decoded"):
        ask(StopsAtLast(), batch_size=2)
    encoder = RecordingEncoder()
    ask(encoder)
    assert encoder.names == ["video4.mp4"]


def test_cache_refuses_a_missing_file_before_encoding_any(ask, videos):
    encoder = RecordingEncoder()
    with pytest.raises(FileNotFoundError, match="nowhere.mp4: there is no such video file"):
        ask(encoder, [*videos, videos[0].with_name("nowhere.mp4")])
    assert encoder.calls == []


def test_cache_refuses_no_paths_and_no_batch(ask):
    with pytest.raises(ValueError, match="no video files"):
        ask(RecordingEncoder(), [])
    with pytest.raises(ValueError, match="batch_size is 0"):
        ask(RecordingEncoder(), batch_size=0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frames, mask: (frames * torch.nan, mask), "video0.mp4: .*not finite"),
        (lambda frames, mask: (frames, mask & False), "video0.mp4: no real frame"),
        (lambda frames, mask: (frames[1:], mask[1:]), "for 5 videos"),
        (lambda frames, mask: (frames, mask[:, 1:]), "for 5 videos"),
    ],
)
def test_cache_refuses_and_does_not_keep_what_an_encoder_should_not_return(ask, tmp_path, spoil, message):
    with pytest.raises(ValueError, match=message):
        ask(lambda paths: spoil(*RecordingEncoder()(paths)))
    assert not (tmp_path / "features").exists()


def test_cache_refuses_rows_of_another_shape_and_names_the_file(ask, videos):
    expected = ask(RecordingEncoder(), videos[:2])
    with pytest.raises(ValueError, match="video_features_.*give each encoder its own fingerprint"):
        ask(RecordingEncoder(dim=6))
    assert same(ask(RecordingEncoder(), videos[:2]), expected)


def test_file_digest_is_the_sha256_of_the_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
