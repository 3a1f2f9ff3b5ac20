"""What a net is measured by, for limits and comparisons: its totals, layers, receptive field and memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from msgspec import UnsetType

from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.graph import Graph

ALIASES = {"ops": "elementwise_ops", "elementwise": "elementwise_ops", "acts": "activations", "receptive_field": "rf"}
"""Other names of metrics."""


class Measured(NamedTuple):
    """A value, ``None`` where there is none. ``reason`` says why, or what is missing in a lower bound."""

    value: int | None
    reason: str = ""


def measure(report: Report, graph: Graph, asked: Collection[str]) -> dict[str, Measured]:
    """The metrics of a net; ``memory``, of a training step with Adam in float32, only where it is asked for."""
    found = of_report(report)
    if "memory" in asked or ("peak" in asked and found["peak"].value is None):
        from cnncalc.analysis.memory.training import Setting, training

        held = training(graph, report.model.batch, Setting())
        reason = f"unknown: {'; '.join(held.unknown)}" if held.unknown else ""
        found["memory"] = Measured(held.total, reason)
        found["peak"] = found["peak"]._replace(reason=reason)
    return found


def of_report(report: Report) -> dict[str, Measured]:
    """Totals, number of layers, receptive field, and the memory of weights and of inference."""
    found = {name: Measured(getattr(report.totals, name), _missing(unknown_in(report, name))) for name in COUNTS}
    unseen = [path for one in report.diagnostics if one.code == "unknown-receptive-field" for path in one.layers]
    for name, part in (("rf", "size"), ("jump", "jump")):
        value, reason = last_field(report, part)
        found[name] = Measured(value, reason or _missing(unseen))
    found["layers"] = Measured(len(report.layers))
    found["weights"] = Measured(report.totals.weight_bytes)
    peak = report.totals.inference_peak_bytes
    return found | {"peak": Measured(None if isinstance(peak, UnsetType) else peak)}


def unknown_in(report: Report, metric: str) -> list[str]:
    """Paths of the layers whose ``metric`` is unknown; its total is then a lower bound."""
    if report.totals.status == "complete":
        return []
    return [layer.path for layer in report.layers if getattr(layer, metric) is None]


def last_local(report: Report) -> tuple[LayerReport | None, str]:
    """The last layer with a local field; ``None``, and why, where there is none.

    There is none where a whole map behind it sees everything, as after squeeze and excitation.
    """
    for layer in reversed(report.layers):
        field = layer.receptive_field
        if field is not None and field.kind == "global" and max(layer.output_shape[1:], default=1) > 1:
            return None, f"every unit of {layer.path} sees the whole input"
        if field is not None and field.kind == "local" and field.size is not None and field.jump is not None:
            return layer, ""
    return None, "no layer has a local receptive field"


def last_field(report: Report, part: str) -> tuple[int | None, str]:
    """Size or jump of the last local field, along the axis where it is largest; ``None``, and why, where there is none,
    or where it is not a whole number.
    """
    layer, reason = last_local(report)
    if layer is None:
        return None, reason
    largest = max((value for value in getattr(layer.receptive_field, part) if value is not None), default=None)
    return (largest, "") if isinstance(largest, int) else (None, f"the {part} of {layer.path} is not a whole number")


def _missing(layers: Sequence[str]) -> str:
    """Why a value is a lower bound."""
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    return f"unknown: the value is a lower bound without {', '.join(layers[:3])}{more}" if layers else ""
