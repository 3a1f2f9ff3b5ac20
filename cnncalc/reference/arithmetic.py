"""Functions of single elements. Source: the functions of the same names in ``torch``."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np

from cnncalc.layers.arithmetic import Math
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Weights, evaluates

OF_ONE: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "cos": np.cos,
    "erf": np.vectorize(erf, otypes=[float]),
    "exp": np.exp,
    "floor": np.floor,
    "log": np.log,
    "neg": np.negative,
    "reciprocal": np.reciprocal,
    "round": np.round,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "square": np.square,
}
WITH_VALUE: dict[str, Callable[[Array, float], Array]] = {
    "add": np.add,
    "multiply": np.multiply,
    "divide": np.divide,
    "subtract_from": lambda x, value: value - x,
    "divide_into": lambda x, value: value / x,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@evaluates(Math)
def evaluate_math(layer: Math, weights: Weights, x: Array) -> Array:
    """``y = f(x)``, or ``y = f(x, value)``."""
    if layer.value is None:
        return OF_ONE[layer.function](x)
    return WITH_VALUE[layer.function](x, layer.value)
