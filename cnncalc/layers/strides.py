"""How PyTorch lays tensors out in memory: strides, the batch included, of what its kernels and views return.

Sizes and strides are those of ``torch.Tensor.stride()``: elements from one unit to the next along each
axis. The rules are those of the CPU kernels. They matter where a kernel takes another way for an
input that does not lie in order, as a linear layer does.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnncalc.layers.base import Strides

Sizes = tuple[int, ...]


def strides_in(order: Sequence[int], sizes: Sizes) -> Strides:
    """Strides of a dense tensor whose axes lie in this order, the one of neighbouring elements first."""
    strides, step = [0] * len(sizes), 1
    for axis in order:
        strides[axis] = step
        step *= sizes[axis]
    return tuple(strides)


def in_order(sizes: Sizes) -> Strides:
    """Strides of a tensor that lies in order: the last axis in neighbouring elements."""
    return strides_in(range(len(sizes) - 1, -1, -1), sizes)


def _channels_order(rank: int) -> tuple[int, ...]:
    """The order of ``torch.channels_last``: channels in neighbouring elements."""
    return (1, *range(rank - 1, 1, -1), 0)


def _lies(order: Sequence[int], sizes: Sizes, strides: Strides) -> bool:
    """Whether a tensor is dense in this order; the strides of axes of size 1 do not matter."""
    step = 1
    for axis in order:
        if sizes[axis] != 1:
            if strides[axis] != step:
                return False
            step *= sizes[axis]
    return True


def is_in_order(sizes: Sizes, strides: Strides) -> bool:
    """``Tensor.is_contiguous()``"""
    return _lies(range(len(sizes) - 1, -1, -1), sizes, strides)


def _is_dense(sizes: Sizes, strides: Strides) -> bool:
    """Whether each element of a stretch of memory belongs to the tensor, and but once."""
    order = sorted(range(len(sizes)), key=lambda axis: strides[axis])
    return _lies(order, sizes, strides)


def suggests_channels_last(sizes: Sizes, strides: Strides) -> bool:
    """Whether ``Tensor.suggest_memory_format()`` is channels last (``is_channels_last_strides_2d`` in c10)."""
    if len(sizes) not in (4, 5) or strides[1] == 0:
        return False
    least = 0
    for axis in _channels_order(len(sizes)):
        if strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return True


def like_image(inputs: Sequence[tuple[Sizes, Strides]], out: Sizes) -> Strides:
    """What convolutions, pools and the like return: channels last where all inputs lie so, else in order."""
    last = all(len(sizes) == len(out) and suggests_channels_last(sizes, strides) for sizes, strides in inputs)
    return strides_in(_channels_order(len(out)), out) if last else in_order(out)


def like_operands(inputs: Sequence[tuple[Sizes, Strides]], out: Sizes) -> Strides:
    """What pointwise kernels return (``TensorIterator``): the inputs' layout, the first one's where they differ."""
    rank = len(out)
    if all(sizes == out for sizes, _ in inputs):
        if all(is_in_order(*one) for one in inputs):
            return in_order(out)
        if rank in (4, 5) and all(_lies(_channels_order(rank), *one) for one in inputs):
            return strides_in(_channels_order(rank), out)
        if all(_is_dense(*one) for one in inputs) and len({strides for _, strides in inputs}) == 1:
            return inputs[0][1]
    # a broadcast axis has no stride
    steps = [
        [0 if size == 1 != full else stride for size, full, stride in zip(sizes, out, strides, strict=True)]
        for sizes, strides in inputs
    ]

    def compare(first: int, second: int) -> int:
        """Above 0 where ``first`` belongs behind ``second``, below where it stands right, 0 where no input tells."""
        for stride in steps:
            if stride[first] and stride[second]:
                if stride[first] != stride[second]:
                    return stride[first] - stride[second]
                if out[first] > out[second]:
                    return 1
        return 0

    order = list(range(rank - 1, -1, -1))
    for start in range(1, rank):
        place = start
        for before in range(start - 1, -1, -1):
            found = compare(order[before], order[place])
            if found > 0:
                order[before], order[place] = order[place], order[before]
                place = before
            elif found < 0:
                break
    return strides_in(order, out)


def reshaped(sizes: Sizes, strides: Strides, out: Sizes) -> Strides:
    """What ``torch.reshape`` returns: a view where there is one (``computeStride`` in ATen), else a copy in order."""
    strides_out = [0] * len(out)
    place = len(out) - 1
    chunk, elements, room = strides[-1] if strides else 1, 1, 1
    for axis in range(len(sizes) - 1, -1, -1):
        elements *= sizes[axis]
        # the end of a stretch of axes that lie evenly in memory
        if axis == 0 or (sizes[axis - 1] != 1 and strides[axis - 1] != elements * chunk):
            while place >= 0 and (room < elements or out[place] == 1):
                strides_out[place] = room * chunk
                room *= out[place]
                place -= 1
            if room != elements:
                return in_order(out)
            if axis > 0:
                chunk, elements, room = strides[axis - 1], 1, 1
    return tuple(strides_out) if place == -1 else in_order(out)
