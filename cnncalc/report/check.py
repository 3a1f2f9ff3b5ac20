"""The page of ``cnncalc check``: a net's numbers against limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc import units
from cnncalc.analysis.broken import Broken
from cnncalc.analysis.check import Check, Checked, CheckReport, CheckReports
from cnncalc.document import github, junit
from cnncalc.document.blocks import Document, Finding, Note, Table
from cnncalc.document.column import Column
from cnncalc.spec.budget import BYTES


def shown(metric: str, value: int | None) -> str:
    """A value of a metric for people."""
    if value is None:
        return "–"
    return units.show_bytes(value) if metric in BYTES else units.show(value)


def _percent(one: Check) -> str:
    """The margin in per cent of the bound."""
    if not one.bound or one.margin is None:
        return "–"
    return f"{'-' if one.margin < 0 else ''}{units.share(abs(one.margin), abs(one.bound))}"


class Row(NamedTuple):
    """One row of the table: how the net was asked for, and one limit."""

    net: str
    check: Check


COLUMNS = (
    Column("net", elastic=True),
    *(Column(name, at=f"check.{name}") for name in ("metric", "limit")),
    *(Column(name, at=f"check.{name}", right=True, priority=1) for name in ("value", "bound")),
    Column("margin", at="check.margin", right=True, priority=3),
    Column("margin%", "%", lambda row, _: _percent(row.check), right=True, priority=2),
    Column("status", at="check.status"),
    Column("reason", at="check.reason"),
)
"""The columns of CSV: the net where there are several, reasons where there are any."""


def _readable(column: Column) -> Column:
    """The column with its numbers in the metric's unit."""
    if column.name not in ("value", "bound", "margin"):
        return column
    return replace(column, value=lambda row, _: shown(row.check.metric, getattr(row.check, column.name)))


def sentence(one: Check) -> str:
    """One limit and what became of it, in words."""
    value, bound = shown(one.metric, one.value), shown(one.metric, one.bound)
    if one.margin is None:
        return f"{one.metric}: the {one.limit} of {bound} cannot be shown to hold: {one.reason}"
    if one.margin < 0:
        relation = "over" if one.limit == "max" else "under"
        return (
            f"{one.metric}: {value} is {relation} the {one.limit} of {bound} "
            f"by {shown(one.metric, -one.margin)} ({_percent(one).removeprefix('-')} %)"
        )
    kept = f"{one.metric}: {value} keeps the {one.limit} of {bound}"
    return f"{kept}, as far as it is known; {one.reason}" if one.status == "fail" else kept


def _passed(checks: Sequence[Check]) -> str:
    failed, count = sum(one.status == "fail" for one in checks), len(checks)
    if failed:
        return f"{failed} of {count} checks failed"
    return "1 check passed" if count == 1 else f"all {count} checks passed"


def verdict(checked: Sequence[Checked], broken: Sequence[Broken]) -> str:
    """All nets in one line."""
    checks = [one for net in checked for one in net.report.checks]
    free = sum(not net.report.checks for net in checked)
    parts = [_passed(checks)] if checks else []
    parts += [f"{free} without limits"] if free else []
    parts += [f"{len(broken)} could not be read"] if broken else []
    nets = len(checked) + len(broken)
    return f"{nets} net{'' if nets == 1 else 's'}: {', '.join(parts) or 'nothing to check'}"


def document(answer: CheckReport | CheckReports, nets: Sequence[Checked] = ()) -> Document:
    """A row for each limit, then the verdict. ``nets`` says how each was asked for and where its limits stand."""
    alone = isinstance(answer, CheckReport)
    reports, broken = ([answer], ()) if isinstance(answer, CheckReport) else (answer.nets, answer.broken)
    nets = nets or [Checked(one.model.source or one.model.name, one, {}) for one in reports]
    rows = [Row(net.label, one) for net in nets for one in net.report.checks]
    dropped = {"net" if alone else "", "reason" if all(row.check.reason is UNSET for row in rows) else ""}
    columns = [column for column in COLUMNS if column.name not in dropped]
    reasons = [
        Note(f"{'' if alone else f'{row.net}: '}{row.check.metric} {row.check.limit}: {row.check.reason}")
        for row in rows
        if row.check.reason is not UNSET
    ]
    said = Note(verdict(nets, broken))
    if isinstance(answer, CheckReport):
        model = answer.model
        batch = f", batch {model.batch}" if model.batch != 1 else ""
        said = Note(f"{model.name or model.source}{batch}: {_passed(answer.checks)}")
    return Document(
        answer,
        [*([Table([_readable(one) for one in columns if one.name != "reason"], rows)] if rows else []), *reasons, said],
        Table(columns, rows),
        status=2 if broken else int(any(one.status == "fail" for one in reports)),
        texts={
            "github": lambda: github.render(_annotations(nets, broken), [f"cnncalc check: {verdict(nets, broken)}"]),
            "junit": lambda: junit.render("cnncalc check", _suites(nets, broken)),
        },
        complaints=[one.message for one in broken],
    )


def _annotations(nets: Sequence[Checked], broken: Sequence[Broken]) -> Iterator[Finding]:
    """A finding for each broken limit, and for each net that could not be read."""
    for problem in broken:
        yield Finding("error", "cnncalc", problem.message, place=problem.place)
    for net in nets:
        for one in net.report.checks:
            if one.status == "fail":
                name = f"{net.report.model.name}: {sentence(one)}"
                yield Finding("error", "cnncalc check:", name, name=one.metric, place=net.place(one))


def _suites(nets: Sequence[Checked], broken: Sequence[Broken]) -> Iterator[junit.Suite]:
    """Each net as a suite of tests, each limit as a test."""
    for net in nets:
        cases = [
            junit.Case(
                f"{one.metric} {one.limit}", net.place(one), failure=sentence(one) if one.status == "fail" else ""
            )
            for one in net.report.checks
        ]
        whole = (net.report.model.source, 0, 0)
        yield junit.Suite(net.label, cases or [junit.Case("can be read", whole, skipped="it has no budget")])
    for problem in broken:
        yield junit.Suite(problem.net, [junit.Case("can be read", problem.place, error=problem.message)])
