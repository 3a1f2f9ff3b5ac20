"""The nets that come with cnncalc, with the numbers that tell them apart: the answer of ``cnncalc zoo list``."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from cnncalc.analysis.answer import Answer, Shape
from cnncalc.analysis.cost import costs
from cnncalc.analysis.fold import total
from cnncalc.graph import Graph


class ZooModel(Struct, frozen=True):
    """One net: its name, totals for one sample, inputs, where it is from and the file that holds it."""

    name: str
    params: int
    macs: int | None
    inputs: dict[str, Shape]
    citation: str
    file: str


class Zoo(Answer, frozen=True, kw_only=True):
    """All nets, in the order of their files."""

    models: tuple[ZooModel, ...]


def models(nets: Iterable[tuple[str, Graph]]) -> Zoo:
    """Nets by name; ``macs`` is null where a layer's number is unknown."""
    found = []
    for name, graph in nets:
        layers = costs(graph)
        params, macs = sum(layer.params for layer in layers), total([layer.macs for layer in layers])
        found.append(ZooModel(name, params, macs, graph.inputs, graph.citation, graph.source))
    return Zoo(models=tuple(found))
