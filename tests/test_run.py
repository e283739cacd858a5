import json
from dataclasses import replace

import torch
from pytest import fixture, mark, raises
from tiny_collection import make_collection, tiny_recipe

from diffret_core.checkpoints import load_checkpoint
from diffret_core.datasets import read_collection
from diffret_core.training.run import train


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
        (stage, step) for stage in ("stage 1", "stage 2") for step in (1, 2, 3, 4)
    ]
    assert {name: json.loads((output / "metrics.json").read_text())[name] for name in metrics} == metrics
    assert sorted(path.name for path in output.iterdir() if path.is_file()) == [
        "config.json",
        "log.jsonl",
        "metrics.json",
        "recipe.json",
        "weights.safetensors",
    ]


def test_run_gives_the_same_weights_again(finished, collection, tmp_path):
    train(tiny_recipe(), collection, tmp_path)
    expected = weights(finished[0])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


@mark.parametrize(("stage", "step"), [("stage 1", 2), ("stage 2", 1), ("stage 2", 4)])
def test_run_resumes_where_it_was_interrupted(finished, collection, tmp_path, stage, step):
    def interrupt(what, done, total, loss):
        if (what, done) == (stage, step):
            raise KeyboardInterrupt

    with raises(KeyboardInterrupt):
        train(tiny_recipe(), collection, tmp_path, listen=interrupt)
    steps = []
    train(tiny_recipe(), collection, tmp_path, listen=lambda what, done, *_: steps.append((what, done)))
    assert (stage, step) not in steps
    assert ("reading training videos" in dict(steps)) == (stage == "stage 1")  # a finished stage is not begun again
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
