"""Kinds of unmatched queries: drawn with what they were made from, against direct resampling and torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from diffret_core.confidence import risk_coverage
from diffret_core.datasets import read_collection
from diffret_core.detection import detection_measures, interval_of, resampled
from diffret_core.locations import sample_folder
from diffret_core.randomness import numpy_generator
from diffret_core.scenes.unmatched import annotated_videos, near_misses
from diffret_core.studies.kinds import (
    MADE_FROM,
    MEAN,
    Difference,
    auroc_difference,
    drawn_anew,
    risk_difference,
    unmatched_kinds,
)
from diffret_core.studies.table import StudyTable

NUMBERS = {"matched": 30, "changed": 25, "ours": 8}
SOURCES = torch.cat([torch.arange(1, 31), torch.arange(5, 30), torch.zeros(8, dtype=torch.long)])


def scores_of(seed: int, *, noise: float) -> list[torch.Tensor]:
    """Scores of matched queries, of those made from them, which are a little higher, and of others."""
    draws = torch.Generator().manual_seed(seed)
    matched = torch.randn(30, generator=draws)
    changed = matched[SOURCES[30:55] - 1] + 0.3 + noise * torch.randn(25, generator=draws)
    return [matched, changed, torch.randn(8, generator=draws) + 1]


def area(matched: torch.Tensor, unmatched: torch.Tensor) -> float:
    is_unmatched = torch.cat([torch.zeros(len(matched)), torch.ones(len(unmatched))]).int()
    return float(binary_auroc(torch.sigmoid(torch.cat([matched, unmatched]).double()), is_unmatched))


def drawn_areas(scores: list[torch.Tensor], counts: dict[str, np.ndarray], kind: str) -> np.ndarray:
    """AUROC of every resample, each of whose queries is written down as often as it was drawn."""
    of = dict(zip(NUMBERS, scores, strict=True))
    return np.array(
        [
            area(*(of[name].repeat_interleave(torch.from_numpy(counts[name][number])) for name in ("matched", kind)))
            for number in range(len(counts["matched"]))
        ]
    )


def test_what_was_made_from_a_query_is_drawn_as_often_as_that_query():
    counts = drawn_anew(NUMBERS, SOURCES, "text_to_video", num_resamples=50)
    for place, source in enumerate(SOURCES[30:55].tolist()):
        assert (counts["changed"][:, place] == counts["matched"][:, source - 1]).all()
    assert {name: own.shape for name, own in counts.items()} == {name: (50, size) for name, size in NUMBERS.items()}
    assert (counts["matched"].sum(axis=1) == 30).all() and (counts["ours"].sum(axis=1) == 8).all()
    again = drawn_anew(NUMBERS, SOURCES, "text_to_video", num_resamples=50)
    assert all((again[name] == own).all() for name, own in counts.items())


def test_kind_that_was_made_from_matched_queries_in_part_is_refused():
    with pytest.raises(ValueError, match="of kind 'changed' some queries are made from matched ones and some are not"):
        drawn_anew(NUMBERS, SOURCES.where(torch.arange(63) != 40, 0), "text_to_video")


@pytest.mark.parametrize("kind", ["changed", "ours"])
def test_interval_is_that_of_direct_resampling(kind):
    scores = scores_of(1, noise=0.2)
    counts = drawn_anew(NUMBERS, SOURCES, "text_to_video", num_resamples=100)
    of = dict(zip(NUMBERS, scores, strict=True))
    measured = detection_measures(of["matched"], of[kind], counts["matched"], counts[kind])[0]
    direct = drawn_areas(scores, counts, kind)
    assert measured[1:] == pytest.approx(direct, abs=1e-6)
    low, high = np.percentile(direct, [2.5, 97.5])
    assert interval_of(measured) == pytest.approx((area(of["matched"], of[kind]), low, high), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_queries_drawn_together_have_the_narrower_interval(seed):
    matched, changed, _ = scores_of(seed, noise=0.1)
    counts = drawn_anew(NUMBERS, SOURCES, "text_to_video")
    alone = resampled(25, numpy_generator(seed, "alone"))
    _, *together = interval_of(detection_measures(matched, changed, counts["matched"], counts["changed"])[0])
    _, *apart = interval_of(detection_measures(matched, changed, counts["matched"], alone)[0])
    assert together[1] - together[0] < 0.7 * (apart[1] - apart[0])


def table_of(scores: dict[str, list[list[torch.Tensor]]]) -> StudyTable:
    """The table of some scores, of which each seed has a list of values kind by kind."""
    rows, ranks = [], {}
    for score, of_seeds in scores.items():
        for seed, values in enumerate(of_seeds, start=1):
            of = ("baseline", seed, "test", "text_to_video")
            ranks[*of, score] = torch.cat(values).unique(return_inverse=True)[1] + 1
            ranks[*of, MADE_FROM] = SOURCES
            about = dict(zip(("arm", "seed", "list", "direction"), of, strict=True)) | {"num_matched": 30}
            numbers = {**NUMBERS, MEAN: 33}
            rows += [{**about, "method": score, "kind": kind, "num_queries": numbers[kind]} for kind in [*numbers][1:]]
    return StudyTable(rows, ranks, {})


@pytest.mark.parametrize("kind", ["changed", "ours", MEAN])
def test_difference_of_two_scores_is_that_of_direct_resampling(kind):
    scores = {"one": [scores_of(seed, noise=0.1) for seed in (3, 4)]}
    scores["other"] = [scores_of(seed, noise=2) for seed in (5, 6)]
    scores = {name: [[one.round(decimals=1) for one in own] for own in of] for name, of in scores.items()}  # with ties
    table = table_of(scores)
    found = auroc_difference(table, "one", "other", "text_to_video", kind=kind, num_resamples=40)
    counts = drawn_anew(NUMBERS, SOURCES, "text_to_video", num_resamples=40)
    once = {name: np.ones((1, number), dtype=np.int64) for name, number in NUMBERS.items()}
    kinds = ["changed", "ours"] if kind == MEAN else [kind]

    def mean_areas(score, drawn):
        return np.mean([drawn_areas(own, drawn, one) for own in scores[score] for one in kinds], axis=0)

    value, several = (mean_areas("one", drawn) - mean_areas("other", drawn) for drawn in (once, counts))
    assert found == pytest.approx((value[0], *np.percentile(several, [2.5, 97.5])), abs=1e-6)


def test_difference_turns_round_and_says_what_it_decides():
    table = table_of({"one": [scores_of(7, noise=0.1)], "other": [scores_of(8, noise=3)]})
    found, back = (auroc_difference(table, *pair, "text_to_video") for pair in (("one", "other"), ("other", "one")))
    assert back == pytest.approx((-found.value, -found.high, -found.low))
    nothing = auroc_difference(table, "one", "one", "text_to_video")
    assert nothing == (0, 0, 0) and nothing.verdict == "not decided"
    assert str(Difference(0.1, 0.05, 0.15)) == "+0.100 (0.050 to 0.150): larger"
    assert Difference(-0.1, -0.15, -0.05).verdict == "smaller" and Difference(0.1, -0.1, 0.3).verdict == "not decided"
    with pytest.raises(KeyError, match="no score 'none'"):
        auroc_difference(table, "none", "one", "text_to_video")


def test_kinds_say_which_caption_each_text_was_made_from():
    pairs = read_collection("msrvtt", sample_folder()).pairs("test")[:20]
    captions, videos = [caption for caption, _ in pairs], [video for _, video in pairs]
    kinds = unmatched_kinds(videos, captions, measured=True)
    assert [videos[one] for one in kinds["near misses"].made_from] == [
        one.video_id for one in near_misses(annotated_videos(videos))
    ]
    for name in ("near misses", "never seen", "shuffled words"):
        texts, made_from = kinds[name]
        assert len(texts) == len(made_from) >= 18
        for text, source in zip(texts, made_from, strict=True):
            shared = [len({*text.split()} & {*caption.split()}) for caption in captions]
            assert shared[source] >= max(shared) - 2 and text != captions[source]
    assert kinds["everyday"].made_from is None and kinds["other languages"].made_from is None
    with pytest.raises(ValueError, match="zip"):
        unmatched_kinds(videos, captions[:-1], measured=True)


def noise(size, seed):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def mean_risk(score, wrong):
    return float(risk_coverage(score, wrong).mean())


def test_risk_difference_is_that_of_the_areas_and_turns_its_sign():
    one, other, wrong = noise(60, 0), noise(60, 1), noise(60, 2) > 0
    found, turned = (
        risk_difference(*scores, wrong, np.random.default_rng(0)) for scores in ((one, other), (other, one))
    )
    assert found.value == pytest.approx(mean_risk(one, wrong) - mean_risk(other, wrong))
    assert found.low < found.value < found.high
    assert (-turned.value, -turned.high, -turned.low) == pytest.approx(tuple(found))
    assert tuple(risk_difference(one, 2 * one + 1, wrong, np.random.default_rng(0))) == (0, 0, 0)


def test_risk_difference_knows_an_order_that_is_right_from_one_by_chance():
    wrong = noise(200, 2) > 0.5
    found = risk_difference(wrong + 0.5 * noise(200, 0), noise(200, 1), wrong, np.random.default_rng(0))
    assert found.verdict == "smaller"


def test_interval_of_a_risk_difference_is_as_wide_as_the_spread_over_fresh_queries():
    fresh = []
    for seed in range(300):
        wrong = noise(120, 3 * seed) > 0.5
        fresh.append([wrong + 1.5 * noise(120, 3 * seed + more) for more in (1, 2)] + [wrong])
    low, high = np.percentile(
        [mean_risk(one, wrong) - mean_risk(other, wrong) for one, other, wrong in fresh], [2.5, 97.5]
    )
    found = [risk_difference(*drawn, np.random.default_rng(0), num_resamples=200) for drawn in fresh[::20]]
    assert np.mean([one.high - one.low for one in found]) == pytest.approx(high - low, rel=0.2)
