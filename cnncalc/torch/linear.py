"""Fully connected layers in PyTorch."""

from __future__ import annotations

from torch import nn

from cnncalc.layers.base import Shape
from cnncalc.layers.linear import Linear
from cnncalc.torch.registry import builds


@builds(Linear)
def build_linear(layer: Linear, shape: Shape) -> nn.Module:
    """``nn.Linear``."""
    return nn.Linear(shape[-1], layer.out, bias=layer.bias)
