"""Pooling: max, average and Lp over a sliding window; adaptive; global."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from cnncalc.errors import LayerError
from cnncalc.formulas import size as sizes
from cnncalc.formulas.nest import Index, Nest, Operand, loop
from cnncalc.formulas.receptive_field import adaptive_pool_taps, adaptive_pool_window
from cnncalc.layers.axes import (
    Axis,
    Padding,
    Windows,
    axis_name,
    check_fits,
    few_spatial,
    per_axis,
    same_pads,
    window_axes,
)
from cnncalc.layers.base import EVERYTHING, Call, Layer, PerAxis, Positive, Reads, Shape, along, check_finite

IDENTITY = "Identity"
"""The module of ``torch.nn`` that passes its input on."""

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


def check_pads(axes: tuple[Axis, ...]) -> None:
    """PyTorch's rule for pools: a pad is at most half of the kernel (dilation aside).

    Raises:
        LayerError: a larger pad.
    """
    for number, axis in enumerate(axes):
        if max(axis.padding) > axis.kernel // 2:
            raise LayerError(
                f"padding {max(axis.padding)} is more than half of the kernel {axis.kernel} "
                f"along {axis_name(number, len(axes))}",
                field="padding",
                hint=f"a pool takes at most {axis.kernel // 2} here; use a pad layer before it for more",
            )


def check_kernel_within_input(axes: tuple[Axis, ...]) -> None:
    """PyTorch's rule for ``avg_pool3d``: the kernel is no larger than the input itself, without its padding.

    Raises:
        LayerError: it is larger along one of three axes.
    """
    for number, axis in enumerate(axes):
        if len(axes) == 3 and axis.kernel > axis.size:
            raise LayerError(
                f"kernel {axis.kernel} is larger than the input: {axis_name(number, 3)} {axis.size}",
                field="kernel",
                hint="over three spatial axes PyTorch's average pool needs its kernel within the input itself, "
                "without padding; use `padding: same`, or a pad layer before it",
            )


class SlidingPool(Layer, frozen=True):
    """Base of the pools whose window slides over every spatial axis, each channel by itself."""

    abstract = True
    field_aliases: ClassVar[dict[str, str]] = {"kernel_size": "kernel"}
    collect: ClassVar[Literal["sum", "max"]] = "sum"

    kernel: PerAxis
    stride: PerAxis | None = None
    ceil_mode: bool = False

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """Kernel, stride, resolved padding and dilation along each spatial axis."""
        raise NotImplementedError

    def windows(self, *inputs: Shape) -> tuple[Axis, ...]:
        return self.axes(*inputs)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self.axes(shape)
        output_size = sizes.ceil_pool_output_size if self.ceil_mode else sizes.conv_output_size
        out = tuple(output_size(*axis) for axis in axes)
        if min(out) < 1:  # in ceil mode a kernel may stick out of the input, but not by a stride or more
            check_fits(axes)
        return (shape[0], *out)

    def macs(self, *inputs: Shape) -> int:
        return 0

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        out = self.output_shape(*inputs)
        windows = Windows.of(self.axes(inputs[0]), out[1:])
        x = Operand(0, inputs[0], (loop("c"), *windows.slid))
        return (Nest({"c": out[0]} | windows.loops, (loop("c"), *windows.at), out, (x,), self.collect),)

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        """The windows of ``x``, which is padded where PyTorch's own pool does not do so."""
        return tape.mean_pooled(shape, x)

    def scaled(self, tape: Tape, x: Held, out: Held, padded: Shape) -> Held:
        """``out`` cut to its size where ``x`` was padded to the spatial sizes ``padded`` before."""
        return out

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        shape = (tape.batch, *self.output_shape(x.shape[1:]))
        axes = self.axes(x.shape[1:])
        if self.padded(x.shape[1:]) is None:
            return self.pool(tape, x, shape)
        # PyTorch's pools do not take such padding: it is done before; windows of ceil mode that start in it are cut off
        padded = tape.padded(x, tuple(axis.size + sum(axis.padding) for axis in axes))
        bare = (axis._replace(size=axis.size + sum(axis.padding), padding=(0, 0)) for axis in axes)
        output_size = sizes.ceil_pool_output_size if self.ceil_mode else sizes.conv_output_size
        out = self.pool(tape, padded, (*shape[:2], *(output_size(*axis) for axis in bare)))
        tape.free(padded)
        out = self.scaled(tape, x, out, padded.shape[2:])
        for axis, size in enumerate(shape):
            out = tape.narrow(out, axis, size)
        return out

    def ops_per_window(self, taps: int) -> int:
        """Elementwise operations that one output element of ``taps`` inputs takes."""
        raise NotImplementedError

    def elementwise_ops(self, *inputs: Shape) -> int:
        taps = prod(per_axis(self.kernel, len(inputs[0]) - 1, "kernel"))
        return prod(self.output_shape(*inputs)) * self.ops_per_window(taps)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return self.pool_calls(inputs[0], self.kind)

    def padded(self, shape: Shape) -> Shape | None:
        """The input with its padding, where that is added before PyTorch's pool, which does not support it: ``same``,
        and padding that differs between the ends.
        """
        axes = self.axes(shape)
        if getattr(self, "padding", 0) != "same" and all(axis.padding[0] == axis.padding[1] for axis in axes):
            return None
        return (shape[0], *(axis.size + sum(axis.padding) for axis in axes))

    def torch_module(self, *inputs: Shape) -> str:
        return super().torch_module(*inputs) if self.padded(*inputs) is None else ""

    def pool_calls(self, shape: Shape, kind: str) -> tuple[Call, ...]:
        """The call of PyTorch's pool ``kind`` on such an input; the pool sees the padding of a padded one."""
        name, padded = f"{kind}{len(shape) - 1}d", self.padded(shape)
        out = self.output_shape(shape)
        if padded is not None:
            axes = [
                axis._replace(size=size, padding=(0, 0))
                for axis, size in zip(self.axes(shape), padded[1:], strict=True)
            ]
            output_size = sizes.ceil_pool_output_size if self.ceil_mode else sizes.conv_output_size
            out = (shape[0], *(output_size(*axis) for axis in axes))
        # a pool of an input that is padded by hand is not called by its name
        return (Call(name, (padded or shape,), out, patched=f"F.{name}" if padded is None else ""),)


class MaxPool(SlidingPool, frozen=True):
    """Maximum over a sliding window, as ``torch.nn.MaxPool2d``; ``stride`` is ``kernel`` where not given.

    The padding never wins, and is at most half of the kernel. ``same`` padding gives ⌈size/stride⌉
    with the odd pixel after. Elementwise operations: ``K_h·K_w − 1`` comparisons per output
    element, every window taken as full.
    """

    collect = "max"
    torch_name = "MaxPoolNd"
    aliases = ("max_pool1d", "max_pool2d", "max_pool3d", "maxpool", "max_pooling")

    padding: Padding = 0
    dilation: PerAxis = 1

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        stride = self.kernel if self.stride is None else self.stride
        axes = window_axes(shape, self.kernel, stride, self.padding, self.dilation)
        if self.padding != "same":
            check_pads(axes)
        return axes

    def derived(self, *inputs: Shape) -> dict[str, Shape]:
        return same_pads(self.padding, self.axes(inputs[0]))

    def ops_per_window(self, taps: int) -> int:
        return taps - 1

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        return tape.max_pooled(shape, x)


class AvgPool(SlidingPool, frozen=True):
    """Mean over a sliding window, as ``torch.nn.AvgPool2d``; ``stride`` is ``kernel`` where not given.

    The divisor is the number of pixels of the window that lie in the padded input
    (``count_include_pad``), or in the input alone; what a window of ``ceil_mode`` has beyond the
    padding never counts. Padding that differs between the ends, and ``same``, follow the same rule.
    As in PyTorch ``divisor_override`` is there for 2 and 3 spatial axes alone, and over 3 the kernel
    must be within the input without its padding (but for ``same``). Elementwise operations:
    ``K_h·K_w − 1`` additions and 1 division per output element, every window taken as full.
    """

    torch_name = "AvgPoolNd"
    aliases = ("avg_pool1d", "avg_pool2d", "avg_pool3d", "avgpool", "average_pool", "mean_pool")

    padding: Padding = 0
    count_include_pad: bool = True
    divisor_override: int | None = None

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        stride = self.kernel if self.stride is None else self.stride
        axes = window_axes(shape, self.kernel, stride, self.padding)
        if self.padding != "same":
            check_pads(axes)
            check_kernel_within_input(axes)
        return axes

    def output_shape(self, *inputs: Shape) -> Shape:
        out = super().output_shape(*inputs)
        if self.divisor_override == 0:
            raise LayerError("divisor_override must not be zero", field="divisor_override")
        if self.divisor_override is not None and len(out) == 2:
            raise LayerError(
                "avg_pool over one spatial axis has no divisor_override",
                field="divisor_override",
                hint="PyTorch's AvgPool1d does not take it",
            )
        return out

    def derived(self, *inputs: Shape) -> dict[str, Shape]:
        return same_pads(self.padding, self.axes(inputs[0]))

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        (call,) = self.pool_calls(inputs[0], self.kind)
        if self.padded(*inputs) is None or self.count_include_pad or self.divisor_override is not None:
            return (call,)
        # what each window covers, for one channel of one sample
        covered = call._replace(inputs=((1, *call.inputs[0][1:]),), output=(1, *call.output[1:]), batched=False)
        return (call, covered)

    def ops_per_window(self, taps: int) -> int:
        return taps

    def scaled(self, tape: Tape, x: Held, out: Held, padded: Shape) -> Held:
        if self.divisor_override is not None or self.count_include_pad:
            return out
        ones = tape.pointwise(tape.narrow(tape.narrow(x, 0, 1), 1, 1))._replace(grad=False)
        around = tape.padded(ones, padded)
        tape.free(ones)
        counts = tape.mean_pooled((1, 1, *out.shape[2:]), around)
        tape.free(around)
        return tape.quotient(out, counts)


class LpPool(SlidingPool, frozen=True, kw_only=True):
    """Power-average ``(Σ x^p)^(1/p)`` over a sliding window, as ``torch.nn.LPPool2d``; it takes no padding.

    Elementwise operations: ``K_h·K_w`` powers, ``K_h·K_w − 1`` additions and 1 root per output element.
    """

    torch_name = "LPPoolNd"
    aliases = ("lp_pool1d", "lp_pool2d", "lp_pool3d", "lppool")

    norm_type: Annotated[float, Meta(gt=0)]

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        check_finite(self.norm_type, "norm_type")
        axes = window_axes(shape, self.kernel, self.kernel if self.stride is None else self.stride, "valid")
        check_kernel_within_input(axes)
        return axes

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        out = self.output_shape(*inputs)
        return (
            *self.pool_calls(inputs[0], AvgPool.kind),
            Call("relu", (out,), out, patched="F.relu"),
            Call("mul", (out,), out),
            Call("mul", (out,), out, patched="Tensor.mul"),
        )

    def ops_per_window(self, taps: int) -> int:
        return 2 * taps

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        """``(sign(m)·relu(|m|)·n)^(1/p)`` of the mean ``m`` of ``n`` powers, as ``torch.nn.functional`` has it."""
        powers = tape.pointwise(x, keep=(x,))
        mean = tape.mean_pooled(shape, powers)
        tape.free(powers)
        sign = tape.pointwise(mean)
        absolute = tape.pointwise(mean, keep=(mean,))
        positive = tape.pointwise(absolute)
        tape.keep(positive, positive)
        tape.free(absolute)
        signed = tape.product(sign, positive)
        tape.free(sign, positive)
        total = tape.pointwise(signed)
        tape.free(signed)
        return tape.pointwise(total, keep=(total,))


class AdaptivePool(Layer, frozen=True):
    """Base of the pools that are given their output size: unit ``i`` of ``O`` reads ``[⌊i·H/O⌋, ⌈(i+1)·H/O⌉)``."""

    abstract = True
    field_aliases: ClassVar[dict[str, str]] = {"size": "output_size"}

    output_size: Positive | tuple[Positive | None, ...] | None

    def per_axis_sizes(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Input and output size of each spatial axis."""
        old = few_spatial(shape)
        given = self.output_size
        new = given if isinstance(given, tuple) else (given,) * len(old)
        if len(new) != len(old):
            raise LayerError(
                f"output_size has {len(new)} values, the input has {len(old)} spatial "
                f"{'axis' if len(old) == 1 else 'axes'}",
                field="output_size",
                hint=f"give one number for all axes, or {len(old)}; null keeps an axis as it is",
            )
        return tuple((h, h if o is None else o) for h, o in zip(old, new, strict=True))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        pairs = self.per_axis_sizes(shape)
        return (shape[0], *(out for _, out in pairs))

    def macs(self, *inputs: Shape) -> int:
        return 0

    def taps(self, shape: Shape) -> int:
        """Input elements read over all output elements, repeats counted."""
        return shape[0] * prod(adaptive_pool_taps(size, out) for size, out in self.per_axis_sizes(shape))

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        name = f"{self.kind}{len(inputs[0]) - 1}d"
        if self.torch_module(*inputs) == IDENTITY:
            return ()
        return (Call(name, inputs, self.output_shape(*inputs), patched=f"F.{name}"),)

    def torch_module(self, *inputs: Shape) -> str:
        # over one axis PyTorch does not take None, which keeps it
        kept = len(inputs[0]) == 2 and self.output_size in (None, (None,))
        return IDENTITY if kept else super().torch_module(*inputs)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        pairs = self.per_axis_sizes(inputs[0])
        spatial_reads = (
            EVERYTHING if out == 1 else along(axis, adaptive_pool_window(size, out))
            for axis, (size, out) in enumerate(pairs, start=1)
        )
        return ((along(0), *spatial_reads),)

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        """The pool of ``x`` to ``shape``."""
        raise NotImplementedError

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        if self.output_size in (None, (None,)) and len(x.shape) == 3:
            return x  # PyTorch has no such pool
        return self.pool(tape, x, (tape.batch, *self.output_shape(x.shape[1:])))


class AdaptiveAvgPool(AdaptivePool, frozen=True):
    """Mean pooling to a given size, as ``torch.nn.AdaptiveAvgPool2d``; ``null`` keeps an axis.

    Elementwise operations: for an output element whose window holds n elements, n − 1 additions
    and 1 division.
    """

    torch_name = "AdaptiveAvgPoolNd"
    aliases = ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")

    def elementwise_ops(self, *inputs: Shape) -> int:
        return self.taps(inputs[0])

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        return tape.averaged(shape, x)


class AdaptiveMaxPool(AdaptivePool, frozen=True):
    """Max pooling to a given size, as ``torch.nn.AdaptiveMaxPool2d``; ``null`` keeps an axis.

    Elementwise operations: for an output element whose window holds n elements, n − 1 comparisons.
    """

    torch_name = "AdaptiveMaxPoolNd"
    aliases = ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")

    def elementwise_ops(self, *inputs: Shape) -> int:
        return self.taps(inputs[0]) - prod(self.output_shape(*inputs))

    def pool(self, tape: Tape, x: Held, shape: Shape) -> Held:
        return tape.adaptive_max_pooled(shape, x)


class GlobalPool(Layer, frozen=True):
    """Base of the pools over all spatial axes, which are kept with size 1."""

    abstract = True
    collect: ClassVar[Literal["sum", "max"]] = "sum"
    adaptive: ClassVar[type[AdaptivePool]]
    """The pool to a given size that does the same for a size of 1."""

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        rank = len(few_spatial(shape))
        return (shape[0], *(1,) * rank)

    def macs(self, *inputs: Shape) -> int:
        return 0

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        name = f"{self.adaptive.kind}{len(inputs[0]) - 1}d"
        return (Call(name, inputs, self.output_shape(*inputs), patched=f"F.{name}"),)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        (shape,) = inputs
        taps = {f"k{axis}": size for axis, size in enumerate(shape[1:], start=1)}
        x = Operand(0, shape, (loop("c"), *map(loop, taps)))
        out = (loop("c"), *(Index(()) for _ in taps))
        return (Nest({"c": shape[0]} | taps, out, self.output_shape(shape), (x,), self.collect),)


class GlobalAvgPool(GlobalPool, frozen=True):
    """Mean over all spatial axes, kept with size 1: ``torch.nn.AdaptiveAvgPool2d(1)``.

    Elementwise operations: per channel ``H·W − 1`` additions and 1 division.
    """

    adaptive = AdaptiveAvgPool
    torch_name = "AdaptiveAvgPoolNd"
    aliases = ("gap", "global_average_pool", "global_avgpool", "global_avg_pooling", "global_average_pooling")

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0])

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.averaged((tape.batch, *self.output_shape(x.shape[1:])), x)


class GlobalMaxPool(GlobalPool, frozen=True):
    """Maximum over all spatial axes, kept with size 1: ``torch.nn.AdaptiveMaxPool2d(1)``.

    Elementwise operations: per channel ``H·W − 1`` comparisons.
    """

    collect = "max"
    adaptive = AdaptiveMaxPool
    torch_name = "AdaptiveMaxPoolNd"
    aliases = ("gmp", "global_maxpool", "global_max_pooling")

    def elementwise_ops(self, *inputs: Shape) -> int:
        return prod(inputs[0]) - inputs[0][0]

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.adaptive_max_pooled((tape.batch, *self.output_shape(x.shape[1:])), x)
