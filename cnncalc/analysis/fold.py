"""Layers folded into the blocks that hold them, with their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncalc.analysis.report import LayerReport

COUNTS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
BLOCK = "block"


def folded(layers: Sequence[LayerReport], depth: int) -> list[LayerReport]:
    """One row for each block at ``depth`` levels, and each layer above that, in the order they begin."""
    return [
        members[0] if len(members) == 1 and members[0].path == path else block(path, members)
        for path, members in groups(layers, depth).items()
    ]


def groups(layers: Sequence[LayerReport], depth: int) -> dict[str, list[LayerReport]]:
    """The layers by the first ``depth`` parts of their paths, in the order they begin."""
    found: dict[str, list[LayerReport]] = {}
    for layer in layers:
        found.setdefault(".".join(layer.path.split(".")[:depth]), []).append(layer)
    return found


def block(path: str, layers: list[LayerReport]) -> LayerReport:
    """The layers below ``path`` as one row: the first one's input, the last one's output, sums of the counts."""
    first, last = layers[0], layers[-1]
    sums: dict[str, Any] = {name: total([getattr(layer, name) for layer in layers]) for name in COUNTS}
    if first.has_sections:
        from cnncalc.analysis import sections

        sums |= sections.folded(layers)
    return LayerReport(
        path=path,
        type=BLOCK,
        inputs=first.inputs,
        input_shapes=first.input_shapes,
        output_shape=last.output_shape,
        receptive_field=last.receptive_field,
        receptive_fields=last.receptive_fields,
        settings={"layers": len(layers)},
        **sums,
    )


def total(counts: list[int | None]) -> int | None:
    """The sum, unknown where a part is."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
