"""The pages of ``cnncalc lint``: a line for each finding; rules are explained where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cnncalc.analysis.broken import Broken
from cnncalc.analysis.lint import Finding, Rule, Severity
from cnncalc.analysis.lint.answer import Counts, LintReport, LintReports, RuleList
from cnncalc.document import blocks, github, junit, sarif
from cnncalc.document.blocks import Block, Document, Fact, Facts, Group, Heading, Note, Table, Text
from cnncalc.document.column import Column
from cnncalc.text import visible

MARKS: dict[Severity, Any] = {"error": "error", "warning": "warning", "info": "note"}
"""What stands for each severity, the gravest first."""

COLUMNS = (
    *map(Column, Finding.__struct_fields__[:5]),
    Column("line", right=True),
    Column("column", right=True),
    Column("message"),
    Column("numbers", "numbers", lambda one, _: msgspec.json.encode(one.numbers).decode()),
)
"""The columns of CSV, with a row for each finding."""

RULE_COLUMNS = [*map(Column, Rule.__struct_fields__)]
"""The columns of CSV of rules."""


def grouped(findings: Sequence[Finding]) -> list[blocks.Finding]:
    """Findings of one rule and severity at one place of the spec as one, the gravest severity first."""
    found: dict[tuple[Any, ...], list[Finding]] = {}
    for one in findings:
        # what has no place in a text is by itself
        where = one.layer if one.line is None else one.place
        found.setdefault((one.rule, one.severity, where), []).append(one)
    order = list(MARKS.values())
    return sorted(map(_group, found.values()), key=lambda group: order.index(group.mark))


def _group(alike: Sequence[Finding]) -> blocks.Finding:
    first = alike[0]
    same = all(one.message == first.message for one in alike)
    return blocks.Finding(
        MARKS[first.severity],
        first.rule,
        first.message + ("" if same else " (in the first; the others have numbers of their own)"),
        first.layer,
        first.name,
        first.place,
        len(alike),
    )


def verdict(lint: LintReport) -> str:
    """The counts in one line."""
    return f"{visible(lint.model.name or lint.model.source)}: {_counted([lint])}"


def _counted(nets: Sequence[LintReport]) -> str:
    sums = {name: sum(getattr(net.counts, name) for net in nets) for name in Counts.__struct_fields__}
    nouns = {"error": "error", "warning": "warning", "info": "note"}
    parts = [f"{sums[name]} {noun}{'' if sums[name] == 1 else 's'}" for name, noun in nouns.items() if sums[name]]
    silenced = f" ({sums['silenced']} silenced by comments)" if sums["silenced"] else ""
    return f"{', '.join(parts) or 'nothing found'}{silenced}"


def document(answer: LintReport | LintReports | RuleList) -> Document:
    """The findings of each net and its verdict; last, how to have the rules explained."""
    if isinstance(answer, RuleList):
        return rules(answer)
    nets = answer.nets if isinstance(answer, LintReports) else (answer,)
    broken = answer.broken if isinstance(answer, LintReports) else ()
    shown: list[Block] = []
    for net in nets:
        shown += [*([blocks.Findings(grouped(net.findings))] if net.findings else []), Note(verdict(net))]
    if isinstance(answer, LintReports):
        unread = f"; {len(broken)} could not be read" if broken else ""
        count = len(nets) + len(broken)
        shown.append(Note(f"{count} net{'' if count == 1 else 's'}: {_counted(nets)}{unread}"))
    fired = sorted({rule.rule for net in nets for rule in net.rules})
    if fired:
        shown[-1:] = [
            Group([shown[-1], Text(f"how to fix: cnncalc lint --explain {','.join(fired)}", tone="dim", indent="  ")])
        ]
    return Document(
        answer,
        shown,
        Table(COLUMNS, [finding for net in nets for finding in net.findings]),
        status=2 if broken else int(any(net.status == "fail" for net in nets)),
        texts={
            "github": lambda: github.render(
                [
                    *(blocks.Finding("error", "cnncalc", one.message, place=one.place) for one in broken),
                    *(finding for net in nets for finding in grouped(net.findings)),
                ],
                [f"cnncalc lint: {verdict(net)}" for net in nets],
            ),
            "junit": lambda: junit.render("cnncalc lint", _suites(nets, broken)),
            "sarif": lambda: _sarif(nets, broken),
        },
        complaints=[one.message for one in broken],
    )


def _suites(nets: Sequence[LintReport], broken: Sequence[Broken]) -> Iterator[junit.Suite]:
    """Each net as a suite of tests, each group of findings as a test; only what makes ``lint`` fail fails."""
    severities = {mark: severity for severity, mark in MARKS.items()}
    for net in nets:
        cases = []
        for one in grouped(net.findings):
            text = f"{severities[one.mark]}: {one.message}"
            fails = one.mark == "error" or (net.strict and one.mark == "warning")
            name = f"{one.title} {one.subject}"
            cases.append(junit.Case(name, one.place, failure=text if fails else "", output="" if fails else text))
        whole = (net.model.source, 0, 0)
        yield junit.Suite(net.model.source or net.model.name, cases or [junit.Case("nothing found", whole)])
    for problem in broken:
        yield junit.Suite(problem.net, [junit.Case("can be read", problem.place, error=problem.message)])


def _sarif(nets: Sequence[LintReport], broken: Sequence[Broken]) -> str:
    """Every finding; a rule's reason and remedy are the help that is shown beside it."""
    return sarif.render(
        [
            sarif.Rule(
                rule.rule,
                rule.name,
                MARKS[rule.severity],
                rule.summary,
                f"{rule.summary} {rule.why}",
                f"{rule.why}\n\nWhat would mend it: {rule.mend}\n\nSource: {rule.source}",
            )
            for net in nets
            for rule in net.rules
        ],
        [
            sarif.Result(
                one.rule,
                MARKS[one.severity],
                f"{one.layer}: {one.message}",
                (one.file or net.model.source, one.line or 0, one.column or 0),
                one.layer,
                net.model.name,
                one.numbers,
            )
            for net in nets
            for one in net.findings
        ],
        [sarif.Problem(one.message, one.place) for one in broken],
    )


def rules(answer: RuleList) -> Document:
    """The list of rules, a line each."""
    facts = [Fact(f"{rule.rule} {rule.name}", rule.severity, rule.summary) for rule in answer.rules]
    hint = Text("why, and how to fix it: cnncalc lint --explain CNN101", tone="dim")
    return Document(answer, [Facts(facts), hint], Table(RULE_COLUMNS, answer.rules))


def explained(answer: RuleList) -> Document:
    """All there is to say about each rule."""
    shown: list[Block] = []
    for rule in answer.rules:
        parts = (("why", rule.why), ("how to fix", rule.mend), ("source", rule.source))
        shown += [
            Heading(f"{rule.rule} {rule.name} ({rule.severity})"),
            Text(rule.summary),
            Group([Text(f"{lead}: {text}", indent="  ") for lead, text in parts]),
        ]
    return Document(answer, shown, Table(RULE_COLUMNS, answer.rules))
