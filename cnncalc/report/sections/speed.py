"""What each layer must move, its arithmetic intensity, and the least time that a machine can take for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc import units
from cnncalc.analysis.cost import costs
from cnncalc.analysis.roofline import LayerTime, Machine, layer_time, net_time, peak_of
from cnncalc.analysis.traffic import BYTES, Traffic, traffic, whole_net
from cnncalc.document.column import Column
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph
from cnncalc.report.model import LayerReport, LayerSpeed, MachineReport, Report, SpeedTotals
from cnncalc.report.sections import Settings

TIMES = ("compute_ps", "memory_ps", "roofline_ps", "bound_ps")


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the traffic and, for a machine, the least times of its layers.

    Raises:
        CnncalcError: an unknown dtype, or the machine has no peak for it.
    """
    batch, dtype, machine = report.model.batch, settings.dtype, settings.machine
    if dtype not in BYTES:
        raise CnncalcError(f"there is no dtype '{dtype}'\n  hint: one of {', '.join(BYTES)}")
    counted = costs(graph, batch)
    moved = traffic(graph, batch)
    times: list[LayerTime | None] = [None] * len(moved)
    net = None
    if machine is not None:
        known = [
            layer_time(cost.macs, part, machine, dtype, settings.algorithms)
            for cost, part in zip(counted, moved, strict=True)
        ]
        net = net_time(known, whole_net(graph, moved, batch), machine, dtype, settings.algorithms)
        times = [*known]
    parts = {
        node.path: _layer(cost.macs, part, BYTES[dtype], time)
        for node, cost, part, time in zip(graph.nodes, counted, moved, times, strict=True)
    }
    sums = {name: sum(getattr(part, name) for part in parts.values()) for name in _BYTE_COUNTS}
    macs = sum(cost.macs or 0 for cost in counted)
    totals = SpeedTotals(
        status="partial" if any(cost.macs is None for cost in counted) else "complete",
        dtype=dtype,
        algorithms=settings.algorithms,
        **sums,
        intensity=flops(macs) / sums["bytes"] if sums["bytes"] else None,
        machine=UNSET if machine is None else _machine(machine, dtype),
        roofline_ps=UNSET if net is None else net.roofline,
        bound_ps=UNSET if net is None else net.bound,
        fused_bound_ps=UNSET if net is None else net.fused_bound,
    )
    layers = tuple([replace(layer, speed=parts[layer.path]) for layer in report.layers])
    return replace(report, layers=layers, speed=totals)


_BYTE_COUNTS = ("read_bytes", "weight_bytes", "written_bytes", "bytes")


def _layer(macs: int | None, part: Traffic, size: int, time: LayerTime | None) -> LayerSpeed:
    moved = (part.read + part.outputs) * size
    result = LayerSpeed(
        read_bytes=part.inputs * size,
        weight_bytes=part.weights * size,
        written_bytes=part.outputs * size,
        bytes=moved,
        intensity=flops(macs) / moved if moved and macs is not None else None,
    )
    if time is None:
        return result
    return replace(
        result,
        compute_ps=time.compute,
        memory_ps=time.memory,
        roofline_ps=time.roofline,
        limit=time.limit,
        bound_ps=time.bound,
    )


def _machine(machine: Machine, dtype: str) -> MachineReport:
    return MachineReport(
        name=machine.name,
        source=machine.source,
        peak_flops=peak_of(machine, dtype),
        bandwidth=machine.bandwidth,
        cache_bytes=sum(cache.size for cache in machine.caches),
    )


def folded(parts: Sequence[LayerSpeed]) -> LayerSpeed:
    """A block's sums, for layers that run one after the other."""
    sums = {name: sum(getattr(part, name) for part in parts) for name in _BYTE_COUNTS}
    work = [None if p.intensity is None and p.bytes else (p.intensity or 0) * p.bytes for p in parts]
    known = [one for one in work if one is not None]
    whole = LayerSpeed(**sums, intensity=sum(known) / sums["bytes"] if sums["bytes"] and known == work else None)
    if any(part.bound_ps is UNSET for part in parts):
        return whole
    times: dict[str, int] = {name: sum(getattr(part, name) for part in parts) for name in TIMES}
    limits = {part.limit for part in parts if part.limit != "nothing"}
    limit: Any = limits.pop() if len(limits) == 1 else "several" if limits else "nothing"
    return replace(whole, limit=limit, **times)


def hidden(report: Report) -> set[str]:
    """Without a machine there are no times."""
    totals: Any = report.speed
    return {"roofline", "limit", "time_bound"} if totals.machine is UNSET else set()


def facts(report: Report) -> list[tuple[str, str, str]]:
    """The traffic, the machine, and the net's least times with what they assume."""
    totals: Any = report.speed
    rows = [
        ("bytes moved", f"{totals.bytes:,}", f"{units.show_moved(totals.bytes)} of {totals.dtype}, each tensor once"),
        ("FLOPs per byte", _intensity(totals.intensity), "arithmetic intensity"),
    ]
    if totals.machine is UNSET:
        return rows
    machine, peak = totals.machine, totals.machine.peak_flops
    ridge = f"ridge at {peak / machine.bandwidth:.3g} FLOPs per byte"
    caches = f"caches of {units.show_bytes(machine.cache_bytes)}" if machine.cache_bytes else "no caches given"
    rate = f"{units.significant(peak, 'FLOP/s')}, {units.significant(machine.bandwidth, 'B/s')}"
    every = "every product computed" if totals.algorithms == "direct" else "convolutions by Winograd or FFT allowed"
    rows += [
        ("machine", machine.name, f"{rate}; {ridge}; {caches}"),
        ("roofline time", units.show_time(totals.roofline_ps), "every tensor from and to memory; sum of the layers"),
        ("lower bound", units.show_time(totals.bound_ps), f"layers one after the other, whatever caches hold; {every}"),
        ("lower bound if fused", units.show_time(totals.fused_bound_ps), "inputs, weights and outputs moved once"),
        ("", "", "bounds, not predictions: a real run takes longer"),
    ]
    return rows


def _intensity(value: float | None) -> str:
    return "–" if value is None else "<0.1" if 0 < value < 0.05 else f"{value:.1f}" if value else "0"


def _time(value: Any) -> str:
    return "–" if value is None else "0" if not value else units.show_time(value)


def _column(name: str, header: str, help: str, field: str, show: Callable[[Any], str], priority: int) -> Column:
    def value(row: LayerReport, _: Report) -> Any:
        found = getattr(row.speed, field)
        return None if found is UNSET else found

    def total(report: Report) -> str:
        found = getattr(report.speed, field, UNSET)
        return "" if found is UNSET else show(found)

    return Column(name, header, value, help, show, True, priority, total)


COLUMNS = (
    _column("moved_bytes", "moved", "bytes read and written, each tensor once", "bytes", units.show_moved, 4),
    _column("intensity", "FLOP/B", "FLOPs per byte", "intensity", _intensity, 5),
    _column("roofline", "roofline", "least time with every tensor from memory", "roofline_ps", _time, 3),
    _column("limit", "limit", "what the roofline time is: compute or memory", "limit", lambda v: v or "–", 5),
    _column("time_bound", "bound", "lower bound of the time, whatever the caches hold", "bound_ps", _time, 3),
)
