"""The page of ``cnncalc bench``: measured times beside their lower bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc import units
from cnncalc.analysis.bench import BenchReport, LayerBench, TimeReport, block
from cnncalc.document.blocks import Document, Group, Heading, Note, Text
from cnncalc.document.column import Column, percent
from cnncalc.document.tree import outline
from cnncalc.report.words import shape_text


def every_column(*, backward: bool, bounded: bool) -> list[Column]:
    """What there is to show: times, their spread and share, and the bounds where there is a machine."""
    chosen = [
        Column("layer", "layer", lambda row, _: row.path, path=True, elastic=True),
        Column("type", "type", lambda row, _: row.type, priority=9),
        Column("output", "output", lambda row, _: row.output_shape, show=shape_text, priority=6),
    ]
    for number, (which, mark) in enumerate([("forward", ""), ("backward", "back ")][: 1 + backward]):
        at = 3 * number
        chosen += [
            _column(which, "median_ps", f"{mark}time", 1 + at, _total(which)),
            _column(which, "spread", f"{mark}±", 5 + at),
            _column(which, "share", f"{mark}%", 4 + at),
        ]
        if bounded:
            chosen += [
                _column(which, "bound_ps", f"{mark}bound", 2 + at, _total_bound(which)),
                _column(which, "times_bound", f"{mark}× bound", 3 + at),
            ]
    return chosen


def _times(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _total(which: str) -> Callable[[Any], str]:
    return lambda report: units.show_time(getattr(report, f"layers_{which}_ps"))


def _total_bound(which: str) -> Callable[[Any], str]:
    def total(report: BenchReport) -> str:
        times = [getattr(row, which) for row in report.layers]
        bounds = [one.bound_ps for one in times if isinstance(one, TimeReport) and one.bound_ps is not UNSET]
        return units.show_time(sum(bounds))

    return total


def _column(which: str, field: str, header: str, priority: int, total: Callable[[Any], str] | None = None) -> Column:
    def value(row: LayerBench, whole: BenchReport | None) -> Any:
        times = getattr(row, which)
        if not isinstance(times, TimeReport):
            return None
        if field == "spread":
            return 50 * (times.high_ps - times.low_ps) / times.median_ps if times.median_ps else None
        if field == "share":
            sum_of_layers = getattr(whole, f"layers_{which}_ps", 0)
            return 100 * times.median_ps / sum_of_layers if sum_of_layers else None
        return getattr(times, field)

    shows: dict[str, Callable[[Any], str]] = {
        "spread": lambda v: f"{v:.0f}%",
        "share": percent,
        "times_bound": _times,
    }
    show = shows.get(field, lambda v: units.show_time(v) if v else "0")
    name = {"spread": f"{which}_spread", "share": f"{which}_share"}.get(field, f"{which}_{field}")
    return Column(name, header, value, "", show, True, priority, total, none="–")


EVERY_COLUMN = every_column(backward=True, bounded=True)
"""The columns of the table with both passes and their bounds."""


def document(
    report: BenchReport,
    rows: Sequence[LayerBench] | None = None,
    columns: Sequence[Column] | None = None,
    *,
    flat: bool = False,
) -> Document:
    """The layers as a tree, and what is to be known about the whole net.

    Args:
        report: the answer.
        rows: what is shown in the place of all layers.
        columns: what is shown of them.
        flat: whether the rows are in another order than the net's.
    """
    layers = report.layers if rows is None else tuple(rows)
    if drop := columns is None:
        columns = every_column(backward=report.backward is not UNSET, bounded=report.machine is not UNSET)
    table = outline(columns, layers, block, report, flat=layers if flat else None, drop=drop)
    head = Heading(f"{report.name or report.source}   batch {report.batch}", 1)
    left_out = [Text(f"{len(layers)} of {len(report.layers)} layers", "dim")] if flat else []
    return Document(replace(report, layers=layers), [head, table, *left_out, _summary(report)])


def _summary(report: BenchReport) -> Group:
    """How it was measured, what the bound means, and the net as a whole."""
    notes = [Note(f"measured: {remark}") for remark in report.remarks]
    if report.machine is not UNSET:
        how = "every product computed" if report.algorithms == "direct" else "Winograd's and FFT convolution allowed"
        notes.append(Note(f"bound: on {report.machine}; whatever the caches hold, {how}"))
    if report.above_measured:
        more = f" and {len(report.above_measured) - 6} more" if len(report.above_measured) > 6 else ""
        text = (
            f"measured faster than the bound: {', '.join(report.above_measured[:6])}{more}; the machine file is not "
            "this machine's, or was measured with fewer threads (cnncalc bench --calibrate FILE.yaml writes one)"
        )
        notes.append(Note(text, mark="warning"))
    for which in ("forward", "backward"):
        times = getattr(report, which)
        if not isinstance(times, TimeReport):
            continue
        spread = f"{units.show_time(times.low_ps)} to {units.show_time(times.high_ps)}"
        best = units.show_time(times.best_ps)
        line = f"the net, {which}: {units.show_time(times.median_ps)} (half of the tries {spread}, best {best})"
        if times.bound_ps is not UNSET and times.times_bound:
            line += f", {_times(times.times_bound)} times its bound of {units.show_time(times.bound_ps)}"
        notes.append(Note(line))
    per_second = report.batch * 10**12 / report.forward.median_ps if report.forward.median_ps else 0
    return Group([*notes, Note(f"samples per second, forward: {per_second:,.4g}")])
