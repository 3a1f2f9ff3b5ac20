"""Graph to files for other tools: one module per format, each with ``render(graph) -> str``.

``cnncalc convert`` knows about a format only what :data:`WRITERS` says.
"""

from __future__ import annotations

from typing import NamedTuple


class Writer(NamedTuple):
    """A format: the module whose ``render`` writes it, whether that takes a ``depth``, and what it is."""

    module: str
    folds: bool
    help: str


WRITERS = {
    "yaml": Writer("cnncalc.convert.spec", False, "a spec, equal when it is loaded again"),
    "py": Writer("cnncalc.torch.source", False, "a PyTorch module"),
    "dot": Writer("cnncalc.convert.dot", True, "a graph for Graphviz"),
    "mmd": Writer("cnncalc.convert.mermaid", True, "a Mermaid flowchart"),
}
"""Every format by the ending of its files."""
