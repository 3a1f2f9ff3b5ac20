"""thop 0.1.1.post2209072238: hooks on modules by their exact class; what has no hook counts nothing, in silence.

Its "MACs" are multiply-accumulates for products, and operations for the rest. The bias is left out.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import NOTHING, Convention, Rule, Seen, table


def transposed(seen: Seen) -> int:
    """kernel × input channels of a group for each OUTPUT element, where the input's are what is multiplied"""
    groups, kernel = getattr(seen.layer, "groups", 1), (seen.weight or ())[2:]
    return seen.output_elements * (seen.inputs[0][1] // groups) * prod(kernel)


def softmax(seen: Seen) -> int:
    """3n − 1 for each n elements that are normalised together"""
    axis = getattr(seen.layer, "axis", 0)
    size = seen.inputs[0][axis + 1 if axis >= 0 else axis]
    return seen.input_elements // size * (3 * size - 1)


def adaptive(seen: Seen) -> int:
    """the ratio of input to output size, and 1, per output element"""
    ratio = 1.0  # thop calculates in doubles and cuts off
    for size, out in zip(seen.inputs[0][2:], seen.output[2:], strict=True):
        ratio *= size / out
    return int((ratio + 1) * seen.output_elements)


UPSAMPLING = {"nearest1d": 1, "nearest2d": 1, "nearest3d": 1, "linear1d": 5, "bilinear2d": 11, "bicubic2d": 259}


def upsample(seen: Seen) -> int:
    """per output element 1 (nearest), 5 (linear), 11 (bilinear) or 259 (bicubic); nothing for other modes"""
    rank = len(seen.inputs[0]) - 2
    return UPSAMPLING.get(f"{seen.layer.torch_mode(rank)}{rank}d", 0) * seen.output_elements  # type: ignore[attr-defined]


THOP = Convention(
    name="thop",
    tool="thop",
    version="0.1.1.post2209072238",
    unit="MACs",
    counts="multiply-accumulates without the bias, 4 per norm element (2 without scale), 1 per output element of "
    "average pools, the ratio of sizes and 1 per output element of adaptive ones",
    reads="modules",
    modules=table(
        (Rule(macs=1), "ConvNd Linear"),
        (Rule(quirk=transposed), "ConvTransposeNd"),
        (Rule(inputs=2, scaled=2), "BatchNormNd InstanceNormNd LayerNorm"),
        (Rule(inputs=1), "PReLU"),
        (Rule(quirk=softmax), "Softmax"),
        (Rule(outputs=1), "AvgPoolNd"),
        (Rule(quirk=adaptive), "AdaptiveAvgPoolNd"),
        (Rule(quirk=upsample), "Upsample"),
        (NOTHING, "ReLU ReLU6 LeakyReLU MaxPoolNd AdaptiveMaxPoolNd Dropout PixelShuffle"),
    ),
)
