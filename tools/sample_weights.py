"""Train everything that docs/results.md says about the sample collection; `make weights` runs it.

    python tools/sample_weights.py              all runs, one after the other; finished ones are kept
    python tools/sample_weights.py seed1 seed2  these runs
    python tools/sample_weights.py --table      the tables of docs/results.md from what is there
    python tools/sample_weights.py --ship seed1 copy a run's weights into data_samples/model
    python tools/sample_weights.py --arms       what notebook 07 says of the arms, into data_samples/model/arms.json

Runs are kept in runs/. Each can be interrupted and goes on where it was. Every arm chooses the weight and the
temperature of its combined score on validation, from the same 54 pairs; the test split is looked at once, at the end.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from diffret_core.checkpoints import load_checkpoint
from diffret_core.cli.progress import Bars
from diffret_core.config import DIRECTIONS, Recipe
from diffret_core.datasets import Collection, Split, read_collection
from diffret_core.evaluation import choose_scoring, direction_ranks, evaluate
from diffret_core.galleries import Gallery, encode_gallery
from diffret_core.locations import sample_folder
from diffret_core.recipes.tiny import tiny
from diffret_core.retriever import Retriever
from diffret_core.scenes.manifest import update_manifest
from diffret_core.scenes.word_counts import distractor_pairs
from diffret_core.scores import METHODS, Scores, score_all
from diffret_core.tensor_files import read_json, write_json
from diffret_core.training.run import train

RUNS = Path("runs")
TEST_LISTS = {"test": None, "shifted": "MSRVTT_shifted_test.csv", "unseen_pairs": "MSRVTT_unseen_pairs_test.csv"}
SHIPPED = ("config.json", "weights.safetensors", "recipe.json", "metrics.json", "results.json")
LOG_EVERY = 10
ARMS_FILE = "arms.json"
TAUGHT = ("seed1", "seed2", "seed3", "one_view", "own_videos")  # the arms that notebook 07 shows
KEPT = ("R@1", "R@1_gain", "R@1_gain_interval")  # of each method


@dataclass(frozen=True)
class Run:
    """One arm.

    Attributes:
        what: For the table.
        recipe: Its recipe.
        stage1: The run whose stage 1 it takes; None trains its own.
        weights: The run whose weights it takes; only its scoring differs then.
        num_draws: Samples per query.
    """

    what: str
    recipe: Callable[[], Recipe]
    stage1: str | None = None
    weights: str | None = None
    num_draws: int = 1


def varied(*, seed: int = 0, model: dict[str, Any] | None = None, **stages: dict[str, Any]) -> Callable[[], Recipe]:
    """Make `tiny` with other settings in some of its parts."""

    def make() -> Recipe:
        base = tiny(seed=seed)
        parts = {name: replace(getattr(base, name), **changes) for name, changes in stages.items()}
        return replace(base, model=replace(base.model, **(model or {})), **parts)

    return make


ARMS = {
    "seed1": Run("shipped: recipe tiny with seed 1", varied(seed=1)),
    "seed2": Run("another seed of stage 2", varied(seed=2), stage1="seed1"),
    "seed3": Run("another seed of stage 2", varied(seed=3), stage1="seed1"),
    "seed0": Run("another seed of both stages", varied(seed=0)),
    "one_draw": Run("one draw instead of the mean of 4", varied(seed=1), weights="seed1", num_draws=1),
    "one_view": Run(
        "stage 2 sees each video in one view only", varied(seed=1, generation={"num_views": 1}), stage1="seed1"
    ),
    "own_videos": Run(
        "stage 2 on the 4,000 videos that stage 1 was fitted to",
        varied(seed=1, generation={"first_video": 0, "num_videos": 4000}),
        stage1="seed1",
    ),
    "raw": Run("features as they come", varied(seed=1, model={"normalise_for_denoiser": False}), stage1="seed1"),
    "hardest": Run(
        "the 31 hardest negatives themselves", varied(seed=1, generation={"negative_pool": 31}), stage1="seed1"
    ),
    "easy": Run("negatives from the nearest 1,000", varied(seed=1, generation={"negative_pool": 1000}), stage1="seed1"),
    "scale10": Run("loss scale 10", varied(seed=1, generation={"loss_scale": 10.0}), stage1="seed1"),
    "scale100": Run("loss scale 100", varied(seed=1, generation={"loss_scale": 100.0}), stage1="seed1"),
    "rate50": Run("learning rate 5e-3", varied(seed=1, generation={"learning_rate": 5e-3}), stage1="seed1"),
    "rate5": Run("learning rate 5e-4", varied(seed=1, generation={"learning_rate": 5e-4}), stage1="seed1"),
    "no_penalty": Run("no hold on the offset", varied(seed=1, generation={"offset_penalty": 0.0}), stage1="seed1"),
}


def open_samples(test_list: str | None = None) -> Collection:
    """Read the sample collection with one of its lists of test pairs."""
    return read_collection("msrvtt", sample_folder(), hold_out_validation=True, test_list=test_list)


def do(name: str) -> None:
    """Train one arm, unless it is finished, and measure it."""
    arm, folder = ARMS[name], RUNS / name
    if (folder / "results.json").exists():
        return
    started = time.monotonic()
    if arm.weights is None and not (folder / "metrics.json").exists():
        first_stage = None if arm.stage1 is None else RUNS / arm.stage1
        with Bars() as bars:
            train(arm.recipe(), open_samples(), folder, first_stage=first_stage, listen=bars)
    trained = time.monotonic()
    model = load_checkpoint(RUNS / (arm.weights or name))
    cache_folder = RUNS / (arm.stage1 or arm.weights or name) / "stage1" / "features"
    if arm.weights is not None:
        model.config = replace(model.config, scoring=replace(model.config.scoring, num_draws=arm.num_draws))
        gallery, scores = scored(model, open_samples().with_one_caption("validation"), "validation", cache_folder)
        chosen = choose_scoring(scores, gallery.video_of_text, model.config.scoring)
        model.config = replace(model.config, scoring=chosen)
    results: dict[str, Any] = {
        "what": arm.what,
        "seconds": round(trained - started),
        "threads": torch.get_num_threads(),
    }
    results["scoring"] = {"alpha": model.config.scoring.alpha, "temperature": model.config.scoring.temperature}
    for test_name, test_list in TEST_LISTS.items():
        gallery, scores = scored(model, open_samples(test_list), "test", cache_folder)
        results[test_name] = evaluate(scores, gallery.video_of_text, model.config.scoring)
        add_details(results[test_name], scores, gallery, model)
    write_json(folder / "results.json", results)


def scored(model: Retriever, collection: Collection, split: Split, cache_folder: Path) -> tuple[Gallery, Scores]:
    """Encode a split and let both parts of the model speak."""
    with Bars() as bars:
        gallery = encode_gallery(
            model, collection, split, cache_folder=cache_folder, progress=lambda *done: bars(f"encoding {split}", *done)
        )
        return gallery, score_all(
            model, gallery.texts, gallery.videos, progress=lambda *done: bars(f"generating for {split}", *done)
        )


def add_details(results: dict[str, Any], scores: Scores, gallery: Gallery, model: Retriever) -> None:
    """Add the ceiling that the candidates set, and how often a video is told from the one with the same words."""
    alike = sorted({position for pair in distractor_pairs(gallery.captions) for position in pair})
    for direction in DIRECTIONS:
        similarity, generated = scores[direction]
        for method in METHODS:
            ranks = direction_ranks(scores, direction, method, gallery.video_of_text, model.config.scoring)
            results[direction][method]["R@1_with_distractor"] = 100 * float((ranks[alike] == 1).float().mean())
        ranks = direction_ranks(scores, direction, "similarity", gallery.video_of_text, model.config.scoring)
        results[direction]["recall_at_candidates"] = 100 * float(
            (ranks <= generated.candidates.shape[1]).float().mean()
        )


def table() -> None:
    """Print the tables of docs/results.md."""
    for test_name in TEST_LISTS:
        print(
            f"\n{test_name}\n\n| arm | direction | similarity | generator | combined | gain (95 % interval) "
            "| same words |\n|---|---|---|---|---|---|---|"
        )
        for name, arm in ARMS.items():
            if not (RUNS / name / "results.json").exists():
                continue
            results = read_json(RUNS / name / "results.json")[test_name]
            for direction in DIRECTIONS:
                one = results[direction]
                r_at_1 = " | ".join(f"{one[method]['R@1']:.1f}" for method in METHODS)
                low, high = one["combined"]["R@1_gain_interval"]
                same_words = ", ".join(f"{one[method]['R@1_with_distractor']:.0f}" for method in METHODS)
                gain = f"{one['combined']['R@1_gain']:+.1f} ({low:.1f} to {high:.1f})"
                print(f"| {name}: {arm.what} | {direction.replace('_', '-')} | {r_at_1} | {gain} | {same_words} |")


def ship(name: str) -> None:
    """Copy a run's weights, settings, log and results into the sample collection."""
    folder, target = RUNS / name, sample_folder() / "model"
    for file in SHIPPED:
        (target / file).write_bytes((folder / file).read_bytes())
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["step"] % LOG_EVERY == 0]
    (target / "log.jsonl").write_text("".join(kept), encoding="utf-8")
    update_manifest(sample_folder(), {f"model/{file}": {} for file in (*SHIPPED, "log.jsonl")})


def write_arms(folder: Path, runs: Path = RUNS) -> list[str]:
    """Write the few numbers of finished arms that notebook 07 shows into `folder`/model, and return the arms' names.

    Without its run the shipped arm is taken from the results that were shipped with it.
    """
    arms: dict[str, Any] = {}
    for name in TAUGHT:
        path = runs / name / "results.json"
        if name == "seed1" and not path.exists():
            path = folder / "model" / "results.json"
        if path.exists():
            results = read_json(path)
            test = {direction: _kept(results["test"][direction]) for direction in DIRECTIONS}
            arms[name] = {"what": results["what"], "test": test}
    write_json(folder / "model" / ARMS_FILE, arms)
    update_manifest(folder, {f"model/{ARMS_FILE}": {}})
    return list(arms)


def _kept(of_direction: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {method: {key: value for key, value in of_direction[method].items() if key in KEPT} for method in METHODS}


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"of {', '.join(ARMS)}; all if none is given")
    parser.add_argument("--table", action="store_true", help="print the tables")
    parser.add_argument("--ship", metavar="RUN", help="copy a run into data_samples/model")
    parser.add_argument("--arms", action="store_true", help="write data_samples/model/arms.json")
    arguments = parser.parse_args()
    if arguments.ship:
        ship(arguments.ship)
    elif arguments.arms:
        print(*write_arms(sample_folder()))
    elif arguments.table:
        table()
    else:
        for name in arguments.runs or ARMS:
            print(f"== {name}", file=sys.stderr, flush=True)
            do(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
