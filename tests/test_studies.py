"""Studies: declared grids, cells that are kept and resumed, the table, and the page that is written from it."""

import functools
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from tiny_study import study_table

from diffret_core import detection
from diffret_core.checkpoints import load_checkpoint
from diffret_core.cli import inputs
from diffret_core.cli.main import main
from diffret_core.config import DIRECTIONS
from diffret_core.evaluation import ALPHAS, TEMPERATURES
from diffret_core.locations import ROOT, sample_folder
from diffret_core.metrics import retrieval_metrics
from diffret_core.randomness import numpy_generator
from diffret_core.recipes import recipe, with_settings
from diffret_core.scenes import unmatched
from diffret_core.scenes.splits import SPLITS
from diffret_core.scores import METHODS
from diffret_core.studies import STUDIES, Arm, Study
from diffret_core.studies import setting as setting_module
from diffret_core.studies.cells import seconds_of_log
from diffret_core.studies.indicator import indicator_of
from diffret_core.studies.kinds import MADE_FROM, auroc_difference
from diffret_core.studies.miniature import miniature_recipe
from diffret_core.studies.report import report, write_report
from diffret_core.studies.run import ship
from diffret_core.studies.table import FILES, StudyTable, read_study, write_table
from diffret_core.word_pairs import known_pairs

LISTS = ("validation", "test", "shifted", "unseen_pairs")
KEY = ("arm", "seed", "list", "direction", "method")
NUM_VIDEOS = 12


@pytest.fixture(scope="module", autouse=True)
def annotations_are_read_once():
    """Every command reads the same annotation files, which takes longer than a cell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "read_collection", functools.cache(inputs.read_collection))
        yield


@pytest.fixture(scope="module", autouse=True)
def only_what_is_needed_is_annotated():
    """Proving what matches nothing takes the scenes of a list; here lists are short."""
    with pytest.MonkeyPatch.context() as patch:
        short = {name: replace(SPLITS[name], num_videos=3 * NUM_VIDEOS) for name in ("test", "shifted")}
        patch.setattr(unmatched, "SPLITS", short)
        unmatched._annotated.cache_clear()
        yield
    unmatched._annotated.cache_clear()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Run a study in miniature, from a folder that holds only the videos which that needs."""
    videos = tmp_path_factory.mktemp("videos")
    for first in (8000, 8300, 9000):
        for number in range(first, first + 3 * NUM_VIDEOS):
            name = f"video{number}.mp4"
            (videos / name).symlink_to(sample_folder() / "videos" / name)

    def run(name, folder, *options):
        own = ["--folder", str(folder), "--videos", str(videos), "--device", "cpu"]
        return main(["study", name, "--miniature", *own, *options])

    return run


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    """Studies in miniature: the baseline with two seeds, and an arm that learns otherwise."""
    folder = tmp_path_factory.mktemp("studies")
    assert study("training", folder, "--arms", "baseline,without_noise", "--seeds", "1,2") == 0
    return folder


def only_line(text):
    lines = [line for line in text.splitlines() if line.startswith("diffret ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


# declarations


@pytest.mark.parametrize("declared", STUDIES.values(), ids=STUDIES)
def test_every_arm_differs_from_the_baseline_in_its_settings_only(declared):
    assert declared.arms[0].settings == ()
    base = recipe("tiny", seed=1)
    recipes = [miniature_recipe(with_settings(base, arm.settings)) for arm in declared.arms]
    wholes = [with_settings(base, arm.settings) for arm in declared.arms]
    assert all(one != base for one in wholes[1:])
    for arm, whole in zip(declared.arms, wholes, strict=True):
        of_stage_1 = (
            {} if arm.name != "all_videos" else {one: getattr(base, one) for one in ("pretraining", "contrastive")}
        )
        assert replace(whole, model=base.model, generation=base.generation, **of_stage_1) == base
        assert len(declared.seeds) >= 3
        assert arm.factor in (*declared.baseline, "")
    assert len({json.dumps(str(one)) for one in wholes}) == len(wholes)
    assert all(one.generation.num_steps == 3 for one in recipes)


def test_levels_of_the_baseline_are_those_of_the_recipe():
    base, said = recipe("tiny"), {**STUDIES["training"].baseline, **STUDIES["sampling"].baseline}
    assert said["noise levels in training"] == said["levels in sampling"] == base.model.num_noise_levels
    assert (base.model.schedule, base.generation.loss, base.generation.negatives) == ("cosine", "kl", "split")
    assert said["candidates in training"] == base.generation.num_candidates
    assert said["candidates in use"] == base.model.scoring.num_candidates
    assert (said["draws"], said["eta"]) == (base.model.scoring.num_draws, base.model.scoring.eta)


def test_study_that_cannot_be_told_apart_is_refused():
    measure = STUDIES["training"].measure
    with pytest.raises(ValueError, match="arms must begin with baseline and have names of their own"):
        Study(name="new", what="?", baseline={"a": 1}, arms=(Arm("baseline"), Arm("baseline", "a", 2)), measure=measure)
    with pytest.raises(ValueError, match="say which level of 'b' the baseline has"):
        Study(name="new", what="?", baseline={"a": 1}, arms=(Arm("baseline"), Arm("other", "b", 2)), measure=measure)


# each study in miniature


FEW_ARMS = {"training": "linear,batch,candidates_64", "sampling": "steps_5,eta_0.5,candidates_64"}


@pytest.mark.parametrize("name", STUDIES)
def test_study_runs_from_end_to_end_in_miniature(study, name, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)  # what is trained serves all studies
    arms = ["--arms", f"baseline,{FEW_ARMS[name]}"] if name in FEW_ARMS else []
    assert study(name, tmp_path, "--seeds", "1", *arms) == 0
    table, declared = read_study(tmp_path / name), STUDIES[name]
    assert [arm["name"] for arm in table.provenance["arms"]] == [arm.name for arm in declared.arms]
    assert {row["arm"] for row in table.rows} >= {"baseline", *FEW_ARMS.get(name, "baseline").split(",")}
    assert len(report(table).splitlines()) > 4


def test_table_has_a_row_for_each_arm_seed_list_direction_and_method(folder):
    table = read_study(folder / "training")
    expected = [
        ("training", arm, seed, name, direction, method)
        for arm in ("baseline", "without_noise")
        for seed in (1, 2)
        for name in LISTS
        for direction in DIRECTIONS
        for method in METHODS
    ]
    columns = ("study", *KEY)
    assert [tuple(row[column] for column in columns) for row in table.rows] == expected
    for row in table.rows:
        assert row["num_queries"] == NUM_VIDEOS and row["trained_for"] > 0
        assert row["alpha"] in ALPHAS and row["temperature"] in TEMPERATURES
        assert (row["factor"], row["level"]) == (("", "") if row["arm"] == "baseline" else ("noise", "none, one pass"))


def test_every_number_of_the_table_is_that_of_the_ranks(folder):
    table = read_study(folder / "training")
    assert len(table.ranks) == 2 * 2 * 3 * 2 * 3  # none of validation
    for row in table.rows:
        if row["list"] == "validation":
            continue
        of = [row["arm"], row["seed"], row["list"], row["direction"]]
        ranks = table.ranks[*of, row["method"]]
        for name, value in retrieval_metrics(ranks).items():
            assert row[name] == pytest.approx(value, abs=1e-3), name
        similarity = table.ranks[*of, "similarity"]
        gain = 100 * float((ranks == 1).float().mean() - (similarity == 1).float().mean())
        assert row["gain"] == pytest.approx(gain, abs=1e-3)
        assert row["gain_low"] - 1e-3 <= gain <= row["gain_high"] + 1e-3
        assert row["ceiling"] == pytest.approx(
            100 * float((similarity <= row["num_candidates"]).float().mean()), abs=1e-3
        )


def test_arms_share_the_similarity_and_fusion_is_chosen_by_each_cell_for_all_its_lists(folder):
    table = read_study(folder / "training")
    for name in LISTS:
        own = [row for row in table.rows if row["list"] == name and row["method"] == "similarity"]
        assert len({(row["direction"], row["R@1"]) for row in own}) <= 2
    for arm in ("baseline", "without_noise"):
        for seed in (1, 2):
            cell = [row for row in table.rows if (row["arm"], row["seed"]) == (arm, seed)]
            assert len({(row["alpha"], row["temperature"]) for row in cell}) == 1
    generated = {(row["arm"], row["seed"], row["mean_rank"]) for row in table.rows if row["method"] == "generator"}
    assert len({mean for _, _, mean in generated}) > 4  # cells differ


def test_cell_without_noise_has_a_model_without_noise(folder):
    model = load_checkpoint(folder / "training" / "without_noise" / "seed1" / "run")
    assert not model.config.noise and len(model.alpha_bar) == 2


def test_provenance_says_what_was_run_by_what_and_on_what(folder):
    about = read_study(folder / "training").provenance
    assert about["finished"] == [f"{arm}/{seed}" for arm in ("baseline", "without_noise") for seed in (1, 2)]
    assert about["num_cells"] == 3 * len(STUDIES["training"].arms)
    assert about["recipe"]["name"] == "tiny" and about["torch"] == torch.__version__
    assert set(about["baseline_weights_sha256"]) == {"1", "2"} and about["hours"] >= 0
    assert len(about["stage1_sha256"]) == len(about["captions_sha256"]) == len(about["manifest_sha256"]) == 64


def test_arm_whose_baseline_is_not_trained_yet_is_kept(study, tmp_path):
    assert study("training", tmp_path, "--arms", "without_noise", "--seeds", "1") == 0
    about = read_study(tmp_path / "training").provenance
    assert about["finished"] == ["without_noise/1"] and about["baseline_weights_sha256"] == {}


# queries that match nothing


@pytest.fixture(scope="module")
def detected(study, tmp_path_factory):
    """The study of detection in miniature, of the shipped model."""
    folder = tmp_path_factory.mktemp("detection")
    assert study("ood", folder, "--shipped", "--seeds", "1") == 0
    return read_study(folder / "ood")


KINDS = {
    "text_to_video": ["near misses", "never seen", "everyday", "shuffled words", "other languages", "mean"],
    "video_to_text": ["shifted style", "caption taken out", "mean"],
}


def test_detection_has_a_row_for_each_score_and_kind_of_both_lists(detected):
    assert detected.provenance["model"] == "shipped"
    for name in ("validation", "test"):
        for direction, kinds in KINDS.items():
            own = [row for row in detected.rows if (row["list"], row["direction"]) == (name, direction)]
            scores = list(dict.fromkeys(row["method"] for row in own))
            assert {"similarity", "margin", "energy", "softmax", "probability", "entropy", "disagreement"} < set(scores)
            assert ("word pairs" in scores) == ("similarity + word pairs" in scores) == (direction == "text_to_video")
            assert [(row["method"], row["kind"]) for row in own] == [(a, b) for a in scores for b in kinds]
            assert all(row["num_matched"] == NUM_VIDEOS for row in own)


def test_detection_chooses_the_score_that_is_best_on_validation(detected):
    for direction in DIRECTIONS:
        rows = [row for row in detected.rows if (row["direction"], row["kind"]) == (direction, "mean")]
        validation = [row for row in rows if row["list"] == "validation"]
        best = max(validation, key=lambda row: row["auroc"])["method"]
        for name in ("validation", "test"):
            assert [row["method"] for row in rows if row["list"] == name and row["chosen"]] == [best]


def test_every_number_of_detection_is_that_of_the_places(detected):
    for (_, seed, name, direction, score), places in detected.ranks.items():
        if score == MADE_FROM:
            continue
        own = [row for row in detected.rows if (row["direction"], row["method"]) == (direction, score)]
        own = [row for row in own if (row["list"], row["seed"]) == (name, seed)]
        *kinds, mean = own
        matched, *unmatched = places.float().split([NUM_VIDEOS, *(row["num_queries"] for row in kinds)])
        aurocs = [detection.auroc(matched, one) for one in unmatched]
        rates = [detection.false_positive_rate(matched, one) for one in unmatched]
        for row, auroc, rate in zip(kinds, aurocs, rates, strict=True):
            assert (row["auroc"], row["fpr95"]) == pytest.approx((auroc, rate), abs=1e-4)
            assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert mean["auroc"] == pytest.approx(sum(aurocs) / len(aurocs), abs=1e-4)
        assert mean["fpr95"] == pytest.approx(sum(rates) / len(rates), abs=1e-4)


def test_detection_says_what_each_query_was_made_from(detected):
    for direction, kinds in KINDS.items():
        of = {"list": "test", "direction": direction, "method": "similarity"}
        rows = [row for row in detected.rows if all(row[name] == value for name, value in of.items())]
        numbers = [NUM_VIDEOS, *(row["num_queries"] for row in rows if row["kind"] != "mean")]
        made_from = detected.ranks["baseline", 1, "test", direction, MADE_FROM].split(numbers)
        assert made_from[0].tolist() == list(range(1, NUM_VIDEOS + 1))
        for kind, own in zip(kinds, made_from[1:], strict=False):
            alone = kind in ("everyday", "other languages", "shifted style")
            assert (own == 0).all() if alone else sorted(set(own.tolist())) == own.tolist() and own.min() > 0


def test_query_and_what_was_made_from_it_are_drawn_together(detected):
    counts = detection.resampled(NUM_VIDEOS, numpy_generator(0, "detection video_to_text matched"))
    for score in ("similarity", "entropy"):
        of = {"list": "test", "direction": "video_to_text", "method": score, "kind": "caption taken out"}
        (row,) = (row for row in detected.rows if all(row[name] == value for name, value in of.items()))
        places = detected.ranks["baseline", 1, "test", "video_to_text", score].double()
        matched, without = places[:NUM_VIDEOS], places[-NUM_VIDEOS:]  # the same videos, with and without their caption
        interval = detection.interval_of(detection.detection_measures(matched, without, counts, counts)[0])
        assert (row["auroc"], row["auroc_low"], row["auroc_high"]) == pytest.approx(interval, abs=1e-4)


def test_scores_of_detection_are_compared_as_the_table_has_them(detected):
    for direction, kinds in KINDS.items():
        for kind in kinds:
            of = {"list": "test", "direction": direction, "kind": kind}
            one, other = (detected.mean("auroc", **of, method=score) for score in ("similarity", "entropy"))
            found = auroc_difference(detected, "similarity", "entropy", direction, kind=kind)
            assert found.value == pytest.approx(one - other, abs=2e-4)


def test_report_of_detection_has_a_column_for_each_kind(detected):
    lines = report(detected).splitlines()
    for direction, kinds in KINDS.items():
        (head,) = (line for line in lines if line.startswith(f"| {direction.replace('_', '-')}, score"))
        assert [cell.strip() for cell in head.split("|")[2 : 2 + len(kinds)]] == kinds
    assert "The model is the shipped one" in lines[0] and "R@1" not in lines[0]


def test_word_pairs_are_those_of_training_captions_alone(detected):
    """No tested caption has a word pair of its own, and shuffled ones have hardly another: the study shows both."""
    row = {"list": "test", "direction": "text_to_video", "kind": "shuffled words", "method": "word pairs"}
    (found,) = (one for one in detected.rows if all(one[name] == value for name, value in row.items()))
    assert found["auroc"] > 0.9


def test_indicator_is_what_validation_chose(detected):
    known = known_pairs(["a red star"])
    indicator = indicator_of(detected, known)
    (row,) = (
        row
        for row in detected.rows
        if (row["list"], row["direction"], row["kind"], row["method"])
        == ("validation", "text_to_video", "mean", indicator.score)
    )
    assert row["chosen"] and indicator.threshold == row["threshold"]
    assert (indicator.recall, indicator.num_videos, indicator.known) == (0.95, NUM_VIDEOS, known)


def test_shipped_and_trained_models_are_not_taken_for_each_other(study, folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert study("ood", tmp_path, "--seeds", "1") == 0
    assert study("ood", tmp_path, "--seeds", "1", "--shipped") == 1
    assert "baseline/seed1: holds a cell with another model" in only_line(capsys.readouterr().err)


# kept and resumed


def without_clock(folder, name="training"):
    rows = [{**row, "seconds": 0, "trained_for": 0} for row in read_study(folder / name).rows]
    return rows, [(of, ranks.tolist()) for of, ranks in read_study(folder / name).ranks.items()]


def test_finished_cells_are_not_computed_again(study, folder, monkeypatch):
    before = without_clock(folder)
    monkeypatch.setattr("diffret_core.studies.training.train", None)
    monkeypatch.setattr("diffret_core.studies.training.measure_model", None)
    assert study("training", folder, "--arms", "baseline", "--seeds", "1") == 0
    assert without_clock(folder) == before  # and the table still has all that is finished


def test_cells_of_one_process_share_what_stage_2_learns_from(study, tmp_path, monkeypatch):
    made, make = [], setting_module.second_stage_data
    monkeypatch.setattr(setting_module, "second_stage_data", lambda *given: made.append(given[1]) or make(*given))
    declared = STUDIES["training"]
    other = Arm("one_view", "videos", "in one view", ("generation.num_views=1",))
    monkeypatch.setitem(STUDIES, "training", replace(declared, arms=(*declared.arms, other)))
    assert study("training", tmp_path, "--arms", "baseline,linear,one_view") == 0
    assert [one.generation.num_views for one in made] == [2, 1]


def test_killed_study_goes_on_and_ends_as_an_undisturbed_one(folder, tmp_path):
    options = ["study", "training", "--miniature", "--arms", "baseline", "--seeds", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "diffret_core", *options, "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "training" / "baseline" / "seed1" / "run" / "log.jsonl"
    while process.poll() is None and not log.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert log.exists() and not (tmp_path / "training" / "table.csv").exists()
    assert main([*options, "--folder", str(tmp_path)]) == 0
    undisturbed = [row for row in without_clock(folder)[0] if (row["arm"], row["seed"]) == ("baseline", 1)]
    assert without_clock(tmp_path)[0] == undisturbed


def test_cell_interrupted_between_training_and_measuring_is_not_trained_again(study, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    options = ["--arms", "baseline", "--seeds", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("diffret_core.studies.training.measure_model", interrupt)
        assert study("training", tmp_path, *options) == 130
    monkeypatch.setattr("diffret_core.studies.training.train", None)
    assert study("training", tmp_path, *options) == 0


def test_seconds_of_a_run_are_those_of_all_its_sessions(tmp_path):
    assert seconds_of_log(tmp_path) == 0
    clock = [("stage 1", 50.0), ("stage 2", 1.0), ("stage 2", 4.0), ("stage 2", 0.5), ("stage 2", 2.0)]
    lines = [json.dumps({"stage": stage, "step": 1, "seconds": seconds}) for stage, seconds in clock]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert seconds_of_log(tmp_path) == 56.0


def test_both_arms_of_first_stage_have_encoders_of_their_own(study, folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    options = ("first_stage", tmp_path, "--arms", "baseline", "--seeds", "1,2")
    assert study(*options) == 0
    table, cells = read_study(tmp_path / "first_stage"), tmp_path / "first_stage" / "baseline"
    for name, direction in itertools.product(("test", "shifted", "unseen_pairs"), DIRECTIONS):
        one, other = (table.ranks["baseline", seed, name, direction, "similarity"].tolist() for seed in (1, 2))
        assert one != other
    shipped, own = tmp_path / "shipped" / "stage1", cells / "seed2" / "run" / "stage1"
    weights = [(one / "weights.safetensors").read_bytes() for one in (shipped, own)]
    assert weights[0] != weights[1] and not (cells / "seed1" / "run").exists()
    runs = {"1": folder / "training" / "baseline" / "seed1" / "run", "2": cells / "seed2" / "run"}
    hashes = {seed: hashlib.sha256((run / "weights.safetensors").read_bytes()) for seed, run in runs.items()}
    assert table.provenance["baseline_weights_sha256"] == {seed: one.hexdigest() for seed, one in hashes.items()}
    assert study("first_stage", tmp_path, "--arms", "all_videos", "--seeds", "2,3") == 0
    lines = [one for one in report(read_study(tmp_path / "first_stage")).splitlines() if one.startswith("| all videos")]
    assert len(lines) == 6 and all(one.endswith(", seed 2 only |") for one in lines)
    monkeypatch.setattr("diffret_core.studies.first_stage.train", None)
    (cells / "seed2" / "rows.json").unlink()  # interrupted before it was measured
    assert study(*options) == 0


def test_stage_1_of_all_videos_is_measured_by_its_own_similarity_alone(study, tmp_path, monkeypatch):
    options = ("first_stage", tmp_path, "--arms", "all_videos", "--seeds", "1,2")
    assert study(*options) == 0
    table, runs = read_study(tmp_path / "first_stage"), tmp_path / "first_stage" / "all_videos"
    assert {row["method"] for row in table.rows} == {"similarity"}
    assert {(row["list"], row["direction"]) for row in table.rows} == set(itertools.product(LISTS, DIRECTIONS))
    assert all(row["trained_for"] > 0 and row["gain"] == 0 for row in table.rows)
    assert all(
        line.endswith("|  |  |  |  |") for line in report(table).splitlines() if "-video" in line
    )  # no baseline yet
    assert not list(runs.rglob("metrics.json")) and not list(runs.rglob("*_state.safetensors"))
    weights = [(runs / seed / "run" / "stage1" / "weights.safetensors").read_bytes() for seed in ("seed1", "seed2")]
    assert weights[0] != weights[1] != (tmp_path / "shipped" / "stage1" / "weights.safetensors").read_bytes()
    monkeypatch.setattr("diffret_core.training.run.train_encoders", None)
    (runs / "seed1" / "rows.json").unlink()  # interrupted before it was measured
    assert study(*options) == 0
    assert without_clock(tmp_path, "first_stage")[1] == [(name, one.tolist()) for name, one in table.ranks.items()]


# mistakes


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["nothing"], "there is no study 'nothing'; choose one of: training, sampling, scoring"),
        ([], "name a study, of training, sampling, scoring, first_stage, ood; --list says what they are"),
        (["training", "--arms", "baseline,bigger"], "study training has no arm 'bigger'; choose of: baseline, "),
        (["training", "--seeds", "one"], "--seeds is 'one'; give whole numbers such as 1,2,3"),
        (["training", "--ship", "--miniature"], "--ship goes without --miniature: those figures mean nothing"),
        (["training", "--ship", "--data", "x"], "--ship puts a study of the samples beside them; leave it out with"),
        (
            ["training", "--recipe", "msvd"],
            "the shipped stage 1 is that of the samples; give your own run with --stage1",
        ),
        (["training", "--shipped"], "study training makes its own models; leave out --shipped"),
        (["first_stage", "--shipped"], "study first_stage makes its own models; leave out --shipped"),
        (["first_stage", "--recipe", "msvd"], "study first_stage is about the samples, whose videos are divided"),
        (["first_stage", "--stage1", "x"], "study first_stage trains its own stage 1; leave out --stage1"),
        (["ood", "--shipped", "--stage1", "x"], "--shipped measures the model of the samples; leave out --stage1"),
        (["training", "--stage1", "nowhere"], "nowhere: holds no stage 1; give the folder of a run of `diffret train`"),
    ],
)
def test_mistake_is_answered_with_one_line(options, line, tmp_path, capsys):
    assert main(["study", *options, *(["--folder", str(tmp_path)] if options else [])]) == 1
    assert line in only_line(capsys.readouterr().err)


def test_videos_that_are_not_rendered_are_named(tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    options = ["--folder", str(tmp_path / "out"), "--videos", str(tmp_path / "videos"), "--device", "cpu"]
    assert main(["study", "training", "--arms", "baseline", *options]) == 1
    assert "'diffret samples render --split all' makes them" in only_line(capsys.readouterr().err)


def test_cell_of_another_stage_1_is_not_taken_for_this_one(study, folder, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(folder / "shipped" / "stage1", other / "stage1")
    weights = other / "stage1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert study("training", folder, "--arms", "baseline", "--stage1", str(other)) == 1
    line = only_line(capsys.readouterr().err)
    assert "baseline/seed1: holds a cell with another stage1; give another --folder, or delete it" in line


def test_cell_with_other_settings_is_not_taken_for_this_one(study, folder, capsys):
    assert study("training", folder, "--arms", "baseline", "--set", "generation.loss_scale=30") == 1
    assert "holds a cell with another recipe" in only_line(capsys.readouterr().err)


def test_list_names_studies_and_arms_and_computes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["study", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(arm.name in printed for study in STUDIES.values() for arm in study.arms)
    assert main(["study", "sampling", "--list"]) == 0
    assert "without_noise" not in capsys.readouterr().out and not list(tmp_path.iterdir())


# the table, and the page


def made_table(folder, rows, ranks):
    about = {"study": "made", "what": "?", "arms": [], "finished": []}
    write_table(folder, rows, ranks, about)
    return folder


def test_equal_ranks_are_written_once_and_read_for_each(tmp_path):
    one, two = torch.tensor([1, 300, 65_535]).to(torch.uint16), torch.tensor([2, 2, 2]).to(torch.uint16)
    names = (
        "a/1/test/text_to_video/similarity",
        "b/1/test/text_to_video/similarity",
        "b/2/test/text_to_video/combined",
    )
    ranks = dict(zip(names, (one, one.clone(), two), strict=True)) | {"a/1/validation/text_to_video/similarity": two}
    found = read_study(made_table(tmp_path / "made", [{"arm": "a", "seed": 1}], ranks))
    assert {key: value.tolist() for key, value in found.ranks.items()} == {
        ("a", 1, "test", "text_to_video", "similarity"): [1, 300, 65_535],
        ("b", 1, "test", "text_to_video", "similarity"): [1, 300, 65_535],
        ("b", 2, "test", "text_to_video", "combined"): [2, 2, 2],
    }
    large = {f"{arm}/1/test/text_to_video/similarity": torch.ones(50_000).to(torch.uint16) for arm in "abcdefgh"}
    made_table(tmp_path / "large", [{"arm": "a"}], large)
    assert (tmp_path / "large" / "ranks.safetensors").stat().st_size < 2 * 100_000


def test_study_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="training/table.csv: there is no such table; `diffret study training`"):
        read_study(tmp_path / "training")


def test_shipped_study_is_entered_in_the_manifest(folder, tmp_path):
    (tmp_path / "MANIFEST.json").write_text('{"files": {}}')
    target = ship(folder / "training", tmp_path)
    assert target == tmp_path / "studies" / "training"
    listed = json.loads((tmp_path / "MANIFEST.json").read_text())["files"]
    assert set(listed) == {f"studies/training/{name}" for name in FILES}
    assert read_study(target).rows == read_study(folder / "training").rows


def test_report_stands_between_its_markers_and_again_the_same(folder, tmp_path):
    shutil.copytree(folder / "training", tmp_path / "studies" / "training", ignore=shutil.ignore_patterns("run"))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- study training: begin -->\nold\n<!-- study training: end -->\nafter\n")
    assert write_report(page, tmp_path / "studies") == ["training"]
    text = page.read_text()
    assert text.startswith("before\n<!-- study training: begin -->\n`diffret study training`")
    assert text.endswith("<!-- study training: end -->\nafter\n") and "old" not in text
    write_report(page, tmp_path / "studies")
    assert page.read_text() == text


def test_report_has_a_row_for_each_arm_and_direction_whose_numbers_are_the_tables(folder):
    table = read_study(folder / "training")
    lines = [line.split(" | ") for line in report(table).splitlines() if line.startswith("| ")]
    head, _, *rows = [[cell.strip("| ") for cell in line] for line in lines]
    assert [(row[0], row[2]) for row in rows] == [
        (arm, direction.replace("_", "-")) for arm in ("baseline", "noise") for direction in DIRECTIONS
    ]
    for row, (arm, direction) in zip(
        rows, [(a, d) for a in ("baseline", "without_noise") for d in DIRECTIONS], strict=True
    ):
        of = {"list": "test", "arm": arm, "direction": direction}
        own = dict(zip(head, row, strict=True))
        assert own["combined"] == f"{table.mean('R@1', method='combined', **of):.1f}"
        gain = table.mean("gain", method="combined", **of)
        assert own["gain"].startswith(f"{gain:+.1f} (") and len(own["of each seed"].split(", ")) == 2
        assert (own["against the baseline"] == "") == (arm == "baseline")


def test_report_of_an_arm_without_a_generator_sets_it_beside_the_baseline():
    lists = ("validation", "test", "shifted")
    both = study_table({"baseline": (1, 2)}, lists=lists), study_table({"all_videos": (2, 3)}, lists=lists)
    rows = both[0].rows + [row for row in both[1].rows if row["method"] == "similarity"]
    arms = [{"name": arm, "factor": "", "level": ""} for arm in ("baseline", "all_videos")]
    about = {"study": "made", "what": "?", "arms": arms, "num_cells": 6, "finished": ["baseline/1", "all_videos/2"]}
    about |= {"hours": 1, "threads": 1, "torch": "2", "date": "today", "commit": None, "stage1_sha256": "0" * 64}
    ranks = both[0].ranks | both[1].ranks
    rows = [{**row, "R@1": 100 * float((ranks[*(row[key] for key in KEY)] == 1).double().mean())} for row in rows]
    table = StudyTable(rows, ranks, about)
    lines = [
        line.strip("| ").split(" | ") for line in report(table).splitlines() if "-video" in line or "video-" in line
    ]
    expected = [(name, direction.replace("_", "-")) for name in lists[1:] for direction in DIRECTIONS]
    assert [tuple(line[1:3]) for line in lines] == expected
    for line, (name, direction) in zip(lines, itertools.product(lists[1:], DIRECTIONS), strict=True):
        recall = {
            (arm, seed, method): 100 * float((ranks[arm, seed, name, direction, method] == 1).double().mean())
            for arm, seed, method in (("all_videos", 2, "similarity"), ("all_videos", 3, "similarity"))
            + tuple(("baseline", seed, method) for seed in (1, 2) for method in METHODS)
        }
        alone = [recall["all_videos", seed, "similarity"] for seed in (2, 3)]
        assert line[3:5] == [f"{sum(alone) / 2:.1f}", f"2: {alone[0]:.1f}, 3: {alone[1]:.1f}"]
        means = [sum(recall["baseline", seed, method] for seed in (1, 2)) / 2 for method in METHODS]
        assert line[5:8] == [f"{mean:.1f}" for mean in means]
        assert line[8].startswith(f"{recall['baseline', 2, 'combined'] - alone[0]:+.1f} (")  # on the seed of both


def test_report_names_seeds_and_what_is_not_finished():
    table = study_table({"baseline": (1,), "without_noise": (1, 2)})
    arms = [{"name": arm, "factor": "", "level": ""} for arm in ("baseline", "without_noise", "linear")]
    about = {"study": "made", "what": "?", "arms": arms, "num_cells": 9, "finished": ["baseline/1"]}
    about["finished"] += ["without_noise/1", "without_noise/2"]
    about |= {"hours": 1, "threads": 1, "torch": "2", "date": "today", "commit": None, "stage1_sha256": "0" * 64}
    rows = [{**row, "gain": float(row["seed"]), "ceiling": 9.0} for row in table.rows]
    lines = report(StudyTable(rows, table.ranks, about)).splitlines()
    assert "3 of 9 cells (2 arms; seeds 1, 2)" in lines[0]
    baseline, _, without, _ = (line for line in lines if "-video" in line or "video-" in line)
    assert "| 1: +1.0 |" in baseline and "| 1: +1.0, 2: +2.0 |" in without
    assert "), seed 1 only |" in without and "only" not in baseline
    told = "Not all seeds yet: baseline (1 of 3 seeds), without_noise (2 of 3 seeds). Not computed yet: linear."
    assert lines[-1] == told
    assert "commit unknown, stage" in lines[0]
    changed = report(StudyTable(rows, table.ranks, about | {"commit": "0123456789abcdef-dirty"}))
    assert "commit 0123456789ab with changes, stage" in changed


def test_page_without_a_place_for_a_study_is_refused(folder, tmp_path):
    shutil.copytree(folder / "training", tmp_path / "studies" / "training", ignore=shutil.ignore_patterns("run"))
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no place for study training; write the lines <!-- study training: begin"):
        write_report(page, tmp_path / "studies")
    assert page.read_text() == "nothing\n"
    with pytest.raises(FileNotFoundError, match="holds no study"):
        write_report(page, tmp_path / "empty")


SHIPPED = sample_folder() / "studies"


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no study is shipped yet")
def test_page_agrees_with_the_shipped_studies(tmp_path):
    page = tmp_path / "results.md"
    shutil.copy(ROOT / "docs" / "results.md", page)
    write_report(page, SHIPPED)
    assert page.read_text(encoding="utf-8") == (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 5_000_000
