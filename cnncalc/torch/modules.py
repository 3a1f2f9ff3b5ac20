"""Modules of layers that ``torch.nn`` lacks, or to which it gives other names for other inputs."""

from __future__ import annotations

from torch import nn

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Shape
from cnncalc.layers.regularization import ChannelDropout, LayerScale, StochasticDepth
from cnncalc.layers.resample import Upsample
from cnncalc.layers.tensor import Constant, Opaque, Parameter
from cnncalc.torch import parts
from cnncalc.torch.registry import builds, standard


@builds(Upsample)
def build_upsample(layer: Upsample, shape: Shape) -> nn.Module:
    """``nn.Upsample``; ``linear`` has another name there for each number of axes."""
    names = {"linear": ("linear", "bilinear", "trilinear")[len(shape) - 2]}
    return standard(layer, shape, mode=names.get(layer.mode, layer.mode), align_corners=layer.align_corners or None)


@builds(ChannelDropout)
def build_channel_dropout(layer: ChannelDropout, shape: Shape) -> nn.Module:
    """``nn.DropoutNd``; ordinary dropout where there are channels alone."""
    return standard(layer, shape, name=layer.torch_module(shape))


@builds(StochasticDepth)
def build_stochastic_depth(layer: StochasticDepth, shape: Shape) -> nn.Module:
    """The module of torchvision's name, which torch itself lacks."""
    return parts.StochasticDepth(layer.p, layer.mode)


@builds(LayerScale)
def build_layer_scale(layer: LayerScale, shape: Shape) -> nn.Module:
    """One factor per channel, starting at ``init_value``."""
    return parts.LayerScale(shape[0], layer.init_value, len(shape) - 1)


@builds(Parameter)
def build_parameter(layer: Parameter) -> nn.Module:
    """``nn.Parameter`` in a module."""
    return parts.LearnedTensor(layer.shape)


@builds(Constant)
def build_constant(layer: Constant) -> nn.Module:
    """A buffer, or a tensor beside the module's state."""
    return parts.FixedTensor(layer.shape, layer.buffer)


@builds(Opaque)
def build_opaque(layer: Opaque, *shapes: Shape) -> nn.Module:
    """Always fails: an unknown operator cannot be built.

    Raises:
        CnncalcError: always.
    """
    raise CnncalcError(f"{layer.operator} has no layer here, so no module can be built of it")
