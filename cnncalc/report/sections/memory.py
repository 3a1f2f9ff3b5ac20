"""How much memory a net takes: weights, a pass in inference, a step of training, the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from msgspec.structs import replace

from cnncalc.analysis.memory.in_place import in_place_nodes
from cnncalc.analysis.memory.inference import Peak, peak
from cnncalc.analysis.memory.order import best_order
from cnncalc.analysis.memory.passes import Pass, forward_pass
from cnncalc.analysis.memory.training import (
    ELEMENT,
    Setting,
    Training,
    kept_by_node,
    largest_batch,
    training,
    weight_bytes,
)
from cnncalc.document.column import Column
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.report.model import (
    Diagnostic,
    Fit,
    Inference,
    LayerMemory,
    LayerReport,
    MemoryTotals,
    Report,
    TrainingMemory,
)
from cnncalc.report.sections import Settings
from cnncalc.units import parse_bytes, show_bytes

MOST_NAMED = 4
"""Layers named in a line."""


def add(report: Report, graph: Graph, settings: Settings) -> Report:
    """The report with the memory of its layers.

    Raises:
        CnncalcError: settings that do not go together, or a size that is none.
    """
    setting = _setting(settings)
    batch, element = report.model.batch, ELEMENT[setting.dtype]
    run = forward_pass(graph, batch, training=False, element=element)
    now = peak(graph, run)
    saved = kept_by_node(graph, forward_pass(graph, batch, training=True, element=element))
    own = [
        (0, 0) if node.layer is None or node.shared is not None else weight_bytes(node, setting.dtype)
        for node in graph.nodes
    ]
    trained = None if setting.dtype == "int8" else training(graph, batch, setting)
    size = _size(settings.fit)
    samples = graph.samples(batch)
    parts = {
        node.path: LayerMemory(
            weights=sum(own[number]),
            output=sum(prod(shape) for shape in node.output_shapes) * samples[number] * element,
            saved=saved[number],
            live=now.highest[number],
        )
        for number, node in enumerate(graph.nodes)
    }
    totals = MemoryTotals(
        status="partial" if run.unknown else "complete",
        dtype=setting.dtype,
        weights=sum(learnable for learnable, _ in own),
        buffers=sum(buffers for _, buffers in own),
        inference=_inference(graph, run, now, batch, element),
        training=None if trained is None else _training(graph, trained, setting),
        fit=None if size is None else Fit(size, largest_batch(graph, size, setting)),
    )
    layers = tuple([replace(layer, memory=parts[layer.path]) for layer in report.layers])
    more = tuple(_diagnostics(graph, run))
    return replace(report, layers=layers, memory=totals, diagnostics=report.diagnostics + more)


def _size(fit: str | None) -> int | None:
    """The bytes of ``--fit``.

    Raises:
        CnncalcError: it is no size.
    """
    try:
        return None if fit is None else parse_bytes(fit)
    except CnncalcError as error:
        raise CnncalcError(f"--fit: {error}") from None


def _setting(settings: Settings) -> Setting:
    """How the net is trained.

    Raises:
        CnncalcError: these do not go together.
    """
    dtype, mixed = settings.dtype, settings.mixed_precision
    if dtype == "tf32":  # a way to multiply: its tensors are float32
        dtype = "float32"
    if mixed and dtype == "float32":
        dtype = "float16"
    if mixed and dtype == "float64":
        raise CnncalcError("mixed precision takes weights of 16 bits, not float64\n  hint: --dtype float16 or bfloat16")
    if dtype == "int8" and (mixed or settings.fit or settings.checkpoint):
        raise CnncalcError(
            "weights in int8 are not trained\n  hint: --fit, --checkpoint and --mixed-precision go with another --dtype"
        )
    return Setting(dtype, settings.optimizer, mixed, settings.checkpoint or 0)


def _inference(graph: Graph, run: Pass, now: Peak, batch: int, element: int) -> Inference:
    best = best_order(graph, run)
    nodes = in_place_nodes(graph, run)
    written_over = forward_pass(graph, batch, training=False, element=element, in_place=nodes)
    better = best.peak.bytes < now.bytes
    return Inference(
        peak=now.bytes,
        at=graph.nodes[now.node].path,
        alive=tuple(dict.fromkeys(graph.nodes[run.makers[storage]].path for storage in now.alive)),
        in_place=peak(graph, written_over).bytes,
        best_order=best.peak.bytes,
        order=tuple([graph.nodes[number].path for number in best.nodes]) if better else None,
        order_proven=best.proven,
    )


def _training(graph: Graph, held: Training, setting: Setting) -> TrainingMemory:
    return TrainingMemory(
        optimizer=setting.optimizer,
        mixed_precision=setting.mixed,
        checkpoint=setting.checkpoint or None,
        gradients=held.gradients,
        master_weights=held.master,
        optimizer_state=held.optimizer,
        saved=held.kept,
        recomputed=held.recomputed,
        recomputed_block=held.block or None,
        total=held.total,
    )


def _diagnostics(graph: Graph, run: Pass) -> list[Diagnostic]:
    """Which layers do not say what they take."""
    found = []
    for reason in run.unknown:
        layers = [node.path for node, part in zip(graph.nodes, run.nodes, strict=True) if reason in part.unknown]
        message = f"{reason}: the memory is a lower bound without it"
        found.append(Diagnostic("unknown-memory", "warning", message, tuple(layers)))
    return found


def folded(parts: Sequence[LayerMemory]) -> LayerMemory:
    """A block's sums; of what is alive the most."""
    return LayerMemory(
        weights=sum(part.weights for part in parts),
        output=sum(part.output for part in parts),
        saved=sum(part.saved for part in parts),
        live=max(part.live for part in parts),
    )


def facts(report: Report) -> list[tuple[str, str, str]]:
    """Weights, the peak of inference, what a step of training holds, and what fits."""
    totals: Any = report.memory
    least = "≥ " if totals.status == "partial" else ""
    inference: Inference = totals.inference
    held: TrainingMemory | None = totals.training
    rows = [("weights", show_bytes(totals.weights), totals.dtype)]
    if totals.buffers:
        rows.append(("buffers", show_bytes(totals.buffers), "running statistics"))
    others = _named([path for path in inference.alive if path != inference.at])
    where = f"of tensors, at {inference.at}" + (f"; also alive: {others}" if others else "")
    rows.append(("inference peak", least + show_bytes(inference.peak), where))
    if inference.in_place < inference.peak:
        rows.append(("  in place", show_bytes(inference.in_place), "where activations write over their input"))
    if inference.order is not None or not inference.order_proven:
        known = "no order has less" if inference.order_proven else "the best order found; there may be a better one"
        rows.append(("  in the best order", show_bytes(inference.best_order), known))
    if held is None:
        return rows
    counters = " and a step counter" if held.optimizer.startswith("adam") else ""
    states = {"sgd": "keeps nothing", "momentum": "one tensor like each weight"}
    rows.append(("gradients", show_bytes(held.gradients), "one for each weight that gets one"))
    if held.mixed_precision:
        rows.append(("master weights", show_bytes(held.master_weights), "float32"))
    state = states.get(held.optimizer, f"two tensors like each weight{counters}")
    rows.append(("optimizer state", show_bytes(held.optimizer_state), f"{held.optimizer}: {state}"))
    kept = f"by autograd, batch {report.model.batch}"
    if held.checkpoint:
        kept = f"inputs of the blocks at level {held.checkpoint}, and what lies outside of them, {kept}"
    rows.append(("kept", least + show_bytes(held.saved), kept))
    if held.recomputed:
        rows.append(("recomputed", least + show_bytes(held.recomputed), f"at most, in {held.recomputed_block}"))
    rows.append(
        (
            "training in all",
            least + show_bytes(held.total),
            "at the end of the forward pass, and the gradients of the weights",
        )
    )
    if totals.fit is not None:
        batch = "any" if totals.fit.batch is None else f"{totals.fit.batch:,}"
        rows.append(("largest batch", batch, f"that trains in {show_bytes(totals.fit.bytes)}"))
    return rows


def _named(paths: Sequence[str]) -> str:
    """The first few of some layers."""
    more = f", … ({len(paths) - MOST_NAMED} more)" if len(paths) > MOST_NAMED else ""
    return ", ".join(paths[:MOST_NAMED]) + more


def _column(
    name: str, attribute: str, header: str, help: str, priority: int, total: Callable[[Report], int] | None
) -> Column:
    def value(row: LayerReport, _: Report) -> Any:
        return getattr(row.memory, attribute)

    def last(report: Report) -> str:
        assert total is not None
        return show_bytes(total(report))

    return Column(name, header, value, help, show_bytes, True, priority, None if total is None else last)


def _weights(report: Report) -> int:
    totals: Any = report.memory
    whole: int = totals.weights + totals.buffers
    return whole


def _saved(report: Report) -> int:
    parts: list[Any] = [layer.memory for layer in report.layers]
    return sum(part.saved for part in parts)


def _peak(report: Report) -> int:
    totals: Any = report.memory
    most: int = totals.inference.peak
    return most


COLUMNS = (
    _column("weight_bytes", "weights", "weights", "bytes of weights and buffers", 4, _weights),
    _column("output_bytes", "output", "out bytes", "bytes of its outputs, per batch", 6, None),
    _column("saved_bytes", "saved", "saved", "bytes that autograd keeps for it and for none before", 3, _saved),
    _column("live_bytes", "live", "live", "most bytes of tensors alive while it runs in inference", 5, _peak),
)
