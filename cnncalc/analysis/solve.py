"""The inverse question for one layer: which kernel, stride, padding and dilation make these sizes of those.

Every answer is what the layer's own class says about its output shape, so that its rules (a pool's
padding, an output padding's bound) hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.answer import Answer
from cnncalc.errors import CnncalcError, LayerError
from cnncalc.formulas import size as sizes
from cnncalc.layers.base import Layer
from cnncalc.layers.fields import required_fields
from cnncalc.spec.resize import Left, has_window, left_out

MOST_KERNEL = 11
MOST_STRIDE = 16
MOST_DILATION = 4
MOST_SETTINGS = 20_000
"""Settings that are tried one by one; those whose sizes are wrong are never tried."""


class Settings(NamedTuple):
    """A window's fields along one axis, with the same padding at both ends."""

    kernel: int
    stride: int
    padding: int = 0
    dilation: int = 1
    output_padding: int = 0
    ceil_mode: bool = False


class Wanted(NamedTuple):
    """What is asked for: sizes along one axis, in and out, and the fields that are fixed."""

    pairs: tuple[tuple[int, int], ...]
    kernel: int | None = None
    stride: int | None = None
    padding: int | None = None
    dilation: int | None = None
    output_padding: int | None = None
    ceil_mode: bool = False


class Solution(NamedTuple):
    """Fields that do it, with what the layer leaves out at the end (the most, over all pairs).

    ``pixels`` and ``padding_left`` lie behind the last window; ``skipped`` pixels lie between one window and
    the next, where a stride is larger than the kernel. ``centred``: unit ``i`` stands over pixel ``i·S``
    (``2·P = K_eff − 1``) or over the middle of the patch of ``S`` pixels that is its own (``2·P = K_eff − S``);
    a single unit stands over the middle of everything. A transposed convolution is ``even`` where each
    output pixel gets as many taps (``K`` is a multiple of ``S``).
    """

    settings: Settings
    layer: Layer
    pixels: int
    padding_left: int
    skipped: int
    centred: bool
    even: bool

    @property
    def fields(self) -> dict[str, int]:
        """The settings that the layer has, by name."""
        return {name: value for name, value in self.settings._asdict().items() if name in self.layer.__struct_fields__}


def solvable(layer: type[Layer]) -> bool:
    """Whether a layer has a window with a kernel and a stride."""
    return has_window(layer) and {"kernel", "stride"} <= set(layer.__struct_fields__)


def takes(layer: type[Layer]) -> Settings:
    """Which of the settings a layer has: true for each of its fields."""
    return Settings(*(name in layer.__struct_fields__ for name in Settings._fields))


def solve(layer: type[Layer], wanted: Wanted) -> list[Solution]:
    """All solutions within the bounds, the natural ones first.

    Raises:
        CnncalcError: there are more than ``MOST_SETTINGS`` for the first size alone.
    """
    return sorted(_found(layer, wanted), key=_rank)


def _found(layer: type[Layer], wanted: Wanted) -> Iterator[Solution]:
    names = set(layer.__struct_fields__)
    # Channels, an exponent: they must be there, and no size depends on them.
    fixed: dict[str, Any] = dict.fromkeys({*required_fields(layer)} - {*Settings._fields}, 1)
    transposed = takes(layer).output_padding  # which leaves nothing out
    for number, settings in enumerate(_candidates(takes(layer), wanted)):
        if number == MOST_SETTINGS:
            raise CnncalcError(
                f"solve: more than {MOST_SETTINGS:,} settings do it\n"
                "  hint: give more of them, as --padding or --output-padding"
            )
        made = layer(**fixed, **{name: value for name, value in settings._asdict().items() if name in names})
        left: list[Left] = []
        try:
            for size, out in wanted.pairs:
                outputs = made.output_shapes((1, size))
                if outputs != ((1, out),):
                    break
                left += [Left(0, 0)] if transposed else left_out(made, ((1, size),), outputs)
        except LayerError:
            continue
        if len(left) == len(wanted.pairs):
            yield _solution(settings, made, left, all(out == 1 for _, out in wanted.pairs))


def _candidates(has: Settings, wanted: Wanted) -> Iterator[Settings]:
    """Settings within the bounds; those that the first pair's formula excludes are left out at once.

    Where there is a single window, only the smallest stride of each: no other makes a difference.
    """
    size, out = wanted.pairs[0]
    output_size = sizes.ceil_pool_output_size if wanted.ceil_mode else sizes.conv_output_size
    single = not has.output_padding and all(out == 1 for _, out in wanted.pairs)
    for kernel in _choices(wanted.kernel, 1, MOST_KERNEL):
        for dilation in _choices(wanted.dilation, 1, MOST_DILATION if has.dilation and kernel > 1 else 1):
            extent = sizes.effective_kernel(kernel, dilation)
            paddings = _choices(wanted.padding, 0, extent - 1 if has.padding else 0)
            done: set[int] = set()
            for stride in _choices(wanted.stride, 1, MOST_STRIDE):
                gap = partial(_gap, bool(has.output_padding), output_size, (size, kernel, stride, dilation), out)
                few, many = 0, max(stride, dilation) - 1 if has.output_padding else 0
                if wanted.output_padding is not None:
                    few, many = wanted.output_padding, min(wanted.output_padding, many)
                for padding in _between(paddings, gap, few, many):
                    if not single or padding not in done:
                        done.add(padding)
                        yield Settings(kernel, stride, padding, dilation, gap(padding), wanted.ceil_mode)


def _gap(transposed: bool, output_size: Any, axis: tuple[int, int, int, int], out: int, padding: int) -> int:
    """How much too large an output is; of a transposed convolution how much too small, which is its output padding."""
    size, kernel, stride, dilation = axis
    geometry = (size, kernel, stride, (padding, padding), dilation)
    return out - sizes.conv_transpose_output_size(*geometry, 0) if transposed else output_size(*geometry) - out


def _between(choices: Sequence[int], key: Callable[[int], int], least: int, most: int) -> Sequence[int]:
    """The choices whose key, which never falls from one to the next, lies within ``least … most``."""
    return choices[bisect_left(choices, least, key=key) : bisect_left(choices, most + 1, key=key)]


def _choices(fixed: int | None, first: int, last: int) -> Sequence[int]:
    return range(first, last + 1) if fixed is None else (fixed,)


def _solution(settings: Settings, layer: Layer, left: Sequence[Left], single: bool) -> Solution:
    kernel, stride = settings.kernel, settings.stride
    extent = sizes.effective_kernel(kernel, settings.dilation)
    transposed = takes(type(layer)).output_padding
    pixels, padding = max(one.pixels for one in left), max(one.padding for one in left)
    if single and not transposed:
        centred = not pixels and not padding
    else:
        centred = 2 * settings.padding in (extent - 1, extent - stride)
    return Solution(
        settings,
        layer,
        pixels,
        padding,
        skipped=0 if transposed or single else max(0, stride - extent),
        centred=centred,
        even=not transposed or kernel % stride == 0,
    )


def _rank(one: Solution) -> tuple[Any, ...]:
    """Natural solutions first: no pixel lost or skipped, even, undilated, centred, odd kernels (or whole patches),
    and of those the small ones.
    """
    kernel, stride, padding, dilation, output_padding, _ = one.settings
    return (
        one.pixels,
        one.skipped,
        not one.even,
        dilation,
        not one.centred,
        output_padding,
        kernel % 2 == 0 and kernel != stride,
        kernel,
        stride,
        padding,
    )


__all__ = [
    "MOST_DILATION",
    "MOST_KERNEL",
    "MOST_STRIDE",
    "Settings",
    "Solution",
    "Wanted",
    "solvable",
    "solve",
    "takes",
]


# -- the answer ------------------------------------------------------------------------------------


class SolutionReport(Struct, frozen=True):
    """One choice of fields, and what it leaves out along an axis.

    ``lost`` pixels and ``padding_left`` lie behind the last window, ``skipped`` pixels between one
    window and the next. ``centred``: units stand over a pixel or a patch of their own. ``even``, for a
    transposed convolution: its kernel is a multiple of its stride, so that each output gets as many taps.
    """

    settings: str
    kernel: int
    stride: int
    lost: int
    padding_left: int
    skipped: int
    centred: bool
    padding: int | UnsetType = UNSET
    dilation: int | UnsetType = UNSET
    output_padding: int | UnsetType = UNSET
    even: bool | UnsetType = UNSET


class SolveReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``solve``: of ``count`` solutions within the bounds the first, natural ones first."""

    layer: str
    sizes: tuple[tuple[int, int], ...]
    count: int
    solutions: tuple[SolutionReport, ...]


def answer(kind: str, wanted: Wanted, found: Sequence[Solution], limit: int) -> SolveReport:
    """The first ``limit`` solutions, as they are written."""
    shown = tuple(_written(one) for one in found[:limit])
    return SolveReport(layer=kind, sizes=wanted.pairs, count=len(found), solutions=shown)


def _written(one: Solution) -> SolutionReport:
    has = takes(type(one.layer))
    settings = one.settings
    return SolutionReport(
        settings_text(one),
        settings.kernel,
        settings.stride,
        one.pixels,
        one.padding_left,
        one.skipped,
        one.centred,
        settings.padding if has.padding else UNSET,
        settings.dilation if has.dilation else UNSET,
        settings.output_padding if has.output_padding else UNSET,
        one.even if has.output_padding else UNSET,
    )


def settings_text(one: Solution) -> str:
    """The layer's window in the spec language, without the fields that are as by default."""
    defaults = Settings._field_defaults
    kept = [f"{name}: {str(value).lower()}" for name, value in one.fields.items() if value != defaults.get(name)]
    return f"{one.layer.kind}: {{{', '.join(kept)}}}"
