"""Recipes: what they say is what the benchmark is; settings by name; and each run for real, in miniature."""

import dataclasses
import json

import pytest
from benchmark_layouts import LAYOUTS, make_layout

from diffret_core.cli.main import main
from diffret_core.datasets import READERS, read_collection
from diffret_core.encoders import clip_architecture
from diffret_core.recipes import RECIPES, first_videos, recipe, rehearsal, with_settings
from diffret_core.recipes.benchmarks import PUBLISHED
from diffret_core.retriever import Retriever

CLIPS = ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu", "ViT-L-14-quickgelu")


def test_there_is_a_recipe_for_every_benchmark():
    assert set(RECIPES) == {"tiny", *READERS}
    assert all(recipe(name).name == name for name in RECIPES)
    assert all(recipe(name).collection == name for name in READERS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_recipe_goes_five_times_through_the_published_captions(tmp_path, name):
    folder = make_layout(name, tmp_path / name, with_videos=False)
    published = read_collection(name, folder, hold_out_validation=True).published
    assert PUBLISHED[name] == published
    for stage in (recipe(name).contrastive, recipe(name).generation):
        batches = published.train.num_captions // stage.batch_size
        assert stage.num_steps == 5 * batches


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_recipe_can_be_built_with_every_clip(name, clip):
    made = recipe(name, clip=clip, seed=3)
    assert (made.clip_name, made.pretrained, made.seed) == (clip, "openai", 3)
    assert made.model.clip == clip_architecture(clip)
    long = name in ("activitynet", "didemo")
    assert (made.model.max_words, made.model.max_frames) == ((64, 64) if long else (32, 12))
    assert made.contrastive.encode_at_once >= 1


@pytest.mark.parametrize("clip", CLIPS)
def test_models_have_the_sizes_of_their_clip(clip):
    import torch

    with torch.device("meta"):
        model = Retriever(recipe("msrvtt", clip=clip).model)
    dim = 768 if "L-14" in clip else 512
    assert model.config.dim == dim
    num_weights = sum(value.numel() for value in model.text_query_denoiser.parameters())
    assert num_weights / dim**2 == pytest.approx(10, abs=0.02)  # SPEC section 8: 2.63 million at D = 512


def test_unknown_recipes_and_choices_are_refused():
    with pytest.raises(ValueError, match="there is no recipe 'mrsvtt'; choose one of: tiny, msrvtt"):
        recipe("mrsvtt")
    with pytest.raises(ValueError, match="recipe tiny has no choice of clip"):
        recipe("tiny", clip=CLIPS[0])


def test_settings_are_changed_by_name():
    made = with_settings(
        recipe("msrvtt"),
        [
            "contrastive.clip_learning_rate=3e-6",
            "generation.batch_size = 64",
            "model.scoring.num_draws=4",
            "contrastive.encode_at_once=null",
            "contrastive.frames_on_disk=false",
            "model.schedule=linear",
            "contrastive.weight_decay=0",
        ],
    )
    assert made.contrastive.clip_learning_rate == 3e-6
    assert made.generation.batch_size == 64
    assert made.model.scoring.num_draws == 4
    assert made.contrastive.encode_at_once is None
    assert made.contrastive.frames_on_disk is False
    assert made.model.schedule == "linear"
    assert made.contrastive.weight_decay == 0
    same = dataclasses.replace(
        made,
        model=recipe("msrvtt").model,
        contrastive=recipe("msrvtt").contrastive,
        generation=recipe("msrvtt").generation,
    )
    assert same == recipe("msrvtt")


def test_settings_of_one_of_several_parts_are_changed_by_its_number():
    base = recipe("tiny")
    made = with_settings(base, ["pretraining.3.num_steps=1100", "pretraining.1.learning_rate=1e-4"])
    assert [phase.num_steps for phase in made.pretraining] == [800, 1200, 1100]
    assert [phase.learning_rate for phase in made.pretraining] == [1e-4, 5e-4, 5e-4]
    assert dataclasses.replace(made, pretraining=base.pretraining) == base
    for number in ("0", "4", "-1", "last"):
        with pytest.raises(ValueError, match=f"there is no part '{number}'; there are 1, 2, 3"):
            with_settings(base, [f"pretraining.{number}.num_steps=3"])
    with pytest.raises(ValueError, match="there is no setting 'steps'"):
        with_settings(base, ["pretraining.1.steps=3"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("contrastive.batch_size", "is no setting; write it as NAME=VALUE"),
        ("contrastive.bath_size=3", "there is no setting 'bath_size'; there are num_videos, num_steps"),
        ("contrastive=3", "contrastive has settings of its own; name one, such as num_videos="),
        ("contrastive.batch_size.x=3", "only single numbers"),
        ("model.clip=ViT", "only single numbers"),
        ("contrastive.batch_size=many", "'many' cannot stand for 128"),
        ("contrastive.batch_size=1.5", "1.5 cannot stand for 128"),
        ("contrastive.batch_size=null", "None cannot stand for 128"),
        ("contrastive.frames_on_disk=1", "1 cannot stand for True"),
        ("contrastive.weight_decay=true", "True cannot stand for 0.2"),
        ("contrastive.batch_size=1", "batch_size is 1; it must be at least 2"),
        ("contrastive.average_decay=high", "'high' is of the wrong kind"),
        ("pretraining.1.num_steps=3", "there is no part '1'; there are none"),
        ("pretraining=3", "only single numbers"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        with_settings(recipe("msrvtt"), [setting])


@pytest.mark.parametrize("name", RECIPES)
def test_rehearsal_keeps_what_decides_whether_a_run_works(name):
    whole, small = recipe(name), rehearsal(recipe(name))
    assert small.pretrained is None and small.collection == whole.collection
    for part in ("max_words", "max_frames", "frames_per_second", "num_noise_levels", "mode"):
        assert getattr(small.model, part) == getattr(whole.model, part)
    for part in ("compute_precision", "frames_on_disk"):
        assert getattr(small.contrastive, part) == getattr(whole.contrastive, part)
    assert (small.contrastive.encode_at_once is None) == (whole.contrastive.encode_at_once is None)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_recipe_runs_on_a_miniature_of_its_benchmark(tmp_path, name, capsys):
    folder = make_layout(name, tmp_path / name)
    command = ["train", "--recipe", name, "--rehearse", "--any-size", "--data", str(folder), "--device", "cpu"]
    assert main([*command, "--output", str(tmp_path / "run")]) == 0
    assert "trained:" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["split"] == "validation"
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in log if "loss" in line] == ["stage 1"] * 4 + ["stage 2"] * 8
    assert [line["step"] for line in log if "validation_R@1" in line] == [1, 2, 3, 4, 2, 4, 6, 8]
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["name"] == name


def test_first_videos_are_kept_with_their_captions(tmp_path):
    folder = make_layout("msrvtt", tmp_path / "data")
    collection = first_videos(read_collection("msrvtt", folder, hold_out_validation=True), 3)
    for split in ("train", "validation", "test"):
        assert len(collection.video_ids(split)) == 3
        assert {caption.video_id for caption in collection.pairs(split)} == set(collection.video_ids(split))


def test_recipe_says_how_the_folder_is_laid_out(tmp_path, capsys):
    folder = make_layout("msvd", tmp_path / "msvd")
    assert main(["train", "--recipe", "msvd", "--collection", "lsmdc", "--data", str(folder)]) == 1
    assert "recipe msvd is for msvd, not for lsmdc" in capsys.readouterr().err
    assert main(["train", "--recipe", "msrvtt", "--data", str(folder)]) == 1
    assert "it holds files of msvd, so choose that instead of msrvtt" in capsys.readouterr().err


def test_settings_reach_the_run(tmp_path):
    folder = make_layout("msrvtt", tmp_path / "data")
    command = ["train", "--recipe", "msrvtt", "--rehearse", "--any-size", "--data", str(folder), "--device", "cpu"]
    settings = ["--set", "model.scoring.num_steps=3", "--set", "contrastive.weight_decay=0.1"]
    assert main([*command, *settings, "--output", str(tmp_path / "run")]) == 0
    written = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert written["model"]["scoring"]["num_steps"] == 3
    assert written["contrastive"]["weight_decay"] == 0.1
