"""Findings as SARIF 2.1.0 (OASIS standard), which code scanning on GitHub and most editors read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from cnncalc import __version__
from cnncalc.analysis.lint import Severity
from cnncalc.report.broken import Broken
from cnncalc.report.github import in_repository
from cnncalc.report.lint import Fault, LintReport, RuleText
from cnncalc.text import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def render(reports: Sequence[LintReport], broken: Sequence[Broken]) -> str:
    """One run with the findings of all nets; what could not be read is a notification of the run."""
    rules = {rule.rule: rule for lint in reports for rule in lint.rules}
    order = sorted(rules)
    seen: dict[str, int] = {}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "cnncalc",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(rules[number]) for number in order],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not broken,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": visible(one.message, keep="\n")},
                        "locations": [_location(one.place.file, one.line, one.column)],
                    }
                    for one in broken
                ],
            }
        ],
        "results": [_result(fault, lint, order.index(fault.rule), seen) for lint in reports for fault in lint.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: RuleText) -> dict[str, Any]:
    """A rule, with its reason and its remedy as the help that is shown beside a finding."""
    text = f"{rule.why}\n\nWhat would mend it: {rule.mend}\n\nSource: {rule.source}"
    return {
        "id": rule.rule,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": f"{rule.summary} {rule.why}"},
        "help": {"text": text},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": ["convolutional-network"]},
    }


def _result(fault: Fault, lint: LintReport, index: int, seen: dict[str, int]) -> dict[str, Any]:
    location = _location(fault.file or lint.model.source, fault.line, fault.column)
    location["logicalLocations"] = [
        {"fullyQualifiedName": visible(fault.layer), "name": visible(fault.layer.rpartition(".")[2]), "kind": "object"}
    ]
    return {
        "ruleId": fault.rule,
        "ruleIndex": index,
        "level": LEVELS[fault.severity],
        "message": {"text": visible(f"{fault.layer}: {fault.message}")},
        "locations": [location],
        "partialFingerprints": {"cnncalcLayer/v1": _fingerprint((fault.rule, lint.model.name, fault.layer), seen)},
        "properties": {"numbers": json.loads(json.dumps(fault.numbers, default=str))},
    }


def _fingerprint(parts: Iterable[str], seen: dict[str, int]) -> str:
    """The same for the same rule and layer, wherever they stand in the file; of several alike each has its own."""
    name = "\0".join(parts)
    seen[name] = seen.get(name, 0) + 1
    return f"{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}:{seen[name]}"


def _location(file: str, line: int | None, column: int | None) -> dict[str, Any]:
    from urllib.parse import quote

    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(in_repository(file), errors="surrogateescape")}}
    if line:
        physical["region"] = {"startLine": line, "startColumn": column or 1}
    return {"physicalLocation": physical}
