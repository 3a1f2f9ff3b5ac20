"""A graph as a Mermaid flowchart, which GitHub and many editors draw within Markdown.

Source of the syntax: "Flowcharts - Basic Syntax" in Mermaid's documentation (entity codes among it).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from cnncalc.convert.drawing import Box, Frame, draw
from cnncalc.graph import Graph

MARKUP = frozenset('"#&<>`\\*;')
"""What a Mermaid label would not show as it is."""


def render(graph: Graph, depth: int | None = None) -> str:
    """The graph as a flowchart; blocks are subgraphs, and those of ``depth`` parts are folded into one node."""
    drawing = draw(graph, depth)
    lines = [
        "flowchart TB",
        *_frame(drawing.root, drawing.boxes, "  ", count()),
        *(f"  n{a.source} -->|{quoted(a.shape)}| n{a.target}" for a in drawing.arrows),
    ]
    return "\n".join(lines) + "\n"


def _frame(frame: Frame, boxes: list[Box], indent: str, numbers: count[int]) -> Iterator[str]:
    for part in frame.order:
        if isinstance(part, Frame):
            yield f"{indent}subgraph s{next(numbers)}[{quoted(part.name)}]"
            yield from _frame(part, boxes, indent + "  ", numbers)
            yield f"{indent}end"
        else:
            yield f"{indent}n{part}{_shaped(boxes[part])}"


def _shaped(box: Box) -> str:
    """The text within the brackets of its shape: a stadium for inputs, a subroutine for folded blocks, a circle's
    edges for results.
    """
    text = quoted(*box.lines)
    if box.is_input:
        return f"([{text}])"
    if box.is_block:
        return f"[[{text}]]"
    return f"({text})" if box.is_output else f"[{text}]"


def quoted(*lines: str) -> str:
    """Lines of text as a Mermaid string: what is markup in it is written as entity codes."""
    return '"' + "<br/>".join("".join(_character(c) for c in line) for line in lines) + '"'


def _character(character: str) -> str:
    return f"#{ord(character)};" if character in MARKUP else character
