"""Convolutions in PyTorch, from the fields as written. Padding that PyTorch's own modules do not take
is done by hand in a hook, so that the module stays ``nn.ConvNd`` and its parameters keep their names.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn

from cnncalc.layers.base import Shape
from cnncalc.layers.conv import Conv, ConvTranspose, FunctionalConv
from cnncalc.torch.function import Function, Hook
from cnncalc.torch.padding import ends, explicit_ends, flat, symmetric
from cnncalc.torch.registry import builds, standard


@builds(Conv)
def build_conv(layer: Conv, shape: Shape) -> nn.Module:
    """``nn.ConvNd``, with padding by hand where it is ``same`` or differs between the two ends."""
    pairs = ends(layer.padding, shape[1:], layer.kernel, layer.stride, layer.dilation)
    padding = symmetric(pairs, len(shape) - 1)
    if padding is not None:
        return standard(layer, shape, padding=padding)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    module = standard(layer, shape, padding=0, padding_mode="zeros")
    module.register_forward_pre_hook(Hook(Function(F.pad, pad=flat(pairs), mode=mode)))
    return module


@builds(ConvTranspose)
def build_conv_transpose(layer: ConvTranspose, shape: Shape) -> nn.Module:
    """``nn.ConvTransposeNd``; padding that differs between the two ends becomes a crop of the output."""
    rank = len(shape) - 1
    padding = symmetric(layer.padding, rank)
    if padding is not None:
        return standard(layer, shape, padding=padding)
    module = standard(layer, shape, padding=0)
    module.register_forward_hook(Hook(Function(F.pad, pad=[-end for end in flat(explicit_ends(layer.padding, rank))])))
    return module


class ConvByTensor(nn.Module):
    """A convolution whose weight and bias come in: one for all samples, or one for each of them."""

    def __init__(self, layer: FunctionalConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``F.convNd``, sample by sample where the weights differ."""
        layer, sizes, kernel = self.layer, tuple(x.shape[2:]), tuple(weight.shape[3:])
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(sizes) - 1]
        x = F.pad(x, flat(ends(layer.padding, sizes, kernel, layer.stride, layer.dilation)))
        shared: dict[str, Any] = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
        if len(weight) == 1:
            out: Tensor = convolve(x, weight[0], None, **shared)
        else:
            pairs = zip(x.split(1), weight, strict=True)
            out = torch.cat([convolve(sample, one, None, **shared) for sample, one in pairs])
        return out if bias is None else out + bias.reshape(len(bias), -1, *(1 for _ in sizes))


@builds(FunctionalConv)
def build_functional_conv(layer: FunctionalConv, shape: Shape, weight: Shape, bias: Shape = ()) -> nn.Module:
    """``F.convNd``."""
    return ConvByTensor(layer)
