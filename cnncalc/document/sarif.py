"""Findings as SARIF 2.1.0 (OASIS standard), which code scanning on GitHub and most editors read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from cnncalc import __version__
from cnncalc.document.blocks import Place
from cnncalc.document.github import in_repository
from cnncalc.text import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
Level = Literal["error", "warning", "note"]


class Rule(NamedTuple):
    """A rule; ``name`` is words joined by hyphens, ``help`` is shown beside its findings."""

    number: str
    name: str
    level: Level
    summary: str
    description: str
    help: str


class Result(NamedTuple):
    """One finding. ``thing`` is what it is about, ``family`` what that is a part of: together with the rule they tell
    it from others, wherever it stands in the file.
    """

    rule: str
    level: Level
    message: str
    place: Place
    thing: str
    family: str
    numbers: Mapping[str, Any]


class Problem(NamedTuple):
    """What kept a file from being looked at."""

    message: str
    place: Place


def render(rules: Iterable[Rule], results: Iterable[Result], problems: Sequence[Problem] = ()) -> str:
    """One run; each rule is listed once, problems are notifications of the run."""
    known = {rule.number: rule for rule in rules}
    order = sorted(known)
    seen: dict[str, int] = {}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "cnncalc",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(known[number]) for number in order],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not problems,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": visible(one.message, keep="\n")},
                        "locations": [_location(one.place)],
                    }
                    for one in problems
                ],
            }
        ],
        "results": [_result(one, order.index(one.rule), seen) for one in results],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.number,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.description},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": ["convolutional-network"]},
    }


def _result(one: Result, index: int, seen: dict[str, int]) -> dict[str, Any]:
    location = _location(one.place)
    location["logicalLocations"] = [
        {"fullyQualifiedName": visible(one.thing), "name": visible(one.thing.rpartition(".")[2]), "kind": "object"}
    ]
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.level,
        "message": {"text": visible(one.message)},
        "locations": [location],
        "partialFingerprints": {"cnncalcLayer/v1": _fingerprint((one.rule, one.family, one.thing), seen)},
        "properties": {"numbers": json.loads(json.dumps(one.numbers, default=str))},
    }


def _fingerprint(parts: Iterable[str], seen: dict[str, int]) -> str:
    """The same for the same rule and thing, wherever they stand in the file; of several alike each has its own."""
    name = "\0".join(parts)
    seen[name] = seen.get(name, 0) + 1
    return f"{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}:{seen[name]}"


def _location(place: Place) -> dict[str, Any]:
    from urllib.parse import quote

    file, line, column = place
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(in_repository(file), errors="surrogateescape")}}
    if line:
        physical["region"] = {"startLine": line, "startColumn": column or 1}
    return {"physicalLocation": physical}
