"""The row of a block: the sums of the layers that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cnncalc.analysis.report import LayerReport

COUNTS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
BLOCK = "block"


def block(path: str, layers: list[LayerReport]) -> LayerReport:
    """The layers below ``path`` as one row: the first one's input, the last one's output, sums of the counts."""
    first, last = layers[0], layers[-1]
    sections: dict[str, Any] = {}
    if first.has_sections:
        from cnncalc.analysis.sections import folded

        sections = folded(layers)
    return LayerReport(
        path=path,
        type=BLOCK,
        inputs=first.inputs,
        input_shapes=first.input_shapes,
        output_shape=last.output_shape,
        receptive_field=last.receptive_field,
        receptive_fields=last.receptive_fields,
        settings={"layers": len(layers)},
        **sums(layers, COUNTS),
        **sections,
    )


def sums(rows: Iterable[Any], names: Iterable[str]) -> dict[str, Any]:
    """The sums over the rows of the fields of these names."""
    several = list(rows)
    return {name: total([getattr(row, name) for row in several]) for name in names}


def total(counts: Sequence[Any]) -> Any:
    """The sum of numbers, ``None`` (unknown) where one of them is."""
    return None if None in counts else sum(counts)
