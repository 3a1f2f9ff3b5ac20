"""Tensors that a net holds itself: a batch of one, which broadcasts."""

from __future__ import annotations

from math import prod

import numpy as np

from cnncalc.layers.tensor import Constant, Parameter
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Weights, evaluates


@evaluates(Parameter)
def evaluate_parameter(layer: Parameter, weights: Weights) -> Array:
    """``y[0,…] = w[…]``"""
    return weights["weight"][None]


@evaluates(Constant)
def evaluate_constant(layer: Constant, weights: Weights) -> Array:
    """The buffer; 0, 1, 2, … where the values are not kept with the net."""
    if layer.buffer:
        return weights["weight"][None]
    return np.arange(prod(layer.shape), dtype=float).reshape(1, *layer.shape)
