"""The page of ``cnncalc solve``: settings of one layer that make given sizes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from cnncalc.analysis.solve import MOST_DILATION, MOST_KERNEL, MOST_STRIDE, Settings, SolutionReport, SolveReport
from cnncalc.document.blocks import Block, Document, Note, Table
from cnncalc.document.column import Column


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
        notes.append("uneven: the kernel is not a multiple of the stride")
    return ", ".join(notes)


COLUMNS = (
    *(Column(name, none="", right=True) for name in Settings._fields[:5]),
    Column("lost", right=True),
    Column("note", value=_notes),
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


def document(report: SolveReport) -> Document:
    """The table of solutions and how many there are."""
    table = Table(columns(report.solutions), report.solutions)
    blocks: list[Block] = [*([table] if report.count else []), Note(summary(report))]
    return Document(report, blocks, table, status=0 if report.count else 1)
