"""Reductions over whole axes in PyTorch. The batch is axis 0 there, so every axis is one more."""

from __future__ import annotations

import torch
from torch import nn

from cnncalc.layers.base import Shape
from cnncalc.layers.reduce import Max, Mean, Min, Reduction, Sum, Variance, VectorNorm
from cnncalc.torch.dims import dims
from cnncalc.torch.function import Function
from cnncalc.torch.registry import builds


def arguments(layer: Reduction, shape: Shape) -> dict[str, object]:
    """Which axes, as PyTorch counts them, and whether they stay."""
    chosen = dims(layer.axes)
    kept = {"keepdim": True} if layer.keepdim else {}
    return {"dim": chosen[0] if len(chosen) == 1 else chosen, **kept}


@builds(Mean)
def build_mean(layer: Mean, shape: Shape) -> nn.Module:
    """``torch.mean``."""
    return Function(torch.mean, **arguments(layer, shape))


@builds(Sum)
def build_sum(layer: Sum, shape: Shape) -> nn.Module:
    """``torch.sum``."""
    return Function(torch.sum, **arguments(layer, shape))


@builds(Max)
def build_max(layer: Max, shape: Shape) -> nn.Module:
    """``torch.amax``."""
    return Function(torch.amax, **arguments(layer, shape))


@builds(Min)
def build_min(layer: Min, shape: Shape) -> nn.Module:
    """``torch.amin``."""
    return Function(torch.amin, **arguments(layer, shape))


@builds(Variance)
def build_variance(layer: Variance, shape: Shape) -> nn.Module:
    """``torch.var``."""
    return Function(torch.var, **arguments(layer, shape), correction=layer.correction)


@builds(VectorNorm)
def build_vector_norm(layer: VectorNorm, shape: Shape) -> nn.Module:
    """``torch.linalg.vector_norm``."""
    return Function(torch.linalg.vector_norm, **arguments(layer, shape))
