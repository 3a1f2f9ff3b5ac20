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
from cnncalc.torch.padding import each, ends, explicit_ends, flat, symmetric
from cnncalc.torch.registry import builds

CONVS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONV_TRANSPOSES: tuple[type[nn.Module], ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _fields(layer: Conv | ConvTranspose, shape: Shape) -> dict[str, Any]:
    return {
        "in_channels": shape[0],
        "out_channels": layer.out,
        "kernel_size": layer.kernel,
        "stride": layer.stride,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "bias": layer.bias,
    }


@builds(Conv)
def build_conv(layer: Conv, shape: Shape) -> nn.Module:
    """``nn.ConvNd``, with padding by hand where it is ``same`` or differs between the two ends."""
    rank = len(shape) - 1
    fields, make = _fields(layer, shape), CONVS[rank - 1]
    pairs = ends(layer.padding, shape[1:], layer.kernel, layer.stride, layer.dilation)
    padding = symmetric(pairs, rank)
    if padding is not None:
        return make(**fields, padding=padding, padding_mode=layer.padding_mode)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    module = make(**fields)
    module.register_forward_pre_hook(Hook(Function(F.pad, pad=flat(pairs), mode=mode)))
    return module


@builds(ConvTranspose)
def build_conv_transpose(layer: ConvTranspose, shape: Shape) -> nn.Module:
    """``nn.ConvTransposeNd``; padding that differs between the two ends becomes a crop of the output."""
    rank = len(shape) - 1
    fields, make = _fields(layer, shape), CONV_TRANSPOSES[rank - 1]
    fields["output_padding"] = layer.output_padding
    padding = symmetric(layer.padding, rank)
    if padding is not None:
        return make(**fields, padding=padding)
    module = make(**fields)
    module.register_forward_hook(Hook(Function(F.pad, pad=[-end for end in flat(explicit_ends(layer.padding, rank))])))
    return module


class ConvByTensor(nn.Module):
    """A convolution whose weight and bias come in: one for all samples, or one for each of them."""

    def __init__(self, layer: FunctionalConv, rank: int) -> None:
        super().__init__()
        self.layer, self.rank = layer, rank
        self.convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``F.convNd``, sample by sample where the weights differ."""
        layer, rank = self.layer, self.rank
        kernel, stride, dilation = weight.shape[3:], each(layer.stride, rank), each(layer.dilation, rank)
        x = F.pad(x, flat(ends(layer.padding, tuple(x.shape[2:]), kernel, stride, dilation)))
        shared: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": layer.groups}
        if weight.shape[0] == 1:
            out: Tensor = self.convolve(x, weight[0], None, **shared)
        else:
            out = torch.cat([self.convolve(x[n : n + 1], one, None, **shared) for n, one in enumerate(weight)])
        return out if bias is None else out + bias.reshape(bias.shape[0], -1, *(1,) * rank)


@builds(FunctionalConv)
def build_functional_conv(layer: FunctionalConv, shape: Shape, weight: Shape, bias: Shape = ()) -> nn.Module:
    """``F.convNd``."""
    return ConvByTensor(layer, len(shape) - 1)
