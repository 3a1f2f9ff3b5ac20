"""Layers of several inputs: concatenation, elementwise arithmetic with broadcasting.

Source: the functions of the same names in ``torch``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from cnncalc.layers.base import normal_axis
from cnncalc.layers.merge import Add, Concat, Divide, Maximum, Merge, Minimum, Multiply, Subtract
from cnncalc.reference.array import Array, sum_to
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


@evaluates(Concat)
def evaluate_concat(layer: Concat, weights: Weights, *inputs: Array) -> Array:
    """The inputs one after the other along an axis."""
    batch = max(len(x) for x in inputs)
    inputs = tuple(x if len(x) == batch else np.repeat(x, batch, axis=0) for x in inputs)
    return np.concatenate(inputs, axis=normal_axis(layer.axis, inputs[0].ndim - 1) + 1)


def folds(layer_class: type[Merge], function: Callable[[Array, Array], Array]) -> None:
    """Register a merge of any number of inputs: ``f(f(f(a, b), c), …)``, element by element."""

    @evaluates(layer_class)
    def evaluate(layer: Merge, weights: Weights, *inputs: Array) -> Array:
        return reduce(function, inputs)


folds(Add, np.add)
folds(Subtract, np.subtract)
folds(Multiply, np.multiply)
folds(Divide, np.divide)
folds(Maximum, np.maximum)
folds(Minimum, np.minimum)


@differentiates(Divide)
def differentiate_divide(layer: Divide, weights: Weights, inputs: tuple[Array, Array], gradient: Array) -> Gradients:
    """``∂L/∂a = g/b`` and ``∂L/∂b = −g·a/b²``, summed over the axes along which one was broadcast."""
    first, second = inputs
    over_second = -gradient * first / np.square(second)
    return (sum_to(gradient / second, first.shape), sum_to(over_second, second.shape)), {}
