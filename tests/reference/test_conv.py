"""Convolutions: the equation letter by letter, the vectorised form, PyTorch's functions, and adjointness."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.reference import windows
from cnncalc.reference.conv import (
    bias_gradient,
    conv,
    conv_input_gradient,
    conv_plain,
    conv_transpose,
    conv_transpose_input_gradient,
    conv_transpose_plain,
    conv_transpose_weight_gradient,
    conv_weight_gradient,
    full_convolution,
)
from tests.reference.compare import assert_same, tensor
from tests.reference.draws import convs

CONV = (F.conv1d, F.conv2d, F.conv3d)
CONV_TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def arrays(layer, shape, batch, seed):
    """An input and the layer's weights, the bias ``None`` where there is none."""
    generator = np.random.default_rng(seed)
    drawn = [generator.normal(size=weight.shape) for weight in layer.weights(shape)]
    return generator.normal(size=(batch, *shape)), *drawn, *[None] * (2 - len(drawn))


def options(layer, shape):
    """The fields in NumPy's functions' terms."""
    axes = layer.axes(shape)
    found = {
        "stride": tuple(axis.stride for axis in axes),
        "padding": tuple(axis.padding for axis in axes),
        "dilation": tuple(axis.dilation for axis in axes),
        "groups": layer.groups,
    }
    if isinstance(layer, Conv):
        return {**found, "mode": layer.padding_mode}
    return {**found, "output_padding": layer.output_padding}


@settings(max_examples=80)
@given(convs(Conv), st.integers(1, 2), st.integers(0, 100))
def test_plain_and_vectorised_convolution(case, batch, seed):
    layer, (shape,) = case
    x, weight, bias = arrays(layer, shape, batch, seed)
    if np.prod(layer.output_shape(shape)) * weight.size > 20_000:
        return
    assert_same(conv(x, weight, bias, **options(layer, shape)), conv_plain(x, weight, bias, **options(layer, shape)))


@settings(max_examples=80)
@given(convs(ConvTranspose), st.integers(1, 2), st.integers(0, 100))
def test_plain_and_vectorised_transposed_convolution(case, batch, seed):
    layer, (shape,) = case
    x, weight, bias = arrays(layer, shape, batch, seed)
    if x.size * weight.size > 20_000:
        return
    given_ = options(layer, shape)
    assert_same(conv_transpose(x, weight, bias, **given_), conv_transpose_plain(x, weight, bias, **given_))


@st.composite
def symmetric(draw):
    """Rank, and fields as PyTorch's functions have them, with a size that takes the kernel."""
    rank = draw(st.integers(1, 3))
    each = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    fields = {"stride": draw(each), "dilation": draw(each), "groups": draw(st.integers(1, 3))}
    fields["padding"] = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    kernel = draw(each)
    sizes = tuple(
        max(1, (k - 1) * d + 1 - 2 * p) + draw(st.integers(0, 4))
        for k, d, p in zip(kernel, fields["dilation"], fields["padding"], strict=True)
    )
    return rank, fields, kernel, sizes


@settings(max_examples=60)
@given(symmetric(), st.integers(1, 3), st.integers(1, 2), st.integers(0, 100))
def test_functions_against_pytorchs(case, batch, width, seed):
    rank, fields, kernel, sizes = case
    generator = np.random.default_rng(seed)
    groups = fields["groups"]
    x = generator.normal(size=(batch, groups * width, *sizes))
    weight, bias = generator.normal(size=(groups * 2, width, *kernel)), generator.normal(size=groups * 2)
    leaves = [tensor(a) for a in (x, weight, bias)]
    theirs = CONV[rank - 1](*leaves, **fields)
    ours = conv(x, weight, bias, **fields)
    assert_same(ours, theirs)
    g = generator.normal(size=ours.shape)
    expected = torch.autograd.grad(theirs, leaves, torch.from_numpy(g))
    assert_same(conv_input_gradient(g, weight, sizes, **fields), expected[0])
    assert_same(conv_weight_gradient(g, x, kernel, **fields), expected[1])
    assert_same(bias_gradient(g), expected[2])


@settings(max_examples=60)
@given(symmetric(), st.integers(1, 3), st.integers(1, 2), st.integers(0, 100))
def test_transposed_functions_against_pytorchs(case, batch, width, seed):
    rank, fields, kernel, sizes = case
    generator = np.random.default_rng(seed)
    groups = fields["groups"]
    fields["padding"] = tuple(
        min(p, ((size - 1) * s + (k - 1) * d) // 2)
        for p, size, s, k, d in zip(fields["padding"], sizes, fields["stride"], kernel, fields["dilation"], strict=True)
    )
    x = generator.normal(size=(batch, groups * 2, *sizes))
    weight, bias = generator.normal(size=(groups * 2, width, *kernel)), generator.normal(size=groups * width)
    more = tuple(max(s, d) - 1 for s, d in zip(fields["stride"], fields["dilation"], strict=True))
    leaves = [tensor(a) for a in (x, weight, bias)]
    theirs = CONV_TRANSPOSE[rank - 1](*leaves, output_padding=more, **fields)
    ours = conv_transpose(x, weight, bias, output_padding=more, **fields)
    assert_same(ours, theirs)
    g = generator.normal(size=ours.shape)
    expected = torch.autograd.grad(theirs, leaves, torch.from_numpy(g))
    assert_same(conv_transpose_input_gradient(g, weight, sizes, **fields), expected[0])
    assert_same(conv_transpose_weight_gradient(g, x, kernel, **fields), expected[1])
    assert_same(bias_gradient(g), expected[2])


@settings(max_examples=60)
@given(convs(Conv), st.integers(0, 100))
def test_adjoint(case, seed):
    """``⟨y, g⟩ = ⟨x, Aᵀg⟩ = ⟨w, …⟩`` for ``y = A·x``: what makes the three functions one operation."""
    layer, (shape,) = case
    x, weight, _ = arrays(layer, shape, 2, seed)
    given_ = options(layer, shape)
    y = conv(x, weight, **given_)
    g = np.random.default_rng(seed + 1).normal(size=y.shape)
    product = (y * g).sum()
    assert np.isclose(product, (x * conv_input_gradient(g, weight, shape[1:], **given_)).sum())
    assert np.isclose(product, (weight * conv_weight_gradient(g, x, weight.shape[2:], **given_)).sum())


def test_the_example_of_the_book():
    """Goodfellow et al. 2016, figure 9.1: ``aw + bx + ey + fz`` and its neighbours."""
    x = np.arange(1.0, 13).reshape(1, 1, 3, 4)  # a … l
    w = np.array([[2.0, 3], [5, 7]]).reshape(1, 1, 2, 2)  # w x / y z
    a, b, e, f = 1, 2, 5, 6
    y = conv(x, w)
    assert y.shape == (1, 1, 2, 3)
    assert y[0, 0, 0, 0] == a * 2 + b * 3 + e * 5 + f * 7
    assert y[0, 0, 1, 2] == 7 * 2 + 8 * 3 + 11 * 5 + 12 * 7


def test_full_convolution_of_one_unit_is_the_kernel():
    w = np.arange(6.0).reshape(1, 1, 2, 3)
    assert np.array_equal(full_convolution(np.ones((1, 1, 1, 1)), w), w)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3),
    st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)
def test_unpad_is_the_adjoint_of_pad(axes, mode):
    if mode == "reflect":
        axes = [(size + 2, before, after) for size, before, after in axes]
    generator = np.random.default_rng(0)
    pads = tuple(pair for _, *pair in axes)
    x = generator.normal(size=(2, 3, *(size for size, _, _ in axes)))
    padded = windows.pad(x, pads, mode)
    g = generator.normal(size=padded.shape)
    assert np.isclose((padded * g).sum(), (x * windows.unpad(g, pads, mode)).sum())
