"""What a training step costs, on average under stochastic depth too, and a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec import UNSET

from cnncalc.analysis.fold import sums, total
from cnncalc.analysis.report import LayerTraining, Report, StepFlops, TrainingRun, TrainingTotals
from cnncalc.analysis.sections import Settings
from cnncalc.analysis.stochastic import ExpectedMacs, drops, expected_macs
from cnncalc.analysis.training import StepMacs, step_macs
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph
from cnncalc.layers.base import Unknown

PARTS = ("forward", "input_gradient", "weight_gradient")
PETAFLOP_S_DAY = 10**15 * 86_400


def measured(report: Report, graph: Graph, settings: Settings) -> tuple[TrainingTotals, list[LayerTraining]]:
    """The cost of training, of the net and of its nodes.

    Raises:
        CnncalcError: images without epochs, or epochs without images.
    """
    batch = report.model.batch
    dropping = len(drops(graph))
    means = _means(graph, batch) if dropping else None
    parts = [_layer(cost, means[number] if means else None) for number, cost in enumerate(step_macs(graph, batch))]
    known = [sum(getattr(part, name) or 0 for part in parts) for name in StepFlops.__struct_fields__[:-1]]
    totals = TrainingTotals(
        **_counts(known),
        status="partial" if any(part.step_flops is None for part in parts) else "complete",
        drops=dropping,
        expected_if_skipped=UNSET if not dropping else None if means is None else _mean(means),
        run=_run(report, graph, settings, dropping > 0 and means is not None),
    )
    return totals, parts


def _means(graph: Graph, batch: int) -> list[ExpectedMacs] | None:
    means = expected_macs(graph, batch)
    return None if isinstance(means, Unknown) else means


def _layer(cost: StepMacs, mean: ExpectedMacs | None) -> LayerTraining:
    counts = [getattr(cost, part) for part in PARTS]
    return LayerTraining(
        **_counts([None if macs is None else flops(macs) for macs in counts]),
        expected_if_skipped=UNSET if mean is None else _mean([mean]),
        runs=UNSET if mean is None else float(mean.runs),
    )


def _counts(parts: Sequence[int | None]) -> dict[str, Any]:
    """The three parts and their sum, by name."""
    return dict(zip(StepFlops.__struct_fields__, [*parts, total(parts)], strict=True))


def _mean(means: Sequence[ExpectedMacs]) -> StepFlops:
    """Means as whole FLOPs, rounded to the nearest; the sums are rounded, not the summands."""
    known = ([value for one in means if (value := getattr(one, part)) is not None] for part in PARTS)
    counts = [2 * sum(values, Fraction(0)) if values else None for values in known]
    return StepFlops(*[None if one is None else round(one) for one in (*counts, total(counts))])


def _run(report: Report, graph: Graph, settings: Settings, skips: bool) -> Any:
    images, epochs, batch = settings.images, settings.epochs, report.model.batch
    if images is None and epochs is None:
        return UNSET
    if images is None or epochs is None:
        missing, hint = ("--images", "1.28M") if images is None else ("--epochs", "90")
        raise CnncalcError(f"a training run needs {missing} too\n  hint: as {missing} {hint}")
    for name, count in (("images", images), ("epochs", epochs)):
        if count < 1:
            raise CnncalcError(f"--{name} must be at least 1, got {count}")
    seen = images * epochs
    of_one = sum(flops(one.forward or 0) + flops(one.backward or 0) for one in step_macs(graph))
    skipped: Any = UNSET
    if skips:
        means = _means(graph, 1) or []
        values = [value for one in means for part in PARTS if (value := getattr(one, part)) is not None]
        skipped = round(2 * seen * sum(values, Fraction(0)))
    return TrainingRun(
        images=images,
        epochs=epochs,
        steps=-(-images // batch) * epochs,
        flops=of_one * seen,
        petaflop_s_days=of_one * seen / PETAFLOP_S_DAY,
        flops_if_skipped=skipped,
    )


def folded(parts: Sequence[LayerTraining]) -> LayerTraining:
    """A block's sums, unknown where a part is; how often it runs is told only where all of it runs as often."""
    expected: Any = [part.expected_if_skipped for part in parts]
    runs = {part.runs for part in parts}
    return LayerTraining(
        **sums(parts, StepFlops.__struct_fields__),
        expected_if_skipped=UNSET if UNSET in expected else StepFlops(**sums(expected, StepFlops.__struct_fields__)),
        runs=runs.pop() if len(runs) == 1 else UNSET,
    )
