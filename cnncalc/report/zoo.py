"""The nets that come with cnncalc, with the numbers that tell them apart."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from cnncalc import __version__
from cnncalc.analysis.answer import Generator, Shape
from cnncalc.analysis.cost import costs
from cnncalc.document.column import Column, human
from cnncalc.graph import Graph
from cnncalc.report.words import shapes_text


class ZooModel(Struct, frozen=True):
    """One net: its name, totals for one sample, inputs, where it is from and the file that holds it."""

    name: str
    params: int
    macs: int | None
    inputs: dict[str, Shape]
    citation: str
    file: str


class Zoo(Struct, frozen=True):
    """All nets, in the order of their files."""

    schema_version: int
    generator: Generator
    models: tuple[ZooModel, ...]


def models(nets: Iterable[tuple[str, Graph]]) -> Zoo:
    """Nets by name; ``macs`` is null where a layer's number is unknown."""
    found = []
    for name, graph in nets:
        layers = costs(graph)
        macs = [layer.macs for layer in layers]
        known = [count for count in macs if count is not None]
        found.append(
            ZooModel(
                name=name,
                params=sum(layer.params for layer in layers),
                macs=sum(known) if len(known) == len(macs) else None,
                inputs=graph.inputs,
                citation=graph.citation,
                file=graph.source,
            )
        )
    return Zoo(1, Generator("cnncalc", __version__), tuple(found))


def first_source(citation: str) -> str:
    """The first of several sources: enough for a list."""
    return citation.partition(";")[0]


COLUMNS = (
    Column("name", "name", lambda model, _: model.name),
    Column("params", "parameters", lambda model, _: model.params, show=human, right=True),
    Column("macs", "MACs", lambda model, _: model.macs, show=human, right=True),
    Column("input", "input", lambda model, _: tuple(model.inputs.values()), show=shapes_text),
    Column("file", "file", lambda model, _: model.file, priority=1),
    Column("citation", "source", lambda model, _: model.citation, show=first_source, elastic=True),
)
"""The columns of the list."""
