"""A graph in Graphviz's language: ``dot -Tsvg net.dot -o net.svg``.

Source of the syntax: "DOT language" in Graphviz's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from cnncalc.convert.drawing import Box, Frame, draw
from cnncalc.graph import Graph


def render(graph: Graph, depth: int | None = None) -> str:
    """The graph as DOT; blocks are clusters, and those of ``depth`` parts are folded into one node."""
    drawing = draw(graph, depth)
    lines = [
        f"digraph {quoted(drawing.root.name)} {{",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        *_frame(drawing.root, drawing.boxes, "  ", count()),
        *(f"  n{a.source} -> n{a.target} [label={quoted(a.shape)}];" for a in drawing.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _frame(frame: Frame, boxes: list[Box], indent: str, numbers: count[int]) -> Iterator[str]:
    for part in frame.order:
        if isinstance(part, Frame):
            yield f"{indent}subgraph cluster_{next(numbers)} {{"
            yield f"{indent}  label={quoted(part.name)};"
            yield from _frame(part, boxes, indent + "  ", numbers)
            yield f"{indent}}}"
        else:
            yield f"{indent}n{part} [{_attributes(boxes[part])}];"


def _attributes(box: Box) -> str:
    told = [f"label={quoted(*box.lines)}"]
    if box.is_input:
        told.append("shape=ellipse")
    if box.is_block:
        told.append("fillcolor=lightgrey")
    if box.is_output:
        told.append("peripheries=2")
    return ", ".join(told)


def quoted(*lines: str) -> str:
    """Lines of text as a DOT string: a backslash or quotation mark in them means itself."""
    return '"' + r"\n".join(line.replace("\\", r"\\").replace('"', r"\"") for line in lines) + '"'
