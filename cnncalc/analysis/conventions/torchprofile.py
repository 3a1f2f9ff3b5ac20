"""torchprofile 0.1.0: ``profile_macs``, which reads a trace; other operators are passed over, with a warning.

It takes a norm with a learned scale, a pool and every ``mul`` for one multiply-accumulate per output element.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import Convention, Rule, Seen, table


def transposed(seen: Seen) -> int:
    """kernel × channels for each OUTPUT element; the channels are the outputs' of a group, or all inputs'"""
    weight = seen.weight or (0, 0)
    channels = weight[1] if seen.output[1] == weight[0] else weight[0]
    return seen.output_elements * channels * prod(weight[2:])


TORCHPROFILE = Convention(
    name="torchprofile",
    tool="torchprofile",
    version="0.1.0",
    unit="MACs",
    counts="multiply-accumulates, 1 per element of norms with a learned scale, 1 per output element of average "
    "pools, means, products and leaky relu, 4 of bilinear upsampling",
    reads="functions in a trace",
    traces=True,
    functions=table(
        (Rule(macs=1), "aten::convNd aten::linear aten::matmul aten::scaled_dot_product_attention"),
        (Rule(quirk=transposed), "aten::conv_transposeNd"),
        (Rule(scaled=1), "aten::batch_norm aten::instance_norm aten::layer_norm aten::group_norm"),
        (Rule(outputs=1), "aten::mul aten::avg_poolNd aten::adaptive_avg_poolNd aten::mean aten::leaky_relu"),
        (Rule(outputs=4), "aten::upsample_bilinear2d"),
    ),
)
