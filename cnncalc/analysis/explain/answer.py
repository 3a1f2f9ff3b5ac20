"""The answer to ``explain``: which layers, which formulas with which numbers, and where these are from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from importlib import import_module
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.answer import Answer, Shape, Shown
from cnncalc.analysis.cost import Cost, costs
from cnncalc.analysis.explain.comparison import comparisons
from cnncalc.analysis.explain.costs import Account, account
from cnncalc.analysis.explain.field import field_account
from cnncalc.analysis.explain.notation import Latex, Unicode
from cnncalc.analysis.explain.quantity import Quantity
from cnncalc.analysis.explain.symbols import spatial
from cnncalc.analysis.explain.traced import Trace, expression
from cnncalc.analysis.explain.tree import Expr, names_in
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.memory.training import ELEMENT
from cnncalc.analysis.receptive_field import receptive_fields
from cnncalc.errors import CnncalcError, unknown_name
from cnncalc.graph import Graph, Node
from cnncalc.layers.base import Layer, Shapes

Variables = tuple[tuple[tuple[str, ...], Any], ...]
"""Symbols that have the same value, and that, for each value that is given."""


class Entry(NamedTuple):
    """One formula: a quantity, or the like ones of several axes together, whose symbols are all here."""

    title: str
    symbols: tuple[str, ...]
    quantity: Quantity
    sources: tuple[int, ...]
    members: tuple[Quantity, ...]


class Versus(NamedTuple):
    """Another layer in the place of this one."""

    title: str
    entries: tuple[Entry, ...]


class Part(NamedTuple):
    """One layer. ``like`` is an earlier one whose costs are explained alike; only its field is then explained here."""

    path: str
    kind: str
    node: Node
    tensors: tuple[tuple[str, tuple[Expr, ...], bool], ...]
    entries: tuple[Entry, ...]
    zeros: tuple[Quantity, ...]
    field: tuple[Entry, ...]
    like: str | None
    versus: tuple[Versus, ...]
    trace: Trace


class Term(Struct, frozen=True):
    """A part of a total: a block or a layer, how many layers it is, and their sum."""

    path: str
    layers: int
    value: int


class Total(Struct, frozen=True):
    """A total with its terms, those of nothing left out; ``missing`` are layers whose number is unknown, and the total
    is then a lower bound.
    """

    metric: str
    symbol: str
    value: int
    substituted: str
    terms: tuple[Term, ...]
    missing: tuple[str, ...] = ()


class Explanation(Shown, frozen=True):
    """The whole answer to ``explain``; ``print`` it, or take its LaTeX, Markdown or JSON."""

    graph: Graph
    title: str
    batch: int
    dtype: str
    costs: dict[str, Cost]
    parts: tuple[Part, ...]
    totals: tuple[Total, ...]
    symbols: dict[str, str]
    sources: tuple[str, ...]
    compare: bool

    def to_latex(self) -> str:
        """LaTeX for a document that uses ``amsmath``."""
        text: str = import_module("cnncalc.report.explain_latex").render(self)
        return text

    def to_dict(self) -> dict[str, Any]:
        return report(self).to_dict()

    def to_json(self, *, indent: int = 2) -> str:
        return report(self).to_json(indent=indent)


FIELD_SYMBOLS = {
    "R": "receptive field",
    "J": "jump, input pixels from one unit to the next",
    "start": "first input pixel that unit 0 sees",
}
"""What receptive fields are told with."""
INDICES = "an index in, 1, 2, … is that of the layer's inputs"

SYMBOLS = dict(zip(COUNTS, ("params", "buffers", "MACs", "FLOPs", "ops", "acts"), strict=True))
"""What is summed over the layers, and its symbol."""


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
        path: a layer, a block, a pattern of them, or ``total`` for all totals; everything where not given.
        totals: names of totals; these are explained in the place of the layers.
        batch: samples in a batch.
        dtype: the type of the elements, for memory.
        compare: whether to compare each layer with others in its place. By default the JSON of a single layer does,
            and its page does not.

    Raises:
        CnncalcError: there is no such layer, total or type; the message has the nearest.
    """
    if dtype not in ELEMENT:
        raise _unknown("type", dtype, ELEMENT)
    if path == "total":
        path, totals = None, totals or COUNTS
    chosen = _chosen(graph, path)
    for metric in totals:
        if metric not in COUNTS:
            raise _unknown("total", metric, COUNTS)
    title = graph.name if path is None else f"{graph.name}, {path}"
    known = costs(graph, batch)
    parts: tuple[Part, ...] = ()
    meanings: dict[str, str] = {}
    sources: dict[str, int] = {}
    if not totals:
        symbols: dict[str, dict[str, None]] = {}
        wanted = len(chosen) == 1 if compare is None else compare
        parts = _parts(graph, chosen, batch, dtype, wanted, sources, symbols)
        meanings = {symbol: " or ".join(several) for symbol, several in symbols.items()} | FIELD_SYMBOLS
    return Explanation(
        graph=graph,
        title=title,
        batch=batch,
        dtype=dtype,
        costs={graph.nodes[number].path: known[number] for number in chosen},
        parts=parts,
        totals=tuple(_total(graph, metric, chosen, known, path) for metric in totals),
        symbols=meanings,
        sources=tuple(sources),
        compare=bool(compare),
    )


def _unknown(what: str, name: str, known: Iterable[str]) -> CnncalcError:
    names = list(known)
    return unknown_name(what, name, names, names)


def _chosen(graph: Graph, path: str | None) -> list[int]:
    """The numbers of the layers that are meant: of a layer, of a block, or of all whose path fits a pattern."""
    layers = [number for number, node in enumerate(graph.nodes) if node.layer is not None]
    if path is None:
        return layers
    chosen = [n for n in layers if any(fnmatchcase(one, path) for one in _prefixes(graph.nodes[n].path))]
    if not chosen:
        paths = dict.fromkeys(one for n in layers for one in _prefixes(graph.nodes[n].path))
        top = [one for one in paths if "." not in one]
        raise unknown_name(f"layer of {graph.name or graph.source}", path, [*paths, "total"], [*top, "total"])
    return chosen


def _prefixes(path: str) -> list[str]:
    """A layer's path and those of the blocks around it."""
    return [*(path[:i] for i, c in enumerate(path) if c == "."), path]


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
    ranks = {axis.rank for axis in fields.axes}
    accounts: dict[tuple[Layer, Shapes, bool, int], tuple[str, Account, Account]] = {}
    samples = graph.samples(batch)
    seen: dict[Any, tuple[Quantity, ...]] = {}
    parts = []
    for number in chosen:
        node = graph.nodes[number]
        assert node.layer is not None
        shared = node.shared is not None
        key = (node.layer, node.input_shapes, shared, samples[number])
        first = key not in accounts
        if first:
            made, whole = (
                account(*key[:2], batch=samples[number], dtype=dtype, shared=shared, general=general)
                for general in (False, True)
            )
            accounts[key] = node.path, made, whole
            for symbol, meaning in made.trace.meanings.items():
                symbols.setdefault(symbol, {})[meaning] = None
        like, made, whole = accounts[key]
        quantities = _with_general(made.quantities, whole.quantities) if first else ()
        shown = [one for one in quantities if one.expr is None or one.note or one.axis or one.value != 0]
        entries = _entries(shown, sources)
        field_key = (node.layer, node.input_shapes, tuple(fields.of(ref).tracks for ref in node.inputs))
        if field_key not in seen:  # equal layers on equal fields have equal explanations
            both = (field_account(graph, number, fields, one) for one in (made, whole))
            seen[field_key] = _with_general(*both)
        parts.append(
            Part(
                path=node.path,
                kind=node.layer.kind,
                node=node,
                tensors=tuple((w.name, _shape(w.shape), w.learnable) for w in made.tensors) if first else (),
                entries=entries,
                zeros=tuple(one for one in quantities if one not in shown),
                field=_entries(seen[field_key], sources, len(ranks) == 1 and max(ranks)),
                like=None if first else like,
                versus=_versus(made, sources) if compare else (),
                trace=whole.trace,
            )
        )
    return tuple(parts)


def _with_general(quantities: Sequence[Quantity], general: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """The quantities, each with the formula that holds for all settings of its layer."""
    return tuple(one._replace(general=whole.expr) for one, whole in zip(quantities, general, strict=True))


def _shape(shape: Shape) -> tuple[Expr, ...]:
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
            symbol = spatial(one.symbol.removesuffix(f",{one.axis[0]}"))
            key = (stem, one.axis.rpartition(", ")[0], symbol, one.note, formula)
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


def variables(part: Part, entries: Iterable[Entry], defined: Iterable[str] = ()) -> Variables:
    """The given names in these formulas with their values, those of several axes together; not those that have been
    ``defined``.
    """
    members = [one for entry in entries for one in entry.members]
    names = names_in(*(expr for one in members for expr in (one.expr, one.general) if expr is not None))
    without = {one.symbol for one in members} | set(defined)
    order = part.trace.order
    grouped: dict[Any, list[str]] = {}
    for symbol, name in sorted(names.items(), key=lambda pair: order.get(pair[0], len(order))):
        if symbol not in without:
            grouped.setdefault((name.general, name.value), []).append(symbol)
    return tuple((tuple(symbols), value) for (_, value), symbols in grouped.items())


def _versus(made: Account, sources: dict[str, int]) -> tuple[Versus, ...]:
    return tuple(Versus(title, _entries(quantities, sources)) for title, quantities in comparisons(made))


# -- totals ----------------------------------------------------------------------------------------


def _total(graph: Graph, metric: str, chosen: list[int], known: list[Cost], path: str | None) -> Total:
    """The sum of one count, over the blocks at the top (or at the top of the block that is meant)."""
    depth = 1 if path is None else path.count(".") + 2
    groups: dict[str, list[int | None]] = {}
    for number in chosen:
        block = ".".join(graph.nodes[number].path.split(".")[:depth])
        groups.setdefault(block, []).append(getattr(known[number], metric))
    terms = [Term(name, len(values), sum(filter(None, values))) for name, values in groups.items()]
    shown = tuple(term for term in terms if term.value)
    return Total(
        metric=metric,
        symbol=SYMBOLS[metric],
        value=sum(term.value for term in terms),
        substituted=" + ".join(str(term.value) for term in shown) or "0",
        terms=shown,
        missing=tuple(graph.nodes[number].path for number in chosen if getattr(known[number], metric) is None),
    )


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
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    variables: dict[str, int | str]
    quantities: tuple[QuantityReport, ...]
    like: str | UnsetType = UNSET
    comparisons: tuple[ComparisonReport, ...] | UnsetType = UNSET


class ExplainReport(Answer, frozen=True, kw_only=True):
    """The whole answer to ``explain``; a quantity's ``sources`` are numbers in the list of them, from 1."""

    name: str
    source: str
    batch: int
    dtype: str
    layers: tuple[LayerExplanation, ...]
    totals: tuple[Total, ...]
    symbols: dict[str, str]
    sources: tuple[str, ...]


def report(found: Explanation) -> ExplainReport:
    """The explanation as its JSON."""
    return ExplainReport(
        name=found.graph.name,
        source=found.graph.source,
        batch=found.batch,
        dtype=found.dtype,
        layers=tuple(map(_layer, found.parts)),
        totals=found.totals,
        symbols=found.symbols,
        sources=found.sources,
    )


def _layer(part: Part) -> LayerExplanation:
    shown = [*part.entries, *part.field]
    everything = [one for entry in shown for one in entry.members]
    names = names_in(*(one.expr for one in everything if one.expr is not None))
    results = {one.symbol for one in everything}
    others = tuple(ComparisonReport(one.title, _reported(one.entries)) for one in part.versus)
    zeros = (_quantity(one, ()) for one in part.zeros)
    return LayerExplanation(
        path=part.path,
        type=part.kind,
        input_shapes=part.node.input_shapes,
        output_shapes=part.node.output_shapes,
        variables={symbol: exact(name.value) for symbol, name in names.items() if symbol not in results},
        quantities=(*_reported(part.entries), *zeros, *_reported(part.field)),
        like=UNSET if part.like is None else part.like,
        comparisons=others or UNSET,
    )


def exact(value: Any) -> int | str:
    """A number for the JSON: a fraction as a text."""
    return str(value) if isinstance(value, Fraction) and value.denominator > 1 else int(value)


SYMBOLIC = Unicode()
TEX, TEX_NUMBERS = Latex(), Latex(numbers=True)


def _reported(entries: Iterable[Entry]) -> tuple[QuantityReport, ...]:
    return tuple(_quantity(one, entry.sources) for entry in entries for one in entry.members)


def _quantity(one: Quantity, sources: tuple[int, ...]) -> QuantityReport:
    notations = (SYMBOLIC, NUMBERS, TEX, TEX_NUMBERS)
    plain, numbers, latex, latex_numbers = (None if one.expr is None else n.write(one.expr) for n in notations)
    value = None if one.value is None else exact(one.value)
    return QuantityReport(
        one.name, one.title, one.symbol, plain, numbers, latex, latex_numbers, value, one.note, sources
    )
