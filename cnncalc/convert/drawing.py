"""What a picture of a graph shows, whatever draws it: boxes in frames, and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Layer
from cnncalc.layers.fields import settings_of
from cnncalc.text import visible


class Box(NamedTuple):
    """A layer, an input of the net, or a folded block: its lines of text, and what it is."""

    lines: tuple[str, ...]
    is_input: bool = False
    is_output: bool = False
    is_block: bool = False


class Frame:
    """A block that is not folded, with the boxes and frames in it by their order; the net itself is one."""

    __slots__ = ("boxes", "frames", "name", "order")

    def __init__(self, name: str) -> None:
        self.name = name
        self.boxes: list[int] = []
        self.frames: dict[str, Frame] = {}
        self.order: list[int | Frame] = []


class Arrow(NamedTuple):
    """A tensor from box ``source`` to box ``target``, with its shape."""

    source: int
    target: int
    shape: str


class Drawing(NamedTuple):
    """A whole picture."""

    boxes: list[Box]
    root: Frame
    arrows: list[Arrow]


def draw(graph: Graph, depth: int | None = None) -> Drawing:
    """The picture of a graph; a block whose path has ``depth`` parts is one box, all within it folded.

    A tensor that stays within a folded block is not shown; one that several layers of it read is one arrow.
    """
    root = Frame(visible(graph.name or graph.source))
    at: dict[str, int] = {}
    members: list[list[Node]] = []
    box_of: list[int] = []
    for node in graph.nodes:
        parts = node.path.split(".")
        folded = node.layer is not None and depth is not None and len(parts) > depth
        path = ".".join(parts[:depth]) if folded else node.path
        key = path if node.layer is not None else f"input {path}"
        if key not in at:
            at[key] = len(members)
            members.append([])
            _put(root, path.split("."), at[key])
        members[at[key]].append(node)
        box_of.append(at[key])
    results = {box_of[ref.node] for _, ref in graph.outputs}
    paths = {number: key.removeprefix("input ") for key, number in at.items()}
    boxes = [_box(paths[number], nodes, number in results) for number, nodes in enumerate(members)]
    return Drawing(boxes, root, list(_arrows(graph, box_of, boxes)))


def _put(root: Frame, parts: list[str], number: int) -> None:
    """A box into the frames of its path."""
    frame = root
    for part in parts[:-1]:
        if part not in frame.frames:
            frame.frames[part] = Frame(visible(part))
            frame.order.append(frame.frames[part])
        frame = frame.frames[part]
    frame.boxes.append(number)
    frame.order.append(number)


def _box(path: str, nodes: list[Node], is_output: bool) -> Box:
    """The text of a box: the last part of its path (the frames say the rest), what it is, its main settings."""
    name = visible(path.rpartition(".")[2])
    first = nodes[0]
    if first.layer is None:
        return Box((name, describe(first.output_shape)), is_input=True, is_output=is_output)
    if len(nodes) > 1 or first.path != path:
        count = f"{len(nodes)} layer{'s' if len(nodes) > 1 else ''}"
        return Box((name, count), is_output=is_output, is_block=True)
    told = settings(first.layer)
    title = first.kind if not told else f"{first.kind} {told}"
    return Box((name, visible(title)), is_output=is_output)


def settings(layer: Layer) -> str:
    """The fields of a layer that differ from their defaults, as a spec has them."""
    return " ".join(f"{name}={_value(value)}" for name, value in settings_of(layer).items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(map(_value, value))}]"
    return str(value)


def _arrows(graph: Graph, box_of: list[int], boxes: list[Box]) -> Iterator[Arrow]:
    seen = set()
    for number, node in enumerate(graph.nodes):
        target = box_of[number]
        for ref in node.inputs:
            source = box_of[ref.node]
            if boxes[target].is_block:
                if source == target or (ref, target) in seen:
                    continue
                seen.add((ref, target))
            yield Arrow(source, target, describe(graph.shape(ref)))
