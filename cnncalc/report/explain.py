"""Explanations of a net, gathered for every format: which layers, which formulas, and where these are from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc import __version__
from cnncalc.analysis.answer import Generator
from cnncalc.analysis.assemble import settings_of
from cnncalc.analysis.cost import Cost, costs
from cnncalc.analysis.explain.comparison import Comparison, comparisons
from cnncalc.analysis.explain.costs import Account, account
from cnncalc.analysis.explain.field import field_account
from cnncalc.analysis.explain.quantity import Quantity
from cnncalc.analysis.explain.symbols import spatial
from cnncalc.analysis.explain.traced import expression
from cnncalc.analysis.explain.tree import Const, Expr, Name, names_in
from cnncalc.analysis.memory.training import ELEMENT
from cnncalc.analysis.receptive_field import Result, receptive_fields
from cnncalc.errors import CnncalcError, unknown_name
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shapes
from cnncalc.report.notation import ATOM, Latex, Unicode, counted

TOTALS = ("params", "buffers", "macs", "flops", "elementwise_ops", "activations")
"""What is summed over the layers."""


class Entry(NamedTuple):
    """One formula: a quantity, or the like ones of several axes together, whose symbols are all here."""

    title: str
    symbols: tuple[str, ...]
    quantity: Quantity
    sources: tuple[int, ...]
    members: tuple[Quantity, ...]


class Versus(NamedTuple):
    """Another layer in the place of this one."""

    comparison: Comparison
    entries: tuple[Entry, ...]


class Part(NamedTuple):
    """One layer. ``like`` is an earlier one whose costs are explained alike; only its field is then explained here."""

    path: str
    kind: str
    node: Node
    settings: dict[str, Any]
    tensors: tuple[tuple[str, tuple[Expr, ...], bool], ...]
    variables: tuple[tuple[tuple[str, ...], Any], ...]
    entries: tuple[Entry, ...]
    zeros: tuple[Quantity, ...]
    field_variables: tuple[tuple[tuple[str, ...], Any], ...]
    field: tuple[Entry, ...]
    like: str | None
    versus: tuple[Versus, ...]


class Term(NamedTuple):
    """A block's (or a lone layer's) part of a total."""

    path: str
    layers: int
    value: int


class Total(NamedTuple):
    """One total with its terms, those of nothing left out; ``missing`` are layers whose number is unknown."""

    metric: str
    symbol: str
    value: int
    terms: tuple[Term, ...]
    missing: tuple[str, ...]


class Explanation(NamedTuple):
    """The whole answer to ``explain``."""

    graph: Graph
    title: str
    batch: int
    dtype: str
    parts: tuple[Part, ...]
    totals: tuple[Total, ...]
    symbols: dict[str, str]
    sources: tuple[str, ...]

    def to_text(self, width: int | None = None) -> str:
        """Plain text with Unicode."""
        from cnncalc.report.explain_text import render

        return render(self, width=width)

    def to_latex(self) -> str:
        """LaTeX for a document that uses ``amsmath``."""
        from cnncalc.report.explain_latex import render

        return render(self)

    def to_markdown(self) -> str:
        """Markdown with LaTeX formulas."""
        from cnncalc.report.explain_markdown import render

        return render(self)

    def to_json(self) -> str:
        """The JSON of schema version 1."""
        from cnncalc.document.json import render

        return render(report(self))

    def __str__(self) -> str:
        return self.to_text()


FIELD_SYMBOLS = {
    "R": "receptive field",
    "J": "jump, input pixels from one unit to the next",
    "start": "first input pixel that unit 0 sees",
}
"""What receptive fields are told with."""
INDICES = "an index in, 1, 2, … is that of the layer's inputs"

SYMBOLS = {
    "params": "params",
    "buffers": "buffers",
    "macs": "MACs",
    "flops": "FLOPs",
    "elementwise_ops": "ops",
    "activations": "acts",
}


def explain(
    graph: Graph,
    path: str | None = None,
    *,
    totals: Sequence[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    compare: bool | None = None,
) -> Explanation:
    """The formulas of a net, of one layer or block of it, or of its totals.

    Args:
        graph: the net.
        path: a layer, a block, or ``total`` for all totals; everything where not given.
        totals: names of totals; these are explained in the place of the layers.
        batch: samples in a batch.
        dtype: the type of the elements, for memory.
        compare: whether to show other layers in the place of each; by default where there is but one.

    Raises:
        CnncalcError: there is no such layer, total or type; the message has the nearest.
    """
    if dtype not in ELEMENT:
        raise _unknown("type", dtype, ELEMENT)
    if path == "total":
        path, totals = None, totals or TOTALS
    chosen = _chosen(graph, path)
    for metric in totals:
        if metric not in TOTALS:
            raise _unknown("total", metric, TOTALS)
    title = graph.name if path is None else f"{graph.name}, {path}"
    if totals:
        known = costs(graph, batch)
        found = tuple(_total(graph, metric, chosen, known, path) for metric in totals)
        return Explanation(graph, title, batch, dtype, (), found, {}, ())
    sources: dict[str, int] = {}
    symbols: dict[str, dict[str, None]] = {}
    wanted = len(chosen) == 1 if compare is None else compare
    parts = _parts(graph, chosen, batch, dtype, wanted, sources, symbols)
    meanings = {symbol: " or ".join(several) for symbol, several in symbols.items()} | FIELD_SYMBOLS
    return Explanation(graph, title, batch, dtype, parts, (), meanings, tuple(sources))


def _unknown(what: str, name: str, known: Iterable[str]) -> CnncalcError:
    names = list(known)
    return unknown_name(what, name, names, names)


def _chosen(graph: Graph, path: str | None) -> list[int]:
    """The numbers of the layers that are meant."""
    layers = [number for number, node in enumerate(graph.nodes) if node.layer is not None]
    if path is None:
        return layers
    chosen = [n for n in layers if graph.nodes[n].path == path or graph.nodes[n].path.startswith(f"{path}.")]
    if not chosen:
        paths = [graph.nodes[n].path for n in layers]
        blocks = {one[:i] for one in paths for i, c in enumerate(one) if c == "."}
        top = dict.fromkeys(one.partition(".")[0] for one in paths)
        raise unknown_name(f"layer of {graph.name or graph.source}", path, [*paths, *blocks, "total"], [*top, "total"])
    return chosen


# -- layers ----------------------------------------------------------------------------------------


def _parts(
    graph: Graph,
    chosen: list[int],
    batch: int,
    dtype: str,
    compare: bool,
    sources: dict[str, int],
    symbols: dict[str, dict[str, None]],
) -> tuple[Part, ...]:
    fields = receptive_fields(graph)
    accounts: dict[tuple[Layer, Shapes, bool, int], tuple[str, Account]] = {}
    samples = graph.samples(batch)
    seen: dict[Any, tuple[Quantity, ...]] = {}
    parts = []
    for number in chosen:
        node = graph.nodes[number]
        assert node.layer is not None
        key = (node.layer, node.input_shapes, node.shared is not None, samples[number])
        first = key not in accounts
        if first:
            made = account(*key[:2], batch=samples[number], dtype=dtype, shared=node.shared is not None)
            accounts[key] = node.path, made
            for symbol, meaning in made.trace.meanings.items():
                symbols.setdefault(symbol, {})[meaning] = None
        like, made = accounts[key]
        shown = (
            [one for one in made.quantities if one.expr is None or one.note or one.axis or one.value != 0]
            if first
            else []
        )
        zeros = tuple(one for one in made.quantities if one not in shown) if first else ()
        field = _field(graph, number, fields, made, seen)
        ranks = {axis.rank for axis in fields.axes}
        entries, about_field = _entries(shown, sources), _entries(field, sources, len(ranks) == 1 and max(ranks))
        defined = {symbol for entry in entries for symbol in entry.symbols}
        variables = _variables([one for entry in entries for one in entry.members], defined, made.trace.order)
        known = {symbol for symbols, _ in variables for symbol in symbols} | defined
        own = {symbol for entry in about_field for symbol in entry.symbols}
        parts.append(
            Part(
                path=node.path,
                kind=node.layer.kind,
                node=node,
                settings=settings_of(node.layer),
                tensors=tuple((w.name, _shape(w.shape), w.learnable) for w in made.tensors) if first else (),
                variables=variables,
                entries=entries,
                zeros=zeros,
                field_variables=_variables(
                    [one for entry in about_field for one in entry.members], own | known, made.trace.order
                ),
                field=about_field,
                like=None if first else like,
                versus=_versus(made, sources) if compare else (),
            )
        )
    return tuple(parts)


def _field(
    graph: Graph, number: int, fields: Result, made: Account, seen: dict[Any, tuple[Quantity, ...]]
) -> tuple[Quantity, ...]:
    """The field of a node; equal layers on equal fields have equal explanations."""
    node = graph.nodes[number]
    key = (node.layer, node.input_shapes, tuple(fields.of(ref).tracks for ref in node.inputs))
    if key not in seen:
        seen[key] = field_account(graph, number, fields, made)
    return seen[key]


def _shape(shape: tuple[int, ...]) -> tuple[Expr, ...]:
    return tuple(map(expression, shape))


GENERAL, NUMBERS = Unicode(general=True), Unicode(numbers=True)


def _entries(quantities: Iterable[Quantity], sources: dict[str, int], rank: int = 0) -> tuple[Entry, ...]:
    """The quantities, those of several axes that read alike as one; all ``rank`` axes go without names."""
    groups: dict[Any, list[Quantity]] = {}
    for one in quantities:
        key: Any = one.name
        if one.axis:
            formula = None if one.expr is None else (GENERAL.write(one.expr), NUMBERS.write(one.expr))
            stem = one.title.removesuffix(one.axis)
            key = (stem, one.axis.rpartition(", ")[0], spatial(one.symbol), one.note, formula)
        groups.setdefault(key, []).append(one)
    return tuple(_entry(group, sources, len(group) == rank) for group in groups.values())


def _entry(group: list[Quantity], sources: dict[str, int], all_axes: bool) -> Entry:
    first = group[0]
    title = first.title
    if len(group) > 1:
        axes = [one.axis.rpartition(", ")[2] for one in group]
        stem = title.removesuffix(axes[0])
        title = stem.removesuffix(", ") if all_axes else f"{stem}{', '.join(axes[:-1])} and {axes[-1]}"
    cited = [sources.setdefault(text, len(sources) + 1) for text in first.sources] if first.expr is not None else []
    return Entry(title, tuple(dict.fromkeys(one.symbol for one in group)), first, tuple(cited), tuple(group))


def _variables(
    quantities: Iterable[Quantity], defined: set[str], order: dict[str, int]
) -> tuple[tuple[tuple[str, ...], Any], ...]:
    """The given names in these formulas with their values, those of several axes together."""
    names = names_in(*(one.expr for one in quantities if one.expr is not None))
    grouped: dict[Any, list[str]] = {}
    for symbol, name in sorted(names.items(), key=lambda pair: order.get(pair[0], len(order))):
        if symbol not in defined:
            grouped.setdefault((name.general, name.value), []).append(symbol)
    return tuple((tuple(symbols), value) for (_, value), symbols in grouped.items())


def _versus(made: Account, sources: dict[str, int]) -> tuple[Versus, ...]:
    return tuple(Versus(one, _entries(one.quantities, sources)) for one in comparisons(made))


# -- totals ----------------------------------------------------------------------------------------


def _total(graph: Graph, metric: str, chosen: list[int], known: list[Cost], path: str | None) -> Total:
    """The sum of one count, over the blocks at the top (or at the top of the block that is meant)."""
    depth = 1 if path is None else path.count(".") + 2
    groups: dict[str, list[int | None]] = {}
    for number in chosen:
        cost = known[number]
        value = cost.macs if metric == "flops" else getattr(cost, metric)
        if metric == "flops" and value is not None:
            value = flops(value)
        groups.setdefault(".".join(graph.nodes[number].path.split(".")[:depth]), []).append(value)
    terms = [Term(name, len(values), sum(v for v in values if v)) for name, values in groups.items()]
    missing = [
        graph.nodes[n].path
        for n in chosen
        if (known[n].macs if metric == "flops" else getattr(known[n], metric)) is None
    ]
    shown = tuple(term for term in terms if term.value)
    return Total(metric, SYMBOLS[metric], sum(term.value for term in terms), shown, tuple(missing))


# -- the JSON --------------------------------------------------------------------------------------


class QuantityReport(Struct, frozen=True):
    """One formula. ``formula`` has the symbols, ``substituted`` the numbers in their place; ``value`` is the result,
    a text where it is a fraction, null where ``note`` says why there is none. ``sources`` count from 1.
    """

    name: str
    title: str
    symbol: str
    formula: str | None
    substituted: str | None
    latex: str | None
    latex_substituted: str | None
    value: int | str | None
    note: str
    sources: tuple[int, ...]


class ComparisonReport(Struct, frozen=True):
    """Another layer (or several) in the place of one; ``ratio`` is what it costs in units of that."""

    name: str
    quantities: tuple[QuantityReport, ...]


class LayerExplanation(Struct, frozen=True):
    """One layer: the symbols that are given, and the formulas. ``like`` is a layer whose formulas for all but the
    receptive field are these too.
    """

    path: str
    type: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    variables: dict[str, int | str]
    quantities: tuple[QuantityReport, ...]
    like: str | UnsetType = UNSET
    comparisons: tuple[ComparisonReport, ...] | UnsetType = UNSET


class TermReport(Struct, frozen=True):
    """A part of a total: a block or a layer, how many layers it is, and their sum."""

    path: str
    layers: int
    value: int


class TotalReport(Struct, frozen=True):
    """A total with its terms; ``missing`` are layers whose number is unknown, and the total is then a lower bound."""

    metric: str
    symbol: str
    value: int
    substituted: str
    terms: tuple[TermReport, ...]
    missing: tuple[str, ...] = ()


class ExplainReport(Struct, frozen=True):
    """The whole answer to ``explain``; a quantity's ``sources`` are numbers in the list of them, from 1."""

    schema_version: int
    generator: Generator
    name: str
    source: str
    batch: int
    dtype: str
    layers: tuple[LayerExplanation, ...]
    totals: tuple[TotalReport, ...]
    symbols: dict[str, str]
    sources: tuple[str, ...]


def report(found: Explanation) -> ExplainReport:
    """The explanation as its JSON."""
    return ExplainReport(
        schema_version=1,
        generator=Generator("cnncalc", __version__),
        name=found.graph.name,
        source=found.graph.source,
        batch=found.batch,
        dtype=found.dtype,
        layers=tuple(map(_layer, found.parts)),
        totals=tuple(
            TotalReport(
                one.metric,
                one.symbol,
                one.value,
                terms_text(one),
                tuple(TermReport(*term) for term in one.terms),
                one.missing,
            )
            for one in found.totals
        ),
        symbols=found.symbols,
        sources=found.sources,
    )


def terms_text(total: Total) -> str:
    """The terms of a total as a sum."""
    return " + ".join(str(term.value) for term in total.terms) or "0"


def _layer(part: Part) -> LayerExplanation:
    written = [_reported(one, entry.sources) for entry in part.entries for one in entry.members]
    written += [_reported(one, ()) for one in part.zeros]
    written += [_reported(one, entry.sources) for entry in part.field for one in entry.members]
    everything = [one for entry in (*part.entries, *part.field) for one in entry.members]
    others = [_versus_report(one) for one in part.versus]
    names = names_in(*(one.expr for one in everything if one.expr is not None))
    results = {one.symbol for one in everything}
    return LayerExplanation(
        path=part.path,
        type=part.kind,
        input_shapes=part.node.input_shapes,
        output_shapes=part.node.output_shapes,
        variables={symbol: exact(name.value) for symbol, name in names.items() if symbol not in results},
        quantities=tuple(written),
        like=UNSET if part.like is None else part.like,
        comparisons=tuple(others) if others else UNSET,
    )


def _versus_report(one: Versus) -> ComparisonReport:
    return ComparisonReport(
        one.comparison.title,
        tuple(_reported(member, entry.sources) for entry in one.entries for member in entry.members),
    )


def exact(value: Any) -> int | str:
    """A number for the JSON: a fraction as a text."""
    return str(value) if isinstance(value, Fraction) and value.denominator > 1 else int(value)


SYMBOLIC = Unicode()
TEX, TEX_NUMBERS = Latex(), Latex(numbers=True)


def _reported(one: Quantity, sources: tuple[int, ...]) -> QuantityReport:
    expr = one.expr
    return QuantityReport(
        name=one.name,
        title=one.title,
        symbol=one.symbol,
        formula=None if expr is None else SYMBOLIC.write(expr),
        substituted=None if expr is None else NUMBERS.write(expr),
        latex=None if expr is None else TEX.write(expr),
        latex_substituted=None if expr is None else TEX_NUMBERS.write(expr),
        value=None if expr is None else exact(expr.value),
        note=one.note,
        sources=sources,
    )


# -- what the formats of a person share ------------------------------------------------------------


def chain(entry: Entry, *, latex: bool = False) -> list[str]:
    """The symbols, the formula, the formula with the numbers, and the result; what would only repeat is left out."""
    symbolic, numbers = (TEX, TEX_NUMBERS) if latex else (SYMBOLIC, NUMBERS)
    expr = entry.quantity.expr
    assert expr is not None
    left = " = ".join(symbolic.symbol(symbol) for symbol in entry.symbols)
    steps = [left]
    if not isinstance(expr, Const) and not (isinstance(expr, Name) and expr.symbol in entry.symbols):
        steps.append(symbolic.write(expr))
        if not isinstance(expr, Name):
            steps.append(numbers.write(expr))
    result = counted(expr.value, latex=latex)
    plain = counted(expr.value, latex=latex, parted=False)
    return [*dict.fromkeys(step for step in steps if step not in (plain, result)), result]


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


def variables_text(variables: Iterable[tuple[tuple[str, ...], Any]], *, latex: bool = False) -> list[str]:
    """``H = W = 224`` for each of the names that are given."""
    symbolic = TEX if latex else SYMBOLIC
    return [
        " = ".join([*(symbolic.symbol(symbol) for symbol in symbols), counted(value, latex=latex)])
        for symbols, value in variables
    ]
