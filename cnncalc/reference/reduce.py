"""Reductions over whole axes. Source: ``torch.mean``, ``sum``, ``amax`` and ``amin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncalc.layers.reduce import Max, Mean, Min, Reduction, Sum, Variance, VectorNorm
from cnncalc.layers.shape import normal_axes
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


def reduces_by(layer_class: type[Reduction], function: Callable[..., Any]) -> None:
    """Register a reduction: ``y = function over i of x[…,i,…]``, the axes gone or kept with size 1."""

    @evaluates(layer_class)
    def evaluate(layer: Reduction, weights: Weights, x: Array) -> Array:
        axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
        y: Array = function(x, axis=axes, keepdims=layer.keepdim)
        return y


reduces_by(Mean, np.mean)
reduces_by(Sum, np.sum)
reduces_by(Max, np.max)
reduces_by(Min, np.min)


@evaluates(Variance)
def evaluate_variance(layer: Variance, weights: Weights, x: Array) -> Array:
    """``y = Σ (x − mean)²/(n − correction)``"""
    axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
    y: Array = np.var(x, axis=axes, keepdims=layer.keepdim, ddof=layer.correction)
    return y


@evaluates(VectorNorm)
def evaluate_vector_norm(layer: VectorNorm, weights: Weights, x: Array) -> Array:
    """``y = √(Σ x²)``"""
    axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
    y: Array = np.sqrt(np.sum(np.square(x), axis=axes, keepdims=layer.keepdim))
    return y


@differentiates(VectorNorm)
def differentiate_vector_norm(layer: VectorNorm, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """``∂L/∂x = g·x/y``"""
    (x,) = inputs
    axes = tuple(axis + 1 for axis in normal_axes(layer.axes, x.ndim - 1))
    norm = np.sqrt(np.sum(np.square(x), axis=axes, keepdims=True))
    return (gradient.reshape(norm.shape) * x / norm,), {}
