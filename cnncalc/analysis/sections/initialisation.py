"""How the weights are to start, which of them decay, and what the loss is at first and at best."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cnncalc.analysis.initialisation import initialisation, loss_at_start, smoothed_loss_floor
from cnncalc.analysis.report import InitialisationTotals, InitialLoss, LayerInitialisation, Report
from cnncalc.analysis.sections import Settings
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph


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
