"""Saved features come back whole or not at all."""

import pytest
import torch

from diffret_core.features import (
    TextFeatures,
    VideoFeatures,
    file_digest,
    load_features,
    save_features,
    video_feature_key,
)

SAMPLING = {"num_frames": 3, "frames_per_second": 1.0}


def same(first, second):
    return all(a.equal(b) and a.dtype == b.dtype for a, b in zip(first, second, strict=True))


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


def test_file_digest_is_the_sha256_of_the_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
