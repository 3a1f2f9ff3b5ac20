"""The nets that come with cnncalc, with the numbers that tell them apart."""

from __future__ import annotations

from msgspec import Struct

from cnncalc import __version__, sources
from cnncalc.analysis.cost import costs
from cnncalc.report.columns import Column, human, shapes_text
from cnncalc.report.model import Generator, Shape


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


def models() -> Zoo:
    """Every shipped net; ``macs`` is null where a layer's number is unknown."""
    found = []
    for name, (path, variant) in sources.zoo_names().items():
        graph = sources.load(path, variant=variant)
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
                file=f"specs/{path.replace(chr(92), '/').rpartition('/')[2]}",
            )
        )
    return Zoo(1, Generator("cnncalc", __version__), tuple(found))


COLUMNS = (
    Column("name", "name", lambda model, _: model.name),
    Column("params", "parameters", lambda model, _: model.params, show=human, right=True),
    Column("macs", "MACs", lambda model, _: model.macs, show=human, right=True),
    Column("input", "input", lambda model, _: tuple(model.inputs.values()), show=shapes_text),
    Column("file", "file", lambda model, _: model.file, priority=1),
    Column("citation", "source", lambda model, _: model.citation, elastic=True),
)
"""The columns of the list."""
