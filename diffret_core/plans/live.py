"""What a computation takes, counted while it runs: the bytes of tensors that live at once, and the operations.

Tensors may be fake (`torch._subclasses.fake_tensor`): they have shapes, precisions and sizes, and no numbers. Code that
runs on them allocates nothing and multiplies nothing, so that a step of a large model is counted in seconds anywhere.
"""

import functools
import weakref
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
_INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_MAPPED = {aten.from_file.default}  # pages of a file, which the system takes back when it needs them


class LiveTensors(TorchDispatchMode):
    """Sees every tensor that is made while it is active, in a backward pass too.

    Attributes:
        num_bytes: Of the tensors made so far that still live; views take nothing.
        peak_bytes: The most that was.
        operations: Multiplications and additions in products, convolutions and attention.
    """

    def __init__(self) -> None:
        """Start with nothing seen: what was there before does not count."""
        super().__init__()
        self.num_bytes = self.peak_bytes = self.operations = 0
        self._sizes: dict[int, int] = {}

    def forget_peak(self) -> None:
        """Let the peak begin anew."""
        self.peak_bytes = self.num_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _INDEXING:
            args = (args[0], _places(args[1]), *args[2:])
        made = func(*args, **kwargs)
        if func._overloadpacket in flop_registry:
            self.operations += flop_registry[func._overloadpacket](*args, **kwargs, out_val=made)
        if _makes_memory(func):
            for tensor in (made,) if isinstance(made, Tensor) else tree_leaves(made):
                if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                    self._see(tensor.untyped_storage())
        return made

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.num_bytes += self._sizes[key]
        self.peak_bytes = max(self.peak_bytes, self.num_bytes)
        weakref.finalize(storage, self._end, key)

    def _end(self, key: int) -> None:
        self.num_bytes -= self._sizes.pop(key)


@functools.cache
def _makes_memory(func: Any) -> bool:
    """Whether an operator's results have memory of their own; those of views and of changes in place do not."""
    returned = func._schema.returns
    return func not in _MAPPED and bool(returned) and all(one.alias_info is None for one in returned)


def _places(index: Any) -> list[Tensor | None]:
    """Give the places where a mask is True instead of the mask: a fake tensor cannot be indexed by what is unknown."""
    places: list[Tensor | None] = []
    for one in index:
        is_mask = one is not None and one.dtype == torch.bool and not isinstance(one, FakeTensor)
        places += list(one.nonzero().unbind(1)) if is_mask else [one]
    return places
