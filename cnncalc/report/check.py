"""A net's totals against limits: the report of ``cnncalc check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc import units
from cnncalc.report.columns import Column, human, unknown_in
from cnncalc.report.model import Generator, Model, Report, Totals

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
