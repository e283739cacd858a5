"""Published figures: those of SPEC section 11, for the test they are of, and never for anything else."""

from dataclasses import replace

import pytest
from benchmark_layouts import LAYOUTS, make_layout
from tiny_collection import make_collection

from diffret_core.datasets import read_collection
from diffret_core.recipes.published import PAPER, published_figures


def figures_of(folder, name, **options):
    return published_figures(
        read_collection(name, make_layout(name, folder / name, with_videos=False), **options), "test"
    )


@pytest.mark.parametrize(
    ("name", "text_to_video", "video_to_text"),
    [
        ("msrvtt", (49.0, 75.2, 82.7, 2, 12.1), (47.7, 73.8, 84.5, 2, 8.8)),
        ("lsmdc", (24.4, 43.1, 54.3, 8, 40.7), (None,) * 5),
        ("msvd", (46.6, 75.9, 84.1, 2, 15.7), (61.9, 88.3, 92.9, None, None)),
        ("activitynet", (45.8, 75.6, 86.3, 2, 6.5), (43.8, 75.3, 86.7, 2, 6.3)),
        ("didemo", (46.7, 74.7, 82.7, 2, 14.3), (None,) * 5),
    ],
)
def test_figures_of_the_paper_are_those_of_the_specification(tmp_path, name, text_to_video, video_to_text):
    found = figures_of(tmp_path, name)
    for direction, expected in (("text_to_video", text_to_video), ("video_to_text", video_to_text)):
        one = found[direction][PAPER]
        assert tuple(one[metric] for metric in ("R@1", "R@5", "R@10", "median_rank", "mean_rank")) == expected
        assert ("not verified" in one["source"]) == (expected[0] is None)


def test_every_benchmark_has_figures_and_every_name_says_whose_they_are(tmp_path):
    for name in LAYOUTS:
        found = figures_of(tmp_path, name)
        assert set(found) == {"text_to_video", "video_to_text"}
        for rows in found.values():
            for label, one in rows.items():
                assert label.startswith("published (") and label.endswith(", not ours")
                assert one["source"]


def test_single_figures_of_others_stand_beside_the_papers(tmp_path):
    single = {label: one["R@1"] for label, one in figures_of(tmp_path, "msrvtt")["text_to_video"].items()}
    assert sorted(single.values()) == [31.1, 46.6, 46.8, 47.3, 49.0]
    assert (
        figures_of(tmp_path, "activitynet")["text_to_video"]["published (paper, with QB-norm), not ours"]["R@1"] == 48.1
    )


def test_nothing_is_published_of_samples_other_splits_and_other_tests(tmp_path):
    assert published_figures(read_collection("msrvtt", make_collection(tmp_path / "own")), "test") == {}
    assert figures_of(tmp_path, "msrvtt", protocol="full") == {}  # 2,990 test videos
    benchmark = read_collection("lsmdc", make_layout("lsmdc", tmp_path / "lsmdc", with_videos=False))
    assert published_figures(benchmark, "validation") == {}
    assert published_figures(replace(benchmark, name="mine"), "test") == {}
