"""What other tools answer for a net, and where each differs from ours: the answer of ``cnncalc conventions``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis import answer as answers
from cnncalc.analysis.answer import Shape
from cnncalc.analysis.conventions import CONVENTIONS, Convention, Number, answer
from cnncalc.analysis.conventions.convention import Answer, quotient
from cnncalc.analysis.cost import Cost, costs
from cnncalc.analysis.fold import sums
from cnncalc.errors import unknown_name
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph

ALIASES = {
    "torch": "flop_counter",
    "pytorch": "flop_counter",
    "flopcountermode": "flop_counter",
    "fvcore-flops": "fvcore",
    "ptflops-pytorch": "ptflops",
    "torchscan-macs": "torchscan",
    "pytorch-opcounter": "thop",
}
"""Other names that people type for a tool."""


class TypeDifference(Struct, frozen=True):
    """What a tool counts for all layers of one type, against what we count for them, in the tool's unit."""

    type: str
    layers: int
    count: Number
    ours: int
    difference: Number
    because: str


class LayerCount(Struct, frozen=True):
    """The same for one layer; ``count`` is null where the tool fails at it."""

    path: str
    type: str
    count: Number | None
    ours: int | None
    difference: Number | None
    because: str


class ToolReport(Struct, frozen=True):
    """One tool's answer.

    ``status``: ``complete``; ``partial`` where the tool says so itself, for it knows that it lacks layers; ``fails``
    where it gives no number; ``unknown`` where a layer does not say what it is in PyTorch, so that we cannot tell.
    ``ours`` is our count in the tool's ``unit``, ``macs`` the answer in MACs (null for activations). ``missed`` are
    multiply-accumulates of ours that are not in its answer. ``unknown`` are the types of layers whose modules it
    does not know.
    """

    name: str
    tool: str
    version: str
    unit: str
    counts: str
    reads: str
    status: Literal["complete", "partial", "fails", "unknown"]
    answer: int | None
    macs: Number | None
    ours: int
    difference: int | None
    missed: int
    types: tuple[TypeDifference, ...]
    unknown: tuple[str, ...]
    problem: str = ""
    layers: tuple[LayerCount, ...] | UnsetType = UNSET


class ConventionsReport(answers.Answer, frozen=True, kw_only=True):
    """The whole answer to ``conventions``."""

    name: str
    source: str
    inputs: dict[str, Shape]
    batch: int
    macs: int
    flops: int
    activations: int
    tools: tuple[ToolReport, ...]
    functional: tuple[str, ...] = ()


def types(names: Iterable[str]) -> tuple[str, ...]:
    """The types of layers that these names, or aliases, stand for.

    Raises:
        CnncalcError: there is no such layer; the message has the nearest.
    """
    from cnncalc.layers import REGISTRY
    from cnncalc.spec.fields import aliases, named_layer

    found = []
    for name in names:
        layer = named_layer(name.strip())
        if layer is None:
            raise unknown_name("layer", name.strip(), [*REGISTRY, *aliases()], REGISTRY)
        found.append(layer.kind)
    return tuple(dict.fromkeys(found))


def find(name: str) -> Convention:
    """The convention of that name.

    Raises:
        CnncalcError: there is none; the message has the nearest.
    """
    known = name.strip().lower().replace("_", "-")
    by_dash = {one.replace("_", "-"): one for one in CONVENTIONS}
    found = ALIASES.get(known) or by_dash.get(known)
    if found is None:
        raise unknown_name("tool", name, [*CONVENTIONS, *ALIASES], CONVENTIONS)
    return CONVENTIONS[found]


def report(
    graph: Graph, batch: int = 1, tools: Iterable[str] | None = None, functional: Sequence[str] = ()
) -> ConventionsReport:
    """The answers of the tools of these names (with their layers), by default of all (without).

    Layers of the types ``functional`` are no modules, but calls of functions.
    """
    ours = costs(graph, batch)
    chosen = list(CONVENTIONS.values()) if tools is None else [find(name) for name in tools]
    macs = sum(cost.macs or 0 for cost in ours)
    answers = [answer(graph, convention, batch, frozenset(functional)) for convention in chosen]
    return ConventionsReport(
        name=graph.name,
        source=graph.source,
        inputs=graph.inputs,
        batch=batch,
        macs=macs,
        flops=flops(macs),
        activations=sum(cost.activations or 0 for cost in ours),
        tools=tuple(_tool(graph, given, ours, batch, tools is not None) for given in answers),
        functional=tuple(functional),
    )


def _in_unit(cost: Cost, convention: Convention) -> int | None:
    """Our count in a tool's unit."""
    if convention.unit == "activations":
        return cost.activations
    return None if cost.macs is None else cost.macs * convention.per_mac


def _tool(graph: Graph, given: Answer, ours: list[Cost], batch: int, with_layers: bool) -> ToolReport:
    convention, unit = given.convention, given.convention.unit
    layers = tuple(_layers(graph, given, ours))
    whole = sum(layer.ours or 0 for layer in layers)
    in_macs = unit != "activations"
    failed: Literal["unknown", "fails"] = "unknown" if given.untold else "fails"
    return ToolReport(
        name=convention.name,
        tool=convention.tool,
        version=convention.version,
        unit=unit,
        counts=convention.counts,
        reads=convention.reads,
        status=failed if given.count is None else "partial" if given.partial else "complete",
        answer=given.count,
        macs=quotient(given.count, convention.per_mac) if given.count is not None and in_macs else None,
        ours=whole,
        difference=None if given.count is None else given.count - whole,
        missed=_missed(given, ours) if in_macs and not (convention.per_sample and batch > 1) else 0,
        types=tuple(_types(layers)),
        unknown=given.unknown,
        problem=given.problem,
        layers=layers if with_layers else UNSET,
    )


def _missed(given: Answer, ours: list[Cost]) -> int:
    """Multiply-accumulates of ours that are not in the tool's count."""
    per_mac, missed = given.convention.per_mac, 0
    for count, cost in zip(given.nodes, ours, strict=True):
        if count.count is not None and cost.macs and cost.activations is not None:
            # as FLOPs a sum of n products may count 2n − 1
            enough = per_mac * cost.macs - (per_mac - 1) * cost.activations
            if count.count < enough:
                missed += cost.macs - int(count.count) // per_mac
    return missed


def _layers(graph: Graph, given: Answer, ours: list[Cost]) -> Iterable[LayerCount]:
    for node, counted, cost in zip(graph.nodes, given.nodes, ours, strict=True):
        if node.layer is None:
            continue
        own, count = _in_unit(cost, given.convention), _whole(counted.count)
        because = counted.problem or ", ".join(counted.says) or ("not counted" if own else "")
        difference = None if count is None or own is None else _whole(count - own)
        yield LayerCount(node.path, node.kind, count, own, difference, because)


def _whole(value: Number | None) -> Any:
    """A float that is a whole number as one."""
    return int(value) if value is not None and value == int(value) else value


def _types(layers: Sequence[LayerCount]) -> list[TypeDifference]:
    """The types of layers for which a tool's count is not ours, the largest differences first."""
    groups: dict[str, list[LayerCount]] = {}
    for layer in layers:
        if layer.difference is not None:
            groups.setdefault(layer.type, []).append(layer)
    found = []
    for type_, members in groups.items():
        count, own = sum(layer.count or 0 for layer in members), sum(layer.ours or 0 for layer in members)
        if count != own:
            because = "; ".join(dict.fromkeys(layer.because for layer in members if layer.difference))
            found.append(TypeDifference(type_, len(members), _whole(count), own, _whole(count - own), because))
    return sorted(found, key=lambda one: -abs(one.difference))


def block(path: str, members: Sequence[LayerCount]) -> LayerCount:
    """The layers below ``path`` as one row; a count or a difference is unknown where one of them is."""
    found = {name: _whole(value) for name, value in sums(members, ("count", "ours", "difference")).items()}
    return LayerCount(path=path, type="block", because="", **found)
