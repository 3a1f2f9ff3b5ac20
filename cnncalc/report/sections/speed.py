"""What each layer must move, its arithmetic intensity, and the least time that a machine can take for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from cnncalc import units
from cnncalc.analysis.report import Report
from cnncalc.document.blocks import Fact
from cnncalc.document.column import Column, count


def hidden(report: Report) -> set[str]:
    """Without a machine there are no times."""
    totals: Any = report.speed
    return {"roofline", "limit", "time_bound"} if totals.machine is UNSET else set()


def facts(report: Report) -> list[Fact]:
    """The traffic, the machine, and the net's least times with what they assume."""
    totals: Any = report.speed
    rows = [
        Fact(
            "bytes moved", f"{totals.bytes:,}", f"{units.show_moved(totals.bytes)} of {totals.dtype}, each tensor once"
        ),
        Fact("FLOPs per byte", _intensity(totals.intensity), "arithmetic intensity"),
    ]
    if totals.machine is UNSET:
        return rows
    machine, peak = totals.machine, totals.machine.peak_flops
    ridge = f"ridge at {peak / machine.bandwidth:.3g} FLOPs per byte"
    caches = f"caches of {units.show_bytes(machine.cache_bytes)}" if machine.cache_bytes else "no caches given"
    rate = f"{units.significant(peak, 'FLOP/s')}, {units.significant(machine.bandwidth, 'B/s')}"
    every = "every product computed" if totals.algorithms == "direct" else "convolutions by Winograd or FFT allowed"
    rows += [
        Fact("machine", machine.name, f"{rate}; {ridge}; {caches}"),
        Fact(
            "roofline time", units.show_time(totals.roofline_ps), "every tensor from and to memory; sum of the layers"
        ),
        Fact(
            "lower bound",
            units.show_time(totals.bound_ps),
            f"layers one after the other, whatever caches hold; {every}",
        ),
        Fact("lower bound if fused", units.show_time(totals.fused_bound_ps), "inputs, weights and outputs moved once"),
        Fact("", "", "bounds, not predictions: a real run takes longer"),
    ]
    return rows


def _intensity(value: float) -> str:
    return "<0.1" if 0 < value < 0.05 else f"{value:.1f}" if value else "0"


def _time(value: Any) -> str:
    return units.show_time(value) if value else "0"


def _column(name: str, header: str, help: str, field: str, show: Callable[[Any], str], priority: int) -> Column:
    at = f"speed.{field}"
    return count(name, header, help, priority, at=at, show=show, none="–", total_at="" if field == "limit" else at)


COLUMNS = (
    _column("moved_bytes", "moved", "bytes read and written, each tensor once", "bytes", units.show_moved, 4),
    _column("intensity", "FLOP/B", "FLOPs per byte", "intensity", _intensity, 5),
    _column("roofline", "roofline", "least time with every tensor from memory", "roofline_ps", _time, 3),
    _column("limit", "limit", "what the roofline time is: compute or memory", "limit", str, 5),
    _column("time_bound", "bound", "lower bound of the time, whatever the caches hold", "bound_ps", _time, 3),
)
