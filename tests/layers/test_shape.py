"""Layers that rearrange, cut or extend tensors, against PyTorch. PyTorch counts the batch as axis 0."""

from __future__ import annotations

from math import prod

import msgspec
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.base import EVERYTHING, SCATTERED, along
from cnncalc.layers.shape import (
    Crop,
    Flatten,
    Pad,
    Permute,
    Reshape,
    Roll,
    Slice,
    Split,
    Squeeze,
    Transpose,
    Unflatten,
    Unsqueeze,
)
from tests.layers.draws import mostly, per_axis, shapes
from tests.layers.oracle import agree, check_layer
from tests.layers.test_resample import nonempty

quick = settings(deadline=None, max_examples=60)

SIZES = st.sampled_from([1, 1, 2, 3, 4, 6])


def any_shapes(least=0):
    """Shapes with many ones among the sizes, of any rank."""
    return st.lists(SIZES, min_size=least + 1, max_size=4).map(tuple)


def axes_of(shape, more=0):
    """An axis of ``shape``, mostly."""
    rank = len(shape) + more
    return mostly(st.integers(-rank, rank - 1), rank, rank + 1)


def theirs(axis):
    """PyTorch's number of our axis."""
    return axis + 1 if axis >= 0 else axis


def check(layer, shape):
    """``check_layer``; a scalar has no axis along which the oracle could look at its reads."""
    return check_layer(layer, shape, reads=layer.output_shape(shape) != ())


def flat_pads(value, rank):
    """The raw field as PyTorch wants it."""
    return [end for pair in reversed(per_axis(value, rank)) for end in per_axis(pair, 2)]


@quick
@given(shapes(), st.sampled_from(["constant", "reflect", "replicate", "circular"]), st.data())
def test_pad(shape, mode, data):
    rank = len(shape) - 1
    end = st.integers(0, 4)
    pair = st.lists(end, min_size=2, max_size=2)
    padding = data.draw(st.one_of(end, st.lists(st.one_of(end, pair), min_size=rank, max_size=rank)))
    fields = {"padding": padding, "mode": mode, "value": data.draw(mostly(st.just(0.0), 1.5))}

    def pytorch(x):
        return F.pad(x, flat_pads(padding, rank), mode=mode, value=fields["value"])

    if agree(Pad, fields, shape, pytorch=pytorch):
        check_layer(msgspec.convert(fields, Pad), shape)


@pytest.mark.parametrize(("mode", "most"), [("reflect", 3), ("circular", 4)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_largest_pad(mode, most, rank):
    for padding in (most, most + 1):
        fields = {"padding": [[0, padding]] * rank, "mode": mode}
        out = agree(Pad, fields, (1, *[4] * rank), pytorch=lambda x, p=padding: F.pad(x, [0, p] * rank, mode=mode))
        assert (out is None) == (padding > most)


@quick
@given(shapes(), st.data())
def test_crop(shape, data):
    rank = len(shape) - 1
    end = st.integers(0, 4)
    pair = st.lists(end, min_size=2, max_size=2)
    cropping = data.draw(st.one_of(end, st.lists(st.one_of(end, pair), min_size=rank, max_size=rank)))
    pytorch = nonempty(lambda x: F.pad(x, [-end for end in flat_pads(cropping, rank)]))
    if agree(Crop, {"cropping": cropping}, shape, pytorch=pytorch):
        check_layer(msgspec.convert({"cropping": cropping}, Crop), shape)


@quick
@given(shapes(), st.data())
def test_centre_crop(shape, data):
    size = tuple(data.draw(st.integers(1, have)) for have in shape[1:])
    layer = Crop(size=size)
    module = check_layer(layer, shape)
    x = torch.arange(prod(shape)).reshape(1, *shape)
    want = x[
        (
            slice(None),
            slice(None),
            *(slice((h - s) // 2, (h - s) // 2 + s) for h, s in zip(shape[1:], size, strict=True)),
        )
    ]
    assert torch.equal(module(x), want)


@quick
@given(any_shapes(), st.data())
def test_slice(shape, data):
    axis = data.draw(axes_of(shape))
    place = st.integers(-8, 8)
    fields = {
        "axis": axis,
        "start": data.draw(place),
        "stop": data.draw(st.none() | place),
        "step": data.draw(mostly(st.integers(1, 3), 0, -1)),
    }

    def pytorch(x):
        index = [slice(None)] * x.dim()
        index[theirs(axis)] = slice(fields["start"], fields["stop"], fields["step"])
        return x[tuple(index)]

    if agree(Slice, fields, shape, pytorch=nonempty(pytorch)):
        check_layer(msgspec.convert(fields, Slice), shape)


@quick
@given(any_shapes(), st.data())
def test_split_in_chunks(shape, data):
    axis = data.draw(axes_of(shape))
    chunks = data.draw(mostly(st.integers(1, 6), 0, -1))

    def pytorch(x):
        parts = torch.chunk(x, chunks, theirs(axis))
        if len(parts) != chunks:
            raise ValueError("fewer chunks")
        return parts

    if agree(Split, {"chunks": chunks, "axis": axis}, shape, pytorch=pytorch):
        check_layer(Split(chunks=chunks, axis=axis), shape)


@quick
@given(any_shapes(), st.data())
def test_split_in_sizes(shape, data):
    axis = data.draw(axes_of(shape))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    if axis < len(shape):  # so that they often add up
        sizes.append(max(1, shape[axis] - sum(sizes)))
    fields = {"sizes": sizes, "axis": axis}
    if agree(Split, fields, shape, pytorch=lambda x: torch.split(x, sizes, theirs(axis))):
        check_layer(msgspec.convert(fields, Split), shape)


@quick
@given(any_shapes(), st.data())
def test_flatten(shape, data):
    start, end = data.draw(axes_of(shape)), data.draw(axes_of(shape))
    fields = {"start_axis": start, "end_axis": end}
    if agree(Flatten, fields, shape, pytorch=lambda x: nn.Flatten(theirs(start), theirs(end))(x)):
        check_layer(Flatten(start_axis=start, end_axis=end), shape)
    check_layer(Flatten(), shape)


@st.composite
def factors(draw, number):
    """Sizes that multiply to ``number``, mostly; some of them 1, one perhaps -1."""
    sizes = []
    while number > 1 and len(sizes) < 5:
        size = draw(st.sampled_from([d for d in range(1, number + 1) if number % d == 0]))
        sizes.append(size)
        number //= size
    sizes += draw(st.sampled_from([[], [1], [1, 1]])) if number == 1 else [number]
    for bad in draw(st.sampled_from([[], [], [], [-1], [-1], [-1, -1], [0], [5]])):
        if sizes:
            sizes[draw(st.integers(0, len(sizes) - 1))] = bad
    return sizes


@settings(deadline=None, max_examples=150)
@given(any_shapes(), st.data())
def test_reshape(shape, data):
    sizes = data.draw(factors(prod(shape)))
    if agree(Reshape, {"shape": sizes}, shape, pytorch=lambda x: x.reshape(x.shape[0], *sizes)):
        check(Reshape(shape=tuple(sizes)), shape)


@quick
@given(any_shapes(), st.data())
def test_unflatten(shape, data):
    axis = data.draw(axes_of(shape))
    sizes = data.draw(factors(shape[axis] if axis < len(shape) else 6))
    fields = {"axis": axis, "sizes": sizes}
    if agree(Unflatten, fields, shape, pytorch=lambda x: x.unflatten(theirs(axis), sizes)):
        check_layer(Unflatten(axis=axis, sizes=tuple(sizes)), shape)


@quick
@given(any_shapes(), st.data())
def test_permute(shape, data):
    rank = len(shape)
    order = data.draw(st.permutations(range(rank)))
    axes = [axis - rank if data.draw(st.booleans()) else axis for axis in order]
    if data.draw(mostly(st.just(False), True)):
        axes[data.draw(st.integers(0, rank - 1))] = data.draw(st.integers(-rank, rank))
    axes += data.draw(mostly(st.just([]), [0]))
    # PyTorch's -rank−1 would be the batch; -rank is our channels, and there the axis after the batch.
    if agree(Permute, {"axes": axes}, shape, pytorch=lambda x: x.permute(0, *map(theirs, axes))):
        check_layer(Permute(axes=tuple(axes)), shape)


@quick
@given(any_shapes(), st.data())
def test_transpose(shape, data):
    first, second = data.draw(axes_of(shape)), data.draw(axes_of(shape))
    fields = {"axis0": first, "axis1": second}
    if agree(Transpose, fields, shape, pytorch=lambda x: x.transpose(theirs(first), theirs(second))):
        check_layer(Transpose(axis0=first, axis1=second), shape)


@quick
@given(any_shapes(), st.data())
def test_squeeze(shape, data):
    check(Squeeze(), shape)
    axes = data.draw(st.lists(axes_of(shape), max_size=3))
    value = axes[0] if len(axes) == 1 and data.draw(st.booleans()) else axes
    dims = tuple(map(theirs, axes))
    if agree(Squeeze, {"axes": value}, shape, pytorch=lambda x: x.squeeze(dims)):
        check(Squeeze(axes=tuple(axes)), shape)


@quick
@given(any_shapes(), st.data())
def test_unsqueeze(shape, data):
    axis = data.draw(axes_of(shape, more=1))
    if agree(Unsqueeze, {"axis": axis}, shape, pytorch=lambda x: x.unsqueeze(theirs(axis))):
        check_layer(Unsqueeze(axis=axis), shape)


@pytest.mark.parametrize(
    ("layer", "shape", "reads"),
    [
        (Flatten(), (8, 1, 1), (along(0), EVERYTHING, EVERYTHING)),
        (Flatten(), (1, 1, 5), (EVERYTHING, EVERYTHING, along(0))),
        (Flatten(), (1, 6, 1), (EVERYTHING, along(0), EVERYTHING)),
        (Reshape(shape=(6, 5, 14)), (2, 3, 1, 5, 7, 2), (SCATTERED, SCATTERED, EVERYTHING, along(1), *[SCATTERED] * 2)),
        (Flatten(), (2, 3, 5), (SCATTERED,) * 3),
        (Flatten(start_axis=1), (2, 3, 5), (along(0), SCATTERED, SCATTERED)),
        (Unflatten(axis=0, sizes=(2, 3)), (6, 4), (SCATTERED, along(2))),
        (Unflatten(axis=0, sizes=(1, 6)), (6, 4), (along(1), along(2))),
        (Reshape(shape=(2, 15, 4)), (2, 3, 5, 4), (along(0), SCATTERED, SCATTERED, along(2))),
        (Reshape(shape=(6, 3)), (3, 6), (SCATTERED, SCATTERED)),
    ],
)
def test_which_axes_last(layer, shape, reads):
    """The oracle accepts SCATTERED for anything, so it must not be said where an axis can be followed."""
    assert layer.reads(shape) == (reads,)


@given(any_shapes(), st.data())
def test_split_reads_scatter_only_the_split_axis(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    wide = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    (reads,) = Split(sizes=(shape[axis], 1), axis=axis).reads(wide)
    assert [number for number, read in enumerate(reads) if read == SCATTERED] == [axis]
    (whole,) = Split(chunks=1, axis=axis).reads(shape)
    assert SCATTERED not in whole


@pytest.mark.parametrize(
    "layer", [Pad(padding=1), Crop(size=1), Slice(), Split(chunks=1), Flatten(), Permute(axes=(0, 1))]
)
def test_moving_costs_nothing(layer):
    assert layer.macs((4, 4)) == layer.elementwise_ops((4, 4)) == 0


@pytest.mark.parametrize("fields", [{"padding": -1}, {"padding": [[1, -1]]}])
def test_negative_pads_are_for_crop(fields):
    """PyTorch crops by them."""
    with pytest.raises(msgspec.ValidationError, match=">= 0"):
        msgspec.convert(fields, Pad)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Pad(padding=2, mode="reflect"), (3, 8, 2), "reflect padding 2 is too large for width 2"),
        (Pad(padding=1, mode="reflect", value=1.0), (3, 8), "value means nothing for reflect padding"),
        (Pad(padding=(1, 1)), (3, 8), "padding has 2 entries, the input has 1 spatial axis"),
        (Pad(padding=1, mode="reflect"), (3, 4, 4, 4, 4), "takes at most 3 spatial axes, the input 3×4×4×4×4 has 4"),
        (Crop(), (3, 8), "needs either size or cropping$"),
        (Crop(size=1, cropping=1), (3, 8), "needs either size or cropping, not both"),
        (Crop(size=9), (3, 8), "cannot crop length 8 to 9"),
        (Crop(cropping=(1, (4, 4))), (3, 8, 8), r"cropping 4 \+ 4 leaves nothing of width 8"),
        (Crop(cropping=(1, 1)), (3, 8), "cropping has 2 entries"),
        (Slice(start=8), (8, 4), "nothing of channels 8 lies from 8 to the end"),
        (Slice(start=2, stop=1, axis=1), (8, 4, 4), "nothing of height 4 lies from 2 to 1"),
        (Slice(axis=3), (8, 4, 4), "axis 3 is out of range for an input of 3 axes"),
        (Split(), (8, 4), "needs either chunks or sizes$"),
        (Split(chunks=2, sizes=(4, 4)), (8, 4), "needs either chunks or sizes, not both"),
        (Split(chunks=4), (5, 4), "cannot cut channels 5 into 4 chunks: chunks of 2 are only 3"),
        (Split(sizes=(1, 2), axis=-1), (5, 4), "sizes add up to 3, not to length 4"),
        (Flatten(start_axis=1, end_axis=0), (5, 4), "start_axis 1 comes after end_axis 0"),
        (Reshape(shape=(3, -1)), (5, 4), "20 elements do not make 3×\\?"),
        (Reshape(shape=(5, 2)), (5, 4), "20 elements do not make 5×2"),
        (Reshape(shape=(-1, -1)), (5, 4), "more than one -1"),
        (Reshape(shape=(0, -1)), (5, 4), "a size of 0 in shape"),
        (Unflatten(axis=0, sizes=()), (5, 4), "at least one size"),
        (Permute(axes=(0, 1)), (5, 4, 4), "axes names 2 axes, the input 5×4×4 has 3"),
        (Permute(axes=(0, 1, -2)), (5, 4, 4), "axis -2 occurs twice"),
    ],
)
def test_errors(layer, shape, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(shape)


def test_a_roll_needs_a_shift():
    with pytest.raises(LayerError, match="needs at least one shift"):
        Roll(shifts=(), axes=()).output_shape((2, 3))
    with pytest.raises(RuntimeError, match="`shifts` required"):
        torch.roll(torch.ones(1, 2, 3), ())
