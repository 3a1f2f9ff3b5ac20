"""Attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1 and §3.2.2)."""

from __future__ import annotations

import math

import numpy as np

from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.reference.activation import softmax, softmax_gradient
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Gradients, Weights, differentiates, evaluates


def attention_scores(query: Array, key: Array, is_causal: bool = False) -> Array:
    """``Q·Kᵀ/√d``, ``(…, L, S)``; with ``is_causal`` −∞ where key ``j`` comes after unit ``i``."""
    scores: Array = np.matmul(query, np.swapaxes(key, -1, -2)) / math.sqrt(query.shape[-1])
    if is_causal:
        seen = np.tri(*scores.shape[-2:], dtype=np.bool_)
        return np.where(seen, scores, -np.inf)
    return scores


def scaled_dot_product_attention(query: Array, key: Array, value: Array, is_causal: bool = False) -> Array:
    """``softmax(Q·Kᵀ/√d)·V`` of ``(…, L, d)``, ``(…, S, d)`` and ``(…, S, e)``: ``(…, L, e)``."""
    y: Array = np.matmul(softmax(attention_scores(query, key, is_causal), axis=-1), value)
    return y


def scaled_dot_product_attention_gradients(
    gradient: Array, query: Array, key: Array, value: Array, is_causal: bool = False
) -> tuple[Array, Array, Array]:
    """Of query, key and value. With ``A = softmax(Z)`` and ``Z = Q·Kᵀ/√d``:

    ``∂L/∂V = Aᵀ·G``, ``∂L/∂Z`` from ``∂L/∂A = G·Vᵀ`` by the softmax's own, then ``∂L/∂Q = ∂L/∂Z·K/√d`` and
    ``∂L/∂K = (∂L/∂Z)ᵀ·Q/√d``.
    """
    scores = attention_scores(query, key, is_causal)
    over_scores = softmax_gradient(np.matmul(gradient, np.swapaxes(value, -1, -2)), scores, axis=-1)
    over_scores = over_scores / math.sqrt(query.shape[-1])
    over_query, over_key = np.matmul(over_scores, key), np.matmul(np.swapaxes(over_scores, -1, -2), query)
    return over_query, over_key, np.matmul(np.swapaxes(softmax(scores, axis=-1), -1, -2), gradient)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """``y[…,o] = b[o] + Σ_i w[o,i]·x[…,i]``"""
    y: Array = x @ weight.T
    return y if bias is None else y + bias


def multi_head_attention(query: Array, key: Array, value: Array, weights: Weights, heads: int) -> Array:
    """``Concat(head_1, …, head_h)·W_oᵀ + b_o`` with ``head_i = attention(Q·W_qᵢᵀ, K·W_kᵢᵀ, V·W_vᵢᵀ)``.

    Args:
        query: ``(N, L, E)``.
        key: ``(N, S, E_k)``.
        value: ``(N, S, E_v)``.
        weights: named as in ``torch.nn.MultiheadAttention``: the three projections as one
            ``in_proj_weight``, or apart where the widths differ; the biases where there are any.
        heads: into how many heads the ``E`` features are cut.

    Returns:
        ``(N, L, E)``
    """
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    joined = weights.get("in_proj_weight")
    matrices = [weights[name] for name in names] if joined is None else np.split(joined, 3)
    biases = np.split(weights["in_proj_bias"], 3) if "in_proj_bias" in weights else [None] * 3

    def cut(x: Array, matrix: Array, bias: Array | None) -> Array:
        projected = linear(x, matrix, bias)
        return np.swapaxes(projected.reshape(*x.shape[:2], heads, -1), 1, 2)  # (N, heads, length, E/heads)

    q, k, v = map(cut, (query, key, value), matrices, biases)
    joined_heads = np.swapaxes(scaled_dot_product_attention(q, k, v), 1, 2).reshape(*query.shape[:2], -1)
    return linear(joined_heads, weights["out_proj.weight"], weights.get("out_proj.bias"))


@evaluates(ScaledDotProductAttention)
def evaluate_scaled_dot_product_attention(
    layer: ScaledDotProductAttention, weights: Weights, query: Array, key: Array, value: Array
) -> Array:
    """:func:`scaled_dot_product_attention`."""
    return scaled_dot_product_attention(query, key, value, layer.is_causal)


@differentiates(ScaledDotProductAttention)
def differentiate_scaled_dot_product_attention(
    layer: ScaledDotProductAttention, weights: Weights, inputs: tuple[Array, Array, Array], gradient: Array
) -> Gradients:
    """:func:`scaled_dot_product_attention_gradients`."""
    return scaled_dot_product_attention_gradients(gradient, *inputs, is_causal=layer.is_causal), {}


@evaluates(MultiHeadAttention)
def evaluate_multi_head_attention(
    layer: MultiHeadAttention, weights: Weights, query: Array, key: Array | None = None, value: Array | None = None
) -> Array:
    """:func:`multi_head_attention`; the key is the query where not given, the value the key."""
    key = query if key is None else key
    return multi_head_attention(query, key, key if value is None else value, weights, layer.num_heads)
