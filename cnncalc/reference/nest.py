"""Any loop nest in NumPy, and its adjoint: what a layer that is its equation computes, forward and backward.

An operand is spread out until each of its loops has an axis of its own, ``v[n, …loops] = x[n, e(loops)]``; the spread
operands are multiplied and summed over the loops that the result does not name (``numpy.einsum``); and what belongs
to one element of the result is added up there. The gradient of an operand is the same nest with that operand and
the result exchanged (Goodfellow, Bengio & Courville 2016, "Deep Learning", §6.5 and §9.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnncalc.formulas.nest import Index, Nest, Operand, Source, loop
from cnncalc.formulas.positions import FOLDS
from cnncalc.reference.array import Array, sum_to

Tensors = Mapping[Any, Array]
"""Inputs by their number and weights by their name; all but weights with the batch as their first axis."""
BATCH = "n"
RESULT: Source = ~(1 << 20)
"""The gradient of the result, as an operand."""


def evaluate(nest: Nest, tensors: Tensors) -> Array:
    """The result of a nest, ``(N, *shape)``.

    Args:
        nest: the equation.
        tensors: all of its operands, inputs ``(N, *shape)``.
    """
    y = _sum(nest, tensors, batched=True) if nest.collect == "sum" else _winners(nest, tensors)[0]
    if nest.start is None:
        return y
    start, own = tensors[nest.start.source], [index in nest.start.at for index in nest.output]
    lead = start.shape[:1] if _batched(nest.start) else (1,)
    return y + start.reshape(*lead, *(size if here else 1 for size, here in zip(nest.shape, own, strict=True)))


def gradients(nest: Nest, tensors: Tensors, gradient: Array) -> dict[Source, Array]:
    """``∂L/∂operand`` of every operand, from ``∂L/∂y`` ``(N, *shape)``; of equal maxima the first gets it."""
    found: dict[Source, Array] = {}
    for operand in nest.operands:
        back = nest._replace(output=operand.at, shape=operand.shape, start=None, collect="sum")
        if nest.collect == "sum":
            result = Operand(RESULT, nest.shape, nest.output)
            shares = gradient
        else:
            result, wins = _winners(nest, tensors)[1:]
            shares = wins * gradient.reshape(*gradient.shape, *(1,) * (wins.ndim - gradient.ndim))
        others = (other for other in nest.operands if other is not operand)
        back = back._replace(operands=(result, *others))
        value = _sum(back, {**tensors, RESULT: shares}, batched=_batched(operand))
        found[operand.source] = sum_to(value, tensors[operand.source].shape)
    if nest.start is not None:
        axes = [axis for axis, index in enumerate(nest.output, start=1) if index not in nest.start.at]
        found[nest.start.source] = gradient.sum(axis=(*axes, *(() if _batched(nest.start) else (0,))))
    return found


def _batched(operand: Operand) -> bool:
    return not operand.learned


def _labels(at: tuple[Index, ...]) -> list[str]:
    return [term.loop for index in at for term in index.terms]


def _places(nest: Nest, index: Index, size: int) -> Array:
    """Where an index lies in each round of its loops, an axis for each; ``size`` where that is outside."""
    place = np.zeros([nest.loops[term.loop] for term in index.terms], int) - index.before
    for axis, (name, times, _) in enumerate(index.terms):
        steps = times * np.arange(nest.loops[name])
        place += steps.reshape([-1 if other == axis else 1 for other in range(place.ndim)])
    fold = FOLDS.get(nest.border)
    if fold is not None:
        place = np.reshape([fold(one, size) for one in place.ravel().tolist()], place.shape)
    return np.where((place < 0) | (place >= size), size, place)


def _spread(nest: Nest, operand: Operand, x: Array, fill: float) -> Array:
    """An operand with an axis for each of its loops, in their order; ``fill`` where an index lies outside."""
    lead = int(_batched(operand))
    for axis, (index, size) in reversed(list(enumerate(zip(operand.at, operand.shape, strict=True), start=lead))):
        place = _places(nest, index, size)
        if np.array_equal(place.ravel(), np.arange(size)):
            x = x.reshape(*x.shape[:axis], *place.shape, *x.shape[axis + 1 :])
            continue
        if (place == size).any():
            outside = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), fill, x.dtype)
            x = np.concatenate([x, outside], axis=axis)
        x = np.take(x, place, axis=axis)
    return x


def _sum(nest: Nest, tensors: Tensors, *, batched: bool) -> Array:
    """The operands' products, summed at each element of the result, whose batch is summed too where not ``batched``."""
    nest = nest.split()
    number = {name: i for i, name in enumerate((BATCH, *nest.loops))}
    arguments: list[Array | list[int]] = []
    named = set()
    for operand in nest.operands:
        labels = [BATCH] * _batched(operand) + _labels(operand.at)
        arguments += [_spread(nest, operand, tensors[operand.source], 0.0), [number[name] for name in labels]]
        named |= set(labels)
    out = [BATCH] * batched + _labels(nest.output)
    repeated = [name for name in out if name not in named]
    if repeated:
        ones = np.ones([nest.loops[name] for name in repeated], arguments[0].dtype)  # type: ignore[union-attr]
        arguments += [ones, [number[name] for name in repeated]]
    y: Array = np.einsum(*arguments, [number[name] for name in out], optimize=True)
    for axis, (index, size) in enumerate(zip(nest.output, nest.shape, strict=True), start=int(batched)):
        place = _places(nest, index, size)
        y = y.reshape(*y.shape[:axis], place.size, *y.shape[axis + place.ndim :])
        if not np.array_equal(place.ravel(), np.arange(size)):
            meet = (place.ravel() == np.arange(size)[:, None]).astype(y.dtype)
            y = np.moveaxis(np.tensordot(y, meet, axes=(axis, 1)), -1, axis)
    return y


def _winners(nest: Nest, tensors: Tensors) -> tuple[Array, Operand, Array]:
    """The maxima of a nest of one operand, each element's own; and as an operand with an axis for each loop, those of
    the result first, whether the round wins.
    """
    (operand,) = nest.operands
    x, labels, out = _spread(nest, operand, tensors[operand.source], -np.inf), _labels(operand.at), _labels(nest.output)
    names = [*out, *(name for name in labels if name not in out)]
    x = x.transpose(0, *(labels.index(name) + 1 for name in names))
    flat = x.reshape(len(x), *nest.shape, -1)
    first = flat.argmax(axis=-1)[..., None] == np.arange(flat.shape[-1])
    shape = tuple(nest.loops[name] for name in names)
    return flat.max(axis=-1), Operand(RESULT, shape, tuple(map(loop, names))), first.reshape(x.shape)
