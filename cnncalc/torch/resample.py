"""Interpolation, and the moves between channels and space, in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnncalc.layers.base import Shape
from cnncalc.layers.resample import ChannelShuffle, PixelShuffle, PixelUnshuffle, Upsample
from cnncalc.torch.registry import builds


@builds(Upsample)
def build_upsample(layer: Upsample, shape: Shape) -> nn.Module:
    """``nn.Upsample``; ``linear`` has another name there for each number of axes."""
    rank = len(shape) - 1
    fields: dict[str, Any] = {"mode": layer.mode}
    if layer.mode == "linear":
        fields["mode"] = ("linear", "bilinear", "trilinear")[rank - 1]
    if layer.align_corners:
        fields["align_corners"] = True
    if layer.size is None:
        return nn.Upsample(scale_factor=layer.scale_factor, **fields)
    return nn.Upsample(size=layer.size, **fields)


@builds(PixelShuffle)
def build_pixel_shuffle(layer: PixelShuffle, shape: Shape) -> nn.Module:
    """``nn.PixelShuffle``."""
    return nn.PixelShuffle(layer.upscale_factor)


@builds(PixelUnshuffle)
def build_pixel_unshuffle(layer: PixelUnshuffle, shape: Shape) -> nn.Module:
    """``nn.PixelUnshuffle``."""
    return nn.PixelUnshuffle(layer.downscale_factor)


@builds(ChannelShuffle)
def build_channel_shuffle(layer: ChannelShuffle, shape: Shape) -> nn.Module:
    """``nn.ChannelShuffle``."""
    return nn.ChannelShuffle(layer.groups)
