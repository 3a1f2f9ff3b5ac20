"""Moves: views, permutations, parts and what is put together of them, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.merge import Concat
from cnncalc.layers.shape import (
    Flatten,
    Fold,
    Pad,
    Permute,
    Roll,
    Slice,
    SlidingWindows,
    Split,
    Squeeze,
    Take,
    Transpose,
    Unfold,
    Unsqueeze,
)
from cnncalc.layers.tensor import Constant
from cnncalc.torch.capture.operators.fields import feature_map, fields, numbers, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import Batch, UnsupportedError, Value, reshaped, sample_shape

# -- the same elements under other axes ------------------------------------------------------------


def viewed(tracer: Tracer, x: Value, shape: Shape) -> Value:
    """The elements of a tensor in their order, with another shape."""
    batch = reshaped(x, shape, tracer.samples)
    out, ref = sample_shape(shape, batch), tracer.ref(x)
    if len(out) == 1 and len(x.sample) > 1:
        return tracer.result(Flatten(), ref, batch=batch)
    return tracer.value(tracer.reshaped(ref, out), batch)


@captures("view", "reshape", "_unsafe_view", "_reshape_alias", "unflatten", "view_as", "reshape_as", "flatten")
def view(tracer: Tracer, call: Call, x: Value) -> Value:
    """``torch.reshape`` and similar ones."""
    if call.name == "flatten" and x.batch_first:
        start, end = x.dim(call["start_dim"]), x.dim(call["end_dim"])
        if start == end:
            return x
        if start > 0:
            return tracer.one(Flatten(start_axis=start - 1, end_axis=end - 1 if end < len(x.shape) - 1 else -1), x)
    return viewed(tracer, x, call.shape)


def permuted(tracer: Tracer, x: Value, dims: Sequence[int]) -> Value:
    """The dimensions in another order; no node if the order of a sample's axes stays."""
    batch = None if x.batch is None else x.batch.at(dims.index(x.batch.dim))
    order = tuple(axis for dim in dims for axis in x.axes(dim))
    moved = [axis for axis, source in enumerate(order) if axis != source]
    ref = tracer.ref(x)
    if moved:
        layer: Layer = Transpose(axis0=moved[0], axis1=moved[1]) if len(moved) == 2 else Permute(axes=order)
        (ref,) = tracer.emit(layer, ref)
    return tracer.value(ref, batch)


def transposed(tracer: Tracer, x: Value) -> Value:
    """The last two dimensions exchanged."""
    rank = len(x.shape)
    return permuted(tracer, x, (*range(rank - 2), rank - 1, rank - 2))


@captures("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "numpy_T", "mT", "adjoint")
def permute(tracer: Tracer, call: Call, x: Value) -> Value:
    """``torch.permute`` and similar ones: where each axis goes is seen on a tensor whose sizes are their numbers."""
    target: Any = call.node.target
    _, *how = call.arguments.values()
    return permuted(tracer, x, target(torch.empty([*range(len(x.shape))], device="meta"), *how).shape)


@captures("unsqueeze")
def unsqueezed(tracer: Tracer, x: Value, dim: int) -> Value:
    """A new dimension of size 1."""
    dim, batch = x.dim(dim, beyond=1), x.batch
    before = sample_shape(x.shape[:dim], batch if batch is not None and batch.dim < dim else None)
    if batch is not None and dim <= batch.dim:
        batch = batch.at(batch.dim + 1)
    return tracer.result(Unsqueeze(axis=len(before)), tracer.ref(x), batch=batch)


@captures("squeeze")
def squeezed(tracer: Tracer, x: Value, dim: int | list[int] | None) -> Value:
    """Drops those of the dimensions (or of all) that have size 1."""
    dims = range(len(x.shape)) if dim is None else map(x.dim, numbers(dim))
    gone = sorted({dim for dim in dims if x.shape[dim] == 1})
    if not gone:
        return x
    batch = x.batch and x.batch.at(x.batch.dim - sum(dim < x.batch.dim for dim in gone))
    layer = Squeeze(axes=one_or_each([x.axis(dim) for dim in gone]))
    return tracer.result(layer, tracer.ref(x), batch=batch)


def broadcast(tracer: Tracer, x: Value, shape: Shape) -> Value:
    """Dimensions of size 1 repeated to those of ``shape``; along the batch nothing is done: samples share it."""
    more = len(shape) - len(x.shape)
    have = (1,) * more + x.shape
    batch = x.batch and x.batch.at(x.batch.dim + more)
    if batch is None:
        to_batch = [dim for dim in range(len(shape)) if shape[dim] == tracer.samples > have[dim] == 1]
        if len(to_batch) == 1:
            batch = Batch(to_batch[0])
    ref = tracer.reshaped(tracer.ref(x), sample_shape(have, batch))
    return tracer.value(tracer.expanded(ref, sample_shape(shape, batch)), batch)


@captures("expand", "expand_as", "broadcast_to")
def expand(tracer: Tracer, call: Call, x: Value) -> Value:
    """``torch.Tensor.expand``"""
    return broadcast(tracer, x, call.shape)


@captures("copy")
def copy(tracer: Tracer, call: Call, src: Value | float) -> Value:
    """``x.copy_(y)``: the written values."""
    if not isinstance(src, Value):
        raise UnsupportedError("it writes a number")
    return broadcast(tracer, src, call.shape) if src.shape != call.shape else src


@captures("repeat", "tile")
def repeat(tracer: Tracer, call: Call, x: Value) -> Value:
    """``torch.Tensor.repeat``: copies one after the other; of an axis of size 1 as ``expand``."""
    times = call["repeats"] if call["repeats"] is not None else call["dims"]
    times = [1] * (len(call.shape) - len(times)) + times
    have = (1,) * (len(times) - len(x.shape)) + x.shape
    out = broadcast(
        tracer, x, tuple(size * count if size == 1 else size for size, count in zip(have, times, strict=True))
    )
    for dim, (size, count) in enumerate(zip(have, times, strict=True)):
        if size > 1 and count > 1:
            out = joined(tracer, [out] * count, dim)
    return out


@captures("repeat_interleave")
def repeat_interleave(tracer: Tracer, call: Call, x: Value, repeats: Any, dim: int | None) -> Value:
    """Repeats each unit."""
    if not isinstance(repeats, int) or dim is None:
        raise UnsupportedError("it repeats units different numbers of times")
    dim = x.dim(dim) + 1
    out = unsqueezed(tracer, x, dim)
    return viewed(tracer, broadcast(tracer, out, (*out.shape[:dim], repeats, *out.shape[dim + 1 :])), call.shape)


# -- parts -----------------------------------------------------------------------------------------


def cut(tracer: Tracer, x: Value, dim: int, start: int, stop: int, step: int = 1) -> Value:
    """A range along one dimension; the tensor itself if that is all of it."""
    dim = x.dim(dim)
    size = x.shape[dim]
    start, stop, step = slice(start, stop, step).indices(size)
    if (start, stop, step) == (0, size, 1):
        return x
    if start >= stop:
        return Value((*x.shape[:dim], 0, *x.shape[dim + 1 :]), x.batch, None, "%nothing")
    return tracer.one(Slice(axis=x.axis(dim), start=start, stop=None if stop == size else stop, step=step), x)


def _ends(x: Value, call: Call) -> tuple[int, int, int]:
    """Where a slice starts and stops, and its step."""
    size, start, end = x.shape[x.dim(call["dim"])], call["start"] or 0, call["end"]
    if call["length"] is not None:
        end = start + call["length"]
    return slice(start, size if end is None else end, call["step"]).indices(size)


@captures("slice", "narrow")
def slice_(tracer: Tracer, call: Call, x: Value) -> Value:
    """``x[:, start:stop:step]``"""
    return x if call.shape == x.shape else cut(tracer, x, call["dim"], *_ends(x, call))


def _is_alone(x: Value, dim: int) -> bool:
    """Whether the dimension holds exactly one sample, so that selecting it selects all."""
    return x.batch is not None and x.batch.dim == dim and x.shape[dim] == 1


@captures("select")
def select(tracer: Tracer, call: Call, x: Value, dim: int, index: int) -> Value:
    """``x[:, index]``"""
    dim = x.dim(dim)
    if _is_alone(x, dim):
        return Value(call.shape, None, x.ref)
    index %= x.shape[dim]
    return squeezed(tracer, cut(tracer, x, dim, index, index + 1), dim)


def parts(tracer: Tracer, x: Value, dim: int, sizes: list[int]) -> tuple[Value, ...]:
    """A tensor cut along one dimension."""
    axis = x.axis(dim)
    if len(sizes) == 1:
        return (x,)
    even = len(set(sizes)) == 1
    layer = Split(axis=axis, chunks=len(sizes)) if even else Split(axis=axis, sizes=tuple(sizes))
    return tuple(tracer.value(ref, x.batch) for ref in tracer.emit(layer, tracer.ref(x)))


@captures("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(tracer: Tracer, call: Call, x: Value, dim: int) -> tuple[Value, ...]:
    """``torch.split`` and similar ones, with the sizes of the results."""
    dim = x.dim(dim)
    return parts(tracer, x, dim, [shape[dim] for shape in call.outputs])


@captures("unbind")
def unbind(tracer: Tracer, call: Call, x: Value, dim: int) -> tuple[Value, ...]:
    """``torch.unbind``"""
    dim = x.dim(dim)
    if _is_alone(x, dim):
        return (Value(call.shape, None, x.ref),)
    return tuple(squeezed(tracer, part, dim) for part in parts(tracer, x, dim, [1] * x.shape[dim]))


@captures("unfold")
def unfold(tracer: Tracer, call: Call, x: Value) -> Value:
    """``x.unfold(dim, size, step)``"""
    return tracer.one(SlidingWindows(**fields(call, SlidingWindows)), x)


PATCHES: dict[str, tuple[type[Any], int]] = {"im2col": (Unfold, 2), "col2im": (Fold, 1)}


@captures(*PATCHES)
def patches(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.unfold`` and ``F.fold``"""
    kind, rank = PATCHES[call.name]
    return tracer.result(kind(**fields(call, kind)), feature_map(tracer, x, rank), batch=x.batch)


# -- chosen elements -------------------------------------------------------------------------------


@captures("index")
def index_(tracer: Tracer, x: Value, indices: list[Value | None]) -> Value:
    """``x[:, indices]`` along one axis, with constant indices."""
    chosen = [(dim, one) for dim, one in enumerate(indices) if one is not None]
    if len(chosen) != 1:
        raise UnsupportedError("it chooses along several axes at once")
    return taken(tracer, x, *chosen[0])


@captures("embedding")
def embedding(tracer: Tracer, weight: Value, indices: Value) -> Value:
    """``F.embedding``: rows of the weight."""
    return taken(tracer, weight, 0, indices)


@captures("index_select")
def taken(tracer: Tracer, x: Value, dim: int, index: Value) -> Value:
    """Elements along one dimension."""
    dim = x.dim(dim)
    if index.ref is not None or index.batch is not None:
        raise UnsupportedError("what it chooses depends on the input")
    if index.shape == ():
        raise UnsupportedError("it chooses one element")
    (made,) = tracer.emit(Take(axis=x.axis(dim)), tracer.ref(x), tracer.ref(index))
    batch = x.batch
    if batch is not None and dim < batch.dim:
        batch = batch.at(batch.dim + len(index.shape) - 1)
    return tracer.value(made, batch)


@captures("flip")
def flip(tracer: Tracer, x: Value, dims: list[int]) -> Value:
    """``torch.flip``: each axis in the opposite order."""
    ref = tracer.ref(x)
    for dim in dims:
        (order,) = tracer.emit(Constant(shape=(x.shape[x.dim(dim)],)))
        (ref,) = tracer.emit(Take(axis=x.axis(dim)), ref, order)
    return tracer.value(ref, x.batch)


@captures("roll")
def roll(tracer: Tracer, x: Value, shifts: list[int], dims: list[int]) -> Value:
    """``torch.roll``"""
    if not dims:
        raise UnsupportedError("it shifts all elements in a row")
    return tracer.one(Roll(shifts=tuple(shifts), axes=tuple(map(x.axis, dims))), x)


# -- put together ----------------------------------------------------------------------------------


def joined(tracer: Tracer, values: Sequence[Value], dim: int) -> Value:
    """Tensors joined along a dimension; a single one is the result itself."""
    if len(values) == 1:
        return values[0]
    refs, batch = tracer.together(*values)
    like = next((value for value in values if value.batch is not None), values[0])
    return tracer.result(Concat(axis=like.axis(dim)), *refs, batch=batch)


@captures("cat", "concat", "concatenate")
def cat(tracer: Tracer, tensors: list[Value], dim: int) -> Value:
    """``torch.cat``"""
    return joined(tracer, [value for value in tensors if 0 not in value.shape], dim)


@captures("stack")
def stack(tracer: Tracer, tensors: list[Value], dim: int) -> Value:
    """``torch.stack``: a new axis, along which the tensors are put together."""
    dim = tensors[0].dim(dim, beyond=1)
    return joined(tracer, [unsqueezed(tracer, value, dim) for value in tensors], dim)


@captures("slice_scatter")
def slice_scatter(tracer: Tracer, call: Call, x: Value, src: Value, dim: int) -> Value:
    """A tensor of which one stretch along a dimension has been replaced, as by ``x[:, start:stop] = …``."""
    start, stop, step = _ends(x, call)
    if step != 1:
        raise UnsupportedError("it writes with a step")
    return _replaced(tracer, x, src, dim, start, stop)


@captures("select_scatter")
def select_scatter(tracer: Tracer, x: Value, src: Value, dim: int, index: int) -> Value:
    """A tensor of which one unit along a dimension has been replaced, as by ``x[:, index] = …``."""
    dim = x.dim(dim)
    start = index % x.shape[dim]
    return _replaced(tracer, x, unsqueezed(tracer, src, dim), dim, start, start + 1)


def _replaced(tracer: Tracer, x: Value, part: Value, dim: int, start: int, stop: int) -> Value:
    pieces = [cut(tracer, x, dim, 0, start), part, cut(tracer, x, dim, stop, x.shape[x.dim(dim)])]
    return joined(tracer, [piece for piece in pieces if 0 not in piece.shape], dim)


# -- padding ---------------------------------------------------------------------------------------

PADS = {
    **dict.fromkeys(("pad", "constant_pad_nd"), "constant"),
    **{f"reflection_pad{rank}d": "reflect" for rank in (1, 2, 3)},
    **{f"replication_pad{rank}d": "replicate" for rank in (1, 2, 3)},
}


@captures(*PADS)
def pad(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.pad``: a pad layer for spatial axes, concatenation with a constant for others, and a part of what shrinks."""
    given = call["pad"] or call["padding"]
    mode: Any = call["mode"] or PADS[call.name]
    ends: dict[int, tuple[int, int]] = {}
    for number in reversed(range(len(given) // 2)):
        dim, before, after = len(x.shape) - 1 - number, given[2 * number], given[2 * number + 1]
        if min(before, after) < 0:
            x = cut(tracer, x, dim, max(-before, 0), x.shape[dim] - max(-after, 0))
        if max(before, after) > 0:
            ends[dim] = max(before, 0), max(after, 0)
    if not ends:
        return x
    by_axis = {x.axis(dim): pair for dim, pair in ends.items()}
    if 0 not in by_axis and len(x.sample) >= 2:
        rest = tuple(by_axis.get(axis, (0, 0)) for axis in range(1, len(x.sample)))
        plain = len(set(rest)) == 1 and rest[0][0] == rest[0][1]
        value = 0.0 if call["value"] is None else call["value"]
        return tracer.one(Pad(padding=rest[0][0] if plain else rest, mode=mode, value=value), x)
    if mode != "constant":
        raise UnsupportedError(f"{mode} padding of the first axis")
    for dim, pair in ends.items():
        axis, sample, ref = x.axis(dim), x.sample, tracer.ref(x)
        before, after = (
            tracer.emit(Constant(shape=(*sample[:axis], count, *sample[axis + 1 :]))) if count else () for count in pair
        )
        x = tracer.result(Concat(axis=axis), *before, ref, *after, batch=x.batch)
    return x
