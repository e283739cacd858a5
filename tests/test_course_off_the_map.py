"""Notebook 10's figures, words and box: what is drawn and said is what was measured."""

from itertools import product

import pytest
import torch
from tiny_models import SMALL, architecture, random_features, tiny_retriever

from diffret_core.config import ScoringConfig
from diffret_core.course import landing_box, live
from diffret_core.course.auroc_figure import auroc_figure
from diffret_core.course.calibration_figure import calibration_figure
from diffret_core.course.known_words import unknown_pieces, unknown_share
from diffret_core.course.landing_picture import landing_picture, landing_words
from diffret_core.course.matched_figure import Scored, matched_figure
from diffret_core.course.risk_figure import Look, risk_figure
from diffret_core.course.setup import Samples
from diffret_core.course.style import GENERATED, SIMILARITY
from diffret_core.indicator import Indicator
from diffret_core.off_the_map import generator_scores, similarity_scores
from diffret_core.search import search
from diffret_core.studies.table import StudyTable

# --- the study's table -----------------------------------------------------------------------------------------------

AUROC = {("similarity", "near misses"): 0.8, ("similarity", "mean"): 0.9}
AUROC |= {("entropy", "near misses"): 0.6, ("entropy", "mean"): 0.7}


def study_table() -> StudyTable:
    """Two scores, one kind and the mean, two seeds that differ by 0.02; other lists and directions are all 0."""
    rows = []
    for name, direction, seed in product(("validation", "test"), ("text_to_video", "video_to_text"), (1, 2)):
        for (method, kind), value in AUROC.items():
            auroc = value + 0.02 * seed if (name, direction) == ("test", "text_to_video") else 0.0
            about = {"list": name, "direction": direction, "seed": seed, "method": method, "kind": kind}
            rows.append({**about, "auroc": auroc, "auroc_low": auroc - 0.1, "auroc_high": auroc + 0.1})
    return StudyTable(rows, {}, {})


def test_auroc_figure_draws_means_over_seeds_kind_by_kind():
    figure = auroc_figure(study_table(), "text_to_video", title="<t>")
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [(dot.xaxis, dot.y[0]) for dot in dots] == [("x", 0), ("x", 1), ("x2", 0), ("x2", 1)]
    assert [dot.x[0] for dot in dots] == pytest.approx([0.83, 0.63, 0.93, 0.73])
    assert [end for line in lines for end in line.x] == pytest.approx([0.73, 0.93, 0.53, 0.73, 0.83, 1.03, 0.63, 0.83])
    assert [dot.marker.color for dot in dots] == [SIMILARITY, GENERATED] * 2
    assert list(figure.layout.yaxis.ticktext) == ["similarity", "entropy"]
    assert [note.text for note in figure.layout.annotations] == ["<b>near<br>misses</b>", "<b>mean</b>"]
    assert figure.layout.title.text == "<b>&lt;t&gt;</b>"


def test_auroc_figure_shows_scores_that_are_turned_round():
    table = study_table()
    rows = [row | {"auroc_low": row["auroc_low"] - 0.6} for row in table.rows]
    for low, panels in ((0.42, table), (None, table._replace(rows=rows))):
        figure = auroc_figure(panels, "text_to_video", title="t")
        left = figure.layout.xaxis.range[0]
        assert left <= min(min(trace.x) for trace in figure.data)
        assert left == figure.layout.xaxis2.range[0] and (low is None or left == low)


# --- histograms ------------------------------------------------------------------------------------------------------

NEAR, FAR = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([2.0, 3.0])
SCORES = {
    "one": Scored(torch.tensor([0.0, 0.0, 1.0, 2.0]), {"near": NEAR, "far": FAR}),
    "two": Scored(torch.tensor([0.0, 1.0, 1.0, 1.0]), {"near": NEAR, "far": FAR + 9}),
}


def test_matched_figure_draws_shares_of_either_side_of_the_threshold():
    matched, threshold, near, words, far, _ = matched_figure(SCORES, title="t").data
    assert sum(matched.y) == pytest.approx(1, abs=1e-3)
    assert (sum(near.y), sum(far.y)) == (pytest.approx(-1, abs=1e-3), pytest.approx(-1, abs=1e-3))
    assert matched.y[0] == 0.5  # two of four matched scores are 0, the lowest place
    places = [near.x0 + near.dx * place for place, height in enumerate(near.y) if height]
    assert places == pytest.approx([0, 1, 2, 3], abs=near.dx)
    assert list(threshold.x) == [2.0, 2.0]  # of four, 95 % are all four
    assert words.text[1] == "<b>near</b> (4): <b>AUROC 0.69</b>; 75 of 100 pass"  # 11 of 16 pairs; 3 does not pass


def test_matched_figure_shows_one_kind_and_its_menu_the_others():
    figure = matched_figure(SCORES, title="t")
    assert [trace.visible for trace in figure.data[2:]] == [True, True, False, False]
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["near", "far"]
    assert list(buttons[1].args[0]["visible"]) == [True, True, False, False, True, True]


def test_matched_figure_goes_through_the_scores_with_its_slider():
    figure = matched_figure(SCORES, title="t")
    assert [step.label for step in figure.layout.sliders[0].steps] == [one.name for one in figure.frames] == [*SCORES]
    assert all(len(one.data) == len(figure.data) for one in figure.frames)
    assert all(trace.visible is None for one in figure.frames for trace in one.data)  # the menu's choice stays
    assert figure.frames[1].data[1].x[0] == 1.0
    heights = [max(map(abs, trace.y)) for trace in figure.frames[1].data if trace.type == "bar"]
    assert figure.frames[1].layout.yaxis.range[1] > max(heights)


# --- risk and calibration --------------------------------------------------------------------------------------------


def test_risk_figure_ends_at_the_share_of_all_wrong_answers():
    risks = {"few": {"a": torch.tensor([0.0, 0.5, 0.25])}, "many": {"a": torch.linspace(0, 0.8, 200)}}
    figure = risk_figure(risks, {"a": Look("red", "dot")}, title="t")
    few, many = (frame.data[0] for frame in figure.frames)
    assert (list(few.x), list(few.y)) == ([33.3, 66.7, 100.0], [0.0, 50.0, 25.0])
    assert (many.x[-1], many.y[-1], len(many.x)) == (100.0, 80.0, 60)
    assert (few.line.color, few.line.dash) == ("red", "dot")
    (sample,), (name,) = figure.layout.shapes, figure.layout.annotations
    assert (sample.line.dash, name.text, sample.y0) == ("dot", "<b>a</b>", name.y)


def test_calibration_figure_leaves_out_empty_bins_and_says_the_error():
    bins = torch.tensor([[0.0, 0.0, 0.0], [0.4, 0.5, 10.0], [0.9, 0.6, 30.0]])
    figure = calibration_figure({"claim": bins}, {"claim": "red"}, title="t")
    diagonal, dots = figure.data
    assert list(diagonal.x) == list(diagonal.y)
    assert (list(dots.x), list(dots.y)) == ([40.0, 90.0], [50.0, 60.0])
    assert dots.marker.size[1] > dots.marker.size[0]
    assert figure.layout.annotations[0].text == "<b>claim</b>: off by 25.0 points"  # (10 * 10 + 30 * 30) / 40


# --- words that were never learned -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Seven videos that are features only, and a model that has never learned "dog", token 1929."""
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), scoring=ScoringConfig(num_candidates=4))
    with torch.no_grad():
        model.clip.token_embedding.weight[[0, 1929]] = 0  # padding has token 0
    return Samples(model, None, [f"v{number}" for number in range(7)], random_features(1, 7)[1], {})


def test_unknown_pieces_are_those_whose_row_is_zero(samples):
    assert unknown_pieces(samples.model, "a dog, a red dog") == ["dog", "dog"]
    assert unknown_pieces(samples.model, "a red star") == []


def test_unknown_share_counts_pieces_between_start_and_end(samples):
    assert unknown_share(samples.model, ["a dog", "dog", "a red star"]).tolist() == [0.5, 1.0, 0.0]


# --- where a sentence lands ------------------------------------------------------------------------------------------


def test_landing_words_count_who_lies_below_and_name_the_threshold():
    scored = {
        "<s>": Scored(torch.tensor([0.1, 0.2, 0.3, 0.4]), {"a": torch.tensor([0.2, 0.9]), "b": torch.tensor([1.0])})
    }
    (below,) = landing_words(scored, {"<s>": 0.35})
    assert below == (
        "<s> 0.350: higher than 75 % of the matched queries and 33 % of the unmatched ones drawn here; "
        "not above 0.400, which lets 95 % of these matched queries pass"
    )
    assert "; above 0.400, which" in landing_words(scored, {"<s>": 0.45})[0]


def test_landing_goes_by_the_threshold_of_the_indicator_where_it_has_one():
    scored = {"<s>": Scored(torch.tensor([0.0, 0.5]), {"a": torch.tensor([0.5, 1.0])})}
    indicator = Indicator("<s>", 0.25, 0.9, 7)
    (told,) = landing_words(scored, {"<s>": 0.45}, indicator)
    assert told.endswith("; above 0.250, the threshold of diffret search, which comes from validation")
    assert '<line x1="170.0"' in landing_picture(scored, {"<s>": 0.45}, indicator)
    other = indicator._replace(score="other")
    assert landing_words(scored, {"<s>": 0.45}, other) == landing_words(scored, {"<s>": 0.45})


def test_landing_picture_marks_the_place_of_the_sentence():
    scored = {"<s>": Scored(torch.tensor([0.0, 0.5]), {"a": torch.tensor([0.5, 1.0])})}
    drawn = landing_picture(scored, {"<s>": 1.0})
    assert '<line x1="620.0"' in drawn  # the largest of all is at the right end
    assert "&lt;s&gt;" in drawn and "<s>" not in drawn
    beyond = landing_picture(scored, {"<s>": 2.0})  # further out than all others
    assert '<line x1="620.0"' in beyond and '<line x1="320.0"' not in beyond


EXAMPLES = ["a dog moves", "a star spins"]


def scores_of(samples, text) -> dict[str, float]:
    texts = samples.model.encode_texts([text])
    rows = samples.model.similarity(texts, samples.videos)
    own = similarity_scores(rows, temperature=1 / float(samples.model.logit_scale.detach()))
    own |= generator_scores(samples.model, "text_to_video", texts, samples.videos, rows)[0]
    return {name: float(value.detach()) for name, value in own.items()}


@pytest.fixture(scope="module")
def compared() -> dict[str, Scored]:
    return {name: Scored(torch.tensor([-1.0, 0.0]), {"a": torch.tensor([0.5])}) for name in ("similarity", "entropy")}


@pytest.mark.parametrize("threshold", [-1e9, 1e9])
def test_landing_box_says_what_a_search_says(samples, compared, threshold):
    indicator = Indicator("similarity", threshold, 0.95, 7)
    box = landing_box.make_landing_box(samples, compared, indicator, EXAMPLES)
    box.text.value = "a <b> dog"
    found = search(samples.model, samples.videos, samples.video_ids, "a <b> dog", indicator=indicator)
    assert str(found.off_the_map) in box.result.value
    assert ("probably no video matches" in box.result.value) == (threshold < 0)
    assert "a &lt;b&gt; dog" in box.result.value and "<b> dog" not in box.result.value
    for line in landing_words(compared, scores_of(samples, "a <b> dog"), indicator):
        assert line in box.result.value


def test_landing_box_names_words_that_were_never_learned(samples, compared):
    box = landing_box.make_landing_box(samples, compared, None, EXAMPLES)
    assert "Words never learned: dog." in box.result.value
    assert "this model has no indicator" in box.result.value
    box.examples[1].click()
    assert "All words are known" in box.result.value


def test_landing_box_has_words_on_all_examples_where_there_is_no_kernel(samples, compared, monkeypatch):
    calls = []
    monkeypatch.setattr(live, "display", lambda thing, raw=False: calls.append(thing))
    landing_box.landing_box(samples, compared, None, EXAMPLES)
    ((bundle),) = calls
    assert all(f"“{text}”" in bundle["text/html"] for text in EXAMPLES)
    assert "<svg" not in bundle["text/html"]
