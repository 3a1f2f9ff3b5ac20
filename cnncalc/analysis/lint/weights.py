"""CNN3..: weights and channels: what is wasted, what could be merged, what hardware and training like."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import gcd, prod

from cnncalc.analysis.initialisation import last_scales
from cnncalc.analysis.lint.design import Design
from cnncalc.analysis.lint.rule import Found, rule
from cnncalc.analysis.receptive_field import Local
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Node
from cnncalc.layers.axes import axis_name, describe
from cnncalc.layers.conv import Conv, ConvTranspose
from cnncalc.layers.linear import Linear
from cnncalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from cnncalc.layers.regularization import LayerScale, PassThrough
from cnncalc.layers.shape import Flatten

MULTIPLE = 8
"""Channels that half-precision matrix units take at a time."""


@rule(
    "CNN301",
    "bias-before-norm",
    "warning",
    why="The norm subtracts each channel's mean, and with it any bias before: the bias changes no output, gets no "
    "gradient but rounding, and its memory and optimiser state are spent for nothing. The norm has a bias of its own.",
    mend="set bias: false on the layer before the norm",
    source="Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167, §3.2",
)
def bias_before_norm(design: Design) -> Iterator[Found]:
    """A bias that the norm after it subtracts again."""
    for number, node, layer in design.layers():
        if not isinstance(layer, (Conv, ConvTranspose, Linear)) or not layer.bias:
            continue
        reader = design.only_reader(number)
        if reader is None:
            continue
        norm = design.graph.nodes[reader]
        # A linear layer over more than one axis has its features last, and the channels of the norm are the first.
        per_channel = isinstance(norm.layer, (BatchNorm, InstanceNorm))
        if not per_channel or (isinstance(layer, Linear) and len(node.output_shape) > 1):
            continue
        channels = node.output_shape[0]
        message = f"the {channels:,} biases are subtracted again by {norm.path}"
        yield Found(number, message, {"biases": channels, "norm": norm.path})


# -- products that could be one --------------------------------------------------------------------


@rule(
    "CNN302",
    "no-nonlinearity-between",
    "warning",
    why="Two linear maps in a row are one linear map: without an activation between them the second adds nothing that "
    "a single layer could not compute (but for the borders). It is worth its while only where the pair has fewer "
    "weights than that layer, as in linear bottlenecks and separable convolutions; then this is information alone.",
    mend="put an activation between the two, or make them one layer",
    source="Goodfellow, Bengio & Courville 2016, Deep learning, §6.1; Sandler et al. 2018, MobileNetV2, "
    "arXiv:1801.04381, §3.2 for the deliberate ones",
)
def no_nonlinearity_between(design: Design) -> Iterator[Found]:
    """Two convolutions or linear layers with nothing between them that is not linear."""
    origin: dict[int, int] = {}
    for number, node, layer in design.layers():
        carried = None
        if len(node.inputs) == 1:
            before = node.inputs[0].node
            if design.only_reader(before) == number:
                carried = origin.get(before)
        if isinstance(layer, (Conv, ConvTranspose, Linear)):
            if carried is not None:
                first = design.graph.nodes[carried]
                one = merged_weights(first, node)
                if one is not None:
                    two = _weights(first) + _weights(node)
                    message = f"no activation after {first.path}: together {two:,} weights, as one layer {one:,}"
                    numbers = {"first": first.path, "weights": two, "weights_as_one": one}
                    yield Found(number, message, numbers, "info" if two < one else None)
            origin[number] = number
        elif carried is not None and _is_linear(node):
            origin[number] = carried


def _is_linear(node: Node) -> bool:
    """Whether a layer keeps a product a product: hands on, scales per channel, or flattens."""
    layer = node.layer
    if isinstance(layer, BatchNorm):
        return layer.track_running_stats
    return isinstance(layer, (PassThrough, LayerScale, Flatten))


def _weights(node: Node) -> int:
    """The weights of a product, without its bias."""
    assert node.layer is not None
    return prod(node.layer.weights(*node.input_shapes)[0].shape)


def merged_weights(first: Node, second: Node) -> int | None:
    """The weights of the one layer that computes what two do; ``None`` where that is no layer of theirs."""
    one, two = first.layer, second.layer
    if isinstance(two, Linear):
        if isinstance(one, Linear) and len(first.output_shape) == len(second.input_shapes[0]):
            return first.input_shapes[0][-1] * two.out
        if len(second.input_shapes[0]) == 1:  # flattened: one linear layer of everything
            return prod(first.input_shapes[0]) * two.out
        return None
    if not isinstance(one, (Conv, ConvTranspose)) or not isinstance(two, (Conv, ConvTranspose)):
        return None
    groups = gcd(one.groups, two.groups)
    taps = 1
    for a, b in zip(one.axes(first.input_shapes[0]), two.axes(second.input_shapes[0]), strict=True):
        inner, outer = a.effective_kernel - 1, b.effective_kernel - 1
        if isinstance(one, Conv) and isinstance(two, ConvTranspose):
            if a.stride > 1 and b.stride > 1:
                return None
            taps *= inner * b.stride + outer + 1
        elif isinstance(one, ConvTranspose) and isinstance(two, Conv):
            if a.stride > 1 and b.stride > 1:
                return None
            taps *= inner + outer + 1
        elif isinstance(one, ConvTranspose):
            taps *= inner * b.stride + outer + 1
        else:
            taps *= inner + outer * a.stride + 1
    return taps * first.input_shapes[0][0] // groups * two.out


# -- channels --------------------------------------------------------------------------------------


@rule(
    "CNN303",
    "no-more-channels",
    "info",
    why="A stage with half the resolution and no more channels holds a quarter of the values of the one before: what "
    "does not fit is lost. Most nets double the channels there, which keeps the work per layer the same. (A warning "
    "where there are even fewer.)",
    mend="widen the stage, or downsample later",
    source="He et al. 2015, arXiv:1512.03385, §3.3 (ii); Szegedy et al. 2015, arXiv:1512.00567, §2 (1), on "
    "representational bottlenecks",
)
def no_more_channels(design: Design) -> Iterator[Found]:
    """A stage that has half the resolution of the one before, or less, and no more channels."""
    stages: list[tuple[tuple[tuple[int, int], ...], int, int]] = []
    for number, node in enumerate(design.graph.nodes):
        if len(node.output_shape) < 2 or node.layer is None:
            continue
        tracks = design.smallest[number]
        fields = [track.field for track in tracks if isinstance(track, Local)]
        if not fields or len(fields) < len(tracks):
            continue
        jump = tuple(map(rf.jump, fields))
        if not node.layer.is_product and len(node.inputs) < 2:
            continue  # a pool or norm hands on what others have made
        width = node.output_shape[0]
        if not stages or _halved(stages[-1][0], jump):
            stages.append((jump, width, -1))
        if stages[-1][0] == jump:
            maker = number if stages[-1][2] < 0 and node.layer.is_product else stages[-1][2]
            stages[-1] = (jump, max(stages[-1][1], width), maker)
    # What only pools and never computes is no stage.
    computed = [stage for stage in stages if stage[2] >= 0]
    for (_, before, _), (jump, width, number) in pairwise(computed):
        if width <= before:
            step = "×".join(str(top) if bottom == 1 else f"{top}/{bottom}" for top, bottom in dict.fromkeys(jump))
            message = f"the stage at 1/{step} of the resolution has {width} channels at most, the one before {before}"
            numbers = {"channels": width, "channels_before": before, "jump": step}
            yield Found(number, message, numbers, "warning" if width < before else None)


def _halved(before: tuple[tuple[int, int], ...], now: tuple[tuple[int, int], ...]) -> bool:
    """Whether along every axis there is at most half the resolution."""
    pairs = list(zip(before, now, strict=False))
    return len(before) == len(now) and all(b[0] * a[1] >= 2 * a[0] * b[1] for a, b in pairs)


@rule(
    "CNN304",
    "zero-gamma",
    "info",
    why="With γ = 0 in the last norm of each residual branch the block starts as the identity: the net trains as if it "
    "were shallow at first, which helps with large batches.",
    mend="initialise the weight of this norm with 0 (torch.nn.init.zeros_(norm.weight)); the architecture stays",
    source="Goyal et al. 2017, Accurate, large minibatch SGD, arXiv:1706.02677, §5.1; He, T. et al. 2019, "
    "arXiv:1812.01187, §3.1",
)
def zero_gamma(design: Design) -> Iterator[Found]:
    """A residual block whose branch ends in a norm with a scale, which could start at 0."""
    nodes = design.graph.nodes
    for last, merge in last_scales(design.graph).items():
        if isinstance(nodes[last].layer, (BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm)):
            message = "the last norm of a residual branch; its weight could start at 0"
            yield Found(last, message, {"merge": nodes[merge].path})


@rule(
    "CNN305",
    "channels-off-multiple",
    "info",
    why="In half precision, matrix units work on 8 channels at a time; other counts are padded, or run on slower "
    "kernels. (Grouped convolutions are not counted here, and channels given by the data cannot be helped.)",
    mend="round the channels up to a multiple of 8 (round_to(channels, 8) in a spec); for classes, pad the output "
    "layer and ignore the rest",
    source="NVIDIA, Deep learning performance: convolutional layers user's guide and linear/fully-connected layers "
    "user's guide, on tensor core requirements",
)
def channels_off_multiple(design: Design) -> Iterator[Found]:
    """A convolution or linear layer whose output channels are no multiple of 8."""
    for number, _, layer in design.layers():
        if not isinstance(layer, (Conv, ConvTranspose, Linear)):
            continue
        if layer.out % MULTIPLE == 0 or (not isinstance(layer, Linear) and layer.groups > 1):
            continue
        more = -(-layer.out // MULTIPLE) * MULTIPLE
        numbers = {"channels": layer.out, "rounded_up": more}
        yield Found(
            number, f"{layer.out} output channels are no multiple of {MULTIPLE}; {more} take as many steps", numbers
        )


# -- axes ------------------------------------------------------------------------------------------


@rule(
    "CNN306",
    "linear-on-map",
    "warning",
    why="A linear layer works on the last axis alone, which of a feature map is its width: every row of every "
    "channel is multiplied by itself, with the same weights, and the channels are never brought together.",
    mend="put flatten or global_avg_pool before it, or use a convolution with kernel 1 for a layer over the channels",
    source="PyTorch, torch.nn.Linear (documentation of version 2.13, 2026): the last axis has the features",
)
def linear_on_map(design: Design) -> Iterator[Found]:
    """A linear layer that gets a feature map, not a vector of features."""
    for number, node, layer in design.layers():
        shape = node.input_shapes[0] if node.input_shapes else ()
        if not isinstance(layer, Linear) or len(shape) < 2:
            continue
        last = len(shape) - 1
        for track in design.fields.of(node.inputs[0]).tracks:
            # Of two axes the last may hold the features of a sequence, if nothing has slid along it.
            if isinstance(track, Local) and track.axis == last and (last > 1 or track.field != rf.IDENTITY):
                name = axis_name(last - 1, last)
                message = (
                    f"works on the last axis of {describe(shape)} alone, its {name}; is a flatten or a pool missing?"
                )
                yield Found(number, message, {"axis": name, "size": shape[last], "shape": list(shape)})
                break
