"""The first cut: a bound from below of the similarity, one product on a file that is mapped into memory."""

import numpy as np
import pytest
import torch
from tiny_models import random_features, tiny_retriever

from diffret_core.features import VideoFeatures
from diffret_core.first_cut import first_cut, open_first_cut, write_first_cut


@pytest.fixture(scope="module")
def model():
    return tiny_retriever()


def parts_of(videos, size):
    return [VideoFeatures(*part) for part in zip(*(one.split(size) for one in videos), strict=True)]


def weighted_mean(score, features, mask):
    weight = torch.softmax(score(features[mask]).squeeze(-1), dim=0)
    return weight @ (features[mask] / features[mask].norm(dim=-1, keepdim=True))


def test_first_cut_is_the_similarity_with_means_for_maxima(model, tmp_path):
    texts, videos = random_features(3, 9)
    write_first_cut(tmp_path / "cut.npy", model, parts_of(videos, 4), 9)
    interaction = model.interaction
    with torch.no_grad():
        similarity = model.similarity(texts, videos)
        of_videos = [weighted_mean(interaction.frame_score, *one) for one in zip(*videos, strict=True)]
        of_texts = [
            weighted_mean(interaction.word_score, *one) for one in zip(texts.words, texts.word_mask, strict=True)
        ]
    expected = torch.stack(of_texts) @ torch.stack(of_videos).T
    assert bool((expected <= similarity + 1e-6).all())
    vectors = open_first_cut(tmp_path / "cut.npy")
    torch.testing.assert_close(vectors, torch.stack(of_videos), rtol=0, atol=1e-6)
    assert first_cut(model, texts, vectors, 4).equal(expected.argsort(dim=1, descending=True)[:, :4])
    assert first_cut(model, texts, vectors, 100).shape == (3, 9)


@pytest.mark.parametrize(("num_videos", "complaint"), [(8, "more than the 8"), (10, "hold 9 videos, not the 10")])
def test_first_cut_refuses_another_number_of_videos(model, tmp_path, num_videos, complaint):
    with pytest.raises(ValueError, match=complaint):
        write_first_cut(tmp_path / "cut.npy", model, parts_of(random_features(1, 9)[1], 4), num_videos)


def test_first_cut_refuses_what_does_not_fit(model, tmp_path):
    texts = random_features(2, 1)[0]
    with pytest.raises(ValueError, match="vectors have size 32; this model's have 64"):
        first_cut(model, texts, torch.zeros(5, 32), 2)
    with pytest.raises(ValueError, match="num_kept is 0"):
        first_cut(model, texts, torch.zeros(5, 64), 0)
    np.save(tmp_path / "other.npy", np.zeros((3, 4, 5), dtype=np.float32))
    with pytest.raises(ValueError, match="expected float32"):
        open_first_cut(tmp_path / "other.npy")
    with pytest.raises(FileNotFoundError):
        open_first_cut(tmp_path / "none.npy")
