"""The values themselves: each layer of the narrowed net in PyTorch and by the equations in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from msgspec.structs import replace
from torch import Tensor

from cnncalc.analysis.verdict import Row
from cnncalc.graph import Graph
from cnncalc.reference import evaluate_layer
from cnncalc.torch.module import Net, as_claimed, example_inputs, module_of, or_refused, relative_difference, run_module

CHECKS = ("values",)
BATCH = 2
"""Two samples: norms of the batch's own statistics have more than one value then."""
CANCELLED = 1e-4
"""An output so much smaller than its input is what is left of terms that cancel: rounding is relative to those."""
TOLERANCE = 1e-9
"""Largest difference, relative to the largest value of a layer's output; both sides are float64."""


def measure_values(
    graph: Graph, *, wanted: Callable[[str], bool], progress: Callable[[str], None], device: str = "cpu"
) -> Iterator[Row]:
    """A row for every layer in ``wanted``: the same input and weights through PyTorch and through NumPy."""
    progress("values")
    narrow = graph.narrowed()
    torch.manual_seed(0)
    net = Net(narrow, or_refused(module_of)).to(device=device, dtype=torch.float64).eval()
    tensors = net.start(*example_inputs(narrow, BATCH, device=device, dtype=torch.float64))
    known: dict[tuple[object, ...], Row] = {}
    with torch.no_grad():
        for step in net.steps:
            node = narrow.nodes[step.number]
            assert node.layer is not None
            inputs = [tensors[ref.node][ref.port] for ref in step.inputs]
            outputs = run_module(step.module, inputs)
            # each layer by itself: NaNs and infinities of one are none of the next one's
            tensors[step.number] = tuple(out.nan_to_num() for out in as_claimed(outputs, node, inputs[0]))
            key = (node.layer, node.input_shapes)
            # what was compared on this shape already need not be computed again
            if isinstance(outputs, str):
                known[key] = Row(node.path, "values", "the equations", "none", f"PyTorch refuses it: {outputs}")
            if wanted(node.path) and key not in known and not isinstance(outputs, str):
                weights = {name: t.cpu().numpy() for name, t in step.module.state_dict().items()}
                theirs = evaluate_layer(node.layer, weights, *(x.cpu().numpy() for x in inputs))
                both = zip(outputs, theirs if isinstance(theirs, tuple) else (theirs,), strict=True)
                largest = max(float(x.abs().max()) for x in inputs)
                known[key] = _row(node.path, [(ours, torch.as_tensor(other)) for ours, other in both], largest)
            if wanted(node.path):
                yield replace(known[key], layer=node.path)
            for number in step.done:
                del tensors[number]


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
