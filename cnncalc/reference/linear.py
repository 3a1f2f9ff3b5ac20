"""The fully connected layer and its gradients.

Source: Goodfellow, Bengio & Courville 2016, §6.5; ``torch.nn.Linear``.
"""

from __future__ import annotations

import numpy as np

from cnncalc.layers.linear import Linear
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``y[…,o] = b[o] + Σ_i w[o,i]·x[…,i]``: ``(N, …, I)`` to ``(N, …, O)`` with ``weight`` ``(O, I)``."""
    y: Array = np.einsum("...i,oi->...o", x, weight, optimize=True)
    return y if bias is None else y + bias


def linear_gradients(gradient: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of input, weight and bias, by the chain rule.

    ``∂L/∂x[…,i] = Σ_o w[o,i]·g[…,o]``, ``∂L/∂w[o,i] = Σ g[…,o]·x[…,i]``, ``∂L/∂b[o] = Σ g[…,o]``
    """
    rows, seen = gradient.reshape(-1, gradient.shape[-1]), x.reshape(-1, x.shape[-1])
    over_x: Array = np.einsum("...o,oi->...i", gradient, weight, optimize=True)
    over_weight: Array = np.einsum("no,ni->oi", rows, seen, optimize=True)
    over_bias: Array = rows.sum(axis=0)
    return over_x, over_weight, over_bias


@evaluates(Linear)
def evaluate_linear(layer: Linear, weights: Weights, x: Array) -> Array:
    """:func:`linear`."""
    return linear(x, weights["weight"], weights.get("bias"))


@differentiates(Linear)
def differentiate_linear(layer: Linear, weights: Weights, inputs: tuple[Array], gradient: Array) -> Gradients:
    """:func:`linear_gradients`."""
    over_x, over_weight, over_bias = linear_gradients(gradient, inputs[0], weights["weight"])
    return (over_x,), {"weight": over_weight, **({"bias": over_bias} if layer.bias else {})}
