"""What units see, measured: the response to impulses and to shifts, and the support of gradients.

All of it runs on the narrowed net (as few channels as it can do with; the windows stay), in
float64, one axis at a time with the others as small as the net allows. Nothing here uses the
layers' ``reads`` or the recurrence; those make the claims.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnncalc.analysis.measuring import Resize, Source, enlarged, flattened, narrowed, source_name, sources
from cnncalc.analysis.receptive_field import GlobalField, LocalField, ScatteredField, Track
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Graph
from cnncalc.torch.gradient import gradient_rows
from cnncalc.torch.impulse import pixel_rows
from cnncalc.torch.running import Plan, threads
from cnncalc.torch.shift import shift_rows
from cnncalc.torch.view import View

CHECKS = ("pixels", "field", "jump")


def measured(graph: Graph, plan: Plan) -> Iterator[Row]:
    """Rows on what units see, for every layer and every spatial axis of every input.

    ``pixels``: at real size, for every unit of the feature map, exactly the pixels that reach it
    (borders and holes included), by impulses. ``field``: on an input large enough that nothing
    touches a border, size, jump and start from the support of the gradient at the input. ``jump``:
    the real layers with random weights, fed an input shifted by the jump, give a map shifted by a unit.
    """
    narrow = narrowed(graph)
    with threads(1):
        for source in sources(graph):
            yield from _along(graph, narrow, source, plan.resize or graph.rebuilt, plan)


def _along(graph: Graph, narrow: Graph, source: Source, at: Resize, plan: Plan) -> Iterator[Row]:
    name, checks = source_name(graph, source), plan.checks
    real = View(flattened(narrow, source, at) if checks & {"pixels", "field"} else narrow, source, name)
    if "pixels" in checks:
        plan.progress(f"pixels along {name}")
        yield from pixel_rows(real, plan)
    if "field" in checks and [node.layer for node in real.graph.nodes] == [node.layer for node in narrow.nodes]:
        yield from _size_rows(View(graph, source, name), real, plan)
    if not checks & {"field", "jump"}:
        return
    large = enlarged(narrow, source, at)
    view = real if large is None else View(large, source, name)
    if large is None and any(isinstance(track, LocalField) for track in View(narrow, source, name).tracks):
        yield Row("", f"field, {name}", "", "", note="the net takes no larger input: measured at real size alone")
    if "field" in checks:
        plan.progress(f"field along {name}")
        kinds = (GlobalField, ScatteredField) if large is None else (LocalField, GlobalField, ScatteredField)
        yield from gradient_rows(view, view.wanted(plan, kinds), plan.precise_device)
    if "jump" in checks and large is not None:
        plan.progress(f"jump along {name}")
        yield from shift_rows(view, view.wanted(plan, (LocalField,)), plan.precise_device)


def _size_rows(whole: View, small: View, plan: Plan) -> Iterator[Row]:
    """Where the whole net's field has another size than that of the net to be measured.

    Fewer channels and smaller other axes must change nothing along this one.
    """
    for node, claim, other in zip(whole.graph.nodes, whole.tracks, small.tracks, strict=True):
        sizes = (_size_of(claim), _size_of(other))
        if None not in sizes and sizes[0] != sizes[1] and plan.wants(node):
            yield compare(node.path, whole.check, f"size {sizes[0]}", f"size {sizes[1]} with fewer channels")


def _size_of(track: Track) -> int | None:
    return (
        rf.size(track.field)
        if isinstance(track, LocalField)
        else track.size
        if isinstance(track, ScatteredField)
        else None
    )
