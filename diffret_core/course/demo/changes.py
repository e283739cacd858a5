"""What changed between two runs, in words."""

from dataclasses import asdict

from diffret_core.course.demo.collection import Item
from diffret_core.course.demo.running import Result, Run

NAMES = {
    "query": "query",
    "direction": "direction",
    "num_steps": "steps",
    "schedule": "schedule",
    "eta": "eta",
    "num_candidates": "candidates",
    "seed": "seed",
    "num_draws": "draws",
    "alpha": "alpha",
    "temperature": "temperature",
}
"""Field of a state -> what its control is called."""


def changes_in_words(pinned: Run, present: Run, *, num_shown: int) -> list[str]:
    """Say which controls differ between two runs, and what came of it.

    Args:
        pinned: The run that was kept.
        present: The run of now.
        num_shown: How many of the best are looked at.

    Returns:
        Sentences, not yet escaped: controls first, then the first place, then the best `num_shown`.
    """
    lines = [_controls(pinned, present)]
    if pinned.state.direction != present.state.direction:
        return [*lines, "One run finds videos and the other captions: their places cannot be compared."]
    return [*lines, _first(pinned, present), *_best(pinned, present, num_shown)]


def _controls(pinned: Run, present: Run) -> str:
    before, after = asdict(pinned.state), asdict(present.state)
    changed = [
        f"{NAMES[name]} {_value(before[name])} → {_value(after[name])}" for name in NAMES if before[name] != after[name]
    ]
    return f"Controls: {'; '.join(changed)}." if changed else "Controls: all the same."


def _first(pinned: Run, present: Run) -> str:
    before, after = pinned.results[0], present.results[0]
    if _key(before.item) == _key(after.item):
        return f"First in both: {after.item.words}."
    return f"First was: {before.item.words}. First is now: {after.item.words}."


def _best(pinned: Run, present: Run, num_shown: int) -> list[str]:
    """Count what stayed among the best, and name who moved furthest among those that stayed."""
    before = {_key(one.item): one for one in pinned.results[:num_shown]}
    after = {_key(one.item): one for one in present.results[:num_shown]}
    both = [key for key in after if key in before]
    kept = f"{len(both)} of the best {len(after)} are in both."
    moved = [key for key in both if before[key].rank != after[key].rank]
    if not moved:
        return [kept]
    furthest = max(moved, key=lambda key: abs(before[key].rank - after[key].rank))
    return [kept, _move(before[furthest], after[furthest])]


def _move(before: Result, after: Result) -> str:
    direction = "rises" if after.rank < before.rank else "falls"
    places = f"from place {before.rank} to {after.rank}"
    return f"Of these, the one that moves furthest {direction} {places}: {after.item.words}."


def _key(item: Item) -> tuple[str, str]:
    return item.id, item.words


def _value(value: str | float | int) -> str:
    return f"“{value}”" if isinstance(value, str) else f"{value:g}"
