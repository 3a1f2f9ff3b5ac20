"""Design faults for a person or a machine: the report of ``cnncalc lint``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from cnncalc import __version__
from cnncalc.analysis.answer import Generator, Model
from cnncalc.analysis.lint import Finding, Findings, Rule, Severity
from cnncalc.document.column import Column
from cnncalc.document.grid import style
from cnncalc.graph import Graph, Place
from cnncalc.report.broken import Broken
from cnncalc.report.github import Level, annotation
from cnncalc.report.junit import Case, Suite
from cnncalc.text import visible, wrap

COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "bold"}


class RuleText(Struct, frozen=True):
    """One rule: what it looks for, why that matters, what would mend it, and who says so.

    ``severity`` is what most of its findings have; one that is less, or more, says so itself.
    """

    rule: str
    name: str
    severity: Severity
    summary: str
    why: str
    mend: str
    source: str


class Fault(Struct, frozen=True):
    """One finding: the rule, the layer and its place in the spec, what is wrong, and the exact numbers.

    ``layer`` is the name itself of an argument or block that nothing uses.
    ``file``, ``line`` and ``column`` are null where the net was not read from a text.
    """

    rule: str
    name: str
    severity: Severity
    layer: str
    file: str | None
    line: int | None
    column: int | None
    message: str
    numbers: dict[str, Any]


class Counts(Struct, frozen=True):
    """How many findings there are of each severity, and how many a comment in the spec silenced."""

    error: int
    warning: int
    info: int
    silenced: int


class LintReport(Struct, frozen=True):
    """The whole answer to ``lint``. ``rules`` has those that found something.

    ``status`` is ``fail`` where there is an error, or with ``strict`` a warning.
    """

    schema_version: int
    generator: Generator
    model: Model
    status: Literal["pass", "fail"]
    strict: bool
    counts: Counts
    findings: tuple[Fault, ...]
    rules: tuple[RuleText, ...]


class LintReports(Struct, frozen=True):
    """The answer to ``lint`` of several nets.

    ``broken`` are those that could not be read; where there are any, ``status`` is ``error``.
    """

    schema_version: int
    generator: Generator
    status: Literal["pass", "fail", "error"]
    nets: tuple[LintReport, ...]
    broken: tuple[Broken, ...]


class RuleList(Struct, frozen=True):
    """The answer to ``lint --rules``."""

    schema_version: int
    generator: Generator
    rules: tuple[RuleText, ...]


class Group(Struct, frozen=True):
    """Findings of one rule at one place in the spec: those of a block that is used several times."""

    first: Fault
    count: int
    alike: bool
    """Whether all have the same message."""


def report(graph: Graph, found: Findings, rules: Iterable[Rule], *, strict: bool = False) -> LintReport:
    """The report of what was found in a graph."""
    faults = tuple(map(_fault, found.findings))
    severities = [fault.severity for fault in faults]
    counts = Counts(severities.count("error"), severities.count("warning"), severities.count("info"), found.silenced)
    fired = {fault.rule for fault in faults}
    return LintReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        model=Model(
            name=graph.name,
            source=graph.source,
            args=graph.args,
            inputs=graph.inputs,
            batch=1,
            outputs={name: graph.shape(ref) for name, ref in graph.outputs},
            citation=graph.citation,
        ),
        status="fail" if counts.error or (strict and counts.warning) else "pass",
        strict=strict,
        counts=counts,
        findings=faults,
        rules=tuple(rule_text(rule) for rule in rules if rule.number in fired),
    )


def rule_list(rules: Iterable[Rule]) -> RuleList:
    """The texts of rules."""
    return RuleList(1, Generator("cnncalc", __version__), tuple(map(rule_text, rules)))


def rule_text(rule: Rule) -> RuleText:
    """A rule without its function."""
    return RuleText(rule.number, *rule[1:-1])


def _fault(finding: Finding) -> Fault:
    place = finding.place
    return Fault(
        rule=finding.rule,
        name=finding.name,
        severity=finding.severity,
        layer=finding.layer,
        file=place.file if place else None,
        line=place.line if place else None,
        column=place.column if place else None,
        message=finding.message,
        numbers=finding.numbers,
    )


def groups(faults: Sequence[Fault]) -> list[Group]:
    """Findings of one rule and severity at one place of the spec as one, the gravest severity first."""
    found: dict[tuple[Any, ...], list[Fault]] = {}
    for fault in faults:
        # what has no place in a text is by itself
        where = (fault.file, fault.line, fault.column) if fault.line is not None else (fault.layer,)
        found.setdefault((fault.rule, fault.severity, where), []).append(fault)
    order = list(COLOURS)
    result = [Group(m[0], len(m), len({one.message for one in m}) == 1) for m in found.values()]
    return sorted(result, key=lambda group: order.index(group.first.severity))


def where(fault: Fault) -> str:
    """``file:line:column``, as far as it is known."""
    return "" if fault.line is None else f"{fault.file}:{fault.line}:{fault.column}"


def _layer(group: Group) -> str:
    more = group.count - 1
    return group.first.layer + (f" and {more} more" if more else "")


def _message(group: Group) -> str:
    return group.first.message + ("" if group.alike else " (in the first; the others have numbers of their own)")


def verdict(lint: LintReport) -> str:
    """The counts in one line."""
    counts = lint.counts
    parts = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((counts.error, "error"), (counts.warning, "warning"), (counts.info, "note"))
        if count
    ]
    silenced = f" ({counts.silenced} silenced by comments)" if counts.silenced else ""
    name = visible(lint.model.name or lint.model.source)
    return f"{name}: {', '.join(parts) if parts else 'nothing found'}{silenced}"


def render(lint: LintReport, *, width: int | None = None, colour: bool = False) -> str:
    """The findings one below the other, those of a repeated block as one; then why, once for each rule."""
    lines: list[str] = []
    for group in groups(lint.findings):
        fault = group.first
        place = f"{visible(where(fault))}: " if where(fault) else ""
        head = f"{fault.severity} {fault.rule}"
        lines.append(f"{style(place, 'dim', colour)}{style(head, COLOURS[fault.severity], colour)} {fault.name}")
        lines += _indented(visible(f"{_layer(group)}: {_message(group)}"), width)
        lines.append("")
    for rule in lint.rules:
        lines += [*_rule(rule, width, colour, short=True), ""]
    return "\n".join([*lines, verdict(lint)]) + "\n"


def render_rules(rules: RuleList, *, width: int | None = None, colour: bool = False) -> str:
    """All there is to say about each rule."""
    blocks = ["\n".join(_rule(rule, width, colour, short=False)) for rule in rules.rules]
    return "\n\n".join(blocks) + "\n"


def _rule(rule: RuleText, width: int | None, colour: bool, *, short: bool) -> list[str]:
    grade = "" if short else f" ({rule.severity})"
    lines = [f"{style(rule.rule, 'bold', colour)} {rule.name}{grade}", *_indented(rule.summary, width)]
    for label, text in (("why", rule.why), ("mend", rule.mend), ("source", rule.source)):
        lines += _indented(f"{label}: {text}", width)
    return lines


def _indented(text: str, width: int | None) -> list[str]:
    return wrap(f"  {text}", width, "    ")


def together(reports: Sequence[LintReport], broken: Sequence[Broken]) -> LintReports:
    """Several nets as one report."""
    failed = any(one.status == "fail" for one in reports)
    status: Literal["pass", "fail", "error"] = "error" if broken else "fail" if failed else "pass"
    return LintReports(1, Generator("cnncalc", __version__), status, tuple(reports), tuple(broken))


LEVELS: dict[Severity, Level] = {"error": "error", "warning": "warning", "info": "notice"}


def place(fault: Fault) -> Place | None:
    """Where a fault stands, as far as it is known."""
    return None if fault.file is None else Place(fault.file, fault.line or 0, fault.column or 0)


def github(reports: Sequence[LintReport], broken: Sequence[Broken]) -> str:
    """An annotation for each group of findings, as GitHub's runner reads them, then the verdicts."""
    lines = list(map(Broken.annotation, broken))
    for lint in reports:
        for group in groups(lint.findings):
            fault = group.first
            text = f"{_layer(group)}: {_message(group)}"
            level = LEVELS[fault.severity]
            lines.append(annotation(level, text, place(fault), title=f"{fault.rule} {fault.name}"))
    return "".join(f"{line}\n" for line in [*lines, *(f"cnncalc lint: {verdict(lint)}" for lint in reports)])


def suites(reports: Sequence[LintReport], broken: Sequence[Broken]) -> Iterator[Suite]:
    """Each net as a suite of tests, each group of findings as a test; only what makes ``lint`` fail fails."""
    for lint in reports:
        cases = []
        for group in groups(lint.findings):
            fault = group.first
            text = f"{fault.severity}: {_layer(group)}: {_message(group)}"
            fails = fault.severity == "error" or (lint.strict and fault.severity == "warning")
            name = f"{fault.rule} {fault.name} {fault.layer}"
            cases.append(Case(name, place(fault), failure=text if fails else "", output="" if fails else text))
        whole = Place(lint.model.source, 0, 0)
        yield Suite(lint.model.source or lint.model.name, cases or [Case("nothing found", whole)])
    yield from map(Broken.suite, broken)


COLUMNS = (
    Column("rule", "rule", lambda one, _: one.rule),
    Column("name", "name", lambda one, _: one.name),
    Column("severity", "severity", lambda one, _: one.severity),
    Column("layer", "layer", lambda one, _: one.layer),
    Column("file", "file", lambda one, _: one.file),
    Column("line", "line", lambda one, _: one.line, right=True),
    Column("column", "column", lambda one, _: one.column, right=True),
    Column("message", "message", lambda one, _: one.message),
    Column("numbers", "numbers", lambda one, _: msgspec.json.encode(one.numbers).decode()),
)
"""The columns of a table with one row for each finding, for machines."""

GROUP_COLUMNS = (
    Column("severity", "severity", lambda one, _: one.first.severity),
    Column("rule", "rule", lambda one, _: f"{one.first.rule} {one.first.name}"),
    Column("count", "count", lambda one, _: one.count, right=True),
    Column("layer", "layer", lambda one, _: _layer(one)),
    Column("where", "where", lambda one, _: where(one.first)),
    Column("message", "message", lambda one, _: _message(one)),
)
"""The columns of a table with one row for each group, for people."""

RULE_COLUMNS = tuple(
    Column(name, name, lambda one, _, name=name: getattr(one, name))  # type: ignore[misc]
    for name in RuleText.__struct_fields__
)
"""The columns of the table of rules."""
