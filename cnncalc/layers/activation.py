"""Activations. Each class states its operations per element; exp, log, tanh and erf count as one each.

The gains are those of ``torch.nn.init.calculate_gain`` where it has one (He et al. 2015, eqs. 10 and 15, for the
rectifiers). For the smooth rectifiers it is ``1/√E[f(z)²]`` with z standard normal, the condition from
which He et al. derive ``√2``; the others use the gain of the function that they imitate, or have none.
"""

from __future__ import annotations

from math import erfc, exp, pi, prod, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta
from msgspec.structs import replace

from cnncalc.errors import LayerError
from cnncalc.formulas.receptive_field import Taps, Window
from cnncalc.layers.axes import channels
from cnncalc.layers.base import (
    EVERYTHING,
    MOST_REAL,
    Activation,
    Elementwise,
    Positive,
    Reads,
    Shape,
    Weight,
    along,
    check_finite,
    normal_axis,
    pointwise,
)

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

RECTIFIER_GAIN = sqrt(2)
"""He et al. 2015, eq. 10: half of a symmetric distribution's second moment remains."""


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""The fixed point of Klambauer et al. 2017, arXiv:1706.02515, eq. 14."""

SERIES = 30.0
"""Above this the asymptotic series of ``erfc`` is as exact as a float; ``exp(SERIES²/2)`` is still one."""


def exponential_gain(scale: float, rate: float) -> float:
    """``1/√E[f(z)²]`` for ``f(z) = z`` where positive, else ``scale·(exp(rate·z) − 1)``, and z standard normal; 0 where
    the mean overflows.
    """

    def below(power: float) -> float:
        """The mean of ``exp(power·z)`` over the negative z; for a large power by the asymptotic series of ``erfc``."""
        if power > SERIES:
            return (1 - 1 / power**2 + 3 / power**4) / (power * sqrt(2 * pi))
        return exp(power**2 / 2) * erfc(power / sqrt(2)) / 2

    if rate < -SERIES / 2:
        return 0.0
    if abs(rate) < 1 / SERIES**2:  # the terms nearly cancel: exp(x) − 1 is x + x²/2 + x³/6
        negative = rate**2 * (0.5 - sqrt(2 / pi) * rate + 7 / 8 * rate**2)
    else:
        negative = below(2 * rate) - 2 * below(rate) + 0.5
    return 1 / sqrt(0.5 + scale**2 * negative)


def sigmoid(x: Any, m: Any) -> Any:
    """``1/(1 + exp(−x))``, written as ``exp(−log(1 + exp(−x)))``, which neither overflows nor cancels."""
    return m.exp(-m.softplus(-x))


class Relu(Activation, frozen=True):
    """``max(x, 0)``, as ``torch.nn.ReLU``. Elementwise operations: 1 comparison."""

    torch_name = "ReLU"
    ops_per_element = 1
    in_place = True
    keeps_output = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.maximum(x, 0)

    def gain(self) -> float:
        return RECTIFIER_GAIN


class Relu6(Activation, frozen=True):
    """``min(max(x, 0), 6)``, as ``torch.nn.ReLU6``. Elementwise operations: 2 comparisons."""

    torch_name = "ReLU6"
    ops_per_element = 2
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.clip(x, 0.0, 6.0)

    def gain(self) -> float:
        return RECTIFIER_GAIN

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.alike(inputs[0], keep=inputs)


class LeakyRelu(Activation, frozen=True):
    """``x`` where positive, else ``negative_slope·x``, as ``torch.nn.LeakyReLU``.

    Elementwise operations: 1 comparison, 1 product.
    """

    torch_name = "LeakyReLU"
    aliases = ("lrelu", "leakyrelu")
    ops_per_element = 2
    in_place = True

    negative_slope: float = 0.01

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(x > 0, x, self.negative_slope * x)

    def gain(self) -> float:
        return sqrt(2 / (1 + self.negative_slope**2))


class Prelu(Activation, frozen=True):
    """``x`` where positive, else ``weight·x`` with one learned slope or one per channel, as ``torch.nn.PReLU``.

    Elementwise operations: 1 comparison, 1 product.
    """

    torch_name = "PReLU"
    ops_per_element = 2

    num_parameters: Positive = 1
    init: float = 0.25

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if self.num_parameters != 1 and self.num_parameters != channels(shape):
            raise LayerError(
                f"num_parameters {self.num_parameters} is neither 1 nor the {shape[0]} channels",
                field="num_parameters",
                hint=f"use 1 for one slope, or {shape[0]} (in_channels) for one per channel",
            )
        return shape

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_parameters,)),)

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(x > 0, x, weights[0] * x)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.alike(x, tape.weight(), keep=(x,))

    def narrowed(self, divisor: int, *inputs: Shape) -> Prelu:
        return self if self.num_parameters == 1 else replace(self, num_parameters=inputs[0][0])

    def gain(self) -> float:
        return sqrt(2 / (1 + self.init**2))


class Elu(Activation, frozen=True):
    """``x`` where positive, else ``alpha·(exp(x) − 1)``, as ``torch.nn.ELU``.

    Elementwise operations: 1 comparison, 1 exp, 1 subtraction, 1 product.
    """

    torch_name = "ELU"
    ops_per_element = 4
    in_place = True

    alpha: float = 1.0

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(x > 0, x, self.alpha * m.expm1(m.minimum(x, 0)))

    def gain(self) -> float:
        return exponential_gain(self.alpha, 1.0)


class Selu(Activation, frozen=True):
    """``scale·(x where positive, else alpha·(exp(x) − 1))`` with fixed constants, as ``torch.nn.SELU``.

    Elementwise operations: 1 comparison, 1 exp, 1 subtraction, 2 products.
    """

    torch_name = "SELU"
    ops_per_element = 5
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return SELU_SCALE * Elu(alpha=SELU_ALPHA).function(x, m)

    def gain(self) -> float:
        return 3 / 4


class Celu(Activation, frozen=True):
    """``x`` where positive, else ``alpha·(exp(x/alpha) − 1)``, as ``torch.nn.CELU``.

    Elementwise operations: 1 comparison, 1 division, 1 exp, 1 subtraction, 1 product.
    """

    torch_name = "CELU"
    ops_per_element = 5
    in_place = True

    alpha: float = 1.0

    def output_shape(self, *inputs: Shape) -> Shape:
        check_finite(self.alpha, "alpha")
        if self.alpha == 0:
            raise LayerError("alpha must not be zero", field="alpha")
        if 1 / abs(self.alpha) > MOST_REAL:
            raise LayerError(
                f"alpha {self.alpha:g} is too close to zero: its reciprocal overflows float32", field="alpha"
            )
        return inputs[0]

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(x > 0, x, self.alpha * m.expm1(m.minimum(x, 0) / self.alpha))

    def gain(self) -> float:
        return exponential_gain(self.alpha, 1 / self.alpha)


class Gelu(Activation, frozen=True):
    """``x·½·(1 + erf(x/√2))``, as ``torch.nn.GELU``; ``approximate: tanh`` for
    ``x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))``.

    Elementwise operations: 1 division, 1 erf, 1 addition, 2 products; the approximation 2
    additions, 1 tanh and 6 products.
    """

    torch_name = "GELU"
    ops_per_element = 5

    approximate: Literal["none", "tanh"] = "none"

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0]) * (9 if self.approximate == "tanh" else self.ops_per_element)

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        if self.approximate == "tanh":
            return 0.5 * x * (1 + m.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + m.erf(x / sqrt(2)))

    def gain(self) -> float:
        return 1.5335805214227571 if self.approximate == "tanh" else 1.5335304409521535


class Silu(Activation, frozen=True):
    """``x·sigmoid(x)``, as ``torch.nn.SiLU``. Elementwise operations: 4 for the sigmoid, 1 product."""

    torch_name = "SiLU"
    aliases = ("swish",)
    ops_per_element = 5
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return x * sigmoid(x, m)

    def gain(self) -> float:
        return 1.6765324700650142


class Mish(Activation, frozen=True):
    """``x·tanh(log(1 + exp(x)))``, as ``torch.nn.Mish``.

    Elementwise operations: 1 exp, 1 addition, 1 log, 1 tanh, 1 product.
    """

    torch_name = "Mish"
    ops_per_element = 5
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return x * m.tanh(m.softplus(x))

    def gain(self) -> float:
        return 1.4868475810372352


class Hardsigmoid(Activation, frozen=True):
    """``min(max(x + 3, 0), 6)/6``, as ``torch.nn.Hardsigmoid``.

    Elementwise operations: 1 addition, 2 comparisons, 1 division.
    """

    torch_name = "Hardsigmoid"
    aliases = ("hard_sigmoid", "hsigmoid", "h_sigmoid")
    ops_per_element = 4
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.clip(x + 3, 0.0, 6.0) / 6

    def gain(self) -> float:
        return 1.0


class Hardswish(Activation, frozen=True):
    """``x·hardsigmoid(x)``, as ``torch.nn.Hardswish``. Elementwise operations: 4 for the hardsigmoid, 1 product."""

    torch_name = "Hardswish"
    aliases = ("hard_swish", "hswish", "h_swish")
    ops_per_element = 5
    in_place = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return x * Hardsigmoid().function(x, m)

    def gain(self) -> float:
        return 1.736657212490632


class Hardtanh(Activation, frozen=True):
    """``min(max(x, min_val), max_val)``, as ``torch.nn.Hardtanh``. Elementwise operations: 2 comparisons."""

    torch_name = "Hardtanh"
    aliases = ("hard_tanh",)
    ops_per_element = 2
    in_place = True

    min_val: float = -1.0
    max_val: float = 1.0

    def output_shape(self, *inputs: Shape) -> Shape:
        if not self.min_val < self.max_val:
            raise LayerError(f"min_val {self.min_val:g} must be below max_val {self.max_val:g}", field="min_val")
        return inputs[0]

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.clip(x, self.min_val, self.max_val)

    def gain(self) -> float:
        return 5 / 3

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return tape.alike(inputs[0], keep=inputs)


class Softsign(Activation, frozen=True):
    """``x/(1 + |x|)``, as ``torch.nn.Softsign``. Elementwise operations: 1 absolute value, 1 addition, 1 division."""

    torch_name = "Softsign"
    ops_per_element = 3

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return x / (1 + m.abs(x))

    def gain(self) -> float:
        return 5 / 3

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        size = tape.pointwise(x, keep=(x,))
        divisor = tape.pointwise(size, scalar=True)
        tape.free(size)
        return tape.quotient(x, divisor)


class Softshrink(Activation, frozen=True):
    """``x − lambd`` above ``lambd``, ``x + lambd`` below ``−lambd``, else 0, as ``torch.nn.Softshrink``.

    Elementwise operations: 2 comparisons, 1 addition.
    """

    torch_name = "Softshrink"
    ops_per_element = 3

    lambd: Annotated[float, Meta(ge=0)] = 0.5

    def output_shape(self, *inputs: Shape) -> Shape:
        check_finite(self.lambd, "lambd")
        return inputs[0]

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(m.abs(x) <= self.lambd, 0.0, x - self.lambd * m.sign(x))


class Hardshrink(Activation, frozen=True):
    """``x`` beyond ``±lambd``, else 0, as ``torch.nn.Hardshrink``. Elementwise operations: 2 comparisons."""

    torch_name = "Hardshrink"
    ops_per_element = 2

    lambd: float = 0.5

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(m.abs(x) <= self.lambd, 0.0, x)


class Tanhshrink(Activation, frozen=True):
    """``x − tanh(x)``, as ``torch.nn.Tanhshrink``. Elementwise operations: 1 tanh, 1 subtraction."""

    torch_name = "Tanhshrink"
    ops_per_element = 2

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return x - m.tanh(x)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        tanh = tape.pointwise(x)
        tape.keep(tanh, tanh)
        return tape.pointwise(x, tanh)


class Threshold(Activation, frozen=True):
    """``x`` above ``threshold``, else ``value``, as ``torch.nn.Threshold``. Elementwise operations: 1 comparison."""

    torch_name = "Threshold"
    ops_per_element = 1
    in_place = True

    threshold: float
    value: float

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(x <= self.threshold, self.value, x)


class Sigmoid(Activation, frozen=True):
    """``1/(1 + exp(−x))``, as ``torch.nn.Sigmoid``.

    Elementwise operations: 1 negation, 1 exp, 1 addition, 1 division.
    """

    torch_name = "Sigmoid"
    ops_per_element = 4
    keeps_output = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return sigmoid(x, m)

    def gain(self) -> float:
        return 1.0


class LogSigmoid(Activation, frozen=True):
    """``−log(1 + exp(−x))``, as ``torch.nn.LogSigmoid``.

    Elementwise operations: 2 negations, 1 exp, 1 addition, 1 log.
    """

    torch_name = "LogSigmoid"
    aliases = ("logsigmoid",)
    ops_per_element = 5

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return -m.softplus(-x)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.new(x.shape, x, keep=(x, tape.new(x.shape)))  # the second is exp(−|x|)


class Tanh(Activation, frozen=True):
    """``tanh(x)``, as ``torch.nn.Tanh``. Elementwise operations: 1 tanh."""

    torch_name = "Tanh"
    ops_per_element = 1
    keeps_output = True

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.tanh(x)

    def gain(self) -> float:
        return 5 / 3


class Softplus(Activation, frozen=True):
    """``log(1 + exp(beta·x))/beta``, as ``torch.nn.Softplus``, which is linear where ``beta·x > threshold``.

    Elementwise operations: 1 product, 1 exp, 1 addition, 1 log, 1 division.
    """

    torch_name = "Softplus"
    ops_per_element = 5

    beta: float = 1.0
    threshold: float = 20.0

    def function(self, x: Any, m: Any, *weights: Any) -> Any:
        return m.where(self.beta * x > self.threshold, x, m.softplus(self.beta * x) / self.beta)


class AlongAxis(Elementwise, frozen=True):
    """Base of the activations over all elements along one axis."""

    abstract = True
    field_aliases: ClassVar[dict[str, str]] = {"dim": "axis"}

    axis: int = 0

    def ops_per_line(self, size: int) -> int:
        """Elementwise operations for one line of ``size`` elements along the axis."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        normal_axis(self.axis, len(inputs[0]))
        return inputs[0]

    def elementwise_ops(self, *inputs: Shape) -> int:
        (shape,) = inputs
        size = shape[normal_axis(self.axis, len(shape))]
        return prod(shape) // size * self.ops_per_line(size)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        out = tape.new(inputs[0].shape, *inputs)
        tape.keep(out, out)
        return out

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        whole = normal_axis(self.axis, len(shape))
        return (tuple(EVERYTHING if axis == whole else along(axis) for axis in range(len(shape))),)


class Softmax(AlongAxis, frozen=True):
    """``exp(x)/Σ exp(x)`` along ``axis`` (0 = channels), as ``torch.nn.Softmax``.

    Elementwise operations for n elements: n exps, n − 1 additions, n divisions. (The maximum that an
    implementation subtracts first, so as not to overflow, is not counted.)
    """

    torch_name = "Softmax"
    aliases = ("softmax2d",)
    ops_per_element = 3

    def ops_per_line(self, size: int) -> int:
        return 3 * size - 1


class Softmin(AlongAxis, frozen=True):
    """``softmax(−x)`` along ``axis`` (0 = channels), as ``torch.nn.Softmin``.

    Elementwise operations for n elements: n negations, and ``3n − 1`` for the softmax.
    """

    torch_name = "Softmin"
    ops_per_element = 4

    def ops_per_line(self, size: int) -> int:
        return 4 * size - 1

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        return super().forward(tape, tape.pointwise(*inputs))


class LogSoftmax(AlongAxis, frozen=True):
    """``x − log Σ exp(x)`` along ``axis`` (0 = channels), as ``torch.nn.LogSoftmax``.

    Elementwise operations for n elements: n exps, n − 1 additions, 1 log, n subtractions. (The
    maximum that an implementation subtracts first is not counted.)
    """

    torch_name = "LogSoftmax"
    ops_per_element = 3

    def ops_per_line(self, size: int) -> int:
        return 3 * size


class Glu(AlongAxis, frozen=True):
    """``a·sigmoid(b)`` for the first and second half of ``axis`` (0 = channels), as ``torch.nn.GLU``.

    Elementwise operations per output element: 4 for the sigmoid, 1 product.
    """

    torch_name = "GLU"
    ops_per_element = 5

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = normal_axis(self.axis, len(shape))
        if shape[axis] % 2:
            raise LayerError(
                f"axis {self.axis} has {shape[axis]} elements, which is odd",
                field="axis",
                hint="glu multiplies one half of the axis by the sigmoid of the other",
            )
        return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])

    def ops_per_line(self, size: int) -> int:
        return 5 * (size // 2)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        axis = normal_axis(self.axis, len(x.shape) - 1) + 1
        half = tape.narrow(x, axis, x.shape[axis] // 2)
        return tape.pointwise(half, half, keep=(x,))

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        halved = normal_axis(self.axis, len(shape))
        half = shape[halved] // 2
        read = along(halved, Window(1, (Taps(0, half, half),)))
        return (tuple(read if axis == halved else point for axis, point in enumerate(pointwise(shape))),)
