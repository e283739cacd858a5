"""What an opened index computes once for the model that asks."""

import gc
import weakref

import pytest
import torch
from own_videos import NAME, tiny_model, write_folder
from tiny_models import SMALL, architecture, tiny_config

from diffret_core.encoders import build_clip
from diffret_core.index import best_of_videos, build_index, open_index, search_index
from diffret_core.zero_shot import ZeroShot


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("gallery") / "videos")


def plain_model():
    clip = architecture(SMALL, text_cfg={"vocab_size": 49408})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ZeroShot(build_clip(clip), tiny_config(clip=clip, max_words=16)).eval()


@pytest.fixture(params=["retriever", "plain"])
def model(request):
    return tiny_model() if request.param == "retriever" else plain_model()


@pytest.fixture
def index(model, videos, tmp_path):
    build_index(videos, tmp_path / "index", model, NAME, num_workers=1)
    return open_index(tmp_path / "index")


def test_prepared_comparison_is_that_of_the_features(index, model):
    with torch.no_grad():
        texts = model.encode_texts(["a red circle", "a star"])
        expected = model.similarity(texts, index.features)
    assert index.gallery.similarity(model, texts).equal(expected)
    assert index.gallery.similarity(model, texts).equal(expected)


def test_second_question_prepares_and_copies_no_more_than_its_candidates(index, model, monkeypatch):
    first = search_index(index, model, "a star")
    rows = []

    def counting(of, name):
        function = getattr(of, name)

        def count(*given, **options):
            rows.extend(len(one) for one in given if isinstance(one, torch.Tensor))
            return function(*given, **options)

        monkeypatch.setattr(of, name, count, raising=False)

    if isinstance(model, ZeroShot):
        monkeypatch.setattr(model, "video_vectors", lambda _: pytest.fail("prepared again"))
        num_candidates = 0
    else:
        counting(model.interaction, "prepare_videos")
        num_candidates = len(first.search.candidates)
    index_features = type(index).features_of
    monkeypatch.setattr(
        type(index), "features_of", lambda self, segments: rows.append(len(segments)) or index_features(self, segments)
    )
    again = search_index(index, model, "a star", num_results=2)
    assert again.results == first.results[:2]
    assert max(rows) <= num_candidates < len(index.start_seconds)


def test_best_of_videos_gives_the_features_that_are_asked_for(index, model):
    texts = model.encode_texts(["a star"])
    whole, some = best_of_videos(index, model, texts), best_of_videos(index, model, texts, num_features=2)
    assert whole.features.frames.equal(index.features.frames[whole.segments])
    assert len(whole.segments) == len(some.segments) == 5
    assert some.features.frames.equal(whole.features.frames[:2])
    assert some.features.frame_mask.equal(whole.features.frame_mask[:2])


@pytest.mark.parametrize("is_large", [False, True])
def test_index_is_not_searched_with_another_model(model, videos, tmp_path, monkeypatch, is_large):
    if is_large:
        monkeypatch.setattr("diffret_core.index.large.LARGE_FROM", 7)
    build_index(videos, tmp_path / "index", model, NAME, num_workers=1)
    index = open_index(tmp_path / "index")
    assert (index.vectors is not None) == is_large
    other = tiny_model(seed=1)
    for _ in range(2):  # a refused model is not remembered as the right one
        with pytest.raises(ValueError, match="is not what the index was made with \\(the model in a tiny model\\)"):
            search_index(index, other, "a star")
    with pytest.raises(ValueError, match="is not what the index was made with"):
        best_of_videos(index, other, other.encode_texts(["a star"]))
    assert len(search_index(index, model, "a star").results) == 5
    with pytest.raises(ValueError, match="is not what the index was made with"):
        search_index(index, other, "a star")


def test_weights_are_compared_once_for_an_opened_index_and_again_for_another(index, model, tmp_path, monkeypatch):
    from diffret_core import extraction

    fingerprint, compared = extraction.video_encoder_fingerprint, []
    monkeypatch.setattr(extraction, "video_encoder_fingerprint", lambda one: compared.append(one) or fingerprint(one))
    for text in ("a star", "a circle"):
        search_index(index, model, text)
    assert compared == [model]
    with torch.no_grad():
        next(model.clip.visual.parameters()).add_(1)
    with pytest.raises(ValueError, match="or has changed since"):
        search_index(open_index(tmp_path / "index"), model, "a star")


def test_equal_model_is_prepared_for_itself_and_no_model_is_kept(index, model):
    expected = search_index(index, model, "a star").results
    equal = tiny_model() if not isinstance(model, ZeroShot) else plain_model()
    assert search_index(index, equal, "a star").results == expected
    kept = weakref.ref(equal)
    del equal
    gc.collect()
    assert kept() is None
