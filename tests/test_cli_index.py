"""`diffret index` and `diffret search --index`, as they are typed."""

import json
import os

import open_clip
import pytest
import torch
from own_videos import tiny_model, write_clip, write_folder
from test_cli import only_line
from tiny_models import SMALL, architecture
from torch.nn import functional

from diffret_core.checkpoints import save_checkpoint
from diffret_core.cli.main import main
from diffret_core.encoders import build_clip, tokenize
from diffret_core.frames import normalise_frames, read_segments
from diffret_core.index import open_index

RESULT = {
    "rank",
    "video",
    "start_seconds",
    "similarity",
    "generated_probability",
    "combined_score",
    "missing",
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_index_model")
    save_checkpoint(folder, tiny_model())
    return folder


@pytest.fixture
def videos(tmp_path):
    return write_folder(tmp_path / "videos")


@pytest.fixture
def index(tmp_path, videos, model_folder, capsys):
    assert main(["index", str(videos), "--out", str(tmp_path / "index"), "--model", str(model_folder)]) == 0
    capsys.readouterr()
    return str(tmp_path / "index")


def test_index_and_search_as_tables(tmp_path, videos, model_folder, capsys):
    (videos / "<img src=x onerror=alert(1)>.mp4").write_text("no video")
    (videos / "\x1b[31mred.mp4").write_text("no video")
    write_clip(videos / "three\nlines.mp4", seed=9)
    command = ["index", str(videos), "--out", str(tmp_path / "index"), "--model", str(model_folder), "--workers", "1"]
    assert main(command) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'index'}: 6 videos in 8 segments; encoded by the model in")
    assert lines[1].startswith("6 encoded, 0 known by their content, 0 unchanged; ")
    assert lines[3] == "2 refused:"
    assert "<img src=x onerror=alert(1)>.mp4" in out and r"\x1b[31mred.mp4" in out and "\x1b" not in out
    assert main(["search", "a star", "--index", str(tmp_path / "index"), "--top", "6"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["rank", "video", "at", "similarity", "generated", "combined"]
    assert len(rows) == 6 and any(r"three\nlines.mp4" in row for row in rows)
    (long,) = (row for row in rows if "b/long.MOV" in row)
    assert long.split()[2] in ("0:00", "0:03", "0:06")


def test_index_and_search_as_json(tmp_path, videos, model_folder, capsys):
    odd = os.fsdecode(b"\xff.mp4")
    (videos / odd).write_text("no video")
    command = ["index", str(videos), "--out", str(tmp_path / "index"), "--model", str(model_folder), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["num_videos"], document["num_segments"], document["num_encoded"]) == (5, 7, 5)
    (refused,) = document["refused"]
    assert refused["video"] == odd and "text that begins 'no video'" in refused["reason"]
    assert main(["search", "a star", "--index", str(tmp_path / "index"), "--top", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["has_generator"] is True and document["model"] == f"the model in {model_folder}"
    assert [set(one) for one in document["results"]] == [RESULT, RESULT]


def test_search_marks_a_missing_video(index, videos, capsys):
    (videos / "a.mp4").unlink()
    assert main(["search", "a star", "--index", index]) == 0
    assert "a.mp4 (missing)" in capsys.readouterr().out


def test_one_long_path_does_not_widen_all_rows(index, videos, model_folder, capsys):
    write_clip(videos / ("d" * 200) / "x.mp4", seed=11)
    assert main(["index", str(videos), "--out", index, "--model", str(model_folder)]) == 0
    capsys.readouterr()
    assert main(["search", "a star", "--index", index]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [len(row) > 120 for row in rows].count(True) == 1 and any("d" * 200 + "/x.mp4" in row for row in rows)


def test_search_saves_the_walk_of_an_index(index, tmp_path):
    assert main(["search", "a star", "--index", index, "--save-plot", str(tmp_path / "walk.svg")]) == 0
    assert (tmp_path / "walk.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["index", "/nowhere", "--out", "INDEX", "--model", "MODEL"], "is its disk there"),
        (["index", "VIDEOS", "--out", "INDEX"], "was made with the model in"),
        (["index", "INDEX", "--out", "INDEX", "--model", "MODEL"], "is an index of"),
        (["index", "VIDEOS", "--out", "VIDEOS", "--model", "MODEL"], "holds other files"),
        (["index", "VIDEOS", "--out", "INDEX", "--model", "/no/model"], "/no/model: there is no such folder or file"),
        (["index", "VIDEOS", "--out", "INDEX", "--model", "ViT-B-33"], "open_clip has no model 'ViT-B-33'"),
        (["index", "VIDEOS", "--out", "INDEX", "--model", "MODEL", "--workers", "-1"], "num_workers is -1"),
        (["search", "a star", "--index", "/nowhere"], "no index here"),
        (["search", "a star", "--index", "INDEX", "--data", "x"], "leave out --data"),
        (["search", "a star", "--index", "INDEX", "--model", "/nowhere"], "there is no such folder or file"),
    ],
)
def test_mistakes_are_answered_in_one_line(index, videos, model_folder, arguments, expected, capsys, monkeypatch):
    monkeypatch.setattr("diffret_core.index.models.SHIPPED_WARNING", "shipped")
    names = {"INDEX": index, "VIDEOS": str(videos), "MODEL": str(model_folder)}
    assert main([names.get(one, one) for one in arguments]) == 1
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.endswith("shipped")]
    assert expected in only_line("\n".join(lines)) and said.out == ""


def test_shipped_model_is_used_with_one_warning_that_it_knows_little(tmp_path, videos, capsys):
    assert main(["index", str(videos), "--out", str(tmp_path / "index")]) == 0
    said = capsys.readouterr()
    assert "only knows drawn scenes" in only_line(said.err)
    assert "encoded by the shipped model" in said.out
    assert main(["search", "a star", "--index", str(tmp_path / "index")]) == 0
    assert "only knows drawn scenes" in only_line(capsys.readouterr().err)


# A plain CLIP model


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small model that open_clip knows by name, and a file of weights for it."""
    folder = tmp_path_factory.mktemp("plain")
    config = architecture(SMALL, text_cfg={"vocab_size": 49408})
    (folder / "diffret-test-plain.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder / "diffret-test-plain.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = build_clip(config).eval()
    torch.save(clip.state_dict(), folder / "weights.pt")
    return clip, ["--model", "diffret-test-plain", "--pretrained", str(folder / "weights.pt")]


def test_plain_clip_ranks_by_the_cosine_of_sentence_and_mean_frame(tmp_path, videos, plain, capsys):
    clip, options = plain
    write_clip(videos / "half a minute.mp4", seconds=30, seed=7)  # three segments of 10 seconds
    assert main(["index", str(videos), "--out", str(tmp_path / "index"), *options]) == 0
    assert "8 segments; encoded by diffret-test-plain with weights" in capsys.readouterr().out
    assert main(["search", "a star", "--index", str(tmp_path / "index"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["has_generator"] is False
    word_ids, _ = tokenize(["a star"], 16)
    expected = {}
    with torch.no_grad():
        sentence = functional.normalize(clip.encode_text(word_ids)[0], dim=0)
        for video in open_index(tmp_path / "index").videos:
            cosines = []
            for segment in read_segments(video.path, max_frames=12, image_size=16):
                frames = functional.normalize(clip.encode_image(normalise_frames(segment.frames)), dim=1)
                mean = functional.normalize(frames.mean(dim=0), dim=0)
                cosines.append((float(sentence @ mean), segment.start_seconds))
            expected[video.id] = max(cosines)
    assert len(expected) == 6
    order = sorted(expected, key=lambda video: -expected[video][0])
    assert [one["video"] for one in document["results"]] == order
    for one in document["results"]:
        assert one["similarity"] == one["combined_score"] == pytest.approx(expected[one["video"]][0], abs=1e-3)
        assert one["start_seconds"] == expected[one["video"]][1]
        assert one["generated_probability"] == 0


def test_plain_clip_says_that_it_has_no_generator(tmp_path, videos, plain, capsys):
    assert main(["index", str(videos), "--out", str(tmp_path / "index"), *plain[1]]) == 0
    capsys.readouterr()
    assert main(["search", "a star", "--index", str(tmp_path / "index")]) == 0
    assert "similarity only, since a plain CLIP model has no generator" in capsys.readouterr().out
    assert main(["search", "a star", "--index", str(tmp_path / "index"), "--save-plot", str(tmp_path / "p.svg")]) == 1
    said = capsys.readouterr()
    assert "no generator, so there is no walk" in only_line(said.err) and said.out == ""


def test_index_of_a_plain_model_is_not_searched_with_other_weights(tmp_path, videos, plain, capsys):
    assert main(["index", str(videos), "--out", str(tmp_path / "index"), *plain[1]]) == 0
    weights = plain[1][3]
    state = torch.load(weights, weights_only=True)
    state["visual.proj"] = state["visual.proj"] + 1
    other = tmp_path / "other.pt"
    torch.save(state, other)
    command = ["index", str(videos), "--out", str(tmp_path / "index"), *plain[1][:3], str(other)]
    capsys.readouterr()
    assert main(command) == 1
    assert "choose another --out" in only_line(capsys.readouterr().err)
