"""Layers that matter in training and (but for layer_scale) do nothing in inference, whose costs are counted."""

from __future__ import annotations

from typing import Literal

from cnncalc.layers.axes import channels
from cnncalc.layers.base import Call, Elementwise, Movement, Probability, Shape, Weight
from cnncalc.layers.resample import simplest_ratio


class PassThrough(Movement, frozen=True):
    """Base of layers that hand their input on."""

    abstract = True
    is_view = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


class Identity(PassThrough, frozen=True):
    """The tensor itself, as ``torch.nn.Identity``. Elementwise operations: none."""

    torch_name = "Identity"


class Dropout(PassThrough, frozen=True):
    """In training zeroes elements with probability ``p``, as ``torch.nn.Dropout``. Elementwise operations: none
    in inference.
    """

    torch_name = "Dropout"

    p: Probability = 0.5


class ChannelDropout(PassThrough, frozen=True):
    """In training zeroes whole channels with probability ``p``, as ``torch.nn.Dropout2d``; an input without
    spatial axes has channels of one element. Elementwise operations: none in inference.
    """

    aliases = ("dropout1d", "dropout2d", "dropout3d", "spatial_dropout", "feature_dropout")

    p: Probability = 0.5

    def torch_module(self, *inputs: Shape) -> str:
        return "Dropout" if len(inputs[0]) == 1 else f"Dropout{len(inputs[0]) - 1}d"


class AlphaDropout(PassThrough, frozen=True):
    """In training sets elements to SELU's negative saturation with probability ``p``, keeping mean and
    variance, as ``torch.nn.AlphaDropout``. Elementwise operations: none in inference.
    """

    torch_name = "AlphaDropout"

    p: Probability = 0.5


class StochasticDepth(PassThrough, frozen=True):
    """In training zeroes the whole tensor with probability ``p``, for each sample (``row``) or for the ``batch``
    at once (Huang et al. 2016), as torchvision's ``StochasticDepth``. Elementwise operations: none in inference.
    """

    aliases = ("drop_path", "droppath")

    p: Probability
    mode: Literal["batch", "row"] = "row"

    def drop_probability(self) -> tuple[int, int]:
        return simplest_ratio(self.p)


class LayerScale(Elementwise, frozen=True):
    """Product with a learned factor per channel that starts at ``init_value`` (Touvron et al. 2021, CaiT),
    as in torchvision's ConvNeXt.

    Elementwise operations: 1 product per element.
    """

    aliases = ("layerscale",)
    ops_per_element = 1

    init_value: float = 1e-6

    def output_shape(self, *inputs: Shape) -> Shape:
        channels(inputs[0])
        return inputs[0]

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call("mul", inputs, inputs[0]),)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        return (Weight("weight", (shape[0], *(1 for _ in shape[1:])), multiplies=False),)
