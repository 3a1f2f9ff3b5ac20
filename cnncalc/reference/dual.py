"""Dual numbers: a function evaluated on ``x + ε`` with ``ε² = 0`` is ``f(x) + f′(x)·ε`` (Griewank & Walther 2008,
"Evaluating Derivatives", ch. 3). So an activation's derivative follows from its function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from cnncalc.reference.array import Array

_erf = np.vectorize(math.erf, otypes=[float])


def erf(x: Array) -> Array:
    """``2/√π · ∫₀ˣ exp(−t²) dt``, exact to the last bits of float64 (the C library's, element by element)."""
    y: Array = _erf(x).astype(x.dtype, copy=False)
    return y


class Dual:
    """``value + change·ε``"""

    __array_ufunc__ = None  # an array leaves an operation with it to this class

    def __init__(self, value: Any, change: Any = 1.0) -> None:
        self.value, self.change = value, change

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.change)

    def __add__(self, other: Any) -> Dual:
        other = dual(other)
        return Dual(self.value + other.value, self.change + other.change)

    def __sub__(self, other: Any) -> Dual:
        return self + -dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return dual(other) + -self

    def __mul__(self, other: Any) -> Dual:
        other = dual(other)
        return Dual(self.value * other.value, self.change * other.value + self.value * other.change)

    def __truediv__(self, other: Any) -> Dual:
        other = dual(other)
        value = self.value / other.value
        return Dual(value, (self.change - value * other.change) / other.value)

    def __pow__(self, power: int) -> Dual:
        return Dual(self.value**power, power * self.value ** (power - 1) * self.change)

    def __gt__(self, other: float) -> Any:
        return self.value > other

    def __le__(self, other: float) -> Any:
        return self.value <= other

    __radd__, __rmul__ = __add__, __mul__


def dual(x: Any) -> Dual:
    """A constant has no change."""
    return x if isinstance(x, Dual) else Dual(x, 0.0)


def _of_both(function: Callable[..., Array], derivative: Callable[..., Array]) -> Callable[..., Any]:
    """A function of arrays and of dual numbers, from its derivative over the first argument."""

    def evaluate(x: Any, *rest: float) -> Any:
        if isinstance(x, Dual):
            return Dual(function(x.value, *rest), derivative(x.value, *rest) * x.change)
        return function(x, *rest)

    return evaluate


def _where(condition: Array, yes: Any, no: Any) -> Any:
    if isinstance(yes, Dual) or isinstance(no, Dual):
        yes, no = dual(yes), dual(no)
        return Dual(np.where(condition, yes.value, no.value), np.where(condition, yes.change, no.change))
    return np.where(condition, yes, no)


# At a kink the derivative from the left.
FUNCTIONS = SimpleNamespace(
    where=_where,
    abs=_of_both(np.abs, np.sign),
    clip=_of_both(np.clip, lambda x, low, high: (x > low) & (x < high)),
    erf=_of_both(erf, lambda x: np.exp(-(x**2)) * 2 / math.sqrt(math.pi)),
    exp=_of_both(np.exp, np.exp),
    expm1=_of_both(np.expm1, np.exp),
    maximum=_of_both(np.maximum, lambda x, low: x > low),
    minimum=_of_both(np.minimum, lambda x, high: x <= high),
    sign=_of_both(np.sign, np.zeros_like),
    softplus=_of_both(lambda x: np.logaddexp(0, x), lambda x: np.exp(-np.logaddexp(0, -x))),
    tanh=_of_both(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
)
"""What activations are written with (:class:`~cnncalc.layers.base.Activation`)."""
