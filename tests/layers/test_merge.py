"""Layers of several inputs against PyTorch."""

from __future__ import annotations

from functools import reduce
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.layers.base import along, pointwise
from cnncalc.layers.merge import Add, Concat, Matmul, Maximum, Minimum, Multiply, Subtract
from tests.layers.draws import mostly
from tests.layers.oracle import agree, check_layer, check_reads
from tests.layers.test_reduce import Negated
from tests.layers.test_shape import axes_of, theirs

quick = settings(deadline=None, max_examples=80)

PYTORCH = {
    Add: torch.add,
    Subtract: torch.sub,
    Multiply: torch.mul,
    Maximum: torch.maximum,
    Minimum: torch.minimum,
}


@st.composite
def several(draw, least=2, most=4, change=1):
    """Shapes of the same rank, equal but for axes that became ``change``, and now and then another size."""
    first = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    shapes = []
    for _ in range(draw(st.integers(least, most))):
        shape = [change if draw(st.integers(0, 3)) == 0 else size for size in first]
        if draw(st.integers(0, 11)) == 0:
            shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(1, 4))
        shapes.append(tuple(shape))
    return shapes


@quick
@given(st.sampled_from(list(PYTORCH)), several())
def test_arithmetic(layer_class, shapes):
    if layer_class is Subtract:
        shapes = shapes[:2]
    if not agree(layer_class, {}, *shapes, pytorch=lambda *inputs: reduce(PYTORCH[layer_class], inputs)):
        return
    layer = layer_class()
    module = check_layer(layer, *shapes, reads=layer_class is not Minimum)
    if layer_class is Minimum:
        check_reads(layer, Negated(module), *shapes)
    # one operation each time that two tensors meet
    assert layer.elementwise_ops(*shapes) == prod(layer.output_shape(*shapes)) * len(shapes[1:])


@quick
@given(several(least=1), st.data())
def test_concat_takes_what_pytorch_takes(shapes, data):
    axis = data.draw(axes_of(shapes[0]))
    agree(Concat, {"axis": axis}, *shapes, pytorch=lambda *inputs: torch.cat(inputs, theirs(axis)))


@quick
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data()
)
def test_concat(shape, sizes, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shapes = []
    for size in sizes:
        shape[axis] = size
        shapes.append(tuple(shape))
    layer = Concat(axis=axis)
    check_layer(layer, *shapes)
    assert layer.output_shape(*shapes)[axis] == sum(sizes)
    assert layer.elementwise_ops(*shapes) == 0
    for some, reads in zip(shapes, layer.reads(*shapes), strict=True):
        others = [number for number in range(len(shape)) if number != axis % len(shape)]
        assert [reads[number] for number in others] == [pointwise(some)[number] for number in others]


@st.composite
def matrices(draw):
    """Two stacks of matrices that go together, mostly."""
    rows, inner, columns = (draw(st.integers(1, 4)) for _ in range(3))
    leading = draw(st.lists(st.integers(1, 3), max_size=2))
    first, second = ([draw(st.sampled_from([size, size, 1])) for size in leading] for _ in range(2))
    first += [rows, inner]
    second += [draw(mostly(st.just(inner), 1, inner + 1)), columns]
    if draw(st.integers(0, 11)) == 0:
        first[0] = draw(st.integers(1, 4))
    return tuple(first), tuple(second)


@quick
@given(matrices(), st.integers(1, 3))
def test_matmul(shapes, batch):
    out = agree(Matmul, {}, *shapes, pytorch=torch.matmul)
    if out:
        layer = Matmul()
        check_layer(layer, *shapes, batch=batch)
        assert layer.macs(*shapes) == prod(out[0]) * shapes[0][-1]  # a dot product for each output
        assert layer.elementwise_ops(*shapes) == 0
        assert layer.is_product


def test_conflict_names_axes_and_sizes():
    with pytest.raises(
        ShapeMismatchError,
        match=r"^cannot add 64×56×56 and 128×28×28: channels 64 and 128, height 56 and 28, width 56 and 28 differ$",
    ):
        Add().output_shape((64, 56, 56), (128, 28, 28))
    with pytest.raises(
        ShapeMismatchError, match=r"^cannot concatenate 8×5 and 8×6 along channels: length 5 and 6 differ$"
    ):
        Concat().output_shape((8, 5), (4, 5), (8, 6))


def test_conflict_shows_the_two_that_meet():
    """The third input differs from the second; the first is broadcast."""
    with pytest.raises(ShapeMismatchError, match="cannot multiply 3×4×4 and 3×5×4: height 4 and 5 differ"):
        Multiply().output_shape((3, 1, 1), (3, 4, 4), (3, 5, 4))


@pytest.mark.parametrize(
    ("first", "second", "hint"),
    [
        ((8, 4), (6, 4), "1×1 convolution"),
        ((8, 4), (8, 3), "strides and paddings"),
        ((8, 4), (6, 3), "different stages"),
        ((8, 4), (8,), "same number of axes"),
    ],
)
def test_hints(first, second, hint):
    with pytest.raises(ShapeMismatchError, match="cannot add") as raised:
        Add().output_shape(first, second)
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (Add(), [(3, 4), (3, 4, 4)], "cannot add 3×4 and 3×4×4: 2 and 3 axes"),
        (Subtract(), [(3, 4), (2, 4)], "cannot subtract 3×4 and 2×4: channels 3 and 2 differ"),
        (Concat(axis=2), [(3, 4), (3, 4)], "axis 2 is out of range"),
        (Concat(), [(3, 4), (3,)], "cannot concatenate 3×4 and 3: 2 and 1 axes"),
        (Matmul(), [(3,), (3,)], "needs matrices"),
        (Matmul(), [(2, 3), (2, 3)], "cannot multiply the matrices 2×3 and 2×3: rows of 3 and columns of 2 differ"),
        (Matmul(), [(2, 4, 5), (3, 5, 4)], "channels 2 and 3 differ"),
    ],
)
def test_errors(layer, shapes, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(*shapes)


def test_broadcast_reads_the_one_unit():
    """Squeeze-and-excitation: every pixel reads the one weight of its channel."""
    feature, weights = Multiply().reads((8, 5, 5), (8, 1, 1))
    assert feature == pointwise((8, 5, 5))
    assert weights[0] == along(0)
    assert [read.window.stride for read in weights[1:]] == [0, 0]
