"""Results in order, a bounded number of them ahead of their use, errors in their turn."""

import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from diffret_core.work_ahead import num_workers_here, pieces_ahead, work_ahead


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("most_ahead", [1, 2, 50])
def test_results_come_in_the_order_of_the_items(num_workers, most_ahead):
    def work(item):
        time.sleep(0.001 * (item % 3))  # later ones finish earlier
        return item * item

    found = [one.value for one in work_ahead(work, range(12), num_workers=num_workers, most_ahead=most_ahead)]
    assert found == [item * item for item in range(12)]


def test_several_items_are_worked_on_at_a_time():
    all_three = threading.Barrier(3, timeout=30)  # passes only while three wait at it
    found = list(work_ahead(lambda _: all_three.wait(), range(3), num_workers=3, most_ahead=3))
    assert sorted(one.value for one in found) == [0, 1, 2]


@pytest.mark.parametrize(("num_workers", "most_ahead"), [(0, 4), (1, 1), (2, 5), (4, 2)])
def test_no_more_is_begun_than_may_wait(num_workers, most_ahead):
    begun, used = [], 0
    with closing(work_ahead(begun.append, range(40), num_workers=num_workers, most_ahead=most_ahead)) as results:
        for _ in results:
            used += 1
            time.sleep(0.001)  # time for workers to run ahead
            assert len(begun) - used < max(most_ahead, 1)
    assert used == len(begun) == 40


@pytest.mark.parametrize("num_workers", [0, 2])
def test_error_comes_in_the_turn_of_its_item(num_workers):
    def work(item):
        if item == 3:
            raise ValueError("item 3 is bad")
        return item

    found = []
    with pytest.raises(ValueError, match="item 3 is bad"):
        found.extend(one.value for one in work_ahead(work, range(6), num_workers=num_workers, most_ahead=6))
    results = work_ahead(work, range(6), num_workers=num_workers, most_ahead=6)
    assert [next(results).value for _ in range(3)] == [0, 1, 2]


def test_closing_drops_what_has_not_begun_and_leaves_no_thread():
    before, begun = threading.active_count(), []

    def work(item):
        begun.append(item)
        time.sleep(0.05 * (item > 0))

    results = work_ahead(work, range(100), num_workers=1, most_ahead=50)
    next(results)
    results.close()
    assert len(begun) < 50
    assert threading.active_count() <= before  # those of earlier tests may have ended meanwhile


def test_time_is_waited_only_for_what_is_not_ready(monkeypatch):
    now, ready = [0.0], threading.Event()
    monkeypatch.setattr("diffret_core.work_ahead.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work(item):
        now[0] += 5.0
        if item == 1:
            ready.set()

    in_turns = work_ahead(work, range(2), num_workers=0, most_ahead=1)
    assert [one.waited_seconds for one in in_turns] == [5.0, 5.0]
    ready.clear()
    ahead = work_ahead(work, range(2), num_workers=1, most_ahead=2)
    next(ahead)
    assert ready.wait(30)
    assert next(ahead).waited_seconds == 0.0


@pytest.mark.parametrize("wrong", [{"num_workers": -1, "most_ahead": 1}, {"num_workers": 1, "most_ahead": 0}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="give 0 or more workers, and 1 or more"):
        next(work_ahead(str, [1], **wrong))


def test_processors_are_shared_among_the_processes_of_torchrun(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert num_workers_here() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert num_workers_here() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert num_workers_here() == 1


def letters(word):
    """Give the letters of a word; an exclamation mark is an error."""
    for letter in word:
        if letter == "!":
            raise ValueError(f"{word} is bad")
        time.sleep(0.001)
        yield letter


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("most_ahead", [1, 4])
def test_pieces_of_each_item_come_in_order_and_end(num_workers, most_ahead):
    words = ["one", "", "three", "four!x", "five"]
    found = list(pieces_ahead(letters, words, num_workers=num_workers, most_ahead=most_ahead))
    for word in words:
        *pieces, end = [piece for piece in found if piece.item == word]
        assert "".join(piece.value for piece in pieces) == word.split("!")[0]
        assert not any(piece.ended or piece.error for piece in pieces)
        assert end.ended and end.value is None
        assert (str(end.error) if end.error else None) == ("four!x is bad" if "!" in word else None)


@pytest.mark.parametrize(("num_workers", "most_ahead"), [(1, 1), (2, 3)])
def test_pieces_wait_in_bounded_number_however_long_an_item_is(num_workers, most_ahead):
    made, used = [], 0

    def count(item):
        for number in range(30):
            made.append(number)
            yield number

    with closing(pieces_ahead(count, range(3), num_workers=num_workers, most_ahead=most_ahead)) as pieces:
        for piece in pieces:
            used += not piece.ended
            time.sleep(0.001)  # time for workers to run ahead
            assert len(made) - used <= most_ahead + num_workers
    assert used == len(made) == 90


def test_several_items_give_pieces_at_a_time():
    all_three = threading.Barrier(3, timeout=30)  # passes only while three wait at it

    def wait(item):
        yield all_three.wait()

    assert len(list(pieces_ahead(wait, range(3), num_workers=3, most_ahead=1))) == 6


def test_closing_ends_all_threads_that_have_pieces_to_give():
    before, begun = threading.active_count(), []

    def endless(item):
        begun.append(item)
        while True:
            yield item

    pieces = pieces_ahead(endless, range(9), num_workers=3, most_ahead=2)
    next(pieces)
    pieces.close()
    assert len(begun) <= 3
    assert threading.active_count() <= before


@pytest.mark.parametrize("wrong", [{"num_workers": -1, "most_ahead": 1}, {"num_workers": 1, "most_ahead": 0}])
def test_numbers_of_pieces_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="give 0 or more workers, and 1 or more"):
        next(pieces_ahead(letters, ["a"], **wrong))
