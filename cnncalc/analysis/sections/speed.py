"""What each layer must move, its arithmetic intensity, and the least time that a machine can take for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc.analysis.cost import costs
from cnncalc.analysis.fold import sums, total
from cnncalc.analysis.report import LayerSpeed, MachineReport, Report, SpeedTotals
from cnncalc.analysis.roofline import LayerTime, Machine, layer_time, net_time, peak_of
from cnncalc.analysis.sections import Settings
from cnncalc.analysis.traffic import BYTES, Traffic, traffic, whole_net
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph

BYTE_COUNTS = ("read_bytes", "weight_bytes", "written_bytes", "bytes")
TIMES = ("compute_ps", "memory_ps", "roofline_ps", "bound_ps")


def measured(report: Report, graph: Graph, settings: Settings) -> tuple[SpeedTotals, list[LayerSpeed]]:
    """The traffic and, for a machine, the least times, of the net and of its nodes.

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
    parts = [
        _layer(cost.macs, part, BYTES[dtype], time) for cost, part, time in zip(counted, moved, times, strict=True)
    ]
    moving = sums(parts, BYTE_COUNTS)
    macs = sum(cost.macs or 0 for cost in counted)
    totals = SpeedTotals(
        status="partial" if any(cost.macs is None for cost in counted) else "complete",
        dtype=dtype,
        algorithms=settings.algorithms,
        **moving,
        intensity=flops(macs) / moving["bytes"] if moving["bytes"] else None,
        machine=UNSET if machine is None else _machine(machine, dtype),
        roofline_ps=UNSET if net is None else net.roofline,
        bound_ps=UNSET if net is None else net.bound,
        fused_bound_ps=UNSET if net is None else net.fused_bound,
    )
    return totals, parts


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
    moving = sums(parts, BYTE_COUNTS)
    work = total([None if p.intensity is None and p.bytes else (p.intensity or 0) * p.bytes for p in parts])
    whole = LayerSpeed(**moving, intensity=work / moving["bytes"] if moving["bytes"] and work is not None else None)
    if any(part.bound_ps is UNSET for part in parts):
        return whole
    limits = {part.limit for part in parts if part.limit != "nothing"}
    limit: Any = limits.pop() if len(limits) == 1 else "several" if limits else "nothing"
    return replace(whole, limit=limit, **sums(parts, TIMES))
