"""Notebook 06's figures: frames a sentence looks at, codes of levels, and what the noised state adds."""

import math

import pytest
import torch
from tiny_models import SMALL, architecture, tiny_retriever

from diffret_core.course.additive_logit_figure import additive_logit_figure, moved_weight
from diffret_core.course.frame_weights_figure import frame_pictures, frame_weights_figure
from diffret_core.course.level_code_figure import level_code_figure
from diffret_core.course.setup import Samples
from diffret_core.course.style import COMBINED
from diffret_core.datasets import read_collection
from diffret_core.features import VideoFeatures
from diffret_core.frames import read_frames
from diffret_core.locations import sample_folder

# --- frames that a sentence looks at ---------------------------------------------------------------------------------

WEIGHTS = torch.tensor([[[0.7, 0.3, 0.0], [0.99, 0.01, 0.0]], [[0.2, 0.8, 0.0], [0.1, 0.4, 0.5]]])
PICTURES = [["data:a", "data:b"], ["data:c", "data:d", "data:e"]]


def test_frame_weights_figure_has_a_row_of_weights_below_each_row_of_frames():
    figure = frame_weights_figure(WEIGHTS, ["one", "two"], PICTURES, ["our video", "a\n<b>"])
    squares = figure.data[0]
    assert [list(row) for row in squares.z] == [
        [None, None, None],
        [0.7, 0.3, None],  # padding has no weight to show
        [None, None, None],
        [None, None, None],
        [0.99, 0.01, 0.0],
    ]
    assert len(squares.y) == len(squares.z) + 1
    assert list(squares.y) == sorted(squares.y)
    assert [list(row) for row in squares.text][1::3] == [["0.70", "0.30", ""], ["0.99", "", ""]]
    assert [picture.source for picture in figure.layout.images] == sum(PICTURES, [])
    assert [(picture.x, math.floor(picture.y)) for picture in figure.layout.images][1:3] == [(1, 0), (0, 1)]
    assert list(figure.layout.yaxis.ticktext) == ["our video", "a<br>&lt;b&gt;"]


def test_frame_weights_figure_has_every_sentence_under_its_slider():
    figure = frame_weights_figure(WEIGHTS, ["one", "<two>"], PICTURES, ["v", "w"])
    assert [step.label for step in figure.layout.sliders[0].steps] == [frame.name for frame in figure.frames]
    assert [frame.layout.title.text for frame in figure.frames] == ["<b>“one”</b>", "<b>“&lt;two&gt;”</b>"]
    assert list(figure.frames[1].data[0].z[1]) == [0.2, 0.8, None]
    assert figure.layout.title.text == "<b>“one”</b>"


def test_frame_pictures_are_those_that_the_model_looks_at():
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}))
    collection = read_collection("msrvtt", sample_folder())
    ids = list(collection.video_ids("test")[:3])
    samples = Samples(model, collection, ids, VideoFeatures(torch.zeros(3, 4, 64), torch.ones(3, 4).bool()), {})
    (found,) = frame_pictures(samples, [2])
    rate = model.config.frames_per_second
    path, size = collection.video_path(ids[2]), {"max_frames": 4, "image_size": 8}
    assert len(found) == len(read_frames(path, frames_per_second=rate, **size).frames) > 1
    assert found != frame_pictures(samples, [1])[0]


# --- the codes of levels ---------------------------------------------------------------------------------------------


def test_level_code_figure_runs_from_noise_to_data():
    table = torch.tensor([[0.0, 1.0], [0.84, 0.54], [0.91, -0.42]])
    figure = level_code_figure(table)
    squares = figure.data[0]
    assert list(squares.x) == [1, 2, 3]
    assert [list(feature) for feature in squares.z] == [[0, pytest.approx(0.84), 0.91], [1, 0.54, -0.42]]
    assert figure.layout.xaxis.autorange == "reversed"


@pytest.mark.parametrize("dim", [2, 128, 512])
def test_level_code_figure_gives_every_feature_a_whole_number_of_pixels(dim):
    layout = level_code_figure(torch.zeros(3, dim)).layout
    plot_height = layout.height - layout.margin.t - layout.margin.b
    assert plot_height >= dim
    assert plot_height % dim == 0


# --- the additive logit ----------------------------------------------------------------------------------------------

CONTENT = torch.tensor([[3.0, 1.0, 2.0], [6.0, 3.0, 3.0]])
STATE = torch.tensor([[0.5, 2.0, -0.5], [1.0, 0.0, 0.0]])


def test_moved_weight_is_what_changes_hands():
    third = math.log(2.0)
    assert moved_weight(torch.zeros(2), torch.tensor([third, 0.0])).item() == pytest.approx(2 / 3 - 1 / 2)
    assert moved_weight(CONTENT, torch.full((2, 3), 5.0)).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert moved_weight(torch.zeros(2), torch.tensor([100.0, 0.0])).item() == pytest.approx(0.5)


def test_additive_logit_figure_draws_both_logits_and_the_weights_with_and_without_the_state():
    figure = additive_logit_figure(CONTENT, STATE, [50, 1], meant=0)
    content, state, weight, alone = figure.data
    assert list(content.y) == [1, -1, 0]  # minus their mean
    assert list(state.y) == [0.5, 2.0, -0.5]
    assert list(weight.y) == pytest.approx(torch.softmax(CONTENT[0] + STATE[0], dim=0).tolist(), abs=1e-3)
    assert list(alone.y) == pytest.approx(torch.softmax(CONTENT[0], dim=0).tolist(), abs=1e-3)
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range  # logits of both kinds on one scale
    assert [list(bars.marker.color).index(COMBINED) for bars in (content, state, weight)] == [0, 0, 0]
    assert [list(bars.marker.color).count(COMBINED) for bars in (content, state, weight)] == [1, 1, 1]


def test_additive_logit_figure_has_every_level_under_its_slider_from_noise_to_data():
    figure = additive_logit_figure(CONTENT, STATE, [50, 1], meant=2)
    assert [frame.name for frame in figure.frames] == ["50", "1"]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["50", "1"]
    assert list(figure.frames[1].data[0].y) == [2, -1, -1]
    moved = moved_weight(CONTENT, STATE)
    for frame, k, spread, share in zip(figure.frames, (50, 1), STATE.std(dim=1), moved, strict=True):
        assert f"Level {k}:" in frame.layout.title.text
        assert f"of x<sub>k</sub> {spread:.2f}" in frame.layout.title.text
        assert f"moves {share:.0%} of the weight" in frame.layout.title.text
    assert "★3" in figure.layout.xaxis.ticktext
