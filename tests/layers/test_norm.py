"""Norms against PyTorch; their operations against a count of the formula run on numbers that count."""

from __future__ import annotations

from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RmsNorm
from cnncalc.torch import build_layer
from tests.layers.counting import operations, sqrt, total
from tests.layers.draws import shapes
from tests.layers.oracle import agree, check_layer, check_rejected, draw, prepare

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


@given(shapes(least_rank=0), st.booleans(), st.sampled_from([0.1, None]))
def test_batch_norm(shape, affine, momentum):
    layer = BatchNorm(affine=affine, momentum=momentum)
    check_layer(layer, shape)
    agree(
        BatchNorm,
        {"affine": affine},
        shape,
        pytorch=lambda x: BATCH_NORMS[len(shape) - 1](shape[0], affine=affine).double().eval()(x),
    )


@given(shapes(), st.booleans())
def test_batch_norm_without_running_statistics(shape, affine):
    """PyTorch then normalises by the batch's own, in evaluation too: all of space is read."""
    assume(prod(shape[1:]) > 1)
    check_layer(BatchNorm(track_running_stats=False, affine=affine), shape)


@given(shapes(least_rank=0), st.integers(1, 6), st.booleans())
def test_group_norm(shape, groups, affine):
    def pytorch(x):
        return nn.GroupNorm(groups, shape[0], affine=affine).double().eval()(x)

    # With one value per group PyTorch refuses a batch of one only.
    if agree(GroupNorm, {"groups": groups, "affine": affine}, shape, pytorch=pytorch, batch=1):
        check_layer(GroupNorm(groups=groups, affine=affine), shape)


@given(shapes(), st.booleans(), st.booleans())
def test_instance_norm(shape, affine, track):
    def pytorch(x):
        make = INSTANCE_NORMS[len(shape) - 2]
        return make(shape[0], affine=affine, track_running_stats=track).double().eval()(x)

    if agree(InstanceNorm, {"affine": affine, "track_running_stats": track}, shape, pytorch=pytorch):
        check_layer(InstanceNorm(affine=affine, track_running_stats=track), shape)


def axes_of(shape):
    """``None``, one axis, or some, as an input of this shape has them."""
    axis = st.integers(-len(shape), len(shape) - 1)
    return st.one_of(st.none(), axis, st.lists(axis, min_size=1, unique_by=lambda a: a % len(shape)).map(tuple))


@given(st.data(), shapes(least_rank=0), st.booleans(), st.booleans())
def test_layer_norm(data, shape, affine, bias):
    layer = LayerNorm(axes=data.draw(axes_of(shape)), elementwise_affine=affine, bias=bias)
    # A set of one value normalises to 0 whatever it is, so what was read does not show there.
    check_layer(layer, shape, reads=all(size > 1 for size in shape))


@given(st.data(), shapes(least_rank=0), st.booleans())
def test_rms_norm(data, shape, affine):
    layer = RmsNorm(axes=data.draw(axes_of(shape)), elementwise_affine=affine)
    check_layer(layer, shape, reads=all(size > 1 for size in shape))


@given(shapes(least_rank=0), st.data())
def test_norms_over_the_last_axes_are_pytorchs(shape, data):
    """``normalized_shape`` counts from the end; ours names the axes. The values agree."""
    last = data.draw(st.integers(1, len(shape)))
    x = draw(shape, 2)
    axes = tuple(range(-last, 0))
    ours = prepare(build_layer(LayerNorm(axes=axes, elementwise_affine=False), shape))(x)
    torch.testing.assert_close(ours, F.layer_norm(x, shape[-last:]))
    ours = prepare(build_layer(RmsNorm(axes=axes, elementwise_affine=False), shape))(x)
    torch.testing.assert_close(ours, F.rms_norm(x, shape[-last:]))


@given(st.data(), shapes(least_rank=0))
def test_layer_norm_over_any_axes_by_the_definition(data, shape):
    axes = data.draw(axes_of(shape))
    layer = LayerNorm(axes=axes)
    module = prepare(build_layer(layer, shape))
    x = draw(shape, 2)
    chosen = sorted(
        {a % len(shape) for a in (range(len(shape)) if axes is None else [axes] if isinstance(axes, int) else axes)}
    )
    dims = [a + 1 for a in chosen]
    over = [shape[a] if a in chosen else 1 for a in range(len(shape))]
    normal = (x - x.mean(dims, keepdim=True)) / (x.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = normal * module.weight.reshape(over) + module.bias.reshape(over)
    torch.testing.assert_close(module(x), expected)


def test_layer_norm_over_channels_is_convnexts():
    """ConvNeXt permutes to channels last, normalises, and permutes back; its weights are one per channel."""
    shape = (6, 5, 4)
    module = check_layer(LayerNorm(axes=(0,)), shape)
    assert module.weight.shape == (6,)
    x = draw(shape, 2)
    expected = F.layer_norm(x.permute(0, 2, 3, 1), (6,), module.weight, module.bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(module(x), expected)


@given(shapes(), st.integers(1, 7))
@example((1, 1, 1), 7)
def test_local_response_norm(shape, size):
    check_layer(LocalResponseNorm(size=size), shape)
    agree(LocalResponseNorm, {"size": size}, shape, pytorch=lambda x: nn.LocalResponseNorm(size)(x))


def test_both_refuse_a_local_response_norm_without_space():
    message = check_rejected(LocalResponseNorm, {"size": 3}, (4,), pytorch=nn.LocalResponseNorm(3))
    assert message == "needs an input with spatial axes, got 4"


def normalise(values, affine=False, bias=False):
    """Mean, variance, and each value brought to mean 0 and variance 1: the formula as it stands."""
    mean = total(values) / len(values)
    differences = [x - mean for x in values]
    variance = total([d * d for d in differences]) / len(values)
    factor = 1 / sqrt(variance + 1e-5)
    scaled = [d * factor for d in differences]
    scaled = [x * 1.5 for x in scaled] if affine else scaled
    return [x + 0.5 for x in scaled] if bias else scaled


def root_mean_square(values, affine=False):
    factor = 1 / sqrt(total([x * x for x in values]) / len(values) + 1e-5)
    scaled = [x * factor for x in values]
    return [x * 1.5 for x in scaled] if affine else scaled


def test_the_counted_formulas_are_the_norms():
    """What is counted below gives PyTorch's values."""
    values = [0.5, -1.0, 2.0, 0.25]
    x = torch.tensor([values], dtype=torch.float64)
    torch.testing.assert_close(operations(normalise, values)[1], F.layer_norm(x, (4,))[0].tolist())
    torch.testing.assert_close(operations(root_mean_square, values)[1], F.rms_norm(x, (4,), eps=1e-5)[0].tolist())


@given(shapes(), st.booleans(), st.booleans())
def test_operations_by_counting(shape, affine, bias):
    channels, pixels = shape[0], prod(shape[1:])

    def count(size, **fields):
        return operations(lambda values: normalise(values, **fields), [float(i) for i in range(size)])[0]

    both = {"affine": affine, "bias": affine}
    layer = LayerNorm(elementwise_affine=affine, bias=bias)
    assert layer.elementwise_ops(shape) == count(prod(shape), affine=affine, bias=affine and bias)
    assert LayerNorm(axes=0).elementwise_ops(shape) == pixels * count(channels, affine=True, bias=True)
    rms = operations(lambda v: root_mean_square(v, affine), [float(i) for i in range(prod(shape))])[0]
    assert RmsNorm(elementwise_affine=affine).elementwise_ops(shape) == rms
    for groups in (g for g in range(1, channels + 1) if channels % g == 0):
        expected = groups * count(prod(shape) // groups, **both)
        assert GroupNorm(groups=groups, affine=affine).elementwise_ops(shape) == expected
    assert InstanceNorm(affine=affine).elementwise_ops(shape) == channels * count(pixels, **both)
    without = BatchNorm(track_running_stats=False, affine=affine)
    assert without.elementwise_ops(shape) == channels * count(pixels, **both)


@given(shapes(least_rank=0))
def test_batch_norm_is_a_folded_scale_and_shift(shape):
    """2 per element, and two numbers per channel are enough: the oracle computes it so."""
    module = prepare(build_layer(BatchNorm(), shape))
    module.running_mean.copy_(draw(shape[:1], 1)[0])
    x = draw(shape, 2)
    per_channel = (-1, *(1 for _ in shape[1:]))
    scale = module.weight / (module.running_var + module.eps).sqrt()
    shift = module.bias - module.running_mean * scale
    torch.testing.assert_close(module(x), x * scale.reshape(per_channel) + shift.reshape(per_channel))
    count, _ = operations(lambda values: [v * 2 + 1 for v in values], [1.0] * prod(shape))
    assert BatchNorm().elementwise_ops(shape) == BatchNorm(affine=False).elementwise_ops(shape) == count
    if len(shape) > 1:
        assert InstanceNorm(track_running_stats=True).elementwise_ops(shape) == count


@pytest.mark.parametrize("size", [1, 2, 5])
def test_operations_of_local_response_norm(size):
    def of_first(values):
        """The first of a full neighbourhood; each element's square is counted once, at its own place."""
        first, *others = values
        squares = [first * first, *(other.value**2 for other in others)]
        return [first / (total(squares) * (1e-4 / size) + 1.0) ** 0.75]

    count, _ = operations(of_first, [1.0] * size)
    shape = (6, 3, 2)
    assert LocalResponseNorm(size=size).elementwise_ops(shape) == count * prod(shape)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (GroupNorm(groups=4), (6, 2, 2), "groups 4 does not divide the 6 channels"),
        (GroupNorm(groups=6), (6, 1, 1), "each group holds a single value"),
        (InstanceNorm(), (6, 1, 1), "each channel holds a single value"),
        (InstanceNorm(), (6,), "needs an input with spatial axes, got 6"),
        (LayerNorm(axes=3), (6, 2, 2), "axis 3 is out of range for an input of 3 axes"),
        (LayerNorm(axes=(0, -3)), (6, 2, 2), r"axes \[0, -3\] must name each axis once"),
        (RmsNorm(axes=()), (6, 2, 2), "axes must name at least one axis"),
    ],
)
def test_messages(layer, shape, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(shape)
