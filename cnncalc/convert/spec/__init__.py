"""A graph written down as a spec: with blocks, repeats, residuals and branches, and equal when it is loaded again."""

from __future__ import annotations

from cnncalc.graph import Graph


def render(graph: Graph) -> str:
    """The text of a spec that loads back to an equal graph.

    Raises:
        CnncalcError: the language cannot say the net.
    """
    from cnncalc.convert.spec.writing import to_spec

    return to_spec(graph)
