"""Reductions over whole axes. Source: ``torch.mean``, ``sum``, ``amax`` and ``amin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncalc.layers.reduce import Max, Mean, Min, Reduction, Sum, Variance, VectorNorm
from cnncalc.layers.shape import normal_axes
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


def over_axes(function: Callable[..., Any], layer: Reduction, x: Array, **more: Any) -> Array:
    """``y = function over i of x[…,i,…]``, the axes gone or kept with size 1."""
    axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
    y: Array = function(x, axis=axes, keepdims=layer.keepdim, **more)
    return y


def reduces_by(layer_class: type[Reduction], function: Callable[..., Any]) -> None:
    """Register a reduction by ``function``."""

    @evaluates(layer_class)
    def evaluate(layer: Reduction, weights: Weights, x: Array) -> Array:
        return over_axes(function, layer, x)


reduces_by(Mean, np.mean)
reduces_by(Sum, np.sum)
reduces_by(Max, np.max)
reduces_by(Min, np.min)


@evaluates(Variance)
def evaluate_variance(layer: Variance, weights: Weights, x: Array) -> Array:
    """``y = Σ (x − mean)²/(n − correction)``"""
    return over_axes(np.var, layer, x, ddof=layer.correction)


@evaluates(VectorNorm)
def evaluate_vector_norm(layer: VectorNorm, weights: Weights, x: Array) -> Array:
    """``y = √(Σ x²)``"""
    y: Array = np.sqrt(over_axes(np.sum, layer, np.square(x)))
    return y


@differentiates(VectorNorm)
def differentiate_vector_norm(layer: VectorNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x = g·x/y``"""
    (x,) = inputs
    axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
    norm = np.sqrt(np.sum(np.square(x), axis=axes, keepdims=True))
    return (gradient.reshape(norm.shape) * x / norm,), {}
