"""`diffret evaluate` at the level of a benchmark: recipes, released checkpoints, tables, seeds, banks, processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmark_layouts import LAYOUTS, make_layout
from pytest import fixture, mark
from tiny_collection import make_collection, tiny_recipe
from tiny_models import released_state_dict, tiny_retriever

from diffret_core.checkpoints import save_checkpoint
from diffret_core.cli.main import main
from diffret_core.config import DIRECTIONS
from diffret_core.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
BANKED = ["similarity + QB-norm", "combined + QB-norm"]
DUAL = ["similarity + dual softmax", "combined + dual softmax"]


def small_model(**changes):
    return tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16, **changes)


@fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_model")
    save_checkpoint(folder, small_model())
    return folder


@fixture(scope="module")
def own(tmp_path_factory):
    """A collection of one's own, laid out like MSR-VTT."""
    return make_collection(tmp_path_factory.mktemp("evaluate") / "data")


@fixture(scope="module")
def benchmark(tmp_path_factory):
    return make_layout("msrvtt", tmp_path_factory.mktemp("evaluate") / "msrvtt")


@fixture
def small_recipe(monkeypatch):
    """The recipe msrvtt with a model of the size of `small_model`."""
    monkeypatch.setitem(RECIPES, "msrvtt", lambda: tiny_recipe(name="msrvtt"))


@fixture
def released(tmp_path):
    torch.save(released_state_dict(small_model(mode="reference")), tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


def document(capsys, *arguments):
    status = main(["evaluate", "--json", "--device", "cpu", *map(str, arguments)])
    said = capsys.readouterr()
    assert status == 0, said.err
    return json.loads(said.out), said.err


def complaint(capsys, *arguments):
    assert main(["evaluate", "--device", "cpu", *map(str, arguments)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return [line for line in said.err.splitlines() if line.startswith("diffret ")][-1]


def test_rows_of_a_bank_come_with_the_bank_they_are_of(own, model_folder, capsys):
    found, said = document(capsys, "--data", own, "--model", model_folder)
    assert "video queries have no bank" in said and "--video-bank N encodes N training videos" in said
    assert set(BANKED) <= set(found["text_to_video"]) and not set(BANKED) & set(found["video_to_text"])
    assert found["protocol"]["query_bank"] == {"beta": 20.0, "text_to_video": 16}
    assert all(found[direction][name]["transductive"] for direction in DIRECTIONS for name in DUAL)
    found, said = document(capsys, "--data", own, "--model", model_folder, "--video-bank", 5, "--bank", 3, "--beta", 9)
    assert all(set(BANKED) <= set(found[direction]) for direction in DIRECTIONS)
    assert found["protocol"]["query_bank"] == {"beta": 9.0, "text_to_video": 3, "video_to_text": 5}
    found, said = document(capsys, "--data", own, "--model", model_folder, "--bank", 0)
    assert all(list(found[direction]) == ["similarity", "generator", "combined"] for direction in DIRECTIONS)


def test_bank_holds_no_caption_of_the_gallery(benchmark, model_folder, capsys):
    """The list 9k holds the validation videos too."""
    options = ["--data", benchmark, "--model", model_folder]
    sizes = {split: document(capsys, "--split", split, *options)[0] for split in ("test", "validation")}
    sizes = {split: one["protocol"]["query_bank"]["text_to_video"] for split, one in sizes.items()}
    assert sizes == {"test": 2 * (8 + 4), "validation": 2 * 8}


def test_seeds_of_the_noise_change_what_is_generated_and_nothing_else(own, model_folder, capsys):
    options = ["--data", own, "--model", model_folder, "--bank", 0]
    single = [document(capsys, "--seed", seed, *options)[0] for seed in (5, 6, 7)]
    found = document(capsys, "--seed", 5, "--num-seeds", 3, *options)[0]
    assert found["protocol"]["seeds"] == [5, 6, 7]
    for direction in DIRECTIONS:
        assert "over_seeds" not in found[direction]["similarity"]
        for method in ("generator", "combined"):
            mean = found[direction][method].pop("over_seeds")["mean"]["mean_rank"]
            assert mean == pytest.approx(sum(one[direction][method]["mean_rank"] for one in single) / 3)
        assert found[direction] == single[0][direction]


def test_markdown_has_every_row_of_the_json_and_says_what_was_measured(own, model_folder, tmp_path, capsys):
    path = tmp_path / "table.md"
    found, _ = document(capsys, "--data", own, "--model", model_folder, "--num-seeds", 2, "--markdown", path)
    text = path.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")][2:]
    expected = [
        [direction.replace("_", "-"), name + (" (transductive)" if "transductive" in one else "")]
        for direction in DIRECTIONS
        for name, one in found[direction].items()
    ]
    assert [row[:2] for row in rows] == expected
    one = found["text_to_video"]["combined"]
    low, high = one["R@1_interval"]
    shown = [f"{one[name]:.1f}" for name in ("R@5", "R@10", "median_rank")]
    numbers = [f"{one['R@1']:.1f}", f"{low:.1f} to {high:.1f}", *shown, f"{one['mean_rank']:.2f}", "4"]
    assert next(row for row in rows if row[1] == "combined")[2:] == numbers
    for said in (
        "4 texts, 4 videos; no video is left out",
        "no published size is known",
        f"model: {model_folder} in default mode",
        "metrics: corrected (one rank per query",
        "seeds of the noise: 0, 1",
        "16 training captions, 0 training videos",
        "text-to-video combined over 2 seeds of the noise, mean ± standard deviation: R@1",
        "uses the other test queries",
    ):
        assert said in text
    assert "published (" not in text and found["published"] == {}


def test_published_figures_stand_beside_the_benchmarks_and_are_marked(
    benchmark, small_recipe, model_folder, tmp_path, capsys
):
    path = tmp_path / "table.md"
    options = ["--recipe", "msrvtt", "--any-size", "--data", benchmark, "--model", model_folder, "--markdown", path]
    found, _ = document(capsys, *options)
    assert found["published"]["text_to_video"]["published (paper), not ours"]["R@1"] == 49.0
    assert not any("published" in name for direction in DIRECTIONS for name in found[direction])
    text = path.read_text(encoding="utf-8")
    assert "| text-to-video | *published (paper), not ours* | 49.0 |  | 75.2 | 82.7 | 2.0 | 12.10 |  |" in text
    assert "| text-to-video | *published (CLIP, zero-shot), not ours* | 31.1 |  | - | - | - | - |  |" in text
    assert "not the published msrvtt of" in text and "test has 4 videos, expected 1000" in text
    assert "published figures" in text.lower()
    assert document(capsys, *options, "--split", "validation")[0]["published"] == {}


@mark.parametrize("name", LAYOUTS)
def test_every_benchmark_is_measured_by_its_recipe(name, tmp_path, model_folder, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, name, lambda: tiny_recipe(name=name, collection=name))
    folder = make_layout(name, tmp_path / name)
    found, _ = document(capsys, "--recipe", name, "--any-size", "--data", folder, "--model", model_folder)
    assert (found["protocol"]["collection"], found["protocol"]["num_videos"]) == (name, 4)
    assert set(BANKED) <= set(found["text_to_video"])
    assert all("published (paper), not ours" in found["published"][direction] for direction in DIRECTIONS)


def test_recipe_demands_the_published_numbers(benchmark, small_recipe, model_folder, capsys):
    options = ["--recipe", "msrvtt", "--data", benchmark, "--model", model_folder]
    said = complaint(capsys, *options)
    assert "msrvtt: not as published" in said and "--any-size" in said
    assert "recipe msrvtt is for msrvtt, not for msvd" in complaint(capsys, *options, "--collection", "msvd")


def test_recipe_without_a_model_takes_that_of_its_run(benchmark, small_recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--recipe", "msrvtt", "--any-size", "--data", benchmark, "--bank", 0]
    assert "runs/msrvtt: no checkpoint here" in complaint(capsys, *options)
    save_checkpoint(tmp_path / "runs" / "msrvtt", small_model())
    assert document(capsys, *options)[0]["protocol"]["model"] == "runs/msrvtt"


@mark.parametrize("mode", ["reference", "default"])
def test_released_checkpoint_is_measured_as_its_recipe_says(benchmark, small_recipe, released, mode, capsys):
    options = ["--released", released, "--recipe", "msrvtt", "--any-size", "--data", benchmark, "--bank", 0]
    found, _ = document(capsys, *options, *([] if mode == "reference" else ["--mode", mode]))
    assert (found["protocol"]["mode"], found["protocol"]["model"]) == (mode, str(released))
    assert found["protocol"]["scoring"]["num_candidates"] == 3  # the recipe's
    found, _ = document(capsys, *options, "--set", "model.scoring.num_candidates=2", "--metrics", "reference")
    assert found["protocol"]["scoring"]["num_candidates"] == 2
    assert found["protocol"]["metrics"] == "reference"


def test_released_checkpoint_of_another_recipe_is_refused_in_one_line(benchmark, released, capsys):
    said = complaint(capsys, "--released", released, "--recipe", "msrvtt", "--any-size", "--data", benchmark)
    assert "pytorch_model.bin: its clip.embed_dim is 64, the recipe's is 512; choose the recipe" in said


def test_released_metrics_differ_where_videos_have_several_captions(tmp_path, model_folder, capsys):
    folder = make_layout("msvd", tmp_path / "msvd")
    options = ["--collection", "msvd", "--data", folder, "--model", model_folder, "--bank", 0]
    ours, released = (document(capsys, *options, "--metrics", name)[0] for name in ("corrected", "reference"))
    assert ours["text_to_video"]["similarity"]["mean_rank"] != released["text_to_video"]["similarity"]["mean_rank"]
    assert "R@1_gain" in ours["text_to_video"]["combined"] and "R@1_gain" not in released["text_to_video"]["combined"]


def test_two_processes_print_once_what_one_prints(own, model_folder, capsys):
    options = ["--data", own, "--model", model_folder, "--num-seeds", 2, "--video-bank", 3]
    expected, _ = document(capsys, *options)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "diffret_core", "evaluate", "--json", "--device", "cpu", *map(str, options)]
    done = subprocess.run(
        [*launcher, *command], env={**os.environ, **variables}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
