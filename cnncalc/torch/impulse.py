"""Which pixels reach which units, borders and holes included: the response to impulses at real size."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from cnncalc.analysis.exact_field import Along, Pixels, Sight
from cnncalc.analysis.pixels import pixel_row
from cnncalc.analysis.verdict import Row
from cnncalc.torch.module import Outputs
from cnncalc.torch.monotone import stand_in
from cnncalc.torch.running import Plan, precise
from cnncalc.torch.view import View, run_step

IMPULSE_ELEMENTS = 1 << 22
"""Elements of one batch of impulses: bounds the memory of the largest feature map."""


def pixel_rows(view: View, plan: Plan) -> Iterator[Row]:
    """For every wanted layer, the pixels that reach each unit."""
    response = impulse_response(view, plan.precise_device)
    for node, claim, found in zip(view.graph.nodes, view.sights, response, strict=True):
        if plan.wants(node) and found is None:
            yield Row(node.path, f"pixels, {view.name}", "some", "none", "PyTorch refuses the layer")
        elif plan.wants(node) and found is not None:
            yield pixel_row(node.path, view.name, claim, [_bits(units) for units in found.T])


def impulse_response(view: View, device: str) -> list[Tensor | None]:
    """For every node a boolean tensor ``[pixels, units]``: whether the impulse at a pixel reaches a unit; ``None``
    for the inputs, and where PyTorch refuses the node.

    The units lie along the axis that the claim is about; without one the whole tensor is one unit for each of its
    elements. An impulse fills one plane across the axis. After each layer what it reached is set to 1, so
    that neither depth nor width makes anything vanish.
    """
    net, (_, position, axis) = precise(view.graph, device, stand_in), view.source
    at_once = max(1, IMPULSE_ELEMENTS // max(prod(node.output_shape) for node in view.graph.nodes))
    parts: list[list[Tensor]] = [[] for _ in view.sights]
    with torch.no_grad():
        for pixels in torch.arange(view.pixels).split(at_once):
            inputs = [torch.zeros((len(pixels), *shape), dtype=torch.float64, device=device) for shape in view.inputs]
            inputs[position].movedim(axis + 2, 1)[range(len(pixels)), pixels] = 1
            values = net.start(*inputs)
            for step, given in net.walk(values):
                outputs, made = run_step(net, step, given, len(pixels))
                values[step.number] = tuple((out != 0).to(torch.float64) for out in made)
                if outputs:
                    parts[step.number].append(_reached(outputs, view.sights[step.number]))
    return [torch.cat(rows) if rows else None for rows in parts]


def _reached(outputs: Outputs, claim: Sight) -> Tensor:
    """``[pixels, units]`` from outputs ``[pixels, *shape]``: reached anywhere across the units' axis."""
    axis = claim.axis + 1 if isinstance(claim, Along) else None
    if axis is None or any(axis >= out.dim() for out in outputs):
        return torch.cat([out.reshape(len(out), -1) for out in outputs], dim=1) != 0
    along = ((out != 0).movedim(axis, 1) for out in outputs)
    return torch.stack([reached.reshape(*reached.shape[:2], -1).any(dim=2) for reached in along]).any(dim=0)


def _bits(units: Tensor) -> Pixels:
    """The set of pixels where a boolean column is true."""
    text = "".join("1" if reached else "0" for reached in reversed(units.tolist()))
    return int(text, 2) if text else 0
