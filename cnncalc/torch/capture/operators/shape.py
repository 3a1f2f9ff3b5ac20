"""Moves: views, permutations, slices, parts, padding."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.base import Shape
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
from cnncalc.torch.capture.operators.fields import feature_map, number, numbers, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import Batch, UnsupportedError, Value, reshaped, sample_shape

# -- the same elements under other axes ------------------------------------------------------------


def viewed(tracer: Tracer, x: Value, shape: Shape) -> Value:
    """The elements of a tensor in their order, with another shape."""
    batch = reshaped(x, shape, tracer.samples)
    out = sample_shape(shape, batch)
    ref = tracer.ref(x)
    if len(out) == 1 and len(x.sample) > 1:
        (made,) = tracer.emit(Flatten(), ref)
    else:
        made = tracer.reshaped(ref, out)
    return tracer.checked(Value(shape, batch, made))


@captures("view", "reshape", "_unsafe_view", "_reshape_alias", "unflatten", "view_as", "reshape_as", "flatten")
def view(tracer: Tracer, call: Call) -> Value:
    """``torch.reshape`` and similar ones."""
    x = call.first()
    if call.name == "flatten" and x.batch is not None and (x.batch.dim, x.batch.before, x.batch.after) == (0, 1, 1):
        start, end = x.dim(call["start_dim"]), x.dim(call["end_dim"])
        if start == end:
            return x
        if start > 0:
            last = end - 1 if end < len(x.shape) - 1 else -1
            return tracer.one(Flatten(start_axis=start - 1, end_axis=last), x, call.shape)
    return viewed(tracer, x, call.shape)


def permuted(tracer: Tracer, x: Value, dims: tuple[int, ...]) -> Value:
    """The dimensions in another order; no node if the order of a sample's axes stays."""
    dims = tuple(x.dim(dim) for dim in dims)
    shape = tuple(x.shape[dim] for dim in dims)
    batch = None if x.batch is None else x.batch._replace(dim=dims.index(x.batch.dim))
    order = tuple(axis for dim in dims for axis in x.axes(dim))
    ref = tracer.ref(x)
    moved = [axis for axis, source in enumerate(order) if axis != source]
    if len(moved) == 2:
        (ref,) = tracer.emit(Transpose(axis0=moved[0], axis1=moved[1]), ref)
    elif moved:
        (ref,) = tracer.emit(Permute(axes=order), ref)
    return tracer.checked(Value(shape, batch, ref))


def transposed(tracer: Tracer, x: Value, dim0: int, dim1: int) -> Value:
    """Two dimensions exchanged."""
    dims = list(range(len(x.shape)))
    first, second = x.dim(dim0), x.dim(dim1)
    dims[first], dims[second] = second, first
    return permuted(tracer, x, tuple(dims))


@captures("permute")
def permute(tracer: Tracer, call: Call) -> Value:
    """``torch.permute``"""
    return permuted(tracer, call.first(), tuple(call["dims"]))


@captures("transpose", "swapaxes", "swapdims")
def transpose(tracer: Tracer, call: Call) -> Value:
    """``torch.transpose``"""
    x, *dims = call.arguments.values()
    return transposed(tracer, x, dims[0], dims[1])


@captures("t", "numpy_T", "mT", "adjoint")
def matrix_transpose(tracer: Tracer, call: Call) -> Value:
    """``x.t()``"""
    x = call.first()
    return x if len(x.shape) < 2 else transposed(tracer, x, -2, -1)


@captures("movedim", "moveaxis")
def movedim(tracer: Tracer, call: Call) -> Value:
    """``torch.movedim``"""
    x, source, target = call.arguments.values()
    sources = [x.dim(dim) for dim in numbers(source)]
    targets = [x.dim(dim) for dim in numbers(target)]
    rest = iter(dim for dim in range(len(x.shape)) if dim not in sources)
    placed = dict(zip(targets, sources, strict=True))
    return permuted(tracer, x, tuple(placed[dim] if dim in placed else next(rest) for dim in range(len(x.shape))))


def unsqueezed(tracer: Tracer, x: Value, dim: int) -> Value:
    """A new dimension of size 1."""
    dim = x.dim(dim, beyond=1)
    shape = (*x.shape[:dim], 1, *x.shape[dim:])
    batch = x.batch if x.batch is None or dim > x.batch.dim else x.batch._replace(dim=x.batch.dim + 1)
    axis = len(sample_shape(shape[:dim], batch if batch is not None and batch.dim < dim else None))
    (made,) = tracer.emit(Unsqueeze(axis=axis), tracer.ref(x))
    return tracer.checked(Value(shape, batch, made))


@captures("unsqueeze")
def unsqueeze(tracer: Tracer, call: Call) -> Value:
    """``torch.unsqueeze``"""
    return unsqueezed(tracer, call.first(), call["dim"])


def squeezed(tracer: Tracer, x: Value, *dims: int) -> Value:
    """Drops those of the dimensions that have size 1."""
    gone = sorted({dim for dim in map(x.dim, dims) if x.shape[dim] == 1})
    if not gone:
        return x
    axes = tuple(x.axis(dim) for dim in gone)
    shape = tuple(size for dim, size in enumerate(x.shape) if dim not in gone)
    batch = x.batch
    if batch is not None:
        batch = batch._replace(dim=batch.dim - sum(dim < batch.dim for dim in gone))
    (made,) = tracer.emit(Squeeze(axes=axes[0] if len(axes) == 1 else axes), tracer.ref(x))
    return tracer.checked(Value(shape, batch, made))


@captures("squeeze")
def squeeze(tracer: Tracer, call: Call) -> Value:
    """``torch.squeeze``"""
    x = call.first()
    dims = range(len(x.shape)) if call["dim"] is None else numbers(call["dim"])
    return squeezed(tracer, x, *dims)


@captures("expand", "expand_as", "broadcast_to")
def expand(tracer: Tracer, call: Call) -> Value:
    """``torch.Tensor.expand``; to the batch it does nothing, as samples share the tensor."""
    return broadcast(tracer, call.first(), call.shape)


def broadcast(tracer: Tracer, x: Value, shape: Shape) -> Value:
    """Dimensions of size 1 repeated to those of ``shape``."""
    more = len(shape) - len(x.shape)
    have = (1,) * more + x.shape
    batch = None if x.batch is None else x.batch._replace(dim=x.batch.dim + more)
    ref = tracer.ref(x)
    if batch is None:
        to_batch = [dim for dim in range(len(shape)) if shape[dim] == tracer.samples > have[dim] == 1]
        if len(to_batch) == 1:
            batch = Batch(to_batch[0])
            ref = tracer.reshaped(
                ref, sample_shape((*have[: batch.dim], tracer.samples, *have[batch.dim + 1 :]), batch)
            )
        elif more:
            ref = tracer.reshaped(ref, have)
    elif more:
        ref = tracer.reshaped(ref, sample_shape(have, batch))
    return tracer.checked(Value(shape, batch, tracer.expanded(ref, sample_shape(shape, batch))))


@captures("repeat", "tile")
def repeat(tracer: Tracer, call: Call) -> Value:
    """``torch.Tensor.repeat``: copies one after the other; of an axis of size 1 as ``expand``."""
    x = call.first()
    times = numbers(call["repeats"] if call["repeats"] is not None else call["dims"])
    times = [1] * (len(call.shape) - len(times)) + times
    have = (1,) * (len(times) - len(x.shape)) + x.shape
    grown = tuple(size * count if size == 1 else size for size, count in zip(have, times, strict=True))
    out = broadcast(tracer, x, grown)
    for dim, (size, count) in enumerate(zip(have, times, strict=True)):
        if size > 1 and count > 1:
            axis = out.axis(dim)
            (ref,) = tracer.emit(Concat(axis=axis), *[tracer.ref(out)] * count)
            out = Value((*out.shape[:dim], size * count, *out.shape[dim + 1 :]), out.batch, ref)
    return tracer.checked(out)


@captures("repeat_interleave")
def repeat_interleave(tracer: Tracer, call: Call) -> Value:
    """Repeats each unit."""
    x, times = call.first(), call["repeats"]
    if not isinstance(times, int) or call["dim"] is None:
        raise UnsupportedError("it repeats units different numbers of times")
    dim = x.dim(call["dim"])
    out = unsqueezed(tracer, x, dim + 1)
    out = broadcast(tracer, out, (*out.shape[: dim + 1], times, *out.shape[dim + 2 :]))
    return viewed(tracer, out, call.shape)


# -- parts -----------------------------------------------------------------------------------------


def cut(tracer: Tracer, x: Value, dim: int, start: int, stop: int, step: int = 1) -> Value:
    """A range along one dimension; the tensor itself if that is all of it."""
    dim = x.dim(dim)
    size = x.shape[dim]
    start, stop, step = slice(start, stop, step).indices(size)
    if (start, stop, step) == (0, size, 1):
        return x
    count = len(range(start, stop, step))
    if not count:
        return Value((*x.shape[:dim], 0, *x.shape[dim + 1 :]), x.batch, None, "nothing")
    layer = Slice(axis=x.axis(dim), start=start, stop=None if stop == size else stop, step=step)
    return tracer.one(layer, x, (*x.shape[:dim], count, *x.shape[dim + 1 :]))


@captures("slice")
def slice_(tracer: Tracer, call: Call) -> Value:
    """``x[:, start:stop:step]``"""
    start, stop = call["start"], call["end"]
    x = call.first()
    stop = x.shape[x.dim(call["dim"])] if stop is None else stop
    if x.batch is not None and x.batch.dim == x.dim(call["dim"]) and call.shape == x.shape:
        return x
    return cut(tracer, x, call["dim"], 0 if start is None else start, stop, call["step"])


@captures("narrow")
def narrow(tracer: Tracer, call: Call) -> Value:
    """``torch.narrow``"""
    return cut(tracer, call.first(), call["dim"], call["start"], call["start"] + call["length"])


def _is_alone(x: Value, dim: int) -> bool:
    """Whether the dimension holds exactly one sample, so that selecting it selects all."""
    return x.batch is not None and x.batch.dim == dim and x.shape[dim] == 1


@captures("select")
def select(tracer: Tracer, call: Call) -> Value:
    """``x[:, index]``"""
    x, index = call.first(), numbers(call["index"])[0]
    if _is_alone(x, x.dim(call["dim"])):
        return Value(call.shape, None, x.ref)
    index %= x.shape[x.dim(call["dim"])]
    return squeezed(tracer, cut(tracer, x, call["dim"], index, index + 1), call["dim"])


def parts(tracer: Tracer, x: Value, dim: int, sizes: list[int]) -> tuple[Value, ...]:
    """A tensor cut along one dimension."""
    dim = x.dim(dim)
    axis = x.axis(dim)
    if len(sizes) == 1:
        return (x,)
    even = len(set(sizes)) == 1
    layer = Split(axis=axis, chunks=len(sizes)) if even else Split(axis=axis, sizes=tuple(sizes))
    refs = tracer.emit(layer, tracer.ref(x))
    return tuple(
        tracer.checked(Value((*x.shape[:dim], size, *x.shape[dim + 1 :]), x.batch, ref))
        for size, ref in zip(sizes, refs, strict=True)
    )


@captures("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(tracer: Tracer, call: Call) -> tuple[Value, ...]:
    """``torch.split`` and similar ones, with the sizes of the results."""
    x = call.first()
    dim = x.dim(call["dim"])
    return parts(tracer, x, dim, [shape[dim] for shape in call.outputs])


@captures("unbind")
def unbind(tracer: Tracer, call: Call) -> tuple[Value, ...]:
    """``torch.unbind``"""
    x = call.first()
    dim = x.dim(call["dim"])
    if _is_alone(x, dim):
        return (Value(call.shape, None, x.ref),)
    return tuple(squeezed(tracer, part, dim) for part in parts(tracer, x, dim, [1] * x.shape[dim]))


def overwrite(tracer: Tracer, name: str, named: dict[str, Any], old: Value, part: Value) -> Value:
    """A tensor of which one stretch (or, for ``select``, one unit) along a dimension has been replaced."""
    dim = old.dim(named["dim"])
    size = old.shape[dim]
    if name == "select":
        start = numbers(named["index"])[0] % size
        stop, step = start + 1, 1
        part = unsqueezed(tracer, part, dim)
    else:
        end = size if named["end"] is None else named["end"]
        start, stop, step = slice(named["start"] or 0, end, named["step"]).indices(size)
    if step != 1:
        raise UnsupportedError("it writes with a step")
    if (start, stop) == (0, size):
        return part
    pieces = [
        *([cut(tracer, old, dim, 0, start)] if start else []),
        part,
        *([cut(tracer, old, dim, stop, size)] if stop < size else []),
    ]
    from cnncalc.torch.capture.operators.merge import joined

    return joined(tracer, pieces, dim, old.shape)


@captures("copy")
def copy(tracer: Tracer, call: Call) -> Value:
    """``x.copy_(y)``: the written values."""
    source = call["src"]
    if not isinstance(source, Value):
        raise UnsupportedError("it writes a number")
    return broadcast(tracer, source, call.shape) if source.shape != call.shape else source


@captures("index")
def index(tracer: Tracer, call: Call) -> Value:
    """``x[:, indices]`` along one axis, with constant indices."""
    x = call.first()
    chosen = [(dim, one) for dim, one in enumerate(call["indices"]) if one is not None]
    if len(chosen) != 1:
        raise UnsupportedError("it chooses along several axes at once")
    return taken(tracer, x, chosen[0][0], chosen[0][1], call)


@captures("index_select")
def index_select(tracer: Tracer, call: Call) -> Value:
    """``torch.index_select``"""
    return taken(tracer, call.first(), call["dim"], call["index"], call)


@captures("embedding")
def embedding(tracer: Tracer, call: Call) -> Value:
    """``F.embedding``: rows of the weight."""
    return taken(tracer, call["weight"], 0, call["indices"], call)


def taken(tracer: Tracer, x: Value, dim: int, chosen: Value, call: Call) -> Value:
    """Elements along one dimension."""
    dim = x.dim(dim)
    shape = (*x.shape[:dim], *chosen.shape, *x.shape[dim + 1 :])
    if not chosen.fixed or chosen.batch is not None or shape != call.shape:
        raise UnsupportedError("what it chooses depends on the input")
    if chosen.shape == ():
        raise UnsupportedError("it chooses one element")
    (made,) = tracer.emit(Take(axis=x.axis(dim)), tracer.ref(x), tracer.ref(chosen))
    batch = x.batch
    if batch is not None and dim < batch.dim:
        batch = batch._replace(dim=batch.dim + len(chosen.shape) - 1)
    return tracer.checked(Value(shape, batch, made))


@captures("flip")
def flip(tracer: Tracer, call: Call) -> Value:
    """``torch.flip``: each axis in the opposite order."""
    x = call.first()
    ref = tracer.ref(x)
    for dim in numbers(call["dims"]):
        (order,) = tracer.emit(Constant(shape=(x.shape[x.dim(dim)],)))
        (ref,) = tracer.emit(Take(axis=x.axis(dim)), ref, order)
    return tracer.checked(Value(x.shape, x.batch, ref))


@captures("roll")
def roll(tracer: Tracer, call: Call) -> Value:
    """``torch.roll``"""
    x, dims, shifts = call.first(), numbers(call["dims"]), numbers(call["shifts"])
    if not dims:
        raise UnsupportedError("it shifts all elements in a row")
    return tracer.one(Roll(shifts=tuple(shifts), axes=tuple(x.axis(dim) for dim in dims)), x)


@captures("unfold")
def unfold(tracer: Tracer, call: Call) -> Value:
    """``x.unfold(dim, size, step)``"""
    x = call.first()
    layer = SlidingWindows(size=call["size"], step=call["step"], axis=x.axis(call["dimension"]))
    return tracer.one(layer, x, call.shape)


@captures("im2col")
def im2col(tracer: Tracer, call: Call) -> Value:
    """``F.unfold``"""
    x = call.first()
    layer = Unfold(
        kernel=one_or_each(call["kernel_size"], 2),
        stride=one_or_each(call["stride"], 2),
        padding=one_or_each(call["padding"], 2),
        dilation=one_or_each(call["dilation"], 2),
    )
    (made,) = tracer.emit(layer, feature_map(tracer, x, 2))
    return tracer.checked(Value(call.shape, x.batch, made))


@captures("col2im")
def col2im(tracer: Tracer, call: Call) -> Value:
    """``F.fold``"""
    x = call.first()
    layer = Fold(
        size=one_or_each(call["output_size"], 2),
        kernel=one_or_each(call["kernel_size"], 2),
        stride=one_or_each(call["stride"], 2),
        padding=one_or_each(call["padding"], 2),
        dilation=one_or_each(call["dilation"], 2),
    )
    (made,) = tracer.emit(layer, feature_map(tracer, x, 1))
    return tracer.checked(Value(call.shape, x.batch, made))


# -- padding ---------------------------------------------------------------------------------------


@captures("pad", "constant_pad_nd")
def pad(tracer: Tracer, call: Call) -> Value:
    """``F.pad``: a pad layer for spatial axes, concatenation with a constant for others."""
    x = call.first()
    given, mode = numbers(call["pad"]), call["mode"] or "constant"
    pairs = [(given[i], given[i + 1]) for i in range(0, len(given), 2)][::-1]
    dims = list(range(len(x.shape) - len(pairs), len(x.shape)))
    value = 0.0 if call["value"] is None else number(call["value"])
    return padded(tracer, x, dict(zip(dims, pairs, strict=True)), mode, value, call.shape)


@captures(*(f"{mode}_pad{rank}d" for mode in ("reflection", "replication") for rank in (1, 2, 3)))
def mirror(tracer: Tracer, call: Call) -> Value:
    """``F.pad`` with the tensor's own values."""
    x = call.first()
    given = numbers(call["padding"])
    pairs = [(given[i], given[i + 1]) for i in range(0, len(given), 2)][::-1]
    dims = range(len(x.shape) - len(pairs), len(x.shape))
    mode = "reflect" if call.name.startswith("reflection") else "replicate"
    return padded(tracer, x, dict(zip(dims, pairs, strict=True)), mode, 0.0, call.shape)


def padded(tracer: Tracer, x: Value, ends: dict[int, tuple[int, int]], mode: Any, value: float, shape: Shape) -> Value:
    """A tensor with units put before and after, or with fewer of them where the number is negative."""
    for dim, (before, after) in list(ends.items()):
        if min(before, after) < 0:
            x = cut(tracer, x, dim, max(-before, 0), x.shape[dim] - max(-after, 0))
            ends[dim] = max(before, 0), max(after, 0)
    ends = {dim: pair for dim, pair in ends.items() if any(pair)}
    if not ends:
        return x
    by_axis = {x.axis(dim): pair for dim, pair in ends.items()}
    if 0 not in by_axis and len(x.sample) >= 2:
        rest = tuple(by_axis.get(axis, (0, 0)) for axis in range(1, len(x.sample)))
        plain = len(set(rest)) == 1 and rest[0][0] == rest[0][1]
        return tracer.one(Pad(padding=rest[0][0] if plain else rest, mode=mode, value=value), x, shape)
    if mode != "constant":
        raise UnsupportedError(f"{mode} padding of the first axis")
    for dim, (before, after) in ends.items():
        axis, pieces = x.axis(dim), [tracer.ref(x)]
        for count, first in ((before, True), (after, False)):
            if count:
                size = (*x.sample[:axis], count, *x.sample[axis + 1 :])
                (more,) = tracer.emit(Constant(shape=size))
                pieces = [more, *pieces] if first else [*pieces, more]
        (ref,) = tracer.emit(Concat(axis=axis), *pieces)
        x = Value((*x.shape[:dim], x.shape[dim] + before + after, *x.shape[dim + 1 :]), x.batch, ref)
    return tracer.checked(x)
