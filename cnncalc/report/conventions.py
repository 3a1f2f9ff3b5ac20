"""What other tools answer for a net, and where each differs from ours: the report of ``cnncalc conventions``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cnncalc.analysis.answer import Generator, Shape
from cnncalc.analysis.conventions import CONVENTIONS, Answer, Convention, Number, answer
from cnncalc.analysis.cost import Cost, costs
from cnncalc.document.column import Column
from cnncalc.document.grid import grid, style
from cnncalc.errors import unknown_name
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph
from cnncalc.text import visible, wrap
from cnncalc.units import share, show

SCHEMA_VERSION = 1
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


class ConventionsReport(Struct, frozen=True):
    """The whole answer to ``conventions``."""

    schema_version: int
    generator: Generator
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
    from cnncalc import __version__

    ours = costs(graph, batch)
    chosen = list(CONVENTIONS.values()) if tools is None else [find(name) for name in tools]
    macs = sum(cost.macs or 0 for cost in ours)
    answers = [answer(graph, convention, batch, frozenset(functional)) for convention in chosen]
    return ConventionsReport(
        SCHEMA_VERSION,
        Generator("cnncalc", __version__),
        graph.name,
        graph.source,
        graph.inputs,
        batch,
        macs,
        flops(macs),
        sum(cost.activations or 0 for cost in ours),
        tuple(_tool(graph, given, ours, batch, tools is not None) for given in answers),
        tuple(functional),
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
    missed = _missed(given, ours) if unit != "activations" and not (convention.per_sample and batch > 1) else 0
    macs: Number | None = None
    if given.count is not None and unit != "activations":
        macs = given.count // convention.per_mac if not given.count % convention.per_mac else given.count / 2
    return ToolReport(
        name=convention.name,
        tool=convention.tool,
        version=convention.version,
        unit=unit,
        counts=convention.counts,
        reads=convention.reads,
        status=_status(given),
        answer=given.count,
        macs=macs,
        ours=whole,
        difference=None if given.count is None else given.count - whole,
        missed=missed,
        types=tuple(_types(layers)),
        unknown=given.unknown,
        problem=given.problem,
        layers=layers if with_layers else UNSET,
    )


def _status(given: Answer) -> Literal["complete", "partial", "fails", "unknown"]:
    if given.count is None:
        return "unknown" if given.untold else "fails"
    return "partial" if given.partial else "complete"


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
    for node, count, cost in zip(graph.nodes, given.nodes, ours, strict=True):
        if node.layer is None:
            continue
        own = _in_unit(cost, given.convention)
        because = count.problem or ", ".join(count.says) or ("not counted" if own else "")
        difference = None if count.count is None or own is None else _whole(count.count - own)
        yield LayerCount(
            node.path, node.kind, None if count.count is None else _whole(count.count), own, difference, because
        )


def _whole(value: Number) -> Number:
    """A float that is a whole number as one."""
    return int(value) if value == int(value) else value


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


# -- as a person reads it ---------------------------------------------------------------------------


def signed(value: Number | None) -> str:
    """A difference for a person: ``+22.33 M``, ``−1.20 k``; none is 0, an unknown one ``–``."""
    if value is None:
        return "–"
    size = show(abs(int(value))) if value == int(value) else f"{abs(value):,.1f}"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{size}"


def _digits(value: Number | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _why(tool: ToolReport, _: object) -> str:
    if tool.problem:
        return f"{_cannot(tool)}: {tool.problem}"
    parts = [f"{one.type} {signed(one.difference)}" for one in tool.types]
    return ", ".join(parts) or "what we count"


def _most(why: str) -> str:
    """The first of several reasons; all of them stand below the table."""
    first, *others = why.split(", ")
    return f"{first}, {len(others)} more" if others and ":" not in first else why


def _cannot(tool: ToolReport) -> str:
    return "we cannot tell" if tool.status == "unknown" else "it fails"


def _off(tool: ToolReport, _: object) -> str | None:
    if tool.difference is None or not tool.ours:
        return None
    sign = "+" if tool.difference > 0 else "−" if tool.difference < 0 else ""
    return f"{sign}{share(abs(tool.difference), tool.ours)}"


def _text(value: str | None) -> str:
    return "–" if value is None else value


COLUMNS = (
    Column("tool", "tool", lambda tool, _: tool.name, "the tool"),
    Column("answer", "answer", lambda tool, _: tool.answer, "what it answers", _digits, right=True, priority=1),
    Column("unit", "unit", lambda tool, _: tool.unit, "in what unit", priority=3),
    Column("macs", "as MACs", lambda tool, _: tool.macs, "the same in MACs", _digits, right=True, priority=5),
    Column(
        "difference", "− ours", lambda tool, _: tool.difference, "beyond ours, in its unit", signed, True, priority=2
    ),
    Column(
        "difference%",
        "%",
        _off,
        "beyond ours, of ours",
        _text,
        True,
        priority=4,
        exact=lambda text: (text or "").replace("−", "-"),
    ),
    Column("why", "why", _why, "the types of layers that differ", _most, priority=6),
)
"""The columns of the table of tools."""

LAYER_COLUMNS = (
    Column("layer", "layer", lambda row, _: row.path, "path of the layer", path=True, elastic=True),
    Column("type", "type", lambda row, _: row.type, "the layer's name in the spec language", priority=4),
    Column("count", "count", lambda row, _: row.count, "what the tool counts", _digits, right=True, priority=1),
    Column("ours", "ours", lambda row, _: row.ours, "what we count, in its unit", _digits, right=True, priority=3),
    Column("difference", "− ours", lambda row, _: row.difference, "the difference", signed, True, priority=2),
    Column("because", "because it counts", lambda row, _: row.because, "why", priority=5, elastic=True),
)
"""The columns of the table of one tool's layers."""


def render(result: ConventionsReport, *, width: int | None = None, colour: bool = False) -> str:
    """The table of tools, and for each the types of layers that make the difference."""
    title = visible(result.name or result.source)
    shapes = ", ".join("×".join(map(str, shape)) for shape in result.inputs.values())
    head = wrap(f"{title}   {shapes}   batch {result.batch}", width)
    own = f"ours: {result.macs:,} MACs = {result.flops:,} FLOPs, {result.activations:,} activations"
    if result.functional:
        own += f"; no modules but functions: {', '.join(result.functional)}"
    lines = [*head, *wrap(own, width), "", *grid(COLUMNS, result.tools, width=width, colour=colour)]
    for tool in result.tools:
        lines += ["", *_account(tool, result, width, colour)]
        if tool.layers is not UNSET:
            lines += ["", *grid(LAYER_COLUMNS, tool.layers, width=width, colour=colour)]
    return "\n".join(lines) + "\n"


def _account(tool: ToolReport, result: ConventionsReport, width: int | None, colour: bool) -> list[str]:
    """What a tool counts, and the difference by the type of layer."""
    first, *rest = wrap(f"{tool.tool} {tool.version}: {tool.counts}.", width)
    lines = [first.replace(tool.tool, style(tool.tool, "bold", colour), 1), *rest]
    if tool.problem:
        return [*lines, *_indented(f"{_cannot(tool)}: {tool.problem}", width)]
    widest = max((len(signed(one.difference)) for one in tool.types), default=0)
    for one in tool.types:
        of = f"{one.type}" + (f" × {one.layers}" if one.layers > 1 else "")
        lines += _indented(f"{of}: {one.because}", width, f"  {signed(one.difference):>{widest}}  ")
    if not tool.types:
        lines += _indented("no difference to ours", width)
    if tool.missed:
        part = f"{show(tool.missed)} of {show(result.macs)}"
        lost = f"miscount: it misses {part} multiply-accumulates ({share(tool.missed, result.macs)}%)"
        lines += [style(line, "yellow", colour) for line in _indented(lost, width)]
    convention, unknown = CONVENTIONS[tool.name], ", ".join(tool.unknown)
    if result.batch > 1 and convention.per_sample:
        lines += _indented("it divides what it counts for modules by the batch, and nothing else", width)
    if tool.status == "partial":
        said = f"it does not know the modules of {unknown}" if unknown else "it fails at a module"
        lines += _indented(f"partial, as it says itself: {said}", width)
    elif tool.unknown and convention.other is None:
        lines += _indented(f"modules that it passes over in silence: {unknown}", width)
    return lines


def _indented(text: str, width: int | None, start: str = "  ") -> list[str]:
    """``text`` behind ``start``, and its further lines under its first."""
    first, *rest = wrap(text, None if width is None else max(width - len(start), 20))
    return [start + first, *(" " * len(start) + line for line in rest)]


def layer_rows(result: ConventionsReport) -> list[tuple[str, LayerCount]]:
    """The layers of all tools that have theirs, each with the tool's name."""
    return [(tool.name, layer) for tool in result.tools if tool.layers is not UNSET for layer in tool.layers]


def layer_columns(result: ConventionsReport) -> list[Column]:
    """The columns of those rows; the tool's name is one where there are several tools."""
    first = [Column("tool", "tool", lambda row, _: row[0], "the tool")] if len(result.tools) > 1 else []
    return [*first, *(replace(column, value=_of_layer(column.value)) for column in LAYER_COLUMNS)]


def _of_layer(value: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda row, whole: value(row[1], whole)
