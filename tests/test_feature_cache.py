"""The cache encodes what it has not seen and nothing else, and keeps what is encoded whatever ends the program."""

import os
import shutil
import time
import warnings
from types import SimpleNamespace

import pytest
import torch
from byte_encoder import SAMPLING, RecordingEncoder, extractor, write_files

from diffret_core.feature_cache import Extraction, How, _together, cached_video_features, fill_cache
from diffret_core.feature_shards import Shards
from diffret_core.features import VideoFeatures, file_digest, save_features, video_feature_key


@pytest.fixture
def videos(tmp_path):
    return write_files(tmp_path / "videos", 5)


@pytest.fixture
def ask(tmp_path, videos):
    """Ask the cache for the five videos; any warning is an error unless a test expects it."""

    def _ask(encode, paths=videos, *, warns=False, model_fingerprint="model a", sampling=SAMPLING, **how):
        one = extractor(encode, model_fingerprint=model_fingerprint, sampling=sampling)
        with warnings.catch_warnings():
            if not warns:
                warnings.simplefilter("error")
            return cached_video_features(paths, one, folder=tmp_path / "features", how=How(**how))

    return _ask


def features_file(tmp_path):
    (path,) = (tmp_path / "features").iterdir()
    return path


def same(first, second):
    return all(a.equal(b) and a.dtype == b.dtype for a, b in zip(first, second, strict=True))


def kept(features):
    """What the cache makes of features: it keeps them in half precision."""
    return features._replace(frames=features.frames.half().float())


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
    assert encoder.names == ["video02.mp4"]
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
    ask(encoder, batch_size=2, listen=lambda done: progress.append((done.num_encoded, done.num_to_encode)))
    assert [len(call) for call in encoder.calls] == [2, 2, 1]
    assert progress == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("num_workers", [0, 3])
def test_cache_says_how_many_files_it_has_read_also_when_nothing_is_left_to_encode(ask, num_workers):
    for _ in range(2):
        found = []
        ask(RecordingEncoder(), num_workers=num_workers, found=lambda *so_far, found=found: found.append(so_far))
        assert found == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


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
    assert encoder.names == ["video03.mp4", "video04.mp4"]


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
                raise ValueError("video04.mp4: cannot be decoded")
            return super().__call__(paths)

    with pytest.raises(ValueError, match="cannot be decoded"):
        ask(StopsAtLast(), batch_size=2)
    encoder = RecordingEncoder()
    ask(encoder)
    assert encoder.names == ["video04.mp4"]


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
        (lambda frames, mask: (frames * torch.nan, mask), "video00.mp4: .*not finite"),
        (lambda frames, mask: (frames, mask & False), "video00.mp4: no real frame"),
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


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_features_are_written_in_several_files_as_it_goes(ask, videos, tmp_path):
    there = []
    features = ask(
        RecordingEncoder(),
        batch_size=1,
        videos_per_shard=2,
        listen=lambda done: there.append(len(names_of(tmp_path / "features")) if done.num_encoded > 1 else 0),
    )
    assert there == [0, 1, 1, 2, 2]
    assert len(names_of(tmp_path / "features")) == 3
    encoder = RecordingEncoder()
    assert same(ask(encoder), features)
    assert encoder.calls == []


def test_files_of_the_same_videos_have_the_same_names_and_bytes(ask, tmp_path):
    kept_bytes = []
    for folder in ("first", "second"):
        one = extractor(RecordingEncoder())
        cached_video_features(sorted((tmp_path / "videos").iterdir()), one, folder=tmp_path / folder)
        kept_bytes.append([(path.name, path.read_bytes()) for path in sorted((tmp_path / folder).iterdir())])
    assert kept_bytes[0] == kept_bytes[1]


def test_file_from_before_there_were_several_is_read_and_left_alone(ask, videos, tmp_path):
    key = video_feature_key("model a", SAMPLING)
    old = tmp_path / "features" / f"video_features_{key[:16]}.safetensors"
    frames, frame_mask = RecordingEncoder()(videos[:3])
    digests = [file_digest(path) for path in videos[:3]]
    save_features(old, VideoFeatures(frames.half(), frame_mask), ids=digests, metadata={"key": key})
    content, encoder = old.read_bytes(), RecordingEncoder()
    assert same(ask(encoder), kept(RecordingEncoder()(videos)))
    assert encoder.names == ["video03.mp4", "video04.mp4"]
    assert old.read_bytes() == content and len(names_of(tmp_path / "features")) == 2


def test_only_the_rows_of_a_damaged_file_are_encoded_anew(ask, videos, tmp_path):
    ask(RecordingEncoder(), videos[:2])
    (damaged,) = (tmp_path / "features").iterdir()
    expected = ask(RecordingEncoder(), batch_size=2, videos_per_shard=2)
    whole = bytearray(damaged.read_bytes())
    whole[-20] ^= 4
    damaged.write_bytes(whole)
    encoder = RecordingEncoder()
    with pytest.warns(UserWarning, match="computed again") as caught:
        assert same(ask(encoder, warns=True, batch_size=1, videos_per_shard=1), expected)
    assert len(caught) == 1 and str(damaged) in str(caught[0].message)
    assert encoder.names == ["video00.mp4", "video01.mp4"]
    assert same(ask(encoder), expected)  # without a warning: the damaged file is gone
    assert len(encoder.names) == 2


def test_file_that_may_not_be_read_is_not_deleted(ask, videos, tmp_path, monkeypatch):
    ask(RecordingEncoder())
    before = names_of(tmp_path / "features")

    def refuse(path, kind):
        raise PermissionError(f"{path}: may not be read")

    with monkeypatch.context() as patched, pytest.warns(UserWarning, match="may not be read"):
        patched.setattr("diffret_core.feature_shards.load_features", refuse)
        Shards(tmp_path / "features", extractor(None).key, row_shape=(3, 4), videos_per_shard=5, must_keep=False).read()
    assert names_of(tmp_path / "features") == before


def test_what_killed_processes_have_half_written_is_deleted_when_it_is_old(ask, videos, tmp_path):
    ask(RecordingEncoder(), videos[:2])
    (written,) = (tmp_path / "features").iterdir()
    old, new = (written.with_name(f".{written.name}.{name}") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    an_hour_ago = time.time() - 3700
    os.utime(old, (an_hour_ago, an_hour_ago))
    ask(RecordingEncoder())
    assert not old.exists() and new.exists()


def test_features_written_by_another_process_meanwhile_stay(ask, videos, tmp_path):
    other = extractor(RecordingEncoder())

    class Disturbed(RecordingEncoder):
        def __call__(self, paths):
            cached_video_features(videos[3:], other, folder=tmp_path / "features")
            return super().__call__(paths)

    ask(Disturbed(), videos[:3])
    encoder = RecordingEncoder()
    assert same(ask(encoder), kept(RecordingEncoder()(videos)))
    assert encoder.calls == []


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_workers_do_not_change_the_features_or_their_order(videos, tmp_path, num_workers):
    def decode(path):
        time.sleep(0.004 * (path.name < "video03"))  # the later ones are ready first
        return path

    one = extractor(RecordingEncoder(), decode=decode)
    how = How(batch_size=2, num_workers=num_workers)
    found = cached_video_features(videos[::-1], one, folder=tmp_path / "features", how=how)
    assert same(found, kept(RecordingEncoder()(videos[::-1])))


def test_decoded_videos_that_wait_are_bounded(tmp_path):
    decoded, encoded, most = [], [], 0
    paths = [tmp_path / f"{number}.mp4" for number in range(60)]
    for number, path in enumerate(paths):
        path.write_bytes(number.to_bytes(4, "big"))

    def encode(batch):
        nonlocal most
        time.sleep(0.01)  # decoding is far ahead by now, if it may be
        most = max(most, len(decoded) - len(encoded))
        encoded.extend(batch)
        return RecordingEncoder()(batch)

    one = extractor(encode, decode=lambda path: decoded.append(path) or path)
    cached_video_features(paths, one, folder=tmp_path / "features", how=How(batch_size=4, num_workers=2))
    assert len(decoded) == len(encoded) == 60
    assert 4 < most <= 4 + 4 + 2  # the batch, and what may be ahead of it


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unreadable_video_in_the_middle_is_named_and_what_was_encoded_is_kept(ask, videos, tmp_path, num_workers):
    def decode(path):
        if path == videos[3]:
            raise ValueError(f"{path}: cannot be decoded")
        return path

    one = extractor(RecordingEncoder(), decode=decode)
    with pytest.raises(ValueError, match="video03.mp4: cannot be decoded"):
        how = How(batch_size=1, num_workers=num_workers)
        cached_video_features(videos, one, folder=tmp_path / "features", how=how)
    encoder = RecordingEncoder()
    ask(encoder)
    assert encoder.names == ["video03.mp4", "video04.mp4"]


@pytest.mark.parametrize("fill", [cached_video_features, fill_cache])
def test_too_little_room_is_said_before_any_work(ask, videos, tmp_path, monkeypatch, fill):
    ask(RecordingEncoder(), videos[:2])
    (written,) = (tmp_path / "features").iterdir()
    touched = []
    one = extractor(touched.append, decode=touched.append)
    needed = 3 * (3 * (4 * 2 + 1) + 68)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed - 1))
    with pytest.raises(OSError, match=r"features: the features take 0.0 MB and 0.0 MB are free; make room"):
        fill(videos, one, folder=tmp_path / "features")
    assert touched == [] and list((tmp_path / "features").iterdir()) == [written]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed))
    fill(videos, extractor(RecordingEncoder()), folder=tmp_path / "features")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    fill(videos, one, folder=tmp_path / "features")  # everything is there: no room is needed


def test_room_is_estimated_to_a_few_percent(tmp_path):
    shards = Shards(tmp_path, "k" * 64, row_shape=(12, 512), videos_per_shard=100, must_keep=True)
    rows = {f"{number:064}": (torch.zeros(12, 512).half(), torch.ones(12, dtype=torch.bool)) for number in range(100)}
    shards.add(rows)
    (written,) = tmp_path.iterdir()
    assert shards.num_bytes(100) == pytest.approx(written.stat().st_size, rel=0.02)


def test_features_that_must_be_kept_and_cannot_be_are_an_error(videos, tmp_path, monkeypatch):
    one = extractor(RecordingEncoder())
    (tmp_path / "features").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="features.*cannot be written"):
        fill_cache(videos, one, folder=tmp_path / "features")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written to; choose another folder"):
        fill_cache(videos, extractor(None, decode=None), folder=tmp_path / "elsewhere")


def test_filled_cache_is_the_one_that_is_read(ask, videos, tmp_path):
    done = fill_cache([*videos, videos[0]], extractor(RecordingEncoder()), folder=tmp_path / "features")
    assert (done.num_videos, done.num_to_encode, done.num_encoded) == (5, 5, 5)
    assert 0 <= done.waiting_share <= 1 and done.videos_per_second == 5 / done.seconds
    again = fill_cache(videos, extractor(None, decode=None), folder=tmp_path / "features")
    assert again == (5, 0, 0, 0.0, 0.0) and again.videos_per_second == 0
    encoder = RecordingEncoder()
    assert same(ask(encoder), kept(RecordingEncoder()(videos)))
    assert encoder.calls == []


@pytest.mark.parametrize(("decode_seconds", "encode_seconds"), [(9.0, 1.0), (1.0, 9.0)])
def test_waiting_share_is_that_of_decoding_where_both_take_turns(
    videos, tmp_path, monkeypatch, decode_seconds, encode_seconds
):
    now, heard = [0.0], []

    def decode(path):
        now[0] += decode_seconds
        return path

    def encode(batch):
        now[0] += encode_seconds
        return RecordingEncoder()(batch)

    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("diffret_core.work_ahead.time", clock)
    monkeypatch.setattr("diffret_core.feature_cache.time", clock)
    how = How(batch_size=1, num_workers=0, listen=heard.append)
    done = fill_cache(videos, extractor(encode, decode=decode), folder=tmp_path / "features", how=how)
    assert done.waiting_share == pytest.approx(decode_seconds / 10)
    assert (done.seconds, done.videos_per_second) == (50, 0.1)
    assert [one.num_encoded for one in heard] == [1, 2, 3, 4, 5] and heard[-1] == done


def test_shares_of_several_processes_add_up():
    parts = [Extraction(9, 3, 3, 10.0, 0.5), Extraction(9, 2, 2, 30.0, 0.1)]
    assert _together(parts) == (9, 5, 5, 30.0, pytest.approx((5 + 3) / 40))
