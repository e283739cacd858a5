"""Several processes as one: what torchrun starts computes the loss and the gradients of a single process."""

from collections.abc import Iterable

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather


def num_processes() -> int:
    """Count the processes that train together; 1 where none were started."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def refuse_batch_norm(model: nn.Module) -> None:
    """Stop where several processes would each normalise by a part of the batch.

    Raises:
        ValueError: If they would.
    """
    if num_processes() > 1 and any(isinstance(part, nn.BatchNorm2d) for part in model.modules()):
        raise ValueError("batch normalisation would see a part of the batch in each process; train in one process")


def own_rows(batch: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B2 ..."]:
    """Take this process's part of a batch, whose rows are dealt out in equal parts.

    Raises:
        ValueError: If the rows cannot be dealt out evenly.
    """
    if len(batch) % num_processes():
        raise ValueError(f"a batch of {len(batch)} cannot be dealt out to {num_processes()} processes evenly")
    return batch.chunk(num_processes())[distributed.get_rank()] if num_processes() > 1 else batch


def all_rows(part: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B2 ..."]:
    """Put the parts of all processes together again, in the order `own_rows` dealt them out.

    The gradient of a part is the sum of what all processes' losses say of it. Every process computes the same loss of
    the whole batch, so after `average_gradients` the result is that of one process with the whole batch. Without the
    sum, as in the released code, gradients shrink with the number of processes; SPEC section 12.
    """
    if num_processes() == 1:
        return part
    if part.is_floating_point():
        return torch.cat(all_gather(part))
    parts = [torch.empty_like(part) for _ in range(num_processes())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if num_processes() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= num_processes()
