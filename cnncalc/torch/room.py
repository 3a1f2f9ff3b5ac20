"""Whether there is enough memory for a net: checked before anything is made, and reported if PyTorch runs out later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import torch

from cnncalc.analysis.memory.inference import peak
from cnncalc.analysis.memory.passes import forward_pass
from cnncalc.analysis.memory.training import held_bytes
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import tensor_bytes
from cnncalc.graph import Graph
from cnncalc.units import show_bytes

HINT = "\n  hint: a smaller --batch or --input takes less"
NO_ROOM = ("allocate memory", "Storage size calculation overflowed")
"""PyTorch's words for running out of memory."""


def bytes_there(device: str) -> int | None:
    """Bytes of all the memory of a device; ``None`` if unknown."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[1]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check(needed: int, what: str, device: str) -> None:
    """Checks that there is enough memory.

    Raises:
        CnncalcError: it is.
    """
    there = bytes_there(device)
    if there is not None and needed > there:
        have = f"{show_bytes(needed)} of {show_bytes(there)}"
        raise CnncalcError(f"not enough memory: {what} needs at least {have}{HINT}")


def check_net(graph: Graph, batch: int, element: int, device: str) -> None:
    """The weights and a forward pass of a net must fit, with ``element`` bytes for each element.

    Raises:
        CnncalcError: they do not.
    """
    held = 0
    for node in graph.nodes:
        if node.layer is not None and node.shared is None:
            weights = node.layer.weights(*node.input_shapes)
            constant = 0 if node.inputs or weights else tensor_bytes(prod(node.output_shape), element)
            held += sum(held_bytes(weights, element, element)) + constant
    run = forward_pass(graph, batch, training=False, element=element)
    check(held + peak(graph, run).bytes, "the net", device)


def is_missing(error: BaseException) -> bool:
    """Whether an error says that there is no memory."""
    none = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, none) or any(reason in str(error) for reason in NO_ROOM)


@contextmanager
def said_so() -> Iterator[None]:
    """A context that turns PyTorch's errors about memory into ours.

    Raises:
        CnncalcError: there is none.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_missing(error):
            raise
        raise CnncalcError(f"not enough memory: {str(error).partition(chr(10))[0] or 'there is none'}{HINT}") from None
