"""``--fail-on``: what a comparison of two nets must not show, e.g. ``params>+1%``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc import units
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.metrics import ALIASES
from cnncalc.errors import CnncalcError, unknown_name

METRICS = (*COUNTS, "layers", "rf", "jump")
"""What two nets are compared by."""
EDITS = ("added", "removed", "changed", "moved", "renamed", "affected", "differ")
"""Numbers of layers of the comparison itself; ``differ``: all that are not the same."""

_FORM = re.compile(r"\s*([A-Za-z_]+)\s*(!=|>=|<=|>|<)\s*(.*?)\s*", re.DOTALL)
_DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?")
_HINT = "write METRIC, one of > >= < <= !=, and +1% or +100k for the difference, or 26M for the new value"


class Condition(Struct, frozen=True):
    """One condition: ``metric`` of the net after, or its difference, against ``bound`` / ``scale``.

    ``of`` says what is compared: the new value, the difference, or the difference in per cent of the old
    value.
    """

    text: str
    metric: str
    operator: Literal["!=", ">", ">=", "<", "<="]
    of: Literal["value", "difference", "percent"]
    bound: int
    scale: int = 1


class Outcome(Struct, frozen=True):
    """Whether a condition was met, which makes the comparison fail. ``reason`` says so where numbers are missing."""

    condition: str
    metric: str
    before: int | None
    after: int | None
    difference: int | None
    status: Literal["pass", "fail"]
    reason: str | UnsetType = UNSET


class Pair(Struct, frozen=True):
    """One metric of both nets; ``partial`` where one of them is a lower bound."""

    before: int | None
    after: int | None
    partial: bool = False


def parse(text: str) -> Condition:
    """The condition that ``text`` means.

    Raises:
        CnncalcError: it has no such form, the metric is unknown, or the value is not a count.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise CnncalcError(f"--fail-on {text}: is not a condition\n  hint: {_HINT}")
    name, operator, value = match[1], match[2], match[3]
    metric = ALIASES.get(name.lower(), name.lower())
    if metric not in METRICS + EDITS:
        raise unknown_name("metric", name, METRICS + EDITS, METRICS + EDITS)
    known: Literal["!=", ">", ">=", "<", "<="] = operator  # type: ignore[assignment]
    if operator == "!=" and not value:
        return Condition(text.strip(), metric, known, "difference", 0)
    try:
        if value.endswith("%"):
            number = _DECIMAL.fullmatch(value[:-1].strip())
            if number is None:
                raise CnncalcError(f"'{value}' is not a percentage; write +1% or +0.5%")
            decimals = number[3] or ""
            bound = int(number[2] + decimals)
            return Condition(
                text.strip(), metric, known, "percent", -bound if number[1] == "-" else bound, 10 ** len(decimals)
            )
        return Condition(
            text.strip(), metric, known, "difference" if value[:1] in ("+", "-") else "value", units.parse(value)
        )
    except CnncalcError as error:
        raise CnncalcError(f"--fail-on {text}: {error}") from None


def judge(conditions: Sequence[Condition], metrics: Mapping[str, Pair]) -> tuple[Outcome, ...]:
    """Each condition held against the numbers; one that cannot be shown not to be met fails."""
    return tuple(_outcome(one, metrics[one.metric]) for one in conditions)


def _outcome(one: Condition, pair: Pair) -> Outcome:
    if pair.before is None or pair.after is None:
        same = pair.before is None and pair.after is None
        reason = f"there is no {one.metric} in {'either net' if same else 'one of the nets'}"
        return Outcome(one.text, one.metric, pair.before, pair.after, None, "pass" if same else "fail", reason)
    difference = pair.after - pair.before
    if pair.partial:
        reason = f"unknown: the {one.metric} of some layers could not be counted"
        return Outcome(one.text, one.metric, pair.before, pair.after, difference, "fail", reason)
    left, right = {
        "value": (pair.after, one.bound),
        "difference": (difference, one.bound),
        # exact; where there was nothing, any growth is more than any percentage, and none is 0%
        "percent": (difference * 100 * one.scale, one.bound * (pair.before if pair.before or difference else 1)),
    }[one.of]
    met = {
        "!=": left != right,
        ">": left > right,
        ">=": left >= right,
        "<": left < right,
        "<=": left <= right,
    }[one.operator]
    return Outcome(one.text, one.metric, pair.before, pair.after, difference, "fail" if met else "pass")
