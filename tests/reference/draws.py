"""For every layer class a strategy of layers with input shapes that they take."""

from __future__ import annotations

import msgspec
from hypothesis import assume
from hypothesis import strategies as st

from cnncalc.errors import LayerError
from cnncalc.layers import (
    activation,
    arithmetic,
    attention,
    conv,
    linear,
    merge,
    norm,
    pool,
    reduce,
    regularization,
    resample,
    tensor,
)
from cnncalc.layers import shape as moves
from tests.layers.draws import one_or_each

SIZES = {0: 0, 1: 9, 2: 7, 3: 5}
"""Largest spatial size by rank."""
SMALL = st.integers(1, 3)


@st.composite
def maps(draw, least_rank=1, channels=SMALL, most=SIZES):
    """A shape of up to three spatial axes."""
    rank = draw(st.integers(least_rank, 3))
    return (draw(channels), *(draw(st.integers(1, most[rank])) for _ in range(rank)))


TENSORS = st.lists(SMALL, min_size=1, max_size=4).map(tuple)
"""A small shape of any rank."""


def layers(layer_class, raw, *shapes):
    """The layer of raw fields and its input shapes, where it takes them."""
    layer = msgspec.convert(raw, layer_class)
    try:
        outputs = layer.output_shapes(*shapes)
    except LayerError:
        assume(False)
    assume(all(min(shape, default=1) > 0 for shape in outputs))
    return layer, shapes


def fields(**strategies):
    """Fields, each of them given or left out."""
    return st.fixed_dictionaries({}, optional=strategies)


@st.composite
def elementwise(draw, layer_class, **strategies):
    """A layer that keeps any shape."""
    return layers(layer_class, draw(fields(**strategies)), draw(TENSORS))


def ends(rank, most):
    """Padding: a number, one per axis or a pair per axis."""
    end = st.integers(0, most)
    pairs = st.lists(st.lists(end, min_size=2, max_size=2), min_size=rank, max_size=rank)
    return st.one_of(one_or_each(end, rank), pairs)


@st.composite
def convs(draw, layer_class):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    shape = draw(maps(channels=SMALL.map(lambda n: n * groups)))
    rank = len(shape) - 1
    raw = {"out": groups * draw(SMALL), "kernel": draw(one_or_each(SMALL, rank)), "groups": groups}
    raw |= draw(fields(stride=one_or_each(SMALL, rank), dilation=one_or_each(SMALL, rank), bias=st.booleans()))
    if layer_class is conv.Conv:
        raw["padding"] = draw(st.one_of(ends(rank, 3), st.sampled_from(["same", "valid"])))
        raw["padding_mode"] = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    else:
        raw["padding"] = draw(ends(rank, 2))
        raw["output_padding"] = draw(one_or_each(st.integers(0, 2), rank))
    return layers(layer_class, raw, shape)


@st.composite
def pools(draw, layer_class):
    shape = draw(maps())
    rank = len(shape) - 1
    raw = {"kernel": draw(one_or_each(st.integers(1, 4), rank))}
    raw |= draw(fields(stride=one_or_each(SMALL, rank), ceil_mode=st.booleans()))
    if layer_class is pool.LpPool:
        raw["norm_type"] = draw(st.sampled_from([1.0, 2.0, 3.5]))
    else:
        raw["padding"] = draw(st.one_of(ends(rank, 2), st.sampled_from(["same", "valid"])))
    if layer_class is pool.MaxPool:
        raw["dilation"] = draw(one_or_each(SMALL, rank))
    if layer_class is pool.AvgPool:
        raw |= draw(fields(count_include_pad=st.booleans(), divisor_override=SMALL))
    return layers(layer_class, raw, shape)


@st.composite
def adaptive_pools(draw, layer_class):
    shape = draw(maps())
    size = draw(one_or_each(st.one_of(st.integers(1, 6), st.none()), len(shape) - 1))
    return layers(layer_class, {"output_size": size}, shape)


@st.composite
def on_maps(draw, layer_class, least_rank=1, channels=SMALL, **strategies):
    """A layer on a feature map."""
    return layers(layer_class, draw(fields(**strategies)), draw(maps(least_rank, channels)))


@st.composite
def along_axes(draw, layer_class, field, several=True, required=False, **strategies):
    """A layer on a tensor of any rank that names axes of it."""
    shape = draw(TENSORS)
    axis = st.integers(-len(shape), len(shape) - 1)
    axes = st.lists(axis, min_size=1, max_size=len(shape), unique_by=lambda a: a % len(shape))
    raw = draw(fields(**strategies))
    if required or draw(st.booleans()):
        raw[field] = draw(st.one_of(axis, axes) if several else axis)
    return layers(layer_class, raw, shape)


@st.composite
def upsamples(draw):
    shape = draw(maps())
    rank = len(shape) - 1
    names = {1: ["linear"], 2: ["linear", "bilinear", "bicubic"], 3: ["linear", "trilinear"]}[rank]
    mode = draw(st.sampled_from(["nearest", "nearest-exact", "area", *names]))
    raw = {"mode": mode, "align_corners": mode in names and draw(st.booleans())}
    if draw(st.booleans()):
        raw["size"] = draw(one_or_each(st.integers(1, 9), rank))
    else:
        scale = draw(one_or_each(st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.75, 1.3, 2.1, 2 / 3]), rank))
        raw["scale_factor"] = scale
        for size, factor in zip(shape[1:], scale if isinstance(scale, list) else [scale] * rank, strict=True):
            # As in tests/layers/test_resample.py: some of PyTorch's kernels ignore such a factor.
            assume(
                mode != "nearest" or int(size * factor) not in (size, 2 * size) or int(size * factor) == size * factor
            )
    return layers(resample.Upsample, raw, shape)


@st.composite
def images(draw, layer_class, field):
    shape = (draw(st.sampled_from([1, 2, 4, 8, 9])), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    return layers(layer_class, {field: draw(SMALL)}, shape)


@st.composite
def shuffles(draw):
    shape = draw(maps(channels=st.sampled_from([1, 2, 4, 6])))
    return layers(resample.ChannelShuffle, {"groups": draw(st.integers(1, 3))}, shape)


@st.composite
def pads(draw):
    shape = draw(maps())
    raw = {"padding": draw(ends(len(shape) - 1, 3))}
    raw["mode"] = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    if raw["mode"] == "constant":
        raw["value"] = draw(st.sampled_from([0.0, -1.5]))
    return layers(moves.Pad, raw, shape)


@st.composite
def crops(draw):
    shape = draw(maps())
    rank = len(shape) - 1
    raw = draw(
        st.one_of(
            st.fixed_dictionaries({"size": one_or_each(SMALL, rank)}),
            st.fixed_dictionaries({"cropping": ends(rank, 2)}),
        )
    )
    return layers(moves.Crop, raw, shape)


@st.composite
def slices(draw):
    shape = draw(TENSORS)
    end = st.integers(-4, 4)
    raw = draw(fields(start=end, stop=end, step=SMALL, axis=st.integers(-len(shape), len(shape) - 1)))
    return layers(moves.Slice, raw, shape)


@st.composite
def splits(draw):
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    if draw(st.booleans()):
        return layers(moves.Split, {"chunks": draw(SMALL), "axis": axis}, shape)
    cut = draw(st.integers(1, 5))
    sizes = [size for size in (cut, shape[axis] - cut) if size > 0]
    return layers(moves.Split, {"sizes": sizes, "axis": axis}, shape)


@st.composite
def flattens(draw):
    shape = draw(TENSORS)
    axis = st.integers(-len(shape), len(shape) - 1)
    return layers(moves.Flatten, draw(fields(start_axis=axis, end_axis=axis)), shape)


@st.composite
def unflattens(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 4, 6]), min_size=1, max_size=3).map(tuple))
    sizes = draw(st.permutations([draw(st.sampled_from([1, 2])), -1]))
    return layers(moves.Unflatten, {"axis": draw(st.integers(-len(shape), len(shape) - 1)), "sizes": sizes}, shape)


@st.composite
def reshapes(draw):
    shape = draw(TENSORS)
    to = draw(st.permutations(list(shape)))
    if draw(st.booleans()):
        to = [-1, *to[2:]]
    return layers(moves.Reshape, {"shape": to}, shape)


@st.composite
def permutes(draw):
    shape = draw(TENSORS)
    axes = draw(st.permutations(range(len(shape))))
    signed = [axis - len(shape) * draw(st.booleans()) for axis in axes]
    return layers(moves.Permute, {"axes": signed}, shape)


@st.composite
def transposes(draw):
    shape = draw(TENSORS)
    axis = st.integers(-len(shape), len(shape) - 1)
    return layers(moves.Transpose, {"axis0": draw(axis), "axis1": draw(axis)}, shape)


@st.composite
def unsqueezes(draw):
    shape = draw(TENSORS)
    return layers(moves.Unsqueeze, {"axis": draw(st.integers(-len(shape) - 1, len(shape)))}, shape)


@st.composite
def concats(draw):
    shape = draw(TENSORS)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    at = axis % len(shape)
    shapes = [(*shape[:at], draw(SMALL), *shape[at + 1 :]) for _ in range(draw(SMALL))]
    return layers(merge.Concat, {"axis": axis}, *shapes)


@st.composite
def merges(draw, layer_class, most=3):
    shape = draw(TENSORS)
    broadcast = [
        tuple(size if draw(st.integers(0, 3)) else 1 for size in shape) for _ in range(draw(st.integers(2, most)))
    ]
    return layers(layer_class, {}, *broadcast)


@st.composite
def matmuls(draw):
    leading = draw(st.lists(SMALL, max_size=2))
    n, k, m = draw(SMALL), draw(SMALL), draw(SMALL)
    first = [size if draw(st.integers(0, 3)) else 1 for size in leading]
    second = [size if draw(st.integers(0, 3)) else 1 for size in leading]
    return layers(merge.Matmul, {}, (*first, n, k), (*second, k, m))


@st.composite
def attentions(draw):
    leading = draw(st.lists(SMALL, max_size=2))
    length, keys, features, out = (draw(st.integers(1, 4)) for _ in range(4))
    shapes = ((*leading, length, features), (*leading, keys, features), (*leading, keys, out))
    return layers(attention.ScaledDotProductAttention, {"is_causal": draw(st.booleans())}, *shapes)


@st.composite
def multi_head_attentions(draw):
    heads = draw(st.integers(1, 2))
    embed = heads * draw(st.integers(1, 2))
    length, keys = draw(SMALL), draw(SMALL)
    width = st.sampled_from([embed, 3])
    shapes = [(length, embed), (keys, draw(width)), (keys, draw(width))][: draw(SMALL)]
    raw = {"num_heads": heads, "bias": draw(st.booleans())}
    return layers(attention.MultiHeadAttention, raw, *shapes)


@st.composite
def linears(draw):
    raw = {"out": draw(SMALL), **draw(fields(bias=st.booleans()))}
    return layers(linear.Linear, raw, draw(TENSORS))


@st.composite
def group_norms(draw):
    groups = draw(SMALL)
    shape = draw(maps(least_rank=0, channels=SMALL.map(lambda n: n * groups)))
    return layers(norm.GroupNorm, {"groups": groups, **draw(fields(eps=EPS, affine=st.booleans()))}, shape)


@st.composite
def local_response_norms(draw):
    raw = {"size": draw(st.integers(1, 5)), **draw(fields(alpha=SLOPES, beta=SLOPES, k=SLOPES))}
    return layers(norm.LocalResponseNorm, raw, draw(maps(channels=st.integers(1, 6))))


@st.composite
def prelus(draw):
    shape = draw(TENSORS)
    return layers(activation.Prelu, {"num_parameters": draw(st.sampled_from([1, shape[0]]))}, shape)


@st.composite
def stochastic_depths(draw):
    raw = {"p": 0.3, "mode": draw(st.sampled_from(["row", "batch"]))}
    return layers(regularization.StochasticDepth, raw, draw(TENSORS))


@st.composite
def functional_convs(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    shape = draw(maps(channels=SMALL.map(lambda n: n * groups)))
    rank = len(shape) - 1
    out = groups * draw(SMALL)
    weight = (out, shape[0] // groups, *(draw(SMALL) for _ in range(rank)))
    raw = {"groups": groups, "padding": draw(st.one_of(ends(rank, 3), st.sampled_from(["same", "valid"])))}
    raw |= draw(fields(stride=one_or_each(SMALL, rank), dilation=one_or_each(SMALL, rank)))
    return layers(conv.FunctionalConv, raw, shape, weight, *([(out,)] if draw(st.booleans()) else []))


@st.composite
def maths(draw):
    of_one = st.sampled_from(["abs", "cos", "erf", "exp", "neg", "sin", "square"])
    of_two = st.sampled_from(["add", "multiply", "divide", "subtract_from", "maximum", "minimum"])
    if draw(st.booleans()):
        return layers(arithmetic.Math, {"function": draw(of_one)}, draw(TENSORS))
    return layers(arithmetic.Math, {"function": draw(of_two), "value": draw(SLOPES)}, draw(TENSORS))


@st.composite
def expands(draw):
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=1, max_size=3).map(tuple))
    to = [draw(SMALL) if size == 1 else size for size in shape]
    return layers(moves.Broadcast, {"shape": [*draw(st.lists(SMALL, max_size=1)), *to]}, shape)


@st.composite
def per_samples(draw):
    return layers(moves.PerSample, {}, draw(TENSORS), draw(TENSORS))


@st.composite
def rolls(draw):
    shape = draw(TENSORS)
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    return layers(moves.Roll, {"shifts": [draw(st.integers(-5, 5)) for _ in axes], "axes": axes}, shape)


@st.composite
def takes(draw):
    shape = draw(TENSORS)
    index = draw(st.lists(SMALL, min_size=1, max_size=2).map(tuple))
    return layers(moves.Take, {"axis": draw(st.integers(-len(shape), len(shape) - 1))}, shape, index)


@st.composite
def sliding_windows(draw):
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    raw = {"size": draw(SMALL), "step": draw(SMALL), "axis": draw(st.integers(-len(shape), len(shape) - 1))}
    return layers(moves.SlidingWindows, raw, shape)


@st.composite
def unfolds(draw):
    shape = (draw(SMALL), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    each = one_or_each(SMALL, 2)
    raw = {"kernel": draw(each), **draw(fields(stride=each, dilation=each, padding=one_or_each(st.integers(0, 2), 2)))}
    return layers(moves.Unfold, raw, shape)


@st.composite
def folds(draw):
    """Columns as many as ``F.unfold`` makes of the image; an image too small for its kernel is refused by both."""
    image = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    geometry = [[draw(st.integers(least, most)) for _ in image] for least, most in ((1, 3), (1, 3), (0, 2), (1, 2))]
    kernel, stride, padding, dilation = geometry
    counts = [
        max(0, (n + 2 * p - d * (k - 1) - 1) // s + 1)
        for n, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True)
    ]
    raw = {"size": image, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    columns = (draw(SMALL) * kernel[0] * kernel[1], max(1, counts[0] * counts[1]))
    return layers(moves.Fold, raw, columns)


EPS = st.sampled_from([1e-5, 1e-3, 0.1])
SLOPES = st.sampled_from([0.3, 0.7, 1.5])
TRACKED = {"eps": EPS, "affine": st.booleans(), "track_running_stats": st.booleans()}

LAYERS = {
    conv.Conv: convs(conv.Conv),
    conv.ConvTranspose: convs(conv.ConvTranspose),
    **{cls: pools(cls) for cls in (pool.MaxPool, pool.AvgPool, pool.LpPool)},
    **{cls: adaptive_pools(cls) for cls in (pool.AdaptiveAvgPool, pool.AdaptiveMaxPool)},
    **{cls: on_maps(cls) for cls in (pool.GlobalAvgPool, pool.GlobalMaxPool)},
    norm.BatchNorm: on_maps(norm.BatchNorm, least_rank=0, **TRACKED),
    norm.InstanceNorm: on_maps(norm.InstanceNorm, **TRACKED),
    norm.LayerNorm: along_axes(norm.LayerNorm, "axes", eps=EPS, elementwise_affine=st.booleans(), bias=st.booleans()),
    norm.RmsNorm: along_axes(norm.RmsNorm, "axes", eps=EPS, elementwise_affine=st.booleans()),
    norm.GroupNorm: group_norms(),
    norm.LocalResponseNorm: local_response_norms(),
    **{
        cls: elementwise(cls)
        for cls in (
            activation.Relu,
            activation.Relu6,
            activation.Selu,
            activation.Silu,
            activation.Mish,
            activation.Hardsigmoid,
            activation.Hardswish,
            activation.Softsign,
            activation.Tanhshrink,
            activation.Sigmoid,
            activation.LogSigmoid,
            activation.Tanh,
            regularization.Identity,
            regularization.Dropout,
            regularization.ChannelDropout,
            regularization.AlphaDropout,
            regularization.LayerScale,
        )
    },
    activation.LeakyRelu: elementwise(activation.LeakyRelu, negative_slope=SLOPES),
    activation.Prelu: prelus(),
    activation.Elu: elementwise(activation.Elu, alpha=SLOPES),
    # PyTorch takes 1/alpha in single precision in its backward formula: exact for powers of two.
    activation.Celu: elementwise(activation.Celu, alpha=st.sampled_from([0.25, 0.5, 2.0])),
    activation.Gelu: elementwise(activation.Gelu, approximate=st.sampled_from(["none", "tanh"])),
    activation.Hardtanh: elementwise(activation.Hardtanh, min_val=st.just(-0.4), max_val=SLOPES),
    activation.Softshrink: elementwise(activation.Softshrink, lambd=SLOPES),
    activation.Hardshrink: elementwise(activation.Hardshrink, lambd=st.sampled_from([0.3, 0.7, -0.2])),
    activation.Threshold: st.builds(
        lambda shape, at, value: (activation.Threshold(threshold=at, value=value), (shape,)), TENSORS, SLOPES, SLOPES
    ),
    activation.Softplus: elementwise(activation.Softplus, beta=SLOPES, threshold=SLOPES),
    **{
        cls: along_axes(cls, "axis", several=False)
        for cls in (activation.Softmax, activation.Softmin, activation.LogSoftmax, activation.Glu)
    },
    linear.Linear: linears(),
    resample.Upsample: upsamples(),
    resample.PixelShuffle: images(resample.PixelShuffle, "upscale_factor"),
    resample.PixelUnshuffle: images(resample.PixelUnshuffle, "downscale_factor"),
    resample.ChannelShuffle: shuffles(),
    moves.Pad: pads(),
    moves.Crop: crops(),
    moves.Slice: slices(),
    moves.Split: splits(),
    moves.Flatten: flattens(),
    moves.Unflatten: unflattens(),
    moves.Reshape: reshapes(),
    moves.Permute: permutes(),
    moves.Transpose: transposes(),
    moves.Squeeze: along_axes(moves.Squeeze, "axes"),
    moves.Unsqueeze: unsqueezes(),
    **{
        cls: along_axes(cls, "axes", required=True, keepdim=st.booleans())
        for cls in (reduce.Mean, reduce.Sum, reduce.Max, reduce.Min)
    },
    merge.Concat: concats(),
    **{cls: merges(cls) for cls in (merge.Add, merge.Multiply, merge.Maximum, merge.Minimum)},
    merge.Subtract: merges(merge.Subtract, most=2),
    merge.Divide: merges(merge.Divide, most=2),
    merge.Matmul: matmuls(),
    conv.FunctionalConv: functional_convs(),
    arithmetic.Math: maths(),
    moves.Broadcast: expands(),
    moves.PerSample: per_samples(),
    moves.Roll: rolls(),
    moves.Take: takes(),
    moves.SlidingWindows: sliding_windows(),
    moves.Unfold: unfolds(),
    moves.Fold: folds(),
    reduce.VectorNorm: along_axes(reduce.VectorNorm, "axes", required=True, keepdim=st.booleans()),
    reduce.Variance: along_axes(
        reduce.Variance, "axes", required=True, keepdim=st.booleans(), correction=st.integers(0, 1)
    ),
    tensor.Parameter: TENSORS.map(lambda shape: (tensor.Parameter(shape=shape), ())),
    tensor.Constant: st.builds(
        lambda shape, kept: (tensor.Constant(shape=shape, buffer=kept), ()), TENSORS, st.booleans()
    ),
    attention.ScaledDotProductAttention: attentions(),
    attention.MultiHeadAttention: multi_head_attentions(),
    regularization.StochasticDepth: stochastic_depths(),
}
