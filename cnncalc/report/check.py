"""A net's totals against limits: the report of ``cnncalc check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType, structs

from cnncalc import __version__, units
from cnncalc.analysis.answer import Generator, Model
from cnncalc.analysis.report import Report, Totals
from cnncalc.document.column import Column, human
from cnncalc.graph import Place
from cnncalc.report.broken import Broken
from cnncalc.report.columns import unknown_in
from cnncalc.report.github import annotation
from cnncalc.report.junit import Case, Suite
from cnncalc.text import visible

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


class CheckReport(Struct, frozen=True):
    """The whole answer to ``check``."""

    schema_version: int
    generator: Generator
    model: Model
    status: Verdict
    checks: tuple[Check, ...]


class CheckReports(Struct, frozen=True):
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

    def place(self, one: Check) -> Place | None:
        """Where a limit is set; ``None`` for one of the command line."""
        return self.places.get(one.metric, {}).get(one.limit)


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


COLUMNS = (
    Column("metric", "metric", lambda one, _: one.metric),
    Column("limit", "limit", lambda one, _: one.limit),
    Column("value", "value", lambda one, _: one.value, show=human, right=True),
    Column("bound", "bound", lambda one, _: one.bound, show=human, right=True),
    Column("margin", "margin", lambda one, _: one.margin, show=human, right=True),
    Column("margin%", "%", lambda one, _: _percent(one), right=True),
    Column("status", "status", lambda one, _: one.status),
    Column("reason", "reason", lambda one, _: "" if one.reason is UNSET else one.reason),
)
"""The columns of the table of checks."""


def together(checked: Sequence[Checked], broken: Sequence[Broken]) -> CheckReports:
    """Several nets as one report."""
    failed = any(net.report.status == "fail" for net in checked)
    status: Literal["pass", "fail", "error"] = "error" if broken else "fail" if failed else "pass"
    reports = tuple(net.report for net in checked)
    return CheckReports(1, Generator("cnncalc", __version__), status, reports, tuple(broken))


def rows(checked: Sequence[Checked]) -> list[tuple[str, Check]]:
    """Every limit of every net, with how the net was asked for."""
    return [(net.label, one) for net in checked for one in net.report.checks]


def _of_check(column: Column) -> Column:
    return structs.replace(column, value=lambda row, whole: column.value(row[1], whole))


SEVERAL_COLUMNS = (
    Column("net", "net", lambda row, _: row[0], elastic=True),
    *map(_of_check, COLUMNS),
)
"""The columns of the table of several nets' checks."""


def chosen_columns(columns: Sequence[Column], checks: Sequence[Check]) -> list[Column]:
    """The columns that say something: reasons only where there are any."""
    reasons = any(one.reason is not UNSET for one in checks)
    return [column for column in columns if column.name != "reason" or reasons]


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


def verdict(checked: Sequence[Checked], broken: Sequence[Broken]) -> str:
    """All nets in one line."""
    checks = [one for net in checked for one in net.report.checks]
    failed = sum(one.status == "fail" for one in checks)
    free = sum(not net.report.checks for net in checked)
    count = len(checks)
    parts = [f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"] if count else []
    parts += [f"{free} without limits"] if free else []
    parts += [f"{len(broken)} could not be read"] if broken else []
    nets = len(checked) + len(broken)
    return f"{nets} net{'' if nets == 1 else 's'}: {', '.join(parts) or 'nothing to check'}"


def github(checked: Sequence[Checked], broken: Sequence[Broken]) -> str:
    """An annotation for each broken limit, and for each net that could not be read, as GitHub's runner reads them."""
    lines = list(map(Broken.annotation, broken))
    for net in checked:
        for one in net.report.checks:
            if one.status == "fail":
                place = net.place(one) or Place(net.report.model.source, 0, 0)
                text = f"{net.report.model.name}: {sentence(one)}"
                lines.append(annotation("error", text, place, title=f"cnncalc check: {one.metric}"))
    return "".join(f"{line}\n" for line in [*lines, f"cnncalc check: {visible(verdict(checked, broken))}"])


def suites(checked: Sequence[Checked], broken: Sequence[Broken]) -> Iterator[Suite]:
    """Each net as a suite of tests, each limit as a test."""
    for net in checked:
        cases = [
            Case(
                f"{one.metric} {one.limit}",
                net.place(one) or Place(net.report.model.source, 0, 0),
                failure=sentence(one) if one.status == "fail" else "",
            )
            for one in net.report.checks
        ]
        place = Place(net.report.model.source, 0, 0)
        yield Suite(net.label, cases or [Case("can be read", place, skipped="it has no budget")])
    yield from map(Broken.suite, broken)
