"""Pools against PyTorch, and against loops over single windows where padding is of our own kind."""

from __future__ import annotations

from itertools import product
from math import prod

import msgspec
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.base import EVERYTHING
from cnncalc.layers.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    LpPool,
    MaxPool,
)
from cnncalc.torch import build_layer
from tests.layers.draws import mostly, one_or_each, per_axis, shapes
from tests.layers.oracle import agree, check_layer, check_rejected, draw, ours, prepare

MODULES = {
    MaxPool: (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    AvgPool: (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    LpPool: (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d),
    AdaptiveAvgPool: (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    AdaptiveMaxPool: (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
}


def pytorch(layer_class, fields, shape):
    """The call of PyTorch with the raw fields."""
    raw = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    if "kernel" in raw:
        raw["kernel_size"] = raw.pop("kernel")
    if layer_class is LpPool and len(shape) == 2:  # LPPool1d takes bare numbers alone; our lists of one mean the same
        raw = {name: v[0] if isinstance(v, tuple) else v for name, v in raw.items()}
    return lambda x: MODULES[layer_class][len(shape) - 2](**raw)(x)


@st.composite
def raw_pools(draw, layer_class, rank):
    """Fields of a sliding pool, a few of them such as PyTorch refuses."""
    fields = {"kernel": mostly(one_or_each(st.integers(1, 4), rank), 0, -1)}
    optional = {
        "stride": mostly(one_or_each(st.integers(1, 4), rank), 0, -1),
        "ceil_mode": st.booleans(),
    }
    if layer_class is MaxPool:
        optional["dilation"] = mostly(one_or_each(st.integers(1, 3), rank), 0, -1)
    if layer_class is AvgPool:
        optional["count_include_pad"] = st.booleans()
        optional["divisor_override"] = st.sampled_from([0, 1, 3])
    if layer_class is LpPool:
        fields["norm_type"] = mostly(st.sampled_from([1, 2, 3.5]), 0)
    else:
        optional["padding"] = mostly(one_or_each(st.integers(0, 3), rank), -1)
    return draw(st.fixed_dictionaries(fields, optional=optional))


@pytest.mark.parametrize("layer_class", [MaxPool, AvgPool, LpPool])
@given(data=st.data(), shape=shapes())
def test_pool_takes_what_pytorch_takes(layer_class, data, shape):
    fields = data.draw(raw_pools(layer_class, len(shape) - 1))
    agree(layer_class, fields, shape, pytorch=pytorch(layer_class, fields, shape))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_every_small_window_as_pytorch_has_it(size, ceil_mode):
    """All kernels, strides, paddings and dilations up to 4; nothing is left to chance."""
    for kernel, stride, padding, dilation in product(range(1, 5), range(1, 5), range(4), range(1, 4)):
        fields = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        if dilation == 1:
            agree(AvgPool, fields, (1, size, 9), pytorch=pytorch(AvgPool, fields, (1, size, 9)))
        fields["dilation"] = dilation
        agree(MaxPool, fields, (1, size, 30), pytorch=pytorch(MaxPool, fields, (1, size, 30)))


@st.composite
def pools(draw, layer_class):
    """A sliding pool, with every kind of padding, and an input that it takes."""
    shape = draw(shapes())
    rank = len(shape) - 1
    fields = draw(raw_pools(layer_class, rank))
    if layer_class is not LpPool:
        end = st.integers(0, 2)
        ends = st.lists(st.lists(end, min_size=2, max_size=2), min_size=rank, max_size=rank)
        fields["padding"] = draw(st.one_of(one_or_each(end, rank), ends, st.sampled_from(["same", "valid"])))
    assume(not isinstance(ours(layer_class, fields, shape), str))
    return msgspec.convert(fields, layer_class), shape


@pytest.mark.parametrize("layer_class", [MaxPool, AvgPool, LpPool])
@given(data=st.data(), batch=st.integers(1, 3))
def test_pool(layer_class, data, batch):
    layer, shape = data.draw(pools(layer_class))
    check_layer(layer, shape, batch=batch)


def windows(layer, size, axis, rank):
    """For each output unit along one axis the positions it reads, by the definition of pooling.

    A window every ``stride`` while it fits into the padded input; with ``ceil_mode`` also one that
    sticks out, if it starts before the input's end. Padding is ``"pad"``, beyond it is ``None``.
    """
    kernel, dilation = (per_axis(v, rank)[axis] for v in (layer.kernel, getattr(layer, "dilation", 1)))
    stride = kernel if layer.stride is None else per_axis(layer.stride, rank)[axis]
    if layer.padding == "same":
        total = max((len(range(0, size, stride)) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        before, after = total // 2, total - total // 2
    elif layer.padding == "valid":
        before = after = 0
    else:
        before, after = per_axis(per_axis(layer.padding, rank)[axis], 2)
    padded = ["pad"] * before + list(range(size)) + ["pad"] * after
    found = []
    last = dilation * (kernel - 1)  # from a window's first position to its last
    for start in range(0, len(padded), stride):
        # PyTorch's ceil_mode adds a window only where the one before leaves something behind it.
        may_stick_out = layer.ceil_mode and start < before + size and start - stride + last + 1 < len(padded)
        if start + last >= len(padded) and not may_stick_out:
            break
        positions = [start + dilation * k for k in range(kernel)]
        found.append([padded[p] if p < len(padded) else None for p in positions])
    return found


def check_values(layer, shape):
    """Every output, from the pixels of its window one by one."""
    rank = len(shape) - 1
    x = draw(shape, 1)
    x = -x if isinstance(layer, MaxPool) else x - 1  # all negative, so that a padding of 0 would win a maximum
    out = prepare(build_layer(layer, shape))(x)[0]
    along = [windows(layer, size, axis, rank) for axis, size in enumerate(shape[1:])]
    assert out.shape == (shape[0], *map(len, along))
    for unit in product(*(range(len(w)) for w in along)):
        taps = list(product(*(w[i] for w, i in zip(along, unit, strict=True))))
        inside = [tap for tap in taps if all(isinstance(p, int) for p in tap)]
        values = [x[0][(slice(None), *tap)] for tap in inside] or [torch.full((shape[0],), -torch.inf)]
        if isinstance(layer, MaxPool):
            expected = torch.stack(values).amax(0)
        else:
            in_padded = sum(None not in tap for tap in taps)
            divisor = layer.divisor_override or (in_padded if layer.count_include_pad else len(inside))
            expected = sum(values) / divisor
        assert torch.allclose(out[(slice(None), *unit)], expected.to(out.dtype))


@pytest.mark.parametrize("layer_class", [MaxPool, AvgPool])
@given(data=st.data())
def test_values_by_the_definition(layer_class, data):
    """Where padding is ``same`` or uneven PyTorch has no such pool; here is what it has to give."""
    layer, shape = data.draw(pools(layer_class))
    assume(prod(layer.output_shape(shape)) < 200)
    check_values(layer, shape)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_values_of_every_small_window_with_uneven_padding(size, ceil_mode):
    for kernel, stride in product(range(1, 5), range(1, 5)):
        for pads in product(range(kernel // 2 + 1), repeat=2):
            fields = {"kernel": kernel, "stride": stride, "padding": (pads,), "ceil_mode": ceil_mode}
            for layer in (MaxPool(**fields), AvgPool(**fields), AvgPool(**fields, count_include_pad=False)):
                if not isinstance(ours(type(layer), msgspec.to_builtins(layer), (1, size)), str):
                    check_values(layer, (1, size))


@given(st.data(), shapes())
def test_adaptive_pool_takes_what_pytorch_takes(data, shape):
    rank = len(shape) - 1
    # PyTorch takes None for an axis, but not for the only one.
    entry = st.integers(1, 7) if rank == 1 else st.one_of(st.integers(1, 7), st.none())
    value = data.draw(mostly(st.one_of(st.integers(1, 7), st.lists(entry, min_size=rank, max_size=rank)), -1, [1] * 4))
    fields = {"output_size": value}
    agree(AdaptiveAvgPool, fields, shape, pytorch=pytorch(AdaptiveAvgPool, fields, shape))
    agree(AdaptiveMaxPool, fields, shape, pytorch=pytorch(AdaptiveMaxPool, fields, shape))


@pytest.mark.parametrize("layer_class", [AdaptiveAvgPool, AdaptiveMaxPool])
@given(data=st.data(), shape=shapes(), batch=st.integers(1, 3))
def test_adaptive_pool(layer_class, data, shape, batch):
    rank = len(shape) - 1
    size = data.draw(one_or_each(st.one_of(st.integers(1, 7), st.none()), rank))
    check_layer(layer_class(output_size=tuple(size) if isinstance(size, list) else size), shape, batch=batch)


@pytest.mark.parametrize("layer", [AdaptiveAvgPool(output_size=(1, 3)), AdaptiveMaxPool(output_size=(1, None))])
def test_an_adaptive_pool_to_size_one_is_global_along_that_axis(layer):
    ((_, height, width),) = layer.reads((4, 6, 5))
    assert height == EVERYTHING
    assert width.axis == 2


@pytest.mark.parametrize("layer", [GlobalAvgPool(), GlobalMaxPool()])
@given(shape=shapes(), batch=st.integers(1, 3))
def test_global_pool(layer, shape, batch):
    check_layer(layer, shape, batch=batch)


@given(shapes(), st.data())
def test_operations_by_enumeration(shape, data):
    """No counter of PyTorch sees these; each output's inputs are listed and its operations counted."""
    rank = len(shape) - 1
    channels, sizes = shape[0], shape[1:]
    out = tuple(data.draw(st.integers(1, 7)) for _ in range(rank))
    # The windows of an adaptive pool: unit i of o reads the pixels that its i-th share of the axis touches.
    touched = [
        [[p for p in range(h) if p * o < (i + 1) * h and (p + 1) * o > i * h] for i in range(o)]
        for h, o in zip(sizes, out, strict=True)
    ]
    mean_ops = max_ops = 0
    for unit in product(*touched):
        n = prod(map(len, unit))
        mean_ops += channels * ((n - 1) + 1)
        max_ops += channels * (n - 1)
    assert AdaptiveAvgPool(output_size=out).elementwise_ops(shape) == mean_ops
    assert AdaptiveMaxPool(output_size=out).elementwise_ops(shape) == max_ops
    pixels = prod(sizes)
    assert GlobalAvgPool().elementwise_ops(shape) == channels * ((pixels - 1) + 1)
    assert GlobalMaxPool().elementwise_ops(shape) == channels * (pixels - 1)


@pytest.mark.parametrize(
    ("layer", "per_output"),
    [
        (MaxPool(kernel=3), 8),  # 9 values: 8 comparisons
        (MaxPool(kernel=(2, 3), dilation=2), 5),
        (AvgPool(kernel=3), 9),  # 8 additions, 1 division
        (AvgPool(kernel=(1, 4)), 4),
        (LpPool(norm_type=2, kernel=2), 8),  # 4 powers, 3 additions, 1 root
    ],
)
def test_operations_of_a_sliding_pool(layer, per_output):
    shape = (5, 12, 13)
    assert layer.elementwise_ops(shape) == per_output * prod(layer.output_shape(shape))


@pytest.mark.parametrize("layer_class", [MaxPool, AvgPool])
def test_both_refuse_a_pad_of_more_than_half_the_kernel(layer_class):
    fields = {"kernel": 3, "padding": 2}
    message = check_rejected(layer_class, fields, (1, 9, 9), pytorch=pytorch(layer_class, fields, (1, 9, 9)))
    assert message == "padding 2 is more than half of the kernel 3 along height"


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MaxPool(kernel=7), (3, 4, 9), r"kernel 7 is larger than the padded input: height 4 \+ padding 0 \+ 0 = 4"),
        (MaxPool(kernel=9, stride=2, ceil_mode=True), (3, 4), "kernel 9 is larger than the padded input"),
        (MaxPool(kernel=3, padding=((0, 2),)), (3, 9), "padding 2 is more than half of the kernel 3 along length"),
        (MaxPool(kernel=2), (3,), "needs an input with spatial axes, got 3"),
        (AvgPool(kernel=3, padding=1), (3, 4, 2, 4), "kernel 3 is larger than the input: height 2"),
        (AvgPool(kernel=2, divisor_override=0), (3, 4, 4), "divisor_override must not be zero"),
        (AvgPool(kernel=2, divisor_override=3), (3, 4), "avg_pool over one spatial axis has no divisor_override"),
        (AvgPool(kernel=(2, 2)), (3, 4), "kernel has 2 values, the input has 1 spatial axis"),
        (AdaptiveAvgPool(output_size=(2, 2)), (3, 4), "output_size has 2 values, the input has 1 spatial axis"),
        (GlobalAvgPool(), (3,), "needs an input with spatial axes, got 3"),
    ],
)
def test_messages(layer, shape, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(shape)
