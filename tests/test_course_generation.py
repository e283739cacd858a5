"""What lesson 07 shows of the generator's training: two losses, rows of videos, the loss by level, and arms."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from diffret_core.course import loss_by_level
from diffret_core.course.arms import beside_seeds, gains_of_arms, named_rows
from diffret_core.course.gains_figure import Gain, gains_figure
from diffret_core.course.loss_by_level import LevelLoss, live_html, loss_by_level_figure
from diffret_core.course.style import COMBINED, QUIET
from diffret_core.course.two_losses_figure import cases_figure, pulls_of, saturation_figure
from diffret_core.course.video_rows import Playing, video_rows_html
from diffret_core.locations import sample_folder
from diffret_core.tensor_files import read_json, write_json

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import sample_weights  # noqa: E402

# --- two losses ------------------------------------------------------------------------------------------------------

ESTIMATE = torch.tensor([0.30, 0.28, 0.10])


def test_pulls_are_minus_the_gradients_of_both_losses():
    moved, right = ESTIMATE[None].clone().requires_grad_(), torch.tensor([[1.0, 0.0, 0.0]])
    (of_kl,) = torch.autograd.grad(functional.cross_entropy(20 * moved, torch.zeros(1, dtype=torch.long)), moved)
    (of_mse,) = torch.autograd.grad(functional.mse_loss(moved, right), moved)
    pulls = pulls_of(ESTIMATE, 20)
    torch.testing.assert_close(pulls.kl, -of_kl[0])
    torch.testing.assert_close(pulls.mse, -of_mse[0])


def test_cases_are_under_a_slider_each_with_its_estimate_and_both_pulls():
    figure = cases_figure({"one": ESTIMATE, "two": torch.tensor([1.0, 0.0, 0.0])}, 20)
    assert [frame.name for frame in figure.frames] == ["one", "two"]
    assert [step.args[0][0] for step in figure.layout.sliders[0].steps] == ["one", "two"]
    assert list(figure.data[0].y) == [0.30, 0.28, 0.10]
    assert figure.data[1].y[0] == round(float(pulls_of(ESTIMATE, 20).kl[0]), 3)
    assert list(figure.frames[1].data[2].y) == [0, 0, 0]
    assert {bars.marker.color for bars in figure.data} == {(COMBINED, QUIET, QUIET)}  # the right one alike everywhere


def test_saturation_is_full_when_far_behind_and_gone_when_far_ahead():
    figure = saturation_figure(4, (1, 100))
    divergence, squared = figure.frames[1].data[0], figure.data[1]
    assert (divergence.y[0], divergence.y[-1]) == (1, 0)
    assert divergence.y[len(divergence.y) // 2] == pytest.approx(0.75, abs=1e-3)  # all four equal: 1 - 1/4 is left
    assert (squared.y[0], squared.y[-1]) == (1, 0)
    assert squared.y[len(squared.y) // 2] == pytest.approx(0.5, abs=1e-3)  # half of the way


# --- rows of videos --------------------------------------------------------------------------------------------------


def test_video_rows_play_with_their_captions_as_text():
    path = sample_folder() / "videos" / "video9003.mp4"
    page = video_rows_html({"near <it>": [Playing(path, 'a "ring"', "0.61", own=True), Playing(path, "b", "0.5")]})
    assert page.count("<img ") == page.count("data:image/webp") == 2
    assert "near &lt;it&gt;" in page
    assert 'alt="a &quot;ring&quot;"' in page
    assert page.count("4px solid") == 1


# --- the loss by level -----------------------------------------------------------------------------------------------

BANDS = ["1 to 2", "3 to 4"]
SNAPSHOTS = [LevelLoss(0, [8.0, 10.0], [9.0, 11.0]), LevelLoss(50, [0.2, 1.0], [0.5, 2.0])]


def test_live_losses_are_said_in_numbers_most_noise_first():
    page = live_html(SNAPSHOTS[1], BANDS)
    assert "step 50: mean loss 1.25 on validation, 0.60 on its own training queries (sample collection)" in page
    assert page.index("levels 3 to 4") < page.index("levels 1 to 2")
    assert "width:100px" in page


def test_watching_shows_the_newest_losses_in_place_of_the_last(monkeypatch):
    calls = []

    class Shown:
        def update(self, content):
            calls.append(("update", content.data))

    def display(content, *, display_id):
        assert display_id
        calls.append(("display", content.data))
        return Shown()

    monkeypatch.setattr(loss_by_level, "display", display)
    update = loss_by_level.watch(BANDS)
    for one in SNAPSHOTS:
        update(one)
    assert [how for how, _ in calls] == ["display", "update"]
    assert "step 50" in calls[-1][1]


def test_losses_run_from_noise_to_data_under_a_slider_over_steps():
    figure = loss_by_level_figure(SNAPSHOTS, BANDS, nothing=math.log(32), reference=[0.3, 0.9])
    assert [frame.name for frame in figure.frames] == ["0", "50"]
    assert list(figure.frames[1].data[0].x) == ["3 to 4", "1 to 2"]
    assert list(figure.frames[1].data[0].y) == [2.0, 0.5]  # unseen
    assert list(figure.frames[1].data[1].y) == [1.0, 0.2]  # own
    assert list(figure.data[3].y) == [0.9, 0.3]  # the reference does not move
    assert list(figure.data[4].y) == [10.0, 1.25]
    assert figure.layout.shapes[0].y0 == pytest.approx(3.466, abs=1e-3)
    assert figure.layout.annotations[2].y == pytest.approx(math.log10(3.466), abs=1e-3)  # a logarithmic axis


# --- arms ------------------------------------------------------------------------------------------------------------


def arm(gain: float, interval: tuple[float, float] = (-1.0, 3.0)) -> dict:
    combined = {"R@1": 80 + gain, "R@1_gain": gain, "R@1_gain_interval": list(interval)}
    one = {"similarity": {"R@1": 80.0}, "generator": {"R@1": 79.0}, "combined": combined}
    return {"what": "an arm", "test": {"text_to_video": one, "video_to_text": one}}


def test_gains_are_those_of_the_arms_by_direction():
    gains = gains_of_arms({"seed1": arm(1.0, (0.0, 2.5))})
    assert gains == {words: {"seed1": Gain(1.0, 0.0, 2.5)} for words in ("text to video", "video to text")}
    assert str(Gain(1.0, 0.0, 2.5)) == "+1.0 (0.0 to 2.5)"


def test_rows_of_gains_say_what_stage_2_was_taught_with_and_run_is_named_that_has_no_words():
    gains = gains_of_arms({"own_videos": arm(-0.5), "seed2": arm(2.2), "seed1": arm(1.0), "raw": arm(0.3)})
    assert list(named_rows(gains))[:4] == [
        "text to video: new videos (shipped)",
        "text to video: new videos, seed 2",
        "text to video: stage 1's videos",
        "text to video: raw",
    ]
    assert named_rows(gains)["video to text: stage 1's videos"].points == -0.5


def test_a_run_is_said_beside_the_range_of_the_seeds():
    gains = gains_of_arms({"seed1": arm(1.0), "own_videos": arm(-0.5)})
    assert beside_seeds(gains, "own_videos")[0] == "text to video: -0.5 points; new videos +1.0, one seed only"
    gains["video to text"]["seed2"] = Gain(2.2, 1.0, 3.0)
    assert beside_seeds(gains, "own_videos")[1] == "video to text: -0.5 points; new videos +1.0 to +2.2 with 2 seeds"


def test_a_run_that_is_not_there_is_said_to_be_missing():
    assert beside_seeds(gains_of_arms({"seed1": arm(1.0)}), "one_view") == [
        f"{words}: one_view is not among the runs that come with this copy"
        for words in ("text to video", "video to text")
    ]


def test_gains_are_drawn_with_their_intervals_and_a_line_at_nothing():
    figure = gains_figure("gain", {"a": Gain(1.0, -0.5, 2.5), "b": Gain(3.0, 2.0, 4.0)}, across="points")
    assert list(figure.data[0].x) == [-0.5, 2.5]
    assert list(figure.data[2].x) == [1.0, 3.0]
    assert figure.layout.shapes[0].x0 == 0
    assert figure.layout.xaxis.range[0] < -0.5
    assert figure.layout.xaxis.range[1] > 4


def test_arms_are_written_from_the_runs_that_are_finished(tmp_path):
    runs, folder = tmp_path / "runs", tmp_path / "samples"
    shipped = read_json(sample_folder() / "model" / "results.json")
    write_json(folder / "model" / "results.json", shipped)
    (runs / "own_videos").mkdir(parents=True)
    write_json(runs / "own_videos" / "results.json", shipped | {"what": "own"})
    (folder / "MANIFEST.json").write_text(json.dumps({"files": {}}))
    assert sample_weights.write_arms(folder, runs) == ["seed1", "own_videos"]
    arms = read_json(folder / "model" / "arms.json")
    assert arms["own_videos"]["what"] == "own"
    combined = arms["seed1"]["test"]["video_to_text"]["combined"]
    assert set(combined) == {"R@1", "R@1_gain", "R@1_gain_interval"}
    assert combined["R@1_gain"] == shipped["test"]["video_to_text"]["combined"]["R@1_gain"]


def test_arms_in_git_hold_what_the_shipped_model_reached():
    arms = read_json(sample_folder() / "model" / "arms.json")
    shipped = read_json(sample_folder() / "model" / "results.json")
    for direction, found in arms["seed1"]["test"].items():
        assert found["combined"]["R@1"] == shipped["test"][direction]["combined"]["R@1"]


def test_gains_of_other_seeds_in_lesson_07_are_those_of_the_results():
    root = Path(__file__).resolve().parent.parent
    told = (root / "docs" / "results.md").read_text(encoding="utf-8")
    code = (root / "notebooks" / "py" / "07_generation_training.py").read_text(encoding="utf-8")
    for seed in (2, 3):
        of_seed = [re.findall(rf'"seed{seed}": Gain\((\S+), (\S+), (\S+?)\)', line) for line in code.splitlines()]
        both = [f"+{points} ({low} to {high})" for found in of_seed for points, low, high in found]
        assert len(both) == 2
        assert f"| {', '.join(both)} |" in told
