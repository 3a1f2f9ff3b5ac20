"""The memory of a training step: the weights, their gradients, the optimiser's state, what autograd keeps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import prod

from msgspec import Struct

from cnncalc.analysis.memory.passes import Pass, forward_pass
from cnncalc.formulas.cost import tensor_bytes
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Weight

ELEMENT = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 4}
"""Bytes per element of activations; with ``int8`` weights they stay float32."""
FLOAT = 4
"""Bytes of a float32: master weights, their optimiser's state and Adam's step counters."""
COUNTER = 8
"""Bytes of ``num_batches_tracked``, an int64 whatever the dtype."""
STATES = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}
"""Tensors of the weight's shape per optimiser: the momentum; the means of gradients and of their squares."""
COUNTS_STEPS = frozenset({"adam", "adamw"})
"""Optimisers with a step counter for each weight."""


def weight_bytes(node: Node, dtype: str) -> tuple[int, int]:
    """Bytes of a node's learnable weights and of its buffers.

    ``int8``: only matrices and kernels; weights with one number per channel (biases, norms) stay float32.
    """
    assert node.layer is not None
    element = ELEMENT[dtype]
    return held_bytes(node.layer.weights(*node.input_shapes), element, 1 if dtype == "int8" else element)


def held_bytes(weights: Iterable[Weight], element: int, matrix: int) -> tuple[int, int]:
    """Bytes of the learnable weights and of the buffers, ``matrix`` for each element of what is multiplied with and
    has more than one axis, ``element`` for any other.
    """
    learnable = buffers = 0
    for weight in weights:
        count = prod(weight.shape)
        if not weight.learnable:
            buffers += tensor_bytes(count, element if weight.shape else COUNTER)
        else:
            learnable += tensor_bytes(count, matrix if weight.multiplies and len(weight.shape) > 1 else element)
    return learnable, buffers


def kept_by_node(graph: Graph, run: Pass) -> list[int]:
    """Bytes that autograd keeps for each node and does not already keep for an earlier one."""
    live = graph.needed()
    seen: set[int] = set()
    result = []
    for number, node in enumerate(run.nodes):
        new = [storage for storage in node.kept if storage not in seen] if live[number] else []
        seen.update(new)
        result.append(sum(run.sizes[storage] for storage in new))
    return result


def block_of(path: str, depth: int) -> str:
    """The block of a path ``depth`` levels down, or empty if there is none."""
    parts = path.split(".")
    return ".".join(parts[:depth]) if len(parts) > depth else ""


class Checkpointed(Struct, frozen=True):
    """Memory kept with checkpoints: from the forward pass on, and the most in addition while a block is recomputed."""

    kept: int
    again: int
    block: str


def checkpointed(graph: Graph, run: Pass, depth: int) -> Checkpointed:
    """Bytes kept where each block ``depth`` levels down runs under ``torch.utils.checkpoint``.

    Only the inputs of such a block are kept; in the backward pass it is run again, and what autograd
    keeps for it exists until its gradients are computed.
    """
    live = graph.needed()
    kept: dict[int, None] = {}
    again, worst = 0, ""
    numbers = [number for number, node in enumerate(graph.nodes) if node.layer is not None]
    for block, members in groupby(numbers, lambda number: block_of(graph.nodes[number].path, depth)):
        inside = [number for number in members if live[number]]
        if not block:
            kept.update((storage, None) for number in inside for storage in run.nodes[number].kept)
            continue
        own = set(inside)
        outside = (ref.node for number in inside for ref in graph.nodes[number].inputs if ref.node not in own)
        kept.update((storage, None) for number in outside for storage in run.nodes[number].outputs)
        made = {s for number in inside for s in run.nodes[number].kept if run.makers[s] in own}
        size = sum(run.sizes[storage] for storage in made)
        if size > again:
            again, worst = size, block
    return Checkpointed(sum(run.sizes[storage] for storage in kept), again, worst)


class Training(Struct, frozen=True):
    """Bytes of a step of training, when the forward pass is done.

    ``kept``: by autograd; ``recomputed``: at most besides, in ``block``, which is run again. ``unknown`` says what
    is missing.
    """

    weights: int
    buffers: int
    master: int
    gradients: int
    optimizer: int
    kept: int
    recomputed: int
    block: str
    unknown: tuple[str, ...]

    @property
    def fixed(self) -> int:
        """The part that does not depend on the batch."""
        return self.weights + self.buffers + self.master + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """Everything."""
        return self.fixed + self.kept + self.recomputed


class Setting(Struct, frozen=True):
    """How a net is trained: the dtype of weights and activations, the optimiser, float32 master weights, checkpoints.

    ``checkpoint``: depth of gradient checkpointing, or 0 for none.
    """

    dtype: str = "float32"
    optimizer: str = "adam"
    mixed: bool = False
    checkpoint: int = 0


def training(graph: Graph, batch: int, setting: Setting) -> Training:
    """The memory of a training step."""
    live = graph.needed()
    owners = {
        (number if node.shared is None else node.shared) for number, node in enumerate(graph.nodes) if live[number]
    }
    weights = buffers = master = gradients = state = 0
    for number, node in enumerate(graph.nodes):
        if node.layer is None or node.shared is not None:
            continue
        learnable, more = weight_bytes(node, setting.dtype)
        weights += learnable
        buffers += more
        tensors = [weight for weight in node.layer.weights(*node.input_shapes) if weight.learnable]
        count = sum(prod(weight.shape) for weight in tensors)
        master += FLOAT * count * setting.mixed
        if number in owners:
            gradients += learnable
            state += STATES[setting.optimizer] * (FLOAT * count if setting.mixed else learnable)
            state += FLOAT * len(tensors) * (setting.optimizer in COUNTS_STEPS)
    run = forward_pass(graph, batch, training=True, element=ELEMENT[setting.dtype])
    if setting.checkpoint:
        found = checkpointed(graph, run, setting.checkpoint)
        kept, again, block = found.kept, found.again, found.block
    else:
        kept, again, block = sum(kept_by_node(graph, run)), 0, ""
    return Training(weights, buffers, master, gradients, state, kept, again, block, run.unknown)


def largest_batch(graph: Graph, size: int, setting: Setting) -> int | None:
    """The largest batch whose step of training holds at most ``size`` bytes; 0 where not even one sample fits.

    ``None`` where nothing grows with the batch. What autograd keeps does, in all but a few bytes in
    proportion: between a batch that fits and one that does not, each guess is where the line through the
    two meets the limit, and each is tried.
    """
    low, low_total = 0, training(graph, 1, setting).fixed
    high, high_total = 1, training(graph, 1, setting).total
    if low_total > size:
        return 0
    while high_total <= size:
        if high_total == low_total:
            return None
        low, low_total = high, high_total
        high *= 2
        high_total = training(graph, high, setting).total
    while high - low > 1:
        guess = low + (size - low_total) * (high - low) // (high_total - low_total)
        for tried in (guess, guess + 1, None):
            batch = (low + high) // 2 if tried is None else tried
            if low < batch < high:
                total = training(graph, batch, setting).total
                if total <= size:
                    low, low_total = batch, total
                else:
                    high, high_total = batch, total
    return low
