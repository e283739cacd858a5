"""Several processes as one: what torchrun starts computes the loss and the gradients of a single process."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather

_LONGEST_WAIT = timedelta(
    hours=12
)  # while the first process encodes or evaluates; a process that fails ends all at once

T = TypeVar("T")


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun has started; without torchrun there is one process and nothing to join.

    Args:
        device: What to compute on; of several GPUs each process takes its own.

    Yields:
        This process's device.

    Raises:
        ValueError: If there are fewer GPUs than processes on this machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        own, num_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if own >= num_gpus:
            raise ValueError(f"process {own + 1} of this machine finds {num_gpus} GPUs; start one process for each GPU")
        device = torch.device("cuda", own)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_LONGEST_WAIT)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return num_processes() == 1 or distributed.get_rank() == 0


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Let the first process do something before the others do it, such as filling a cache that all then read."""
    if num_processes() > 1 and not is_first():
        distributed.barrier()
    yield
    if num_processes() > 1 and is_first():
        distributed.barrier()


def first_does(action: Callable[[], object]) -> None:
    """Do something in the first process alone; the others wait until it is done."""
    with first_goes_first():
        if is_first():
            action()


def from_first(value: T) -> T:
    """Give every process what the first one has; the others wait for it."""
    if num_processes() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


def from_all(value: T) -> list[T]:
    """Give every process what each of them has, the first process's first; each waits for the others."""
    if num_processes() == 1:
        return [value]
    values: list[Any] = [None] * num_processes()
    distributed.all_gather_object(values, value)
    return values


def own_items(items: Sequence[T]) -> list[T]:
    """Take this process's share of any number of items: of three processes the second has items 1, 4, 7 and so on."""
    return list(items[distributed.get_rank() :: num_processes()] if num_processes() > 1 else items)


def all_items(share: Sequence[T]) -> list[T]:
    """Put the shares of all processes together again, in the order in which `own_items` dealt them out."""
    shares = from_all(list(share))
    together: list[Any] = [None] * sum(map(len, shares))
    for place, one in enumerate(shares):
        together[place :: len(shares)] = one
    return together


def check_batches(batch_sizes: Iterable[int]) -> None:
    """Refuse batches that cannot be dealt out, before anything is computed.

    Raises:
        ValueError: If the number of processes does not divide a batch.
    """
    for batch_size in batch_sizes:
        if batch_size % num_processes():
            raise ValueError(f"a batch of {batch_size} cannot be dealt out to {num_processes()} processes evenly")


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
    check_batches([len(batch)])
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


def share_size(num_rows: int) -> int:
    """Count the rows in one share of `own_share`."""
    return -(-num_rows // num_processes())


def own_share(rows: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B2 ..."]:
    """Take this process's share of any number of rows, at least one; `all_shares` puts together what comes of them.

    All shares are of one size. Where the rows do not go round, the last ones repeat the last row.
    """
    if num_processes() == 1:
        return rows
    size = share_size(len(rows))
    first = distributed.get_rank() * size
    return rows[torch.arange(first, first + size, device=rows.device).clamp(max=len(rows) - 1)]


def all_shares(share: Shaped[Tensor, "B ..."], num_rows: int) -> Shaped[Tensor, "B2 ..."]:
    """Put together what the processes have computed of their shares, in the order of the rows, without repetitions."""
    return all_rows(share)[:num_rows]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if num_processes() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= num_processes()


def mean_of_all(value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Give the mean of a number of all processes, without a gradient."""
    mean = value.detach().clone()
    if num_processes() > 1:
        distributed.all_reduce(mean)
        mean /= num_processes()
    return mean
