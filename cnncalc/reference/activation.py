"""Activations of single elements, whose classes say their functions; softmax and its kin along an axis.

Sources: Goodfellow, Bengio & Courville 2016, §6.2-6.3; the definitions in ``torch.nn``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnncalc.layers import activation
from cnncalc.layers.activation import sigmoid
from cnncalc.layers.base import REGISTRY, Activation, normal_axis
from cnncalc.reference.array import Array, per_channel, sum_to
from cnncalc.reference.dual import FUNCTIONS, Dual
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates

ACTIVATIONS = [layer for layer in REGISTRY.values() if issubclass(layer, Activation)]


@evaluates(*ACTIVATIONS)
def evaluate_element(layer: Activation, weights: Weights, x: Array) -> Array:
    """``f(x)`` for each element."""
    slopes = [per_channel(weight, x) for weight in weights.values()]
    y: Array = layer.function(x, FUNCTIONS, *slopes).astype(x.dtype, copy=False)
    return y


@differentiates(*ACTIVATIONS)
def differentiate_element(layer: Activation, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x = g·∂f/∂x``; for a weight ``Σ g·∂f/∂w`` over the elements that it multiplies."""
    (x,) = inputs
    slopes = {name: per_channel(weight, x) for name, weight in weights.items()}
    over_weights = {
        name: sum_to(gradient * layer.function(x, FUNCTIONS, Dual(slope)).change, (1, *slope.shape)).reshape(-1)
        for name, slope in slopes.items()
    }
    return (gradient * layer.function(Dual(x), FUNCTIONS, *slopes.values()).change,), over_weights


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
    return np.asarray(a * sigmoid(b, FUNCTIONS))


def glu_gradient(gradient: Array, x: Array, axis: int) -> Array:
    """``∂L/∂a = g·sigmoid(b)`` and ``∂L/∂b = g·a·sigmoid′(b)``"""
    a, b = np.split(x, 2, axis=axis)
    over = (sigmoid(b, FUNCTIONS), a * sigmoid(Dual(b), FUNCTIONS).change)
    return np.concatenate([gradient * each for each in over], axis=axis)


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
