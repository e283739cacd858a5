"""Configurations: validated when made, the same after a trip through JSON."""

import dataclasses
import inspect
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from tiny_collection import tiny_recipe
from tiny_models import SMALL, WIDE, tiny_config

from diffret_core.config import (
    ContrastiveConfig,
    GenerationConfig,
    ModelConfig,
    PretrainingConfig,
    ScoringConfig,
    model_config_from_json,
    to_json,
)
from diffret_core.recipes import recipe

NAN = float("nan")


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(),
        tiny_config(WIDE, schedule="linear", mode="reference", frames_per_second=0.5, max_frames=1),
        tiny_config(scoring=ScoringConfig(num_candidates=7, alpha=0.3, temperature=20.0, num_steps=5, num_draws=4)),
        tiny_config(scoring=ScoringConfig(start_level=3)),
        tiny_config(normalise_for_denoiser=True),
        tiny_config(normalise_frames=True),
        tiny_config(noise=False, num_noise_levels=1, scoring=ScoringConfig(eta=0.5)),
        tiny_config(image_mean=(0.0, 0.1, 0.2), image_std=(1.0, 1.0, 0.5)),
    ],
)
def test_model_configuration_comes_back_from_json_as_it_was(config):
    assert model_config_from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    "config",
    [
        ContrastiveConfig(num_steps=3, clip_learning_rate=1e-4, sentence_weight=0.5, max_shift=4, frame_share=0.6),
        PretrainingConfig(num_steps=3, batch_size=5, num_frames=4, learning_rate=1e-4, weight_decay=0.1),
        GenerationConfig(num_steps=3, first_video=7, num_videos=2, offset_penalty=1.0),
        GenerationConfig(num_steps=3, num_views=4, max_shift=3, frame_share=0.5, view_seed=2),
        GenerationConfig(num_steps=3, loss="mse", negatives="batch"),
    ],
)
def test_stage_comes_back_from_json_as_it_was(config):
    assert type(config)(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_configuration_of_an_older_version_means_what_it_meant():
    description = to_json(tiny_config())
    for name in ("normalise_frames", "normalise_for_denoiser", "noise"):
        del description[name]
    del description["scoring"]["num_draws"], description["scoring"]["eta"]
    assert model_config_from_json(description) == tiny_config()
    assert "start_level" not in description["scoring"]  # so that older cells and runs still are the same ones
    plain = tiny_config()
    assert (plain.normalise_frames, plain.normalise_for_denoiser, plain.scoring.num_draws) == (False, False, 1)
    assert plain.noise and plain.scoring.eta == 0


def test_stage_1_is_the_papers_unless_asked_otherwise():
    plain = ContrastiveConfig(**STAGE_1)
    assert (plain.sentence_weight, plain.max_shift, plain.frame_share) == (0, 0, 1)


def test_stage_2_sees_each_video_as_it_is_unless_asked_otherwise():
    assert GenerationConfig(num_steps=3).num_views == 1


def test_model_configuration_knows_its_sizes():
    assert (tiny_config(WIDE).dim, tiny_config(WIDE).image_size) == (128, 24)
    without_size = {**SMALL, "vision_cfg": {"layers": 1}}
    assert ModelConfig(clip=without_size, max_words=8).image_size == 224


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_config().max_words = 3


def refused(make, **values):
    with pytest.raises(ValueError) as caught:
        make(**values)
    name = next(iter(values))
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"num_candidates": 0},
        {"alpha": -0.1},
        {"alpha": NAN},
        {"temperature": 0.0},
        {"temperature": NAN},
        {"num_steps": 0},
        {"num_draws": 0},
        {"eta": -0.1},
        {"eta": 1.5},
        {"eta": NAN},
        {"start_level": 0},
    ],
)
def test_scoring_out_of_range_is_refused(values):
    refused(ScoringConfig, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"max_words": 2},
        {"max_words": 17},
        {"max_frames": 0},
        {"num_frame_positions": 3},
        {"frames_per_second": 0.0},
        {"frames_per_second": NAN},
        {"num_temporal_layers": 0},
        {"num_noise_levels": 0},
    ],
)
def test_model_out_of_range_is_refused(values):
    refused(tiny_config, **values)


@pytest.mark.parametrize(
    ("field", "value"), [("normalise_frames", "false"), ("normalise_for_denoiser", 1), ("noise", 1)]
)
def test_switch_that_is_no_switch_is_refused_in_use(field, value):
    """In a process of its own: here types are checked before, which they are not in use."""
    description = json.dumps({**to_json(tiny_config()), field: value})
    read = "import json, sys; from diffret_core.config import *; model_config_from_json(json.loads(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", read, description], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == f"ValueError: {field} is {value!r}; it must be true or false"


@pytest.mark.parametrize(("field", "value"), [("schedule", "quadratic"), ("mode", "released")])
def test_unknown_word_is_refused_with_the_choices(field, value):
    description = {**to_json(tiny_config()), field: value}
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        model_config_from_json(description)


@pytest.mark.parametrize("part", ["embed_dim", "vision_cfg", "text_cfg"])
def test_architecture_without_a_part_is_refused(part):
    with pytest.raises(ValueError, match=f"{part}.*is missing"):
        tiny_config({name: value for name, value in SMALL.items() if name != part})


STAGE_1 = {"num_steps": 10, "clip_learning_rate": 1e-4}


@pytest.mark.parametrize(
    "values",
    [
        {"num_steps": 0},
        {"batch_size": 1},
        {"clip_learning_rate": 0.0},
        {"new_learning_rate": -1.0},
        {"weight_decay": -0.1},
        {"warmup_fraction": 1.5},
        {"max_gradient_norm": 0.0},
        {"sentence_weight": -0.1},
        {"sentence_weight": NAN},
        {"max_shift": -1},
        {"frame_share": 0.0},
        {"frame_share": -0.5},
        {"frame_share": 1.01},
        {"frame_share": NAN},
    ],
)
def test_contrastive_stage_out_of_range_is_refused(values):
    refused(ContrastiveConfig, **{**values, **{name: v for name, v in STAGE_1.items() if name not in values}})


@pytest.mark.parametrize(
    "values",
    [
        {"num_steps": 0},
        {"batch_size": 1},
        {"num_frames": 0},
        {"group_size": 0},
        {"num_alike": 6, "group_size": 8},
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"warmup_fraction": 1.5},
        {"max_gradient_norm": NAN},
    ],
)
def test_pretraining_out_of_range_is_refused(values):
    refused(PretrainingConfig, **{**values, **({} if "num_steps" in values else {"num_steps": 3})})


def test_groups_that_do_not_fill_a_batch_are_refused():
    with pytest.raises(ValueError, match="group_size is 3 and does not divide batch_size, 8, into whole groups"):
        PretrainingConfig(num_steps=1, batch_size=8, group_size=3)
    assert PretrainingConfig(num_steps=1, batch_size=9, group_size=3).num_alike == 32


def test_phases_of_pretraining_with_fewer_frames_come_first():
    few, many = (PretrainingConfig(num_steps=1, num_frames=num_frames) for num_frames in (1, 4))
    assert tiny_recipe(pretraining=(few, many, many)).pretraining == (few, many, many)
    with pytest.raises(ValueError, match=r"phases see \[4, 1\] frames"):
        tiny_recipe(pretraining=(many, few))


@pytest.mark.parametrize(
    "values",
    [
        {"num_steps": 0},
        {"batch_size": 0},
        {"num_candidates": 1},
        {"negative_pool": 30},
        {"learning_rate": 0.0},
        {"loss_scale": NAN},
        {"first_video": -1},
        {"warmup_fraction": -0.5},
        {"num_videos": 1},
        {"num_views": 0},
        {"max_shift": -1},
        {"frame_share": 0.0},
        {"frame_share": 1.5},
    ],
)
def test_generation_stage_out_of_range_is_refused(values):
    refused(GenerationConfig, **{**values, **{"num_steps": 5} | values})


@pytest.mark.parametrize(
    "change",
    [
        {"max_words": None},
        {"max_words": "8"},
        {"scoring": None},
        {"scoring": {"beta": 1}},
        {"colour": 1},
        {"clip": []},
        {"clip": {**SMALL, "text_cfg": 3}},
        {"image_mean": 3},
        {"image_std": [0.5]},
    ],
)
def test_json_that_is_no_model_configuration_is_refused(change):
    with pytest.raises(ValueError):
        model_config_from_json({**to_json(tiny_config()), **change})


@pytest.mark.parametrize("value", [None, 3, [], "x", {}])
def test_json_of_another_kind_is_refused(value):
    with pytest.raises(ValueError, match="not a model configuration"):
        model_config_from_json(value)


def test_json_without_a_needed_field_is_refused():
    description = to_json(tiny_config())
    del description["clip"]
    with pytest.raises(ValueError, match="clip"):
        inspect.unwrap(model_config_from_json)(description)


def test_count_that_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match="num_temporal_layers is True; it must be a whole number"):
        tiny_config(num_temporal_layers=True)  # the type hook of the tests lets it pass: True is an int


def test_activation_that_is_no_truth_value_is_refused():
    with pytest.raises(ValueError, match="quick_gelu"):
        tiny_config({**SMALL, "quick_gelu": "x"})


def test_model_without_noise_has_one_level():
    assert not tiny_config(noise=False, num_noise_levels=1).noise
    with pytest.raises(ValueError, match="num_noise_levels is 6; without noise there is 1 level, one pass"):
        tiny_config(noise=False)


def test_walk_starts_at_a_level_of_the_model():
    assert tiny_config(num_noise_levels=6).first_level == 6
    assert tiny_config(num_noise_levels=6, scoring=ScoringConfig(start_level=6)).first_level == 6
    assert tiny_config(num_noise_levels=6, scoring=ScoringConfig(start_level=2)).first_level == 2
    with pytest.raises(ValueError, match="start_level is 7; a model with noise has levels 1 to 6"):
        tiny_config(num_noise_levels=6, scoring=ScoringConfig(start_level=7))
    with pytest.raises(ValueError, match="start_level is 1; without noise there is no walk to start: leave it out"):
        tiny_config(num_noise_levels=1, noise=False, scoring=ScoringConfig(start_level=1))


@pytest.mark.parametrize("config", [tiny_config(), recipe("tiny")], ids=["model", "recipe"])
def test_unused_setting_of_a_variant_is_not_written(config):
    def scoring_of(described):
        return described.get("model", described)["scoring"]

    assert "start_level" not in scoring_of(to_json(config))
    model = getattr(config, "model", config)
    started = replace(model, scoring=replace(model.scoring, start_level=2))
    used = replace(config, model=started) if model is not config else started
    assert scoring_of(to_json(used))["start_level"] == 2
