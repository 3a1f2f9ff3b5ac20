"""Activations and their slopes ``f′(x)``, element by element; softmax and its kin along an axis.

Sources: Goodfellow, Bengio & Courville 2016, §6.2-6.3; the definitions in ``torch.nn``, whose names
the functions and their arguments have. At a kink the slope is the one from the left, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cnncalc.layers import activation
from cnncalc.layers.base import Layer, normal_axis
from cnncalc.reference.array import Array, per_channel, sum_to
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""The fixed point of Klambauer et al. 2017, arXiv:1706.02515, eq. 14."""

_erf = np.vectorize(math.erf, otypes=[float])


def erf(x: Array) -> Array:
    """``2/√π · ∫₀ˣ exp(−t²) dt``, exact to the last bits of float64 (the C library's, element by element)."""
    y: Array = _erf(x).astype(x.dtype, copy=False)
    return y


def where(condition: Array, yes: Array | float, no: Array | float) -> Array:
    """``numpy.where``, typed."""
    y: Array = np.where(condition, yes, no)
    return y


def relu(x: Array) -> Array:
    """``max(x, 0)``"""
    return np.maximum(x, 0)


def relu_slope(x: Array) -> Array:
    """1 where positive, else 0."""
    return where(x > 0, 1.0, 0.0)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """``min(max(x, min_val), max_val)``"""
    return np.clip(x, min_val, max_val)


def hardtanh_slope(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """1 between the bounds, else 0."""
    return where((x > min_val) & (x < max_val), 1.0, 0.0)


def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``"""
    return np.clip(x, 0.0, 6.0)


def relu6_slope(x: Array) -> Array:
    """1 between 0 and 6, else 0."""
    return hardtanh_slope(x, 0.0, 6.0)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x`` where positive, else ``negative_slope·x``"""
    return where(x > 0, x, negative_slope * x)


def leaky_relu_slope(x: Array, negative_slope: float = 0.01) -> Array:
    """1 where positive, else ``negative_slope``."""
    return where(x > 0, 1.0, negative_slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, else ``alpha·(exp(x) − 1)``"""
    return where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_slope(x: Array, alpha: float = 1.0) -> Array:
    """1 where positive, else ``alpha·exp(x)``."""
    return where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """``scale·elu(x, alpha)`` with the constants that keep zero mean and unit variance"""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_slope(x: Array) -> Array:
    """``scale·elu′(x, alpha)``"""
    return SELU_SCALE * elu_slope(x, SELU_ALPHA)


def celu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, else ``alpha·(exp(x/alpha) − 1)``"""
    return where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def celu_slope(x: Array, alpha: float = 1.0) -> Array:
    """1 where positive, else ``exp(x/alpha)``."""
    return where(x > 0, 1.0, np.exp(np.minimum(x, 0) / alpha))


def gelu(x: Array, approximate: str = "none") -> Array:
    """``x·Φ(x) = x·½·(1 + erf(x/√2))``; ``tanh``: ``x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))``"""
    if approximate == "tanh":
        share: Array = 1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    else:
        share = 1 + erf(x / math.sqrt(2))
    return 0.5 * x * share


def gelu_slope(x: Array, approximate: str = "none") -> Array:
    """``Φ(x) + x·φ(x)`` with the normal density ``φ(x) = exp(−x²/2)/√(2π)``; of ``tanh`` the same rule of products."""
    if approximate == "tanh":
        t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        slope: Array = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner
    else:
        slope = 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return slope


def sigmoid(x: Array) -> Array:
    """``1/(1 + exp(−x))``, written as ``exp(−log(1 + exp(−x)))``, which neither overflows nor cancels"""
    y: Array = np.exp(-np.logaddexp(0, -x))
    return y


def sigmoid_slope(x: Array) -> Array:
    """``s·(1 − s)``"""
    return sigmoid(x) * sigmoid(-x)


def log_sigmoid(x: Array) -> Array:
    """``−log(1 + exp(−x))``"""
    y: Array = -np.logaddexp(0, -x)
    return y


def log_sigmoid_slope(x: Array) -> Array:
    """``sigmoid(−x)``"""
    return sigmoid(-x)


def silu(x: Array) -> Array:
    """``x·sigmoid(x)``"""
    return x * sigmoid(x)


def silu_slope(x: Array) -> Array:
    """``s + x·s·(1 − s)`` with ``s = sigmoid(x)``"""
    y: Array = sigmoid(x) + x * sigmoid_slope(x)
    return y


def tanh_slope(x: Array) -> Array:
    """``1 − tanh²(x)``"""
    slope: Array = 1 - np.tanh(x) ** 2
    return slope


def mish(x: Array) -> Array:
    """``x·tanh(log(1 + exp(x)))``"""
    y: Array = x * np.tanh(np.logaddexp(0, x))
    return y


def mish_slope(x: Array) -> Array:
    """``t + x·(1 − t²)·sigmoid(x)`` with ``t = tanh(log(1 + exp(x)))``"""
    t = np.tanh(np.logaddexp(0, x))
    slope: Array = t + x * (1 - t**2) * sigmoid(x)
    return slope


def hardsigmoid(x: Array) -> Array:
    """``min(max(x + 3, 0), 6)/6``"""
    return relu6(x + 3) / 6


def hardsigmoid_slope(x: Array) -> Array:
    """1/6 between −3 and 3, else 0."""
    return relu6_slope(x + 3) / 6


def hardswish(x: Array) -> Array:
    """``x·hardsigmoid(x)``"""
    return x * hardsigmoid(x)


def hardswish_slope(x: Array) -> Array:
    """``hardsigmoid(x) + x·hardsigmoid′(x)``"""
    y: Array = hardsigmoid(x) + x * hardsigmoid_slope(x)
    return y


def softsign(x: Array) -> Array:
    """``x/(1 + |x|)``"""
    y: Array = x / (1 + np.abs(x))
    return y


def softsign_slope(x: Array) -> Array:
    """``1/(1 + |x|)²``"""
    slope: Array = 1 / (1 + np.abs(x)) ** 2
    return slope


def softshrink(x: Array, lambd: float = 0.5) -> Array:
    """``x − lambd`` above ``lambd``, ``x + lambd`` below ``−lambd``, else 0"""
    return where(abs(x) <= lambd, 0.0, x - np.copysign(lambd, x))


def softshrink_slope(x: Array, lambd: float = 0.5) -> Array:
    """1 beyond ``±lambd``, else 0."""
    return where((x > lambd) | (x < -lambd), 1.0, 0.0)


def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    """``x`` beyond ``±lambd``, else 0"""
    return where(abs(x) <= lambd, 0.0, x)


def tanhshrink(x: Array) -> Array:
    """``x − tanh(x)``"""
    return x - np.tanh(x)


def tanhshrink_slope(x: Array) -> Array:
    """``tanh²(x)``"""
    slope: Array = np.tanh(x) ** 2
    return slope


def threshold(x: Array, threshold: float, value: float) -> Array:
    """``x`` above ``threshold``, else ``value``"""
    return where(x <= threshold, value, x)


def threshold_slope(x: Array, threshold: float, value: float) -> Array:
    """1 above ``threshold``, else 0."""
    return where(x > threshold, 1.0, 0.0)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """``log(1 + exp(beta·x))/beta``, and ``x`` itself where ``beta·x > threshold``"""
    return where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def softplus_slope(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """``sigmoid(beta·x)``, and 1 where ``beta·x > threshold``."""
    return where(beta * x > threshold, 1.0, sigmoid(beta * x))


# -- along an axis ---------------------------------------------------------------------------------


def log_softmax(x: Array, axis: int) -> Array:
    """``x − log Σ exp(x)`` along ``axis``; the maximum is taken off first, so that nothing overflows"""
    shifted = x - x.max(axis=axis, keepdims=True)
    y: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return y


def log_softmax_gradient(gradient: Array, x: Array, axis: int) -> Array:
    """``∂L/∂x = g − softmax(x)·Σ g``"""
    found: Array = gradient - softmax(x, axis) * gradient.sum(axis=axis, keepdims=True)
    return found


def softmax(x: Array, axis: int) -> Array:
    """``exp(x)/Σ exp(x)`` along ``axis``; the maximum is taken off first, so that nothing overflows"""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    y: Array = powers / powers.sum(axis=axis, keepdims=True)
    return y


def softmax_gradient(gradient: Array, x: Array, axis: int) -> Array:
    """``∂L/∂x = s·(g − Σ g·s)`` with ``s = softmax(x)``"""
    s = softmax(x, axis)
    found: Array = s * (gradient - (gradient * s).sum(axis=axis, keepdims=True))
    return found


def glu(x: Array, axis: int) -> Array:
    """``a·sigmoid(b)`` for the first and second half of ``axis``"""
    a, b = np.split(x, 2, axis=axis)
    return a * sigmoid(b)


def glu_gradient(gradient: Array, x: Array, axis: int) -> Array:
    """``∂L/∂a = g·sigmoid(b)`` and ``∂L/∂b = g·a·sigmoid′(b)``"""
    a, b = np.split(x, 2, axis=axis)
    return np.concatenate([gradient * sigmoid(b), gradient * a * sigmoid_slope(b)], axis=axis)


# -- the layers ------------------------------------------------------------------------------------


def element_by_element(layer_class: type[Layer], function: Callable[..., Array], slope: Callable[..., Array]) -> None:
    """Register an activation whose fields are the arguments of ``function`` and of its ``slope``."""

    def fields(layer: Layer) -> dict[str, object]:
        return {name: getattr(layer, name) for name in layer.__struct_fields__}

    @evaluates(layer_class)
    def evaluate(layer: Layer, weights: Weights, x: Array) -> Array:
        return function(x, **fields(layer)).astype(x.dtype, copy=False)

    @differentiates(layer_class)
    def differentiate(layer: Layer, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
        return (gradient * slope(inputs[0], **fields(layer)),), {}


element_by_element(activation.Relu, relu, relu_slope)
element_by_element(activation.Relu6, relu6, relu6_slope)
element_by_element(activation.LeakyRelu, leaky_relu, leaky_relu_slope)
element_by_element(activation.Elu, elu, elu_slope)
element_by_element(activation.Selu, selu, selu_slope)
element_by_element(activation.Celu, celu, celu_slope)
element_by_element(activation.Gelu, gelu, gelu_slope)
element_by_element(activation.Silu, silu, silu_slope)
element_by_element(activation.Mish, mish, mish_slope)
element_by_element(activation.Hardsigmoid, hardsigmoid, hardsigmoid_slope)
element_by_element(activation.Hardswish, hardswish, hardswish_slope)
element_by_element(activation.Hardtanh, hardtanh, hardtanh_slope)
element_by_element(activation.Softsign, softsign, softsign_slope)
element_by_element(activation.Softshrink, softshrink, softshrink_slope)
element_by_element(activation.Hardshrink, hardshrink, softshrink_slope)
element_by_element(activation.Tanhshrink, tanhshrink, tanhshrink_slope)
element_by_element(activation.Threshold, threshold, threshold_slope)
element_by_element(activation.Sigmoid, sigmoid, sigmoid_slope)
element_by_element(activation.LogSigmoid, log_sigmoid, log_sigmoid_slope)
element_by_element(activation.Tanh, np.tanh, tanh_slope)
element_by_element(activation.Softplus, softplus, softplus_slope)


@evaluates(activation.Prelu)
def evaluate_prelu(layer: activation.Prelu, weights: Weights, x: Array) -> Array:
    """``x`` where positive, else ``weight·x`` with one learned slope or one per channel."""
    return where(x > 0, x, per_channel(weights["weight"], x) * x)


@differentiates(activation.Prelu)
def differentiate_prelu(layer: activation.Prelu, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x`` by the slope; ``∂L/∂weight = Σ g·x`` over the elements that are not positive."""
    (x,) = inputs
    slope = per_channel(weights["weight"], x)
    over_weight = sum_to(where(x > 0, 0.0, gradient * x), (1, *slope.shape)).reshape(weights["weight"].shape)
    return (where(x > 0, gradient, gradient * slope),), {"weight": over_weight}


def line_by_line(
    layer_class: type[activation.AlongAxis],
    function: Callable[[Array, int], Array],
    backward: Callable[[Array, Array, int], Array],
) -> None:
    """Register an activation along an axis, with its gradient."""

    @evaluates(layer_class)
    def evaluate(layer: activation.AlongAxis, weights: Weights, x: Array) -> Array:
        return function(x, normal_axis(layer.axis, x.ndim - 1) + 1)

    @differentiates(layer_class)
    def differentiate(
        layer: activation.AlongAxis, weights: Weights, inputs: tuple[Array], gradient: Array
    ) -> Gradients:
        return (backward(gradient, inputs[0], normal_axis(layer.axis, gradient.ndim - 1) + 1),), {}


line_by_line(activation.Softmax, softmax, softmax_gradient)
line_by_line(
    activation.Softmin,
    lambda x, axis: softmax(-x, axis),
    lambda gradient, x, axis: -softmax_gradient(gradient, -x, axis),
)
line_by_line(activation.LogSoftmax, log_softmax, log_softmax_gradient)
line_by_line(activation.Glu, glu, glu_gradient)
