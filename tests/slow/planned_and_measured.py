"""Plans against the runs they are of: memory and time, each in a process of its own.

Run it by its name, on a machine with nothing else to do, from the root of the project:

    PYTHONPATH=.:tests .venv/bin/python tests/slow/planned_and_measured.py

It prints, for each stage of some miniature runs, what was planned and what was then measured. Memory is the growth of
the process above what it takes with everything imported and some videos decoded (on Linux), in a run of its own in
which the allocator gives back what is freed; a step's time is the median of the log's, without the first.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from benchmark_layouts import make_layout

from diffret_core.bench.machine import PeakMemory
from diffret_core.config import Recipe
from diffret_core.datasets import counts_of, read_collection
from diffret_core.plans import make_plan, sample_of, timed
from diffret_core.recipes import recipe, rehearsal
from diffret_core.training.run import train

CPU = torch.device("cpu")
SIZES = {"train": 64, "validation": 16, "test": 16}


def _tiny() -> Recipe:
    """The sample recipe, on fewer videos for fewer steps."""
    chosen = recipe("tiny")
    return replace(
        chosen,
        pretraining=tuple(replace(phase, num_steps=6, batch_size=64, group_size=1) for phase in chosen.pretraining),
        contrastive=replace(chosen.contrastive, num_videos=48, num_steps=8, batch_size=32),
        generation=replace(chosen.generation, first_video=0, num_steps=30, num_views=2, negative_pool=40),
    )


def _rehearsal(at_once: int | None, precision: str) -> Recipe:
    """A rehearsal of MSR-VTT's recipe with larger batches and more videos than those of --rehearse."""
    chosen = rehearsal(recipe("msrvtt"))
    clip = {**chosen.model.clip, "vision_cfg": {**chosen.model.clip["vision_cfg"], "width": 192, "layers": 4}}
    return replace(
        chosen,
        model=replace(chosen.model, clip=clip),
        contrastive=replace(
            chosen.contrastive, num_steps=8, batch_size=32, encode_at_once=at_once, compute_precision=precision
        ),
        generation=replace(chosen.generation, num_steps=40, batch_size=64, num_candidates=32, negative_pool=32),
    )


MADE: dict[str, Callable[[], Recipe]] = {
    "tiny": _tiny,
    "msrvtt, whole batch": lambda: _rehearsal(None, "float32"),
    "msrvtt, in pieces": lambda: _rehearsal(8, "float32"),
}


def plan(chosen: Recipe, data: Path) -> dict[str, list[float]]:
    """Give bytes and seconds of a step, by stage."""
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    made = make_plan(chosen, counts_of(collection), CPU)
    made = timed(made, chosen, sample_of(collection, chosen.model), CPU)
    return {
        stage.name: [stage.memory.device_bytes, stage.step.seconds] for stage in made.stages if stage.step is not None
    }


def run(chosen: Recipe, data: Path) -> dict[str, list[float]]:
    """Give the same of a run."""
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    sample_of(collection, chosen.model)  # the tokenizer and the decoder stay
    memory, peaks, now = PeakMemory(CPU), {}, ""

    def listen(what: str, *_: object) -> None:
        nonlocal now, memory
        peaks[now] = max(peaks.get(now, 0), memory.num_bytes() or 0)
        if what != now:  # from here the peak of what comes, above what was there in the beginning
            before, memory = memory.before, PeakMemory(CPU)
            memory.before = before
        now = what

    output = data.parent / "run"
    train(chosen, collection, output, listen=listen)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {}
    for stage in dict.fromkeys(line["stage"] for line in lines):
        seconds = [line["seconds"] for line in lines if line["stage"] == stage]
        between = [later - earlier for earlier, later in zip(seconds, seconds[1:], strict=False)]
        found[stage] = [peaks[stage], statistics.median(between)]
    return found


def in_process(what: str, name: str, data: Path, **variables: str) -> dict[str, list[float]]:
    """Plan or run in a process of its own."""
    command = [sys.executable, __file__, what, name, str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    return json.loads(done.stdout)


def main() -> None:
    """Compare all."""
    print(f"{'run':20} {'stage':15} planned GB measured ratio planned s measured ratio")
    for name in MADE:
        with tempfile.TemporaryDirectory() as folder:
            data = make_layout("msrvtt", Path(folder) / "data", sizes=SIZES)
            planned, timed_run = (in_process(what, name, data) for what in ("plan", "run"))
            shutil.rmtree(data.parent / "run")
            lean = in_process("run", name, data, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
        for stage, (planned_bytes, planned_s) in planned.items():
            found_bytes, found_s = lean[stage][0], timed_run[stage][1]
            print(
                f"{name:20} {stage:15} {planned_bytes / 1e9:10.3f} {found_bytes / 1e9:8.3f} "
                f"{planned_bytes / found_bytes:5.2f} {planned_s:9.3f} {found_s:8.3f} {planned_s / found_s:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        does = {"plan": plan, "run": run}[sys.argv[1]]
        print(json.dumps(does(MADE[sys.argv[2]](), Path(sys.argv[3]))))
