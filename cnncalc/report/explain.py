"""The page of ``cnncalc explain``: formulas with their numbers, or a net's layers, or totals as sums."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from cnncalc.analysis.answer import Shape
from cnncalc.analysis.explain.answer import (
    INDICES,
    NUMBERS,
    SYMBOLIC,
    TEX,
    TEX_NUMBERS,
    Entry,
    Explanation,
    LayerExplanation,
    Part,
    QuantityReport,
    Total,
    Variables,
    report,
    variables,
)
from cnncalc.analysis.explain.notation import ATOM, counted
from cnncalc.analysis.explain.tree import Const, Expr, Name
from cnncalc.document.blocks import Block, Document, Equation, Equations, Group, Heading, Note, Table, Text
from cnncalc.document.column import Column, count, human, nth, percent
from cnncalc.document.tree import outline
from cnncalc.layers.fields import settings_of
from cnncalc.report.columns import LAYER, OUTPUT
from cnncalc.report.words import about, settings_text, shapes_text

FEW = 2
"""So many layers are explained at once; more are a table, unless all is asked for."""
ASIDE = ("buffers", "elementwise_ops", "activations", "output_bytes", "weight_bytes", "buffer_bytes")
"""What the page has only where all is asked for."""


def document(found: Explanation, *, all: bool = False, sources: bool = False, depth: int | None = None) -> Document:
    """The page of an explanation.

    Args:
        found: the answer.
        all: every layer and every quantity.
        sources: where each formula is from.
        depth: levels of a net's blocks; by default as many as fit the window.
    """
    from cnncalc.report import explain_latex

    title = [found.title, *([f"batch {found.batch}"] if found.batch > 1 else []), *([found.dtype] if all else [])]
    blocks: list[Block] = [Heading("   ".join(title), 1)]
    answer = report(found)
    rows = Table(QUANTITIES, [Line(layer, one) for layer in answer.layers for one in layer.quantities])
    if found.totals:
        rows = _terms(found)
        blocks += _totals(found, rows)
    elif len(found.parts) > FEW and not all:
        blocks += _net(found, depth)
    else:
        blocks += _layers(found, all, sources)
    return Document(answer, blocks, rows, texts={"latex": partial(explain_latex.render, found)})


# -- layers ----------------------------------------------------------------------------------------


def _layers(found: Explanation, all: bool, sources: bool) -> list[Block]:
    blocks: list[Block] = []
    meanings: dict[str, str] = {}
    used, numbers = set[str](), set[int]()
    for part in found.parts:
        entries = [entry for entry in part.entries if all or _shown(entry, part)]
        blocks.append(_layer(part, entries, all, sources))
        meanings |= part.trace.meanings
        others = part.versus if found.compare else ()
        for other in others:
            title = f"in its place: {other.title} (ratios are to this layer)"
            equations = Equations([equation(entry, None, sources) for entry in other.entries])
            blocks.append(Group([Text(title, lead="  "), equations]))
        given = [symbol for symbols, _ in variables(part, [*entries, *part.field]) for symbol in symbols]
        given += [symbol for entry in part.field for symbol in entry.symbols]
        used |= {symbol.partition("_")[0] for symbol in given}
        shown = [*entries, *part.field, *(entry for other in others for entry in other.entries)]
        numbers |= {number for entry in shown for number in entry.sources}
    legend = [f"{symbol}: {meaning}" for symbol, meaning in (meanings | found.symbols).items() if symbol in used]
    if legend:
        blocks.append(Group([Heading("symbols"), Text("; ".join([*legend, INDICES]))]))
    if sources:
        cited = enumerate(found.sources, start=1)
        lines = [Text(text, lead=f"[{number}] ") for number, text in cited if number in numbers]
        blocks.append(Group([Heading("sources"), *lines]))
    return blocks


def _shown(entry: Entry, part: Part) -> bool:
    """Whether a quantity is one of those that come first; work of a layer without products is elementwise."""
    quantity = entry.quantity
    products = not any(one.name == "macs" for one in part.zeros)
    return quantity.expr is None or quantity.name not in ASIDE or (quantity.name == "elementwise_ops" and not products)


def _layer(part: Part, entries: Sequence[Entry], all: bool, sources: bool) -> Group:
    shapes = f"{shapes_text(part.node.input_shapes)} → {shapes_text(part.node.output_shapes)}"
    blocks: list[Block] = [Heading(f"{part.path}   {part.kind}   {shapes}")]
    assert part.node.layer is not None
    settings = settings_of(part.node.layer)
    if settings:
        blocks.append(Text(settings_text(settings), "dim"))
    if part.like is not None:
        blocks.append(Text(f"sizes and costs as for {part.like}", lead="  "))
    given = variables_text(variables(part, [*entries, *part.field]))
    if given:
        blocks.append(Text(f"with {', '.join(one.replace(' ', '') for one in given)}", lead="  ", indent="  "))
    equations = [equation(entry, part, sources) for entry in entries]
    zeros = [one for one in part.zeros if all or one.name not in ASIDE]
    if zeros:
        latex = [TEX.symbol(one.symbol) for one in zeros]
        equations.append(Equation("zero", [*(one.symbol for one in zeros), "0"], latex=[" = ".join(latex), "0"]))
    equations += [equation(entry, part, sources) for entry in part.field]
    return Group([*blocks, Equations(equations)] if equations else blocks)


def equation(entry: Entry, part: Part | None, sources: bool) -> Equation:
    """One formula, with the numbers of its sources where these are asked for."""
    marks = f" [{','.join(map(str, entry.sources))}]" if entry.sources and sources else ""
    remark = "; ".join(remarks(entry, part))
    if entry.quantity.expr is None:
        return Equation(entry.title, [remark or "?"])
    return Equation(entry.title + marks, chain(entry), remark, chain(entry, latex=True))


def chain(entry: Entry, *, latex: bool = False) -> list[str]:
    """The symbols, the general formula, this layer's, the same with the numbers, and the result; what would only repeat
    is left out.
    """
    symbolic, numbers = (TEX, TEX_NUMBERS) if latex else (SYMBOLIC, NUMBERS)
    expr = entry.quantity.expr
    assert expr is not None
    steps = [" = ".join(symbolic.symbol(symbol) for symbol in entry.symbols)]
    for one in (entry.quantity.general, expr):
        if one is not None and not _plain(one, entry):
            steps.append(symbolic.write(one))
    if not _plain(expr, entry) and not isinstance(expr, Name):
        steps.append(numbers.write(expr))
    result = counted(expr.value, latex=latex)
    plain = counted(expr.value, latex=latex, parted=False)
    return [*dict.fromkeys(step for step in steps if step not in (plain, result)), result]


def _plain(expr: Expr, entry: Entry) -> bool:
    """Whether it says no more than the symbol and its value."""
    return isinstance(expr, Const) or (isinstance(expr, Name) and expr.symbol in entry.symbols)


def remarks(entry: Entry, part: Part | None) -> list[str]:
    """What is said beside an equation: of the parameters, the tensors that they are (``weight C_out×C_in×K×K``)."""
    shown = []
    if part is not None and entry.quantity.name in ("params", "buffers"):
        tensors = [
            f"{name} {'×'.join(SYMBOLIC.write(size, ATOM) for size in shape) or 'scalar'}"
            for name, shape, learnable in part.tensors
            if learnable == (entry.quantity.name == "params")
        ]
        shown = [", ".join(tensors)] if tensors and not entry.quantity.note else []
    value = entry.quantity.value
    if isinstance(value, Fraction) and value.denominator > 1 and entry.quantity.name.endswith("ratio"):
        shown.append(f"about {float(value):.3g}")
    return [*shown, *([entry.quantity.note] if entry.quantity.note else [])]


def variables_text(known: Variables, *, latex: bool = False) -> list[str]:
    """``H = W = 224`` for each of the names that are given."""
    symbolic = TEX if latex else SYMBOLIC
    return [
        " = ".join([*(symbolic.symbol(symbol) for symbol in symbols), counted(value, latex=latex)])
        for symbols, value in known
    ]


class Line(NamedTuple):
    """A quantity of a layer."""

    layer: LayerExplanation
    quantity: QuantityReport


QUANTITIES = (
    Column("layer", at="layer.path", path=True),
    Column("name", "quantity", at="quantity.name"),
    Column("symbol", at="quantity.symbol"),
    Column("formula", at="quantity.formula"),
    Column("substituted", "with numbers", at="quantity.substituted"),
    Column("value", at="quantity.value", right=True),
    Column("note", at="quantity.note"),
)
"""What CSV has: a row for each quantity of each layer."""


# -- a net -----------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A layer, or a block with all layers in it."""

    path: str
    parts: Sequence[Part]

    @property
    def kind(self) -> str:
        """The layer's kind, or how many layers there are."""
        return self.parts[0].kind if len(self.parts) == 1 else f"{len(self.parts)} layers"

    @property
    def output_shape(self) -> Shape:
        """What the last layer makes."""
        return self.parts[-1].node.output_shape


def _block(path: str, rows: Sequence[Row]) -> Row:
    return Row(path, [part for row in rows for part in row.parts])


def _sum(name: str, header: str, priority: int) -> Column:
    def cell(row: Row, found: Explanation) -> int | None:
        counts = [getattr(found.costs[part.path], name) for part in row.parts]
        return None if None in counts else sum(filter(None, counts))

    def total(found: Explanation) -> str:
        counts = [getattr(cost, name) for cost in found.costs.values()]
        return ("≥ " if None in counts else "") + human(sum(filter(None, counts)))

    return count(name, header, priority=priority, value=cell, total=total)


LAYERS = (
    LAYER,
    Column("type", at="kind", priority=4),
    OUTPUT,
    _sum("params", "params", 2),
    _sum("flops", "FLOPs", 3),
)
"""The columns of a net's layers and blocks."""


def _net(found: Explanation, depth: int | None) -> list[Block]:
    """A row for each layer or block, and how to have one explained."""
    every = [Row(part.path, [part]) for part in found.parts]
    table = outline(LAYERS, every, _block, found, depth=depth, hint="")
    unknown = {path: cost.unknown for path, cost in found.costs.items() if cost.unknown}
    reasons = dict.fromkeys(reason for several in unknown.values() for reason in several)
    notes = [Note(f"totals are lower bounds: {'; '.join(reasons)}{about(list(unknown))}", "warning")] if unknown else []
    return [table, *notes, Text(f"formulas: --layer {found.parts[0].path}, or --all", "dim")]


# -- totals ----------------------------------------------------------------------------------------


def _totals(found: Explanation, table: Table) -> list[Block]:
    """Each total as the sum of its terms, these in a table, and what is not in them."""
    notes = [
        Note(
            f"{total.symbol} is a lower bound: unknown in {len(total.missing)} of the layers{about(total.missing)}",
            "warning",
        )
        for total in found.totals
        if total.missing
    ]
    return [Equations([_sum_of(total) for total in found.totals]), *([table] if table.rows else []), *notes]


def _terms(found: Explanation) -> Table:
    """What each block adds to the totals, in the order of the net."""
    terms: dict[str, dict[str, int]] = {}
    for total in found.totals:
        for term in total.terms:
            terms.setdefault(term.path, {})[total.metric] = term.value
    depth = max((path.count(".") + 1 for path in terms), default=1)
    paths = dict.fromkeys(".".join(path.split(".")[:depth]) for path in found.costs)
    rows = [(path, terms[path]) for path in paths if path in terms]
    columns = [
        nth(0, "part", path=True, elastic=True),
        *(column for total in found.totals if total.value for column in _of_total(total, len(found.totals) == 1)),
    ]
    return Table(columns, rows, found)


def _of_total(total: Total, share: bool) -> list[Column]:
    def value(row: tuple[str, dict[str, int]], _: object = None) -> int:
        return row[1].get(total.metric, 0)

    whole = f"{'≥ ' if total.missing else ''}{total.value:,}"
    terms = count(total.metric, total.symbol, value=value, show="{:,}".format, total=lambda _: whole)
    part = count("share", "%", value=lambda row, _: 100 * value(row) / total.value, show=percent)
    return [terms, part] if share else [terms]


def _sum_of(total: Total) -> Equation:
    """``params = 9408 + … = 11,689,512``; of a lower bound ``params ≥ …``."""
    sign, latex_sign = ("≥", r"\ge") if total.missing else ("=", "=")
    title, value = total.metric.replace("_", " "), f"{total.value:,}"
    if len(total.terms) < 2:
        return Equation(title, [f"{total.symbol} {sign} {value}"])
    latex = [f"{TEX.symbol(total.symbol)} {latex_sign} {total.substituted}", counted(total.value, latex=True)]
    return Equation(title, [f"{total.symbol} {sign} {total.substituted}", value], latex=latex)
