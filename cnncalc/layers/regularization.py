"""Layers that matter in training and (except layer_scale) do nothing in inference, whose costs are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cnncalc.layers.axes import channels, check_rank
from cnncalc.layers.base import Call, Elementwise, Movement, Probability, Shape, Weight
from cnncalc.layers.resample import simplest_ratio

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


class PassThrough(Movement, frozen=True):
    """Base of layers that pass their input on."""

    abstract = True
    role = "pass-through"
    is_view = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return inputs[0]


class Noise(PassThrough, frozen=True):
    """Base of layers that drop something with probability ``p`` in training."""

    abstract = True

    def drop(self, tape: Tape, x: Held) -> Held:
        """The input with something dropped, where ``p`` is above 0."""
        raise NotImplementedError

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        p: float = getattr(self, "p")  # noqa: B009  (a field of the classes below, each with its own default)
        return self.drop(tape, *inputs) if tape.training and p > 0 else inputs[0]


class Identity(PassThrough, frozen=True):
    """The tensor itself, as ``torch.nn.Identity``. Elementwise operations: none."""

    torch_name = "Identity"


class Dropout(Noise, frozen=True):
    """In training zeroes elements with probability ``p``, as ``torch.nn.Dropout``. Elementwise operations: none
    in inference.
    """

    torch_name = "Dropout"

    p: Probability = 0.5

    def drop(self, tape: Tape, x: Held) -> Held:
        return tape.product(x, tape.new(()) if self.p == 1 else tape.pointwise(x)._replace(grad=False))


class ChannelDropout(Noise, frozen=True):
    """In training zeroes whole channels with probability ``p``, as ``torch.nn.Dropout2d``; an input without
    spatial axes has channels of one element. Elementwise operations: none in inference.
    """

    aliases = ("dropout1d", "dropout2d", "dropout3d", "spatial_dropout", "feature_dropout")

    p: Probability = 0.5

    def output_shape(self, *inputs: Shape) -> Shape:
        channels(inputs[0])
        check_rank(inputs[0])
        return inputs[0]

    def torch_module(self, *inputs: Shape) -> str:
        return "Dropout" if len(inputs[0]) == 1 else f"Dropout{len(inputs[0]) - 1}d"

    def drop(self, tape: Tape, x: Held) -> Held:
        return tape.product(x, tape.new(() if self.p == 1 else (*x.shape[:2], *(1 for _ in x.shape[2:]))))


class AlphaDropout(Noise, frozen=True):
    """In training sets elements to SELU's negative saturation with probability ``p``, keeping mean and
    variance, as ``torch.nn.AlphaDropout``. Elementwise operations: none in inference.
    """

    torch_name = "AlphaDropout"

    p: Probability = 0.5

    def drop(self, tape: Tape, x: Held) -> Held:
        if self.p == 1:
            return tape.product(x, tape.new(()))
        factor = tape.pointwise(x)._replace(grad=False)
        tape.pointwise(factor)  # what replaces a dropped value
        return tape.product(x, factor)


class StochasticDepth(Noise, frozen=True):
    """In training zeroes the whole tensor with probability ``p``, for each sample (``row``) or for the ``batch``
    at once (Huang et al. 2016), as torchvision's ``StochasticDepth``. Elementwise operations: none in inference.
    """

    aliases = ("drop_path", "droppath")

    p: Probability
    mode: Literal["batch", "row"] = "row"

    def drop_probability(self) -> tuple[int, int]:
        return simplest_ratio(self.p)

    def drop(self, tape: Tape, x: Held) -> Held:
        shape = (tape.batch if self.mode == "row" else 1, *(1 for _ in x.shape[1:]))
        probabilities = tape.new(shape)
        keep = tape.new(shape)
        tape.free(probabilities)
        return tape.product(x, keep if self.p == 1 else tape.new(shape, keep))


class LayerScale(Elementwise, frozen=True):
    """Product with a learned factor per channel that starts at ``init_value`` (Touvron et al. 2021, CaiT),
    as in torchvision's ConvNeXt.

    Elementwise operations: 1 product per element.
    """

    role = "scale"
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

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.product(x, tape.weight(x.shape[1], *(1 for _ in x.shape[2:])))
