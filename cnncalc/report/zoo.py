"""The page of ``cnncalc zoo list``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from msgspec.structs import replace

from cnncalc.analysis.answer import Shape
from cnncalc.analysis.zoo import Zoo, ZooModel
from cnncalc.document.blocks import Branch, Document, Table
from cnncalc.document.column import Column, count, human
from cnncalc.report.words import shapes_text


def first_source(citation: str) -> str:
    """The first of several sources: enough for a list."""
    return citation.partition(";")[0]


def _span(value: int | tuple[int, int] | None) -> str:
    """A count, or of a family from the least to the greatest."""
    if not isinstance(value, tuple):
        return human(value)
    least, most = map(human, value)
    return least if least == most else f"{least} … {most}"


COLUMNS = (
    Column("name", path=True),
    count("params", "parameters", show=_span, priority=1),
    count("macs", "MACs", show=_span, priority=2),
    Column("input", value=lambda model, _: tuple(model.inputs.values()), show=shapes_text, priority=3),
    Column("file", priority=5),
    Column("citation", "source", show=first_source, priority=4, elastic=True),
)
"""The columns of the list."""


class Family(NamedTuple):
    """The nets of one file as one row; an input only where they have the same."""

    name: str
    params: tuple[int, int]
    macs: tuple[int, int] | None
    inputs: dict[str, Shape]
    citation: str
    file: str


def document(zoo: Zoo, rows: Sequence[ZooModel] | None = None) -> Document:
    """All nets as families, or these rows."""
    listed = Table(
        COLUMNS,
        zoo.models if rows is None else rows,
        tree=(lambda depth: _families(zoo.models, depth)) if rows is None else None,
        levels=2,
        folded=f"{len(zoo.models)} nets: --all shows each, cnncalc zoo NAME the spec of one",
    )
    answer = zoo if rows is None else replace(zoo, models=tuple(rows))
    return Document(answer, [listed])


def _families(models: Sequence[ZooModel], depth: int) -> list[Branch]:
    """The nets below their files."""
    files: dict[str, list[ZooModel]] = {}
    for model in models:
        files.setdefault(model.file, []).append(model)
    branches = []
    for file, nets in files.items():
        if len(nets) == 1:
            branches.append(Branch(0, nets[0].name, nets[0]))
            continue
        name = f"{PurePath(file).stem} ({len(nets)} nets)"
        params, macs = [net.params for net in nets], [net.macs for net in nets if net.macs is not None]
        inputs = nets[0].inputs if all(net.inputs == nets[0].inputs for net in nets) else {}
        span = (min(macs), max(macs)) if len(macs) == len(nets) else None
        family = Family(name, (min(params), max(params)), span, inputs, nets[0].citation, file)
        branches.append(Branch(0, name, family, open=depth > 1))
        branches += [Branch(1, net.name, net) for net in nets if depth > 1]
    return branches
