"""Oddities of a net: an input in another layout, layers whose output is never used."""

from __future__ import annotations

from collections.abc import Iterator

from cnncalc.analysis.report import Diagnostic
from cnncalc.graph import Graph
from cnncalc.layers.axes import axis_name, describe
from cnncalc.layers.base import Shape

MOST_CHANNELS = 4
"""Channels of an image: grey, colour, with transparency."""
LEAST_SIZE = 8
"""The least size along an axis to be taken for an image."""


def remarks(graph: Graph) -> list[Diagnostic]:
    """All remarks on a net; most nets have none."""
    found = list(_inputs(graph))
    unused = graph.unused()
    inputs = tuple(node.path for node in unused if node.layer is None)
    layers = tuple(node.path for node in unused if node.layer is not None)
    if inputs:
        found.append(Diagnostic("unused-input", "warning", "no output of the net depends on an input", inputs))
    if layers:
        message = "layers whose output is never used: the totals count them all the same"
        found.append(Diagnostic("unused-layer", "warning", message, layers))
    return found


def _inputs(graph: Graph) -> Iterator[Diagnostic]:
    for name, shape in graph.inputs.items():
        own = graph.replaced.get(name)
        meant = likely(shape, own)
        if meant is None and (own is None or len(own) == len(shape)):
            continue
        rank = len(shape) - 1
        read = [
            f"{shape[0]} channel{'s' if shape[0] > 1 else ''}",
            *(f"{axis_name(axis, rank)} {shape[axis + 1]}" for axis in range(rank)),
        ]
        message = f"the input {describe(shape)} was read as {', '.join(read)}"
        message += f", where the source has {describe(own)}" if own is not None else ""
        message += f"; was {describe(meant)} meant?" if meant is not None else ""
        yield Diagnostic("input-shape", "warning", message, (name,))


def likely(shape: Shape, own: Shape | None = None) -> Shape | None:
    """The shape that was probably meant: without a batch in front, with channels first, or with channels.

    Args:
        shape: channels, then the spatial sizes, as read.
        own: the shape that the source itself has, where this one was given in its place.
    """
    if own is not None and len(own) == len(shape) + 1 and len(shape) > 1:
        return (own[0], *shape)
    if len(shape) == 4 and (len(own) == 3 if own is not None else shape[0] == 1 and _is_image(shape[1:])):
        return shape[1:]
    first = (shape[-1], *shape[:-1])
    if own is not None and len(own) == len(shape):
        return first if len(shape) > 1 and shape[-1] == own[0] < min(shape[:-1]) else None
    return first if _is_image(first) and min(shape[:-1]) > MOST_CHANNELS else None


def _is_image(shape: Shape) -> bool:
    """Whether it has an image's few channels before sizes of an image."""
    return len(shape) > 2 and shape[0] <= MOST_CHANNELS and min(shape[1:]) >= LEAST_SIZE
