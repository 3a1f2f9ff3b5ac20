"""What every unit of every feature map sees, measured by running the net: no recurrence, no ``reads``.

One sample of a batch stands for one pixel along one axis of the input, and marks what depends on it:
at first the pixel itself, in all channels and along all other axes. Node by node the marks are
handed on by *executing* the layer: it gets ordinary positive values, and then the same with every
marked unit moved far up, and far down. What changes in the output depends on the pixel and is
marked in its turn. Between layers nothing but the marks is kept, so nothing can cancel, overflow
or die out in a deep net, and a maximum is moved by each of its candidates.

The layers with all the arithmetic, convolutions and linear maps, are run more cheaply on the marks
themselves (``STAND_INS``): with positive weights a sum is positive just where one of its terms is,
and so the channels of a group may be one, and every weight 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Ref
from cnncalc.layers.base import Layer
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.layers.linear import Linear
from cnncalc.layers.norm import BatchNorm
from cnncalc.reference.array import Array, Mask
from cnncalc.reference.conv import conv, conv_transpose
from cnncalc.reference.execution import last_uses, node_weights
from cnncalc.reference.registry import Outputs, Weights, evaluate_layer

Seen = tuple[Mask, ...]
"""For each axis of a tensor, channels first, a matrix ``[units, pixels]``: whether any element at that
unit of that axis depends on that pixel of the input's axis."""
StandIn = TypeVar("StandIn", bound=Callable[..., Any])

STAND_INS: dict[type[Layer], Callable[..., Mask]] = {}
"""For some layer classes the function ``(layer, marks) -> marks`` that does for a run of the layer itself."""

ELEMENTS = 1 << 23
"""How many elements the marks of the largest tensor may have at a time; more pixels go in several batches."""


def stands_in_for(layer_class: type[Layer]) -> Callable[[StandIn], StandIn]:
    """Register the decorated function as the stand-in of ``layer_class``."""

    def register(function: StandIn) -> StandIn:
        STAND_INS[layer_class] = function
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
        elements: bound on the elements of a tensor's marks held at a time.

    Returns:
        For each node and each of its outputs a :data:`Seen`: ``result[node][port][axis][unit, pixel]``.

    Raises:
        CnncalcError: there is no such input or axis.
    """
    names = [node.path for node in graph.nodes if node.layer is None]
    name = names[0] if input is None else input
    if name not in names:
        raise CnncalcError(f"error: the net has no input '{name}'; its inputs: {', '.join(names)}")
    shape = graph.inputs[name]
    if not 0 <= axis < len(shape) - 1:
        raise CnncalcError(f"error: input '{name}' has no spatial axis {axis}; it has {len(shape) - 1}")
    tried = range(shape[axis + 1]) if pixels is None else pixels
    largest = max(prod(shape) for node in graph.nodes for shape in node.output_shapes)
    step = max(1, elements // largest)
    batches = [tried[start : start + step] for start in range(0, len(tried), step)]
    parts = [[*_spread(graph, names.index(name), axis, batch)] for batch in batches]
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
    """By how many pixels the first pixel seen moves from unit to unit, over the units that see not the first pixel.

    (What the others see is cut off at the border.)
    """
    firsts = [span[0] for span in spans(matrix) if span is not None and span[0] > 0]
    return {after - before for before, after in pairwise(firsts)}


def _spread(graph: Graph, source: int, axis: int, pixels: range) -> Iterator[tuple[Seen, ...]]:
    """What every node sees of a batch of pixels."""
    last = last_uses(graph)
    held: dict[Ref, Mask] = {}
    inputs = 0
    for number, node in enumerate(graph.nodes):
        if node.layer is None:
            marks: tuple[Mask, ...] = (np.zeros((len(pixels), *node.output_shape), bool),)
            if inputs == source:
                for sample, pixel in enumerate(pixels):
                    np.moveaxis(marks[0], axis + 2, 1)[sample, pixel] = True
            inputs += 1
        else:
            arguments = [held[ref] for ref in node.inputs]
            stand_in = STAND_INS.get(type(node.layer))
            if not any(argument.any() for argument in arguments):
                marks = tuple(np.zeros((len(pixels), *shape), bool) for shape in node.output_shapes)
            elif stand_in is not None:
                marks = (stand_in(node.layer, *arguments),)
            else:
                marks = moved(node.layer, node_weights(graph, number, None), *arguments)
        yield tuple(tuple(along_axis(mark, a) for a in range(1, mark.ndim)) for mark in marks)
        held.update({Ref(number, port): mark for port, mark in enumerate(marks)})
        for ref in {*node.inputs, *(Ref(number, port) for port in range(len(marks)))}:
            if last[ref.node] <= number:
                held.pop(ref, None)


def along_axis(marks: Mask, axis: int) -> Mask:
    """The marks of all elements at one unit of an axis as one, ``[units, pixels]``."""
    others = tuple(other for other in range(1, marks.ndim) if other != axis)
    matrix: Mask = np.any(marks, axis=others).T
    return matrix


def moved(layer: Layer, weights: Weights, *marks: Mask) -> tuple[Mask, ...]:
    """Which output elements change as the marked input elements move far up or far down.

    Every element moves by another amount, so that a norm or softmax, which a common shift leaves as
    it is, changes too.
    """
    generator = np.random.default_rng(0)
    shapes = [mark.shape[1:] for mark in marks]
    base = [generator.random((1, *shape)) / 2 + 0.25 for shape in shapes]
    bump = [1000 * (generator.random((1, *shape)) + 1) for shape in shapes]

    def outputs(inputs: list[Array]) -> tuple[Array, ...]:
        made: Outputs = evaluate_layer(layer, weights, *inputs)
        return made if isinstance(made, tuple) else (made,)

    # A power of a negative number is not a number, which is a change as good as any.
    with np.errstate(all="ignore"):
        before = outputs(base)
        up = outputs([x + mark * move for x, mark, move in zip(base, marks, bump, strict=True)])
        down = outputs([x - mark * move for x, mark, move in zip(base, marks, bump, strict=True)])
        return tuple(
            ~(_close(high, still) & _close(low, still)) for still, high, low in zip(before, up, down, strict=True)
        )


def _close(x: Array, y: Array) -> Mask:
    """Equal but for rounding, which another batch size can bring about."""
    close: Mask = (x == y) | (np.abs(x - y) <= 1e-9 * np.abs(y))
    return close


@stands_in_for(Conv)
def conv_marks(layer: Conv, marks: Mask) -> Mask:
    """The convolution over the union of each group's channels, with weights 1."""
    axes = layer.axes(marks.shape[1:])
    found = conv(
        _united(marks, layer.groups),
        np.ones((layer.groups, 1, *(axis.kernel for axis in axes))),
        stride=tuple(axis.stride for axis in axes),
        padding=tuple(axis.padding for axis in axes),
        dilation=tuple(axis.dilation for axis in axes),
        groups=layer.groups,
        mode=layer.padding_mode,
    )
    return np.repeat(found > 0.5, layer.out // layer.groups, axis=1)


@stands_in_for(ConvTranspose)
def conv_transpose_marks(layer: ConvTranspose, marks: Mask) -> Mask:
    """The transposed convolution over the union of each group's channels, with weights 1."""
    axes = layer.axes(marks.shape[1:])
    found = conv_transpose(
        _united(marks, layer.groups),
        np.ones((layer.groups, 1, *(axis.kernel for axis in axes))),
        stride=layer.stride,
        padding=layer.padding,
        output_padding=layer.output_padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    return np.repeat(found > 0.5, layer.out // layer.groups, axis=1)


@stands_in_for(Linear)
def linear_marks(layer: Linear, marks: Mask) -> Mask:
    """Every output of the last axis sees all of it."""
    return np.repeat(marks.any(axis=-1, keepdims=True), layer.out, axis=-1)


@stands_in_for(BatchNorm)
def batch_norm_marks(layer: BatchNorm, marks: Mask) -> Mask:
    """Sample by sample, as without running statistics those of a batch would see one another."""
    weights = {weight.name: np.ones(weight.shape) for weight in layer.weights(marks.shape[1:])}
    if layer.track_running_stats:
        return moved(layer, weights, marks)[0]
    return np.concatenate([moved(layer, weights, mark[None])[0] for mark in marks])


def _united(marks: Mask, groups: int) -> Array:
    """One channel for each group, marked where any of the group's is."""
    grouped = marks.reshape(marks.shape[0], groups, marks.shape[1] // groups, *marks.shape[2:])
    united: Array = np.any(grouped, axis=2).astype(np.float64)
    return united
