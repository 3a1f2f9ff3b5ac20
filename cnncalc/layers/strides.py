"""Where the elements of a tensor lie: strides, as PyTorch chooses them for the results of its operations.

They alone decide whether ``flatten`` is a view of its input or a copy. Shapes and strides here are
those of whole batches, batch first, and strides count elements.

Sources: ``aten/src/ATen/TensorIterator.cpp`` (``reorder_dimensions``), ``aten/src/ATen/TensorUtils.cpp``
(``computeStride``) and ``c10/core/MemoryFormat.h`` of PyTorch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Sizes = tuple[int, ...]


def strides_in_order(shape: Sizes, order: Iterable[int]) -> Sizes:
    """Strides of a dense tensor whose axes follow each other in memory as in ``order``, the innermost first."""
    strides, step = [0] * len(shape), 1
    for axis in order:
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def contiguous(shape: Sizes) -> Sizes:
    """Strides with the last axis innermost."""
    return strides_in_order(shape, range(len(shape) - 1, -1, -1))


def channels_last(shape: Sizes) -> Sizes:
    """Strides with the channels innermost, then the spatial axes from the last, then the batch."""
    return strides_in_order(shape, (1, *range(len(shape) - 1, 1, -1), 0))


def lies_as(shape: Sizes, strides: Sizes, other: Sizes) -> bool:
    """Whether the elements lie as with the strides ``other``; strides of axes of size 1 do not matter."""
    return all(a == b for size, a, b in zip(shape, strides, other, strict=True) if size != 1)


def is_contiguous(shape: Sizes, strides: Sizes) -> bool:
    """Whether the elements lie in the order of their indices."""
    return lies_as(shape, strides, contiguous(shape))


def is_dense(shape: Sizes, strides: Sizes) -> bool:
    """Whether the elements fill a range of memory, each once, in any order of the axes."""
    step = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape, strict=True) if size != 1):
        if stride != step:
            return False
        step *= size
    return True


def suggests_channels_last(shape: Sizes, strides: Sizes) -> bool:
    """Whether PyTorch treats the tensor as channels last (only images and volumes)."""
    if len(shape) not in (4, 5) or strides[1] == 0:
        return False
    least = 0
    for axis in (1, *range(len(shape) - 1, 1, -1), 0):
        # an image of one pixel or one channel counts as contiguous
        if strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * max(shape[axis], 1)
    return True


def formatted(shape: Sizes, like: tuple[Sizes, Sizes]) -> Sizes:
    """Strides of a new tensor that is channels last where the tensor ``like`` (shape, strides) suggests it."""
    return channels_last(shape) if suggests_channels_last(*like) else contiguous(shape)


def preserved(shape: Sizes, strides: Sizes) -> Sizes:
    """Strides of a copy: unchanged if dense, else dense in the same order."""
    return strides if is_dense(shape, strides) else pointwise(shape, [(shape, strides)])


def pointwise(shape: Sizes, operands: Sequence[tuple[Sizes, Sizes]]) -> Sizes:
    """Strides of a pointwise operation's result, for operands (shape, strides) broadcast to ``shape``."""
    if all(own == shape for own, _ in operands):
        if all(is_contiguous(*operand) for operand in operands):
            return contiguous(shape)
        if len(shape) == 4 and all(lies_as(*operand, channels_last(shape)) for operand in operands):
            return channels_last(shape)
        first = operands[0][1]
        if all(is_dense(*operand) and operand[1] == first for operand in operands):
            return first
    spread = [_broadcast(shape, *operand) for operand in operands]
    order = list(range(len(shape) - 1, -1, -1))
    for position in range(1, len(order)):
        here = position
        for before in range(position - 1, -1, -1):
            which = _compare(shape, spread, order[before], order[here])
            if which > 0:
                order[before], order[here] = order[here], order[before]
                here = before
            elif which < 0:
                break
    return strides_in_order(shape, order)


def _broadcast(shape: Sizes, own: Sizes, strides: Sizes) -> Sizes:
    """Strides with 0 for the axes that an operand lacks or repeats."""
    missing = len(shape) - len(own)
    kept = (0 if have == 1 != want else step for have, want, step in zip(own, shape[missing:], strides, strict=True))
    return (*(0 for _ in range(missing)), *kept)


def _compare(shape: Sizes, operands: Sequence[Sizes], inner: int, outer: int) -> int:
    """1 where the axis ``inner`` must come after ``outer``, −1 where before; 0 where undecided."""
    for strides in operands:
        first, second = strides[inner], strides[outer]
        if 0 in (first, second):
            continue
        if first != second:
            return -1 if first < second else 1
        if shape[inner] > shape[outer]:
            return 1
    return 0


def view(shape: Sizes, strides: Sizes, new: Sizes) -> Sizes | None:
    """Strides of the same elements under the axes ``new``; ``None`` where only a copy can have them."""
    result = [0] * len(new)
    place, step, elements, wanted = len(new) - 1, strides[-1] if strides else 1, 1, 1
    for axis in range(len(shape) - 1, -1, -1):
        elements *= shape[axis]
        # a run of axes ends where the next outer axis does not continue it
        if axis == 0 or (shape[axis - 1] != 1 and strides[axis - 1] != elements * step):
            while place >= 0 and (wanted < elements or new[place] == 1):
                result[place] = wanted * step
                wanted *= new[place]
                place -= 1
            if wanted != elements:
                return None
            if axis > 0:
                step, elements, wanted = strides[axis - 1], 1, 1
    return tuple(result) if place < 0 else None
