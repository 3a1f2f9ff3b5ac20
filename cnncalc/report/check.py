"""A net's totals against limits: the report of ``cnncalc check``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc import units
from cnncalc.analysis.answer import GENERATOR, SCHEMA_VERSION, Answer, Generator, Model
from cnncalc.analysis.broken import Broken
from cnncalc.analysis.report import Report, Totals
from cnncalc.document import github, junit
from cnncalc.document.blocks import Document, Finding, Note, Table
from cnncalc.document.column import Column, human
from cnncalc.graph import Place
from cnncalc.report.columns import unknown_in

METRICS = Totals.__struct_fields__[1:]
"""What can be limited: every total."""
Limits = Mapping[str, Mapping[str, int]]
"""For each metric its ``max``, its ``min`` or both."""
Verdict = Literal["pass", "fail"]


class Check(Struct, frozen=True):
    """One limit. ``margin`` is what is left of it: negative where it is broken.

    ``reason`` is there where the verdict rests on numbers that are not all known: ``value`` is then a
    lower bound, which can break a ``max`` and keep a ``min`` but never the other way round.
    """

    metric: str
    limit: Literal["max", "min"]
    value: int
    bound: int
    margin: int
    status: Verdict
    reason: str | UnsetType = UNSET


class CheckReport(Answer, frozen=True):
    """The whole answer to ``check``."""

    schema_version: int
    generator: Generator
    model: Model
    status: Verdict
    checks: tuple[Check, ...]


class CheckReports(Answer, frozen=True):
    """The answer to ``check`` of several nets.

    ``broken`` are those that could not be read; where there are any, ``status`` is ``error``.
    """

    schema_version: int
    generator: Generator
    status: Literal["pass", "fail", "error"]
    nets: tuple[CheckReport, ...]
    broken: tuple[Broken, ...]


class Checked(NamedTuple):
    """One net: how it was asked for, its report, and where its source sets the limits."""

    label: str
    report: CheckReport
    places: Mapping[str, Mapping[str, Place]]

    def place(self, one: Check) -> Place:
        """Where a limit is set: for one of the command line the file as a whole."""
        return self.places.get(one.metric, {}).get(one.limit) or Place(self.report.model.source, 0, 0)


def check(report: Report, limits: Limits) -> CheckReport:
    """Every limit held against the report's totals; one that cannot be shown to be kept fails."""
    checks = tuple(
        one_check(report, metric, limit, bound)
        for metric in METRICS
        for limit, bound in sorted(limits.get(metric, {}).items())
    )
    status: Verdict = "pass" if all(one.status == "pass" for one in checks) else "fail"
    return CheckReport(report.schema_version, report.generator, report.model, status, checks)


def one_check(report: Report, metric: str, limit: str, bound: int) -> Check:
    """One limit held against one total."""
    value = getattr(report.totals, metric)
    side: Literal["max", "min"] = "max" if limit == "max" else "min"
    margin = bound - value if side == "max" else value - bound
    missing = unknown_in(report, metric)
    kept = margin >= 0 and not (missing and side == "max")
    reason: str | UnsetType = UNSET
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        reason = f"unknown: the value is a lower bound without {', '.join(missing[:3])}{more}"
    return Check(metric, side, value, bound, margin, "pass" if kept else "fail", reason)


def _percent(one: Check) -> str:
    """The margin in per cent of the bound."""
    if not one.bound:
        return "–"
    return f"{'-' if one.margin < 0 else ''}{units.share(abs(one.margin), abs(one.bound))}"


class Row(NamedTuple):
    """One row of the table: how the net was asked for, and one limit."""

    net: str
    check: Check


def _column(name: str, value: Callable[[Check], Any], header: str = "", **more: Any) -> Column:
    return Column(name, header or name, lambda row, _: value(row.check), **more)


COLUMNS = (
    Column("net", "net", lambda row, _: row.net, elastic=True),
    _column("metric", lambda one: one.metric),
    _column("limit", lambda one: one.limit),
    _column("value", lambda one: one.value, show=human, right=True),
    _column("bound", lambda one: one.bound, show=human, right=True),
    _column("margin", lambda one: one.margin, show=human, right=True, priority=1),
    _column("margin%", _percent, "%", right=True),
    _column("status", lambda one: one.status),
    _column("reason", lambda one: "" if one.reason is UNSET else one.reason),
)
"""The columns of the table: the net where there are several, reasons where there are any."""


def together(checked: Sequence[Checked], broken: Sequence[Broken]) -> CheckReports:
    """Several nets as one report."""
    failed = any(net.report.status == "fail" for net in checked)
    status: Literal["pass", "fail", "error"] = "error" if broken else "fail" if failed else "pass"
    return CheckReports(SCHEMA_VERSION, GENERATOR, status, tuple(net.report for net in checked), tuple(broken))


def sentence(one: Check) -> str:
    """One limit and what became of it, in words."""
    relation, side = ("over", "max") if one.limit == "max" else ("under", "min")
    if one.margin < 0:
        return (
            f"{one.metric}: {units.show(one.value)} is {relation} the {side} of {units.show(one.bound)} "
            f"by {units.show(-one.margin)} ({_percent(one).removeprefix('-')} %)"
        )
    kept = f"{one.metric}: {units.show(one.value)} keeps the {side} of {units.show(one.bound)}"
    return f"{kept}, as far as it is known; {one.reason}" if one.status == "fail" else kept


def _passed(checks: Sequence[Check]) -> str:
    failed, count = sum(one.status == "fail" for one in checks), len(checks)
    return f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"


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
    table = Table([column for column in COLUMNS if column.name not in dropped], rows)
    said = verdict(nets, broken)
    if isinstance(answer, CheckReport):
        model = answer.model
        batch = f", batch {model.batch}" if model.batch != 1 else ""
        said = f"{model.name or model.source}{batch}: {_passed(answer.checks)}"
    return Document(
        answer,
        [*([table] if rows else []), Note(said)],
        table,
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
