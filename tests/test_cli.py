import json
import os
import shutil
import subprocess
import sys

import pytest
from pytest import fixture, mark, raises
from tiny_collection import make_collection, tiny_recipe
from tiny_models import released_state_dict, tiny_retriever

from diffret_core.checkpoints import load_checkpoint, save_checkpoint
from diffret_core.cli.main import main
from diffret_core.indicator import Indicator, write_indicator
from diffret_core.recipes import RECIPES
from diffret_core.retriever import Retriever
from diffret_core.scenes.manifest import update_manifest


@fixture(scope="module")
def data(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("cli") / "data")


@fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_model")
    save_checkpoint(folder, tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16))
    return folder


@fixture
def options(data, model_folder):
    return ["--data", str(data), "--model", str(model_folder), "--device", "cpu"]


def only_line(text):
    lines = [line for line in text.splitlines() if line.startswith("diffret ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_search_prints_one_json_document_with_all_scores(options, capsys):
    assert main(["search", "a red circle moves left", "--json", *options]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [one["rank"] for one in results] == [1, 2, 3, 4]
    combined = [one["combined_score"] for one in results]
    assert combined == sorted(combined, reverse=True)
    for one in results:
        assert set(one) == {
            "rank",
            "video",
            "start_seconds",
            "similarity",
            "generated_probability",
            "combined_score",
        }
        assert one["combined_score"] == pytest.approx(one["similarity"] + one["generated_probability"], abs=1e-5)
    assert sum(one["generated_probability"] for one in results) == pytest.approx(1, abs=1e-5)


def test_search_gives_the_same_answer_to_the_same_seed_and_text(options, capsys):
    answers = []
    for seed in ("3", "3", "4"):
        main(["search", "a star", "--json", "--seed", seed, *options])
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_search_prints_a_table_of_the_best(options, capsys):
    assert main(["search", "a star spins", "--top", "2", *options]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@mark.parametrize(("num_videos", "says"), [(4, True), (5, False)], ids=["this gallery", "another gallery"])
def test_search_says_whether_a_text_is_off_the_map_of_the_gallery(
    data, model_folder, tmp_path, capsys, num_videos, says
):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    for threshold, verdict in ((-1e9, "probably no video matches"), (1e9, "nothing strange about the text")):
        write_indicator(folder, Indicator("similarity", threshold, 0.95, num_videos))
        options = ["--data", str(data), "--model", str(folder), "--device", "cpu"]
        assert main(["search", "a star spins", *options]) == 0
        assert (f"off the map: {verdict}" in capsys.readouterr().out) == says
        assert main(["search", "a star spins", "--json", *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert ("off_the_map" in found) == says
        if says:
            assert set(found["off_the_map"]) == {"score", "value", "threshold", "is_off"}
            assert found["off_the_map"]["is_off"] == (threshold < 0)


@mark.parametrize("text", ["", "   ", "\n"])
def test_search_refuses_an_empty_text_in_one_line(options, capsys, text):
    assert main(["search", text, *options]) == 1
    assert "empty" in only_line(capsys.readouterr().err)


def test_search_reads_the_beginning_of_a_huge_text(options, capsys):
    assert main(["search", "a red circle " * 100_000, "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["results"]


def test_evaluate_prints_both_directions_and_all_methods(options, capsys):
    assert main(["evaluate", "--json", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"text_to_video", "video_to_text", "protocol", "published"}
    for direction in ("text_to_video", "video_to_text"):
        methods = document[direction]
        assert list(methods)[:3] == ["similarity", "generator", "combined"]
        for method, one in methods.items():
            more = {"R@1_gain", "R@1_gain_interval"} if method == "combined" else set()
            more |= {"transductive"} if "dual softmax" in method else set()
            usual = {"R@1", "R@5", "R@10", "median_rank", "mean_rank", "R@1_interval", "gallery_size"}
            assert set(one) == usual | more
            assert one["R@5"] == 100  # four videos
            assert one["R@1_interval"][0] <= one["R@1"] <= one["R@1_interval"][1]


def test_evaluate_takes_more_candidates_than_there_are_videos(options, capsys):
    assert main(["evaluate", "--num-candidates", "500", "--num-steps", "2", *options]) == 0
    assert "text-to-video" in capsys.readouterr().out


def test_evaluate_starts_from_the_similarity_if_asked(options, capsys):
    printed = {}
    for level in (None, 1, 999):
        start = [] if level is None else ["--start-level", str(level)]
        assert main(["evaluate", *start, *options]) == (1 if level == 999 else 0)
        printed[level] = capsys.readouterr()
    assert printed[1].out != printed[None].out
    assert "start_level is 999" in only_line(printed[999].err)


def test_evaluate_refuses_more_steps_than_noise_levels(options, capsys):
    assert main(["evaluate", "--num-steps", "999", *options]) == 1
    assert "num_steps is 999" in only_line(capsys.readouterr().err)


def test_evaluate_measures_on_another_test_list(data, options, capsys):
    usual = (data / "MSRVTT_JSFUSION_test.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (data / "MSRVTT_two_test.csv").write_text("".join(usual[:3]), encoding="utf-8")
    assert main(["evaluate", "--test-list", "MSRVTT_two_test.csv", *options]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "test split: 2 texts, 2 videos"
    assert main(["evaluate", "--test-list", "MSRVTT_none.csv", *options]) == 1
    assert "MSRVTT_none.csv" in only_line(capsys.readouterr().err)


def test_evaluate_draws_as_many_samples_as_it_is_told(options, monkeypatch):
    from diffret_core import measurement

    asked, score_all = [], measurement.score_all

    def watching(model, *features, **settings):
        asked.append(model.config.scoring.num_draws)
        return score_all(model, *features, **settings)

    monkeypatch.setattr(measurement, "score_all", watching)
    for arguments in ([], ["--num-draws", "3"]):
        assert main(["evaluate", *arguments, *options]) == 0
    assert asked == [1, 3]


def test_evaluate_refuses_no_draws(options, capsys):
    assert main(["evaluate", "--num-draws", "0", *options]) == 1
    assert "num_draws is 0" in only_line(capsys.readouterr().err)


def refuse_to_encode(*_, **__):
    raise AssertionError("encoded although everything is there")


@fixture
def own_options(tmp_path, model_folder):
    """A collection of its own, so that there are no features yet."""
    data = make_collection(tmp_path / "data")
    return data, ["--data", str(data), "--model", str(model_folder), "--device", "cpu"]


def test_features_fills_the_cache_that_evaluate_uses_and_goes_on_where_it_was(own_options, monkeypatch, capsys):
    data, options = own_options
    assert main(["features", "--split", "test", "--json", "--workers", "0", *options]) == 0
    report = json.loads(capsys.readouterr().out)
    (one,) = report["splits"].values()
    assert (one["num_videos"], one["num_to_encode"], one["num_encoded"]) == (4, 4, 4)
    assert one["folder"] == str(data / "features" / "test")
    assert 0 < one["waiting_share"] < 1 and one["videos_per_second"] > 0
    assert main(["features", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in lines[:2]] == [
        "train: 8 videos, 0 were there, 8 encoded",
        "validation: 4 videos, 0 were there, 4 encoded",
    ]
    assert lines[2] == f"test: 4 videos, 4 were there, 0 encoded; in {data / 'features' / 'test'}"
    monkeypatch.setattr("diffret_core.extraction._encode", refuse_to_encode)
    assert main(["evaluate", *options]) == main(["evaluate", "--split", "validation", *options]) == 0


def test_features_of_another_precision_are_found_by_evaluate_of_that_precision(own_options, monkeypatch):
    _, options = own_options
    assert main(["features", "--split", "test", "--precision", "bfloat16", *options]) == 0
    monkeypatch.setattr("diffret_core.extraction._encode", refuse_to_encode)
    assert main(["evaluate", "--precision", "bfloat16", *options]) == 0
    with raises(AssertionError, match="encoded although"):
        main(["evaluate", *options])


def test_features_of_a_stage_1_are_those_that_train_looks_for(own_options, tmp_path, monkeypatch, capsys):
    data, _ = own_options
    source = tmp_path / "source"
    save_checkpoint(source / "stage1", Retriever(tiny_recipe().model))
    options = ["--data", str(data), "--model", str(source / "stage1"), "--device", "cpu", "--json"]
    assert main(["features", *options]) == 0
    report = json.loads(capsys.readouterr().out)["splits"]
    assert {one["folder"] for one in report.values()} == {str(source / "stage1" / "features")}
    monkeypatch.setattr("diffret_core.extraction._encode", refuse_to_encode)
    arguments = ["--data", str(data), "--output", str(tmp_path / "out"), "--stage1", str(source)]
    assert main([*few_steps(monkeypatch), *arguments]) == 0


def test_features_refuses_missing_videos_unless_they_are_allowed(own_options, capsys):
    data, options = own_options
    next(iter(sorted((data / "videos").iterdir()))).unlink()
    assert main(["features", *options]) == 1
    assert "1 of 16 train and validation and test videos are missing" in only_line(capsys.readouterr().err)
    assert not (data / "features").exists()
    assert main(["features", "--allow-missing", "1", *options]) == 0
    assert capsys.readouterr().out.startswith("train: 7 videos")


def test_features_names_an_unreadable_video_and_wrong_workers(own_options, capsys):
    data, options = own_options
    bad = sorted((data / "videos").iterdir())[2]
    bad.unlink()
    bad.write_bytes(b"no video")
    assert main(["features", "--split", "train", *options]) == 1
    assert bad.name in only_line(capsys.readouterr().err)
    assert main(["features", "--split", "train", "--workers", "-1", *options]) == 1
    assert "num_workers is -1" in only_line(capsys.readouterr().err)


BARS = """
import os, sys, warnings
from diffret_core.cli.progress import Bars
with Bars() as bars:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(2)
    os.dup2(nowhere, 2)  # as decoding threads do
    bars("encoding", 1, 2, note="waiting")
    os.write(2, b"a C library's message")
    print("a warning", file=sys.stderr)
    os.dup2(kept, 2)
print("the end", file=sys.stderr)
"""


def test_progress_is_seen_while_what_decoders_say_is_not():
    done = subprocess.run([sys.executable, "-c", BARS], capture_output=True, text=True)
    assert done.returncode == 0
    for said in ("encoding", "waiting", "a warning", "the end"):
        assert said in done.stderr
    assert "a C library's message" not in done.stderr


def few_steps(monkeypatch):
    monkeypatch.setitem(RECIPES, "few_steps", tiny_recipe)
    return ["train", "--recipe", "few_steps", "--device", "cpu"]


def test_train_takes_the_stage_1_it_is_told(data, tmp_path, monkeypatch, capsys):
    source, output = tmp_path / "source", tmp_path / "out"
    save_checkpoint(source / "stage1", Retriever(tiny_recipe().model))
    arguments = [*few_steps(monkeypatch), "--data", str(data), "--output", str(output), "--stage1", str(source)]
    assert main(arguments) == 0
    assert f"trained: {output}" in capsys.readouterr().out
    given, trained = (load_checkpoint(folder).state_dict() for folder in (source / "stage1", output))
    assert all(value.equal(given[name]) for name, value in trained.items() if "denoiser" not in name)
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in log} == {"stage 2"}


def test_train_names_a_stage_1_that_is_not_there(data, tmp_path, monkeypatch, capsys):
    arguments = [*few_steps(monkeypatch), "--data", str(data), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--stage1", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in only_line(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@fixture
def altered_samples(tmp_path, monkeypatch):
    """A collection in the place of the sample one, whose test list is not that of its manifest."""
    folder = make_collection(tmp_path / "data")
    test_list = folder / "MSRVTT_JSFUSION_test.csv"
    update_manifest(folder, {test_list.name: {}})
    test_list.write_text(test_list.read_text(encoding="utf-8").replace(" a ", " the "), encoding="utf-8")
    monkeypatch.setattr("diffret_core.cli.inputs.sample_folder", lambda: folder)
    return folder


@mark.parametrize("command", [["search", "a star"], ["evaluate"], ["evaluate", "--split", "validation"]])
def test_altered_sample_collection_is_refused_in_one_line_and_another_folder_is_not(
    altered_samples, model_folder, command, capsys
):
    options = ["--model", str(model_folder), "--device", "cpu"]
    assert main([*command, *options]) == 1
    said = capsys.readouterr()
    line = only_line(said.err)
    assert said.out == ""
    assert "MSRVTT_JSFUSION_test.csv: its bytes are not those in MANIFEST.json" in line
    assert f"git checkout -- {altered_samples / 'MSRVTT_JSFUSION_test.csv'}" in line
    assert main([*command, "--data", str(altered_samples), *options]) == 0


def test_search_uses_a_released_checkpoint_file(data, tmp_path, capsys):
    import torch

    model = tiny_retriever(tiny_recipe().model.clip, max_words=16, num_frame_positions=16)
    torch.save(released_state_dict(model), tmp_path / "pytorch_model.bin.1")
    found = ["--data", str(data), "--model", str(tmp_path / "pytorch_model.bin.1"), "--device", "cpu"]
    assert main(["search", "a star", "--json", *found]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]) == 4


@mark.parametrize(
    ("arguments", "expected"),
    [
        (["search", "a star", "--model", "/nowhere"], "no checkpoint here"),
        (["search", "a star", "--data", "/nowhere"], "/nowhere"),
        (["search", "a star", "--collection", "imagenet"], "imagenet"),
        (["search", "a star", "--device", "abacus"], "abacus"),
        (["search", "a star", "--device", "cpu:abc"], "cpu:abc"),
        (["search", "a star", "--save-plot", "plot.gif"], "plot.gif"),
        (["search", "a star", "--save-plot", ""], "cannot be saved"),
        (["search", "a star", "--save-plot", "/nowhere/plot.png"], "/nowhere"),
        (["search", "a star", "--top", "0"], "--top is 0"),
        (["train", "--recipe", "huge"], "there is no recipe 'huge'"),
        (["evaluate", "--recipe", "huge"], "there is no recipe 'huge'"),
        (["evaluate", "--released", "x.bin"], "--released needs --recipe"),
        (["evaluate", "--released", "x.bin", "--recipe", "tiny", "--model", "y"], "measure one model at a time"),
        (["evaluate", "--mode", "default"], "--mode is for a released checkpoint"),
        (["evaluate", "--recipe", "tiny", "--set", "seed=1"], "--set is for a released checkpoint"),
        (["evaluate", "--markdown", "/nowhere/t.md"], "there is no such folder"),
        (["evaluate", "--num-seeds", "0"], "the number of noise seeds is 0"),
        (["evaluate", "--bank", "-1"], "the size of the bank is -1"),
        (["evaluate", "--beta", "0"], "beta is 0.0"),
        (["parity", "/nowhere"], "there is no such file"),
    ],
)
def test_command_answers_a_mistake_with_one_line(arguments, expected, capsys):
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert expected in only_line(said.err)
    assert said.out == ""  # nothing was computed first


def test_search_names_a_damaged_video(model_folder, tmp_path, capsys):
    data = make_collection(tmp_path / "data")
    victim = sorted((data / "videos").iterdir())[-1]
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content[: len(content) // 2])
    assert main(["search", "a star", "--data", str(data), "--model", str(model_folder), "--device", "cpu"]) == 1
    assert victim.name in only_line(capsys.readouterr().err)


def test_search_says_in_one_line_that_features_cannot_be_kept_and_answers(model_folder, tmp_path, capsys):
    data = make_collection(tmp_path / "data")
    (data / "features").write_text("a file where a folder should be")
    assert main(["search", "a star", "--json", "--data", str(data), "--model", str(model_folder)]) == 0
    said = capsys.readouterr()
    assert "features" in only_line(said.err)
    assert len(json.loads(said.out)["results"]) == 4


def test_search_rebuilds_damaged_features_and_says_so(model_folder, tmp_path, capsys):
    data = make_collection(tmp_path / "data")
    command = ["search", "a star", "--json", "--data", str(data), "--model", str(model_folder)]
    assert main(command) == 0
    first = capsys.readouterr().out
    (file,) = (data / "features" / "test").glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert main(command) == 0
    said = capsys.readouterr()
    assert file.name in only_line(said.err)
    assert said.out == first
    assert file.read_bytes() != bytes(content)


def test_evaluation_of_another_split_leaves_the_features_of_the_test_split_alone(data, options, capsys):
    assert main(["search", "a star", "--json", *options]) == 0
    before = {path: path.read_bytes() for path in (data / "features" / "test").iterdir()}
    assert main(["evaluate", "--split", "validation", "--json", *options]) == 0
    assert {path: path.read_bytes() for path in (data / "features" / "test").iterdir()} == before
    assert list((data / "features" / "validation").iterdir())


def test_help_needs_no_torch():
    code = "import sys; from diffret_core.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'open_clip', 'decord', 'numpy'} & set(sys.modules), 'a heavy import'"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_program_without_command_says_how_it_is_used(capsys):
    with raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "usage: diffret" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setitem(os.environ, "DIFFRET_DEBUG", "1")
    with raises(FileNotFoundError):
        main(["parity", "/nowhere"])
