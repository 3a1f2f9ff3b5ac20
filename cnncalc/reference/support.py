"""What every unit of every feature map sees, measured by running the net: no recurrence, no ``reads``.

One sample of a batch stands for one pixel along one axis of the input, and marks what depends on it:
at first the pixel itself, in all channels and along all other axes. Node by node the marks are
handed on by *executing* the layer. Between layers nothing but the marks is kept, so nothing can
cancel, overflow or die out in a deep net. A layer is executed in one of four ways:

- *moved*, the general one: it gets ordinary positive values, and then the same with every marked
  element moved far up, and far down. What changes in the output depends on a marked element. (So a
  maximum is moved by each of its candidates, and a kink is no obstacle.)
- *element by element*: if, moved so, it hands on random marks as they are, it hands on any.
- a :class:`Movement` computes nothing, so it can be run on the marks themselves.
- ``STAND_INS``: with positive weights the output of a convolution, linear map or pool is positive just where
  some input is that it reads. So these are run on the marks as numbers, every weight 1, and
  channels that go together as one. (NumPy's sum of booleans is *or*, their product *and*.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np
from msgspec.structs import replace

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Ref
from cnncalc.layers import pool
from cnncalc.layers.base import Layer, Movement, Shape, Shapes
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.layers.linear import Linear
from cnncalc.reference import nest
from cnncalc.reference.array import Array, Mask
from cnncalc.reference.execution import draw_weights, last_uses
from cnncalc.reference.registry import Outputs, Weights, evaluate_layer

Seen = tuple[Mask, ...]
"""For each axis of a tensor, channels first, a matrix ``[units, pixels]``: whether any element at that
unit of that axis depends on that pixel of the input's axis."""
StandIn = TypeVar("StandIn", bound=Callable[..., Any])
Known = dict[tuple[Layer, Shapes], bool]

STAND_INS: dict[type[Layer], Callable[..., Mask]] = {}
"""For some layer classes the function ``(layer, marks) -> marks`` that does for a run of the layer itself."""

ELEMENTS = 1 << 25
"""How many marks the largest tensor may have at a time; more pixels go in several batches."""
ENOUGH = 200
"""Elements from which random marks tell for sure that a layer works element by element."""
MANY = 100_000
"""Elements from which a single draw of them does."""


def stands_in_for(*layer_classes: type[Layer]) -> Callable[[StandIn], StandIn]:
    """Register the decorated function as the stand-in of some layer classes."""

    def register(function: StandIn) -> StandIn:
        STAND_INS.update(dict.fromkeys(layer_classes, function))
        return function

    return register


def dependency(
    graph: Graph, axis: int, *, input: str | None = None, pixels: range | None = None, elements: int = ELEMENTS
) -> list[tuple[Seen, ...]]:
    """What every node's outputs see of one axis of an input, found by running the net.

    Args:
        graph: the net, with the input sizes at which to measure.
        axis: spatial axis of the input, from 0.
        input: name of the input; the first if not given.
        pixels: which pixels to try; all of the axis if not given. Matrices have a column for each.
        elements: bound on the marks of one tensor held at a time, each a byte.

    Returns:
        For each node and each of its outputs a :data:`Seen`: ``result[node][port][axis][unit, pixel]``.

    Raises:
        CnncalcError: there is no such input or axis.
    """
    names = list(graph.inputs)
    name = names[0] if input is None else input
    if name not in names:
        raise CnncalcError(f"error: the net has no input '{name}'; its inputs: {', '.join(names)}")
    shape = graph.inputs[name]
    if not 0 <= axis < len(shape) - 1:
        raise CnncalcError(f"error: input '{name}' has no spatial axis {axis}; it has {len(shape) - 1}")
    tried = range(shape[axis + 1]) if pixels is None else pixels
    step = max(1, elements // max(prod(shape) for node in graph.nodes for shape in node.output_shapes))
    known: Known = {}
    parts = [[*_spread(graph, name, axis, tried[start : start + step], known)] for start in range(0, len(tried), step)]
    return [
        tuple(
            tuple(np.concatenate([part[number][port][a] for part in parts], axis=1) for a in range(len(shape)))
            for port, shape in enumerate(node.output_shapes)
        )
        for number, node in enumerate(graph.nodes)
    ]


def spans(matrix: Mask) -> list[tuple[int, int] | None]:
    """First and last pixel (as columns of ``matrix``) that each unit sees; ``None`` where it sees nothing."""
    found = [np.flatnonzero(row) for row in matrix]
    return [(int(columns[0]), int(columns[-1])) if columns.size else None for columns in found]


def jumps(matrix: Mask) -> set[int]:
    """By how many pixels the field moves from unit to unit, over units whose fields meet neither end of the axis."""
    whole = [span if span and span[0] > 0 and span[1] < matrix.shape[1] - 1 else None for span in spans(matrix)]
    return {after[0] - before[0] for before, after in pairwise(whole) if before and after}


# -- from node to node -----------------------------------------------------------------------------


def _spread(graph: Graph, source: str, axis: int, pixels: range, known: Known) -> Iterator[tuple[Seen, ...]]:
    """What every node sees of a batch of pixels of one input's axis."""
    last = last_uses(graph)
    held: dict[Ref, Mask] = {}
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            marks: tuple[Mask, ...] = (input_marks(node.output_shape, axis, pixels, node.path == source),)
        else:
            marks = hand_on(node.layer, [held[ref] for ref in node.inputs], known)
        yield tuple(tuple(along_axis(mark, a) for a in range(1, mark.ndim)) for mark in marks)
        held.update({Ref(number, port): mark for port, mark in enumerate(marks)})
        for ref in {*node.inputs, *(Ref(number, port) for port in range(len(marks)))}:
            if last[ref.node] <= number:
                held.pop(ref, None)


def input_marks(shape: Shape, axis: int, pixels: range, is_source: bool) -> Mask:
    """Sample ``k`` marks pixel ``pixels[k]`` of the axis; nothing in the inputs that are not asked about."""
    marks = np.zeros((len(pixels), 1, *shape[1:]), bool)
    if is_source:
        along = np.moveaxis(marks, axis + 2, 1)
        along[np.arange(len(pixels)), list(pixels)] = True
    return np.broadcast_to(marks, (len(pixels), *shape))


def along_axis(marks: Mask, axis: int) -> Mask:
    """The marks of all elements at one unit of an axis as one, ``[units, pixels]``."""
    one = one_channel(marks)
    others = tuple(other for other in range(1, one.ndim) if other != axis)
    matrix = np.any(one, axis=others)
    return np.broadcast_to(matrix, (marks.shape[0], marks.shape[axis])).T


def one_channel(marks: Mask) -> Mask:
    """The first channel alone where all are known to be the same (that is, a view of one)."""
    return marks[:, :1] if marks.ndim > 1 and marks.strides[1] == 0 else marks


def same_channels(marks: Mask) -> Mask:
    """A view of one channel where all have the same marks, which most layers then take at a fraction of the cost."""
    if marks.ndim > 2 and marks.strides[1] != 0 and np.array_equal(marks, np.broadcast_to(marks[:, :1], marks.shape)):
        return np.broadcast_to(marks[:, :1].copy(), marks.shape)
    return marks


def hand_on(layer: Layer, marks: list[Mask], known: Known) -> tuple[Mask, ...]:
    """The marks of a layer's outputs, from those of its inputs."""
    shapes = tuple(mark.shape[1:] for mark in marks)
    stand_in = STAND_INS.get(type(layer))
    if stand_in is not None:
        return (same_channels(stand_in(layer, *marks)),)
    if isinstance(layer, Movement):
        found = outputs_of(evaluate_layer(layer, {}, *marks))
        empty = outputs_of(evaluate_layer(layer, {}, *(np.zeros((1, *shape), bool) for shape in shapes)))
        return tuple(
            same_channels(x != nothing) if nothing.any() else x for x, nothing in zip(found, empty, strict=True)
        )
    if (layer, shapes) not in known:
        known[layer, shapes] = is_element_by_element(layer, shapes)
    if known[layer, shapes]:
        return (united(marks),)
    return tuple(map(same_channels, moved(layer, draw_weights(layer, *shapes), *marks)))


def outputs_of(made: Outputs) -> tuple[Array, ...]:
    """One output or several, as a tuple."""
    return made if isinstance(made, tuple) else (made,)


# -- executing a layer -----------------------------------------------------------------------------


def moved(layer: Layer, weights: Weights, *marks: Mask, dtype: str = "float64") -> tuple[Mask, ...]:
    """Which output elements change as the marked input elements move far up or far down.

    Every element moves by another amount, so that a norm or softmax, which a common shift leaves as
    it is, changes too. One sample at a time: without running statistics the samples of a batch norm
    would see one another.
    """
    generator = np.random.default_rng(0)
    base = [(generator.random((1, *mark.shape[1:])) / 2 + 0.25).astype(dtype) for mark in marks]
    bump = [(1000 * (generator.random((1, *mark.shape[1:])) + 1)).astype(dtype) for mark in marks]

    def changed(sample: int) -> tuple[Mask, ...]:
        steps = [move * mark[sample] for mark, move in zip(marks, bump, strict=True)]
        up = outputs_of(evaluate_layer(layer, weights, *(x + step for x, step in zip(base, steps, strict=True))))
        down = outputs_of(evaluate_layer(layer, weights, *(x - step for x, step in zip(base, steps, strict=True))))
        return tuple(~(close(high, y) & close(low, y)) for y, high, low in zip(before, up, down, strict=True))

    # A power of a negative number is not a number, which is a change as good as any.
    with np.errstate(all="ignore"):
        before = outputs_of(evaluate_layer(layer, weights, *base))
        samples = [changed(sample) for sample in range(len(marks[0]))]
    return tuple(np.concatenate(port) for port in zip(*samples, strict=True))


def close(x: Array, y: Array) -> Mask:
    """Equal but for rounding."""
    same: Mask = (x == y) | (np.abs(x - y) <= 1e-9 * np.abs(y))
    return same


def united(marks: list[Mask]) -> Mask:
    """Marked in any of several tensors, those of size 1 broadcast along an axis."""
    if len(marks) == 1:
        return marks[0]
    shape = np.broadcast_shapes(*(mark.shape for mark in marks))
    either: Mask = np.any(np.stack(np.broadcast_arrays(*map(one_channel, marks))), axis=0)
    return np.broadcast_to(either, shape)


def is_element_by_element(layer: Layer, shapes: Shapes) -> bool:
    """Whether each output element depends on just the input elements in its own place, by trying random marks."""
    outs = layer.output_shapes(*shapes)
    if len({len(shape) for shape in shapes}) > 1 or len(outs) != 1 or prod(outs[0]) < ENOUGH:
        return False
    generator = np.random.default_rng(1)
    weights = draw_weights(layer, *shapes, dtype="float32")
    for share in (0.5, 0.02)[: 1 if prod(outs[0]) >= MANY else 2]:
        marks = [generator.random((1, *shape)) < share for shape in shapes]
        try:
            expected = united(marks)
        except ValueError:
            return False
        if expected.shape[1:] != outs[0] or not np.array_equal(
            moved(layer, weights, *marks, dtype="float32")[0], expected
        ):
            return False
    return True


# -- stand-ins -------------------------------------------------------------------------------------


def of_groups(marks: Mask, groups: int) -> tuple[Mask, int]:
    """One channel for each group, marked where any of the group's is; one for all where they are the same."""
    if one_channel(marks) is not marks:
        return marks[:, :1], 1
    grouped = marks.reshape(marks.shape[0], groups, marks.shape[1] // groups, *marks.shape[2:])
    either: Mask = np.any(grouped, axis=2)
    return either, groups


def for_channels(found: Mask, channels: int) -> Mask:
    """The marks of each group for all of its output channels."""
    if found.shape[1] == 1:
        return np.broadcast_to(found, (found.shape[0], channels, *found.shape[2:]))
    return np.repeat(found, channels // found.shape[1], axis=1)


@stands_in_for(Conv, ConvTranspose)
def conv_marks(layer: Conv | ConvTranspose, marks: Mask) -> Mask:
    """The convolution over the union of each group's channels, with weights 1."""
    x, groups = of_groups(marks, layer.groups)
    (one,) = replace(layer, out=groups, groups=groups, bias=False).equation(x.shape[1:])
    found = nest.evaluate(one, {0: x, "weight": np.ones(one.operands[1].shape, bool)})
    return for_channels(found, layer.out)


@stands_in_for(Linear)
def linear_marks(layer: Linear, marks: Mask) -> Mask:
    """Every output along the last axis sees all of it."""
    anything = np.any(marks, axis=-1, keepdims=True)
    return np.broadcast_to(anything, (*marks.shape[:-1], layer.out))


def distinct_channels(marks: Mask) -> tuple[Mask, list[int]]:
    """The channels with marks of their own, and for every channel which of them has its marks."""
    if one_channel(marks) is not marks:
        return marks[:, :1], [0] * marks.shape[1]
    first: dict[bytes, int] = {}
    which = [first.setdefault(np.packbits(marks[:, c]).tobytes(), len(first)) for c in range(marks.shape[1])]
    return marks[:, [which.index(number) for number in range(len(first))]], which


@stands_in_for(
    pool.MaxPool,
    pool.AvgPool,
    pool.LpPool,
    pool.AdaptiveAvgPool,
    pool.AdaptiveMaxPool,
    pool.GlobalAvgPool,
    pool.GlobalMaxPool,
)
def pool_marks(layer: Layer, marks: Mask) -> Mask:
    """The pool itself on 0 and 1: a mean, maximum or power mean of these is positive where any is."""
    some, which = distinct_channels(marks)
    found = outputs_of(evaluate_layer(layer, {}, some.astype(np.float32)))[0] > 0
    if found.shape[1] == 1:
        return np.broadcast_to(found, (*marks.shape[:2], *found.shape[2:]))
    return found[:, which]
