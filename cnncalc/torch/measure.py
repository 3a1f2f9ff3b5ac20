"""Shapes, weights and FLOPs of every layer, measured by running it forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.analysis.cost import costs
from cnncalc.analysis.training import step_macs
from cnncalc.analysis.verdict import Row, compare
from cnncalc.formulas.cost import flops
from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.torch.module import Net, Step, as_claimed, example_inputs, module_of, or_refused, run_module
from cnncalc.torch.registry import build_layer

Wanted = Callable[[str], bool]
Progress = Callable[[str], None]

CHECKS = ("shape", "params", "buffers", "flops", "backward")


def measure_costs(
    graph: Graph,
    *,
    checks: frozenset[str],
    wanted: Wanted,
    progress: Progress,
    batch: int = 1,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[Row]:
    """Rows for every layer in ``wanted``: each is run once, and backwards on its own, and then let go.

    Inputs are detached, so that autograd keeps the tensors of one layer at a time; the work of all
    layers together is that of one forward and one backward pass of the net.
    """
    net = Net(graph, or_refused(module_of)).to(device=device, dtype=dtype).eval()
    claims = costs(graph, batch)
    training = step_macs(graph, batch)
    values = net.start(*example_inputs(graph, batch, device=device, dtype=dtype))
    # Whether a tensor depends on a weight is for PyTorch to say: the inputs do not, outputs as autograd finds.
    differentiable: dict[int, tuple[bool, ...]] = dict.fromkeys(values, (False,))
    totals = {"flops": [0, 0], "backward": [0, 0]}
    samples = graph.samples(batch)
    for step in net.steps:
        node = graph.nodes[step.number]
        progress(node.path)
        inputs = [
            values[ref.node][ref.port].detach().requires_grad_(differentiable[ref.node][ref.port])
            for ref in step.inputs
        ]
        forward, outputs = _forward(step.module, inputs)
        back, notes = 0, {"flops": "", "backward": ""}
        if isinstance(outputs, str):
            shape_row = Row(
                node.path, "shape", _shapes(node, samples[step.number]), "none", f"PyTorch refuses it: {outputs}"
            )
            yield from [shape_row] if wanted(node.path) else ()
        elif "backward" in checks:
            back = _backward(step.module, inputs, outputs)
        if isinstance(node.layer, (Conv, ConvTranspose)) and node.layer.groups > 1 and not isinstance(outputs, str):
            forward, back, notes = _as_groups(node.layer, inputs[0], forward, back, checks)
        like = inputs[0] if inputs else torch.zeros((1, 1), device=device, dtype=dtype)
        made = as_claimed(outputs, node, like)
        if isinstance(outputs, str):
            depends = any(t.requires_grad for t in [*inputs, *step.module.parameters()])
            differentiable[step.number] = (depends,) * len(made)
        else:
            differentiable[step.number] = tuple(out.requires_grad for out in made)
        values[step.number] = tuple(out.detach() for out in made)
        claimed = {"flops": _flops(claims[step.number].macs), "backward": _flops(training[step.number].backward)}
        measured = {"flops": forward, "backward": back}
        for check in ("flops", "backward"):
            totals[check][0] += claimed[check] or 0
            totals[check][1] += measured[check]
        if wanted(node.path):
            if "shape" in checks and not isinstance(outputs, str):
                found = " and ".join(describe(tuple(out.shape)) for out in outputs)
                yield compare(node.path, "shape", _shapes(node, samples[step.number]), found)
            yield from _weight_rows(node, step, checks, claims[step.number].params, claims[step.number].buffers)
            for check in ("flops", "backward"):
                if check in checks:
                    yield compare(node.path, check, claimed[check], measured[check], notes[check])
            of_weights = _flops(training[step.number].weight_gradient)
            if "backward" in checks and (of_weights or back) and any(True for _ in step.module.parameters()):
                yield compare(
                    node.path,
                    "backward, weights",
                    of_weights,
                    _weight_gradient(node, samples[step.number]),
                )
        del outputs, made
        for number in step.done:
            del values[number]
    yield from _totals(net, graph, checks, totals)


def _flops(macs: int | None) -> int | None:
    return None if macs is None else flops(macs)


def _forward(module: nn.Module, inputs: list[Tensor]) -> tuple[int, tuple[Tensor, ...] | str]:
    """FLOPs that PyTorch counts, and the outputs with what a backward pass will need (or why there are none)."""
    counter = FlopCounterMode(display=False)
    with torch.enable_grad(), counter:
        outputs = run_module(module, inputs)
    return counter.get_total_flops(), outputs


def _backward(module: nn.Module, inputs: list[Tensor], outputs: tuple[Tensor, ...]) -> int:
    """FLOPs that PyTorch counts in a backward pass to the inputs that want a gradient and to the weights."""
    sources = [tensor for tensor in [*inputs, *module.parameters()] if tensor.requires_grad]
    results = [out for out in outputs if out.requires_grad]
    if not sources or not results:
        return 0
    counter = FlopCounterMode(display=False)
    with counter:
        torch.autograd.grad(results, sources, [torch.ones_like(out) for out in results], allow_unused=True)
    return counter.get_total_flops()


def _weight_gradient(node: Node, batch: int) -> int:
    """FLOPs that PyTorch counts for the gradients of a layer's weights: those to all weights and inputs, less those
    to the inputs.

    The counter reads shapes alone, so the layer runs on the ``meta`` device; a grouped convolution as in
    :func:`_as_groups`.
    """
    layer, shapes, times = node.layer, node.input_shapes, 1
    assert layer is not None
    if isinstance(layer, (Conv, ConvTranspose)):
        times, shapes = layer.groups, tuple([(shape[0] // layer.groups, *shape[1:]) for shape in shapes])
        layer = replace(layer, out=layer.out // layer.groups, groups=1)
    counts = []
    for learns in (True, False):
        with torch.device("meta"):
            module = build_layer(layer, *shapes).eval().requires_grad_(learns)
            inputs = [torch.empty((batch, *shape), requires_grad=True) for shape in shapes]
        _, outputs = _forward(module, inputs)
        assert not isinstance(outputs, str)
        counts.append(_backward(module, inputs, outputs))
    return (counts[0] - counts[1]) * times


def _as_groups(
    layer: Conv | ConvTranspose, x: Tensor, forward: int, backward: int, checks: frozenset[str]
) -> tuple[int, int, dict[str, str]]:
    """A grouped convolution's FLOPs, counted on one of its groups and multiplied by their number.

    The groups are equal and independent, so that is what the whole takes. Up to torch 2.14
    ``torch.utils.flop_counter`` ignores groups in the gradient of a grouped convolution's weight;
    where it answers something else than the sum of the groups, the note says so. The counter reads
    shapes alone, so the group runs on the ``meta`` device, which computes no values.
    """
    channels = x.shape[1] // layer.groups
    with torch.device("meta"):
        one = build_layer(replace(layer, out=layer.out // layer.groups, groups=1), (channels, *x.shape[2:]))
        part = torch.empty((x.shape[0], channels, *x.shape[2:]), requires_grad=x.requires_grad)
    of_one, outputs = _forward(one, [part])
    assert not isinstance(outputs, str)
    back_of_one = _backward(one, [part], outputs) if "backward" in checks else 0
    true = {"flops": of_one * layer.groups, "backward": back_of_one * layer.groups}
    answered = {"flops": forward, "backward": backward}
    notes = {
        check: ""
        if true[check] == answered[check]
        else f"PyTorch's counter answers {answered[check]:,}: it ignores the {layer.groups} groups"
        for check in true
    }
    return true["flops"], true["backward"], notes


def _shapes(node: Node, batch: int) -> str:
    """The claimed shapes of a node's outputs, batch first."""
    return " and ".join(describe((batch, *shape)) for shape in node.output_shapes)


def _weight_rows(node: Node, step: Step, checks: frozenset[str], params: int, buffers: int) -> Iterator[Row]:
    """Names and shapes of a layer's tensors, and their counts; shared ones count where they were first used."""
    assert node.layer is not None
    declared = node.layer.weights(*node.input_shapes)
    for check, learnable, tensors, count in (
        ("params", True, step.module.named_parameters(), params),
        ("buffers", False, step.module.named_buffers(), buffers),
    ):
        if check not in checks:
            continue
        claimed = {weight.name: tuple(weight.shape) for weight in declared if weight.learnable is learnable}
        measured = {name: tuple(tensor.shape) for name, tensor in tensors}
        total = 0 if node.shared is not None else sum(map(prod, measured.values()))
        reason = ""
        if claimed != measured:
            reason = f"claimed {_tensors(claimed)}, measured {_tensors(measured)}"
        elif total != count:
            reason = f"claimed {count}, measured {total}"
        if claimed or measured or count:
            note = "shared: counted where first used" if node.shared is not None else ""
            yield Row(node.path, check, f"{count}: {_tensors(claimed)}", f"{total}: {_tensors(measured)}", reason, note)


def _tensors(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {describe(shape)}" for name, shape in sorted(shapes.items())) or "none"


def _totals(net: Net, graph: Graph, checks: frozenset[str], totals: dict[str, list[int]]) -> Iterator[Row]:
    claims = costs(graph)
    if "params" in checks:
        yield compare("", "params", sum(c.params for c in claims), sum(p.numel() for p in net.parameters()))
    if "buffers" in checks:
        yield compare("", "buffers", sum(c.buffers for c in claims), sum(b.numel() for b in net.buffers()))
    for check in ("flops", "backward"):
        if check in checks:
            claimed, measured = totals[check]
            yield compare("", check, claimed, measured)
