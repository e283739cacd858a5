"""Normalisations of a published similarity matrix: the ranks of exponentials taken literally, and what they gain."""

import numpy as np
import pytest
import torch

from diffret_core.metrics import retrieval_metrics, target_ranks
from diffret_core.normalisation import dual_softmax_scores, query_bank, querybank_scores

LOGIT_SCALE = 100  # the file's scores are multiplied by it
BETA = 20.0
OWN = torch.arange(1000)


@pytest.fixture(scope="module", params=["text_to_video", "video_to_text"])
def similarity(shared_folder, request):
    """1000 texts by 1000 videos of MSR-VTT 1k-A, or the other way round."""
    score = torch.from_numpy(np.load(shared_folder / "real_values" / "msrvtt_1ka_similarity.npy")) / LOGIT_SCALE
    return score if request.param == "text_to_video" else score.T.contiguous()


def recall_at_1(ranks):
    return round(retrieval_metrics(ranks)["R@1"], 1)


def test_bank_of_half_the_queries_gives_the_other_half_the_ranks_of_the_exponentials(similarity):
    bank, asking, own = similarity[:500], similarity[500:], OWN[500:]
    raised = np.exp(BETA * similarity.double().numpy())
    hubs = set(bank.argmax(dim=1).tolist())
    divided = raised[500:] / raised[:500].sum(axis=0)
    in_hub = np.array([best in hubs for best in asking.argmax(dim=1).tolist()])
    expected = target_ranks(torch.from_numpy(np.where(in_hub[:, None], divided, raised[500:])), own)
    assert 0 < in_hub.sum() < 500
    found = target_ranks(querybank_scores(asking, query_bank(bank, beta=BETA)), own)
    assert found.equal(expected)
    before = target_ranks(asking, own)
    assert recall_at_1(found) - recall_at_1(before) == pytest.approx(0.6)  # 48.0 to 48.6; 47.8 to 48.4


def test_dual_softmax_gives_the_ranks_of_the_product(similarity):
    score = BETA * similarity.double()
    expected = target_ranks(score.softmax(dim=0) * score.softmax(dim=1), OWN)
    found = target_ranks(dual_softmax_scores(similarity, beta=BETA), OWN)
    assert found.equal(expected)
    assert recall_at_1(found) in (48.2, 46.3)


def test_text_to_video_starts_at_the_published_figure(shared_folder):
    score = torch.from_numpy(np.load(shared_folder / "real_values" / "msrvtt_1ka_similarity.npy"))
    assert recall_at_1(target_ranks(score, OWN)) == 48.0
