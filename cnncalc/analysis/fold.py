"""The row of a block: the sums of the layers that it holds."""

from __future__ import annotations

from typing import Any

from cnncalc.analysis.report import LayerReport

COUNTS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
BLOCK = "block"


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
