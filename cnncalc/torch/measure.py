"""Shapes, weights and FLOPs of every layer, measured by running it forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.cost import Cost, costs
from cnncalc.analysis.training import step_macs
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Layer, Shapes
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.torch.module import Outputs, example_inputs
from cnncalc.torch.registry import build_layer
from cnncalc.torch.running import Plan, as_claimed, run_module, tried

CHECKS = ("shape", "params", "buffers", "flops", "backward")
PASSES = ("flops", "backward")


def measured(graph: Graph, plan: Plan) -> Iterator[Row]:
    """Rows for every layer: each is run once, and backwards on its own, and then let go.

    Outputs are detached, so that autograd keeps the tensors of one layer at a time; the work of all
    layers together is that of one forward and one backward pass of the net. Whether a tensor depends
    on a weight is for PyTorch to say: it wants a gradient where autograd finds that it does.
    """
    net = tried(graph).to(device=plan.device, dtype=plan.dtype).eval()
    claims, training, samples = costs(graph, plan.batch), step_macs(graph, plan.batch), graph.samples(plan.batch)
    values = net.start(*example_inputs(graph, plan.batch, device=plan.device, dtype=plan.dtype))
    totals = {check: [0, 0] for check in PASSES}
    for step, inputs in net.walk(values):
        node, module, batch = graph.nodes[step.number], step.module, samples[step.number]
        assert node.layer is not None
        plan.progress(node.path)
        cost, macs = claims[step.number], training[step.number]
        claimed = {"flops": _flops(cost.macs), "backward": _flops(macs.backward)}
        forward, outputs = _forward(module, inputs)
        found, notes = {"flops": forward, "backward": 0}, dict.fromkeys(PASSES, "")
        if not isinstance(outputs, str):
            if "backward" in plan.checks:
                found["backward"] = _backward(module, inputs, outputs)
            if _groups(node.layer) > 1:
                answered, found = found, _counted(node, len(inputs[0]), inputs[0].requires_grad)
                notes = {check: _about_groups(node.layer, answered[check], found[check]) for check in PASSES}
        made = as_claimed(
            outputs, node, inputs[0] if inputs else torch.zeros((1, 1), device=plan.device).to(plan.dtype)
        )
        depends = isinstance(outputs, str) and any(t.requires_grad for t in [*inputs, *module.parameters()])
        values[step.number] = tuple(out.detach().requires_grad_(out.requires_grad or depends) for out in made)
        for check in PASSES:
            totals[check][0] += claimed[check] or 0
            totals[check][1] += found[check]
        if plan.wants(node):
            if isinstance(outputs, str):
                yield Row(node.path, "shape", _shapes(node, batch), "none", f"PyTorch refuses it: {outputs}")
            elif "shape" in plan.checks:
                shapes = " and ".join(describe(tuple(out.shape)) for out in outputs)
                yield compare(node.path, "shape", _shapes(node, batch), shapes)
            yield from _weight_rows(node, module, plan.checks, cost)
            for check in PASSES:
                if check in plan.checks:
                    yield compare(node.path, check, claimed[check], found[check], notes[check])
            of_weights = _flops(macs.weight_gradient)
            if "backward" in plan.checks and (of_weights or found["backward"]) and [*module.parameters()]:
                # those to all weights and inputs, less those to the inputs
                both, one = (_counted(node, batch, True, learns)["backward"] for learns in (True, False))
                yield compare(node.path, "backward, weights", of_weights, both - one)
        del outputs, made, inputs
    for check, count, tensors in (
        ("params", sum(cost.params for cost in claims), net.parameters()),
        ("buffers", sum(cost.buffers for cost in claims), net.buffers()),
    ):
        if check in plan.checks:
            yield compare("", check, count, sum(tensor.numel() for tensor in tensors))
    for check in PASSES:
        if check in plan.checks:
            claim, sum_of_layers = totals[check]
            yield compare("", check, claim, sum_of_layers)


def _flops(macs: int | None) -> int | None:
    return None if macs is None else flops(macs)


def _groups(layer: Layer) -> int:
    return layer.groups if isinstance(layer, (Conv, ConvTranspose)) else 1


def _forward(module: nn.Module, inputs: list[Tensor]) -> tuple[int, Outputs | str]:
    """FLOPs that PyTorch counts, and the outputs with what a backward pass will need (or why there are none)."""
    counter = FlopCounterMode(display=False)
    with torch.enable_grad(), counter:
        outputs = run_module(module, inputs)
    return counter.get_total_flops(), outputs


def _backward(module: nn.Module, inputs: list[Tensor], outputs: Outputs) -> int:
    """FLOPs that PyTorch counts in a backward pass to the inputs that want a gradient and to the weights."""
    sources = [tensor for tensor in [*inputs, *module.parameters()] if tensor.requires_grad]
    results = [out for out in outputs if out.requires_grad]
    if not sources or not results:
        return 0
    counter = FlopCounterMode(display=False)
    with counter:
        torch.autograd.grad(results, sources, [torch.ones_like(out) for out in results], allow_unused=True)
    return counter.get_total_flops()


def _counted(node: Node, batch: int, inputs_learn: bool, weights_learn: bool = True) -> dict[str, int]:
    """FLOPs that PyTorch counts in both passes of a layer, by itself, for gradients of its inputs, its weights or both.

    The counter reads shapes alone, so the layer runs on the ``meta`` device, which computes no values. The groups
    of a convolution are equal and independent, so of one only a group is counted, and multiplied by their number:
    up to torch 2.14 ``torch.utils.flop_counter`` ignores groups in the gradient of a grouped convolution's weight.
    """
    layer, shapes = node.layer, node.input_shapes
    assert layer is not None
    groups = _groups(layer)
    if isinstance(layer, (Conv, ConvTranspose)):
        layer, shapes = replace(layer, out=layer.out // groups, groups=1), _group(shapes, groups)
    with torch.device("meta"):
        module = build_layer(layer, *shapes).eval().requires_grad_(weights_learn)
        inputs = [torch.empty((batch, *shape), requires_grad=inputs_learn) for shape in shapes]
    forward, outputs = _forward(module, inputs)
    assert not isinstance(outputs, str)
    return {"flops": forward * groups, "backward": _backward(module, inputs, outputs) * groups}


def _group(shapes: Shapes, groups: int) -> Shapes:
    return tuple((shape[0] // groups, *shape[1:]) for shape in shapes)


def _about_groups(layer: Layer, answered: int, true: int) -> str:
    """Where PyTorch's counter answers something else than the sum of the groups."""
    return "" if answered == true else f"PyTorch's counter answers {answered:,}: it ignores the {_groups(layer)} groups"


def _shapes(node: Node, batch: int) -> str:
    """The claimed shapes of a node's outputs, batch first."""
    return " and ".join(describe((batch, *shape)) for shape in node.output_shapes)


def _weight_rows(node: Node, module: nn.Module, checks: frozenset[str], cost: Cost) -> Iterator[Row]:
    """Names and shapes of a layer's tensors, and their counts; shared ones count where they were first used."""
    assert node.layer is not None
    declared = node.layer.weights(*node.input_shapes)
    for check, learnable, tensors, count in (
        ("params", True, module.named_parameters(), cost.params),
        ("buffers", False, module.named_buffers(), cost.buffers),
    ):
        if check not in checks:
            continue
        claimed = {weight.name: tuple(weight.shape) for weight in declared if weight.learnable is learnable}
        found = {name: tuple(tensor.shape) for name, tensor in tensors}
        total = 0 if node.shared is not None else sum(map(prod, found.values()))
        reason = ""
        if claimed != found:
            reason = f"claimed {_tensors(claimed)}, measured {_tensors(found)}"
        elif total != count:
            reason = f"claimed {count}, measured {total}"
        if claimed or found or count:
            note = "shared: counted where first used" if node.shared is not None else ""
            yield Row(node.path, check, f"{count}: {_tensors(claimed)}", f"{total}: {_tensors(found)}", reason, note)


def _tensors(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {describe(shape)}" for name, shape in sorted(shapes.items())) or "none"
