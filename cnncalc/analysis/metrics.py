"""What a net is measured by, for limits and comparisons: its totals, layers, receptive field and memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.report import Report
from cnncalc.graph import Graph
from cnncalc.spec.budget import BYTES

ALIASES = {"ops": "elementwise_ops", "elementwise": "elementwise_ops", "acts": "activations", "receptive_field": "rf"}
"""Other names of metrics."""


class Measured(NamedTuple):
    """A value, ``None`` where there is none. ``reason`` says why, or what is missing in a lower bound."""

    value: int | None
    reason: str = ""


def measure(report: Report, graph: Graph, asked: Collection[str]) -> dict[str, Measured]:
    """The metrics of a net, of memory only those that are asked for."""
    return of_report(report) | (of_memory(graph, report.model.batch, asked) if set(asked) & {*BYTES} else {})


def of_report(report: Report) -> dict[str, Measured]:
    """Totals, number of layers, and the receptive field."""
    found = {name: Measured(getattr(report.totals, name), _missing(unknown_in(report, name))) for name in COUNTS}
    unseen = [path for one in report.diagnostics if one.code == "unknown-receptive-field" for path in one.layers]
    for name, part in (("rf", "size"), ("jump", "jump")):
        value, reason = last_field(report, part)
        found[name] = Measured(value, reason or _missing(unseen))
    return {**found, "layers": Measured(len(report.layers))}


def unknown_in(report: Report, metric: str) -> list[str]:
    """Paths of the layers whose ``metric`` is unknown; its total is then a lower bound."""
    if report.totals.status == "complete":
        return []
    return [layer.path for layer in report.layers if getattr(layer, metric) is None]


def last_field(report: Report, part: str) -> tuple[int | None, str]:
    """Size or jump of the last local field, along the axis where it is largest; ``None``, and why, where there is none.

    There is none where a whole map before it sees everything, as after squeeze and excitation, and no jump that is
    not a whole number.
    """
    for layer in reversed(report.layers):
        field = layer.receptive_field
        if field is not None and field.kind == "global" and max(layer.output_shape[1:], default=1) > 1:
            return None, f"every unit of {layer.path} sees the whole input"
        if field is not None and field.kind == "local" and field.size is not None and field.jump is not None:
            largest = max((value for value in getattr(field, part) if value is not None), default=None)
            if isinstance(largest, int):
                return largest, ""
            return None, f"the {part} of {layer.path} is not a whole number"
    return None, "no layer has a local receptive field"


def of_memory(graph: Graph, batch: int, asked: Collection[str]) -> dict[str, Measured]:
    """What is asked for of ``weights``, ``peak`` (of inference, the weights apart) and ``memory`` (of a training step
    with Adam), in bytes of float32.
    """
    from cnncalc.analysis.memory.inference import peak
    from cnncalc.analysis.memory.passes import forward_pass
    from cnncalc.analysis.memory.training import ELEMENT, Setting, training, weight_bytes

    setting, found = Setting(), {}
    run = forward_pass(graph, batch, training=False, element=ELEMENT[setting.dtype])
    missing = _missing([node.path for node, part in zip(graph.nodes, run.nodes, strict=True) if part.unknown])
    if "weights" in asked:
        own = [node for node in graph.nodes if node.layer is not None and node.shared is None]
        found["weights"] = Measured(sum(weight_bytes(node, setting.dtype)[0] for node in own))
    if "peak" in asked:
        found["peak"] = Measured(peak(graph, run).bytes, missing)
    if "memory" in asked:
        found["memory"] = Measured(training(graph, batch, setting).total, missing)
    return found


def _missing(layers: Sequence[str]) -> str:
    """Why a value is a lower bound."""
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    return f"unknown: the value is a lower bound without {', '.join(layers[:3])}{more}" if layers else ""
