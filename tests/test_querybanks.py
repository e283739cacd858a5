"""Banks of queries: drawn from the training split alone, the same however many ask at once."""

import pytest
import torch
from tiny_collection import make_collection, tiny_recipe
from tiny_models import random_features, tiny_retriever

from diffret_core.config import DIRECTIONS
from diffret_core.datasets import read_collection
from diffret_core.evaluation import NORMALISED
from diffret_core.galleries import Gallery, encode_captions, encode_gallery, feature_folder, keep_gallery
from diffret_core.normalisation import query_bank
from diffret_core.querybanks import bank_captions, bank_videos, query_banks
from diffret_core.scores import item_scores, score_all

T2V, V2T = DIRECTIONS


@pytest.fixture(scope="module")
def model():
    return tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16)


@pytest.fixture
def collection(tmp_path):
    return read_collection("msrvtt", make_collection(tmp_path / "data"))


def gallery_of(texts, videos, video_of_text):
    video_ids = [f"video{number}" for number in range(len(videos.frames))]
    return Gallery(video_ids, videos, ["a star"] * len(texts.words), texts, torch.tensor(video_of_text))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("queries_at_once", [2, 100])
def test_bank_asks_as_queries_of_the_test_do(direction, queries_at_once, monkeypatch):
    monkeypatch.setattr("diffret_core.querybanks.QUERIES_AT_ONCE", queries_at_once)
    model = tiny_retriever()
    gallery = gallery_of(*random_features(6, 4), [0, 1, 2, 3, 0, 2])
    others = random_features(5, 7, seed=9)
    bank = others[0 if direction == T2V else 1]
    found = query_banks(model, bank, gallery, beta=3.0, seed=1)
    texts, videos = (bank, gallery.videos) if direction == T2V else (gallery.texts, bank)
    scores = score_all(model, texts, videos, seed=1)[direction]
    assert set(found) == set(NORMALISED)
    for method in NORMALISED:
        items = item_scores(scores, direction, method, gallery.video_of_text, model.config.scoring)
        assert items.shape == (len(bank[0]), 4)
        expected = query_bank(items, beta=3.0)
        assert (found[method].num_queries, found[method].beta) == (len(bank[0]), 3.0)
        assert found[method].is_hub.equal(expected.is_hub)
        torch.testing.assert_close(found[method].log_sum, expected.log_sum, rtol=0, atol=1e-5)


def test_bank_of_captions_is_drawn_from_training_without_the_gallery(model, collection):
    training = [caption.text for caption in collection.pairs("train")]
    whole = bank_captions(model, collection, without=())
    torch.testing.assert_close(whole.sentence, encode_captions(model, training).sentence)
    gallery = {*collection.video_ids("train")[:7]}
    left = [caption.text for caption in collection.pairs("train") if caption.video_id not in gallery]
    assert 0 < len(left) < len(training)
    torch.testing.assert_close(
        bank_captions(model, collection, without=gallery).sentence, encode_captions(model, left).sentence
    )
    with pytest.raises(ValueError, match="no training captions"):
        bank_captions(model, collection, without={*collection.video_ids("train")})


def test_bank_of_captions_is_drawn_reproducibly(model, collection):
    drawn = [bank_captions(model, collection, num_queries=5, without=(), seed=seed).sentence for seed in (0, 0, 1)]
    assert len(drawn[0]) == 5
    assert drawn[0].equal(drawn[1]) and not drawn[0].equal(drawn[2])


def test_bank_of_videos_is_encoded_only_when_asked(model, collection, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train\.safetensors"):
        bank_videos(model, collection, without=())
    whole = encode_gallery(model, collection, "train", cache_folder=tmp_path / "cache").videos
    found = bank_videos(model, collection, num_queries=100, without=(), cache_folder=tmp_path / "cache")
    assert found.frames.equal(whole.frames)
    without = {*collection.video_ids("train")[1:]}
    found = bank_videos(model, collection, without=without, cache_folder=tmp_path / "cache")
    assert found.frames.equal(whole.frames[:1])
    for video_id in collection.video_ids("train"):
        collection.video_path(video_id).unlink()
    with pytest.raises(FileNotFoundError, match="holds no training video"):
        bank_videos(model, collection, without=(), cache_folder=tmp_path / "cache")


def test_bank_of_videos_takes_what_is_kept_beside_the_collection(model, collection, tmp_path):
    gallery = encode_gallery(model, collection, "train", cache_folder=tmp_path / "cache")
    kept = feature_folder(collection, "train").with_suffix(".safetensors")
    keep_gallery(kept, model, gallery)
    assert bank_videos(model, collection, without=()).frames.equal(gallery.videos.frames)
    assert len(bank_videos(model, collection, num_queries=3, without=()).frames) == 3
    with pytest.raises(ValueError, match="no training video"):
        bank_videos(model, collection, without={*gallery.video_ids})
    other = tiny_retriever(tiny_recipe().model.clip, seed=1, max_words=16, num_frame_positions=16)
    with pytest.raises(ValueError, match="features of another model"):
        bank_videos(other, collection, without=())
