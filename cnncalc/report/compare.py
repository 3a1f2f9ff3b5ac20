"""The page of ``cnncalc analyze`` for several nets: one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnncalc import units
from cnncalc.analysis.compare import CompareReport, NetReport
from cnncalc.document.blocks import Document, Group, Note, Table
from cnncalc.document.column import Column, human
from cnncalc.report.columns import field_size
from cnncalc.report.remarks import MARKS
from cnncalc.report.words import about, shapes_text


def _count(name: str, header: str, help: str, priority: int, show: Callable[[Any], str] = human) -> Column:
    return Column(name, header, lambda net, _: getattr(net.totals, name), help, show, True, priority)


def _bytes(value: int | None) -> str:
    return "?" if value is None else units.show_bytes(value)


COLUMNS: tuple[Column, ...] = (
    Column("net", "net", lambda net, _: net.name, "the net, and the arguments that are its own", elastic=True),
    Column("input", "input", lambda net, _: (*net.model.inputs.values(),), "input shapes", shapes_text, priority=7),
    Column("output", "output", lambda net, _: (*net.model.outputs.values(),), "output shapes", shapes_text, priority=8),
    _count("params", "params", "learnable scalars", 1),
    _count("weight_bytes", "weights", "bytes of the weights, float32", 4, _bytes),
    _count("macs", "MACs", "multiply-accumulates, per batch", 2),
    Column(
        "ratio",
        "× first",
        lambda net, _: net.macs_ratio,
        "MACs over those of the first net",
        lambda value: "?" if value is None else f"{value:.2f}",
        True,
        3,
    ),
    _count("flops", "FLOPs", "2 × MACs", 6),
    _count("activations", "activ.", "outputs of convolutions, linears and matrix products, per batch", 9),
    _count("inference_peak_bytes", "peak", "most bytes of tensors alive in inference, float32", 10, _bytes),
    Column(
        "rf",
        "RF",
        lambda net, _: "" if net.receptive_field is None else field_size(net.receptive_field),
        "receptive field of the last map whose units see a part of the input",
        lambda value: value or "–",
        right=True,
        priority=5,
    ),
    Column("status", "totals", lambda net, _: net.totals.status, "partial: lower bounds", priority=3),
)
"""All columns, in the order in which they stand."""


def document(
    report: CompareReport,
    *,
    columns: Sequence[Column] | None = None,
    rows: Sequence[NetReport] | None = None,
) -> Document:
    """The table of the nets, and what is to be noted about each; status 2 where one could not be read."""
    shown: Sequence[Column] = COLUMNS if columns is None else columns
    if columns is None and all(net.totals.status == "complete" for net in report.nets):
        shown = [column for column in shown if column.name != "status"]
    rows = report.nets if rows is None else rows
    notes = [
        Note(f"{net.name}: {one.message}{about(one.layers)}", MARKS[one.severity])
        for net in rows
        for one in net.diagnostics
    ]
    errors = [Note(one.message.partition("\n")[0].replace("error: ", "", 1), "error") for one in report.broken]
    every = Table(COLUMNS if columns is None else columns, rows, report)
    table = Table(shown, rows, report, drop=columns is None)
    return Document(
        report, [*([table] if rows else []), Group([*notes, *errors])], every, status=2 if report.broken else 0
    )
