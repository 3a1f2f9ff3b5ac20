"""Merges several operators that together are one layer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnncalc.formulas.size import same_padding
from cnncalc.graph import Ref
from cnncalc.layers.axes import padding_pairs, per_axis
from cnncalc.layers.base import Layer
from cnncalc.layers.conv import Conv
from cnncalc.layers.norm import LayerNorm, RmsNorm
from cnncalc.layers.pool import MaxPool
from cnncalc.layers.resample import ChannelShuffle
from cnncalc.layers.shape import Pad, Permute, Reshape, Transpose
from cnncalc.torch.capture.tracer import Pending

Ends = list[tuple[str, Ref]]


class Chain:
    """The nodes, and for each its only reader, if there is exactly one."""

    def __init__(self, pending: list[Pending], ends: Ends) -> None:
        self.pending = pending
        self.readers: dict[int, list[int]] = {}
        for number, node in enumerate(pending):
            for ref in node.inputs:
                self.readers.setdefault(ref.node, []).append(number)
        self.kept = {ref.node for _, ref in ends}

    def after(self, number: int) -> int | None:
        """The one node that reads this one and nothing else."""
        readers = self.readers.get(number, [])
        if len(readers) != 1 or number in self.kept or len(self.pending[readers[0]].inputs) != 1:
            return None
        return readers[0]


def simplified(pending: list[Pending], ends: Ends) -> tuple[list[Pending], Ends]:
    """The nodes with short runs merged, and the results among the new ones."""
    chain = Chain(pending, ends)
    gone: dict[int, int] = {}
    """For each removed node, its replacement."""
    for number, node in enumerate(pending):
        if number in gone or node.layer is None:
            continue
        second = chain.after(number)
        if second is None:
            continue
        if isinstance(node.layer, Pad):
            layer = _padded(node, pending[second])
            if layer is not None:
                _take_over(pending[second], node, layer)
                gone[number] = second
            continue
        third = chain.after(second)
        if third is None or number not in {ref.node for ref in pending[second].inputs}:
            continue
        run = [pending[one] for one in (number, second, third)]
        layer = _normed(run) or _shuffled(run)
        if layer is not None:
            last = pending[third]
            weights = pending[second]
            last.weights, last.owner, last.shared = weights.weights, weights.owner, weights.shared
            last.scope = weights.scope if weights.weights else last.scope
            _take_over(last, node, layer)
            gone |= {number: third, second: third}
    if not gone:
        return pending, ends
    places: dict[int, int] = {}
    kept: list[Pending] = []
    for number, node in enumerate(pending):
        if number not in gone:
            places[number] = len(kept)
            kept.append(node)
    for number, heir in gone.items():
        if heir in places:
            places[number] = places[heir]
    for node in kept:
        node.inputs = tuple(Ref(places[ref.node], ref.port) for ref in node.inputs)
        node.shared = None if node.shared is None else places[node.shared]
    return kept, [(label, Ref(places[ref.node], ref.port)) for label, ref in ends]


def _take_over(last: Pending, first: Pending, layer: Layer) -> None:
    last.layer = layer
    last.inputs, last.input_shapes = first.inputs, first.input_shapes


def _padded(pad: Pending, window: Pending) -> Layer | None:
    """A window whose padding was done before it. TensorFlow's padding becomes ``same``, for other sizes too."""
    assert isinstance(pad.layer, Pad)
    layer: Any = window.layer
    fill = 0.0 if isinstance(layer, Conv) else float("-inf")
    if (
        not isinstance(layer, (Conv, MaxPool))
        or pad.layer.mode != "constant"
        or pad.layer.value != fill
        or layer.padding != 0
    ):
        return None
    if isinstance(layer, MaxPool) and layer.ceil_mode:
        return None
    (shape,) = pad.input_shapes
    rank = len(shape) - 1
    pairs = padding_pairs(pad.layer.padding, rank)
    stride = layer.kernel if layer.stride is None else layer.stride
    same = tuple(
        map(
            same_padding,
            shape[1:],
            per_axis(layer.kernel, rank, "kernel"),
            per_axis(stride, rank, "stride"),
            per_axis(layer.dilation, rank, "dilation"),
        )
    )
    if pairs == same:
        return replace(layer, padding="same")
    if isinstance(layer, MaxPool):
        return None
    even = all(before == after for before, after in pairs)
    field: Any = tuple(before for before, _ in pairs) if even else pairs
    return replace(layer, padding=field[0] if even and len(set(field)) == 1 else field)


def _normed(run: list[Pending]) -> Layer | None:
    """A norm over the last axis between a move of another axis there and back: over that axis."""
    first, norm, last = (node.layer for node in run)
    if not isinstance(norm, (LayerNorm, RmsNorm)):
        return None
    if not isinstance(first, (Permute, Transpose)) or not isinstance(last, (Permute, Transpose)):
        return None
    there, back = first.order(run[0].input_shapes[0]), last.order(run[2].input_shapes[0])
    if tuple(there[axis] for axis in back) != tuple(range(len(there))):
        return None
    axes = norm.axes if isinstance(norm.axes, tuple) else (norm.axes,)
    if None in axes:
        return None
    own = tuple(there[axis] for axis in axes if axis is not None)
    if own != tuple(sorted(own)):
        return None
    return replace(norm, axes=own[0] if len(own) == 1 else own)


def _shuffled(run: list[Pending]) -> Layer | None:
    """Channels as a table of groups, read column by column."""
    first, swap, last = (node.layer for node in run)
    if not isinstance(first, Reshape) or not isinstance(swap, Transpose) or not isinstance(last, Reshape):
        return None
    (shape,), (table,) = run[0].input_shapes, run[0].output_shapes
    if len(shape) < 2 or run[2].output_shapes != (shape,) or table[2:] != shape[1:]:
        return None
    if table[0] * table[1] != shape[0] or swap.order(table)[:2] != (1, 0):
        return None
    return ChannelShuffle(groups=table[0])
