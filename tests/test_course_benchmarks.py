"""What lesson 12 needs: a miniature benchmark, figures of looks, intervals, memory and rounding, and guarded steps."""

import sys

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from diffret_core.course import real_run
from diffret_core.course.looks_figure import best_of_looks, looks_figure
from diffret_core.course.miniature import NUM_VIDEOS, damaged_copy, losses_of, make_miniature
from diffret_core.course.needs_figure import needs_figure
from diffret_core.course.published_figure import interval_of, published_figure
from diffret_core.course.rounding_figure import rounding_figure, walk
from diffret_core.datasets import counts_of, read_collection
from diffret_core.doctor import examine, is_healthy
from diffret_core.locations import ROOT, sample_folder
from diffret_core.recipes import recipe, rehearsal

# --- the miniature ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return make_miniature(tmp_path_factory.mktemp("course") / "miniature", read_collection("msrvtt", sample_folder()))


def test_miniature_is_read_as_msr_vtt_with_splits_of_its_own(miniature):
    collection = read_collection("msrvtt", miniature, hold_out_validation=True)
    assert [one.num_videos for one in counts_of(collection)] == list(NUM_VIDEOS.values())
    assert [one.num_captions for one in counts_of(collection)] == list(NUM_VIDEOS.values())
    assert not any(collection.missing_videos(split) for split in ("train", "validation", "test"))
    of_samples = dict(
        reversed([(video, text) for text, video in read_collection("msrvtt", sample_folder()).pairs("test")])
    )
    assert all(of_samples[video] == text for text, video in collection.pairs("train"))


def test_doctor_finds_a_miniature_healthy_and_every_damage_of_a_copy(miniature, tmp_path):
    small = rehearsal(recipe("msrvtt"))
    assert is_healthy(examine(small, annotations=miniature))
    damage = damaged_copy(miniature, tmp_path / "copy")
    found = examine(small, annotations=tmp_path / "copy").videos
    assert found.missing == [damage.missing]
    assert found.empty == [damage.empty]
    assert list(found.unreadable) == [damage.cut]
    assert [damage.doubled in group for group in found.duplicates] == [True]
    assert is_healthy(examine(small, annotations=miniature))  # the copy is one


def test_losses_are_read_by_stage_without_looks(tmp_path):
    lines = ['{"stage": "stage 1", "step": 1, "loss": 2.5}', '{"stage": "stage 1", "step": 1, "validation_R@1": 50.0}']
    lines += ['{"stage": "stage 2", "step": 1, "loss": 1.0}', '{"stage": "stage 2", "step": 2, "loss": 0.5}']
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    assert losses_of(tmp_path) == {"stage 1": [2.5], "stage 2": [1.0, 0.5]}


# --- looks at a test -------------------------------------------------------------------------------------------------


def test_best_of_looks_is_too_high_by_the_largest_of_so_many_normal_numbers():
    best = best_of_looks((1, 2, 100), 0.0, 1.5)
    assert best[1].mean() == pytest.approx(0, abs=0.05) and best[1].std() == pytest.approx(1.5, abs=0.05)
    assert best[2].mean() == pytest.approx(1.5 / np.sqrt(np.pi), abs=0.05)
    assert best[100].mean() == pytest.approx(1.5 * 2.5076, abs=0.05)


def test_looks_that_are_alike_flatter_less_and_are_as_uncertain_each():
    best = best_of_looks((1, 100), 0.75, 1.5)
    assert best[1].std() == pytest.approx(1.5, abs=0.05)
    assert best[100].mean() == pytest.approx(1.5 * 0.5 * 2.5076, abs=0.08)
    same = best_of_looks((1, 100), 1.0, 1.5)
    np.testing.assert_allclose(same[100], same[1])


def test_looks_are_drawn_under_a_slider_beside_a_single_one():
    best = {"apart": best_of_looks((1, 5), 0.0, 1.0), "alike": best_of_looks((1, 5), 0.9, 1.0)}
    figure = looks_figure(best, 1.0)
    assert [frame.name for frame in figure.frames] == steps_of(figure) == ["1", "5"]
    assert [line.name for line in figure.data] == ["one look", "apart", "alike"]
    assert figure.frames[1].traces == (1, 2)
    assert sum(figure.frames[1].data[0].y) == pytest.approx(1, abs=0.01)
    middle = np.average(figure.frames[1].data[0].x, weights=figure.frames[1].data[0].y)
    assert middle == pytest.approx(best["apart"][5].mean(), abs=0.05)
    assert f"apart {best['apart'][5].mean():+.1f}" in figure.frames[1].layout.title.text
    assert figure.layout.sliders[0].active == 1 and figure.data[1] == figure.frames[1].data[0]  # it begins with most


def steps_of(figure: go.Figure) -> list[str]:
    return [step.args[0][0] for step in figure.layout.sliders[0].steps]


# --- published figures -----------------------------------------------------------------------------------------------


def test_interval_is_that_of_a_share():
    low, high = interval_of(48.0, 1000)
    assert (low, high) == pytest.approx((44.90, 51.10), abs=0.01)
    assert np.diff(interval_of(48.0, 4000)) == pytest.approx((high - low) / 2)


def test_published_figures_keep_their_place_while_intervals_shrink():
    figure = published_figure({"one": 46.6, "<other>": 49.0}, (1000, 4000))
    assert [frame.name for frame in figure.frames] == steps_of(figure) == ["1,000", "4,000"]
    assert list(figure.data[1].x) == [46.6, 49.0]
    few, many = (frame.data[0].x for frame in figure.frames)
    assert many[1] - many[0] == pytest.approx((few[1] - few[0]) / 2, abs=0.02)
    assert few[2] is None
    assert list(figure.layout.yaxis.ticktext) == ["one", "&lt;other&gt;"]


# --- disk and memory --------------------------------------------------------------------------------------------------


def test_needs_are_drawn_in_gigabytes_with_their_sums_under_a_slider():
    disk = {"one": {"frames": 10**9}, "<two>": {"frames": 8 * 10**9}}
    memory = {"one": {"captions": 2 * 10**9, "rest": 10**9}, "<two>": {"captions": 4 * 10**9, "rest": 10**9}}
    figure = needs_figure(disk, memory)
    assert [frame.name for frame in figure.frames] == steps_of(figure) == ["one", "<two>"]
    assert list(figure.frames[1].data[0].x) == [8, 4, 1]
    assert list(figure.layout.yaxis.ticktext) == ["disk: frames", "memory: captions", "memory: rest"]
    assert figure.frames[1].layout.title.text == "<b>&lt;two&gt;</b>: 8 GB of disk, 5 GB of memory in stage 2"
    colours = figure.data[0].marker.color
    assert colours[0] != colours[1] == colours[2]


# --- rounding --------------------------------------------------------------------------------------------------------


def test_steps_below_half_the_spacing_are_lost_in_half_precision_only():
    spacing = 2.0**-14  # of half precision next to 0.1
    stuck = walk(0.1, 0.49 * spacing, 50, torch.float16)
    assert set(stuck) == {torch.tensor(0.1).half().item()}
    ahead = walk(0.1, 0.51 * spacing, 50, torch.float16)
    assert ahead[-1] - ahead[0] == pytest.approx(50 * spacing)
    single = walk(0.1, 0.49 * spacing, 50, torch.float32)
    assert single[-1] - single[0] == pytest.approx(50 * 0.49 * spacing, rel=1e-2)


def test_rounding_is_drawn_as_a_share_of_all_steps():
    figure = rounding_figure(0.1, (1e-7, 1e-3), 200)
    assert [frame.name for frame in figure.frames] == steps_of(figure) == ["1e-07", "0.001"]
    lost, kept = (frame.data[1].y[-1] for frame in figure.frames)
    assert lost == 0 and kept == pytest.approx(1, abs=0.05)
    assert figure.frames[0].data[0].y[-1] == pytest.approx(1, abs=0.1)
    assert "0% of the way" in figure.layout.title.text


# --- the real thing --------------------------------------------------------------------------------------------------

DATA = {"DIFFRET_ANNOTATIONS": "A", "DIFFRET_VIDEOS": "V"}


def refuse(command):
    raise AssertionError(f"started {command}")


@pytest.mark.parametrize("name", real_run.STEPS)
def test_step_without_anything_says_in_one_line_what_it_needs_and_costs(name, capsys):
    real_run.run_if_possible(name, {}, num_gpus=0, start=refuse)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith(f"{name}: not run. It needs DIFFRET_")
    assert f"DIFFRET_RUN={name}" in said and "Cost: " in said


@pytest.mark.parametrize(
    ("name", "environment", "num_gpus", "lacking"),
    [
        ("doctor", DATA, 8, "your word, DIFFRET_RUN=doctor."),
        ("doctor", {**DATA, "DIFFRET_RUN": "train"}, 8, "your word, DIFFRET_RUN=doctor."),
        ("train", {**DATA, "DIFFRET_RUN": "train"}, 0, "It needs 1 GPU (here: 0)."),
        ("torchrun", {**DATA, "DIFFRET_RUN": "torchrun"}, 1, "It needs 2 GPUs (here: 1)."),
        ("released", {**DATA, "DIFFRET_RUN": "released"}, 0, "It needs DIFFRET_RELEASED in the environment."),
    ],
)
def test_step_that_lacks_something_does_not_start(name, environment, num_gpus, lacking, capsys):
    real_run.run_if_possible(name, environment, num_gpus=num_gpus, start=refuse)
    assert lacking in capsys.readouterr().out


def started(name, environment, num_gpus=8):
    commands = []
    environment = {**DATA, "DIFFRET_RUN": f"something {name}", **environment}
    real_run.run_if_possible(name, environment, num_gpus=num_gpus, start=lambda one: commands.append(one) or 0)
    (command,) = commands
    assert command[:2] == [sys.executable, "-m"]
    return " ".join(command[2:])


def test_step_that_lacks_nothing_runs_the_command_of_the_documentation():
    assert started("doctor", {}, 0) == "diffret_core doctor --recipe msrvtt --annotations A --videos V"
    assert started("train", {"DIFFRET_RECIPE": "msvd"}, 1) == "diffret_core train --recipe msvd --data A --videos V"
    launcher = "torch.distributed.run --standalone --nproc-per-node=8 -m"
    assert started("torchrun", {}) == f"{launcher} diffret_core train --recipe msrvtt --data A --videos V"
    assert "--recipe msrvtt --model runs/msrvtt --data A --videos V" in started("evaluate", {}, 0)
    assert "--model M " in started("evaluate", {"DIFFRET_MODEL": "M"}, 0)
    assert "--recipe msrvtt --released F --data A --videos V --metrics reference" in started(
        "released", {"DIFFRET_RELEASED": "F"}, 0
    )


def test_commands_are_those_that_the_program_knows(capsys):
    from diffret_core.cli.main import main

    for step in real_run.STEPS.values():
        with pytest.raises(SystemExit):
            main([step.arguments[0], "--help"])
        known = capsys.readouterr().out
        assert [word for word in step.arguments if word.startswith("--") and word not in known] == []


def test_doctor_really_runs_and_a_bad_end_is_said(miniature, capsys):
    data = {"DIFFRET_ANNOTATIONS": str(miniature), "DIFFRET_VIDEOS": str(miniature / "videos")}
    real_run.run_if_possible("doctor", {**data, "DIFFRET_RUN": "doctor", "DIFFRET_RECIPE": "tiny"}, num_gpus=0)
    said = capsys.readouterr().out
    assert "train has 16 videos, expected 8000" in said
    assert said.splitlines()[-1] == "doctor: ended with status 1; what it printed says why"


def test_commands_run_in_the_folder_of_the_project(capsys):
    assert real_run._start([sys.executable, "-c", "import os; print(os.getcwd())"]) == 0
    assert capsys.readouterr().out.strip() == str(ROOT)
