"""Interpolation, and the moves between channels and space, against PyTorch."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import nn

from cnncalc.errors import LayerError
from cnncalc.formulas import resample
from cnncalc.formulas.receptive_field import MAX_PERIOD
from cnncalc.layers.base import EVERYTHING, SCATTERED
from cnncalc.layers.resample import ChannelShuffle, PixelShuffle, PixelUnshuffle, Upsample, simplest_ratio
from tests.layers.draws import mostly, one_or_each, per_axis, shapes
from tests.layers.oracle import agree, check_layer, tensors

quick = settings(deadline=None, max_examples=60)

MODES = ["nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"]
NAMES = {1: ["nearest", "nearest-exact", "linear", "area"], 3: ["nearest", "nearest-exact", "trilinear", "area"]}
NAMES[2] = ["nearest", "nearest-exact", "bilinear", "bicubic", "area"]
SCALES = st.one_of(
    st.sampled_from([0.5, 1, 1.5, 2, 2.5, 3, 4, 0.25, 0.75, 1.1, 2.1, 1.3, 1 / 3, 2 / 3]), st.floats(0.2, 4)
)


def nonempty(function):
    """``function``, refusing where PyTorch goes on with an empty tensor; we do not."""

    def checked(*inputs):
        outputs = tensors(function(*inputs))
        if any(out.numel() == 0 for out in outputs):
            raise ValueError("an empty tensor")
        return outputs

    return checked


def pytorch_interpolate(fields):
    """``F.interpolate`` with the raw fields; PyTorch wants ``align_corners`` absent where it is not true."""
    raw = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    if not raw.pop("align_corners", False):
        return nonempty(lambda x: F.interpolate(x, **raw))
    return nonempty(lambda x: F.interpolate(x, **raw, align_corners=True))


@quick
@given(shapes(least_rank=0), st.data())
def test_upsample_takes_what_pytorch_takes(shape, data):
    rank = len(shape) - 1
    some = mostly(st.sampled_from(["size", "scale_factor"]), "both", "none")
    given_ = data.draw(some)
    fields = {"mode": data.draw(st.sampled_from(MODES)), "align_corners": data.draw(st.booleans())}
    assume(fields["mode"] != "linear" or rank == 1)  # there it is PyTorch's bilinear or trilinear, see below
    if given_ in ("size", "both"):
        fields["size"] = data.draw(mostly(one_or_each(st.integers(1, 12), rank), 0, -1, [2] * (rank + 1)))
    if given_ in ("scale_factor", "both"):
        fields["scale_factor"] = data.draw(mostly(one_or_each(SCALES, rank), 0, -1.5, 0.01, [2] * (rank + 1)))
    agree(Upsample, fields, shape, pytorch=pytorch_interpolate(fields))


@quick
@given(st.integers(1, 400), SCALES, st.sampled_from(["nearest", "linear", "area"]))
@example(100, 0.29, "nearest")  # 28.999999999999996 in double precision
@example(10, 0.7, "nearest")  # 7.0, though 0.7 is less than seven tenths
def test_upsample_rounds_sizes_as_pytorch(size, scale, mode):
    fields = {"scale_factor": scale, "mode": mode}
    agree(Upsample, fields, (1, size), pytorch=pytorch_interpolate(fields), batch=1)


@settings(deadline=None, max_examples=150)
@given(shapes(), st.data())
def test_upsample(shape, data):
    rank = len(shape) - 1
    mode = data.draw(st.sampled_from(NAMES[rank]))
    corners = data.draw(st.booleans()) and mode not in ("nearest", "nearest-exact", "area")
    if data.draw(st.booleans()):
        size = data.draw(one_or_each(st.integers(1, 10), rank))
        layer = Upsample(size=tuple(size) if isinstance(size, list) else size, mode=mode, align_corners=corners)
    else:
        scale = data.draw(one_or_each(SCALES, rank))
        for size, factor in zip(shape[1:], per_axis(scale, rank), strict=True):
            out = int(size * factor)
            assume(out >= 1)
            # Where a fractional factor gives the size itself or its double, some of PyTorch's kernels
            # ignore the factor and others do not, by rank and by size (pytorch/pytorch#97770).
            assume(mode != "nearest" or out not in (size, 2 * size) or out == size * factor)
        scale = tuple(scale) if isinstance(scale, list) else scale
        layer = Upsample(scale_factor=scale, mode=mode, align_corners=corners)
    check_layer(layer, shape)


@pytest.mark.parametrize("scale", [1.1, 1.19])
@pytest.mark.parametrize(("mode", "rank"), [("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)])
def test_a_factor_that_gives_the_very_size(mode, rank, scale):
    """Linear interpolation copies then, cubic does not."""
    check_layer(Upsample(scale_factor=scale, mode=mode), (1, 5, 4, 4)[: rank + 1])


@quick
@given(shapes(), st.integers(1, 10), st.booleans())
def test_linear_is_any_rank(shape, size, corners):
    own = ("linear", "bilinear", "trilinear")[len(shape) - 2]
    layer = Upsample(size=size, mode="linear", align_corners=corners)
    check_layer(layer, shape, reads=False)
    assert layer.reads(shape) == Upsample(size=size, mode=own, align_corners=corners).reads(shape)
    assert layer.elementwise_ops(shape) == prod(layer.output_shape(shape)) * {1: 3, 2: 7, 3: 15}[len(shape) - 1]


def test_elementwise_operations():
    shape = (3, 4, 6)
    assert Upsample(scale_factor=2).elementwise_ops(shape) == 0
    assert Upsample(scale_factor=2, mode="nearest-exact").elementwise_ops(shape) == 0
    assert Upsample(scale_factor=2, mode="bicubic").elementwise_ops(shape) == 3 * 8 * 12 * 31


@quick
@given(shapes(), st.data())
def test_area_costs_one_operation_for_each_element_of_each_window(shape, data):
    size = data.draw(st.lists(st.integers(1, 12), min_size=len(shape) - 1, max_size=len(shape) - 1))
    windows = [
        sum(sum(1 for x in range(h) if (x + 1) * o > i * h and x * o < (i + 1) * h) for i in range(o))
        for h, o in zip(shape[1:], size, strict=True)
    ]
    assert Upsample(size=tuple(size), mode="area").elementwise_ops(shape) == shape[0] * prod(windows)


def test_area_to_one_unit_is_global():
    assert Upsample(size=(1, 2), mode="area").reads((3, 4, 6))[0][1] == EVERYTHING


def test_pattern_too_long_is_not_told():
    layer = Upsample(scale_factor=1.2345678901)
    assert layer.reads((3, 100))[0][1] == SCATTERED
    for mode in ("linear", "area"):
        assert Upsample(size=MAX_PERIOD + 1, mode=mode).reads((3, MAX_PERIOD))[0][1] == SCATTERED
    assert PixelUnshuffle(downscale_factor=1000).reads((3, 1000, 1000))[0][0] == SCATTERED
    assert ChannelShuffle(groups=1 << 20).reads((1 << 20, 1))[0][0] == SCATTERED


@given(st.integers(1, 300), st.integers(1, 300))
def test_simplest_ratio(top, bottom):
    """The float of a short fraction is taken for that fraction."""
    common = Fraction(top, bottom)
    assert simplest_ratio(top / bottom) == (common.numerator, common.denominator)


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(0, 98)), min_size=1))
def test_formulas_take_arrays(cases):
    """The same formulas on ints, on arrays, and in rational arithmetic."""
    sizes, outs, units = (np.array(column) for column in zip(*cases, strict=True))
    units %= outs
    kinds = {
        "floor": (resample.floor_grid, lambda h, o, i: i * Fraction(h, o)),
        "centre": (resample.centre_grid, lambda h, o, i: (i + Fraction(1, 2)) * Fraction(h, o)),
        "half": (resample.half_pixel_grid, lambda h, o, i: (i + Fraction(1, 2)) * Fraction(h, o) - Fraction(1, 2)),
        "corner": (resample.corner_grid, lambda h, o, i: i * Fraction(h - 1, o - 1) if o > 1 else Fraction(0)),
    }
    for make, position in kinds.values():
        first, last = resample.sampled_taps(make(sizes, outs), units, resample.CUBIC)
        for k, (h, o) in enumerate(zip(sizes.tolist(), outs.tolist(), strict=True)):
            x = position(h, o, int(units[k]))
            whole = x.denominator == 1
            assert (first[k], last[k]) == ((x, x) if whole else (x // 1 - 1, x // 1 + 2))


IMAGES = st.tuples(st.sampled_from([1, 2, 4, 8, 9, 18]), st.integers(1, 6), st.integers(1, 6))


@quick
@given(IMAGES, mostly(st.integers(1, 3), 0, -2))
def test_pixel_shuffle(shape, factor):
    layer = {"upscale_factor": factor}
    if agree(PixelShuffle, layer, shape, pytorch=lambda x: nn.PixelShuffle(factor)(x)):
        check_layer(PixelShuffle(upscale_factor=factor), shape)


@quick
@given(IMAGES, mostly(st.integers(1, 3), 0, -2))
def test_pixel_unshuffle(shape, factor):
    layer = {"downscale_factor": factor}
    if agree(PixelUnshuffle, layer, shape, pytorch=lambda x: nn.PixelUnshuffle(factor)(x)):
        check_layer(PixelUnshuffle(downscale_factor=factor), shape)


@quick
@given(shapes(least_rank=0, channels=st.sampled_from([1, 2, 4, 6, 12])), mostly(st.integers(1, 6), 0, -2))
def test_channel_shuffle(shape, groups):
    if agree(ChannelShuffle, {"groups": groups}, shape, pytorch=lambda x: nn.ChannelShuffle(groups)(x)):
        check_layer(ChannelShuffle(groups=groups), shape)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Upsample(), (3, 8), "needs either scale_factor or size$"),
        (Upsample(scale_factor=2, size=4), (3, 8), "needs either scale_factor or size, not both"),
        (Upsample(scale_factor=2), (3,), "spatial axes, got 3$"),
        (Upsample(scale_factor=(2, 2)), (3, 8), "scale_factor has 2 values"),
        (Upsample(scale_factor=0.1), (3, 8, 20), r"0\.1 leaves nothing of height 8"),
        (Upsample(scale_factor=2, mode="bilinear"), (3, 8), "bilinear interpolation is for 2 spatial axes"),
        (Upsample(scale_factor=2, align_corners=True), (3, 8), "align_corners means nothing for mode nearest"),
        (Upsample(scale_factor=2), (3, 4, 4, 4, 4), "takes at most 3 spatial axes, the input 3×4×4×4×4 has 4"),
        (PixelShuffle(upscale_factor=2), (6, 4, 4), "6 channels are no multiple of upscale_factor² = 4"),
        (PixelShuffle(upscale_factor=2), (4, 4), "needs channels, height and width, got 4×4"),
        (PixelUnshuffle(downscale_factor=2), (1, 4, 5), "width 5 is no multiple"),
        (ChannelShuffle(groups=4), (6, 4, 4), "groups 4 does not divide the 6 channels"),
    ],
)
def test_errors(layer, shape, message):
    with pytest.raises(LayerError, match=message):
        layer.output_shape(shape)
