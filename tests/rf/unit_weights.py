"""A net in PyTorch whose weights are all 1, whose gradients are path counts; no part of it asks ``reads``.

Each layer is a linear map. Convolutions have weights of 1. Of everything else the stand-in that
``verify`` uses says by its gradient which inputs an output depends on; each of them counts once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnncalc.graph import Graph, Ref
from cnncalc.layers.base import Layer, Shape
from cnncalc.torch.module import Net
from cnncalc.torch.monotone import stand_in


class Once(nn.Module):
    """The sum of what each output of a linear module depends on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        given = tuple(one[0].detach() for one in inputs)
        jacobians = torch.autograd.functional.jacobian(
            lambda *ones: self.module(*[one[None] for one in ones])[0], given, vectorize=True
        )
        total = None
        for jacobian, one in zip(jacobians, inputs, strict=True):
            depends = (jacobian.abs() > 1e-9).to(one.dtype)
            part = torch.tensordot(depends, one[0], dims=one.dim() - 1)
            total = part if total is None else total + part
        return total[None]


def unit_module(layer: Layer, *shapes: Shape) -> nn.Module:
    module = stand_in(layer, *shapes)
    if any(parameter.dim() > 1 for parameter in module.parameters()):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(1 if parameter.dim() > 1 else 0)
        return module
    return module if isinstance(module, nn.Identity) else Once(module.double())


def gradients(graph: Graph, wanted: list[tuple[Ref, tuple[int, ...]]]) -> list[Tensor]:
    """For units at a place of a tensor, all channels together, the gradient over the input's spatial axes."""
    net = Net(graph, unit_module).double().eval()
    (shape,) = graph.inputs.values()
    x = torch.ones((1, *shape), dtype=torch.float64, requires_grad=True)
    values = net.start(x)
    for step in net.steps:
        inputs = [values[ref.node][ref.port] for ref in step.inputs]
        out = step.module(*inputs)
        values[step.number] = tuple(out) if isinstance(out, (list, tuple)) else (out,)
    found = []
    for ref, unit in wanted:
        loss = values[ref.node][ref.port][(0, slice(None), *unit)].sum()
        (gradient,) = torch.autograd.grad(loss, x, retain_graph=True, allow_unused=True)
        found.append(torch.zeros(shape[1:]) if gradient is None else gradient[0].sum(dim=0))
    return found
