"""The values themselves: each layer of the narrowed net in PyTorch and by the equations in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from cnncalc.analysis.verdict import Row
from cnncalc.graph import Graph, Node
from cnncalc.reference import evaluate_layer
from cnncalc.torch.running import Plan, precise, relative_difference, run_module, threads

CHECKS = ("values",)
BATCH = 2
"""Two samples: norms of the batch's own statistics have more than one value then."""
CANCELLED = 1e-4
"""An output so much smaller than its input is what is left of terms that cancel: rounding is relative to those."""
TOLERANCE = 1e-9
"""Largest difference, relative to the largest value of a layer's output; both sides are float64."""


def measured(graph: Graph, plan: Plan) -> Iterator[Row]:
    """A row for every layer: the same input and weights through PyTorch and through NumPy.

    Each layer gets inputs of its own, normally distributed: what is left of a net that dies or cancels
    on the way would prove little.
    """
    plan.progress("values")
    narrow = graph.narrowed()
    torch.manual_seed(0)
    net = precise(narrow, plan.precise_device)
    generator = torch.Generator().manual_seed(1)
    known: dict[tuple[object, ...], Row] = {}
    with torch.no_grad(), threads(1):
        for step in net.steps:
            node = narrow.nodes[step.number]
            key = (node.layer, node.input_shapes)
            if not plan.wants(node):
                continue
            # what was compared on this shape already need not be computed again
            if key not in known:
                drawn = [torch.randn((BATCH, *shape), generator=generator) for shape in node.input_shapes]
                inputs = [x.to(device=plan.precise_device, dtype=torch.float64) for x in drawn]
                known[key] = _compared(node, step.module, inputs)
            yield replace(known[key], layer=node.path)


def _compared(node: Node, module: nn.Module, inputs: list[Tensor]) -> Row:
    """One layer, on the same inputs and weights."""
    assert node.layer is not None
    outputs = run_module(module, inputs)
    if isinstance(outputs, str):
        return Row(node.path, "values", "the equations", "none", f"PyTorch refuses it: {outputs}")
    weights = {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}
    theirs = evaluate_layer(node.layer, weights, *(x.cpu().numpy() for x in inputs))
    both = zip(outputs, theirs if isinstance(theirs, tuple) else (theirs,), strict=True)
    largest = max((float(x.abs().max()) for x in inputs), default=0.0)
    return _row(node.path, [(ours, torch.as_tensor(other)) for ours, other in both], largest)


def _row(path: str, pairs: list[tuple[Tensor, Tensor]], largest: float) -> Row:
    worst = 0.0
    for ours, theirs in pairs:
        mine = ours.cpu()
        if mine.shape != theirs.shape:
            reason = f"PyTorch gives {tuple(mine.shape)}, NumPy {tuple(theirs.shape)}"
            return Row(path, "values", "the equations", "PyTorch", reason)
        worst = max(worst, relative_difference(theirs, mine, CANCELLED * largest))
    reason = "" if worst <= TOLERANCE else f"PyTorch and the equations differ by {worst:.1e} of the largest value"
    return Row(path, "values", f"within {TOLERANCE:.0e}", f"{worst:.1e}", reason)
