"""`diffret train --dry-run`, and what `diffret train` refuses before any work."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmark_layouts import make_layout
from test_cli import only_line
from test_plans import COUNTS, CPU, SMALL
from tiny_collection import make_collection, tiny_recipe

from diffret_core.cli.dry_run import duration
from diffret_core.cli.main import main
from diffret_core.datasets import Counts, SplitCounts, read_collection
from diffret_core.locations import ROOT
from diffret_core.plans import make_plan, refusals, refuse_slow_device, refuse_without_room, room
from diffret_core.recipes import PUBLISHED, RECIPES, first_counts, recipe
from diffret_core.training.run import train

OUTPUT = Path("/nowhere/run")


@pytest.fixture
def small(monkeypatch):
    """A recipe of the name of a benchmark, as small as can be."""
    monkeypatch.setitem(RECIPES, "msrvtt", lambda seed=None: SMALL)
    return ["train", "--recipe", "msrvtt", "--device", "cpu"]


def test_dry_run_needs_no_data_and_leaves_nothing(small, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*small, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "as published, since no --data is given: stage 1 8503 videos, 170060 captions" in said
    assert "decoding: not in here" in said
    assert "stage 1: 4 steps of 8 pairs" in said and "stage 2: 8 steps of 8 pairs" in said
    assert list(tmp_path.iterdir()) == []


def test_dry_run_without_data_refuses_a_split_of_which_it_knows_no_numbers(small, capsys):
    assert main([*small, "--dry-run", "--protocol", "7k"]) == 1
    assert "--protocol needs --data" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize("name", PUBLISHED)
def test_page_on_reproducing_counts_the_frames_that_go_to_disk(name):
    counts, model = PUBLISHED[name], recipe(name).model
    train, validation = counts.train.num_videos, counts.validation.num_videos
    size = (train + validation) * model.max_frames * 3 * model.clip["vision_cfg"]["image_size"] ** 2 / 1e9
    row = next(row for row in (ROOT / "docs" / "reproducing.md").read_text().splitlines() if f"| `{name}` | (" in row)
    assert f"({train:,} + {validation:,}) x {model.max_frames}: {size:.3g} GB" in row


def test_dry_run_measures_on_the_data_that_are_given(small, tmp_path, capsys):
    folder = make_layout("msrvtt", tmp_path / "data")
    assert main([*small, "--dry-run", "--json", "--data", str(folder), "--output", str(tmp_path / "run")]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["sizes"]["first_stage_videos"] == 8 and plan["sizes"]["second_stage_captions"] == 16
    assert plan["seconds_to_decode"] > 0
    assert [stage["name"] for stage in plan["stages"]] == ["stage 1", "stage 2"]
    assert plan["disk_bytes"] == sum(plan["disk"].values())
    peaks = [stage["memory"]["device_bytes"] for stage in plan["stages"]] + [plan["validation"]["device_bytes"]]
    assert plan["device_bytes"] == max(peaks)
    assert plan["stages"][0]["step"].keys() == {"seconds", "is_measured"}
    assert plan["free_disk_bytes"] > 0
    assert not (tmp_path / "run").exists()


def test_one_of_several_processes_speaks(small, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert main([*small, "--dry-run"]) == 0
    assert capsys.readouterr().out == ""


def test_json_without_a_dry_run_is_refused(small, capsys):
    assert main([*small, "--json"]) == 1
    assert "--json goes with --dry-run" in only_line(capsys.readouterr().err)


def test_rehearsal_is_planned_on_its_first_videos():
    assert first_counts(PUBLISHED["msrvtt"]).train == SplitCounts(32, 640)
    assert first_counts(Counts(*[SplitCounts(8, 16)] * 3)).train == SplitCounts(8, 16)


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.21, "3.21 s"), (600.0, "10 min"), (36e3, "10 h"), (864e5, "1,000 days")]
)
def test_times_are_said_in_the_unit_in_which_they_are_read(seconds, said):
    assert duration(seconds) == said


# refusals


def with_free(monkeypatch, *, memory=2**50, disk=2**50):
    monkeypatch.setattr(refusals, "free_memory", lambda device: memory)
    monkeypatch.setattr(refusals, "free_disk", lambda folder: disk)


@pytest.fixture
def plan():
    return make_plan(SMALL, PUBLISHED["msrvtt"], CPU, count_steps=False)


def test_too_little_memory_is_refused_with_the_moment_that_needs_it(plan, monkeypatch):
    with_free(monkeypatch, memory=plan.device_bytes)
    refusals.refuse_too_little_memory(plan, CPU)
    with_free(monkeypatch, memory=plan.device_bytes - 1)
    most = r"\(stage 2, a step\)"
    with pytest.raises(ValueError, match=rf"recipe msrvtt needs [\d.]+ GB of memory on cpu {most}, and .* are free"):
        refusals.refuse_too_little_memory(plan, CPU)


def test_memory_of_the_host_is_looked_at_beside_that_of_a_gpu(monkeypatch):
    cuda = torch.device("cuda")
    plan = make_plan(SMALL, PUBLISHED["msrvtt"], cuda, count_steps=False)
    free = {"cuda": plan.device_bytes, "cpu": plan.host_bytes}
    monkeypatch.setattr(refusals, "free_memory", lambda device: free[device.type])
    refusals.refuse_too_little_memory(plan, cuda)
    free["cpu"] -= 1
    with pytest.raises(ValueError, match="GB of the machine's memory beside that of cuda"):
        refusals.refuse_too_little_memory(plan, cuda)


def test_too_little_disk_is_refused_but_for_what_is_there_already(plan, tmp_path, monkeypatch):
    needed = sum(plan.disk.values())
    with_free(monkeypatch, disk=needed)
    refusals.refuse_too_little_disk(plan, tmp_path / "run")
    with_free(monkeypatch, disk=needed - 4096)
    with pytest.raises(OSError, match=r"run: recipe msrvtt writes [\d.]+ GB there \(decoded frames .* are free"):
        refusals.refuse_too_little_disk(plan, tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "frames.bin").write_bytes(os.urandom(8192))
    refusals.refuse_too_little_disk(plan, tmp_path / "run")


def test_free_room_is_that_of_the_place(tmp_path):
    assert room.free_disk(tmp_path / "not" / "yet") == pytest.approx(room.free_disk(tmp_path), rel=0.01)
    free = room.free_memory(CPU)
    assert free is None or 10**8 < free < 10**15


@pytest.mark.parametrize(("memory", "disk"), [(10**6, 2**50), (2**50, 10**6)], ids=["memory", "disk"])
def test_train_refuses_before_it_reads_a_video(tmp_path, monkeypatch, capsys, memory, disk):
    with_free(monkeypatch, memory=memory, disk=disk)
    monkeypatch.setitem(RECIPES, "few_steps", lambda seed=None: tiny_recipe())
    command = ["train", "--recipe", "few_steps", "--device", "cpu", "--data", str(make_collection(tmp_path / "data"))]
    assert main([*command, "--output", str(tmp_path / "run")]) == 1
    assert "GB are free" in only_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_steps_of_a_large_model_are_counted_and_those_of_a_small_one_are_not(monkeypatch):
    asked = []

    def watching(*arguments, count_steps, **options):
        asked.append(count_steps)
        return make_plan(*arguments, count_steps=False, **options)

    monkeypatch.setattr(refusals, "make_plan", watching)
    with_free(monkeypatch)
    refuse_without_room(SMALL, COUNTS, CPU, OUTPUT)
    refuse_without_room(recipe("msrvtt"), COUNTS, CPU, OUTPUT)
    assert asked == [False, True]


def test_benchmark_on_a_processor_is_refused_unless_asked_for():
    with pytest.raises(ValueError, match="no GPU was found, and recipe msrvtt takes weeks .* --device cpu insists"):
        refuse_slow_device(recipe("msrvtt"), "auto", CPU)
    refuse_slow_device(recipe("msrvtt"), "cpu", CPU)
    refuse_slow_device(recipe("msrvtt"), "auto", torch.device("cuda"))
    refuse_slow_device(recipe("tiny"), "auto", CPU)


def test_train_refuses_a_benchmark_where_no_gpu_is_found(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["train", "--recipe", "msrvtt", "--any-size", "--data", str(make_layout("msrvtt", tmp_path / "data"))]
    assert main([*command, "--output", str(tmp_path / "run")]) == 1
    assert "no GPU was found" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_be_had_stop_a_run_before_videos_are_decoded(tmp_path):
    collection = read_collection("msrvtt", make_layout("msrvtt", tmp_path / "data"), hold_out_validation=True)
    chosen = replace(SMALL, clip_name="ViT-B-32-quickgelu", pretrained="/nowhere/weights.bin")
    told = []
    with pytest.raises(ValueError, match="ViT-B-32-quickgelu: weights '/nowhere/weights.bin' could not be loaded"):
        train(chosen, collection, tmp_path / "run", listen=lambda what, *_: told.append(what))
    assert told == [] and not (tmp_path / "run" / "frames").exists()
