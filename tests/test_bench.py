"""Timings: their rows are complete, plain and fast agree, and a wrong fast path would be seen. No time is asserted."""

import ast
import json
import subprocess
import sys

import pytest
import torch
from tiny_models import SMALL, architecture, random_features, tiny_retriever

import diffret_core.bench.machine
from diffret_core import denoiser_compiled, prepared
from diffret_core.bench import clock, growth, sampler, search, similarity, stage2
from diffret_core.bench.encode import bench_encode
from diffret_core.bench.inputs import Sizes, make_case, make_texts, make_videos
from diffret_core.bench.machine import Machine, Work, measure_machine
from diffret_core.cli.bench import USED
from diffret_core.cli.main import main
from diffret_core.denoiser_compiled import Walk
from diffret_core.denoiser_prepared import PreparedDenoiser
from diffret_core.retriever import Retriever

CPU = torch.device("cpu")
MACHINE = Machine(CPU, 1, 1e9, 1e9)
SMALLEST = Sizes(queries=5, candidates=3, levels=4, dim=64, frames=3, words=4, videos=6)
SENTENCES = ["a red circle moves left", "a star"]
FIELDS = {"name", "ratio", "largest_difference", "threads", "device", "seconds", "spread", "repeats", "floor_seconds"}


def largest(rows):
    return max(row["largest_difference"] for row in rows)


def assert_complete(rows, *names, sizes=("queries", "candidates", "levels", "dim", "frames", "videos")):
    """Every row has its fields, and the ratio of each way is its time over that of the last, the fast one."""
    assert [row["name"] for row in rows] == list(names)
    for row in rows:
        assert set(row) >= FIELDS | set(sizes)
        assert row["seconds"] > 0 and row["floor_seconds"] > 0 and row["spread"] >= 1 and row["threads"] == 1
        assert row["ratio"] == pytest.approx(row["seconds"] / rows[-1]["seconds"])
    assert rows[-1]["ratio"] == 1
    assert json.loads(json.dumps(rows)) == rows


# the clock and the machine


def test_ways_are_timed_in_turn(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def way(name, *seconds):
        left = list(seconds)

        def take():
            calls.append(name)
            now[0] += left.pop(0)
            return len(left)

        return take

    timings = clock.time_alternately({"a": way("a", 3.0, 2.0), "b": way("b", 1.0, 5.0)}, repeats=2, device=CPU)
    assert calls == ["a", "b", "a", "b"]
    assert timings == {"a": (2.0, 1.5, 2, 0), "b": (1.0, 5.0, 2, 0)}
    assert timings["a"].scaled(10).seconds == 20


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="repeats is 0"):
        clock.time_alternately({"a": int}, repeats=0, device=CPU)


def test_floor_is_by_operations_or_by_bytes():
    machine = Machine(CPU, 1, operations_per_second=100.0, bytes_per_second=10.0)
    assert machine.floor_seconds(Work(operations=500, num_bytes=20)) == 5
    assert machine.floor_seconds(Work(operations=500, num_bytes=20).times(2)) == 10
    assert machine.floor_seconds(Work(operations=50, num_bytes=20)) == 2


def test_machine_is_measured():
    measured = measure_machine(CPU, matrix_size=32, num_entries=1000)
    assert measured.operations_per_second > 0 and measured.bytes_per_second > 0
    assert (measured.device, measured.num_threads) == (CPU, torch.get_num_threads())


PEAK_OF_64_MIB = """
import torch
from diffret_core.bench.machine import PeakMemory
memory = PeakMemory(torch.device("cpu"))
torch.ones(2**24).sum()
print(memory.num_bytes())
"""


def test_peak_memory_counts_what_was_given_back():
    """In a process of its own: from a long-lived one the system may take unused pages back meanwhile."""
    done = subprocess.run([sys.executable, "-c", PEAK_OF_64_MIB], capture_output=True, text=True, check=True)
    peak = ast.literal_eval(done.stdout)
    assert peak is None or 0.9 * 2**26 < peak < 2**28  # None where the system does not tell


def test_operations_of_the_plain_network_match_a_count():
    sizes = SMALLEST._replace(levels=1)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        model = sampler.make_model(sizes, CPU)
        for direction in ("text_to_video", "video_to_text"):
            case = make_case(direction, sizes, CPU)
            sampler._plain_batch(model, case, torch.arange(5), [1, 0], False)
    # products only: pooling multiplies entry by entry, and the sum of values and the last layer are small
    small = 2 * 5 * (2 * (3 * 64 + 3 * 2 * 64) + 2 * 3 * 3 * 64)
    assert abs(sampler.plain_work(sizes, pools=0).operations - counter.get_total_flops()) <= small


@pytest.mark.parametrize(("name", "value"), [("queries", 0), ("candidates", -1), ("levels", 0), ("dim", 100)])
def test_sizes_that_cannot_work_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        SMALLEST._replace(**{name: value}).checked()


# the sampler


@pytest.mark.parametrize("full", [False, True])
def test_sampler_rows(monkeypatch, full):
    monkeypatch.setattr(sampler, "PART", 4)
    rows = sampler.bench_sampler(SMALLEST, MACHINE, repeats=1, full=full)
    assert_complete(rows, sampler.RELEASED, sampler.GATHERED, sampler.TENSORS, sampler.COMPILED)
    assert largest(rows) < 1e-5
    assert [row["queries_timed"] for row in rows] == ([5, 5, 5, 5] if full else [4, 4, 5, 5])
    floors = [row["floor_seconds"] for row in rows]
    assert floors[0] > floors[1] > floors[2] == floors[3]


def test_sampler_rows_without_a_compiler(monkeypatch):
    monkeypatch.setattr(sampler, "can_walk", lambda noise: False)
    rows = sampler.bench_sampler(SMALLEST, MACHINE, repeats=1)
    assert_complete(rows, sampler.RELEASED, sampler.GATHERED, sampler.TENSORS)


@pytest.mark.parametrize("place", [(PreparedDenoiser, "walk"), (prepared, "sample")], ids=["tensors", "compiled"])
def test_sampler_shows_a_wrong_fast_path(place, monkeypatch):
    walk = getattr(*place)
    monkeypatch.setattr(*place, lambda *arguments: walk(*arguments) + 0.01)
    assert largest(sampler.bench_sampler(SMALLEST, MACHINE, repeats=1)) == pytest.approx(0.01, abs=1e-4)


def test_released_order_gathers_at_every_level(monkeypatch):
    calls, bind = [], Retriever.bind_denoiser
    monkeypatch.setattr(Retriever, "bind_denoiser", lambda *arguments: calls.append(0) or bind(*arguments))
    model, case = sampler.make_model(SMALLEST, CPU), make_case("text_to_video", SMALLEST, CPU)
    for at_each_level, num_calls in ((True, 3), (False, 1)):
        calls.clear()
        sampler._plain_batch(model, case, torch.arange(5), [4, 2, 1, 0], at_each_level)
        assert len(calls) == num_calls


# stage 2, similarity, encoding


def test_stage2_rows():
    rows = stage2.bench_stage2(SMALLEST, MACHINE, repeats=1)
    for part, source, num_videos in ((rows[:2], "batch", 5), (rows[2:], "collection", 6)):
        assert_complete(part, stage2.PLAIN, stage2.SHARED)
        assert {(row["candidates_from"], row["videos"]) for row in part} == {(source, num_videos)}
    assert largest(rows) < 1e-5


def test_stage2_shows_a_wrong_fast_path(monkeypatch):
    bind = stage2.bind_shared

    def wrong(*features, **chosen):
        denoise = bind(*features, **chosen)
        return lambda x_k, k: 1.01 * denoise(x_k, k)

    monkeypatch.setattr(stage2, "bind_shared", wrong)
    assert largest(stage2.bench_stage2(SMALLEST, MACHINE, repeats=1)) > 1e-3


@pytest.mark.parametrize("full", [False, True])
def test_similarity_rows(full):
    rows = similarity.bench_similarity(SMALLEST._replace(queries=9), MACHINE, full=full)
    assert_complete(rows, similarity.PLAIN, similarity.BLOCKS)
    assert largest(rows) < 1e-6
    assert {(row["queries"], row["videos"]) for row in rows} == {(9, 6) if full else (3, 2)}
    assert all(row["rate_share"] > 0 and "part" in row for row in rows)
    assert rows[0]["bytes_above_inputs"] is None


def test_similarity_says_how_many_texts_are_compared():
    heard = []
    similarity.bench_similarity(SMALLEST, MACHINE, full=True, progress=lambda *so_far: heard.append(so_far))
    assert heard[-1] == (SMALLEST.queries, SMALLEST.queries)


def test_similarity_shows_a_wrong_fast_path(monkeypatch):
    compare = diffret_core.similarity._compare
    monkeypatch.setattr(diffret_core.similarity, "_compare", lambda *arguments: compare(*arguments) + 0.01)
    rows = similarity.bench_similarity(SMALLEST, MACHINE, full=True)
    assert largest(rows) == pytest.approx(0.01, abs=1e-5)


def test_plain_similarity_leaves_padding_out():
    texts, videos = random_features(4, 5)
    model = tiny_retriever()
    with torch.no_grad():
        expected = model.similarity(texts, videos)
        found = similarity.similarity_at_once(model.interaction, texts, videos)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def gallery():
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}), num_noise_levels=4)
    return search.Gallery(model, random_features(1, 5)[1], SENTENCES)


def test_encode_rows(gallery):
    rows = bench_encode(gallery.model, SENTENCES, MACHINE, num_videos=2, repeats=1)
    for what, part in (("image tower", rows[:2]), ("text encoder", rows[2:])):
        assert_complete(part, f"{what}, one at a time", f"{what}, in batches", sizes=("dim", "frames"))
    assert [row["items"] for row in rows] == [8, 8, 2, 2]
    for row in rows:
        assert row["items_per_second"] == pytest.approx(row["items"] / row["seconds"])
    assert largest(rows) < 1e-4


# search


def test_search_rows(gallery):
    rows = search.bench_search(gallery, "five", MACHINE, repeats=1)
    assert_complete(rows, *(f"five: {way}" for way in (search.PLAIN, search.UNPREPARED, search.WARM)))
    assert largest(rows) < 1e-5


def test_search_shows_a_wrong_fast_path(gallery, monkeypatch):
    wrong = torch.tensor([0.0, 1.0, 2.0])
    walk, estimate = denoiser_compiled.walk, PreparedDenoiser.estimate
    monkeypatch.setattr("diffret_core.search.walk", lambda *given: Walk(*(part * wrong for part in walk(*given))))
    assert largest(search.bench_search(gallery, "five", MACHINE, repeats=1)) > 1e-3
    monkeypatch.undo()
    monkeypatch.setattr("diffret_core.search.can_walk", lambda noise: False)
    monkeypatch.setattr(PreparedDenoiser, "estimate", lambda *given: estimate(*given) * wrong)
    assert largest(search.bench_search(gallery, "five", MACHINE, repeats=1)) > 1e-3


def test_made_gallery_can_be_searched(monkeypatch):
    monkeypatch.setattr(search, "NUM_TEXT_LAYERS", 1)
    made = search.made_gallery(SMALLEST, SENTENCES, CPU)
    assert search.sizes_of(made) == SMALLEST._replace(queries=2)
    assert largest(search.bench_search(made, "made", MACHINE, repeats=1)) < 1e-5


def test_growth_rows(gallery, monkeypatch):
    monkeypatch.setattr(growth, "PART", 4)
    rows = growth.bench_growth(gallery, MACHINE, gallery_sizes=(5, 11), num_kept=6, repeats=1)
    for part, num_videos in ((rows[:2], 5), (rows[2:], 11)):
        assert_complete(part, f"{num_videos} videos: all compared", f"{num_videos} videos: first cut")
        assert {(row["videos"], row["kept"]) for row in part} == {(num_videos, min(6, num_videos))}
        assert 0 <= part[1]["recall_of_candidates"] <= 1 and 0 <= part[1]["recall_of_best"] <= 1
    assert rows[1]["recall_of_candidates"] == rows[1]["recall_of_best"] == 1  # all five are kept
    assert largest(rows) < 1e-5


def test_recall_matches_numbers_by_hand(gallery):
    exact = [search.search(gallery.model, gallery.videos, list("abcde"), text) for text in SENTENCES]
    best, second, third = exact[0].candidates
    few = [exact[0]._replace(results=[one for one in exact[0].results if one.video in {second, third}]), exact[1]]
    assert growth._recall(exact, few) == {"recall_of_candidates": pytest.approx(5 / 6), "recall_of_best": 0.5}


def test_mixed_videos_begin_with_the_gallerys_own(gallery):
    videos = gallery.videos
    own, more = growth._mixed(videos, 0, 5), growth._mixed(videos, 5, 20)
    assert own.frames.equal(videos.frames) and own.frame_mask.equal(videos.frame_mask)
    assert bool(more.frame_mask.any(dim=1).all())
    assert len({tuple(frames.flatten().tolist()) for frames in (*own.frames, *more.frames)}) > 12


# the command


@pytest.fixture
def quick(monkeypatch):
    """The machine is not measured, and every bench is small."""
    monkeypatch.setattr(diffret_core.bench.machine, "measure_machine", lambda device: MACHINE)
    sizes = {name: str(value) for name, value in SMALLEST._asdict().items()}

    def options(what):
        used = [name for name in sizes if name in USED[what]]
        return [word for name in used for word in (f"--{name}", sizes[name])] + ["--repeats", "1"]

    return options


def test_bench_prints_one_json_document(quick, capsys):
    assert main(["bench", "stage2", "--json", "--device", "cpu", *quick("stage2")]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 4 and all(set(row) >= FIELDS for row in rows)


def test_bench_prints_a_table(quick, capsys):
    assert main(["bench", "similarity", "--device", "cpu", "--threads", "1", *quick("similarity")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(similarity.PLAIN) and lines[2].startswith(similarity.BLOCKS)
    assert "part a sixteenth of 5 x 6" in lines[3]


def test_bench_chooses_sizes_and_extent(quick, monkeypatch):
    asked = []
    monkeypatch.setattr(sampler, "bench_sampler", lambda *a, **b: asked.append((*a, b)) or [])
    assert main(["bench", "sampler", "--device", "cpu", "--full", "--json", *quick("sampler")]) == 0
    assert main(["bench", "sampler", "--device", "cpu", "--levels", "7", "--json"]) == 0
    assert asked == [
        (SMALLEST._replace(words=sampler.SIZES.words), MACHINE, {"full": True, "repeats": 1}),
        (sampler.SIZES._replace(levels=7), MACHINE, {"full": False}),
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(["--candidates", "0"], "candidates is 0"), (["--threads", "0"], "threads is 0"), (["--dim", "3"], "dim is 3")],
)
def test_bench_refuses_what_cannot_work_in_one_line(options, complaint, quick, capsys):
    assert main(["bench", "sampler", "--device", "cpu", *quick("sampler"), *options]) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "option"),
    [
        ("sampler", ["--words", "3"]),
        ("stage2", ["--full"]),
        ("similarity", ["--levels", "0"]),
        ("encode", ["--dim", "64"]),
        ("search", ["--full"]),
        ("sampler", ["--model", "runs/seed1"]),
    ],
)
def test_bench_refuses_an_option_that_would_change_nothing(what, option, quick, capsys):
    assert main(["bench", what, "--device", "cpu", *quick(what), *option]) == 1
    assert f"{option[0]} means nothing to the bench of {what}" in capsys.readouterr().err


def test_made_features_have_the_size_that_clip_gives():
    texts, videos = make_texts(50, 2, 64, CPU), make_videos(50, 3, 64, CPU)
    for features in (texts.words, texts.sentence, videos.frames):
        assert float(features.norm(dim=-1).mean()) == pytest.approx(10, rel=0.05)
