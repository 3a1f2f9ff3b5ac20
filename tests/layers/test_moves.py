"""The layers that captured nets brought: broadcast, roll, take, windows, convolution by a tensor, statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.errors import LayerError
from cnncalc.layers.conv import FunctionalConv
from cnncalc.layers.merge import Divide
from cnncalc.layers.reduce import Variance, VectorNorm
from cnncalc.layers.shape import Broadcast, Fold, PerSample, Roll, SlidingWindows, Take, Unfold
from cnncalc.torch import build_layer
from tests.layers.oracle import agree, check_layer


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (Broadcast(shape=(3, 4, 5)), [(3, 1, 5)]),
        (Broadcast(shape=(2, 3, 4)), [(3, 1)]),
        (Fold(size=(6, 5), kernel=3, stride=2, padding=1), [(18, 9)]),
        (Fold(size=4, kernel=2, dilation=2), [(8, 4)]),
        (Fold(size=4, kernel=1, padding=1), [(3, 36)]),
        (Fold(size=(3, 4), kernel=2, stride=(3, 2), padding=2, dilation=3), [(8, 6)]),
        (PerSample(), [(3, 5), (2, 4, 4)]),
        (Roll(shifts=2, axes=1), [(3, 5, 4)]),
        (Roll(shifts=(-1, 7), axes=(1, 2)), [(3, 5, 4)]),
        (SlidingWindows(size=3, step=2, axis=1), [(2, 7, 4)]),
        (SlidingWindows(size=2, step=3), [(2, 7, 5)]),
        (Divide(), [(3, 4, 4), (3, 1, 1)]),
        (Unfold(kernel=1, stride=2), [(2, 5, 7)]),
        (Unfold(kernel=2, stride=3, padding=1), [(2, 8, 7)]),
        (Unfold(kernel=(3, 2), stride=5, dilation=2), [(2, 10, 9)]),
        (VectorNorm(axes=(1, 2), keepdim=True), [(3, 4, 4)]),
        (Variance(axes=0, correction=0), [(3, 4, 4)]),
    ],
)
def test_all_claims(layer, shapes):
    check_layer(layer, *shapes)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_by_a_tensor(groups, bias):
    """One weight for each sample, as PyTorch's own convolution gives it sample by sample."""
    layer = FunctionalConv(stride=2, padding=1, groups=groups)
    shapes = [(4, 7, 6), (6, 4 // groups, 3, 3), *([(6,)] if bias else [])]
    x, weight, *rest = tensors = [torch.randn(3, *shape) for shape in shapes]
    expected = [
        F.conv2d(x[n : n + 1], weight[n], rest[0][n] if rest else None, stride=2, padding=1, groups=groups)
        for n in range(3)
    ]
    torch.testing.assert_close(build_layer(layer, *shapes)(*tensors), torch.cat(expected), rtol=1e-4, atol=1e-5)
    check_layer(layer, *shapes, reads=groups == 1)


@given(sizes=st.lists(st.integers(1, 7), min_size=2, max_size=2), kernel=st.integers(1, 4), data=st.data())
def test_unfold_takes_what_pytorch_takes(sizes, kernel, data):
    stride, padding, dilation = (data.draw(st.integers(least, 3)) for least in (1, 0, 1))
    fields = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    agree(
        Unfold,
        fields,
        (2, *sizes),
        pytorch=lambda x: F.unfold(x, kernel, dilation, padding, stride),
    )


def test_take():
    x, index = torch.randn(2, 5, 3), torch.tensor([[[4.0, 0.0], [1.0, 1.0]]])
    out = build_layer(Take(axis=0), (5, 3), (2, 2))(x, index)
    assert torch.equal(out, x[:, index[0].long()])
    assert Take(axis=0).output_shape((5, 3), (2, 2)) == (2, 2, 3)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (Broadcast(shape=(3, 4)), [(2, 4)], "cannot expand 2×4 to 3×4"),
        (Roll(shifts=(1, 2), axes=1), [(3, 4)], "shifts has 2 values, axes 1"),
        (SlidingWindows(size=5), [(3, 4)], "size 5 is larger than length 4"),
        (Fold(size=4, kernel=2), [(3, 9)], "3 is no multiple of a patch's 4 elements"),
        (Fold(size=4, kernel=2), [(8, 4)], "an image of 4×4 has 3×3 patches, the input 4"),
        (Fold(size=4, kernel=2), [(3, 4, 4)], "needs the elements of patches, and patches"),
        (Unfold(kernel=2), [(3, 4)], "needs channels, height and width"),
        (Variance(axes=0), [(1, 4)], "the variance of 1 elements needs a correction below"),
        (FunctionalConv(), [(3, 4, 4), (2, 3, 3)], "needs a weight of 4 axes for 3×4×4, got 2×3×3"),
        (FunctionalConv(), [(3, 4, 4), (2, 2, 3, 3)], "is for 2 channels, the input has 3"),
        (FunctionalConv(), [(3, 4, 4), (2, 3, 3, 3), (3,)], "needs a bias of 2, got 3"),
    ],
)
def test_what_is_refused(layer, shapes, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(*shapes)
