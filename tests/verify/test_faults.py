"""An error planted in each formula in turn must make ``verify`` fail, in the row it belongs to.

That the measurements are independent of the formulas is shown by this alone: a module built from
the formula that it is to prove would err along with it. Without the fault the same net passes, so
every test here can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import prod
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from cnncalc.analysis.receptive_field import WHOLE, ScatteredField
from cnncalc.analysis.verdict import Verdict
from cnncalc.formulas.nest import macs
from cnncalc.formulas.receptive_field import Field, Taps, Window, taps_of
from cnncalc.layers.base import EVERYTHING, Weight, along, pointwise
from cnncalc.layers.pool import MaxPool
from cnncalc.sources import load_text
from cnncalc.torch.verify import verify

# -- the nets --------------------------------------------------------------------------------------

CONV = """
input: [4, 14, 18]
layers:
  - conv: {out: 6, kernel: 3, padding: [[1, 0], [2, 1]], dilation: [2, 1]}
  - relu
  - conv: {out: 4, kernel: [2, 3], stride: [3, 2], padding: 1, groups: 2}
"""
FIRST = """
input: [2, 12, 13]
layers:
  - relu
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1}
  - batch_norm
  - conv: {out: 6, kernel: 3, groups: 2, padding: 1, bias: false}
"""
SAME = "{input: [2, 12, 13], layers: [{conv: {out: 2, kernel: 4, stride: 3, padding: same}}]}"
BORDERS = """
input: [2, 9, 9]
layers:
  - conv: {out: 2, kernel: 3, dilation: 2, padding: 3, padding_mode: reflect}
  - conv: {out: 2, kernel: 5, padding: 2, padding_mode: circular}
  - pad: {padding: [[2, 1], [0, 1]], mode: replicate}
"""
TRANSPOSED = """
input: [2, 5, 6]
layers:
  - conv_transpose: {out: 4, kernel: 4, stride: 3, padding: 1, output_padding: 1, dilation: 2, groups: 2}
"""
TRANSPOSED_ENDS = """
input: [1, 6, 7]
layers:
  - conv_transpose: {out: 1, kernel: 3, stride: 2, padding: [[1, 0], [0, 2]]}
"""
POOL = "{input: [2, 11, 12], layers: [{max_pool: {kernel: 3, stride: 2, padding: 1, dilation: 2}}, avg_pool: 2]}"
CEIL = "{input: [2, 10, 15], layers: [{max_pool: {kernel: 2, stride: 3, padding: 1, ceil_mode: true}}]}"
CEIL_OUT = "{input: [2, 11, 12], layers: [{avg_pool: {kernel: 3, stride: 2, ceil_mode: true}}]}"
ADAPTIVE = "{input: [2, 10, 13], layers: [{adaptive_avg_pool: 4}]}"
GLOBAL = "{input: [2, 7, 6], layers: [{conv: {out: 2, kernel: 3}}, global_avg_pool, flatten, {linear: 3}]}"
BRANCHES = """
input: [2, 12, 12]
layers:
  - conv: {out: 2, kernel: 1}
  - add: [[{conv: {out: 2, kernel: 3, padding: 1}}], [{conv: {out: 2, kernel: 5, padding: 2}}]]
  - concat: [[], [{conv: {out: 3, kernel: 7, padding: 3}}]]
"""
NEAREST = "{input: [1, 5, 6], layers: [{upsample: {size: [7, 13]}}]}"
SCALED = "{input: [1, 5, 7], layers: [{upsample: {scale_factor: 1.5}}]}"
LINEAR_UP = "{input: [1, 5, 6], layers: [{upsample: {scale_factor: 2, mode: linear}}]}"
CORNERS = "{input: [1, 5, 6], layers: [{upsample: {size: [9, 8], mode: linear, align_corners: true}}]}"
CUBIC = "{input: [1, 6, 6], layers: [{upsample: {scale_factor: 2, mode: bicubic}}]}"
SHARED = """
input: [3, 8, 8]
layers:
  - conv: {out: 3, kernel: 3, padding: 1, share: one}
  - conv: {out: 3, kernel: 3, padding: 1, share: one}
"""
TOKENS = """
input: [6, 8]
layers:
  - linear: 8
  - layer_norm: {axes: -1}
  - multi_head_attention: {num_heads: 2}
  - scaled_dot_product_attention: {from: [-1, linear1, layer_norm1]}
  - linear: {out: 5}
"""
MATRICES = "{input: {a: [2, 3, 4], b: [2, 4, 5]}, layers: [{matmul: {from: [a, b]}}]}"
NORMS = """
input: [4, 6, 6]
layers:
  - conv: {out: 4, kernel: 1}
  - batch_norm
  - layer_norm: {axes: [0, 2]}
  - group_norm: {groups: 2}
  - prelu: {num_parameters: 4}
  - layer_scale
"""
SHAPES = """
input: [8, 7, 9]
layers:
  - pad: {padding: [[2, 0], [0, 1]]}
  - crop: {size: [6, 7]}
  - slice: {start: 1, step: 2, axis: 2}
  - pixel_shuffle: 2
  - permute: {axes: [1, 2, 0]}
  - mean: {axes: -1, keepdim: true}
  - flatten: {start_axis: 1}
"""
UNSHUFFLE = "{input: [1, 8, 8], layers: [{pixel_unshuffle: 2}]}"
RESHAPED = "{input: [2, 9, 8], layers: [{conv: {out: 2, kernel: 3}}, {flatten: {start_axis: 1}}]}"
UNUSED = (
    "{input: [4, 6, 6], layers: [{conv: {out: 2, kernel: 1, name: one}}, {conv: {out: 9, kernel: 1}}], outputs: [one]}"
)
SPLIT = "{input: [4, 6, 6], layers: [{split: {chunks: 2}}, {concat: {}}]}"

# -- the faults ------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """Something wrong in place of ``target`` (``module:attribute``), and the row in which it must show."""

    name: str
    target: str
    wrong: Any
    spec: str
    layer: str
    check: str


FAULTS: list[Fault] = []


def fault(target: str, spec: str, layer: str, check: str) -> Callable[[Any], Any]:
    """Registers the decorated function, which stands in for ``target``; with a first argument called ``real``
    it gets the original.
    """

    def register(wrong: Any) -> Any:
        FAULTS.append(Fault(wrong.__name__, target, wrong, spec, layer, check))
        return wrong

    return register


SIZE = "cnncalc.formulas.size"
NEST = "cnncalc.formulas.nest"
RF = "cnncalc.formulas.receptive_field"
RESAMPLE = "cnncalc.formulas.resample"
LAYERS = "cnncalc.layers"
ANALYSIS = "cnncalc.analysis"

# sizes


@fault(f"{SIZE}:conv_output_size", CONV, "conv1", "shape")
def size_drops_minus_one(h, k, s, p, d):
    return (h + sum(p) - d * (k - 1)) // s + 1


@fault(f"{SIZE}:conv_output_size", CONV, "conv2", "shape")
def size_takes_ceil_for_floor(h, k, s, p, d):
    return -(-(h + sum(p) - d * (k - 1) - 1) // s) + 1


@fault(f"{SIZE}:conv_output_size", CONV, "conv1", "shape")
def size_ignores_dilation(h, k, s, p, d):
    return (h + sum(p) - k) // s + 1


@fault(f"{SIZE}:conv_output_size", CONV, "conv2", "shape")
def size_counts_padding_once(real, h, k, s, p, d):
    return real(h, k, s, (p[0], 0), d) if p[0] == p[1] else real(h, k, s, p, d)


@fault(f"{SIZE}:conv_output_size", CONV, "conv2", "shape")
def size_divides_before_it_subtracts(h, k, s, p, d):
    return (h + sum(p)) // s - (d * (k - 1)) // s


@fault(f"{SIZE}:effective_kernel", CONV, "conv1", "shape")
def effective_kernel_is_the_product(k, d):
    return k * d


@fault(f"{SIZE}:conv_output_size", POOL, "max_pool1", "shape")
def pool_ignores_dilation(h, k, s, p, d):
    return (h + sum(p) - k) // s + 1


@fault(f"{SIZE}:ceil_pool_output_size", CEIL, "max_pool1", "shape")
def ceil_without_the_rule_of_the_last_window(h, k, s, p, d):
    return -((d * (k - 1) + 1 - h - sum(p)) // s) + 1


@fault(f"{SIZE}:ceil_pool_output_size", CEIL_OUT, "avg_pool1", "shape")
def ceil_mode_floors(h, k, s, p, d):
    return (h + sum(p) - d * (k - 1) - 1) // s + 1


@fault(f"{SIZE}:conv_transpose_output_size", TRANSPOSED, "conv_transpose1", "shape")
def transposed_without_output_padding(real, h, k, s, p, d, more):
    return real(h, k, s, p, d, 0)


@fault(f"{SIZE}:conv_transpose_output_size", TRANSPOSED, "conv_transpose1", "shape")
def transposed_without_dilation(real, h, k, s, p, d, more):
    return real(h, k, s, p, 1, more)


@fault(f"{SIZE}:conv_transpose_output_size", TRANSPOSED, "conv_transpose1", "shape")
def transposed_steps_once_too_often(h, k, s, p, d, more):
    return h * s - sum(p) + d * (k - 1) + more + 1


@fault(f"{SIZE}:conv_transpose_output_size", TRANSPOSED, "conv_transpose1", "shape")
def transposed_adds_its_padding(real, h, k, s, p, d, more):
    return real(h, k, s, (-p[0], -p[1]), d, more)


@fault(f"{LAYERS}.resample:Upsample.output_shape", SCALED, "upsample1", "shape")
def upsample_rounds_up(real, layer, shape):
    return (shape[0], *(-int(-(size * layer.scale_factor) // 1) for size in shape[1:]))


# padding


@fault(f"{SIZE}:same_padding", SAME, "conv1", "pixels, height")
def same_puts_the_odd_pixel_before(real, *axis):
    return real(*axis)[::-1]


@fault(f"{SIZE}:same_padding", SAME, "conv1", "pixels, height")
def same_ignores_the_stride(h, k, s, d):
    return (k - 1) // 2, k - 1 - (k - 1) // 2


@fault(f"{SIZE}:same_output_size", SAME, "conv1", "shape")
def same_floors(h, s):
    return h // s


@fault(f"{LAYERS}.axes:padding_pairs", CONV, "conv1", "pixels, width")
def padding_swaps_its_ends(real, padding, rank):
    return tuple((after, before) for before, after in real(padding, rank))


@fault(f"{LAYERS}.axes:padding_pairs", TRANSPOSED_ENDS, "conv_transpose1", "pixels, height")
def transposed_crops_the_other_end(real, padding, rank):
    return tuple((after, before) for before, after in real(padding, rank))


@fault(f"{LAYERS}.shape:padding_pairs", SHAPES, "pad1", "pixels, height")
def pad_swaps_its_ends(real, padding, rank):
    return tuple((after, before) for before, after in real(padding, rank))


@fault(f"{LAYERS}.shape:Crop.pairs", SHAPES, "crop1", "pixels, width")
def crop_takes_the_odd_pixel_before(real, layer, shape):
    return tuple((after, before) for before, after in real(layer, shape))


@fault(f"{ANALYSIS}.exact_field:taps_inside", BORDERS, "conv1", "pixels, height")
def reflection_reads_zeros(real, read, unit, size):
    return real(read._replace(border="zeros") if read.border == "reflect" else read, unit, size)


@fault(f"{ANALYSIS}.exact_field:taps_inside", BORDERS, "conv1", "pixels, width")
def reflection_repeats_the_border(real, read, unit, size):
    if read.border != "reflect":
        return real(read, unit, size)
    first, last, step = taps_of(read.window, unit)
    taps = range(first, last + 1, step)
    return [-tap - 1 if tap < 0 else 2 * size - 1 - tap if tap >= size else tap for tap in taps]


@fault(f"{ANALYSIS}.exact_field:taps_inside", BORDERS, "conv2", "pixels, width")
def circular_reads_the_border(real, read, unit, size):
    return real(read._replace(border="replicate") if read.border == "circular" else read, unit, size)


@fault(f"{ANALYSIS}.exact_field:taps_inside", BORDERS, "pad1", "pixels, height")
def replicated_border_reads_zeros(real, read, unit, size):
    return real(read._replace(border="zeros") if read.border == "replicate" else read, unit, size)


# windows


@fault(f"{LAYERS}.conv:Windows.of", CONV, "conv1", "pixels, width")
def window_begins_with_the_padding_after(real, axes, positions):
    return real(tuple(axis._replace(padding=axis.padding[::-1]) for axis in axes), positions)


@fault(f"{LAYERS}.reads:sliding_window", CONV, "conv1", "pixels, height")
def window_starts_with_the_wrong_sign(real, k, s, before, d):
    return real(k, s, -before, d)


@fault(f"{LAYERS}.reads:sliding_window", CONV, "conv1", "pixels, height")
def window_has_one_tap_too_many(real, k, s, before, d):
    return real(k + 1, s, before, d)


@fault(f"{LAYERS}.reads:sliding_window", CONV, "conv1", "pixels, height")
def window_ignores_dilation(real, k, s, before, d):
    return real(k, s, before, 1)


@fault(f"{LAYERS}.reads:sliding_window", CONV, "conv1", "pixels, height")
def window_fills_the_holes_of_dilation(k, s, before, d):
    return Window(s, (Taps(-before, -before + d * (k - 1), 1),))


@fault(f"{LAYERS}.axes:slid", CONV, "conv2", "field, height")
def window_ignores_the_stride(real, number, stride, before, dilation):
    return real(number, 1, before, dilation)


@fault(f"{LAYERS}.pool:MaxPool.axes", POOL, "max_pool1", "shape")
def max_pool_has_stride_one(real, layer, shape):
    return real(MaxPool(kernel=layer.kernel, stride=1, padding=layer.padding, dilation=layer.dilation), shape)


@fault(f"{LAYERS}.pool:AvgPool.axes", POOL, "avg_pool1", "shape")
def avg_pool_without_stride_has_one(real, layer, shape):
    return tuple(axis._replace(stride=1) for axis in real(layer, shape))


@fault(f"{LAYERS}.pool:GlobalPool.reads", GLOBAL, "global_avg_pool1", "pixels, height")
def global_pool_is_local(layer, shape):
    return (pointwise(shape),)


@fault(f"{LAYERS}.linear:Linear.reads", TOKENS, "linear1", "pixels, length")
def linear_reads_its_own_place(layer, shape):
    return (pointwise(shape),)


@fault(f"{LAYERS}.conv:Conv.reads", CONV, "conv1", "pixels, height")
def conv_reads_everything(layer, shape):
    return ((EVERYTHING,) * len(shape),)


@fault(f"{RF}:adaptive_window", ADAPTIVE, "adaptive_avg_pool1", "pixels, height")
def adaptive_window_ends_on_the_floor(index, size, out):
    return index * size // out, (index + 1) * size // out


@fault(f"{RF}:adaptive_window", ADAPTIVE, "adaptive_avg_pool1", "pixels, width")
def adaptive_windows_are_equal(index, size, out):
    return index * (size // out), (index + 1) * (size // out)


@fault(f"{LAYERS}.reads:transposed_window", TRANSPOSED, "conv_transpose1", "pixels, height")
def transposed_window_has_the_wrong_phase(real, k, s, before, d):
    return real(k, s, -before, d)


@fault(f"{LAYERS}.reads:transposed_window", TRANSPOSED, "conv_transpose1", "field, width")
def transposed_window_ignores_dilation(real, k, s, before, d):
    return real(k, s, before, 1)


@fault(f"{LAYERS}.reads:transposed_window", TRANSPOSED_ENDS, "conv_transpose1", "pixels, width")
def transposed_window_is_a_convolution(k, s, before, d):
    return Window(s, (Taps(-before, -before + d * (k - 1), d),))


@fault(f"{LAYERS}.shape:Slice.reads", SHAPES, "slice1", "pixels, width")
def slice_ignores_its_step(layer, shape):
    window = Window(1, (Taps(layer.start, layer.start),))
    return (tuple(along(axis, window) if axis == layer.axis else along(axis) for axis in range(len(shape))),)


@fault(f"{LAYERS}.resample:PixelUnshuffle.reads", UNSHUFFLE, "pixel_unshuffle1", "pixels, height")
def unshuffled_position_reads_one_pixel(layer, shape):
    window = Window(2, (Taps(0, 0),))
    return ((EVERYTHING, along(1, window), along(2, window)),)


# interpolation


@fault(f"{RESAMPLE}:floor_grid", NEAREST, "upsample1", "pixels, height")
def nearest_rounds(top, bottom):
    return import_module(RESAMPLE).centre_grid(top, bottom)


@fault(f"{RESAMPLE}:floor_grid", SCALED, "upsample1", "pixels, height")
def nearest_is_off_by_one(real, top, bottom):
    return real(top, bottom)._replace(offset=top)


@fault(f"{RESAMPLE}:LINEAR", LINEAR_UP, "upsample1", "pixels, height")
def linear_has_a_single_tap():
    return 0, 0


@fault(f"{RESAMPLE}:half_pixel_grid", LINEAR_UP, "upsample1", "pixels, width")
def linear_without_half_pixels(top, bottom):
    return import_module(RESAMPLE).floor_grid(top, bottom)


@fault(f"{RESAMPLE}:corner_grid", CORNERS, "upsample1", "pixels, height")
def corners_are_not_aligned(size, out):
    return import_module(RESAMPLE).floor_grid(size, out)


@fault(f"{RESAMPLE}:CUBIC", CUBIC, "upsample1", "pixels, height")
def cubic_reads_two_pixels():
    return 0, 1


# the recurrence


@fault(f"{ANALYSIS}.receptive_field:_compose", CONV, "conv2", "field, height")
def jump_is_taken_after_the_stride(field, window):
    (low, high), (first, last, _) = field.bounds[0], window.taps[0]
    jump = field.shift * window.stride
    return Field(jump, ((low + first * jump, high + last * jump),))


@fault(f"{ANALYSIS}.receptive_field:_compose", CONV, "conv2", "field, width")
def jump_does_not_grow(real, field, window):
    return Field(field.shift, real(field, window).bounds)


@fault(f"{ANALYSIS}.receptive_field:_compose", CONV, "conv2", "jump, height")
def jump_is_one_too_large(real, field, window):
    after = real(field, window)
    return Field(after.shift + (window.stride > 1), after.bounds)


@fault(f"{ANALYSIS}.receptive_field:_compose", CONV, "conv1", "field, height")
def field_grows_by_the_kernel(real, field, window):
    (low, high), jump = real(field, window).bounds[0], field.shift
    return Field(jump * window.stride, ((low, high + jump),))


@fault(f"{ANALYSIS}.receptive_field:_compose", CONV, "conv1", "field, width")
def field_starts_at_zero(real, field, window):
    ((low, high),) = real(field, window).bounds
    return Field(field.shift * window.stride, ((0, high - low),))


@fault(f"{RF}:union", BRANCHES, "add1", "field, height")
def union_takes_the_smaller(first, second):
    (low, high), (low2, high2) = first.bounds[0], second.bounds[0]
    return Field(first.shift, ((max(low, low2), min(high, high2)),))


@fault(f"{RF}:union", BRANCHES, "add1", "field, width")
def union_is_the_first(first, second):
    return min(first, second, key=lambda field: field.bounds[0][1])


@fault(f"{RF}:size", CONV, "conv1", "field, height")
def size_is_the_distance_of_the_ends(field):
    return field.bounds[0][1] - field.bounds[0][0]


@fault(f"{RF}:jump", LINEAR_UP, "upsample1", "field, height")
def jump_is_the_shift_of_a_period(field):
    return field.shift, 1


@fault(f"{ANALYSIS}.receptive_field:through", GLOBAL, "conv1", "field, height")
def every_field_is_global(track, *how):
    return WHOLE


@fault(f"{ANALYSIS}.receptive_field:through", RESHAPED, "flatten1", "field, height")
def a_scattered_field_is_too_large(real, track, *how):
    after = real(track, *how)
    return after._replace(size=after.size + 2) if isinstance(after, ScatteredField) else after


@fault(f"{ANALYSIS}.exact_field:_unite", BRANCHES, "add1", "pixels, width")
def pixels_of_branches_meet_in_what_both_see(mine, theirs):
    return mine._replace(sets=tuple(a & b for a, b in zip(mine.sets, theirs.sets, strict=True)))


# merges and moves


@fault(f"{LAYERS}.merge:Concat.output_shape", BRANCHES, "concat1", "shape")
def concat_adds_along_the_wrong_axis(layer, *shapes):
    first = shapes[0]
    return (first[0], sum(shape[1] for shape in shapes), *first[2:])


@fault(f"{LAYERS}.shape:Permute.order", SHAPES, "permute1", "shape")
def permute_goes_the_other_way(layer, shape):
    return tuple(layer.axes.index(axis) for axis in range(len(shape)))


@fault(f"{LAYERS}.shape:Flatten.output_shape", SHAPES, "flatten1", "shape")
def flatten_begins_an_axis_late(real, layer, shape):
    return (*shape[:2], prod(shape[2:]))


@fault(f"{LAYERS}.reduce:Reduction.output_shape", SHAPES, "mean1", "shape")
def reduction_drops_the_axis_it_keeps(layer, shape):
    return shape[:-1]


@fault(f"{LAYERS}.resample:PixelShuffle.output_shape", SHAPES, "pixel_shuffle1", "shape")
def pixel_shuffle_divides_by_the_factor(layer, shape):
    r = layer.upscale_factor
    return (shape[0] // r, shape[1] * r, shape[2] * r)


@fault(f"{LAYERS}.shape:Split.parts", SPLIT, "split1", "shape")
def split_gives_uneven_parts(layer, shape):
    return 1, 3


# parameters


@fault(f"{LAYERS}.conv:Conv.weights", CONV, "conv2", "params")
def conv_weight_ignores_groups(real, layer, shape):
    weight, *rest = real(layer, shape)
    return (weight._replace(shape=(layer.out, shape[0], *weight.shape[2:])), *rest)


@fault(f"{LAYERS}.conv:Conv.weights", CONV, "conv1", "params")
def conv_forgets_its_bias(real, layer, shape):
    return real(layer, shape)[:1]


@fault(f"{LAYERS}.conv:Conv.weights", CONV, "conv1", "params")
def conv_counts_its_bias_twice(real, layer, shape):
    return (*real(layer, shape), Weight("bias", (layer.out,)))


@fault(f"{LAYERS}.conv:Conv.weights", FIRST, "conv2", "params")
def conv_always_has_a_bias(real, layer, shape):
    return (real(layer, shape)[0], Weight("bias", (layer.out,)))


@fault(f"{LAYERS}.conv:ConvTranspose.weights", TRANSPOSED, "conv_transpose1", "params")
def transposed_weight_has_its_channels_swapped(real, layer, shape):
    weight, *rest = real(layer, shape)
    return (weight._replace(shape=(layer.out, shape[0] // layer.groups, *weight.shape[2:])), *rest)


@fault(f"{LAYERS}.linear:Linear.weights", TOKENS, "linear1", "params")
def linear_has_no_bias(real, layer, shape):
    return real(layer, shape)[:1]


@fault(f"{LAYERS}.norm:running_statistics", FIRST, "batch_norm1", "buffers")
def batch_norm_forgets_num_batches_tracked(real, channels):
    return real(channels)[:2]


@fault(f"{LAYERS}.norm:running_statistics", NORMS, "batch_norm1", "params")
def running_statistics_are_learned(real, channels):
    return tuple(weight._replace(learnable=True) for weight in real(channels))


@fault(f"{LAYERS}.norm:LayerNorm.weights", NORMS, "layer_norm1", "params")
def layer_norm_has_weights_of_channels(layer, shape):
    return (Weight("weight", (shape[0],)), Weight("bias", (shape[0],)))


@fault(f"{LAYERS}.norm:GroupNorm.weights", NORMS, "group_norm1", "params")
def group_norm_has_weights_of_groups(layer, shape):
    return (Weight("weight", (layer.groups,)), Weight("bias", (layer.groups,)))


@fault(f"{LAYERS}.activation:Prelu.weights", NORMS, "prelu1", "params")
def prelu_has_one_slope(layer, shape):
    return (Weight("weight", (1,)),)


@fault(f"{LAYERS}.regularization:LayerScale.weights", NORMS, "layer_scale1", "params")
def layer_scale_has_one_factor(layer, shape):
    return (Weight("weight", (1,)),)


@fault(f"{LAYERS}.attention:MultiHeadAttention.weights", TOKENS, "multi_head_attention1", "params")
def attention_forgets_its_output_projection(real, layer, *shapes):
    return tuple(weight for weight in real(layer, *shapes) if not weight.name.startswith("out_proj"))


@fault("cnncalc.torch.measure:costs", SHARED, "conv2", "params")
def shared_weights_count_twice(graph, batch=1):
    cost = import_module(f"{ANALYSIS}.cost")
    return [
        cost.NOTHING if node.layer is None else cost.layer_cost(node.layer, node.input_shapes, batch)
        for node in graph.nodes
    ]


# forward FLOPs


@fault(f"{NEST}:macs", CONV, "conv2", "flops")
def macs_ignore_groups(real, nest):
    return real(nest) // nest.loops["c"] * nest.operands[0].shape[0]


@fault(f"{LAYERS}.conv:Conv.macs", CONV, "conv1", "flops")
def conv_counts_input_positions(real, layer, shape):
    return real(layer, shape) // prod(layer.output_shape(shape)[1:]) * prod(shape[1:])


@fault(f"{LAYERS}.conv:ConvTranspose.macs", TRANSPOSED, "conv_transpose1", "flops")
def transposed_counts_output_positions(real, layer, shape):
    return real(layer, shape) // prod(shape[1:]) * prod(layer.output_shape(shape)[1:])


@fault(f"{LAYERS}.conv:Conv.macs", CONV, "conv1", "flops")
def macs_count_the_bias(real, layer, shape):
    return real(layer, shape) + prod(layer.output_shape(shape))


@fault(f"{LAYERS}.linear:Linear.macs", TOKENS, "linear1", "flops")
def linear_forgets_the_other_axes(layer, shape):
    return shape[-1] * layer.out


@fault(f"{NEST}:macs", MATRICES, "matmul1", "flops")
def matmul_forgets_its_columns(real, nest):
    return real(nest) // nest.loops["j"]


@fault(f"{LAYERS}.merge:Matmul.macs", MATRICES, "matmul1", "flops")
def matmul_forgets_its_leading_axes(real, layer, first, second):
    return real(layer, first, second) // first[0]


@fault(f"{LAYERS}.attention:MultiHeadAttention.macs", TOKENS, "multi_head_attention1", "flops")
def attention_does_not_project_its_output(layer, *shapes):
    return sum(map(macs, layer.equation(*shapes)[:-1]))


@fault(f"{LAYERS}.attention:ScaledDotProductAttention.macs", TOKENS, "scaled_dot_product_attention1", "flops")
def attention_has_one_product(real, layer, *shapes):
    return real(layer, *shapes) // 2


@fault("cnncalc.torch.measure:flops", CONV, "conv1", "flops")
def flops_are_macs(macs):
    return macs


@fault(f"{ANALYSIS}.cost:layer_cost", CONV, "conv1", "flops")
def the_batch_is_forgotten(real, layer, shapes, batch):
    return real(layer, shapes, 1)


# backward FLOPs


@fault(f"{ANALYSIS}.training:needs_gradient", FIRST, "conv1", "backward")
def the_first_layer_needs_an_input_gradient(graph):
    return [True] * len(graph.nodes)


@fault(f"{ANALYSIS}.training:needs_gradient", FIRST, "conv2", "backward")
def gradients_stop_at_every_layer(graph):
    return [False] * len(graph.nodes)


@fault(f"{LAYERS}.base:Product.weight_gradient_macs", FIRST, "conv1", "backward")
def the_weight_gradient_is_forgotten(layer, *shapes):
    return 0


@fault(f"{LAYERS}.base:Product.weight_gradient_macs", FIRST, "conv2", "backward")
def the_weight_gradient_ignores_groups(real, layer, *shapes):
    return real(layer, *shapes) * getattr(layer, "groups", 1)


@fault(f"{ANALYSIS}.training:StepMacs", FIRST, "conv2", "backward, weights")
def the_gradients_of_inputs_are_taken_for_those_of_weights(real, forward, input_gradient, weight_gradient):
    return real(forward, 0, input_gradient + weight_gradient)


@fault(f"{LAYERS}.attention:MultiHeadAttention.weight_gradient_macs", TOKENS, "multi_head_attention1", "backward")
def attention_learns_no_output_projection(layer, *shapes):
    return sum(map(macs, layer.equation(*shapes)[:3]))


@fault(f"{LAYERS}.attention:MultiHeadAttention.input_gradient_macs", TOKENS, "multi_head_attention1", "backward")
def attention_has_no_gradient_within(layer, wanted, *shapes):
    return sum(map(macs, layer.equation(*shapes)[:3])) * any(wanted)


@fault(
    f"{LAYERS}.attention:ScaledDotProductAttention.input_gradient_macs",
    TOKENS,
    "scaled_dot_product_attention1",
    "backward",
)
def attention_has_no_gradient_of_its_scores(layer, wanted, *shapes):
    return layer.macs(*shapes)


# initialisation


@fault(f"{ANALYSIS}.initialisation:fan_in", FIRST, "conv2", "init")
def the_fan_in_is_that_of_the_ungrouped(real, shape):
    return real(shape) * 2 if shape[0] == 6 else real(shape)


@fault(f"{ANALYSIS}.initialisation:fan_out", FIRST, "conv1", "init")
def the_fan_out_is_without_the_kernel(shape):
    return shape[0]


@fault(f"{LAYERS}.norm:scale_and_shift", NORMS, "", "init")
def norms_decay(shape, scale=True, shift=True):
    return tuple(Weight(name, shape) for name, there in (("weight", scale), ("bias", shift)) if there)


@fault("cnncalc.torch.initial:loss_at_start", GLOBAL, "", "init")
def the_first_loss_is_in_bits(real, classes):
    return real(classes) / real(2)


@fault("cnncalc.torch.initial:smoothed_loss_floor", GLOBAL, "", "init")
def smoothing_leaves_nothing(classes, smoothing):
    return 0.0


# memory

FORGOTTEN = "{input: [3, 12, 12], layers: [{conv: {out: 4, kernel: 3}}, batch_norm, relu, {max_pool: 2}, flatten]}"
TURNED = "{input: [3, 8, 6], layers: [{transpose: {axis0: 1, axis1: 2}}, flatten]}"
FLAT = "{input: [3, 8, 6], layers: [flatten, {linear: 3}]}"
DROPPED = "{input: [2, 6, 6], layers: [{conv: {out: 2, kernel: 1}}, dropout]}"


@fault(f"{LAYERS}.tape:Tape.padded", SAME, "", "peak")
def padding_takes_no_memory(tape, x, sizes, mode="zeros"):
    return x._replace(shape=(*x.shape[:2], *sizes))


@fault(f"{LAYERS}.strides:view", TURNED, "", "peak")
def every_reshape_is_a_view(shape, strides, new):
    step, steps = 1, []
    for size in reversed(new):
        steps.append(step)
        step *= size
    return tuple(reversed(steps))


@fault(f"{LAYERS}.strides:view", FLAT, "", "peak")
def every_reshape_is_a_copy(shape, strides, new):
    return None


@fault(f"{ANALYSIS}.memory.inference:last_uses", FORGOTTEN, "", "peak")
def nothing_is_let_go(graph, order):
    return [[] for _ in graph.nodes]


@fault(f"{LAYERS}.base:Elementwise.forward", FORGOTTEN, "", "saved")
def activations_keep_their_input(layer, tape, x):
    return tape.pointwise(x, keep=(x,))


@fault(f"{LAYERS}.tape:Tape._with_places", FORGOTTEN, "", "saved")
def max_pool_keeps_no_places(tape, out):
    return out


@fault(f"{LAYERS}.tape:Tape.normalised", FORGOTTEN, "", "saved")
def norms_keep_no_statistics(real, tape, x, weight, statistics, strides=None):
    return real(tape, x, weight, (), strides)


@fault(f"{LAYERS}.tape:Tape.factors", DROPPED, "", "saved")
def products_keep_both_factors(tape, first, second):
    return (first, second)


@fault("cnncalc.torch.memory:kept_by_node", FORGOTTEN, "", "saved")
def what_several_layers_keep_counts_for_each(graph, run):
    return [sum(run.sizes[storage] for storage in node.kept) for node in run.nodes]


@fault("cnncalc.torch.memory:training", NORMS, "", "optimizer")
def adam_counts_no_steps(real, graph, batch, setting):
    held = real(graph, batch, setting)
    return replace(held, optimizer=held.optimizer // 1000 * 1000)


@fault("cnncalc.graph:Graph.needed", UNUSED, "", "optimizer")
def every_weight_gets_a_gradient(graph):
    return [True for _ in graph.nodes]


# -- the tests -------------------------------------------------------------------------------------


def verdict(spec: str) -> Verdict:
    return verify(load_text(spec), batch=2)


@pytest.fixture(scope="module")
def sound() -> Callable[[str], Verdict]:
    """The verdict on a net without a fault, worked out once."""
    known: dict[str, Verdict] = {}

    def of(spec: str) -> Verdict:
        if spec not in known:
            known[spec] = verdict(spec)
        return known[spec]

    return of


def plant(monkeypatch: pytest.MonkeyPatch, one: Fault) -> None:
    module, _, attribute = one.target.partition(":")
    owner: Any = import_module(module)
    *classes, name = attribute.split(".")
    for part in classes:
        owner = getattr(owner, part)
    real, wrong = getattr(owner, name), one.wrong
    code = wrong.__code__
    if isinstance(real, tuple):
        monkeypatch.setattr(owner, name, wrong())
    elif code.co_varnames[:1] == ("real",):
        monkeypatch.setattr(owner, name, lambda *given, **named: wrong(real, *given, **named))
    else:
        monkeypatch.setattr(owner, name, lambda *given, **named: wrong(*given, **named))


@pytest.mark.parametrize("one", FAULTS, ids=[one.name for one in FAULTS])
def test_a_planted_fault_shows_in_its_row(one: Fault, monkeypatch: pytest.MonkeyPatch, sound: Any) -> None:
    before = sound(one.spec)
    assert before.holds, before.mismatches
    assert any(row.layer == one.layer and row.check == one.check for row in before.rows)

    plant(monkeypatch, one)
    graph = load_text(one.spec)
    found = verify(graph, batch=2)
    wrong = [(row.layer, row.check) for row in found.mismatches]
    assert (one.layer, one.check) in wrong
    # no layer before it is blamed for the same
    order = [node.path for node in graph.nodes]
    blamed = [layer for layer, check in wrong if check == one.check and layer]
    assert min(blamed, key=order.index, default="") == one.layer


def test_the_faults_are_many_and_distinct() -> None:
    assert len(FAULTS) >= 30
    assert len({one.name for one in FAULTS}) == len(FAULTS)
    assert {one.check.partition(",")[0] for one in FAULTS} == {
        "shape", "params", "buffers", "flops", "backward", "init", "peak", "saved", "optimizer",
        "pixels", "field", "jump",
    }  # fmt: skip
