"""The answers of ``cnncalc lint``: the findings in one net or in several, and the list of rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from cnncalc.analysis.answer import Answer, Model, model
from cnncalc.analysis.broken import Broken, verdict
from cnncalc.analysis.lint import Finding, Findings
from cnncalc.analysis.lint.rule import Rule
from cnncalc.graph import Graph


class Counts(Struct, frozen=True):
    """How many findings there are of each severity, and how many a comment in the spec silenced."""

    error: int
    warning: int
    info: int
    silenced: int


class LintReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``lint``. ``rules`` has those that found something.

    ``status`` is ``fail`` where there is an error, or with ``strict`` a warning.
    """

    model: Model
    status: Literal["pass", "fail"]
    strict: bool
    counts: Counts
    findings: tuple[Finding, ...]
    rules: tuple[Rule, ...]


class LintReports(Answer, frozen=True, kw_only=True):
    """The answer to ``lint`` of several nets.

    ``broken`` are those that could not be read; where there are any, ``status`` is ``error``.
    """

    status: Literal["pass", "fail", "error"]
    nets: tuple[LintReport, ...]
    broken: tuple[Broken, ...]


class RuleList(Answer, frozen=True, kw_only=True):
    """The answer to ``lint --rules``."""

    rules: tuple[Rule, ...]


def report(graph: Graph, found: Findings, rules: Iterable[Rule], *, strict: bool = False) -> LintReport:
    """The answer for what was found in a graph."""
    severities = [finding.severity for finding in found.findings]
    counts = Counts(severities.count("error"), severities.count("warning"), severities.count("info"), found.silenced)
    fired = {finding.rule for finding in found.findings}
    return LintReport(
        model=model(graph),
        status="fail" if counts.error or (strict and counts.warning) else "pass",
        strict=strict,
        counts=counts,
        findings=found.findings,
        rules=tuple(rule for rule in rules if rule.rule in fired),
    )


def rule_list(rules: Iterable[Rule]) -> RuleList:
    """The answer that lists rules."""
    return RuleList(rules=tuple(rules))


def together(reports: Sequence[LintReport], broken: Sequence[Broken]) -> LintReports:
    """Several nets as one answer."""
    status = verdict((one.status == "fail" for one in reports), broken)
    return LintReports(status=status, nets=tuple(reports), broken=tuple(broken))
