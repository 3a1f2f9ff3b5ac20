"""What a training step costs, on average under stochastic depth too, and a whole run."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from cnncalc import units
from cnncalc.analysis.report import LayerReport, Report
from cnncalc.analysis.sections.training import PETAFLOP_S_DAY
from cnncalc.document.blocks import Fact
from cnncalc.document.column import Column, count, human, percent


def facts(report: Report) -> list[Fact]:
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
        rows.append(Fact(f"{layers}", "", "computed and zeroed, as PyTorch and torchvision do: the above"))
        if totals.expected_if_skipped is None:
            rows.append(Fact("mean if skipped", "unknown", "some layers run if one of several drops keeps them"))
        else:
            mean = totals.expected_if_skipped.step_flops
            saved = f"neither computed nor differentiated (Huang et al. 2016): {units.share(mean, totals.step_flops)} %"
            rows.append(_fact("mean if skipped", mean, least, saved))
    if totals.run is not UNSET:
        run = totals.run
        seen = f"{units.show(run.images)} images × {run.epochs:,} epochs"
        rows += [
            Fact("steps", f"{run.steps:,}", f"{seen}, batch {report.model.batch:,}"),
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


def _fact(name: str, count: int, least: str, note: str = "") -> Fact:
    short = units.significant(count, "FLOPs") if count >= 10_000 else ""
    return Fact(name, f"{least}{count:,}", f"{short}; {note}" if short and note else short or note)


def _ratio(totals: Any) -> str:
    if not totals.forward_flops:
        return ""
    hundredths = (200 * totals.step_flops + totals.forward_flops) // (2 * totals.forward_flops)
    return f"{hundredths // 100}.{hundredths % 100:02d} times the forward pass"


def hidden(report: Report) -> set[str]:
    """Without stochastic depth there is no mean."""
    totals: Any = report.training
    return set() if totals.drops else {"expected_step", "runs"}


def _column(name: str, header: str, help: str, value: Callable[[Any], Any], priority: int) -> Column:
    def total(report: Report) -> str:
        totals: Any = report.training
        found = value(totals)
        return "" if found is UNSET else ("≥ " if totals.status == "partial" else "") + human(found)

    return count(name, header, help, priority, value=lambda row, _: value(row.training), total=total)


def _expected(part: Any) -> Any:
    mean = part.expected_if_skipped
    return part.step_flops if mean is UNSET else None if mean is None else mean.step_flops


def _runs(row: LayerReport, _: Report) -> Any:
    runs = getattr(row.training, "runs", UNSET)
    return "" if runs is UNSET else 100 * runs


COLUMNS = (
    _column("forward_flops", "forward", "FLOPs of the forward pass", attrgetter("forward_flops"), 5),
    _column(
        "input_gradient", "input grad", "FLOPs of the gradients of activations", attrgetter("input_gradient_flops"), 4
    ),
    _column(
        "weight_gradient", "weight grad", "FLOPs of the gradients of weights", attrgetter("weight_gradient_flops"), 4
    ),
    _column("step_flops", "step", "FLOPs of a training step", attrgetter("step_flops"), 3),
    _column("expected_step", "step if skipped", "mean FLOPs where what is dropped is skipped", _expected, 4),
    count(
        *("runs", "runs %", "how often the layer runs where what is dropped is skipped", 8),
        value=_runs,
        show=lambda value: "–" if value == "" else percent(value),
    ),
)
