"""Notebook 03's figures: a pair word by frame, curves with names, resamples; what is drawn is what was computed."""

import numpy as np
import pytest
import torch
from tiny_models import SMALL, architecture, tiny_retriever

from diffret_core.course.compared_pair import ComparedPair, compare_pair
from diffret_core.course.curves_figure import Curve, curves_figure
from diffret_core.course.exercises.lesson_03 import PAIR
from diffret_core.course.interaction_figure import interaction_figure
from diffret_core.course.resamples_figure import interval, resamples_figure
from diffret_core.course.setup import Samples
from diffret_core.datasets import read_collection
from diffret_core.features import VideoFeatures
from diffret_core.frames import read_frames
from diffret_core.locations import sample_folder

# --- a pair ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples() -> Samples:
    """The first two sample videos, with features that need no encoder."""
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}))
    collection = read_collection("msrvtt", sample_folder())
    frame_mask = torch.ones(2, 4, dtype=torch.bool)
    frame_mask[1, 3] = False
    frames = torch.randn(2, 4, 64, generator=torch.Generator().manual_seed(0))
    return Samples(model, collection, list(collection.video_ids("test")[:2]), VideoFeatures(frames, frame_mask), {})


@pytest.fixture(scope="module")
def texts(samples):
    with torch.no_grad():
        return samples.model.encode_texts(["a red star", "a moon"])


def test_compared_pair_comes_to_the_similarity_of_the_model(samples, texts):
    pair = compare_pair(samples, texts, 1, 1, name="one", words=["start", "a", "moon", "end"])
    assert pair.cosine.shape == (4, 3)  # padding is left out
    assert pair.caption == samples.collection.pairs("test")[1].text
    assert float(pair.word_weight.sum()) == pytest.approx(1)
    assert float(pair.frame_weight.sum()) == pytest.approx(1)
    by_hand = PAIR.reference(pair.cosine, pair.word_weight, pair.frame_weight)
    with torch.no_grad():
        whole = samples.model.similarity(texts, samples.videos)
    assert pair.similarity == pytest.approx(float(by_hand), abs=1e-6)
    assert pair.similarity == pytest.approx(float(whole[1, 1]), abs=1e-6)


def test_compared_pair_has_the_frames_that_the_model_reads(samples, texts):
    pair = compare_pair(samples, texts, 0, 0, name="one", words=["start", "a", "red", "star", "end"])
    config, path = samples.model.config, samples.video_path(samples.video_ids[0])
    rate = config.frames_per_second
    read = read_frames(path, max_frames=config.max_frames, frames_per_second=rate, image_size=8)
    assert len(pair.pictures) == len(read.frames) > 2
    assert all(picture.startswith("data:image/webp;base64,") for picture in pair.pictures)


def test_compared_pair_refuses_names_that_are_not_those_of_its_tokens(samples, texts):
    with pytest.raises(ValueError, match="3 names for 5 tokens of text 0; name start and end too"):
        compare_pair(samples, texts, 0, 0, name="one", words=["a", "red", "star"])


PAIRS = [
    ComparedPair(
        name="first",
        caption="a <b> & c",
        words=["start", "b", "end"],
        pictures=["data:one", "data:two"],
        cosine=torch.tensor([[0.1, -0.2], [0.3, 0.9], [0.5, 0.4]]),
        word_weight=torch.tensor([0.2, 0.3, 0.5]),
        frame_weight=torch.tensor([0.6, 0.4]),
        similarity=0.625,
    ),
    ComparedPair("second", "c", ["end"], ["data:x"], torch.tensor([[0.7]]), torch.ones(1), torch.ones(1), 0.7),
]


def test_interaction_figure_draws_cosines_winners_and_weights():
    squares, best_frame, halo, best_word, word_bars, frame_bars = interaction_figure(PAIRS).data
    assert (halo.x, halo.y) == (best_word.x, best_word.y)  # seen on dark squares too
    assert np.allclose(squares.z, PAIRS[0].cosine)
    assert (squares.zmin, squares.zmax) == (pytest.approx(-0.9), pytest.approx(0.9))
    assert list(zip(best_frame.y, best_frame.x, strict=True)) == [(0, 0), (1, 1), (2, 0)]
    assert list(zip(best_word.y, best_word.x, strict=True)) == [(2, 0), (1, 1)]
    assert np.allclose(word_bars.x, PAIRS[0].word_weight)
    assert np.allclose(frame_bars.y, PAIRS[0].frame_weight)


def test_interaction_figure_changes_rows_pictures_and_title_with_its_slider():
    figure = interaction_figure(PAIRS)
    assert [step.label for step in figure.layout.sliders[0].steps] == ["first", "second"]
    first, second = figure.frames
    assert first.layout.title.text == "<b>“a &lt;b&gt; &amp; c”</b><br>similarity 0.625"
    assert figure.layout.title.text == first.layout.title.text
    assert [list(one.layout.yaxis.ticktext) for one in (first, second)] == [["start", "b", "end"], ["end"]]
    assert [[picture.source for picture in one.layout.images] for one in (first, second)] == [
        ["data:one", "data:two"],
        ["data:x", ""],
    ]
    assert [picture.visible for picture in second.layout.images] == [True, False]
    assert list(second.layout.yaxis.range) == [2.5, -0.5]  # rows keep their height


# --- curves ----------------------------------------------------------------------------------------------------------


def test_curves_are_drawn_and_named_at_their_end():
    figure = curves_figure(
        [1, 10], {"low": Curve([1, 2], "red"), "high": Curve([3, 8], "blue", "dash")}, title="<t>", across="K", up="R"
    )
    assert [list(line.y) for line in figure.data] == [[1, 2], [3, 8]]
    assert figure.data[1].line.dash == "dash"
    assert [(note.text, note.y) for note in figure.layout.annotations] == [("<b>high</b>", 8), ("<b>low</b>", 2)]
    assert figure.layout.title.text == "<b>&lt;t&gt;</b>"
    assert list(figure.layout.xaxis.ticktext) == ["1", "10"]


def test_names_of_curves_that_end_together_are_moved_apart():
    curves = {"one": Curve([0, 10], "red"), "two": Curve([5, 10], "blue"), "three": Curve([5, 9.9], "black")}
    notes = curves_figure([1, 2], curves, title="", across="", up="").layout.annotations
    assert [note.y for note in notes] == pytest.approx([10, 9.2, 8.4])


def test_a_name_of_a_curve_has_colour_and_dash_of_its_line_beside_it():
    curves = {
        "low": Curve([1, 2], "red"),
        "high": Curve([3, 8], "blue", "dash"),
        "with high": Curve([0, 8], "tan", "dot"),
    }
    layout = curves_figure([1, 10], curves, title="", across="", up="").layout
    for note, sample in zip(layout.annotations, layout.shapes, strict=True):
        curve = curves[note.text.removeprefix("<b>").removesuffix("</b>")]
        assert (sample.line.color, sample.line.dash) == (curve.colour, curve.dash)
        assert (sample.y0, sample.y1, sample.yref) == (note.y, note.y, note.yref)
        assert sample.x1 < note.xshift


# --- resamples -------------------------------------------------------------------------------------------------------


def test_interval_is_the_middle_95_percent():
    assert interval(np.arange(0, 101.0)) == (2.5, 97.5)


def test_resamples_are_drawn_with_their_interval_under_a_slider():
    resampled = {50: np.array([40.0, 40.0, 42.0, 44.0]), 1000: np.array([48.0, 50.0])}
    figure = resamples_figure(resampled, {50: 41.5, 1000: 49.0})
    assert [step.label for step in figure.layout.sliders[0].steps] == ["50 queries", "1,000 queries"]
    bars, line, point = figure.data
    heights = dict(zip(bars.x, bars.y, strict=True))
    assert {place: height for place, height in heights.items() if height} == {40: 1.0, 42: 0.5, 44: 0.5}
    assert list(line.x) == list(interval(resampled[50]))
    assert list(point.x) == [41.5]
    assert figure.frames[0].layout.title.text == "<b>50 queries: R@1 41.5 %, 95 % interval 40.0 to 43.9</b>"
    assert figure.layout.title.text == figure.frames[0].layout.title.text
