"""Strides against PyTorch's own tensors."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncalc.layers import strides as layout

SIZES = st.sampled_from([1, 1, 2, 3, 4])


@st.composite
def tensors(draw, rank=None, shape=None):
    """A tensor whose axes lie in any order, dense or with holes."""
    rank = draw(st.integers(1, 5)) if rank is None else rank
    shape = tuple(draw(SIZES) for _ in range(rank)) if shape is None else shape
    order = draw(st.permutations(range(len(shape))))
    holes = [draw(st.sampled_from([0, 0, 1])) for _ in shape]
    larger = [size + hole for size, hole in zip(shape, holes, strict=True)]
    whole = torch.zeros([larger[axis] for axis in order])
    back = [order.index(axis) for axis in range(len(order))]
    return whole.permute(back)[tuple(slice(0, size) for size in shape)]


def lies(tensor):
    return tuple(tensor.shape), tuple(tensor.stride())


@settings(max_examples=60)
@given(tensors())
def test_contiguous_and_dense(x) -> None:
    assert layout.is_contiguous(*lies(x)) == x.is_contiguous()
    assert layout.contiguous(tuple(x.shape)) == torch.empty(x.shape).stride()
    # a copy lies in the same way only where the tensor is dense
    assert not layout.is_dense(*lies(x)) or torch.empty_like(x).stride() == x.stride()
    assert layout.is_dense(*lies(x)) or not x.is_contiguous()


@settings(max_examples=60)
@given(tensors())
def test_a_copy_lies_as_the_tensor_does(x) -> None:
    assert layout.preserved(*lies(x)) == torch.empty_like(x).stride()
    assert layout.pointwise(tuple(x.shape), [lies(x)]) == x.sin().stride()


@settings(max_examples=60)
@given(st.data())
def test_pointwise_over_two(data) -> None:
    first = data.draw(tensors())
    other = tuple(data.draw(st.sampled_from([1, size])) for size in first.shape)
    second = data.draw(tensors(shape=other))
    out = first + second
    assert layout.pointwise(tuple(out.shape), [lies(first), lies(second)]) == out.stride()
    assert layout.pointwise(tuple(out.shape), [lies(second), lies(first)]) == (second + first).stride()


@settings(max_examples=60)
@given(st.data())
def test_views(data) -> None:
    x = data.draw(tensors())
    left, new = x.numel(), []
    while left > 1:
        size = data.draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0]))
        new.append(size)
        left //= size
    try:
        expected = tuple(x.view(new).stride())
    except RuntimeError:
        expected = None
    assert layout.view(*lies(x), tuple(new)) == expected


@settings(max_examples=60)
@given(st.sampled_from([4, 5]).flatmap(lambda rank: tensors(rank=rank)))
def test_what_suggests_channels_last(x) -> None:
    """By where a pool puts its output: it asks for nothing else."""
    pool = torch.nn.functional.max_pool2d if x.dim() == 4 else torch.nn.functional.max_pool3d
    assert layout.formatted(tuple(x.shape), lies(x)) == pool(x, 1).stride()
