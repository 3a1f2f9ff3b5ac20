"""Shapes and receptive fields of every layer, measured by running the net in NumPy, where PyTorch is absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch

import numpy as np

from cnncalc.analysis.exact_field import Along, Pixels, Sight, exact_fields
from cnncalc.analysis.measuring import Resize, Source, flattened, narrowed, source_name, sources
from cnncalc.analysis.pixels import pixel_row
from cnncalc.analysis.verdict import Row, Verdict, compare, verdict
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.layers.axes import describe
from cnncalc.reference.array import Mask
from cnncalc.reference.execution import run
from cnncalc.reference.support import Seen, dependency

CHECKS = ("shape", "pixels")


def verify(
    graph: Graph,
    *,
    layers: str = "*",
    checks: Iterable[str] = CHECKS,
    resize: Resize | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Verdict:
    """Claimed shapes and pixels beside what the equations give, on the net with as few channels as it can do with.

    Args:
        graph: the net.
        layers: which layers get rows, as a shell pattern of their paths.
        checks: which of ``CHECKS`` to make.
        resize: the net for other input shapes, where the graph alone does not tell.
        progress: called with what is being measured.

    Raises:
        CnncalcError: no layer matches, or one cannot be evaluated.
    """
    chosen = frozenset(checks)
    wanted = frozenset(n for n, node in enumerate(graph.nodes) if node.layer is not None and fnmatch(node.path, layers))
    if not wanted:
        raise CnncalcError(f"error: no layer matches '{layers}'\n  hint: 'cnncalc analyze' lists the layers' paths")
    narrow = narrowed(graph)
    rows: list[Row] = []
    if "shape" in chosen:
        progress("shapes")
        rows += _shape_rows(narrow, wanted)
    if "pixels" in chosen:
        for source in sources(narrow):
            name = source_name(graph, source)
            progress(f"pixels along {name}")
            rows += _pixel_rows(flattened(narrow, source, resize or graph.rebuilt), source, name, wanted)
    channels = max((*node.output_shape, 1)[0] for node in narrow.nodes)
    return verdict(rows, [f"NumPy {np.__version__}, float64, on the net with at most {channels} channels"])


def _shape_rows(graph: Graph, wanted: frozenset[int]) -> Iterator[Row]:
    inputs = {name: np.ones((1, *shape)) for name, shape in graph.inputs.items()}
    for number, outputs in enumerate(run(graph, inputs)):
        if number in wanted:
            node = graph.nodes[number]
            claimed = " and ".join(describe((1, *shape)) for shape in node.output_shapes)
            yield compare(node.path, "shape", claimed, " and ".join(describe(out.shape) for out in outputs))


def _pixel_rows(graph: Graph, source: Source, name: str, wanted: frozenset[int]) -> Iterator[Row]:
    claims = exact_fields(graph, source.node, source.axis)
    measured = dependency(graph, source.axis, input=graph.nodes[source.node].path)
    for number in sorted(wanted):
        yield pixel_row(graph.nodes[number].path, name, claims[number], _units(claims[number], measured[number]))


def _units(claim: Sight, outputs: tuple[Seen, ...]) -> list[Pixels]:
    """The measured pixels of each unit along the claim's axis, over all outputs; without one, of each channel."""
    axis = claim.axis if isinstance(claim, Along) else 0
    matrices = [seen[axis] for seen in outputs]
    united = np.logical_or.reduce(matrices) if isinstance(claim, Along) else np.concatenate(matrices)
    return [_bits(row) for row in united]


def _bits(row: Mask) -> Pixels:
    """The set of pixels where a boolean row is true."""
    return int("".join("1" if reached else "0" for reached in row[::-1]) or "0", 2)
