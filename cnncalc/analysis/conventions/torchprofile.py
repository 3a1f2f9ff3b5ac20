"""torchprofile 0.1.0: ``profile_macs``, which reads a trace; other operators are passed over, with a warning.

It takes a norm with a learned scale, a pool and every ``mul`` for one multiply-accumulate per output element.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import Convention, Rule, Seen, each_rank


def transposed(seen: Seen) -> int:
    """kernel × channels for each OUTPUT element; the channels are the outputs' of a group, or all inputs'"""
    weight = seen.weight or (0, 0)
    channels = weight[1] if seen.outputs[0][1] == weight[0] else weight[0]
    return seen.output_elements * channels * prod(weight[2:])


PRODUCT = Rule(macs=1)
OUTPUT = Rule(outputs=1)
NORM = Rule(scaled=1)

TORCHPROFILE = Convention(
    name="torchprofile",
    tool="torchprofile",
    version="0.1.0",
    unit="MACs",
    counts="multiply-accumulates, 1 per element of norms with a learned scale, 1 per output element of average "
    "pools, means, products and leaky relu, 4 of bilinear upsampling",
    reads="functions in a trace",
    traces=True,
    functions={
        **each_rank("aten::convNd", PRODUCT),
        **each_rank("aten::conv_transposeNd", Rule(quirk=transposed)),
        "aten::linear": PRODUCT,
        "aten::matmul": PRODUCT,
        "aten::scaled_dot_product_attention": PRODUCT,
        "aten::mul": OUTPUT,
        "aten::batch_norm": NORM,
        "aten::instance_norm": NORM,
        "aten::layer_norm": NORM,
        "aten::group_norm": NORM,
        **each_rank("aten::avg_poolNd", OUTPUT),
        **each_rank("aten::adaptive_avg_poolNd", OUTPUT),
        "aten::mean": OUTPUT,
        "aten::leaky_relu": OUTPUT,
        "aten::upsample_bilinear2d": Rule(outputs=4),
    },
)
