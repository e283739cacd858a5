"""Real processes against one: the same loss, the same gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from first_stage_step import take_step

from diffret_core.processes import all_items, all_rows, average_gradients, num_processes, own_items, own_rows

TESTS = Path(__file__).resolve().parent

WORKER = """
import sys, torch
from torch import distributed, nn
from diffret_core.losses import contrastive_loss
from diffret_core.processes import all_items, all_rows, average_gradients, own_items, own_rows

rank, folder, released = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "released"
meeting = f"file://{folder}/meeting_{sys.argv[3]}"
distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
torch.manual_seed(0)
texts, videos, weight = torch.randn(6, 4), torch.randn(6, 4), nn.Parameter(torch.randn(4, 4))
own = own_rows(texts) @ weight
everything = all_rows(own)
if released:  # gathered values carry no gradient; only the own part does
    others = everything.detach()
    everything = torch.cat([own, others[3:]] if rank == 0 else [others[:3], own])
contrastive_loss(everything @ videos.T, torch.tensor(2.0)).backward()
average_gradients([weight])
assert all_items(own_items(range(5))) == [0, 1, 2, 3, 4] and all_items(own_items([7])) == [7]
assert own_items("abcde") == list(["ace", "bd"][rank])
if rank == 0:
    torch.save({"gradient": weight.grad, "rows": everything.detach()}, f"{folder}/{sys.argv[3]}.pt")
distributed.destroy_process_group()
"""


def run_workers(num_processes, program, *arguments):
    """Run a program in several processes, each told its rank first, and wait for all."""
    path = os.pathsep.join(str(folder) for folder in (TESTS.parent, TESTS))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen([sys.executable, *program, str(rank), *map(str, arguments)], env=environment)
        for rank in range(num_processes)
    ]
    assert [worker.wait(timeout=300) for worker in workers] == [0] * num_processes


def gradient_of_two_processes(folder, kind):
    run_workers(2, ["-c", WORKER], folder, kind)
    return torch.load(folder / f"{kind}.pt", weights_only=True)


def gradient_of_one_process():
    from diffret_core.losses import contrastive_loss

    with torch.random.fork_rng():
        torch.manual_seed(0)
        texts, videos, weight = torch.randn(6, 4), torch.randn(6, 4), torch.randn(4, 4).requires_grad_()
    contrastive_loss(texts @ weight @ videos.T, torch.tensor(2.0)).backward()
    return weight.grad, (texts @ weight).detach()


def test_gradients_do_not_depend_on_the_number_of_processes(tmp_path):
    gradient, rows = gradient_of_one_process()
    found = gradient_of_two_processes(tmp_path, "ours")
    torch.testing.assert_close(found["rows"], rows)
    torch.testing.assert_close(found["gradient"], gradient)


def test_gradients_of_the_released_gather_are_half_the_true_ones_with_two_processes(tmp_path):
    gradient, _ = gradient_of_one_process()
    found = gradient_of_two_processes(tmp_path, "released")
    torch.testing.assert_close(found["gradient"], gradient / 2)


@pytest.mark.parametrize(
    ("stage", "num_processes"),
    [("stage 1", 2), ("stage 1, at once 3", 4), ("frames: 1", 2), ("frames: 3", 2), ("stage 2", 2), ("stage 2", 4)],
)
def test_step_does_not_depend_on_the_number_of_processes(tmp_path, stage, num_processes):
    loss, moments = take_step(stage)
    run_workers(num_processes, [TESTS / "first_stage_step.py"], num_processes, stage, tmp_path)
    loss_of_all, moments_of_all = torch.load(tmp_path / "step.pt", weights_only=True)
    assert loss_of_all == pytest.approx(loss, rel=1e-5)
    assert moments_of_all.keys() == moments.keys()
    for name, moment in moments.items():  # a tenth of the gradients; 1e-5 of the largest entry where that is above 1
        tolerance = 1e-5 * max(0.1, float(moment.abs().max()))
        torch.testing.assert_close(moments_of_all[name], moment, rtol=0, atol=tolerance)


def test_one_process_keeps_its_batch_and_its_gradients():
    batch, parameter = torch.randn(3, 2), torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([1.0, 2.0])
    average_gradients([parameter])
    assert num_processes() == 1
    assert own_rows(batch) is batch and all_rows(batch) is batch
    assert own_items("abc") == ["a", "b", "c"] and all_items(["a", "b"]) == ["a", "b"]
    assert parameter.grad.tolist() == [1.0, 2.0]


def test_batch_that_cannot_be_dealt_out_is_refused(monkeypatch):
    monkeypatch.setattr("diffret_core.processes.num_processes", lambda: 4)
    with pytest.raises(ValueError, match="batch of 6 cannot be dealt out to 4 processes"):
        own_rows(torch.zeros(6, 1))
