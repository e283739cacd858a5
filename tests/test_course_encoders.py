"""Figures of notebook 02: they show the numbers that they are given, and say nothing that is markup."""

import pytest
import torch

from diffret_core.course.grid_figure import contrast, grid_figure
from diffret_core.course.nearest_figure import OWN, nearest_figure
from diffret_core.course.shares_figure import Share, share_right, shares_figure

FRAMES = torch.randint(256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
CAPTIONS = ["a star spins", "a <b>red</b> ring", "a moon grows", "a heart rests"]
COSINE = torch.tensor([[0.1, 0.9, -0.2, 0.5], [0.8, 0.3, 0.6, 0.4]])

# --- grids -----------------------------------------------------------------------------------------------------------


def test_contrast_is_the_distance_to_the_mean_region_worked_by_hand():
    features = torch.tensor([[[0.0, 0.0], [0.0, 4.0]]])  # mean 1: distances 1, 1, 1, 3
    assert contrast(features).tolist() == [[pytest.approx(1 / 3), pytest.approx(1 / 3)], [pytest.approx(1 / 3), 1.0]]


def test_contrast_of_equal_regions_is_zero():
    assert contrast(torch.ones(5, 3, 3)).tolist() == [[0.0] * 3] * 3


def test_grid_figure_has_a_frame_per_part_with_its_lines_and_its_numbers():
    figure = grid_figure(FRAMES[0], {"pixels": torch.rand(3, 32, 32), "end": torch.arange(8.0).reshape(2, 2, 2)})
    assert [frame.name for frame in figure.frames] == ["pixels", "end"]
    assert list(figure.frames[0].data[1].x) == []  # a fine grid would hide the picture
    assert list(figure.frames[1].data[1].x) == [0.5, 0.5, None, 0, 1, None]
    assert "2 × 2 = 4 regions, 2 numbers each" in figure.frames[1].layout.title.text
    assert len(figure.layout.sliders[0].steps) == 2


def test_grid_figure_draws_the_top_of_the_frame_on_top():
    features = torch.zeros(1, 2, 2)
    features[0, 0, 1] = 1  # top right
    drawn = grid_figure(FRAMES[0], {"end": features}).data[0]
    assert drawn.z[1][1] == 1.0  # plotly counts rows from below
    assert drawn.z[0][0] < 1.0


# --- captions near a frame -------------------------------------------------------------------------------------------


def test_nearest_figure_shows_the_best_captions_of_each_frame_in_order():
    figure = nearest_figure(FRAMES, [0.0, 0.25], CAPTIONS, COSINE, own=3, num_shown=3)
    assert [frame.name for frame in figure.frames] == ["0.00 s", "0.25 s"]
    assert list(figure.frames[1].data[0].text) == ["a star spins", "a moon grows", f"{OWN}a heart rests"]
    assert list(figure.frames[1].data[0].x) == pytest.approx([0.8, 0.6, 0.4])


def test_nearest_figure_tells_the_place_of_the_own_caption():
    figure = nearest_figure(FRAMES, [0.0, 0.25], CAPTIONS, COSINE, own=3, num_shown=2)
    assert "place 2 of 4" in figure.layout.title.text
    assert "place 3 of 4" in figure.frames[1].layout.title.text


def test_nearest_figure_takes_captions_as_plain_text():
    figure = nearest_figure(FRAMES, [0.0, 0.25], CAPTIONS, COSINE, own=0, num_shown=2)
    assert figure.data[0].text[0] == "a &lt;b&gt;red&lt;/b&gt; ring"


# --- shares ----------------------------------------------------------------------------------------------------------


def test_share_is_counted_in_percent_within_its_interval():
    share = share_right(torch.tensor([True, True, False, True]))
    assert share.percent == 75.0
    assert 0 <= share.low < 75 < share.high <= 100
    assert str(Share(75.0, 62.6, 85.4)) == "75 % (63 to 85)"


def test_share_that_is_nearly_all_does_not_read_as_all():
    assert str(Share(99.66, 99.0, 100.0)) == "99.7 % (99 to 100)"
    figure = shares_figure("Right", {"all": Share(100.0, 100.0, 100.0), "nearly all": Share(99.66, 99.0, 100.0)})
    assert {note.text for note in figure.layout.annotations} == {"<b>100</b>", "<b>99.7</b>", "coin toss"}


def test_shares_figure_has_a_dot_and_an_interval_for_each_row():
    figure = shares_figure("Right", {"a": Share(60.0, 50.0, 70.0), "b": Share(99.0, 97.0, 100.0)})
    *lines, dots = figure.data
    assert [list(line.x) for line in lines] == [[50.0, 70.0], [97.0, 100.0]]
    assert list(dots.x) == [60.0, 99.0]
    assert list(figure.layout.yaxis.ticktext) == ["a", "b"]
    assert {note.text for note in figure.layout.annotations} == {"<b>60</b>", "<b>99</b>", "coin toss"}
