"""Dropout and its kin in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnncalc.layers.base import Shape
from cnncalc.layers.regularization import (
    AlphaDropout,
    ChannelDropout,
    Dropout,
    Identity,
    LayerScale,
    StochasticDepth,
)
from cnncalc.torch.registry import builds

CHANNEL_DROPOUTS: tuple[type[nn.Module], ...] = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class StochasticDepthModule(nn.Module):
    """In training, zero for whole samples (``row``) or for the whole batch; else scaled to the same mean."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """The input itself in evaluation."""
        if not self.training or self.p == 0:
            return x
        kept = 1 - self.p
        draws = x.shape[0] if self.mode == "row" else 1
        keep = torch.bernoulli(torch.full((draws, *(1,) * (x.dim() - 1)), kept, dtype=x.dtype, device=x.device))
        return x * (keep / kept if kept else keep)


class LayerScaleModule(nn.Module):
    """Product with one learned factor per channel."""

    def __init__(self, shape: Shape, init_value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, init_value))

    def forward(self, x: Tensor) -> Tensor:
        """The scaled input."""
        return x * self.weight


@builds(Identity)
def build_identity(layer: Identity, shape: Shape) -> nn.Module:
    """``nn.Identity``"""
    return nn.Identity()


@builds(Dropout)
def build_dropout(layer: Dropout, shape: Shape) -> nn.Module:
    """``nn.Dropout``"""
    return nn.Dropout(layer.p)


@builds(ChannelDropout)
def build_channel_dropout(layer: ChannelDropout, shape: Shape) -> nn.Module:
    """``nn.DropoutNd``; ordinary dropout where there are channels alone."""
    return CHANNEL_DROPOUTS[len(shape) - 1](layer.p)


@builds(AlphaDropout)
def build_alpha_dropout(layer: AlphaDropout, shape: Shape) -> nn.Module:
    """``nn.AlphaDropout``"""
    return nn.AlphaDropout(layer.p)


@builds(StochasticDepth)
def build_stochastic_depth(layer: StochasticDepth, shape: Shape) -> nn.Module:
    """The module of torchvision's name, which torch itself lacks."""
    return StochasticDepthModule(layer.p, layer.mode)


@builds(LayerScale)
def build_layer_scale(layer: LayerScale, shape: Shape) -> nn.Module:
    """One factor per channel, starting at ``init_value``."""
    return LayerScaleModule((shape[0], *[1] * (len(shape) - 1)), layer.init_value)
