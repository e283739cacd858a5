"""Which weights a stage leaves: the best of those that were looked at, however often it was interrupted."""

import pytest
import torch
from torch import nn

from diffret_core.training.selection import Selection
from diffret_core.training.trainer import ParameterGroup, Trainer, as_finished


def stage(num_steps=6, *, average_decay=None):
    """A weight that rises; its trainer."""
    weight = nn.Parameter(torch.zeros(3))
    trainer = Trainer(
        [ParameterGroup({"weight": weight}, 0.1, 0.0)],
        lambda step: -weight.sum() * (step + 1),
        num_steps=num_steps,
        warmup_fraction=0.0,
        max_gradient_norm=1e9,
        average_decay=average_decay,
    )
    return weight, trainer


def run(weight, trainer, selection):
    said, seen = [], {}
    for step in trainer.steps():
        if selection.is_due(trainer):
            with as_finished(trainer):
                seen[step.step] = weight.detach().clone()
            selection.look(trainer, said.append)
    trainer.finish()
    selection.leave_best(trainer)
    return said, seen


@pytest.mark.parametrize(
    ("num_steps", "num_looks", "expected"), [(6, 3, [2, 4, 6]), (6, 1, [6]), (7, 3, [3, 6, 7]), (2, 5, [1, 2])]
)
def test_looks_are_at_even_distances_and_at_the_end(tmp_path, num_steps, num_looks, expected):
    weight, trainer = stage(num_steps)
    _, seen = run(weight, trainer, Selection(tmp_path / "best", num_looks, lambda: 0.0))
    assert list(seen) == expected


@pytest.mark.parametrize("average_decay", [None, 0.5])
@pytest.mark.parametrize(("scores", "best"), [([1, 3, 2], 4), ([3, 2, 1], 2), ([1, 2, 3], 6), ([2, 2, 1], 2)])
def test_best_weights_are_left_the_first_of_equals(tmp_path, scores, best, average_decay):
    weight, trainer = stage(average_decay=average_decay)
    remaining = iter(scores)
    said, seen = run(weight, trainer, Selection(tmp_path / "best", 3, lambda: float(next(remaining))))
    assert said == scores
    assert weight.equal(seen[best]) and not any(weight.equal(seen[step]) for step in {2, 4, 6} - {best})


def test_judge_sees_the_average_and_training_goes_on_without_it(tmp_path):
    weight, trainer = stage(average_decay=0.9)
    judged = []

    def judge():
        judged.append(weight.detach().clone())
        return 0.0

    watched, plain = [], []
    selection = Selection(tmp_path / "best", 3, judge)
    for _ in trainer.steps():
        watched.append(weight.detach().clone())
        if selection.is_due(trainer):
            selection.look(trainer, lambda _: None)
            assert weight.equal(watched[-1])
    other, unwatched = stage(average_decay=0.9)
    for _ in unwatched.steps():
        plain.append(other.detach().clone())
    assert all(one.equal(two) for one, two in zip(watched, plain, strict=True))
    assert all(not one.equal(two) for one, two in zip(judged, watched[1::2], strict=True))


def test_interrupted_stage_remembers_its_best(tmp_path):
    weight, trainer = stage()
    first = Selection(tmp_path / "best", 3, lambda: 5.0)
    steps = trainer.steps()
    next(steps), next(steps)
    first.look(trainer, lambda _: None)
    best, state = weight.detach().clone(), trainer.state()
    weight, trainer = stage()
    trainer.restore(state)
    run(weight, trainer, Selection(tmp_path / "best", 3, lambda: 4.0))
    assert weight.equal(best)
