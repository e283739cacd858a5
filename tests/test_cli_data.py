"""What the commands do when videos are missing, or the data are not as the benchmark published them."""

import json

from benchmark_layouts import make_layout
from pytest import fixture, mark
from tiny_collection import tiny_recipe
from tiny_models import tiny_retriever

from diffret_core.checkpoints import save_checkpoint
from diffret_core.cli.main import main
from diffret_core.config import DIRECTIONS
from diffret_core.datasets import read_collection
from diffret_core.recipes import RECIPES


@fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_model")
    save_checkpoint(folder, tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16))
    return folder


@fixture
def data(tmp_path):
    return make_layout("msrvtt", tmp_path / "data")


@fixture
def evaluate(data, model_folder):
    return ["evaluate", "--data", str(data), "--model", str(model_folder), "--device", "cpu"]


def remove_videos(folder, split, number):
    collection = read_collection("msrvtt", folder, hold_out_validation=True)
    for video_id in collection.video_ids(split)[:number]:
        collection.video_path(video_id).unlink()


def said(capsys):
    both = capsys.readouterr()
    assert "Traceback" not in both.err
    return both.out, [line for line in both.err.splitlines() if line.startswith("diffret ")]


def test_evaluate_refuses_an_incomplete_gallery_unless_so_many_are_allowed(data, evaluate, capsys):
    remove_videos(data, "test", 2)
    for allowed in ([], ["--allow-missing", "1"]):
        assert main([*evaluate, *allowed]) == 1
        out, lines = said(capsys)
        assert out == ""
        assert "2 of 4 test videos are missing in" in lines[-1] and "--allow-missing 2" in lines[-1]


def test_evaluate_says_the_size_of_a_smaller_gallery_with_every_metric(data, evaluate, capsys):
    remove_videos(data, "test", 1)
    assert main([*evaluate, "--allow-missing", "1", "--bank", "0"]) == 0
    out, lines = said(capsys)
    assert out.splitlines()[0] == "test split: 3 texts, 3 videos"
    assert out.splitlines()[1].split()[-1] == "of"
    assert [line.split()[-1] for line in out.splitlines()[2:]] == ["3"] * 6
    assert any("1 of 4 test videos are missing and left out" in line for line in lines)
    assert main([*evaluate, "--allow-missing", "1", "--json"]) == 0
    document = json.loads(said(capsys)[0])
    rows = [one for direction in DIRECTIONS for one in document[direction].values()]
    assert [one["gallery_size"] for one in rows] == [3] * 12
    assert (document["protocol"]["num_videos"], document["protocol"]["num_left_out"]) == (3, 1)


def test_evaluate_of_several_captions_a_video_says_both_sizes(tmp_path, model_folder, capsys):
    folder = make_layout("msvd", tmp_path / "msvd")
    options = ["--collection", "msvd", "--data", str(folder), "--model", str(model_folder), "--device", "cpu"]
    assert main(["evaluate", "--json", *options]) == 0
    metrics = json.loads(said(capsys)[0])
    sizes = {direction: metrics[direction]["combined"]["gallery_size"] for direction in DIRECTIONS}
    assert sizes == {"text_to_video": 4, "video_to_text": 8}


def test_evaluate_says_when_the_data_are_not_the_published_ones(evaluate, capsys):
    assert main(evaluate) == 0
    lines = said(capsys)[1]
    assert any("not the published msrvtt: test has 4 videos, expected 1000" in line for line in lines)


@mark.parametrize(("protocol", "number"), [("full", "8 texts, 4 videos"), ("9k", "4 texts, 4 videos")])
def test_evaluate_takes_a_published_split_by_name(evaluate, capsys, protocol, number):
    assert main([*evaluate, "--protocol", protocol]) == 0
    assert said(capsys)[0].startswith(f"test split: {number}")


def test_option_that_a_benchmark_has_not_is_refused(tmp_path, model_folder, capsys):
    folder = make_layout("didemo", tmp_path / "didemo", with_videos=False)
    options = ["--collection", "didemo", "--data", str(folder), "--model", str(model_folder), "--device", "cpu"]
    assert main(["evaluate", "--protocol", "9k", *options]) == 1
    assert said(capsys)[1] == ["diffret evaluate: the reader of didemo has no option 'protocol'"]


@fixture
def train(data, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "few_steps", tiny_recipe)
    monkeypatch.setitem(RECIPES, "msrvtt", tiny_recipe_named_msrvtt)
    return ["train", "--device", "cpu", "--data", str(data), "--output", str(tmp_path / "out")]


def tiny_recipe_named_msrvtt():
    return tiny_recipe(name="msrvtt")


def test_train_refuses_missing_videos_unless_so_many_are_allowed(data, train, capsys):
    remove_videos(data, "train", 1)
    remove_videos(data, "validation", 1)
    few_steps = [*train, "--recipe", "few_steps"]
    assert main(few_steps) == 1
    assert "missing in" in said(capsys)[1][-1]
    assert main([*few_steps, "--allow-missing", "1"]) == 1
    assert "2 of 12 train and validation videos are missing in" in said(capsys)[1][-1]
    assert main([*few_steps, "--allow-missing", "2"]) == 0
    out, lines = said(capsys)
    assert any("2 of 12 train and validation videos are missing and left out" in line for line in lines)
    table = [line for line in out.splitlines() if line.startswith(("text-to-video", "video-to-text"))]
    assert [line.split()[-1] for line in table] == ["3"] * 6


def test_train_of_a_benchmark_recipe_refuses_half_copied_annotations_before_anything_else(train, tmp_path, capsys):
    assert main([*train, "--recipe", "msrvtt"]) == 1
    lines = said(capsys)[1]
    assert len(lines) == 1
    assert "msrvtt: not as published: train has 8 videos, expected 8503;" in lines[0] and "--any-size" in lines[0]
    assert not (tmp_path / "out").exists()


@mark.parametrize("command", ["train", "evaluate"])
def test_benchmark_recipe_without_its_files_says_what_to_give(command, tmp_path, capsys):
    options = ["--output", str(tmp_path / "out")] if command == "train" else []
    assert main([command, "--recipe", "msrvtt", "--device", "cpu", *options]) == 1
    assert "recipe msrvtt reads the benchmark's own files: give --data FOLDER" in said(capsys)[1][-1]


def test_own_data_without_a_model_are_warned_of_the_small_one(data, model_folder, capsys):
    features = ["features", "--data", str(data), "--split", "test", "--device", "cpu"]
    assert main([*features, "--model", str(model_folder)]) == 0
    assert not any("shipped model" in line for line in said(capsys)[1])
    assert main(features) == 0
    assert any("without --model FOLDER this is the shipped model, which only knows" in line for line in said(capsys)[1])
