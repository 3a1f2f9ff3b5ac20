"""Dropout and its kin in PyTorch."""

from __future__ import annotations

from torch import nn

from cnncalc.layers.base import Shape
from cnncalc.layers.regularization import (
    AlphaDropout,
    ChannelDropout,
    Dropout,
    Identity,
    LayerScale,
    StochasticDepth,
)
from cnncalc.torch import parts
from cnncalc.torch.registry import builds

CHANNEL_DROPOUTS: tuple[type[nn.Module], ...] = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


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
    return parts.StochasticDepth(layer.p, layer.mode)


@builds(LayerScale)
def build_layer_scale(layer: LayerScale, shape: Shape) -> nn.Module:
    """One factor per channel, starting at ``init_value``."""
    return parts.LayerScale(shape[0], layer.init_value, len(shape) - 1)
