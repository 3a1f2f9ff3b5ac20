"""The page of ``cnncalc conventions``: what other tools answer for a net, and where each differs from ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from cnncalc.analysis.conventions import CONVENTIONS, Number
from cnncalc.analysis.conventions.comparison import ConventionsReport, ToolReport, TypeDifference, block
from cnncalc.document.blocks import Block, Document, Fact, Facts, Group, Heading, Note, Table, Text
from cnncalc.document.column import Column, count, nth, second
from cnncalc.document.tree import outline
from cnncalc.report.columns import LAYER, TYPE
from cnncalc.report.words import shape_text
from cnncalc.units import share, show


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


COLUMNS = (
    Column("tool", at="name", help="the tool"),
    count("answer", "answer", "what it answers", 1, show=_digits, none="–"),
    Column("unit", help="in what unit", priority=3),
    count("macs", "as MACs", "the same in MACs", 5, show=_digits, none="–"),
    count("difference", "− ours", "beyond ours, in its unit", 2, show=signed, none="–"),
    count(
        *("difference%", "%", "beyond ours, of ours", 4),
        value=_off,
        show=str,
        none="–",
        exact=lambda text: (text or "").replace("−", "-"),
    ),
    Column("why", "why", _why, "the types of layers that differ", _most, priority=6, elastic=True),
)
"""The columns of the table of tools."""

BECAUSE = Column("because", "because it counts", help="why", priority=5, elastic=True)
LAYER_COLUMNS = (
    LAYER,
    replace(TYPE, priority=4),
    count("count", "count", "what the tool counts", 1, show=_digits, none="–"),
    count("ours", "ours", "what we count, in its unit", 3, show=_digits, none="–"),
    count("difference", "− ours", "the difference", 2, show=signed, none="–"),
    BECAUSE,
)
"""The columns of the table of one tool's layers."""


TYPE_COLUMNS = (
    Column("tool", value=lambda row, _: row[0].name, help="the tool"),
    Column("type", "layers", lambda row, _: _of(row[1]), "the layers' type, and how many there are", priority=2),
    second(count("difference", "− ours", "beyond ours", 1, show=signed, none="–")),
    second(replace(BECAUSE, priority=3)),
)
"""The columns of the table of differences."""


def document(result: ConventionsReport, columns: Sequence[Column] | None = None, *, flat: bool = False) -> Document:
    """The table of tools, and the types of layers that make the difference; of the tools asked for each layer, in these
    ``columns`` and, unless they are ``flat``, as a tree.
    """
    shapes = ", ".join(map(shape_text, result.inputs.values()))
    own = f"ours: {result.macs:,} MACs = {result.flops:,} FLOPs, {result.activations:,} activations"
    if result.functional:
        own += f"; functions, not modules: {', '.join(result.functional)}"
    tools = Table(COLUMNS, result.tools)
    types = [(tool, one) for tool in result.tools if tool.layers is UNSET for one in tool.types]
    blocks: list[Block] = [
        Heading(f"{result.name or result.source}   {shapes}   batch {result.batch}", 1),
        tools,
        *([Table(TYPE_COLUMNS, types)] if types else []),
    ]
    for tool in result.tools:
        if tool.layers is not UNSET:
            facts = [Fact(_of(one), signed(one.difference), one.because) for one in tool.types]
            blocks.append(Group([Heading(f"{tool.tool} {tool.version}"), Text(f"{tool.counts}.")]))
            blocks += [Facts(facts, "where it differs")] if facts else []
            rows, drop = tool.layers or (), columns is None
            shown = LAYER_COLUMNS if columns is None else columns
            blocks.append(outline(shown, rows, block, flat=rows if flat else None, drop=drop))
    blocks.append(Group([*(note for tool in result.tools for note in _notes(tool, result)), Note(own)]))
    layers = [(tool.name, layer) for tool in result.tools if tool.layers is not UNSET for layer in tool.layers]
    first = [nth(0, "tool", help="the tool")] if len(result.tools) > 1 else []
    listed = Table([*first, *map(second, columns or LAYER_COLUMNS)], layers)
    return Document(result, blocks, listed if layers else tools)


def _of(one: TypeDifference) -> str:
    return one.type + (f" × {one.layers}" if one.layers > 1 else "")


def _notes(tool: ToolReport, result: ConventionsReport) -> Iterator[Note]:
    """What a tool's answer lacks."""
    if tool.problem:
        yield Note(f"{tool.name}: {_cannot(tool)}: {tool.problem}", mark="warning")
        return
    if tool.missed:
        part = f"{show(tool.missed)} of {show(result.macs)}"
        lost = f"misses {part} multiply-accumulates ({share(tool.missed, result.macs)}%)"
        yield Note(f"{tool.name} miscounts: it {lost}", mark="warning")
    convention, unknown = CONVENTIONS[tool.name], ", ".join(tool.unknown)
    if result.batch > 1 and convention.per_sample:
        yield Note(f"{tool.name} divides what it counts for modules by the batch, and nothing else")
    if tool.status == "partial":
        said = f"it does not know the modules of {unknown}" if unknown else "it fails at a module"
        yield Note(f"{tool.name} says that its answer is partial: {said}")
    elif tool.unknown and convention.other is None:
        yield Note(f"{tool.name} passes over modules in silence: {unknown}")
