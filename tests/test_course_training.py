"""What lesson 04 shows of a training: stills, a matrix that sharpens, temperature, and the log of a run."""

import json
import math

import numpy as np
import pytest
import torch

from diffret_core.course import sharpening, stills, training_log
from diffret_core.course.sharpening import Snapshot, sharpening_figure, snapshot_html
from diffret_core.course.temperature_figure import shares_of_push, temperature_figure
from diffret_core.course.training_log import LossCurve, contrastive_curves, losses_figure
from diffret_core.frames import read_frames
from diffret_core.locations import sample_folder
from diffret_core.scenes.drawing import draw_frames
from diffret_core.scenes.splits import SPLITS, split_scenes

# --- stills ----------------------------------------------------------------------------------------------------------


def test_stills_are_means_of_squares_of_what_is_drawn():
    drawn = stills.draw_stills("validation", 2, num_stills=3, side=32)
    assert drawn.shape == (2, 3, 3, 32, 32)
    scene = split_scenes(SPLITS["validation"])[1]
    first = draw_frames(scene)[0].astype(float)  # the first moment of a video does not depend on its length
    assert int(drawn[1, 0, 2, 5, 9]) == round(first[20:24, 36:40, 2].mean())


def test_stills_show_the_videos_of_their_split():
    path = sample_folder() / "videos" / "video9003.mp4"
    in_file = read_frames(path, max_frames=64, frames_per_second=100, image_size=32).frames
    drawn = stills.draw_stills("test", 4, num_stills=2, side=32)[3]
    for mine, theirs in zip(drawn, (in_file[0], in_file[-1]), strict=True):
        assert float((mine.float() - theirs.float()).abs().mean()) < 6  # of 255; the file is compressed


def test_stills_are_shown_with_their_captions_as_text():
    page = stills.stills_html(torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8), ["a <b>", 'a "ring"'])
    assert page.count("<img ") == 6
    assert page.count("a &lt;b&gt;") == 4  # three alternatives and a cell
    assert 'alt="moment 3 of: a &quot;ring&quot;"' in page


# --- the matrix that sharpens ----------------------------------------------------------------------------------------

SIMILARITY = torch.tensor([[0.9, 0.2, 0.0], [0.1, 0.6, 0.2], [-0.1, 0.2, 0.3]])
SNAPSHOTS = [Snapshot(0, 4.2, 1.0, torch.zeros(3, 3)), Snapshot(10, 1.25, 40.0, SIMILARITY)]


def test_snapshot_is_said_in_numbers():
    words = "step 10: loss 1.25; mean similarity of what belongs together 0.60, of what does not 0.10"
    assert f'alt="{words}"' in snapshot_html(SNAPSHOTS[1])
    assert f"<i>{words}</i>" in snapshot_html(SNAPSHOTS[1])


def test_watching_shows_each_snapshot_in_place_of_the_last(monkeypatch):
    calls = []

    class Shown:
        def update(self, content):
            calls.append(("update", content.data))

    def display(content, *, display_id):
        assert display_id
        calls.append(("display", content.data))
        return Shown()

    monkeypatch.setattr(sharpening, "display", display)
    update = sharpening.watch()
    for snapshot in (*SNAPSHOTS, SNAPSHOTS[1]):
        update(snapshot)
    assert [how for how, _ in calls] == ["display", "update", "update"]
    assert "step 10" in calls[-1][1]


def test_sharpening_figure_has_every_snapshot_under_its_slider():
    figure = sharpening_figure(SNAPSHOTS, ["one", "two", "<three>"], ["data:,"] * 3)
    assert [frame.name for frame in figure.frames] == ["0", "10"]
    assert [step.args[0][0] for step in figure.layout.sliders[0].steps] == ["0", "10"]
    last = figure.frames[-1]
    assert list(last.data[0].z[2]) == [-0.1, 0.2, 0.3]
    assert [last.data[1].y[0], last.data[2].y[0]] == [1.25, 40.0]
    first = [figure.data[trace] for trace in last.traces]
    assert [part.type for part in first] == ["heatmap", "scatter", "scatter"]
    assert [list(part.x) for part in first[1:]] == [[10], [10]]  # the marks at the slider, not the curves
    assert figure.layout.sliders[0].active == 1  # it opens at the end of the training
    assert [list(part.x) for part in figure.frames[0].data[1:]] == [[0], [0]]
    assert list(figure.data[0].y) == ["one", "two", "&lt;three&gt;"]
    assert len(figure.layout.images) == 3


def test_sharpening_figure_draws_the_whole_run_beside_the_matrix():
    figure = sharpening_figure(SNAPSHOTS, ["one", "two", "three"])
    assert [list(figure.data[trace].y) for trace in (1, 2)] == [[4.2, 1.25], [1.0, 40.0]]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first text on top


# --- the temperature -------------------------------------------------------------------------------------------------


def test_share_of_push_falls_on_wrong_candidates_by_their_probability():
    row = torch.tensor([0.5, math.log(3.0), 0.0])
    assert shares_of_push(row, 0, 1.0).tolist() == pytest.approx([0, 0.75, 0.25])
    assert shares_of_push(row, 0, 0.0).tolist() == pytest.approx([0, 0.5, 0.5])


def test_temperature_figure_has_every_scale_under_its_slider():
    row = torch.tensor([0.2, 0.9, 0.5])
    figure = temperature_figure(row, 1, (1, 14.3), ["a", "b", "c"])
    assert [frame.name for frame in figure.frames] == ["1", "14.3"]
    probability, share = (np.array(bars.y) for bars in figure.frames[1].data)
    assert probability.sum() == pytest.approx(1, abs=1e-3)
    assert share[1] == 0
    assert share[2] == pytest.approx(1 / (1 + math.exp(-0.3 * 14.3)), abs=1e-4)
    colours = figure.data[1].marker.color
    assert len({*colours}) == 3  # the right one, the hardest wrong one and the rest


# --- the log of a run ------------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path):
    recipe = {
        "pretraining": [{"num_steps": 20, "batch_size": 8}, {"num_steps": 5, "batch_size": 16}],
        "contrastive": {"num_steps": 10, "batch_size": 4, "sentence_weight": 1.0},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    lines = [
        {"stage": "pre-training 1", "step": 10, "loss": math.log(8)},
        {"stage": "pre-training 1", "step": 20, "loss": 5.0},  # interrupted, and resumed from step 10
        {"stage": "pre-training 1", "step": 20, "loss": 0.0},
        {"stage": "pre-training 2", "step": 5, "loss": math.log(16)},
        {"stage": "stage 1", "step": 10, "loss": math.log(4)},
        {"stage": "stage 2", "step": 10, "loss": 9.0},
    ]
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return tmp_path


def test_log_is_read_as_share_of_what_knowing_nothing_costs(run_folder):
    first, second, third = contrastive_curves(run_folder)
    assert first == LossCurve("pre-training 1", [80, 160], pytest.approx([1.0, 0.5]))  # smoothed over the points before
    assert second == LossCurve("pre-training 2", [5 * 16], pytest.approx([1.0]))
    assert third == LossCurve("stage 1", [10 * 4], pytest.approx([0.5]))  # it compares two matrices


def test_log_of_a_run_without_pretraining_is_read(run_folder):
    recipe = json.loads((run_folder / "recipe.json").read_text())
    del recipe["pretraining"], recipe["contrastive"]["sentence_weight"]
    (run_folder / "recipe.json").write_text(json.dumps(recipe))
    assert contrastive_curves(run_folder) == [LossCurve("stage 1", [40], pytest.approx([1.0]))]


def test_smoothing_takes_the_last_few():
    assert training_log._smoothed([6.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx([6, 3, 2, 1.5, 1.2, 0])


def test_curves_differ_by_more_than_colour(run_folder):
    figure = losses_figure(contrastive_curves(run_folder), LossCurve("yours", [10, 20], [1.1, 0.9]))
    assert [line.name for line in figure.data] == ["pre-training 1", "pre-training 2", "stage 1", "yours"]
    looks = {(line.line.dash, line.mode) for line in figure.data}
    assert len(looks) == 4
    low, high = figure.layout.xaxis.range
    assert low == pytest.approx(1.0)
    assert high > math.log10(160)
