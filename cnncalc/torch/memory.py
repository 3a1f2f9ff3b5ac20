"""Memory as PyTorch has it: live storages of tensors, what autograd keeps, what an optimiser holds."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnncalc.torch.module import Net


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call, unused-ignore]
    """Follows the storages of all tensors that operations make, while they are alive.

    ``now`` and ``peak`` are bytes; storages in ``ignored`` (weights) do not count.
    """

    def __init__(self, ignored: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.now = 0
        self.peak = 0
        self._ignored = {tensor.untyped_storage()._cdata for tensor in ignored}
        self._alive: dict[int, weakref.ref[Any]] = {}

    def add(self, tensor: Tensor) -> None:
        """Counts a tensor's storage, once, until it is gone."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._ignored or key in self._alive:
            return

        def gone(_: object) -> None:
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return out


def measured_peak(net: Net, inputs: list[Tensor]) -> int:
    """The most bytes of tensors alive at once in a pass in evaluation without autograd; takes the inputs over."""
    net.eval()
    live = Live([*net.parameters(), *net.buffers()])
    values = net.start(*inputs)
    while inputs:
        live.add(inputs.pop())
    with torch.no_grad(), live:
        net.run(values)
    return live.peak


def measured_kept(net: Net, inputs: list[Tensor]) -> int:
    """Bytes of the storages that autograd keeps after a forward pass in training, the weights apart.

    Those that ``torch.autograd.graph.saved_tensors_hooks`` sees and that are still there in the end
    (what only dead ends of the net need is not). Takes the inputs over.
    """
    net.train()
    weights = {tensor.untyped_storage()._cdata for tensor in (*net.parameters(), *net.buffers())}
    packs: list[weakref.ref[_Packed]] = []

    def pack(tensor: Tensor) -> _Packed:
        packed = _Packed(tensor.detach())  # an output itself would hold the graph that holds it
        packs.append(weakref.ref(packed))
        return packed

    values = net.start(*inputs)
    inputs.clear()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed.tensor):
        outputs = net.run(values)
    there = [packed.tensor.untyped_storage() for ref in packs if (packed := ref()) is not None]
    del outputs
    return sum({storage._cdata: storage.nbytes() for storage in there if storage._cdata not in weights}.values())


class _Packed:
    """What autograd holds in the place of a tensor: gone where it keeps it no longer."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
