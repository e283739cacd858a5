"""A whole run by torchrun on two processes against the same run in one; and the end of all where one fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_collection import make_collection, tiny_recipe
from tiny_models import tiny_retriever

from diffret_core import processes
from diffret_core.checkpoints import save_checkpoint
from diffret_core.features import VideoFeatures, load_features

TESTS = Path(__file__).resolve().parent


def torchrun(num_processes, *arguments, program=(TESTS / "killed_run.py",), **variables):
    paths = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        **variables,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    command = [*launcher, *map(str, program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("torchrun") / "data")


def test_run_does_not_depend_on_the_number_of_processes(data, tmp_path):
    for num_processes in (1, 2):
        done = torchrun(num_processes, data, tmp_path / str(num_processes), 4)
        assert done.returncode == 0, done.stderr
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()] for name in ("1", "2")
    ]
    assert [(line["stage"], line["step"]) for line in logs[0]] == [(line["stage"], line["step"]) for line in logs[1]]
    said = ("loss", "validation_R@1")
    alone, together = ([line[name] for line in log for name in said if name in line] for log in logs)
    assert together == pytest.approx(alone, rel=1e-4)  # AdamW makes much of the rounding of small gradients
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("1", "2")]
    assert files[0] == files[1]
    num_feature_files = [len(list((tmp_path / name / "stage1" / "features").iterdir())) for name in ("1", "2")]
    assert num_feature_files == [2, 4]  # training and validation videos are dealt out


def test_all_processes_end_with_the_error_of_one(data, tmp_path):
    done = torchrun(2, data, tmp_path / "run", 4, FAIL_IN_PROCESS="1")
    assert done.returncode != 0
    assert "the second process fails" in done.stderr


def test_features_are_dealt_out_and_reported_once(tmp_path):
    data, model = make_collection(tmp_path / "data"), tmp_path / "model"
    save_checkpoint(model, tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16))
    arguments = ("--split", "train", "--data", data, "--model", model, "--device", "cpu", "--json")
    done = torchrun(2, *arguments, program=("-m", "diffret_core", "features"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["splits"]["train"]
    assert (report["num_videos"], report["num_to_encode"], report["num_encoded"]) == (8, 8, 8)
    files = list((data / "features" / "train").iterdir())
    assert [len(load_features(file, VideoFeatures)[1]) for file in files] == [4, 4]


def test_batch_that_cannot_be_dealt_out_is_refused_before_anything_is_computed(data, tmp_path):
    done = torchrun(3, data, tmp_path / "run", 4)
    assert done.returncode != 0
    assert "a batch of 4 cannot be dealt out to 3 processes evenly" in done.stderr
    assert not (tmp_path / "run").exists()


def test_one_process_joins_nothing():
    with processes.joined(torch.device("cpu")) as device:
        assert device == torch.device("cpu") and processes.num_processes() == 1 and processes.is_first()
        with processes.first_goes_first():
            assert processes.from_first({"a": 1}) == {"a": 1}
        assert float(processes.mean_of_all(torch.tensor(2.0, requires_grad=True))) == 2


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(ValueError, match="process 3 of this machine finds 2 GPUs; start one process for each"),
        processes.joined(torch.device("cuda")),
    ):
        pass
