"""Settings of one layer that make given sizes: the report of ``cnncalc solve``."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.solve import MOST_DILATION, MOST_KERNEL, MOST_STRIDE, Settings, Solution, Wanted, takes
from cnncalc.report.columns import Column
from cnncalc.report.model import Generator

SCHEMA_VERSION = 1


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


class SolveReport(Struct, frozen=True):
    """The whole answer to ``solve``: of ``count`` solutions within the bounds the first, natural ones first."""

    schema_version: int
    generator: Generator
    layer: str
    sizes: tuple[tuple[int, int], ...]
    count: int
    solutions: tuple[SolutionReport, ...]


def report(kind: str, wanted: Wanted, found: Sequence[Solution], limit: int) -> SolveReport:
    """The first ``limit`` solutions, as they are written."""
    from cnncalc import __version__

    shown = tuple(_solution(one) for one in found[:limit])
    return SolveReport(SCHEMA_VERSION, Generator("cnncalc", __version__), kind, wanted.pairs, len(found), shown)


def _solution(one: Solution) -> SolutionReport:
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


def _notes(one: SolutionReport, _: object) -> str:
    """What speaks against a solution."""
    notes = []
    if one.lost:
        notes.append(f"loses {one.lost} {'pixel' if one.lost == 1 else 'pixels'}")
    if one.skipped:
        notes.append(f"skips {one.skipped} of {one.stride} pixels")
    if one.padding_left:
        notes.append(f"{one.padding_left} of padding left out")
    if not one.centred:
        notes.append("off centre")
    if one.even is False:
        notes.append("uneven: the kernel is no multiple of the stride")
    return ", ".join(notes)


def _given(value: int | UnsetType) -> str:
    return "" if value is UNSET else str(value)


def _field(name: str) -> Column:
    return Column(
        name, name.replace("_", " "), lambda one, _: getattr(one, name), show=_given, exact=_given, right=True
    )


COLUMNS = (
    *map(_field, Settings._fields[:5]),
    Column("lost", "lost", lambda one, _: one.lost, right=True),
    Column("note", "note", _notes),
)
"""The columns of the table of solutions."""


def columns(solutions: Sequence[SolutionReport]) -> list[Column]:
    """The columns, without those of fields that the layer does not have."""
    first = solutions[0] if solutions else None
    return [column for column in COLUMNS if first is None or getattr(first, column.name, None) is not UNSET]


def summary(report: SolveReport) -> str:
    """How many there are, and within which bounds."""
    sizes = " and ".join(f"{size} → {out}" for size, out in report.sizes)
    bounds = f"kernel ≤ {MOST_KERNEL}, stride ≤ {MOST_STRIDE}, dilation ≤ {MOST_DILATION}, where they are not given"
    if not report.count:
        return f"no {report.layer} makes {sizes} ({bounds})"
    shown = len(report.solutions)
    many = f"{shown} of {report.count} solutions" if shown < report.count else f"{shown} solutions"
    return f"{report.layer} {sizes}: {'1 solution' if report.count == 1 else many} ({bounds})"
