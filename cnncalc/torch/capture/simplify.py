"""Merges several operators that together are one layer."""

from __future__ import annotations

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
from cnncalc.torch.capture.operators.fields import one_or_each
from cnncalc.torch.capture.tracer import Pending

Ends = list[tuple[str, Ref]]


def simplified(pending: list[Pending], ends: Ends) -> tuple[list[Pending], Ends]:
    """The nodes with short runs merged into their last nodes, and the results among the new ones."""
    only = _only_readers(pending, ends)
    heirs: dict[int, int] = {}
    """For each removed node, its replacement."""
    for number, node in enumerate(pending):
        run = [number]
        while run[-1] in only and len(run) < 3:
            run.append(only[run[-1]])
        if number in heirs or node.layer is None or len(run) < 2:
            continue
        if isinstance(node.layer, Pad):
            run = run[:2]
        nodes = [pending[one] for one in run]
        layer = _padded(*nodes) if len(run) == 2 else _normed(*nodes) or _shuffled(*nodes)
        if layer is None:
            continue
        last = nodes[-1]
        last.layer, last.inputs, last.input_shapes = layer, node.inputs, node.input_shapes
        if len(run) == 3:
            norm = nodes[1]
            last.weights, last.owner, last.shared = norm.weights, norm.owner, norm.shared
            last.scope = norm.scope if norm.weights else last.scope
        heirs |= dict.fromkeys(run[:-1], run[-1])
    kept = [number for number in range(len(pending)) if number not in heirs]
    places = {number: place for place, number in enumerate(kept)}
    places |= {number: places[heir] for number, heir in heirs.items()}
    for number in kept:
        node = pending[number]
        node.inputs = tuple(Ref(places[ref.node], ref.port) for ref in node.inputs)
        node.shared = None if node.shared is None else places[node.shared]
    return [pending[number] for number in kept], [(label, Ref(places[ref.node], ref.port)) for label, ref in ends]


def _only_readers(pending: list[Pending], ends: Ends) -> dict[int, int]:
    """For each node that one node alone reads, and nothing besides it, that node."""
    readers: dict[int, list[int]] = {ref.node: [-1] for _, ref in ends}
    for number, node in enumerate(pending):
        for ref in node.inputs:
            readers.setdefault(ref.node, []).append(number)
    return {
        number: own[0]
        for number, own in readers.items()
        if len(own) == 1 and own[0] >= 0 and len(pending[own[0]].inputs) == 1
    }


def _padded(before: Pending, after: Pending) -> Layer | None:
    """A window whose padding was done before it. TensorFlow's padding becomes ``same``, for other sizes too."""
    pad, layer = before.layer, after.layer
    if not isinstance(pad, Pad) or not isinstance(layer, (Conv, MaxPool)) or layer.padding != 0:
        return None
    fill = 0.0 if isinstance(layer, Conv) else float("-inf")
    if (pad.mode, pad.value) != ("constant", fill) or (isinstance(layer, MaxPool) and layer.ceil_mode):
        return None
    (shape,) = before.input_shapes
    rank = len(shape) - 1
    pairs = padding_pairs(pad.padding, rank)
    window = (layer.kernel, layer.kernel if layer.stride is None else layer.stride, layer.dilation)
    if pairs == tuple(map(same_padding, shape[1:], *(per_axis(field, rank, "") for field in window))):
        return replace(layer, padding="same")
    if isinstance(layer, MaxPool):
        return None
    even = all(before == after for before, after in pairs)
    return replace(layer, padding=one_or_each([before for before, _ in pairs]) if even else pairs)


def _normed(before: Pending, norm: Pending, after: Pending) -> Layer | None:
    """A norm over the last axis between a move of another axis there and back: over that axis."""
    first, layer, last = before.layer, norm.layer, after.layer
    moves = (Permute, Transpose)
    if not (isinstance(first, moves) and isinstance(layer, (LayerNorm, RmsNorm)) and isinstance(last, moves)):
        return None
    there, back = first.order(before.input_shapes[0]), last.order(after.input_shapes[0])
    axes = layer.axes if isinstance(layer.axes, tuple) else (layer.axes,)
    own = [there[axis] for axis in axes if axis is not None]
    if [there[axis] for axis in back] != sorted(there) or len(own) != len(axes) or own != sorted(own):
        return None
    return replace(layer, axes=one_or_each(own))


def _shuffled(before: Pending, swap: Pending, after: Pending) -> Layer | None:
    """Channels as a table of groups, read column by column."""
    first, layer, last = before.layer, swap.layer, after.layer
    if not (isinstance(first, Reshape) and isinstance(layer, Transpose) and isinstance(last, Reshape)):
        return None
    (shape,), (table,) = before.input_shapes, before.output_shapes
    if len(shape) < 2 or after.output_shapes != (shape,) or table[2:] != shape[1:]:
        return None
    if table[0] * table[1] != shape[0] or layer.order(table)[:2] != (1, 0):
        return None
    return ChannelShuffle(groups=table[0])
