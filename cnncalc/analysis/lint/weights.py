"""CNN3..: weights and channels: what is wasted, what could be merged, what hardware and training like."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import gcd, prod
from typing import Any

from cnncalc.analysis.initialisation import last_scales
from cnncalc.analysis.lint.design import Design
from cnncalc.analysis.lint.rule import Found, rule
from cnncalc.analysis.receptive_field import LocalField
from cnncalc.formulas import receptive_field as rf
from cnncalc.graph import Node
from cnncalc.layers.axes import axis_name, describe
from cnncalc.layers.base import Layer
from cnncalc.layers.reads import pointwise

MULTIPLE = 8
"""Channels that half-precision matrix units take at a time."""


def is_learned(layer: Layer) -> bool:
    """Whether a layer is a product with a learned weight, which has ``out`` channels: linear, or a convolution."""
    return layer.is_product and "out" in layer.__struct_fields__


def is_linear(layer: Layer) -> bool:
    """Whether such a product has no window: it works on the last axis."""
    return is_learned(layer) and "kernel" not in layer.__struct_fields__


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
        reader = design.only_reader(number) if is_learned(layer) and getattr(layer, "bias") else None  # noqa: B009
        norm = None if reader is None else design.graph.nodes[reader]
        # A linear layer over more than one axis has its features last, and the channels of the norm are the first.
        if norm is None or (is_linear(layer) and len(node.output_shape) > 1):
            continue
        if norm.layer is not None and norm.layer.role == "channel norm":
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
        if is_learned(layer):
            if carried is not None:
                first = design.graph.nodes[carried]
                one = merged_weights(first, node)
                if one is not None:
                    two = _weights(first) + _weights(node)
                    message = f"no activation after {first.path}: together {two:,} weights, as one layer {one:,}"
                    numbers = {"first": first.path, "weights": two, "weights_as_one": one}
                    yield Found(number, message, numbers, "info" if two < one else None)
            origin[number] = number
        elif carried is not None and _keeps_products(node):
            origin[number] = carried


def _keeps_products(node: Node) -> bool:
    """Whether a layer keeps a product a product: hands on, scales per channel, or flattens."""
    assert node.layer is not None
    if node.layer.role == "channel norm":  # by running statistics a unit reads its own place alone
        return node.layer.reads(*node.input_shapes) == tuple(map(pointwise, node.input_shapes))
    return node.layer.role in ("pass-through", "scale", "flattening")


def _weights(node: Node) -> int:
    """The weights of a product, without its bias."""
    assert node.layer is not None
    return prod(node.layer.weights(*node.input_shapes)[0].shape)


def merged_weights(first: Node, second: Node) -> int | None:
    """The weights of the one layer that computes what two do; ``None`` where that is no layer of theirs."""
    one: Any = first.layer
    two: Any = second.layer
    out: int = two.out
    inputs, between = first.input_shapes[0], second.input_shapes[0]
    if is_linear(two):
        if len(between) == 1:  # flattened: one linear layer of everything
            return prod(inputs) * out
        return inputs[-1] * out if is_linear(one) and len(first.output_shape) == len(between) else None
    if is_linear(one):
        return None
    transposed = tuple("output_padding" in layer.__struct_fields__ for layer in (one, two))
    taps = 1
    for a, b in zip(one.axes(inputs), two.axes(between), strict=True):
        inner, outer = a.effective_kernel - 1, b.effective_kernel - 1
        if any(transposed) and not all(transposed) and a.stride > 1 and b.stride > 1:
            return None
        inner *= b.stride if transposed[1] else 1
        outer *= 1 if any(transposed) else a.stride
        taps *= inner + outer + 1
    groups: int = gcd(one.groups, two.groups)
    return taps * inputs[0] // groups * out


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
        fields = [track.field for track in tracks if isinstance(track, LocalField)]
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
        layer = nodes[last].layer
        if layer is not None and layer.role in ("norm", "channel norm"):
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
        out: int = getattr(layer, "out", MULTIPLE) if layer.is_product else MULTIPLE
        if out % MULTIPLE == 0 or getattr(layer, "groups", 1) > 1:
            continue
        more = -(-out // MULTIPLE) * MULTIPLE
        message = f"{out} output channels are no multiple of {MULTIPLE}; {more} take as many steps"
        yield Found(number, message, {"channels": out, "rounded_up": more})


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
        if not is_linear(layer) or len(shape) < 2:
            continue
        last = len(shape) - 1
        for track in design.fields.of(node.inputs[0]).tracks:
            # Of two axes the last may hold the features of a sequence, if nothing has slid along it.
            if isinstance(track, LocalField) and track.axis == last and (last > 1 or track.field != rf.IDENTITY):
                name = axis_name(last - 1, last)
                message = (
                    f"works on the last axis of {describe(shape)} alone, its {name}; is a flatten or a pool missing?"
                )
                yield Found(number, message, {"axis": name, "size": shape[last], "shape": list(shape)})
                break
