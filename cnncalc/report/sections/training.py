"""What a training step costs, on average under stochastic depth too, and a whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc import units
from cnncalc.analysis.stochastic import ExpectedMacs, drops, expected_macs
from cnncalc.analysis.training import StepMacs, step_macs
from cnncalc.document.column import Column, human, percent
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph
from cnncalc.report.model import LayerReport, LayerTraining, Report, StepFlops, TrainingRun, TrainingTotals
from cnncalc.report.sections import Settings

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


def facts(report: Report) -> list[tuple[str, str, str]]:
    """The three parts of a step, their sum, the mean under stochastic depth, and the run."""
    totals: Any = report.training
    least = "≥ " if totals.status == "partial" else ""
    rows = [
        _fact("forward FLOPs", totals.forward_flops, least),
        _fact(
            "input-gradient FLOPs", totals.input_gradient_flops, least, "of activations, as far as weights lie before"
        ),
        _fact("weight-gradient FLOPs", totals.weight_gradient_flops, least),
        _fact("FLOPs of a step", totals.step_flops, least, _ratio(totals)),
    ]
    if totals.drops:
        layers = f"{totals.drops} layers of stochastic depth" if totals.drops > 1 else "one layer of stochastic depth"
        rows.append((f"{layers}", "", "computed and zeroed, as PyTorch and torchvision do: the above"))
        if totals.expected_if_skipped is None:
            rows.append(("mean if skipped", "unknown", "the draws depend on each other in too many ways"))
        else:
            mean = totals.expected_if_skipped.step_flops
            saved = f"neither computed nor differentiated (Huang et al. 2016): {_share(mean, totals.step_flops)} %"
            rows.append(_fact("mean if skipped", mean, least, saved))
    if totals.run is not UNSET:
        run = totals.run
        seen = f"{units.show(run.images)} images × {run.epochs:,} epochs"
        rows += [
            ("steps", f"{run.steps:,}", f"{seen}, batch {report.model.batch:,}"),
            _fact("FLOPs of the run", run.flops, least, f"{days(run.flops)} PFLOP/s-days"),
        ]
        if run.flops_if_skipped is not UNSET:
            rows.append(
                _fact("the run if skipped", run.flops_if_skipped, least, f"{days(run.flops_if_skipped)} PFLOP/s-days")
            )
    return rows


def days(total: int) -> str:
    """FLOPs in PFLOP/s-days, three significant digits."""
    return f"{total / PETAFLOP_S_DAY:.3g}" if total < 1000 * PETAFLOP_S_DAY else f"{total // PETAFLOP_S_DAY:,}"


def _fact(name: str, count: int, least: str, note: str = "") -> tuple[str, str, str]:
    short = units.significant(count, "FLOPs") if count >= 10_000 else ""
    return name, f"{least}{count:,}", f"{short}; {note}" if short and note else short or note


def _ratio(totals: Any) -> str:
    if not totals.forward_flops:
        return ""
    hundredths = (200 * totals.step_flops + totals.forward_flops) // (2 * totals.forward_flops)
    return f"{hundredths // 100}.{hundredths % 100:02d} times the forward pass"


def _share(part: int, whole: int) -> str:
    return units.share(part, whole)


def hidden(report: Report) -> set[str]:
    """Without stochastic depth there is no mean."""
    totals: Any = report.training
    return set() if totals.drops else {"expected_step", "runs"}


def _column(name: str, header: str, help: str, value: Callable[[Any], Any], priority: int) -> Column:
    def of_row(row: LayerReport, _: Report) -> Any:
        return value(row.training)

    def total(report: Report) -> str:
        totals: Any = report.training
        count = value(totals)
        return "" if count is UNSET else ("≥ " if totals.status == "partial" else "") + human(count)

    return Column(name, header, of_row, help, human, True, priority, total)


def _expected(part: Any) -> Any:
    mean = part.expected_if_skipped
    return part.step_flops if mean is UNSET else None if mean is None else mean.step_flops


def _runs(row: LayerReport, _: Report) -> Any:
    runs = getattr(row.training, "runs", UNSET)
    return "" if runs is UNSET else 100 * runs


COLUMNS = (
    _column("forward_flops", "forward", "FLOPs of the forward pass", lambda part: part.forward_flops, 5),
    _column(
        "input_gradient", "input grad", "FLOPs of the gradients of activations", lambda p: p.input_gradient_flops, 4
    ),
    _column(
        "weight_gradient", "weight grad", "FLOPs of the gradients of weights", lambda p: p.weight_gradient_flops, 4
    ),
    _column("step_flops", "step", "FLOPs of a training step", lambda part: part.step_flops, 3),
    _column("expected_step", "step if skipped", "mean FLOPs where what is dropped is skipped", _expected, 4),
    Column(
        "runs",
        "runs %",
        _runs,
        "how often the layer runs where what is dropped is skipped",
        lambda value: "–" if value == "" else percent(value),
        True,
        8,
    ),
)
