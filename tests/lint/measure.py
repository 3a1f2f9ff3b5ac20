"""What PyTorch measures of a spec: with weights of one every gradient is a number of paths."""

from __future__ import annotations

from typing import Any

import torch

from cnncalc.graph import Graph
from cnncalc.sources import load_text
from cnncalc.torch import build


def unit_net(graph: Graph) -> torch.nn.Module:
    """The net with every weight one and every bias zero, in double precision and in evaluation."""
    net = build(graph).double().eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)
    return net


def outputs_of_ones(text: str, **options: Any) -> torch.Tensor:
    """The output for an input of ones, without the batch."""
    graph = load_text(text, **options)
    (shape,) = graph.inputs.values()
    with torch.no_grad():
        return unit_net(graph)(torch.ones(1, *shape, dtype=torch.float64))[0]


def paths(text: str, unit: tuple[int, ...] | None = None, **options: Any) -> torch.Tensor:
    """How many paths lead from each input element to one output element (to all of them together)."""
    graph = load_text(text, **options)
    (shape,) = graph.inputs.values()
    x = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    out = unit_net(graph)(x)[0]
    (grad,) = torch.autograd.grad(out.sum() if unit is None else out[unit], x, allow_unused=True)
    return torch.zeros(shape) if grad is None else grad[0]


def line(text: str, unit: tuple[int, ...] | None = None, **options: Any) -> torch.Tensor:
    """The paths along the last axis of the input."""
    counts = paths(text, unit, **options)
    return counts.sum(dim=tuple(range(counts.dim() - 1)))


def centre(counts: torch.Tensor) -> float:
    """The mean place of the paths."""
    places = torch.arange(len(counts), dtype=counts.dtype)
    return float((counts * places).sum() / counts.sum())


def span(counts: torch.Tensor) -> int:
    """From the first pixel with a path to the last."""
    places = counts.nonzero().flatten().tolist()
    return places[-1] - places[0] + 1
