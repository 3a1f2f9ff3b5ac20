"""How the weights are to start, which of them decay, and what the loss is at first and at best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from cnncalc.analysis.initialisation import initialisation, loss_at_start, smoothed_loss_floor
from cnncalc.document.column import Column, human
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.report.model import InitialisationTotals, InitialLoss, LayerInitialisation, LayerReport, Report
from cnncalc.report.sections import Settings
from cnncalc.units import show


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the initialisation of its layers.

    Raises:
        CnncalcError: the label smoothing is not between 0 and 1.
    """
    smoothing = settings.label_smoothing
    if not 0 <= smoothing <= 1:
        raise CnncalcError(f"label smoothing {smoothing:g} is not between 0 and 1\n  hint: 0.1 is usual")
    parts = {
        node.path: LayerInitialisation(
            decayed=one.decayed,
            not_decayed=one.not_decayed,
            fan_in=one.fan_in,
            fan_out=one.fan_out,
            gain=one.gain,
            activation=one.activation,
            he_std=one.he,
            he_fan_out_std=one.he_fan_out,
            xavier_std=one.xavier,
            zero_init=one.zero,
        )
        for node, one in zip(graph.nodes, initialisation(graph), strict=True)
    }
    totals = InitialisationTotals(
        decayed=sum(part.decayed for part in parts.values()),
        not_decayed=sum(part.not_decayed for part in parts.values()),
        zero_init=sum(part.zero_init for part in parts.values()),
        label_smoothing=smoothing,
        losses=tuple(_losses(graph, smoothing)),
    )
    layers = tuple([replace(layer, initialisation=parts[layer.path]) for layer in report.layers])
    return replace(report, layers=layers, initialisation=totals)


def _losses(graph: Graph, smoothing: float) -> list[InitialLoss]:
    """For each output with classes, its channels."""
    shapes = {name: graph.shape(ref) for name, ref in graph.outputs}
    return [
        InitialLoss(name, shape[0], loss_at_start(shape[0]), smoothed_loss_floor(shape[0], smoothing))
        for name, shape in shapes.items()
        if shape and shape[0] > 1
    ]


def folded(parts: Sequence[LayerInitialisation]) -> LayerInitialisation:
    """A block's split of parameters; fans and deviations are those of single layers."""
    return LayerInitialisation(
        decayed=sum(part.decayed for part in parts),
        not_decayed=sum(part.not_decayed for part in parts),
        fan_in=None,
        fan_out=None,
        gain=None,
        activation=None,
        he_std=None,
        he_fan_out_std=None,
        xavier_std=None,
        zero_init=any(part.zero_init for part in parts),
    )


def facts(report: Report) -> list[tuple[str, str, str]]:
    """The split by weight decay, the scales that best start at 0, and the losses."""
    totals: Any = report.initialisation
    whole = totals.decayed + totals.not_decayed
    rows = [
        ("with weight decay", f"{totals.decayed:,}", f"weights, of {show(whole)} parameters"),
        ("without weight decay", f"{totals.not_decayed:,}", "biases, and scales and shifts of norms"),
    ]
    if totals.zero_init:
        rows.append(("scales to start at 0", f"{totals.zero_init:,}", "the last of each residual's body"))
    for loss in totals.losses:
        of = f" of {loss.output}" if len(totals.losses) > 1 else ""
        rows += [
            (f"loss at the start{of}", f"{loss.at_start:.4f}", f"ln {loss.classes:,}: all classes equally likely"),
            (f"least loss{of}", f"{loss.smoothed_floor:.4f}", f"with label smoothing {totals.label_smoothing:g}"),
        ]
    return rows


def _deviation(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _column(
    name: str, header: str, help: str, show: Callable[[Any], str], priority: int, *, summed: bool = False
) -> Column:
    def value(row: LayerReport, _: Report) -> Any:
        return getattr(row.initialisation, name)

    def total(report: Report) -> str:
        return human(getattr(report.initialisation, name))

    return Column(name, header, value, help, show, True, priority, total if summed else None)


def _count(value: int | None) -> str:
    return "–" if value is None else human(value)


COLUMNS = (
    _column("fan_in", "fan-in", "inputs of one output unit", _count, 4),
    _column("fan_out", "fan-out", "outputs that one input unit goes to, as torch.nn.init has it", _count, 6),
    _column("gain", "gain", "of the activation that follows", _deviation, 5),
    _column("he_std", "He σ", "deviation by the fan-in: gain/√fan_in", _deviation, 3),
    _column("he_fan_out_std", "He σ out", "deviation by the fan-out: gain/√fan_out", _deviation, 8),
    _column("xavier_std", "Xavier σ", "gain·√(2/(fan_in + fan_out))", _deviation, 5),
    _column("decayed", "decayed", "parameters that weight decay is meant for", _count, 6, summed=True),
    _column("not_decayed", "not dec.", "parameters that it is not meant for: biases, norms", _count, 7, summed=True),
    _column("zero_init", "starts at 0", "the last scale of a residual's body", lambda value: "yes" if value else "", 9),
)
