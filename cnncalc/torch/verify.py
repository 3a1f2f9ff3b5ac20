"""Every claim about a graph against what PyTorch does: all checks together."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from cnncalc.analysis.measuring import Resize
from cnncalc.analysis.traffic import BYTES
from cnncalc.analysis.verdict import Row, Verdict, verdict
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.layers.tensor import Opaque
from cnncalc.torch import field, initial, measure, memory, original, room, values
from cnncalc.torch.capture import Captured
from cnncalc.torch.running import Plan, Progress, usable

SOURCE_CHECKS = original.CHECKS
"""Of nets that were captured from a module, with that module."""
PARTS = (measure, initial, memory, field, values)
"""What makes some of the checks: ``CHECKS``, and ``measured(graph, plan)``, which gives their rows."""
CHECKS = tuple(check for part in PARTS for check in part.CHECKS)


@room.said_so()
def verify(
    graph: Graph,
    *,
    batch: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
    layers: str = "*",
    checks: Iterable[str] = CHECKS,
    resize: Resize | None = None,
    progress: Progress = lambda what: None,
    module: tuple[Captured, nn.Module] | None = None,
) -> Verdict:
    """Claims beside measurements for every layer whose path matches ``layers`` (a shell pattern).

    Args:
        graph: the net.
        batch: samples per batch for shapes and FLOPs.
        device: where PyTorch runs, e.g. ``cpu``, ``cuda``, ``mps``.
        dtype: of the pass that measures shapes and FLOPs; fields are always measured in float64.
        layers: which layers get rows; all are run.
        checks: which of ``CHECKS`` to make, and of ``SOURCE_CHECKS`` where there is a ``module``.
        resize: the net for other input shapes, where the graph alone does not tell.
        progress: called with what is being measured.
        module: what was captured of a module, whose graph this is, and the module itself with its values: as
            ``(capture(module, (3, 224, 224)), module)``. It is left as it was.

    Raises:
        CnncalcError: no such device or dtype, a layer that PyTorch cannot build.
    """
    plan = Plan(frozenset(checks), layers, batch, device, usable(device, dtype), resize, progress)
    if not any(map(plan.wants, graph.nodes)):
        raise CnncalcError(f"error: no layer matches '{layers}'\n  hint: 'cnncalc analyze' lists the layers' paths")
    remarks = [f"PyTorch {torch.__version__} on {device}, {dtype}, batch {batch}"]
    of_source: list[Row] = []
    if module is not None and plan.checks & {*SOURCE_CHECKS} and layers == "*":
        of_source += original.measure_source(original.Original(*module), progress=progress)
        remarks.append(
            f"source: the module and the net of its graph in evaluation mode on the CPU, {original.SAMPLES} samples; "
            "some weights drawn at random or scaled, so that none hides a layer"
        )
        if plan.checks <= {*SOURCE_CHECKS}:
            return verdict(of_source, [f"PyTorch {torch.__version__}", *remarks[1:]])
    unknown = [node for node in graph.nodes if isinstance(node.layer, Opaque)]
    if unknown:
        raise CnncalcError(
            f"the net cannot be run: {unknown[0].path} is an operator without a layer here"
            f" ({len(unknown)} in total)\n  hint: 'cnncalc analyze' says which"
        )
    check_room(graph, plan.checks, batch, dtype, device)
    rows = [row for part in PARTS if plan.checks & {*part.CHECKS} for row in part.measured(graph, plan)]
    if plan.checks & {*field.CHECKS, *values.CHECKS}:
        channels = max((*node.output_shape, 1)[0] for node in graph.narrowed().nodes)
        remarks.append(f"what units see and the values: on the net with at most {channels} channels, in float64")
    return verdict([*rows, *of_source], remarks)


def check_room(graph: Graph, checks: frozenset[str], batch: int, dtype: str, device: str) -> None:
    """Checks that the measurement fits into memory.

    Raises:
        CnncalcError: it does not.
    """
    if checks & {*measure.CHECKS, *initial.CHECKS, *memory.CHECKS}:
        room.check_net(graph, batch, BYTES[dtype], device)
    if checks & {*field.CHECKS, *values.CHECKS}:
        room.check_net(graph.narrowed(), 1, BYTES["float64"], device)
    longest = max((size for shape in graph.inputs.values() for size in shape[1:]), default=0)
    if checks & {*field.CHECKS}:  # one bit for each pixel up to the unit's own
        room.check(longest**2 // 16, f"what each of {longest:,} units sees", "cpu")
