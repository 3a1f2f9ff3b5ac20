"""The page of ``cnncalc zoo list``."""

from __future__ import annotations

from cnncalc.analysis.zoo import Zoo
from cnncalc.document.blocks import Document, Table
from cnncalc.document.column import Column, human
from cnncalc.report.words import shapes_text


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


def document(zoo: Zoo) -> Document:
    """All nets."""
    return Document(zoo, [Table(COLUMNS, zoo.models)])
