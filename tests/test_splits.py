from dataclasses import replace

import pytest
from benchmark_layouts import make_layout

from diffret_core.datasets import Counts, SplitCounts, check_counts, count_faults, counts_of, read_collection
from diffret_core.datasets.splits import held_out_ids, paragraph


def counts(num_train, num_train_captions):
    same = SplitCounts(5, 5)
    return Counts(SplitCounts(num_train, num_train_captions), same, same)


def test_count_faults_name_both_numbers():
    assert count_faults(counts(9, 90), counts(9, 90)) == []
    assert count_faults(counts(8, 90), counts(9, 90)) == ["train has 8 videos, expected 9"]
    assert count_faults(counts(9, 89), counts(9, 90)) == ["train has 89 captions, expected 90"]


def test_count_allowance_is_in_videos():
    assert count_faults(counts(8, 80), counts(9, 90), allowance=1) == []
    assert count_faults(counts(7, 70), counts(9, 90), allowance=1) == ["train has 7 videos, expected 9"]
    assert count_faults(counts(11, 70), counts(9, 90), allowance=1) == ["train has 11 videos, expected 9"]


def test_counts_are_those_of_the_splits(tmp_path):
    collection = read_collection("msvd", make_layout("msvd", tmp_path / "msvd", with_videos=False))
    assert counts_of(collection) == Counts(SplitCounts(8, 16), SplitCounts(4, 8), SplitCounts(4, 8))
    check_counts(replace(collection, published=counts_of(collection)))
    with pytest.raises(ValueError, match="no published numbers are known"):
        check_counts(replace(collection, published=None))


def test_held_out_ids_depend_on_the_ids_alone():
    ids = [f"video{number}" for number in range(100)]
    chosen = held_out_ids(ids)
    # the smallest of `printf %s ID | sha256sum`
    assert chosen == ["video12", "video20", "video76", "video91", "video98"]
    assert held_out_ids(ids[::-1]) == chosen[::-1]
    assert len(held_out_ids(ids[:3])) == 1
    with pytest.raises(ValueError, match="too few"):
        held_out_ids(ids[:1])


def test_paragraph_has_single_spaces():
    assert paragraph([" A cat. ", "  It\nsleeps.", ""]) == "A cat. It sleeps."
