"""What a budget can limit, and how its bounds are written."""

from __future__ import annotations

from cnncalc import units
from cnncalc.errors import CnncalcError
from cnncalc.graph import Place
from cnncalc.spec.problem import listed, nearest
from cnncalc.spec.reader import Entry, Mapping, Scalar, Source

BYTES = ("weights", "peak", "memory")
"""Metrics in bytes: the weights, the most that is alive in inference besides, all that a step of training holds."""
METRICS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations", "layers", "rf", "jump", *BYTES)
"""All that can be limited: totals, the number of layers, size and jump of the receptive field, and memory."""


def bound(metric: str, text: str) -> int:
    """The value of a bound: a count, e.g. ``26M``, or for memory a size too, e.g. ``100MiB``.

    Raises:
        CnncalcError: it is neither.
    """
    size = metric in BYTES and text.strip()[-1:].isalpha()
    return units.parse_bytes(text) if size else units.parse(text)


def limits(source: Source, entries: list[Entry]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, Place]]]:
    """The limits that a spec sets, by metric and side (``max``, ``min``), and where each is written.

    Raises:
        SpecError: no such metric or side, or not a bound.
    """
    found: dict[str, dict[str, int]] = {}
    places: dict[str, dict[str, Place]] = {}
    for metric, value in entries:
        if metric.text not in METRICS:
            hint = nearest(metric.text, METRICS) or f"metrics: {listed(METRICS)}"
            raise source.error(f"there is no metric '{metric.text}' to limit", metric, hint=hint)
        if not isinstance(value, Mapping):
            raise source.error("a limit is a mapping", value, hint=f"write '{metric.text}: {{max: 26M}}'")
        sides, at = found[metric.text], places[metric.text] = {}, {}
        for side, limit in value.entries:
            if side.text not in ("max", "min"):
                raise source.error(f"a limit has 'max' or 'min', not '{side.text}'", side)
            at[side.text] = Place(source.name, side.line, side.column)
            try:
                sides[side.text] = bound(metric.text, limit.text if isinstance(limit, Scalar) else "?")
            except CnncalcError as error:
                raise source.error(str(error), limit) from None
    return found, places
