"""Layers that change the resolution without weights: interpolation and the moves between channels and space."""

from __future__ import annotations

from math import floor, gcd, prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta
from msgspec.structs import replace

from cnncalc.errors import LayerError
from cnncalc.formulas import resample
from cnncalc.formulas.nest import Index, Nest, Operand, Term, loop
from cnncalc.formulas.receptive_field import (
    MAX_PERIOD,
    POINT,
    Window,
    adaptive_pool_taps,
    adaptive_pool_window,
)
from cnncalc.layers.axes import axis_name, describe, few_spatial, per_axis, spatial
from cnncalc.layers.base import (
    EVERYTHING,
    SCATTERED,
    Call,
    Layer,
    Movement,
    PerAxis,
    Positive,
    Read,
    Reads,
    Shape,
    along,
)

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape

Scale = Annotated[float, Meta(gt=0, le=1e6)]

RANKS = {"bilinear": 2, "bicubic": 2, "trilinear": 3}
"""The number of spatial axes of a mode that is for one number only."""


def simplest_ratio(value: float) -> tuple[int, int]:
    """``value`` as a fraction: the first convergent of its continued fraction that gives the same float.

    So the scale factor 1.3 means 13/10, and not the binary fraction that stands for it.
    """
    top, bottom = value.as_integer_ratio()
    before, now = (0, 1), (1, 0)
    while bottom:
        whole, rest = divmod(top, bottom)
        top, bottom = bottom, rest
        before, now = now, (whole * now[0] + before[0], whole * now[1] + before[1])
        if now[0] / now[1] == value:
            break
    return now


def read_along(axis: int, window: Window | None) -> Read:
    """A read through ``window``, or an unknown one where there is none."""
    return SCATTERED if window is None else along(axis, window)


class Upsample(Layer, frozen=True):
    """Resizing by interpolation, up or down, as ``torch.nn.Upsample``.

    Give ``scale_factor`` (output ``⌊size·scale⌋``) or ``size``. ``linear`` means bilinear or trilinear
    where there are two or three axes; ``area`` is adaptive average pooling. A given scale factor
    also sets the sampling positions, as in PyTorch. They are exact here: PyTorch's rounding can fall
    to the neighbour of a whole position, and some of its ``nearest`` kernels ignore a fractional
    factor that gives the very size or its double.

    Elementwise operations: none for ``nearest`` and ``nearest-exact``; one multiplication per tap and
    the additions between them for the others, so ``2·2ᵈ − 1`` per output element for linear
    interpolation over ``d`` axes and ``2·16 − 1`` for bicubic; for ``area`` the additions and one
    division per output element, which is one for each element that a window covers. The weights
    are not counted.
    """

    torch_name = "Upsample"
    aliases = ("upsampling", "interpolate", "resize")
    field_aliases: ClassVar[dict[str, str]] = {"scale": "scale_factor"}

    scale_factor: Scale | tuple[Scale, ...] | None = None
    size: PerAxis | None = None
    mode: Literal["nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"] = "nearest"
    align_corners: bool = False

    def scales(self, rank: int) -> tuple[float, ...] | None:
        """The scale factor of each spatial axis, or ``None`` where the size is given."""
        if self.scale_factor is None:
            return None
        if isinstance(self.scale_factor, tuple) and len(self.scale_factor) != rank:
            raise LayerError(
                f"scale_factor has {len(self.scale_factor)} values, the input has {rank} spatial axes",
                field="scale_factor",
                hint=f"give one number for all axes, or {rank}",
            )
        return self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor,) * rank

    def _check(self, rank: int) -> None:
        """Checks that the fields fit each other and the number of spatial axes."""
        if (self.scale_factor is None) == (self.size is None):
            raise LayerError(
                "needs either scale_factor or size" + ("" if self.size is None else ", not both"),
                field=None if self.size is None else "size",
                hint="scale_factor: 2 doubles every spatial axis; size: 56 gives that size",
            )
        if RANKS.get(self.mode, rank) != rank:
            raise LayerError(
                f"{self.mode} interpolation is for {RANKS[self.mode]} spatial axes, the input has {rank}",
                field="mode",
                hint="mode: linear fits any number of axes",
            )
        if self.align_corners and self.mode in ("nearest", "nearest-exact", "area"):
            raise LayerError(
                f"align_corners means nothing for mode {self.mode}",
                field="align_corners",
                hint="it goes with linear, bilinear, trilinear and bicubic",
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        sizes = few_spatial(shape)
        rank = len(sizes)
        self._check(rank)
        scales = self.scales(rank)
        if scales is None:
            assert self.size is not None
            return (shape[0], *per_axis(self.size, rank, "size"))
        # A whole factor needs no float; for the others PyTorch rounds the product of two doubles.
        out = tuple(
            size * int(scale) if scale == int(scale) else floor(size * scale)
            for size, scale in zip(sizes, scales, strict=True)
        )
        for number, (size, scale, result) in enumerate(zip(sizes, scales, out, strict=True)):
            if result < 1:
                raise LayerError(
                    f"scale_factor {scale:g} leaves nothing of {axis_name(number, rank)} {size}",
                    field="scale_factor",
                )
        return (shape[0], *out)

    def macs(self, *inputs: Shape) -> int:
        return 0

    def elementwise_ops(self, *inputs: Shape) -> int:
        (shape,) = inputs
        out = self.output_shape(shape)
        rank = len(shape) - 1
        if self.mode.startswith("nearest"):
            return 0
        if self.mode == "area":
            return shape[0] * prod(map(adaptive_pool_taps, shape[1:], out[1:]))
        taps = 16 if self.mode == "bicubic" else 1 << rank
        return prod(out) * (2 * taps - 1)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        shape = (tape.batch, *self.output_shape(x.shape[1:]))
        return tape.averaged(shape, x) if self.mode == "area" else tape.formatted(shape, x)

    def window(self, size: int, output_size: int, scale: float | None) -> Window | None:
        """What output units read along one axis; ``None`` where the pattern is too long to list."""
        if self.mode == "area":
            return (
                None if output_size // gcd(size, output_size) > MAX_PERIOD else adaptive_pool_window(size, output_size)
            )
        linear = self.mode.endswith("linear")
        reach = resample.LINEAR if linear else resample.CUBIC if self.mode == "bicubic" else resample.NEAREST
        if self.align_corners:
            return resample.sampled_window(resample.corner_grid(size, output_size), reach)
        if linear and output_size == size:
            return POINT  # PyTorch copies, whatever the scale factor
        if scale is None:
            top, bottom = size, output_size
        else:
            bottom, top = simplest_ratio(scale)
        grids = {"nearest": resample.floor_grid, "nearest-exact": resample.centre_grid}
        return resample.sampled_window(grids.get(self.mode, resample.half_pixel_grid)(top, bottom), reach)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        rank, out = len(inputs[0]) - 1, self.output_shape(*inputs)
        if self.mode == "area":
            pool = f"adaptive_avg_pool{rank}d"
            # F.interpolate computes the sizes from the factors first, in a trace as scalar tensors
            sizes = (Call("mul", ((), ()), (), batched=False),) * (0 if self.scale_factor is None else rank)
            return (
                *sizes,
                Call("interpolate", inputs, out, patched="F.interpolate"),
                Call(pool, inputs, out, patched=f"F.{pool}"),
            )
        return (Call(f"upsample_{self.torch_mode(rank)}{rank}d", inputs, out, patched="F.interpolate"),)

    def torch_mode(self, rank: int) -> str:
        """PyTorch's name of the mode for ``rank`` spatial axes."""
        return ("linear", "bilinear", "trilinear")[rank - 1] if self.mode == "linear" else self.mode

    def elements_read(self, *inputs: Shape) -> tuple[int, ...]:
        (shape,) = inputs
        if any(read.window is None and not read.whole for read in self.reads(shape)[0]):
            # The pattern is too long to list; an output reads at least one position of an axis.
            return (shape[0] * prod(map(min, shape[1:], self.output_shape(shape)[1:])),)
        return super().elements_read(shape)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        (shape,) = inputs
        out = self.output_shape(shape)
        scales = self.scales(len(shape) - 1) or (None,) * (len(shape) - 1)
        whole = [self.mode == "area" and size == 1 for size in out]
        windows = (None, *map(self.window, shape[1:], out[1:], scales))
        spatial_reads = (EVERYTHING if whole[i] else read_along(i, windows[i]) for i in range(1, len(out)))
        return ((along(0), *spatial_reads),)


def height_and_width(shape: Shape) -> Shape:
    """The two spatial sizes of an image.

    Raises:
        LayerError: another number of spatial axes.
    """
    if len(shape) != 3:
        raise LayerError(f"needs channels, height and width, got {describe(shape)}")
    return shape[1:]


class Rearranged(Movement, frozen=True):
    """Base of layers that copy every element to another position; autograd keeps nothing for them."""

    abstract = True

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        (x,) = inputs
        return tape.formatted((tape.batch, *self.output_shape(x.shape[1:])), x)


def pixels(channels: int, sizes: Shape, r: int) -> Nest:
    """``y[c·r² + i·r + j, h, w] = x[c, h·r + i, w·r + j]``: each ``r×r`` patch becomes as many channels."""
    height, width = sizes
    loops = {"c": channels, "i": r, "j": r, "h": height, "w": width}
    stacked = (Index((Term("c", r**2), Term("i", r), Term("j"))), loop("h"), loop("w"))
    spread = (loop("c"), Index((Term("h", r), Term("i"))), Index((Term("w", r), Term("j"))))
    return Nest(loops, stacked, (channels * r**2, *sizes), (Operand(0, (channels, height * r, width * r), spread),))


class PixelShuffle(Rearranged, frozen=True):
    """Sub-pixel rearrangement: ``C·r²×H×W`` to ``C×rH×rW``, as ``torch.nn.PixelShuffle`` (Shi et al. 2016).

    Elementwise operations: none.
    """

    torch_name = "PixelShuffle"
    aliases = ("depth_to_space",)

    symbols: ClassVar[dict[str, str]] = {"upscale_factor": "r"}

    upscale_factor: Positive

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        height, width = height_and_width(shape)
        square = self.upscale_factor**2
        if shape[0] % square:
            raise LayerError(
                f"{shape[0]} channels are no multiple of upscale_factor² = {square}",
                field="upscale_factor",
                hint="each output channel is made of upscale_factor² input channels",
            )
        return (shape[0] // square, height * self.upscale_factor, width * self.upscale_factor)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """``y[c, h·r + i, w·r + j] = x[c·r² + i·r + j, h, w]``"""
        (shape,), r = inputs, self.upscale_factor
        return (pixels(shape[0] // r**2, shape[1:], r).exchanged(),)


class PixelUnshuffle(Rearranged, frozen=True):
    """The inverse of ``pixel_shuffle``: ``C×rH×rW`` to ``C·r²×H×W``, as ``torch.nn.PixelUnshuffle``.

    Elementwise operations: none. A position reads, over all its channels, an ``r×r`` patch.
    """

    torch_name = "PixelUnshuffle"
    aliases = ("space_to_depth",)

    symbols: ClassVar[dict[str, str]] = {"downscale_factor": "r"}

    downscale_factor: Positive

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        for number, size in enumerate(height_and_width(shape)):
            if size % self.downscale_factor:
                raise LayerError(
                    f"{axis_name(number, 2)} {size} is no multiple of downscale_factor {self.downscale_factor}",
                    field="downscale_factor",
                )
        height, width = shape[1:]
        factor = self.downscale_factor
        return (shape[0] * factor**2, height // factor, width // factor)

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """``y[c·r² + i·r + j, h, w] = x[c, h·r + i, w·r + j]``"""
        (shape,) = inputs
        return (pixels(shape[0], self.output_shape(shape)[1:], self.downscale_factor),)


class ChannelShuffle(Rearranged, frozen=True):
    """Channels of ``groups`` groups in turn: the first of each, then the second of each, …, as
    ``torch.nn.ChannelShuffle`` (Zhang et al. 2018, ShuffleNet).

    Elementwise operations: none.
    """

    torch_name = "ChannelShuffle"

    groups: Positive

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        spatial(shape)
        if shape[0] % self.groups:
            raise LayerError(
                f"groups {self.groups} does not divide the {shape[0]} channels",
                field="groups",
            )
        return shape

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """``y[i·G + j] = x[j·C/G + i]``"""
        (shape,) = inputs
        each = shape[0] // self.groups
        places = {f"p{axis}": size for axis, size in enumerate(shape[1:], start=1)}
        at = tuple(map(loop, places))
        output = (Index((Term("i", self.groups), Term("j"))), *at)
        x = Operand(0, shape, (Index((Term("j", each), Term("i"))), *at))
        return (Nest({"i": each, "j": self.groups} | places, output, shape, (x,)),)

    def narrowed(self, divisor: int, *inputs: Shape) -> ChannelShuffle:
        return replace(self, groups=gcd(self.groups, inputs[0][0]))
