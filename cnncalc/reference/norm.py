"""Normalisation, in inference and (for the batch norm) in training, with the gradients.

All but the local response norm bring sets of elements to zero mean and unit variance; they differ
in which elements make a set. The variance is the biased one, ``σ² = (1/m)·Σ (x − μ)²``.

Sources: Ioffe & Szegedy 2015 (batch, arXiv:1502.03167); Ba, Kiros & Hinton 2016 (layer,
arXiv:1607.06450); Wu & He 2018 (group, arXiv:1803.08494); Ulyanov, Vedaldi & Lempitsky 2016
(instance, arXiv:1607.08022); Zhang & Sennrich 2019 (rms, arXiv:1910.07467); Krizhevsky, Sutskever &
Hinton 2012, §3.3 (local response).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnncalc.layers.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    normalised_axes,
)
from cnncalc.reference.array import Array, per_channel, spatial_axes
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates

Axes = tuple[int, ...]


def normalise(x: Array, axes: Axes, eps: float) -> Array:
    """``x̂ = (x − μ)/√(σ² + ε)`` with mean and variance over ``axes``."""
    centred = x - x.mean(axis=axes, keepdims=True)
    normal: Array = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    return normal


def normalise_gradient(gradient: Array, x: Array, axes: Axes, eps: float) -> Array:
    """``∂L/∂x = (g − mean(g) − x̂·mean(g·x̂))/√(σ² + ε)``, as mean and variance depend on ``x`` too."""
    normal = normalise(x, axes, eps)
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    mean = gradient.mean(axis=axes, keepdims=True)
    found: Array = (gradient - mean - normal * (gradient * normal).mean(axis=axes, keepdims=True)) / deviation
    return found


def scale_and_shift(x: Array, weight: Array | None, bias: Array | None) -> Array:
    """``γ·x + β`` with one factor and summand per channel, each where there is one."""
    if weight is not None:
        x = x * per_channel(weight, x)
    return x if bias is None else x + per_channel(bias, x)


def batch_norm(
    x: Array, mean: Array, variance: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """Inference: ``y = γ_c·(x − μ_c)/√(σ²_c + ε) + β_c`` with the running mean and variance, ``(C,)`` each."""
    normal = (x - per_channel(mean, x)) / np.sqrt(per_channel(variance, x) + eps)
    return scale_and_shift(normal, weight, bias)


class BatchNormTraining(NamedTuple):
    """Output of a batch norm in training, and the running statistics after it."""

    output: Array
    running_mean: Array
    running_var: Array


def batch_norm_training(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> BatchNormTraining:
    """Training: ``y = γ_c·x̂ + β_c``, normalised over batch and space; ``m`` elements per channel.

    The running statistics move to the batch's by ``r ← (1 − momentum)·r + momentum·batch``, the
    variance by its unbiased estimate ``σ²·m/(m − 1)``.
    """
    axes = (0, *spatial_axes(x))
    count = x.size // x.shape[1]
    new_mean = (1 - momentum) * running_mean + momentum * x.mean(axis=axes)
    new_var = (1 - momentum) * running_var + momentum * x.var(axis=axes) * count / (count - 1)
    return BatchNormTraining(scale_and_shift(normalise(x, axes, eps), weight, bias), new_mean, new_var)


def layer_norm(
    x: Array, axes: Axes, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """``y = γ·x̂ + β``, normalised over ``axes`` of each sample; ``γ`` and ``β`` have the sizes of those axes."""
    normal = normalise(x, axes, eps)
    if weight is not None:
        normal = normal * over_axes(weight, axes, x.ndim)
    return normal if bias is None else normal + over_axes(bias, axes, x.ndim)


def over_axes(values: Array, axes: Axes, rank: int) -> Array:
    """A tensor with the sizes of ``axes`` (in rising order), shaped to be broadcast over ``rank`` axes."""
    sizes = dict(zip(axes, values.shape, strict=True))
    return values.reshape([sizes.get(axis, 1) for axis in range(rank)])


def in_groups(x: Array, groups: int) -> Array:
    """``(N, C, *spatial)`` as ``(N, G, C/G, *spatial)``."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def group_norm(
    x: Array, groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """``y = γ_c·x̂ + β_c``, normalised over each group of channels and all of space, sample by sample."""
    grouped = in_groups(x, groups)
    normal = normalise(grouped, tuple(range(2, grouped.ndim)), eps).reshape(x.shape)
    return scale_and_shift(normal, weight, bias)


def instance_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """``y = γ_c·x̂ + β_c``, normalised over space, channel by channel: a group norm of as many groups."""
    return group_norm(x, x.shape[1], weight, bias, eps)


def rms_norm(x: Array, axes: Axes, weight: Array | None = None, eps: float | None = None) -> Array:
    """``y = γ·x/√(mean(x²) + ε)`` over ``axes`` of each sample; ``ε`` is the precision of the numbers if not given."""
    normal = x / root_mean_square(x, axes, eps)
    return normal if weight is None else normal * over_axes(weight, axes, x.ndim)


def root_mean_square(x: Array, axes: Axes, eps: float | None) -> Array:
    """``r = √(mean(x²) + ε)``, the axes kept with size 1."""
    root: Array = np.sqrt((x**2).mean(axis=axes, keepdims=True) + (np.finfo(x.dtype).eps if eps is None else eps))
    return root


def channel_windows(size: int, channels: int) -> Array:
    """``B[c, j] = 1`` where channel ``j`` is one of ``size`` around ``c``: ``0 ≤ j − c + ⌊size/2⌋ < size``."""
    offset = np.arange(channels)[None, :] - np.arange(channels)[:, None] + size // 2
    band: Array = ((offset >= 0) & (offset < size)).astype(float)
    return band


def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """``y_c = x_c / (k + α/size · Σ_j x_j²)^β`` over the ``size`` channels ``j`` around ``c``."""
    y: Array = x / response(x, size, alpha, k) ** beta
    return y


def response(x: Array, size: int, alpha: float, k: float) -> Array:
    """``d_c = k + α/size · Σ_j x_j²``."""
    band = channel_windows(size, x.shape[1]).astype(x.dtype)
    summed: Array = np.einsum("cj,nj...->nc...", band, x**2)
    return k + alpha / size * summed


def local_response_norm_gradient(
    gradient: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """``∂L/∂x_j = g_j·d_j^−β − 2·α·β/size · x_j · Σ_c g_c·x_c·d_c^(−β−1)`` over the ``c`` that ``j`` is around."""
    d = response(x, size, alpha, k)
    band = channel_windows(size, x.shape[1]).astype(x.dtype)
    through = np.einsum("cj,nc...->nj...", band, gradient * x * d ** (-beta - 1))
    found: Array = gradient * d**-beta - 2 * alpha * beta / size * x * through
    return found


# -- the layers ------------------------------------------------------------------------------------


def affine_gradients(gradient: Array, normal: Array, weights: Weights, kept: Axes) -> Weights:
    """``∂L/∂γ = Σ g·x̂`` and ``∂L/∂β = Σ g`` over all axes but ``kept``, each where there is one."""
    axes = tuple(axis for axis in range(gradient.ndim) if axis not in kept)
    found = {"weight": (gradient * normal).sum(axis=axes), "bias": gradient.sum(axis=axes)}
    return {name: value for name, value in found.items() if name in weights}


@evaluates(BatchNorm)
def evaluate_batch_norm(layer: BatchNorm, weights: Weights, x: Array) -> Array:
    """:func:`batch_norm`; without running statistics the batch's own."""
    axes = (0, *spatial_axes(x))
    mean = weights.get("running_mean", x.mean(axis=axes))
    variance = weights.get("running_var", x.var(axis=axes))
    return batch_norm(x, mean, variance, weights.get("weight"), weights.get("bias"), layer.eps)


@differentiates(BatchNorm)
def differentiate_batch_norm(layer: BatchNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """A fixed scale; where the statistics are the batch's own, :func:`normalise_gradient`."""
    (x,) = inputs
    scaled = scale_and_shift(gradient, weights.get("weight"), None)
    if layer.track_running_stats:
        mean, variance = per_channel(weights["running_mean"], x), per_channel(weights["running_var"], x)
        normal = (x - mean) / np.sqrt(variance + layer.eps)
        over_x = scaled / np.sqrt(variance + layer.eps)
    else:
        axes = (0, *spatial_axes(x))
        normal = normalise(x, axes, layer.eps)
        over_x = normalise_gradient(scaled, x, axes, layer.eps)
    return (over_x,), affine_gradients(gradient, normal, weights, (1,))


@evaluates(LayerNorm)
def evaluate_layer_norm(layer: LayerNorm, weights: Weights, x: Array) -> Array:
    """:func:`layer_norm`."""
    return layer_norm(x, batched(layer.axes, x), weights.get("weight"), weights.get("bias"), layer.eps)


@differentiates(LayerNorm)
def differentiate_layer_norm(layer: LayerNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`normalise_gradient` over the layer's axes."""
    (x,) = inputs
    axes = batched(layer.axes, x)
    scaled = gradient * over_axes(weights["weight"], axes, x.ndim) if "weight" in weights else gradient
    over_x = normalise_gradient(scaled, x, axes, layer.eps)
    return (over_x,), affine_gradients(gradient, normalise(x, axes, layer.eps), weights, axes)


@evaluates(RmsNorm)
def evaluate_rms_norm(layer: RmsNorm, weights: Weights, x: Array) -> Array:
    """:func:`rms_norm`."""
    return rms_norm(x, batched(layer.axes, x), weights.get("weight"), layer.eps)


@differentiates(RmsNorm)
def differentiate_rms_norm(layer: RmsNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x = (g − x̂·mean(g·x̂))/r`` with ``x̂ = x/r``."""
    (x,) = inputs
    axes = batched(layer.axes, x)
    root = root_mean_square(x, axes, layer.eps)
    normal = x / root
    scaled = gradient * over_axes(weights["weight"], axes, x.ndim) if "weight" in weights else gradient
    over_x = (scaled - normal * (scaled * normal).mean(axis=axes, keepdims=True)) / root
    return (over_x,), affine_gradients(gradient, normal, weights, axes)


@evaluates(GroupNorm)
def evaluate_group_norm(layer: GroupNorm, weights: Weights, x: Array) -> Array:
    """:func:`group_norm`."""
    return group_norm(x, layer.groups, weights.get("weight"), weights.get("bias"), layer.eps)


@differentiates(GroupNorm)
def differentiate_group_norm(layer: GroupNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`normalise_gradient` over each group."""
    return grouped_gradients(layer.groups, layer.eps, weights, inputs[0], gradient)


@evaluates(InstanceNorm)
def evaluate_instance_norm(layer: InstanceNorm, weights: Weights, x: Array) -> Array:
    """:func:`instance_norm`; with running statistics it is a batch norm."""
    if layer.track_running_stats:
        mean, variance = weights["running_mean"], weights["running_var"]
        return batch_norm(x, mean, variance, weights.get("weight"), weights.get("bias"), layer.eps)
    return instance_norm(x, weights.get("weight"), weights.get("bias"), layer.eps)


@differentiates(InstanceNorm)
def differentiate_instance_norm(
    layer: InstanceNorm, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`normalise_gradient` over space; with running statistics that of a batch norm."""
    (x,) = inputs
    if layer.track_running_stats:
        as_batch_norm = BatchNorm(eps=layer.eps, affine=layer.affine)
        return differentiate_batch_norm(as_batch_norm, weights, inputs, gradient)
    return grouped_gradients(x.shape[1], layer.eps, weights, x, gradient)


@evaluates(LocalResponseNorm)
def evaluate_local_response_norm(layer: LocalResponseNorm, weights: Weights, x: Array) -> Array:
    """:func:`local_response_norm`."""
    return local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k)


@differentiates(LocalResponseNorm)
def differentiate_local_response_norm(
    layer: LocalResponseNorm, weights: Weights, inputs: tuple[Array], gradient: Array
) -> Gradients:
    """:func:`local_response_norm_gradient`."""
    return (local_response_norm_gradient(gradient, inputs[0], layer.size, layer.alpha, layer.beta, layer.k),), {}


def batched(axes: int | tuple[int, ...] | None, x: Array) -> Axes:
    """A norm's axes, which leave out the batch, as those of an array with one."""
    return tuple(axis + 1 for axis in normalised_axes(axes, x.ndim - 1))


def grouped_gradients(groups: int, eps: float, weights: Weights, x: Array, gradient: Array) -> Gradients:
    """Those of a group norm."""
    grouped = in_groups(x, groups)
    axes = tuple(range(2, grouped.ndim))
    scaled = in_groups(scale_and_shift(gradient, weights.get("weight"), None), groups)
    over_x = normalise_gradient(scaled, grouped, axes, eps).reshape(x.shape)
    normal = normalise(grouped, axes, eps).reshape(x.shape)
    return (over_x,), affine_gradients(gradient, normal, weights, (1,))
