"""What a training step costs, on average under stochastic depth too, and a whole run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc.analysis.report import LayerTraining, Report, StepFlops, TrainingRun, TrainingTotals
from cnncalc.analysis.sections import Settings
from cnncalc.analysis.stochastic import ExpectedMacs, drops, expected_macs
from cnncalc.analysis.training import StepMacs, step_macs
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph

PARTS = ("forward", "input_gradient", "weight_gradient")
PETAFLOP_S_DAY = 10**15 * 86_400


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the cost of training.

    Raises:
        CnncalcError: images without epochs, or epochs without images.
    """
    batch = report.model.batch
    dropping = len(drops(graph))
    costs = step_macs(graph, batch)
    means = expected_macs(graph, batch) if dropping else None
    parts = {
        node.path: _layer(cost, None if means is None else means[number])
        for number, (node, cost) in enumerate(zip(graph.nodes, costs, strict=True))
    }
    whole = _sum(parts.values())
    expected = UNSET if not dropping else None if means is None else _mean(means)
    totals = TrainingTotals(
        **whole,
        status="partial" if any(part.step_flops is None for part in parts.values()) else "complete",
        drops=dropping,
        expected_if_skipped=expected,
        run=_run(report, graph, settings, dropping > 0 and means is not None),
    )
    layers = tuple([replace(layer, training=parts[layer.path]) for layer in report.layers])
    return replace(report, layers=layers, training=totals)


def _layer(cost: StepMacs, mean: ExpectedMacs | None) -> LayerTraining:
    counts = [getattr(cost, part) for part in PARTS]
    known = [None if macs is None else flops(macs) for macs in counts]
    return LayerTraining(
        **_counts(known),
        expected_if_skipped=UNSET if mean is None else _mean([mean]),
        runs=UNSET if mean is None else float(mean.runs),
    )


def _counts(parts: Sequence[int | None]) -> dict[str, Any]:
    """The three parts and their sum, by name."""
    return dict(zip(StepFlops.__struct_fields__, [*parts, _total(parts)], strict=True))


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _sum(parts: Iterable[StepFlops]) -> dict[str, int]:
    """The sums of what is known."""
    found = list(parts)
    sums = {f"{name}_flops": sum(getattr(part, f"{name}_flops") or 0 for part in found) for name in PARTS}
    return {**sums, "step_flops": sum(sums.values())}


def _mean(means: Sequence[ExpectedMacs]) -> StepFlops:
    """Means as whole FLOPs, rounded to the nearest; the sums are rounded, not the summands."""
    sums: list[Fraction | None] = []
    for part in PARTS:
        found = [value for one in means if (value := getattr(one, part)) is not None]
        sums.append(None if not found else 2 * sum(found, Fraction(0)))
    known = [one for one in sums if one is not None]
    step = sum(known, Fraction(0)) if len(known) == len(sums) else None
    return StepFlops(*[None if one is None else round(one) for one in (*sums, step)])


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
        means = expected_macs(graph) or []
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
    expected: Any = UNSET
    if all(part.expected_if_skipped is not UNSET for part in parts):
        means: list[Any] = [part.expected_if_skipped for part in parts]
        expected = StepFlops(*[_total([getattr(one, name) for one in means]) for name in StepFlops.__struct_fields__])
    runs = {part.runs for part in parts}
    return LayerTraining(
        **_counts([_total([getattr(part, f"{name}_flops") for part in parts]) for name in PARTS]),
        expected_if_skipped=expected,
        runs=runs.pop() if len(runs) == 1 else UNSET,
    )
