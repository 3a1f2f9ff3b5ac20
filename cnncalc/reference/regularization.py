"""Layers that matter in training: in inference dropout and its kin are the identity, ``y = x``."""

from __future__ import annotations

from cnncalc.layers.base import Layer
from cnncalc.layers.regularization import (
    AlphaDropout,
    ChannelDropout,
    Dropout,
    Identity,
    LayerScale,
    StochasticDepth,
)
from cnncalc.reference.array import Array
from cnncalc.reference.registry import Weights, evaluates


def pass_through(layer: Layer, weights: Weights, x: Array) -> Array:
    """``y = x``"""
    return x


for _layer_class in (Identity, Dropout, ChannelDropout, AlphaDropout, StochasticDepth):
    evaluates(_layer_class)(pass_through)


@evaluates(LayerScale)
def evaluate_layer_scale(layer: LayerScale, weights: Weights, x: Array) -> Array:
    """``y[n,c] = γ[c]·x[n,c]`` (Touvron et al. 2021, arXiv:2103.17239, eq. 2)."""
    return x * weights["weight"]
