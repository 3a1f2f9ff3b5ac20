"""What a budget can limit, and how its bounds are written."""

from __future__ import annotations

from cnncalc import units

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
