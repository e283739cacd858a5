"""What arms of a study are worth: against independent arithmetic, and in any state of being finished."""

import pytest
from tiny_study import study_table

from diffret_core.metrics import paired_bootstrap_interval
from diffret_core.randomness import numpy_generator
from diffret_core.studies.effects import Effect, against_baseline, effect, gain


def r1(table, arm, seed, method, direction="text_to_video"):
    ranks = table.ranks[arm, seed, "test", direction, method].tolist()
    return 100 * ranks.count(1) / len(ranks)


def test_effect_is_the_mean_of_the_seeds_that_both_arms_have():
    table = study_table({"baseline": (1, 2, 3), "other": (2, 3, 4)})
    found = effect(table, ("other", "combined"), ("baseline", "combined"), "text_to_video")
    each = {seed: r1(table, "other", seed, "combined") - r1(table, "baseline", seed, "combined") for seed in (2, 3)}
    assert found.of_seeds == pytest.approx(each)
    assert found.points == pytest.approx(sum(each.values()) / 2)
    assert found.low <= found.points <= found.high and found.low < found.high


def test_effect_of_one_seed_has_the_paired_interval_of_its_ranks():
    table = study_table({"baseline": (1,), "other": (1,)})
    found = gain(table, "other", "video_to_text", method="generator")
    pair = [table.ranks["other", 1, "test", "video_to_text", one] for one in ("generator", "similarity")]
    assert found[1:3] == paired_bootstrap_interval(*pair, numpy_generator(0, "study report"))
    assert found.points == pytest.approx(
        r1(table, "other", 1, "generator", "video_to_text") - r1(table, "other", 1, "similarity", "video_to_text")
    )


def test_gain_and_difference_compare_with_what_they_say():
    table = study_table({"baseline": (1,), "other": (1,)})
    other = r1(table, "other", 1, "combined")
    assert gain(table, "other", "text_to_video").points == pytest.approx(other - r1(table, "other", 1, "similarity"))
    assert against_baseline(table, "other", "text_to_video").points == pytest.approx(
        other - r1(table, "baseline", 1, "combined")
    )
    assert against_baseline(table, "baseline", "text_to_video")[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    "finished", [{}, {"other": (1,)}, {"baseline": (2,), "other": (1,)}], ids=["nothing", "no baseline", "other seeds"]
)
def test_what_is_not_finished_has_no_effect(finished):
    assert against_baseline(study_table(finished), "other", "text_to_video") is None


def test_list_or_method_that_was_not_measured_has_no_effect():
    table = study_table({"baseline": (1,), "other": (1,)})
    assert gain(table, "other", "text_to_video", name="shifted") is None
    assert gain(table, "other", "text_to_video", method="combined + QB-norm") is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 2.0, "helps"), (-2.0, -0.1, "hurts"), (-0.1, 0.1, "not decided"), (0.0, 2.0, "not decided")],
)
def test_verdict_needs_an_interval_clear_of_nothing(low, high, verdict):
    assert Effect((low + high) / 2, low, high, {1: 0.0}).verdict == verdict


def test_effect_is_said_in_a_few_words():
    assert str(Effect(1.25, -0.5, 3.0, {1: 1.25})) == "+1.2 (-0.5 to 3.0)"
