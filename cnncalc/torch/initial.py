"""How weights are to start, against ``torch.nn.init``, the kinds of PyTorch's modules and its cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

import torch
from torch import nn

from cnncalc.analysis.initialisation import initialisation, loss_at_start, smoothed_loss_floor
from cnncalc.analysis.verdict import Row, compare
from cnncalc.graph import Graph
from cnncalc.torch.module import Net
from cnncalc.torch.running import Plan, tried

CHECKS = ("init",)
SMOOTHING = 0.1


def measured(graph: Graph, plan: Plan) -> Iterator[Row]:
    """Rows for the fans of every layer, the split of the parameters by weight decay, and the losses of a classifier.

    The modules are made on the ``meta`` device: their shapes are enough.
    """
    plan.progress("initialisation")
    with torch.device("meta"):
        net = tried(graph)
    parts = initialisation(graph)
    modules = {step.number: step.module for step in net.steps}
    for number, (node, part) in enumerate(zip(graph.nodes, parts, strict=True)):
        if part.fan_in is not None and plan.wants(node):
            claimed = f"fan-in {part.fan_in}, fan-out {part.fan_out}"
            yield compare(node.path, "init", claimed, _fans(modules[number]))
    claimed = f"{sum(part.decayed for part in parts)} decayed, {sum(part.not_decayed for part in parts)} not"
    yield compare("", "init", claimed, _split(net))
    for name, ref in graph.outputs:
        shape = graph.shape(ref)
        if shape and shape[0] > 1:
            yield _losses(name, shape[0])


def _fans(module: nn.Module) -> str:
    """Of the first parameter that has any, as PyTorch's initialisers take them."""
    weight = next(parameter for parameter in module.parameters() if parameter.dim() > 1)
    n_in, n_out = nn.init._calculate_fan_in_and_fan_out(weight)
    return f"fan-in {n_in}, fan-out {n_out}"


def _split(net: Net) -> str:
    """Parameters that multiply the inputs of a product, and biases and what scales or shifts."""
    decayed = total = 0
    for owner in net.modules():
        norm = "Norm" in type(owner).__name__ or "Scale" in type(owner).__name__
        for name, parameter in owner.named_parameters(recurse=False):
            total += parameter.numel()
            decayed += parameter.numel() if not norm and "bias" not in name and parameter.dim() > 1 else 0
    return f"{decayed} decayed, {total - decayed} not"


def _losses(name: str, classes: int) -> Row:
    """Of equal logits, and of the logits that the smoothed target is the softmax of."""
    label = torch.zeros(1, dtype=torch.long)
    target = torch.full((1, classes), SMOOTHING / classes, dtype=torch.float64)
    target[0, 0] += 1 - SMOOTHING
    start = float(nn.functional.cross_entropy(torch.zeros_like(target), label))
    floor = float(nn.functional.cross_entropy(target.log(), label, label_smoothing=SMOOTHING))
    claimed = (loss_at_start(classes), smoothed_loss_floor(classes, SMOOTHING))
    said, found = (f"{name}: loss {one:.6f}, at least {least:.6f}" for one, least in (claimed, (start, floor)))
    equal = isclose(claimed[0], start, rel_tol=1e-9) and isclose(claimed[1], floor, rel_tol=1e-9)
    return Row("", "init", said, found, "" if equal else f"claimed {said}, measured {found}")
