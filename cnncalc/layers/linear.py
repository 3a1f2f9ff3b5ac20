"""Fully connected layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnncalc.errors import LayerError
from cnncalc.formulas.nest import Nest, Operand, loop
from cnncalc.layers.base import Call, Positive, Product, Shape

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


class Linear(Product, frozen=True):
    """Linear map of the last axis, at every place of the others, as ``torch.nn.Linear``.

    Elementwise operations: one addition per output element where there is a bias.
    """

    torch_name = "Linear"
    aliases = ("fc", "dense", "fully_connected")
    field_aliases: ClassVar[dict[str, str]] = {"out_features": "out"}
    symbols: ClassVar[dict[str, str]] = {"out": "F_out"}

    out: Positive
    bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if not shape:
            raise LayerError("needs an input with at least one axis, got a scalar")
        return (*shape[:-1], self.out)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        *leading, features = inputs[0]
        places = {f"n{axis}": size for axis, size in enumerate(leading)}
        loops = places | {"o": self.out, "f": features}
        output = (*map(loop, places), loop("o"))
        x = Operand(0, inputs[0], (*map(loop, places), loop("f")))
        weight = Operand("weight", (self.out, features), (loop("o"), loop("f")))
        bias = Operand("bias", (self.out,), (loop("o"),)) if self.bias else None
        return (Nest(loops, output, (*leading, self.out), (x, weight), start=bias),)

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
