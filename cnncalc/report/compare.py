"""The page of ``cnncalc analyze`` for several nets: one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnncalc import units
from cnncalc.analysis.compare import CompareReport, NetReport
from cnncalc.document.blocks import Document, Group, Note, Table
from cnncalc.document.column import Column, count, human
from cnncalc.report.columns import field_size
from cnncalc.report.remarks import MARKS
from cnncalc.report.words import about, shapes_text


def _total(name: str, header: str, help: str, priority: int, show: Callable[[Any], str] = human) -> Column:
    return count(name, header, help, priority, at=f"totals.{name}", show=show)


COLUMNS: tuple[Column, ...] = (
    Column("net", at="name", help="the net, and the arguments that are its own", elastic=True),
    Column("input", "input", lambda net, _: (*net.model.inputs.values(),), "input shapes", shapes_text, priority=7),
    Column("output", "output", lambda net, _: (*net.model.outputs.values(),), "output shapes", shapes_text, priority=8),
    _total("params", "params", "learnable scalars", 1),
    _total("weight_bytes", "weights", "bytes of the weights, float32", 4, units.show_bytes),
    _total("macs", "MACs", "multiply-accumulates, per batch", 2),
    count("ratio", "× first", "MACs over those of the first net", 3, at="macs_ratio", show="{:.2f}".format),
    _total("flops", "FLOPs", "2 × MACs", 6),
    _total("activations", "activ.", "outputs of convolutions, linears and matrix products, per batch", 9),
    _total("inference_peak_bytes", "peak", "most bytes of tensors alive in inference, float32", 10, units.show_bytes),
    count(
        *("rf", "RF", "receptive field of the last map whose units see a part of the input", 5),
        value=lambda net, _: "" if net.receptive_field is None else field_size(net.receptive_field),
        show=lambda value: value or "–",
    ),
    Column("status", "totals", at="totals.status", help="partial: lower bounds", priority=3),
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
    table = [Table(shown, rows, report, drop=columns is None)] if rows else []
    every = Table(columns or COLUMNS, rows, report)
    return Document(report, [*table, Group([*notes, *errors])], every, status=2 if report.broken else 0)
