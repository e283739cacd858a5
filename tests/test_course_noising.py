"""Notebook 05's figures: noised candidates, curves over noise levels, softmaxes; what is drawn is what was computed."""

import math

import pytest
import torch

from diffret_core.course import prediction_picture
from diffret_core.course.levels_figure import COSINE, LINEAR, LevelCurve, Panel, levels_figure
from diffret_core.course.noising_figure import mix, noising_figure
from diffret_core.course.softmax_figure import Question, softmax_figure
from diffret_core.course.style import COMBINED
from diffret_core.schedule import add_noise, noise_schedule

# --- noised candidates -----------------------------------------------------------------------------------------------

X_0 = torch.tensor([0.0, 1.0, 0.0])
EPSILON = torch.tensor([1.0, -1.0, 0.5])
SCHEDULES = {kind: noise_schedule(20, kind) for kind in ("cosine", "linear")}
BARS, LEFT, HIGHEST, WORDS = range(4)
"""Parts of a panel, in the order in which they are drawn."""


def test_mixture_keeps_a_share_of_the_variance():
    mixed = mix(X_0, EPSILON, 0.36)
    assert mixed.x_k.tolist() == pytest.approx([0.8, 0.6 - 0.8, 0.4])
    assert (mixed.signal, mixed.noise) == pytest.approx((0.6, 0.8))


@pytest.fixture
def noising():
    return noising_figure(X_0, EPSILON, SCHEDULES, captions=["a", "<b>", "c"], pictures=["data:,"] * 3, title="<ours>")


def test_noising_runs_from_noise_to_data(noising):
    levels = [str(k) for k in range(20, -1, -1)]
    assert [frame.name for frame in noising.frames] == levels
    assert [step.args[0][0] for step in noising.layout.sliders[0].steps] == levels
    assert list(noising.layout.xaxis3.range) == [20, 0]


def test_noising_draws_what_the_core_computes(noising):
    frame = noising.frames[20 - 7]
    for number, kept in enumerate(SCHEDULES.values()):
        expected = add_noise(X_0[None], torch.tensor([7]), EPSILON[None], kept)[0]
        assert list(frame.data[4 * number + BARS].y) == pytest.approx(expected.tolist(), abs=1e-3)
        assert list(frame.data[4 * number + LEFT].y) == pytest.approx([float(kept[7]) ** 0.5], abs=1e-3)
    assert list(noising.frames[-1].data[BARS].y) == X_0.tolist()


def test_noising_points_at_the_highest_bar_and_colours_the_one_that_is_meant(noising):
    assert list(noising.frames[0].data[HIGHEST].x) == [1]
    assert list(noising.frames[-1].data[HIGHEST].x) == [2]
    assert [colour == COMBINED for colour in noising.data[BARS].marker.color] == [False, True, False]


def test_noising_points_from_above_both_the_bar_and_what_is_left_of_the_signal(noising):
    for frame in noising.frames:
        _, left, highest, _ = frame.data[:4]
        bars = list(frame.data[BARS].y)
        assert highest.y[0] > max(bars)
        assert highest.x[0] != 2 or highest.y[0] > left.y[0] + 0.2


def test_noising_moves_its_traces_and_leaves_the_curves(noising):
    frame = noising.frames[3]
    kinds = [noising.data[trace].type for trace in frame.traces]
    assert kinds == [one.type for one in frame.data]
    moving = set(frame.traces)
    still = [noising.data[trace] for trace in range(len(noising.data)) if trace not in moving]
    for line, kept in zip(still, SCHEDULES.values(), strict=True):
        assert list(line.y) == pytest.approx(kept.flip(0).tolist(), abs=1e-4)
    assert list(frame.data[-1].x) == [17, 17]


def test_noising_says_how_it_is_mixed_and_shows_captions_as_text(noising):
    assert noising.frames[-1].data[WORDS].text == ("1.00 <i>x</i><sub>0</sub> + 0.00 ε",)
    assert list(noising.data[BARS].customdata) == ["a", "&lt;b&gt;", "c"]
    assert "&lt;ours&gt;" in noising.layout.title.text
    assert [image.xref for image in noising.layout.images] == ["x"] * 3 + ["x2"] * 3


def test_noising_keeps_all_noise_within_its_axes():
    figure = noising_figure(X_0, torch.tensor([0.0, -3.4, 0.0]), SCHEDULES)
    for axis in (figure.layout.yaxis, figure.layout.yaxis2):
        assert axis.range[0] < -3.4
        assert axis.range[1] > 1


@pytest.mark.parametrize(
    "schedules", [{"one": noise_schedule(5)}, {"one": noise_schedule(5), "other": noise_schedule(6)}]
)
def test_noising_refuses_schedules_that_do_not_fit(schedules):
    with pytest.raises(ValueError, match="give two of one length"):
        noising_figure(X_0, EPSILON, schedules)


# --- curves over levels ----------------------------------------------------------------------------------------------


def test_levels_run_from_noise_to_data_in_every_panel():
    curve = {"<one>": LevelCurve([0.0, math.nan, 1.0], *COSINE, name_at=0, above=True)}
    levels = Panel("kept", "level", [2, 1, 0], curve, 0.25)
    ratios = Panel("share", "ratio", [-1.0, 0.0, 3.0], {"two": LevelCurve([1.0, 2.0, 3.0], *LINEAR, name_at=2)})
    figure = levels_figure([levels, ratios])
    assert [list(axis.range) for axis in (figure.layout.xaxis, figure.layout.xaxis2)] == [[2, 0], [-1.0, 3.0]]
    assert list(figure.data[0].y) == [0.0, None, 1.0]
    names = {note.text: (note.x, note.y, note.xref) for note in figure.layout.annotations}
    assert names["<b>&lt;one&gt;</b>"] == (2, 0.0, "x")
    assert names["<b>two</b>"] == (3.0, 3.0, "x2")
    assert [note.text for note in figure.layout.annotations].count("<b>noise</b>") == 2
    (dotted,) = figure.layout.shapes
    assert (dotted.y0, dotted.yref) == (0.25, "y")
    assert figure.data[0].line.dash != figure.data[1].line.dash


def test_guess_and_answer_run_in_the_order_of_their_places():
    svg = prediction_picture.two_curves([50, 25, 0], [10, 20, 90], None, (0, 100))
    assert svg.index(">50<") < svg.index(">25<") < svg.index(">0<", svg.index(">25<"))
    points = svg.split('points="')[2].split('"')[0].split()
    across = [float(point.split(",")[0]) for point in points]
    assert across == sorted(across)
    assert across[0] == pytest.approx(60)


# --- softmaxes -------------------------------------------------------------------------------------------------------


def test_softmax_figure_shows_similarities_and_what_a_softmax_makes_of_them():
    similarity = torch.tensor([0.9, 0.5, 0.4])
    low = Question(similarity - 0.4, ["a", "b", "<c>"], None)
    figure = softmax_figure({"fits": Question(similarity, ["a", "b", "c"], 0), "odd": low}, 10, title="two")
    assert [frame.name for frame in figure.frames] == ["fits", "odd"]
    fits, odd = ([list(bars.y) for bars in frame.data] for frame in figure.frames)
    assert fits[0] == pytest.approx(similarity.tolist(), abs=1e-4)
    assert odd[0] == pytest.approx((similarity - 0.4).tolist(), abs=1e-4)
    assert sum(fits[1]) == pytest.approx(1, abs=1e-3)
    assert fits[1] == pytest.approx(odd[1], abs=1e-4)  # a constant added to all changes nothing
    assert fits[1][0] / fits[1][1] == pytest.approx(math.exp(4), rel=0.01)


def test_softmax_figure_marks_only_the_video_that_is_meant():
    questions = {
        "own": Question(torch.tensor([0.9, 0.5]), ["a", "b"], 1),
        "none": Question(torch.tensor([0.9, 0.5]), ["<a>", "b"], None),
    }
    own, none = softmax_figure(questions, 10, title="two").frames
    assert ["★" in text for bars in own.data for text in bars.text] == [False, True, False, True]
    assert [colour == COMBINED for bars in own.data for colour in bars.marker.color] == [False, True, False, True]
    assert not any("★" in text for bars in none.data for text in bars.text)
    assert list(none.data[0].customdata) == ["&lt;a&gt;", "b"]
