"""PyTorch as the oracle of a single layer: everything the class claims, against what PyTorch does.

``check_layer`` builds the layer and measures it. ``agree`` compares only what is accepted and which
shape comes out, but against a call of PyTorch that is written in the test from the raw fields, so
that neither our normal form nor our checks stand between.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.errors import LayerError
from cnncalc.formulas.receptive_field import taps_of
from cnncalc.layers.base import Layer, Read, Shape, Shapes
from cnncalc.torch import build_layer

torch.set_num_threads(1)  # the tensors are tiny, and test runs are parallel already

REJECTIONS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, ZeroDivisionError)
"""What PyTorch raises for fields or inputs that it does not take."""


def tensors(value: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One output or several, as a tuple."""
    return (value,) if isinstance(value, Tensor) else tuple(value)


def prepare(module: nn.Module) -> nn.Module:
    """Evaluation mode, float64, every parameter positive: nothing that is read can cancel."""
    module = module.eval().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.5)
    return module


def draw(shape: Shape, batch: int) -> Tensor:
    """A positive input."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand((batch, *shape), generator=generator, dtype=torch.float64) + 0.5


def check_layer(
    layer: Layer,
    *shapes: Shape,
    batch: int = 2,
    flops: int | None = None,
    reads: bool = True,
) -> nn.Module:
    """Build ``layer``, run it, and assert that all it says of itself is so.

    Args:
        layer: the layer.
        shapes: shapes of its inputs, without the batch.
        batch: samples to run.
        flops: FLOPs per sample, counted in some other way, where PyTorch's counter is wrong or silent.
        reads: whether to measure what the outputs read.

    Returns:
        The module.
    """
    module = prepare(build_layer(layer, *shapes))

    # Before the run: a lazily made tensor would not count.
    said = {w.name: (w.shape, w.learnable) for w in layer.weights(*shapes)}
    found = {name: (tuple(p.shape), True) for name, p in module.named_parameters()}
    found |= {name: (tuple(b.shape), False) for name, b in module.named_buffers()}
    assert said == found
    assert len(said) == len(layer.weights(*shapes)), "two weights of one name"
    learnable = sum(prod(w.shape) for w in layer.weights(*shapes) if w.learnable)
    assert learnable == sum(p.numel() for p in module.parameters())

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        outputs = tensors(module(*(draw(shape, batch) for shape in shapes)))
    assert layer.output_shapes(*shapes) == tuple(tuple(out.shape[1:]) for out in outputs)
    assert {out.shape[0] for out in outputs} == {batch}
    counted = counter.get_total_flops() if flops is None else flops * batch
    assert 2 * layer.macs(*shapes) * batch == counted

    if reads:
        check_reads(layer, module, *shapes)
    return module


def check_reads(layer: Layer, module: nn.Module, *shapes: Shape) -> None:
    """Assert that the outputs depend on just those input units that ``layer.reads`` says.

    One plane of the input at a time (all that has index ``p`` along one axis) gets a large, uneven
    bump; the outputs that change are those that read it. Unlike a gradient this also sees the
    candidates that lost in a maximum. Along channels a layer may say ``EVERYTHING`` where its
    groups read less; along the others every claim must hold exactly.
    """
    inputs = [draw(shape, 1) for shape in shapes]
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        base = tensors(module(*inputs))
        for which, shape in enumerate(shapes):
            bump = 10 * torch.rand((1, *shape), generator=generator, dtype=torch.float64) + 5
            seen: list[list[Tensor]] = []  # for each axis and output whether [p, *output] changed
            for axis, size in enumerate(shape):
                changed = []
                for position in range(size):
                    bumped = inputs[which].clone()
                    plane = (slice(None),) * (axis + 1) + (position,)
                    bumped[plane] += bump[plane]
                    outputs = tensors(module(*inputs[:which], bumped, *inputs[which + 1 :]))
                    changed.append([((new - old).abs() > 1e-9)[0] for new, old in zip(outputs, base, strict=True)])
                seen.append([torch.stack(port) for port in zip(*changed, strict=True)])
            for port, out in enumerate(base):
                said = layer.port_reads(port, *shapes)[which]
                assert len(said) == len(shape)
                # A window that along one axis never meets the input reads nothing along the others either.
                missed = not all(
                    any(predicted(read, unit, shape[axis]) for unit in range(out.shape[read.axis + 1]))
                    for axis, read in enumerate(said)
                    if read.axis is not None
                )
                for axis, read in enumerate(said):
                    where = f"input {which}, axis {axis}, output {port} of {layer}"
                    if missed:
                        assert not seen[axis][port].any(), f"nothing should be read: {where}"
                    else:
                        compare_read(read, seen[axis][port], axis, where)


BORDERS = {
    "reflect": lambda tap, size: -tap if tap < 0 else 2 * (size - 1) - tap,
    "replicate": lambda tap, size: 0 if tap < 0 else size - 1,
    "circular": lambda tap, size: tap % size,
}
"""The input unit that a padding mode puts at a place beyond the input; with zeros there is none."""


def predicted(read: Read, unit: int, size: int) -> set[int]:
    """The input units, of ``size``, that output ``unit`` should read."""
    assert read.window is not None
    first, last, step = taps_of(read.window, unit)
    taps = range(first, last + 1, step)
    within = {tap for tap in taps if 0 <= tap < size}
    if read.border in ("zeros", "joined"):
        return within
    return within | {BORDERS[read.border](tap, size) for tap in taps if not 0 <= tap < size}


def compare_read(read: Read, seen: Tensor, axis: int, where: str) -> None:
    """One claim against the measured dependency: ``seen[p, *output]``, where plane ``p`` was bumped."""
    size = seen.shape[0]
    if read.axis is not None and read.window is not None:
        others = [i for i in range(1, seen.dim()) if i != read.axis + 1]
        matrix = seen.amax(dim=others) if others else seen
        for unit in range(matrix.shape[1]):
            found = set(matrix[:, unit].nonzero().flatten().tolist())
            assert predicted(read, unit, size) == found, f"unit {unit}, {where}"
    elif read.window is not None:
        together = set[int]().union(*(predicted(read, phase, size) for phase in range(len(read.window.taps))))
        assert together == set(seen.flatten(1).any(dim=1).nonzero().flatten().tolist()), where
    elif read.whole:
        flat = seen.flatten(1)
        assert flat.any(dim=1).all(), f"a part that nothing reads: {where}"
        if axis:
            assert bool((flat == flat[:1]).all()), f"not everything is read: {where}"


def ours(layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape) -> Shapes | str:
    """Output shapes, or the reason why we do not take these fields and shapes."""
    try:
        return msgspec.convert(fields, layer_class).output_shapes(*shapes)
    except (LayerError, msgspec.ValidationError) as error:
        return str(error)


def theirs(pytorch: Callable[..., Any], *shapes: Shape, batch: int = 2) -> Shapes | str:
    """Output shapes of a call of PyTorch, or the reason why it refuses."""
    try:
        with torch.no_grad():
            outputs = tensors(pytorch(*(draw(shape, batch) for shape in shapes)))
    except REJECTIONS as error:
        return f"{type(error).__name__}: {error}"
    return tuple(tuple(out.shape[1:]) for out in outputs)


def agree(
    layer_class: type[Layer],
    fields: dict[str, Any],
    *shapes: Shape,
    pytorch: Callable[..., Any],
    batch: int = 2,
) -> Shapes | None:
    """Assert that both sides give the same output shapes, or both refuse.

    ``fields`` are raw, as a spec has them (lists, not tuples). ``pytorch`` takes the input tensors
    and must call PyTorch with the raw values, free of anything of ours.

    Returns:
        The shapes; ``None`` where both refuse.
    """
    mine, other = ours(layer_class, fields, *shapes), theirs(pytorch, *shapes, batch=batch)
    if isinstance(mine, str) or isinstance(other, str):
        assert isinstance(mine, str), f"{layer_class.kind} {fields} {shapes}: we give {mine}, PyTorch says {other!r}"
        assert isinstance(other, str), f"{layer_class.kind} {fields} {shapes}: we say {mine!r}, PyTorch gives {other}"
        return None
    assert mine == other, f"{layer_class.kind} {fields} {shapes}"
    return mine


def check_rejected(
    layer_class: type[Layer], fields: dict[str, Any], *shapes: Shape, pytorch: Callable[..., Any], batch: int = 2
) -> str:
    """Assert that both sides refuse; returns our message, for the test to look at."""
    assert agree(layer_class, fields, *shapes, pytorch=pytorch, batch=batch) is None
    message = ours(layer_class, fields, *shapes)
    assert isinstance(message, str)
    return message
