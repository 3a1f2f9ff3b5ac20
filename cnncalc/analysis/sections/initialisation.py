"""How the weights are to start, which of them decay, and what the loss is at first and at best."""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.analysis.fold import sums
from cnncalc.analysis.initialisation import NO_FANS, initialisation, loss_at_start, smoothed_loss_floor
from cnncalc.analysis.report import InitialisationTotals, InitialLoss, LayerInitialisation, Report
from cnncalc.analysis.sections import Settings
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph

COUNTS = ("decayed", "not_decayed")


def measured(
    report: Report, graph: Graph, settings: Settings
) -> tuple[InitialisationTotals, list[LayerInitialisation]]:
    """The split of the parameters and the losses, and how each node is to start.

    Raises:
        CnncalcError: the label smoothing is not between 0 and 1.
    """
    smoothing = settings.label_smoothing
    if not 0 <= smoothing <= 1:
        raise CnncalcError(f"label smoothing {smoothing:g} is not between 0 and 1\n  hint: 0.1 is usual")
    parts = initialisation(graph)
    shapes = {name: graph.shape(ref) for name, ref in graph.outputs}
    losses = [
        InitialLoss(name, shape[0], loss_at_start(shape[0]), smoothed_loss_floor(shape[0], smoothing))
        for name, shape in shapes.items()
        if shape and shape[0] > 1
    ]
    zeros = sum(part.zero_init for part in parts)
    totals = InitialisationTotals(
        **sums(parts, COUNTS), zero_init=zeros, label_smoothing=smoothing, losses=tuple(losses)
    )
    return totals, parts


def folded(parts: Sequence[LayerInitialisation]) -> LayerInitialisation:
    """A block's split of parameters; fans and deviations are those of single layers."""
    return LayerInitialisation(**NO_FANS | sums(parts, COUNTS), zero_init=any(part.zero_init for part in parts))
