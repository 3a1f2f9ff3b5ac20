"""A net's numbers against limits: the answers of ``cnncalc check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.answer import Answer, Model
from cnncalc.analysis.assemble import assemble
from cnncalc.analysis.broken import Broken, verdict
from cnncalc.analysis.metrics import ALIASES, Measured, measure
from cnncalc.errors import unknown_name
from cnncalc.graph import Graph, Place
from cnncalc.spec.budget import METRICS

Limits = Mapping[str, Mapping[str, int]]
"""For each metric its ``max``, its ``min`` or both."""
Verdict = Literal["pass", "fail"]


class Check(Struct, frozen=True):
    """One limit. ``margin`` is what is left of it: negative where it is broken.

    ``reason`` is there where the verdict rests on numbers that are not all known: ``value`` is then a
    lower bound, which can break a ``max`` and keep a ``min`` but never the other way round, or null.
    """

    metric: str
    limit: Literal["max", "min"]
    value: int | None
    bound: int
    margin: int | None
    status: Verdict
    reason: str | UnsetType = UNSET


class CheckReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``check``."""

    model: Model
    status: Verdict
    checks: tuple[Check, ...]


class CheckReports(Answer, frozen=True, kw_only=True):
    """The answer to ``check`` of several nets.

    ``broken`` are those that could not be read; where there are any, ``status`` is ``error``.
    """

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


def metric_named(name: str) -> str:
    """The metric that a name means.

    Raises:
        CnncalcError: there is none of that name; the message has the nearest.
    """
    known = name.strip().lower()
    known = ALIASES.get(known, known)
    if known not in METRICS:
        raise unknown_name("metric", name, METRICS, METRICS)
    return known


def checked(graph: Graph, label: str, batch: int, given: Limits) -> Checked:
    """A net held against its budget and the limits given, which replace the budget's for that metric and side."""
    limits = {metric: {**bounds} for metric, bounds in graph.budget.items()}
    places = {metric: {**sides} for metric, sides in graph.budget_places.items()}
    for metric, bounds in given.items():
        limits.setdefault(metric, {}).update(bounds)
        for side in bounds:
            places.get(metric, {}).pop(side, None)
    report = assemble(graph, batch, peak="peak" in limits)
    return Checked(label, check(report.model, measure(report, graph, limits), limits), places)


def check(model: Model, measured: Mapping[str, Measured], limits: Limits) -> CheckReport:
    """Every limit held against what was measured; one that cannot be shown to be kept fails."""
    checks = tuple(
        _check(metric, measured[metric], limit, bound)
        for metric in METRICS
        for limit, bound in sorted(limits.get(metric, {}).items())
    )
    status: Verdict = "pass" if all(one.status == "pass" for one in checks) else "fail"
    return CheckReport(model=model, status=status, checks=checks)


def _check(metric: str, measured: Measured, limit: str, bound: int) -> Check:
    value, reason = measured
    side: Literal["max", "min"] = "max" if limit == "max" else "min"
    margin = None if value is None else bound - value if side == "max" else value - bound
    kept = margin is not None and margin >= 0 and not (reason and side == "max")
    return Check(metric, side, value, bound, margin, "pass" if kept else "fail", reason or UNSET)


def together(nets: Sequence[Checked], broken: Sequence[Broken]) -> CheckReports:
    """Several nets as one answer."""
    status = verdict((net.report.status == "fail" for net in nets), broken)
    return CheckReports(status=status, nets=tuple(net.report for net in nets), broken=tuple(broken))
