"""The page of ``cnncalc layers``: the layers of the spec language, a family, or one layer."""

from __future__ import annotations

from collections.abc import Iterator

from cnncalc.analysis.layers import LayerInfo, LayersReport
from cnncalc.document.blocks import Block, Document, Group, Heading, Table, Text, Verbatim
from cnncalc.document.column import Column
from cnncalc.report.words import shapes_text

MOST_IN_FULL = 1
"""Layers that are shown with all their fields; more are a list."""


def _fields(layer: LayerInfo, _: object) -> str:
    return ", ".join(field.name if field.default is None else f"{field.name}={field.default}" for field in layer.fields)


LIST = (
    Column("layer", at="name", help="the layer's name"),
    Column("fields", value=_fields, help="its fields, with their defaults", elastic=True),
    Column("torch", "torch.nn", help="PyTorch's class", priority=1),
    Column("aliases", "also", lambda layer, _: ", ".join(layer.aliases), "other names", priority=2, elastic=True),
)
"""The columns of a list of layers."""

FIELDS = (
    Column("field", at="name"),
    Column("takes", elastic=True),
    Column("default", "default", lambda field, _: "required" if field.default is None else field.default),
    Column("aliases", "also", lambda field, _: ", ".join(field.aliases), priority=1),
)
"""The columns of the table of one layer's fields."""


def document(report: LayersReport) -> Document:
    """One layer in full, one family as a list, or all families with their layers' names."""
    rows = Table(LIST, report.layers)
    families = list(dict.fromkeys(layer.family for layer in report.layers))
    if len(report.layers) <= MOST_IN_FULL:
        blocks = list(_one(report.layers[0]))
    elif len(families) == 1:
        blocks = [Heading(families[0], 1), rows, Text("cnncalc layers NAME shows one with its formulas and an example")]
    else:
        blocks = [
            Heading(f"{len(report.layers)} layers in {len(families)} families", 1),
            Group(
                [
                    Text(", ".join(one.name for one in report.layers if one.family == name), lead=f"{name:<16}")
                    for name in families
                ]
            ),
            Text("cnncalc layers FAMILY lists the fields of its layers, cnncalc layers NAME shows one layer"),
        ]
    return Document(report, blocks, rows)


def _one(layer: LayerInfo) -> Iterator[Block]:
    yield Heading(layer.name, 1)
    yield Text(layer.summary)
    least, most = layer.inputs
    inputs = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
    facts = [("inputs", inputs), ("torch.nn", layer.torch), ("also written", ", ".join(layer.aliases))]
    yield Group([Text(text, lead=f"{name:<14}") for name, text in facts if text])
    if layer.fields:
        yield Table(FIELDS, layer.fields)
    if layer.formulas:
        widest = max(len(one.name) for one in layer.formulas)
        yield Group([Text(one.formula, lead=f"{one.name:<{widest}}  ") for one in layer.formulas])
    if layer.example is not None:
        before, after = layer.example.input_shapes, layer.example.output_shapes
        became = f"{shapes_text(before)} → {shapes_text(after)}" if before else shapes_text(after)
        yield Group([Verbatim(layer.example.text, "yaml"), Text(f"gives {became}")])
