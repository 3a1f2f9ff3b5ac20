"""All analyses of a graph, put together as a :class:`~cnncalc.analysis.report.Report`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec import UNSET, UnsetType

from cnncalc.analysis.answer import model
from cnncalc.analysis.cost import Cost, costs
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.receptive_field import (
    GlobalField,
    InputAxis,
    LocalField,
    Misalignment,
    Result,
    ScatteredField,
    TensorField,
    Track,
    UnknownField,
    receptive_fields,
)
from cnncalc.analysis.remarks import remarks
from cnncalc.analysis.report import Diagnostic, LayerReport, ReceptiveField, Report, Totals
from cnncalc.analysis.separable import separable_pairs
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph
from cnncalc.layers.axes import axis_name
from cnncalc.layers.base import Layer
from cnncalc.layers.fields import settings_of

ELEMENT = 4
"""Bytes of an element, float32."""
GLOBAL = ReceptiveField("global")


def assemble(graph: Graph, batch: int = 1, *, peak: bool = False) -> Report:
    """The report of a graph for a batch of ``batch`` samples; with ``peak`` its totals have the peak in inference."""
    cost_list = costs(graph, batch)
    fields = receptive_fields(graph)
    groups = _axis_groups(fields.axes)
    settings: dict[Layer, dict[str, Any]] = {}
    # by identity: layers that keep their input's place hand on the very same object
    shown: dict[int, tuple[ReceptiveField | None, dict[str, ReceptiveField] | UnsetType]] = {}
    layers = []
    for node, cost, seen in zip(graph.nodes, cost_list, fields.seen, strict=True):
        if node.layer is None:
            continue
        if node.layer not in settings:
            settings[node.layer] = settings_of(node.layer)
        if id(seen) not in shown:
            shown[id(seen)] = _receptive_field(graph, seen, groups)
        field, several = shown[id(seen)]
        layers.append(
            LayerReport(
                path=node.path,
                type=node.layer.kind,
                inputs=tuple([graph.path(ref) for ref in node.inputs]),
                input_shapes=node.input_shapes,
                output_shape=node.output_shapes[0],
                params=cost.params,
                buffers=cost.buffers,
                macs=cost.macs,
                flops=cost.flops,
                elementwise_ops=cost.elementwise_ops,
                activations=cost.activations,
                receptive_field=field,
                settings=settings[node.layer],
                output_shapes=node.output_shapes if len(node.output_shapes) > 1 else UNSET,
                shared_with=UNSET if node.shared is None else graph.nodes[node.shared].path,
                receptive_fields=several,
            )
        )
    return Report(
        model=model(graph, batch),
        totals=_totals(graph, batch, cost_list, with_peak=peak),
        layers=tuple(layers),
        diagnostics=tuple(_diagnostics(graph, cost_list, fields)),
        separable=tuple(separable_pairs(graph, batch)),
    )


def _totals(graph: Graph, batch: int, cost_list: list[Cost], *, with_peak: bool) -> Totals:
    sums = {name: sum(getattr(cost, name) or 0 for cost in cost_list) for name in COUNTS}
    return Totals(
        status="partial" if any(cost.unknown for cost in cost_list) else "complete",
        **sums,
        weight_bytes=ELEMENT * sums["params"],
        inference_peak_bytes=_peak_bytes(graph, batch) if with_peak else UNSET,
    )


def _peak_bytes(graph: Graph, batch: int) -> int | None:
    from cnncalc.analysis.memory.inference import peak
    from cnncalc.analysis.memory.passes import forward_pass

    run = forward_pass(graph, batch, training=False, element=ELEMENT)
    return None if run.unknown else peak(graph, run).bytes


# -- receptive fields ------------------------------------------------------------------------------


def _axis_groups(axes: tuple[InputAxis, ...]) -> list[tuple[int, int, int]]:
    """For each axis of an input the input's node, and where its tracks begin and end."""
    return [(axis.node, i - axis.axis, i - axis.axis + axis.rank) for i, axis in enumerate(axes)]


def _receptive_field(
    graph: Graph, seen: TensorField, groups: list[tuple[int, int, int]]
) -> tuple[ReceptiveField | None, dict[str, ReceptiveField] | UnsetType]:
    """The field on the first input that the tensor depends on; with several inputs, on each by name."""
    found = {
        graph.nodes[node].path: field
        for node, start, end in dict.fromkeys(groups[axis] for axis in seen.found)
        if (field := _one_field([seen.found.get(axis) for axis in range(start, end)], seen.aligned)) is not None
    }
    first = next(iter(found.values()), None)
    return first, found if found and groups[0] != groups[-1] else UNSET


def _one_field(tracks: Sequence[Track], aligned: bool) -> ReceptiveField | None:
    kinds = set(map(type, tracks))
    if type(None) in kinds or UnknownField in kinds:
        return None
    flag = UNSET if aligned else False
    if kinds == {GlobalField}:
        return GLOBAL
    size, jump, start, exact, phases = zip(
        *[
            _axis_numbers(track.field)
            if isinstance(track, LocalField)
            else (track.size if isinstance(track, ScatteredField) else None, None, None, None, 1)
            for track in tracks
        ],
        strict=True,
    )
    return ReceptiveField(
        "local",
        size=size,
        jump=jump,
        start=start,
        jump_exact=exact if any(isinstance(one, float) for one in jump) else UNSET,
        aligned=flag,
        phases=phases if max(phases) > 1 else UNSET,
    )


@lru_cache(maxsize=256)
def _axis_numbers(field: rf.Field) -> tuple[int, int | float, int | None, str, int]:
    """Size, jump, start, exact jump and phases of a field; the axes of an image mostly share theirs."""
    bounds = rf.bounds_of(field, 0)
    above, below = rf.jump(field)
    return (
        rf.size(field),
        above if below == 1 else above / below,
        None if bounds is None else bounds[0],
        str(above) if below == 1 else f"{above}/{below}",
        len(field.bounds),
    )


# -- diagnostics -----------------------------------------------------------------------------------


def _diagnostics(graph: Graph, cost_list: list[Cost], fields: Result) -> list[Diagnostic]:
    found = [Diagnostic(note.code, note.severity, note.message, ()) for note in graph.notes]
    found += remarks(graph)
    for reason in dict.fromkeys(reason for cost in cost_list for reason in cost.unknown):
        layers = [node.path for node, cost in zip(graph.nodes, cost_list, strict=True) if reason in cost.unknown]
        message = f"{reason}: the totals are a lower bound without it"
        found.append(Diagnostic("unknown-cost", "warning", message, tuple(layers)))
    found += _misaligned(graph, fields)
    reasons: dict[str, list[str]] = {}
    for node, seen in zip(graph.nodes, fields.seen, strict=True):
        for lost in {track.reason: None for track in seen.found.values() if isinstance(track, UnknownField)}:
            reasons.setdefault(lost, []).append(node.path)
    for reason, paths in reasons.items():
        message = f"the receptive field is not known: {reason}"
        found.append(Diagnostic("unknown-receptive-field", "info", message, tuple(paths)))
    return found


def _misaligned(graph: Graph, fields: Result) -> list[Diagnostic]:
    """One diagnostic per layer, whatever the number of axes and pairs of branches."""
    by_node: dict[int, list[Misalignment]] = {}
    for found in fields.misalignments:
        by_node.setdefault(found.node, []).append(found)
    result = []
    for number, found_here in by_node.items():
        parts = []
        for found in found_here:
            axis = fields.axes[found.axis]
            name = axis_name(axis.axis, axis.rank)
            if found.offset is None:
                parts.append(f"{name}: jumps {found.jumps[0]} and {found.jumps[1]}")
            else:
                parts.append(f"{name}: centres {found.offset} pixels apart")
        message = f"branches meet out of line: {'; '.join(dict.fromkeys(parts))}"
        result.append(Diagnostic("misaligned", "warning", message, (graph.nodes[number].path,)))
    return result
