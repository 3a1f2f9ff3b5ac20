"""How much memory a net takes: weights, a pass in inference, a step of training, the largest batch that fits."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from cnncalc.analysis.fold import sums
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
from cnncalc.analysis.report import (
    Diagnostic,
    Fit,
    Inference,
    LayerMemory,
    MemoryTotals,
    Report,
    TrainingMemory,
)
from cnncalc.analysis.sections import Settings
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.units import parse_bytes


def measured(report: Report, graph: Graph, settings: Settings) -> tuple[Any, ...]:
    """The memory of the net and of its nodes, and which layers do not say what they take.

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
    parts = [
        LayerMemory(sum(own[number]), sum(map(prod, node.output_shapes)) * samples[number] * element, *held)
        for number, (node, *held) in enumerate(zip(graph.nodes, saved, now.highest, strict=True))
    ]
    totals = MemoryTotals(
        status="partial" if run.unknown else "complete",
        dtype=setting.dtype,
        weights=sum(learnable for learnable, _ in own),
        buffers=sum(buffers for _, buffers in own),
        inference=_inference(graph, run, now, batch, element),
        training=None if trained is None else _training(graph, trained, setting),
        fit=None if size is None else Fit(size, largest_batch(graph, size, setting)),
    )
    return totals, parts, *_diagnostics(graph, run)


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
    return LayerMemory(**sums(parts, ("weights", "output", "saved")), live=max(part.live for part in parts))
