"""Convolutions against PyTorch, and against enumerations of single multiply-accumulates."""

from __future__ import annotations

from itertools import product
from math import prod

import msgspec
import pytest
import torch.nn.functional as F
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.conv import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnncalc.torch import build_layer
from tests.layers.draws import mostly, one_or_each, per_axis, shapes
from tests.layers.oracle import agree, check_layer, check_rejected, draw, ours, prepare

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MODES = ("zeros", "reflect", "replicate", "circular")


def pytorch(modules, fields, shape):
    """The call of PyTorch with the raw fields."""
    names = {"out": "out_channels", "kernel": "kernel_size"}
    raw = {names.get(name, name): tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return lambda x: modules[len(shape) - 2](shape[0], **raw).double()(x)


def raw_fields(rank, padding, **more):
    """Fields of a convolution, a few of them such as PyTorch refuses."""
    too_many = [1] * (rank + 1)
    return st.fixed_dictionaries(
        {
            "out": mostly(st.sampled_from([2, 4, 6, 12]), 1, 3, -1),
            "kernel": mostly(one_or_each(st.integers(1, 4), rank), -1, too_many),
        },
        optional={
            "stride": mostly(one_or_each(st.integers(1, 3), rank), 0, -1, too_many),
            "padding": mostly(padding, -1, too_many),
            "dilation": mostly(one_or_each(st.integers(1, 3), rank), 0, -1, too_many),
            "groups": mostly(st.sampled_from([1, 2]), 0, 3, -1),
            "bias": st.booleans(),
            **more,
        },
    )


even_channels = shapes(channels=st.sampled_from([1, 2, 4, 6]))


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@given(st.data(), even_channels)
@example(None, (1, 2)).via("a kernel that only just does not fit")
def test_conv_takes_what_pytorch_takes(data, shape):
    rank = len(shape) - 1
    fields = {"out": 1, "kernel": 3}
    if data is not None:
        padding = st.one_of(one_or_each(st.integers(0, 3), rank), st.sampled_from(["same", "valid"]))
        fields = data.draw(raw_fields(rank, padding, padding_mode=mostly(st.sampled_from(MODES), "mirror")))
    if fields.get("padding") == "same":
        # PyTorch has no strided ``same``; ours is tested below.
        assume(set(per_axis(fields.get("stride", 1), rank)) == {1})
    agree(Conv, fields, shape, pytorch=pytorch(CONVS, fields, shape))


@given(st.data(), even_channels)
def test_conv_transpose_takes_what_pytorch_takes(data, shape):
    rank = len(shape) - 1
    more = mostly(one_or_each(st.integers(0, 3), rank), -1, [0] * (rank + 1))
    fields = data.draw(raw_fields(rank, one_or_each(st.integers(0, 4), rank), output_padding=more))
    agree(ConvTranspose, fields, shape, pytorch=pytorch(TRANSPOSED, fields, shape))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_every_small_window_as_pytorch_has_it(size):
    """All kernels, strides, paddings and dilations up to 3 on one axis; nothing is left to chance."""
    for kernel, stride, padding, dilation in product(range(1, 4), range(1, 4), range(4), range(1, 4)):
        fields = {"out": 1, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        agree(Conv, fields, (1, size), pytorch=pytorch(CONVS, fields, (1, size)))
        for more in range(4):
            fields["output_padding"] = more
            agree(ConvTranspose, fields, (1, size), pytorch=pytorch(TRANSPOSED, fields, (1, size)))


@st.composite
def convs(draw, modes=("zeros",)):
    """A convolution and an input that it takes."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    shape = draw(shapes(channels=st.integers(1, 2).map(lambda n: n * groups)))
    rank = len(shape) - 1
    end = st.integers(0, 3)
    ends = st.lists(st.lists(end, min_size=2, max_size=2), min_size=rank, max_size=rank)
    fields = {
        "out": groups * draw(st.integers(1, 2)),
        "kernel": draw(one_or_each(st.integers(1, 4), rank)),
        "stride": draw(one_or_each(st.integers(1, 4), rank)),
        "padding": draw(st.one_of(one_or_each(end, rank), ends, st.sampled_from(["same", "valid"]))),
        "dilation": draw(one_or_each(st.integers(1, 3), rank)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(modes)),
    }
    assume(not isinstance(ours(Conv, fields, shape), str))
    return msgspec.convert(fields, Conv), shape


@st.composite
def transposed_convs(draw):
    """A transposed convolution and an input that it takes."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    shape = draw(shapes(channels=st.integers(1, 2).map(lambda n: n * groups)))
    rank = len(shape) - 1
    end = st.integers(0, 3)
    ends = st.lists(st.lists(end, min_size=2, max_size=2), min_size=rank, max_size=rank)
    fields = {
        "out": groups * draw(st.integers(1, 2)),
        "kernel": draw(one_or_each(st.integers(1, 4), rank)),
        "stride": draw(one_or_each(st.integers(1, 4), rank)),
        "padding": draw(st.one_of(one_or_each(end, rank), ends)),
        "dilation": draw(one_or_each(st.integers(1, 3), rank)),
        "output_padding": draw(one_or_each(st.integers(0, 2), rank)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    assume(not isinstance(ours(ConvTranspose, fields, shape), str))
    return msgspec.convert(fields, ConvTranspose), shape


@given(convs(), st.integers(1, 3))
def test_conv(case, batch):
    layer, shape = case
    check_layer(layer, shape, batch=batch)


@given(convs(MODES[1:]))
def test_conv_whose_padding_repeats_the_input(case):
    layer, shape = case
    check_layer(layer, shape)


@given(transposed_convs(), st.integers(1, 3))
def test_conv_transpose(case, batch):
    layer, shape = case
    check_layer(layer, shape, batch=batch)


def same_pads(size, kernel, stride, dilation):
    """TensorFlow's rule, found by search: the fewest pixels that give ⌈size/stride⌉, the odd one after."""
    wanted = len(range(0, size, stride))
    total = 0
    while len(range(0, size + total - (kernel - 1) * dilation, stride)) < wanted:
        total += 1
    return total // 2, total - total // 2


def geometry(layer, sizes):
    """Size, kernel, stride, dilation and both pads for each axis, worked out without the package."""
    rank = len(sizes)
    kernels, strides, dilations = (per_axis(v, rank) for v in (layer.kernel, layer.stride, layer.dilation))
    if layer.padding == "same":
        pads = tuple(map(same_pads, sizes, kernels, strides, dilations))
    elif layer.padding == "valid":
        pads = ((0, 0),) * rank
    else:
        pads = tuple(per_axis(ends, 2) for ends in per_axis(layer.padding, rank))
    return tuple(zip(sizes, kernels, strides, dilations, pads, strict=True))


def channel_pairs(layer, channels):
    """Pairs of an input and an output channel that are in one group."""
    return sum(
        1
        for i, o in product(range(channels), range(layer.out))
        if i // (channels // layer.groups) == o // (layer.out // layer.groups)
    )


@given(convs())
def test_conv_macs_by_enumeration(case):
    """Every product of a weight and a pixel of the padded input, one by one along each axis."""
    layer, (channels, *sizes) = case
    products = [
        sum(k for start in range(-before, size + after, s) if start + (k - 1) * d < size + after)
        for size, k, s, d, (before, after) in geometry(layer, sizes)
    ]
    assert layer.macs((channels, *sizes)) == prod(products) * channel_pairs(layer, channels)


@given(transposed_convs())
def test_conv_transpose_macs_by_enumeration(case):
    """Every product of a weight and an input pixel, also where it falls into what padding cuts off."""
    layer, (channels, *sizes) = case
    products = [
        len([(i, k) for i in range(size) for k in range(kernel)]) for size, kernel, *_ in geometry(layer, sizes)
    ]
    assert layer.macs((channels, *sizes)) == prod(products) * channel_pairs(layer, channels)


@given(st.one_of(convs(), transposed_convs()))
def test_the_bias_is_one_addition_per_output_element(case):
    layer, shape = case
    module = build_layer(layer, shape)
    outputs = module(draw(shape, 1).float()).numel()
    assert layer.elementwise_ops(shape) == (0 if module.bias is None else outputs)


@given(convs())
def test_padding_lies_at_the_right_ends(case):
    """The values: PyTorch's functional on an input padded here, by the definition of each padding."""
    layer, shape = case
    module = prepare(build_layer(layer, shape))
    x = draw(shape, 2)
    ends = [end for *_, pads in reversed(geometry(layer, shape[1:])) for end in pads]
    rank = len(shape) - 1
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    stride, dilation = per_axis(layer.stride, rank), per_axis(layer.dilation, rank)
    expected = convolve(F.pad(x, ends), module.weight, module.bias, stride, 0, dilation, layer.groups)
    assert (module(x) - expected).abs().max() < 1e-9


@given(
    shapes(),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from(["same", 1, ((0, 1),)]),
    st.booleans(),
)
def test_short_forms_become_convolutions(shape, multiplier, kernel, stride, padding, bias):
    """Depthwise: one group per channel. Separable: the same and a 1×1, as PyTorch would have them."""
    padding = padding * (len(shape) - 1) if isinstance(padding, tuple) else padding
    common = {"kernel": kernel, "stride": stride, "padding": padding, "multiplier": multiplier, "bias": bias}
    separable = SeparableConv(out=3, **common)
    assume(all(size + 1 >= kernel for size in shape[1:]))
    (depthwise,) = DepthwiseConv(**common).expand(shape)
    assert separable.expand(shape)[0] == depthwise
    module = check_layer(depthwise, shape)
    assert (module.groups, module.out_channels) == (shape[0], shape[0] * multiplier)
    _, pointwise = separable.expand(shape)
    module = check_layer(pointwise, depthwise.output_shape(shape))
    assert set(module.kernel_size) == {1}
    assert (module.groups, module.out_channels, module.bias is not None) == (1, 3, bias)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv(out=4, kernel=7), (3, 4, 9), r"kernel 7 is larger than the padded input: height 4 \+ padding 0 \+ 0 = 4"),
        (Conv(out=4, kernel=3, dilation=3), (3, 9, 4), r"kernel 7 \(3 dilated by 3\) .* width 4"),
        (Conv(out=4, kernel=3, groups=2), (3, 9, 9), "groups 2 does not divide the 3 input channels"),
        (Conv(out=3, kernel=3, groups=2), (4, 9, 9), "groups 2 does not divide the 3 output channels"),
        (Conv(out=4, kernel=(3, 3, 3)), (3, 9, 9), "kernel has 3 values, the input has 2 spatial axes"),
        (Conv(out=4, kernel=3, padding=(1,)), (3, 9, 9), "padding has 1 entries, the input has 2 spatial axes"),
        (Conv(out=4, kernel=3), (3,), "needs an input with spatial axes, got 3"),
        (DepthwiseConv(kernel=3), (3,), "needs an input with spatial axes, got 3"),
        (Conv(out=4, kernel=3, padding=4, padding_mode="reflect"), (3, 4), "reflect padding 4 is too large"),
        (Conv(out=4, kernel=3, padding=5, padding_mode="circular"), (3, 4), "circular padding 5 .* length 4"),
        (ConvTranspose(out=4, kernel=3, output_padding=1), (3, 9), "output_padding 1 must be smaller than stride 1"),
        (ConvTranspose(out=4, kernel=1, padding=2), (3, 9, 4), r"padding 2 \+ 2 leaves no output along width \(0\)"),
    ],
)  # fmt: skip
def test_messages(layer, shape, message):
    with pytest.raises(LayerError, match=message):
        layer.expand(shape) if isinstance(layer, DepthwiseConv) else layer.output_shape(shape)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"out": 4, "kernel": 0}, r"Expected `int` >= 1 - at `\$.kernel`"),
        ({"out": 4, "kernel": 3, "stride": 0}, r"Expected `int` >= 1 - at `\$.stride`"),
        ({"out": 4, "kernel": 3, "padding": -1}, r"Expected `int` >= 0 - at `\$.padding`"),
        ({"out": 4}, "missing required field `kernel`"),
        ({"out": 4, "kernel": 3, "paddin": 1}, "unknown field `paddin`"),
    ],
)
def test_field_messages(fields, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(fields, Conv)


def test_both_refuse_output_padding_of_a_stride():
    fields = {"out": 4, "kernel": 3, "stride": 2, "output_padding": 2}
    message = check_rejected(ConvTranspose, fields, (3, 5), pytorch=pytorch(TRANSPOSED, fields, (3, 5)))
    assert message == "output_padding 2 must be smaller than stride 2 or dilation 1"
