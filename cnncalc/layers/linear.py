"""Fully connected layers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar

from cnncalc.errors import LayerError
from cnncalc.formulas import cost
from cnncalc.layers.base import EVERYTHING, Call, Layer, Positive, Reads, Shape, Weight, pointwise

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


class Linear(Layer, frozen=True):
    """Linear map of the last axis, at every place of the others, as ``torch.nn.Linear``.

    Elementwise operations: one addition per output element where there is a bias.
    """

    torch_name = "Linear"
    aliases = ("fc", "dense", "fully_connected")
    field_aliases: ClassVar[dict[str, str]] = {"out_features": "out"}
    is_product = True
    symbols: ClassVar[dict[str, str]] = {"out": "F_out"}

    out: Positive
    bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if not shape:
            raise LayerError("needs an input with at least one axis, got a scalar")
        return (*shape[:-1], self.out)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out, inputs[0][-1]))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def macs(self, *inputs: Shape) -> int:
        *leading, features = inputs[0]
        return cost.matmul_macs(prod(leading), features, self.out)

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(self.output_shape(*inputs)) if self.bias else 0

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        return ((*(f"N_{axis}" for axis in range(1, len(inputs[0]))), "F_in"),)

    def output_symbols(self, rank: int) -> tuple[str, ...]:
        return (*(f"N_{axis},out" for axis in range(1, rank)), "F_out")

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        out, weight = self.output_shape(*inputs), self.weights(*inputs)[0].shape
        return (Call("linear", inputs, out, self.macs(*inputs), weight=weight, bias=self.bias, reads=0),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.linear(x, tape.weight(self.out, x.shape[-1]), tape.weight(self.out) if self.bias else None)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        return ((*pointwise(inputs[0][:-1]), EVERYTHING),)
