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
from cnncalc.spec.resize import Left, left_out

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


def answer(kind: str, wanted: Wanted, found: Sequence[SolutionReport], limit: int) -> SolveReport:
    """The first ``limit`` solutions."""
    return SolveReport(layer=kind, sizes=wanted.pairs, count=len(found), solutions=tuple(found[:limit]))


def solvable(layer: type[Layer]) -> bool:
    """Whether a layer has a window with a kernel and a stride."""
    return {"kernel", "stride"} <= set(layer.__struct_fields__) and layer.equation is not Layer.equation


def takes(layer: type[Layer]) -> Settings:
    """Which of the settings a layer has: true for each of its fields."""
    return Settings(*(name in layer.__struct_fields__ for name in Settings._fields))


def solve(layer: type[Layer], wanted: Wanted) -> list[SolutionReport]:
    """All solutions within the bounds, the natural ones first.

    Raises:
        CnncalcError: there are more than ``MOST_SETTINGS`` for the first size alone.
    """
    return sorted(_found(layer, wanted), key=_rank)


def _found(layer: type[Layer], wanted: Wanted) -> Iterator[SolutionReport]:
    has = takes(layer)
    # Channels, an exponent: they must be there, and no size depends on them.
    fixed: dict[str, Any] = dict.fromkeys({*required_fields(layer)} - {*Settings._fields}, 1)
    for number, settings in enumerate(_candidates(has, wanted)):
        if number == MOST_SETTINGS:
            raise CnncalcError(
                f"solve: more than {MOST_SETTINGS:,} settings do it\n"
                "  hint: give more of them, as --padding or --output-padding"
            )
        own = {name: value for name, value in settings._asdict().items() if getattr(has, name)}
        made = layer(**fixed, **own)
        left: list[Left] = []
        try:
            for size, out in wanted.pairs:
                outputs = made.output_shapes((1, size))
                if outputs != ((1, out),):
                    break
                left += left_out(made, ((1, size),), outputs) or (Left(0, 0),)
        except LayerError:
            continue
        if len(left) == len(wanted.pairs):
            yield _solution(layer.kind, own, left, all(out == 1 for _, out in wanted.pairs))


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


def _solution(kind: str, own: dict[str, Any], left: Sequence[Left], single: bool) -> SolutionReport:
    """The fields that a layer has, with what they leave out."""
    given = Settings(**own)
    kernel, stride = given.kernel, given.stride
    extent = sizes.effective_kernel(kernel, given.dilation)
    transposed = "output_padding" in own
    pixels, padding = max(one.pixels for one in left), max(one.padding for one in left)
    # unit i over pixel i·S, or over the middle of the patch of S pixels that is its own
    centred = 2 * given.padding in (extent - 1, extent - stride)
    defaults = Settings._field_defaults
    kept = [f"{name}: {str(value).lower()}" for name, value in own.items() if value != defaults.get(name)]
    return SolutionReport(
        f"{kind}: {{{', '.join(kept)}}}",
        kernel,
        stride,
        pixels,
        padding,
        skipped=0 if transposed or single else max(0, stride - extent),
        centred=not pixels and not padding if single and not transposed else centred,
        **{name: own.get(name, UNSET) for name in Settings._fields[2:5]},
        even=kernel % stride == 0 if transposed else UNSET,
    )


def _rank(one: SolutionReport) -> tuple[Any, ...]:
    """Natural solutions first: no pixel lost or skipped, even, undilated, centred, odd kernels (or whole patches),
    and of those the small ones.
    """
    return (
        one.lost,
        one.skipped,
        one.even is False,
        one.dilation or 1,
        not one.centred,
        one.output_padding or 0,
        one.kernel % 2 == 0 and one.kernel != one.stride,
        one.kernel,
        one.stride,
        one.padding or 0,
    )
