"""One layer on tensors that lie in memory in any way: what its tape says beside what PyTorch does."""

from __future__ import annotations

from math import prod
from random import Random
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor

from cnncalc.errors import LayerError
from cnncalc.layers.base import Layer, Shapes, ShortForm
from cnncalc.layers.tape import Held, Tape
from cnncalc.spec.random import Fields, classes
from cnncalc.torch.memory import Live
from cnncalc.torch.registry import build_layer


def draw_layer(rng: Random) -> tuple[Layer, Shapes] | None:
    """A layer of any class and shapes that it takes, with many axes of size 1; ``None`` where none is found."""
    kinds, _ = classes(lambda layer: not issubclass(layer, ShortForm))
    kind = rng.choice(kinds)
    rank = rng.choices((0, 1, 2, 3), (1, 3, 5, 3))[0]
    shape = (rng.choice([1, 2, 3, 4, 6, 8]), *(rng.randint(1, 6) for _ in range(rank)))
    most = 9 if kind.arity[1] is None else kind.arity[1]
    count = min(max(kind.arity[0], rng.randint(1, 3)), most)
    for _ in range(30):
        shapes = tuple(shape if rng.random() < 0.6 else _with_ones(rng, shape) for _ in range(count))
        try:
            layer = msgspec.convert(Fields(rng, shapes).draw(kind), kind, strict=False)
            outputs = layer.output_shapes(*shapes)
        except (LayerError, msgspec.ValidationError):
            continue
        if all(prod(out) <= 3000 and len(out) <= 4 for out in outputs):
            return layer, shapes
    return None


def _with_ones(rng: Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if rng.random() < 0.3 else size for size in shape)


def draw_tensor(rng: Random, shape: tuple[int, ...]) -> Tensor:
    """Contiguous, permuted, channels last, or a part of something larger."""
    dice = rng.random()
    if dice < 0.4:
        return torch.randn(shape)
    order = list(range(len(shape)))
    rng.shuffle(order)
    back = [order.index(axis) for axis in range(len(order))]
    if dice < 0.75:
        return torch.randn([shape[axis] for axis in order]).permute(back)
    if dice < 0.85 and len(shape) in (4, 5):
        return torch.randn(shape).to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    larger = [size + rng.choice([0, 0, 1, 2]) for size in shape]
    whole = torch.randn([larger[axis] for axis in order]).permute(back)
    return whole[tuple(slice(big - size, big) for big, size in zip(larger, shape, strict=True))]


class Account(NamedTuple):
    """Of one pass of a layer: its outputs' shapes and strides and whether they get gradients, the bytes that
    autograd keeps, and the most bytes alive besides the inputs.
    """

    outputs: list[tuple[tuple[int, ...], tuple[int, ...], bool]]
    kept: int
    peak: int


def measured(layer: Layer, inputs: list[Tensor], training: bool) -> Account | str:
    """What PyTorch does, or why it refuses."""
    module = build_layer(layer, *(tuple(x.shape[1:]) for x in inputs)).train(training)
    weights = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
    live = Live([*module.parameters(), *module.buffers(), *inputs])
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor.untyped_storage())
        return tensor

    with torch.set_grad_enabled(training), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), live:
        try:
            out = module(*inputs)
        except ValueError as error:
            return str(error)
    outputs = (out,) if isinstance(out, Tensor) else tuple(out)
    bytes_kept = sum(storage.nbytes() for key, storage in kept.items() if key not in weights)
    return Account([(tuple(x.shape), tuple(x.stride()), x.requires_grad) for x in outputs], bytes_kept, live.peak)


def claimed(layer: Layer, inputs: list[Tensor], training: bool) -> Account:
    """What the layer writes on its tape."""
    own: dict[int, int] = {}
    sizes: list[int] = []
    for x in inputs:
        if own.setdefault(x.untyped_storage()._cdata, len(own)) == len(sizes):
            sizes.append(x.untyped_storage().nbytes())
    tape = Tape(len(own), inputs[0].shape[0], training, 4)
    held = [
        Held(tuple(x.shape), tuple(x.stride()), own[x.untyped_storage()._cdata], 4, x.requires_grad) for x in inputs
    ]
    out = layer.forward(tape, *held)
    sizes += tape.sizes
    now = peak = 0
    for made, storage in tape.events:
        if made:
            now += sizes[storage]
        elif storage not in tape.kept:
            now -= sizes[storage]
        peak = max(peak, now)
    assert not tape.unknown
    outputs = [(x.shape, x.strides, x.grad) for x in ((out,) if isinstance(out, Held) else out)]
    return Account(outputs, sum(sizes[storage] for storage in tape.kept), peak)
