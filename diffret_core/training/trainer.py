"""Optimiser steps over a loss: the same loop for both stages, listened to by whoever iterates, resumable exactly."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from diffret_core.processes import average_gradients, mean_of_all

_LOWER_RATE = "lower the learning rate"

LossOfStep = Callable[[int], Float[Tensor, ""]]


@dataclass(frozen=True)
class TrainingStep:
    """What happened in one step: its number from 1, the loss before it, the part of the peak learning rate used."""

    step: int
    loss: float
    learning_rate_fraction: float


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a peak learning rate, by their names in the model."""

    parameters: Mapping[str, nn.Parameter]
    learning_rate: float
    weight_decay: float


class Trainer:
    """AdamW with warm-up and a cosine fall, over a loss that depends on the step's number alone.

    Since every random choice of a step is made from the seed and its number, a run that is interrupted and resumed
    takes the very steps that an uninterrupted run takes.
    """

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
        loss_of_step: LossOfStep,
        *,
        num_steps: int,
        warmup_fraction: float,
        max_gradient_norm: float,
        average_decay: float | None = None,
        buffers: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Prepare the optimiser; see `contrastive_trainer` and `generation_trainer` for the two stages' settings.

        Buffers are what a step changes besides parameters, such as the running averages of batch normalisation: they
        are part of the state. With `average_decay`, `finish` leaves an average of the weights over the steps.
        `loss_of_step` and `parameters` stay readable, so that a step can be counted without being taken.
        """
        self.num_steps, self.warmup_fraction = num_steps, warmup_fraction
        self.max_gradient_norm = max_gradient_norm
        self.num_done = 0
        self.loss_of_step = loss_of_step
        self._buffers = dict(buffers or {})
        self.parameters = {name: parameter for group in groups for name, parameter in group.parameters.items()}
        self._optimizer = torch.optim.AdamW(_split_by_decay(groups), fused=True)
        averaged = {} if average_decay is None else self.parameters
        self._averages = {name: value.detach().clone() for name, value in averaged.items()}
        self._average = get_ema_multi_avg_fn(average_decay or 0.0)
        self._peak_rates = [group["lr"] for group in self._optimizer.param_groups]

    def steps(self) -> Iterator[TrainingStep]:
        """Take the steps that are left, one per item.

        Yields:
            What happened, after each step.

        Raises:
            ValueError: If the loss or its gradient stops being a number; the weights are then those of before the step.
        """
        while self.num_done < self.num_steps:
            fraction = learning_rate_fraction(self.num_done, self.num_steps, self.warmup_fraction)
            for group, peak in zip(self._optimizer.param_groups, self._peak_rates, strict=True):
                group["lr"] = peak * fraction
            loss = self.loss_of_step(self.num_done)
            value = mean_of_all(loss).item()
            if not math.isfinite(value):
                raise ValueError(f"the loss became {value} in step {self.num_done + 1}; {_LOWER_RATE}")
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            average_gradients(self.parameters.values())
            norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.max_gradient_norm)
            if not math.isfinite(float(norm)):
                raise ValueError(f"the gradient became {float(norm)} in step {self.num_done + 1}; {_LOWER_RATE}")
            self._optimizer.step()
            self.num_done += 1
            if self._averages:
                self._average([*self._averages.values()], [*self.parameters.values()], self.num_done)
            yield TrainingStep(self.num_done, value, fraction)

    @torch.no_grad()
    def finish(self) -> None:
        """Put the averages of the weights in their place, where averages are kept."""
        for name, average in self._averages.items():
            self.parameters[name].copy_(average)

    @property
    def weights(self) -> dict[str, Tensor]:
        """What the stage changes in the model, by name: parameters and buffers."""
        return {**self.parameters, **self._buffers}

    def state(self) -> dict[str, Tensor]:
        """Give everything needed to go on from here: weights and their averages, optimiser moments, the steps done."""
        tensors = {f"weight.{name}": parameter.detach().clone() for name, parameter in self.parameters.items()}
        tensors |= {f"buffer.{name}": value.clone() for name, value in self._buffers.items()}
        tensors |= {f"average.{name}": value.clone() for name, value in self._averages.items()}
        tensors["num_done"] = torch.tensor(self.num_done)
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value.clone() for name, value in moments.items()}
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `state` was taken.

        Raises:
            ValueError: If the state is incomplete or that of another model; nothing is changed then.
        """
        moments: dict[int, dict[str, Tensor]] = {}
        for key in (key for key in tensors if key.startswith("optimizer.")):
            _, index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = tensors[key].clone()
        kept: dict[str, Tensor] = {f"weight.{name}": parameter for name, parameter in self.parameters.items()}
        kept |= {f"buffer.{name}": value for name, value in self._buffers.items()}
        kept |= {f"average.{name}": value for name, value in self._averages.items()}
        wanted = {name: value.shape for name, value in kept.items()}
        found = {key: tensors[key].shape for key in tensors if key.startswith(("weight.", "buffer.", "average."))}
        incomplete = any(set(one) != {"step", "exp_avg", "exp_avg_sq"} for one in moments.values())
        if found != wanted or incomplete or "num_done" not in tensors:
            raise ValueError("the saved run does not fit this model or is incomplete; start it anew")
        for name, value in kept.items():
            value.copy_(tensors[name])
        description: dict[str, Any] = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**description, "state": moments})
        for parameter, own in self._optimizer.state.items():  # the fused step reads memory: the weight's own layout
            own |= {name: torch.empty_like(parameter).copy_(own[name]) for name in ("exp_avg", "exp_avg_sq")}
        self.num_done = int(tensors["num_done"])


@contextmanager
def as_finished(trainer: Trainer) -> Iterator[dict[str, Tensor]]:
    """Have the model, for a while, as `finish` would leave it now; then training goes on as if nothing had been.

    Yields:
        The trainer's `weights` as they are meanwhile.
    """
    weights = trainer.weights
    own = {name: weights[name].detach().clone() for name in trainer._averages}
    trainer.finish()
    try:
        yield weights
    finally:
        with torch.no_grad():
            for name, value in own.items():
                weights[name].copy_(value)


def learning_rate_fraction(step: int, num_steps: int, warmup_fraction: float) -> float:
    """Part of the peak learning rate used in a step: a straight rise, then a cosine fall to 0.

    Args:
        step: Steps done before it.
        num_steps: Steps of the whole run.
        warmup_fraction: Part of them in which the rate rises.
    """
    num_warmup = warmup_fraction * num_steps
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / max(1.0, num_steps - num_warmup)))


def _split_by_decay(groups: Sequence[ParameterGroup]) -> list[dict[str, Any]]:
    """Weight decay acts on matrices, not on biases, norms and scalars."""
    split = []
    for group in groups:
        for is_matrix, decay in ((True, group.weight_decay), (False, 0.0)):
            chosen = [parameter for parameter in group.parameters.values() if (parameter.ndim > 1) == is_matrix]
            if chosen:
                split.append({"params": chosen, "lr": group.learning_rate, "weight_decay": decay})
    return split
