import json
from dataclasses import replace

import torch
from pytest import fixture, mark, raises
from tiny_collection import make_collection, tiny_recipe

from diffret_core.checkpoints import load_checkpoint, save_checkpoint
from diffret_core.config import DIRECTIONS, PretrainingConfig, ScoringConfig
from diffret_core.datasets import read_collection
from diffret_core.evaluation import evaluate
from diffret_core.galleries import encode_gallery
from diffret_core.retriever import Retriever
from diffret_core.scores import score_all
from diffret_core.training import first_stage, run
from diffret_core.training.generation import generation_trainer
from diffret_core.training.pairs import TrainingPairs
from diffret_core.training.run import train, train_first_stage
from diffret_core.training.second_stage import second_stage_data


@fixture(scope="module")
def collection(tmp_path_factory):
    return read_collection("msrvtt", make_collection(tmp_path_factory.mktemp("run") / "data"), hold_out_validation=True)


@fixture(scope="module")
def finished(collection, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished")
    return output, train(tiny_recipe(), collection, output)


def weights(folder):
    return load_checkpoint(folder).state_dict()


def test_run_leaves_a_model_its_log_and_its_metrics(finished):
    output, metrics = finished
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in log] == [
        *(("pre-training 1", step) for step in (1, 2, 3)),
        *(("pre-training 2", step) for step in (1, 2)),
        *((stage, step) for stage in ("stage 1", "stage 2") for step in (1, 2, 3, 4)),
    ]
    assert {name: json.loads((output / "metrics.json").read_text())[name] for name in metrics} == metrics
    assert sorted(path.name for path in output.iterdir() if path.is_file()) == [
        "config.json",
        "log.jsonl",
        "metrics.json",
        "recipe.json",
        "weights.safetensors",
    ]


def test_run_leaves_the_weights_that_did_best_on_validation(collection, tmp_path):
    recipe, looks = tiny_recipe(seed=3), {"num_looks": 6, "num_steps": 6}
    first = replace(recipe.contrastive, **looks, clip_learning_rate=1e-2, zero_unseen_words=False)
    second = replace(recipe.generation, **looks, learning_rate=1e-2)
    train(replace(recipe, contrastive=first, generation=second), collection, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    looked = {
        stage: [line["validation_R@1"] for line in log if line["stage"] == stage and "loss" not in line]
        for stage in ("stage 1", "stage 2")
    }
    assert any(max(scores) > scores[-1] for scores in looked.values()), "at these rates it should get worse again"
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    for stage, method in (("stage 1", "similarity"), ("stage 2", "combined")):
        left = sum(metrics[direction][method]["R@1"] for direction in DIRECTIONS) / 2
        assert left == max(looked[stage]), stage
    assert not list(tmp_path.glob("*best*"))


@mark.parametrize(("stage", "step"), [("stage 1", 2), ("stage 1", 4), ("stage 2", 4)])
def test_interruption_before_a_look_skips_none(collection, tmp_path, stage, step):
    def interrupt(what, done, *_):
        if (what, done) == (stage, step):  # the look comes after the step
            raise KeyboardInterrupt

    def looks(folder):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return [(line["stage"], line["step"], line["validation_R@1"]) for line in lines if "loss" not in line]

    recipe = tiny_recipe()
    first, second = (replace(one, num_looks=2) for one in (recipe.contrastive, recipe.generation))
    recipe = replace(recipe, contrastive=first, generation=second)
    train(recipe, collection, tmp_path / "whole")
    with raises(KeyboardInterrupt):
        train(recipe, collection, tmp_path / "resumed", listen=interrupt)
    train(recipe, collection, tmp_path / "resumed")
    assert len(looks(tmp_path / "whole")) == 4
    assert looks(tmp_path / "resumed") == looks(tmp_path / "whole")
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path / "resumed").items())


def test_run_gives_the_same_weights_again(finished, collection, tmp_path):
    train(tiny_recipe(), collection, tmp_path)
    expected = weights(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


@mark.parametrize(
    ("stage", "step"), [("pre-training 1", 2), ("pre-training 2", 1), ("stage 1", 2), ("stage 2", 1), ("stage 2", 4)]
)
def test_run_resumes_where_it_was_interrupted(finished, collection, tmp_path, stage, step):
    def interrupt(what, done, total, loss):
        if (what, done) == (stage, step):
            raise KeyboardInterrupt

    with raises(KeyboardInterrupt):
        train(tiny_recipe(), collection, tmp_path, listen=interrupt)
    steps = []
    train(tiny_recipe(), collection, tmp_path, listen=lambda what, done, *_: steps.append((what, done)))
    assert (stage, step) not in steps
    assert ("reading training videos" in dict(steps)) == (stage != "stage 2")  # a finished stage is not begun again
    expected = weights(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


def test_run_refuses_a_folder_with_another_run(collection, tmp_path):
    def interrupt(what, *_):
        if what == "stage 1":
            raise KeyboardInterrupt

    with raises(KeyboardInterrupt):
        train(tiny_recipe(), collection, tmp_path, listen=interrupt)
    with raises(ValueError, match="other settings"):
        train(tiny_recipe(seed=1), collection, tmp_path)


def test_run_refuses_a_finished_folder_and_leaves_it_as_it_is(finished, collection):
    output, _ = finished
    before = (output / "weights.safetensors").read_bytes()
    with raises(ValueError, match="finished run"):
        train(tiny_recipe(), collection, output)
    assert (output / "weights.safetensors").read_bytes() == before


def test_run_names_missing_training_videos_before_it_trains(tmp_path):
    data = make_collection(tmp_path / "data")
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    collection.video_path(collection.video_ids("train")[5]).unlink()
    steps = []
    with raises(FileNotFoundError, match="1 of 8 videos to train or validate with are missing"):
        train(tiny_recipe(), collection, tmp_path / "out", listen=lambda what, *_: steps.append(what))
    assert "stage 1" not in steps


def test_run_names_missing_validation_videos_before_it_trains_and_leaves_the_folder_free(tmp_path):
    collection = read_collection("msrvtt", make_collection(tmp_path / "data"), hold_out_validation=True)
    collection.video_path(collection.video_ids("validation")[0]).unlink()
    with raises(FileNotFoundError, match="1 of 4 videos to train or validate with are missing"):
        train(tiny_recipe(), collection, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_refuses_a_collection_that_leaves_stage_2_without_videos(collection, tmp_path):
    generation = replace(tiny_recipe().generation, first_video=8)
    with raises(ValueError, match="8 training and 4 validation videos; recipe few_steps needs more than 8"):
        train(tiny_recipe(generation=generation), collection, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_refuses_to_go_on_with_other_captions(collection, tmp_path):
    def interrupt(what, *_):
        if what == "stage 1":
            raise KeyboardInterrupt

    with raises(KeyboardInterrupt):
        train(tiny_recipe(), collection, tmp_path / "out", listen=interrupt)
    data = make_collection(tmp_path / "data")
    annotation = data / "MSRVTT_data.json"
    annotation.write_text(annotation.read_text(encoding="utf-8").replace("a video:", "a clip:"), encoding="utf-8")
    other = read_collection("msrvtt", data, hold_out_validation=True)
    with raises(ValueError, match="other captions"):
        train(tiny_recipe(), other, tmp_path / "out")


def test_run_zeroes_the_words_it_never_saw_and_stores_only_the_others(finished):
    table = weights(finished[0])["clip.token_embedding.weight"]
    num_seen = int(table.any(dim=1).sum())
    assert 5 < num_seen < 200
    assert (finished[0] / "weights.safetensors").stat().st_size < table.numel()


def test_second_stage_leaves_the_encoders_as_they_are(finished, collection, tmp_path):
    longer = replace(tiny_recipe(), generation=replace(tiny_recipe().generation, num_steps=6))
    train(longer, collection, tmp_path)
    expected = weights(finished[0])
    for name, value in weights(tmp_path).items():
        assert torch.equal(value, expected[name]) == ("denoiser" not in name), name


# stage 2 alone, from another run's stage 1


def stage_1_of(folder, **changes):
    """A folder like that of a run whose stage 1 is finished: its weights are random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        save_checkpoint(folder / "stage1", Retriever(replace(tiny_recipe().model, **changes)))
    return folder


def short_recipe(*, seed=0, **generation):
    """Stage 2 in one step that hardly changes the denoisers."""
    changes = {"num_steps": 1, "learning_rate": 1e-9, **generation}
    return tiny_recipe(seed=seed, generation=replace(tiny_recipe().generation, **changes))


def interrupt_in_stage_2(what, *_):
    if what == "stage 2":
        raise KeyboardInterrupt


def test_stage_1_alone_is_that_of_the_whole_run_which_goes_on_from_it(finished, collection, tmp_path):
    output, metrics = finished
    folder = train_first_stage(tiny_recipe(), collection, tmp_path)
    assert folder == tmp_path / "stage1"
    assert {path.name for path in tmp_path.iterdir()} == {"log.jsonl", "recipe.json", "stage1"}
    both = weights(folder), weights(output / "stage1")
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[1])
    assert train(tiny_recipe(), collection, tmp_path) == metrics
    both = weights(tmp_path), weights(output)
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[1])


def test_stage_2_alone_gives_the_model_of_the_whole_run(finished, collection, tmp_path):
    told = []
    metrics = train(
        tiny_recipe(), collection, tmp_path, first_stage=finished[0], listen=lambda what, *_: told.append(what)
    )
    assert metrics == finished[1]
    assert {"stage 1", "reading training videos"}.isdisjoint(told) and "stage 2" in told
    expected = weights(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


def test_seeds_give_different_denoisers_to_the_same_stage_1(finished, collection, tmp_path):
    runs = []
    for seed in (1, 2):
        train(short_recipe(seed=seed), collection, tmp_path / str(seed), first_stage=finished[0])
        runs.append(weights(tmp_path / str(seed)))
    of_stage_1 = weights(finished[0] / "stage1")
    for name, value in runs[0].items():
        if "denoiser" not in name:
            assert torch.equal(value, of_stage_1[name]) and torch.equal(runs[1][name], of_stage_1[name]), name
        elif name.endswith((".query.weight", ".key.weight")):  # these start from stage 1, not from chance
            diagonal = value.diagonal().clone()
            assert float(diagonal.min()) > 0.01 > 1e-6 > float((value - diagonal.diag()).abs().max()), name
        elif name.endswith("weight"):  # far more apart than one such step can move them
            assert float((value - runs[1][name]).abs().max()) > 1e-3, name
            assert float((value - of_stage_1[name]).abs().max()) > 1e-3, name


def test_features_are_kept_beside_the_encoders_that_made_them(finished, collection, tmp_path):
    source, first, second = stage_1_of(tmp_path / "source"), tmp_path / "first", tmp_path / "second"
    encoded = []
    for output in (first, second):
        totals = {}
        train(
            short_recipe(),
            collection,
            output,
            first_stage=source,
            listen=lambda what, done, total, loss, totals=totals: totals.update({what: total}),
        )
        encoded.append((totals.get("encoding training videos", 0), totals.get("encoding validation videos", 0)))
    assert encoded == [(4, 4), (0, 0)]  # the second run finds what the first has encoded
    assert len(list((source / "stage1" / "features").glob("*.safetensors"))) == 2  # of training and of validation
    assert not list(first.rglob("features")) and not list(second.rglob("features"))
    assert list((finished[0] / "stage1" / "features").glob("*.safetensors"))


def test_stage_2_sees_its_videos_in_as_many_views_as_it_is_told(collection, tmp_path, monkeypatch):
    given = []

    def watching(model, texts, views, *arguments, **options):
        given.append(views)
        return generation_trainer(model, texts, views, *arguments, **options)

    monkeypatch.setattr(run, "generation_trainer", watching)
    source, recipe = stage_1_of(tmp_path / "source"), short_recipe()
    views = replace(recipe.generation, num_views=3, max_shift=4, frame_share=0.5)
    train(replace(recipe, generation=views), collection, tmp_path / "out", first_stage=source)
    ((videos, *others),) = given
    assert len(others) == 2
    for other in others:
        assert other.frames.shape == videos.frames.shape
        assert not bool((other.frame_mask & ~videos.frame_mask).any())
        assert not torch.allclose(other.frames, videos.frames, atol=1e-3)
    assert not torch.allclose(others[0].frames, others[1].frames, atol=1e-3)


@mark.parametrize(("sizes", "expected"), [((), ["start"]), ((1,), [1, "start"]), ((1, 2, 3), [1, "start", 2, 3])])
def test_temporal_transformer_starts_once_when_single_frames_are_learned(monkeypatch, tmp_path, sizes, expected):
    done = []
    monkeypatch.setattr(first_stage, "_start_temporal", lambda *_: done.append("start"))
    monkeypatch.setattr(first_stage, "pretraining_trainer", lambda model, pairs, phase, *_, **__: phase.num_frames)
    monkeypatch.setattr(first_stage, "take_steps", lambda trainer, *_: done.append(trainer))
    recipe = tiny_recipe(pretraining=tuple(PretrainingConfig(num_steps=1, num_frames=size) for size in sizes))
    model = Retriever(recipe.model)
    nothing = torch.zeros(1, 1, dtype=torch.long)
    pairs = TrainingPairs(
        torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8), nothing == 0, nothing, nothing == 0, nothing[0]
    )
    first_stage._pretrain(model, recipe, pairs, torch.Tensor.float, output=tmp_path, listen=lambda *_: None)
    assert done == expected


@mark.parametrize("is_normalised", [False, True])
def test_positions_start_as_large_as_the_frames_where_those_have_one_size(collection, tmp_path, is_normalised):
    recipe = tiny_recipe()
    contrastive = replace(recipe.contrastive, num_steps=1, new_learning_rate=1e-9)
    recipe = replace(recipe, pretraining=recipe.pretraining[:1])  # what follows moves the positions
    recipe = replace(recipe, model=replace(recipe.model, normalise_frames=is_normalised), contrastive=contrastive)
    train(recipe, collection, tmp_path)
    size = load_checkpoint(tmp_path).temporal.positions.norm(dim=-1)
    expected = recipe.model.dim**0.5 * (1.0 if is_normalised else 0.01)  # CLIP's positions start at 0.01 an entry
    torch.testing.assert_close(size, torch.full_like(size, expected), rtol=1e-5 if is_normalised else 0.5, atol=0)


@mark.parametrize(
    "change", [{"num_temporal_layers": 2}, {"max_frames": 3}, {"mode": "reference"}, {"normalise_frames": True}]
)
def test_stage_1_of_another_architecture_is_refused(collection, tmp_path, change):
    source = stage_1_of(tmp_path / "source", **change)
    with raises(ValueError, match="source/stage1: of another architecture than recipe few_steps"):
        train(tiny_recipe(), collection, tmp_path / "out", first_stage=source)
    assert not (tmp_path / "out").exists()


def test_stage_1_that_is_not_there_is_refused(collection, tmp_path):
    with raises(FileNotFoundError, match="nowhere/stage1"):
        train(tiny_recipe(), collection, tmp_path / "out", first_stage=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_run_is_resumed_with_its_own_stage_1_only(finished, collection, tmp_path):
    source = stage_1_of(tmp_path / "source")
    with raises(KeyboardInterrupt):
        train(tiny_recipe(), collection, tmp_path / "out", first_stage=source, listen=interrupt_in_stage_2)
    for other in (finished[0], None):
        with raises(ValueError, match="out holds a run with other settings"):
            train(tiny_recipe(), collection, tmp_path / "out", first_stage=other)
    steps = []
    train(
        tiny_recipe(),
        collection,
        tmp_path / "out",
        first_stage=source,
        listen=lambda what, done, *_: steps.append((what, done)),
    )
    assert [done for what, done in steps if what == "stage 2"] == [2, 3, 4]


def test_scoring_is_the_recipes_and_not_that_of_the_stage_1(collection, tmp_path):
    source = stage_1_of(tmp_path / "source", scoring=ScoringConfig(num_candidates=4, num_steps=2))
    train(short_recipe(), collection, tmp_path / "out", first_stage=source)
    scoring = load_checkpoint(tmp_path / "out").config.scoring
    assert (scoring.num_candidates, scoring.num_steps) == (3, None)


def test_stage_2_uses_as_many_videos_as_it_is_told(collection, tmp_path):
    source = stage_1_of(tmp_path / "source")
    settings = {"num_candidates": 2, "negative_pool": 1, "batch_size": 2, "num_steps": 3, "learning_rate": 1e-3}
    fewer = collection.without_videos(collection.video_ids("train")[6:])
    totals = {}
    train(
        short_recipe(num_videos=2, **settings),
        collection,
        tmp_path / "told",
        first_stage=source,
        listen=lambda what, done, total, loss: totals.update({what: total}),
    )
    assert totals["encoding training videos"] == 2
    train(short_recipe(**settings), fewer, tmp_path / "given", first_stage=source)
    told = weights(tmp_path / "told")
    assert all(torch.equal(value, told[name]) for name, value in weights(tmp_path / "given").items())


# validation


def test_validation_is_on_one_caption_per_video_as_the_test_is(finished, collection, tmp_path):
    output, metrics = finished
    model = load_checkpoint(output)
    found = []
    for one in (collection.with_one_caption("validation"), collection):
        gallery = encode_gallery(model, one, "validation", cache_folder=tmp_path)
        scores = score_all(model, gallery.texts, gallery.videos)
        found.append(evaluate(scores, gallery.video_of_text, model.config.scoring))
    assert (len(collection.pairs("validation")), len(collection.video_ids("validation"))) == (8, 4)
    assert metrics == found[0] != found[1]


def test_validation_is_on_all_captions_where_the_test_is_too(finished, collection, tmp_path):
    several = replace(collection, test=collection.validation)
    totals = {}
    train(
        short_recipe(),
        several,
        tmp_path,
        first_stage=finished[0],
        listen=lambda what, done, total, loss: totals.update({what: total}),
    )
    assert totals["generating for validation"] == 8 + 4  # texts and videos


def test_stage_2_may_have_other_noise_than_the_run_whose_stage_1_it_takes(finished, collection, tmp_path):
    for name, changes in (
        ("levels", {"num_noise_levels": 30, "schedule": "linear"}),
        ("none", {"num_noise_levels": 1, "noise": False}),
    ):
        recipe = tiny_recipe(model=replace(tiny_recipe().model, **changes))
        train(recipe, collection, tmp_path / name, first_stage=finished[0])
        model = load_checkpoint(tmp_path / name)
        assert (model.config.noise, len(model.alpha_bar)) == (name != "none", changes["num_noise_levels"] + 1)


def encoded_for(folder, source, collection, **changes):
    """How many views of training videos a run encodes."""
    encoded = []

    def listen(what, done, total, loss):
        if what == "encoding training videos" and done == total:
            encoded.append(total)

    train(short_recipe(**changes), collection, folder, first_stage=source, listen=listen)
    return [total for total in encoded if total]


def test_runs_of_several_seeds_can_share_their_views(collection, tmp_path):
    source, views = stage_1_of(tmp_path / "source"), {"num_views": 2, "max_shift": 1}
    assert encoded_for(tmp_path / "first", source, collection, seed=4, **views) == [4, 4]
    assert encoded_for(tmp_path / "shared", source, collection, seed=5, view_seed=4, **views) == []
    assert encoded_for(tmp_path / "own", source, collection, seed=5, **views) == [4]


def test_run_learns_from_data_that_it_is_given(finished, collection, tmp_path):
    asked = []

    def remembered(*arguments):
        asked.append(second_stage_data(*arguments) if not asked else asked[0])
        return asked[-1]

    for name in ("first", "second"):
        train(tiny_recipe(), collection, tmp_path / name, first_stage=finished[0], make_data=remembered)
    expected = weights(finished[0])
    assert len(asked) == 2
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path / "second").items())
