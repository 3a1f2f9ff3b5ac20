"""``--fail-on``: what a comparison of two nets must not show, e.g. ``params>+1%``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import ge, gt, le, lt, ne
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

OPERATORS = {"!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le}
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


class Difference(Struct, frozen=True):
    """One total of both nets. ``percent`` is null where there was nothing before; ``partial``: a lower bound.

    The receptive field and the jump are those of the last layer that does not see everything, along the
    axis where they are largest; null where there is none, or where whole maps see everything.
    """

    metric: str
    before: int | None
    after: int | None
    difference: int | None
    percent: float | None
    status: Literal["complete", "partial"]


def difference(metric: str, before: int | None, after: int | None, *, partial: bool = False) -> Difference:
    """What a number is before and after."""
    more = None if before is None or after is None else after - before
    percent = 0.0 if more == 0 else None if more is None or not before else 100 * more / before
    return Difference(metric, before, after, more, percent, "partial" if partial else "complete")


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


def judge(conditions: Sequence[Condition], metrics: Mapping[str, Difference]) -> tuple[Outcome, ...]:
    """Each condition held against the numbers; one that cannot be shown not to be met fails."""
    return tuple(_outcome(one, metrics[one.metric]) for one in conditions)


def _outcome(one: Condition, found: Difference) -> Outcome:
    before, after, more = found.before, found.after, found.difference
    reason: str | UnsetType = UNSET
    if before is None or after is None or more is None:
        met = before is not after
        reason = f"there is no {one.metric} in {'one of the nets' if met else 'either net'}"
    elif found.status == "partial":
        met, reason = True, f"unknown: the {one.metric} of some layers could not be counted"
    else:
        left, right = {
            "value": (after, one.bound),
            "difference": (more, one.bound),
            # exact; where there was nothing, any growth is more than any percentage, and none is 0%
            "percent": (more * 100 * one.scale, one.bound * (before if before or more else 1)),
        }[one.of]
        met = OPERATORS[one.operator](left, right)
    return Outcome(one.text, one.metric, before, after, more, "fail" if met else "pass", reason)
