"""A run that is killed, not interrupted: nothing of the process is left to tidy up."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from killed_run import recipe_of
from tiny_collection import make_collection

from diffret_core.checkpoints import load_checkpoint
from diffret_core.datasets import read_collection
from diffret_core.folder_lock import alone_in
from diffret_core.training.run import train
from diffret_core.training.run_folder import trim_log

TESTS = Path(__file__).resolve().parent


def start(data, output, num_steps):
    paths = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(TESTS / "killed_run.py"), str(data), str(output), str(num_steps)]
    return subprocess.Popen(program, env=environment)


def run_and_kill(data, output, num_steps, draw):
    """Let a run go on until something new stands in its folder, then a random while, then kill it; True if it ended."""
    before = written(output)
    process = start(data, output, num_steps)
    while process.poll() is None and written(output) == before:
        time.sleep(0.002)
    deadline = time.monotonic() + draw.uniform(0, 0.3)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait(timeout=60) == 0


def written(output):
    """Names and sizes of files; what a kill left half written has a hidden name."""
    files = [path for path in output.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return sorted((path.name, path.stat().st_size) for path in files)


def assert_killed_run_ends_alike(folder, draw, *, num_steps, num_kills):
    data, output, undisturbed = make_collection(folder / "data"), folder / "run", folder / "undisturbed"
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    train(recipe_of(num_steps), collection, undisturbed)
    killed = 0
    while killed < num_kills and not run_and_kill(data, output, num_steps, draw):
        killed += 1
    assert killed == num_kills, "the run ended before it was killed as often as that"
    assert start(data, output, num_steps).wait(timeout=300) == 0
    expected, found = (load_checkpoint(one).state_dict() for one in (undisturbed, output))
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert [name for name, _ in written(output)] == [name for name, _ in written(undisturbed)]
    whole, resumed = ([{**line, "seconds": None} for line in log_of(one)] for one in (undisturbed, output))
    assert resumed == whole


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_killed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    assert_killed_run_ends_alike(tmp_path, random.Random(0), num_steps=4, num_kills=3)


def test_log_loses_steps_that_are_taken_again_and_half_a_line(tmp_path):
    lines = [{"stage": stage, "step": step} for stage in ("stage 1", "stage 2") for step in (1, 2, 3)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "sta')
    trim_log(tmp_path, "stage 2", 1)
    assert log_of(tmp_path) == lines[:4]
    trim_log(tmp_path / "nothing there", "stage 2", 1)


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with (
        alone_in(tmp_path, "trains in this folder"),
        pytest.raises(ValueError, match="another process trains in this folder"),
        alone_in(tmp_path, "trains in this folder"),
    ):
        pass
    with alone_in(tmp_path, "trains in this folder"):
        pass


def test_what_a_killed_process_has_half_written_is_removed(tmp_path):
    for name in (".weights.safetensors.abc", ".recipe.json.x1", "weights.safetensors", "log.jsonl"):
        (tmp_path / name).touch()
    with alone_in(tmp_path, "trains in this folder"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "weights.safetensors"]


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(PermissionError, match="file/run: cannot be made"),
        alone_in(tmp_path / "file" / "run", "trains"),
    ):
        pass
