"""How the weights are to start, which of them decay, and what the loss is at first and at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnncalc.analysis.report import Report
from cnncalc.document.blocks import Fact
from cnncalc.document.column import Column, count, human
from cnncalc.units import show


def facts(report: Report) -> list[Fact]:
    """The split by weight decay, the scales that best start at 0, and the losses."""
    totals: Any = report.initialisation
    whole = totals.decayed + totals.not_decayed
    rows = [
        Fact("with weight decay", f"{totals.decayed:,}", f"weights, of {show(whole)} parameters"),
        Fact("without weight decay", f"{totals.not_decayed:,}", "biases, and scales and shifts of norms"),
    ]
    if totals.zero_init:
        rows.append(Fact("scales to start at 0", f"{totals.zero_init:,}", "the last of each residual's body"))
    for loss in totals.losses:
        of = f" of {loss.output}" if len(totals.losses) > 1 else ""
        rows += [
            Fact(f"loss at the start{of}", f"{loss.at_start:.4f}", f"ln {loss.classes:,}: all classes equally likely"),
            Fact(f"minimum loss{of}", f"{loss.smoothed_floor:.4f}", f"with label smoothing {totals.label_smoothing:g}"),
        ]
    return rows


def _column(
    name: str, header: str, help: str, show: Callable[[Any], str], priority: int, *, summed: bool = False
) -> Column:
    at = f"initialisation.{name}"
    return count(name, header, help, priority, at=at, show=show, none="–", total_at=at if summed else "")


COLUMNS = (
    _column("fan_in", "fan-in", "inputs of one output unit", human, 4),
    _column("fan_out", "fan-out", "outputs that one input unit goes to, as torch.nn.init has it", human, 6),
    _column("gain", "gain", "of the activation that follows", "{:.4g}".format, 5),
    _column("he_std", "He σ", "deviation by the fan-in: gain/√fan_in", "{:.4g}".format, 3),
    _column("he_fan_out_std", "He σ out", "deviation by the fan-out: gain/√fan_out", "{:.4g}".format, 8),
    _column("xavier_std", "Xavier σ", "gain·√(2/(fan_in + fan_out))", "{:.4g}".format, 5),
    _column("decayed", "decayed", "parameters that weight decay is meant for", human, 6, summed=True),
    _column("not_decayed", "not dec.", "parameters that it is not meant for: biases, norms", human, 7, summed=True),
    _column("zero_init", "starts at 0", "the last scale of a residual's body", lambda value: "yes" if value else "", 9),
)
