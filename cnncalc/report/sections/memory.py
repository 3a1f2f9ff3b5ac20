"""How much memory a net takes: weights, a pass in inference, a step of training, the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnncalc.analysis.report import Inference, Report, TrainingMemory
from cnncalc.document.blocks import Fact
from cnncalc.document.column import Column, count
from cnncalc.report.words import more_than
from cnncalc.units import show_bytes

MOST_NAMED = 4
"""Layers named in a line."""


def facts(report: Report) -> list[Fact]:
    """Weights, the peak of inference, what a step of training holds, and what fits."""
    totals: Any = report.memory
    least = "≥ " if totals.status == "partial" else ""
    inference: Inference = totals.inference
    held: TrainingMemory | None = totals.training
    rows = [Fact("weights", show_bytes(totals.weights), totals.dtype)]
    if totals.buffers:
        rows.append(Fact("buffers", show_bytes(totals.buffers), "running statistics"))
    others = more_than([path for path in inference.alive if path != inference.at], MOST_NAMED)
    where = f"of tensors, at {inference.at}" + (f"; also alive: {others}" if others else "")
    rows.append(Fact("inference peak", least + show_bytes(inference.peak), where))
    if inference.in_place < inference.peak:
        rows.append(Fact("  in place", show_bytes(inference.in_place), "where activations write over their input"))
    if inference.order is not None or not inference.order_proven:
        known = "no order has less" if inference.order_proven else "the best order found; there may be a better one"
        rows.append(Fact("  in the best order", show_bytes(inference.best_order), known))
    if held is None:
        return rows
    counters = " and a step counter" if held.optimizer.startswith("adam") else ""
    states = {"sgd": "keeps nothing", "momentum": "one tensor like each weight"}
    rows.append(Fact("gradients", show_bytes(held.gradients), "one for each weight that gets one"))
    if held.mixed_precision:
        rows.append(Fact("master weights", show_bytes(held.master_weights), "float32"))
    state = states.get(held.optimizer, f"two tensors like each weight{counters}")
    rows.append(Fact("optimizer state", show_bytes(held.optimizer_state), f"{held.optimizer}: {state}"))
    kept = f"by autograd, batch {report.model.batch}"
    if held.checkpoint:
        kept = f"inputs of the blocks at level {held.checkpoint}, and what lies outside of them, {kept}"
    rows.append(Fact("kept", least + show_bytes(held.saved), kept))
    if held.recomputed:
        rows.append(Fact("recomputed", least + show_bytes(held.recomputed), f"at most, in {held.recomputed_block}"))
    rows.append(
        Fact(
            "training total",
            least + show_bytes(held.total),
            "at the end of the forward pass, and the gradients of the weights",
        )
    )
    if totals.fit is not None:
        batch = "any" if totals.fit.batch is None else f"{totals.fit.batch:,}"
        rows.append(Fact("largest batch", batch, f"that trains in {show_bytes(totals.fit.bytes)}"))
    return rows


def _column(name: str, at: str, header: str, help: str, priority: int, total: Callable[[Any], int] | None) -> Column:
    last = None if total is None else lambda report: show_bytes(total(report))
    return count(name, header, help, priority, at=f"memory.{at}", show=show_bytes, total=last)


COLUMNS = (
    _column(
        *("weight_bytes", "weights", "weights", "bytes of weights and buffers", 4),
        lambda report: report.memory.weights + report.memory.buffers,
    ),
    _column("output_bytes", "output", "out bytes", "bytes of its outputs, per batch", 6, None),
    _column(
        *("saved_bytes", "saved", "saved", "bytes that autograd keeps for it and for none before", 3),
        lambda report: sum(layer.memory.saved for layer in report.layers),
    ),
    _column(
        *("live_bytes", "live", "live", "most bytes of tensors alive while it runs in inference", 5),
        lambda report: report.memory.inference.peak,
    ),
)
