"""fvcore 0.1.5.post20221221: ``FlopCountAnalysis`` and ``ActivationCountAnalysis``, which read a trace.

What has no handler is left out, with a warning: attention, pools but one, activations, sums. Its
"flops" are multiply-accumulates for products, and operations for the rest.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import Convention, Rule, Seen, table

VERSION = "0.1.5.post20221221"
MOST_AXES = 5


def too_many_axes(seen: Seen) -> str:
    """The error of an assertion on the number of axes."""
    axes = list(seen.inputs[0])
    return "" if 2 <= len(axes) <= MOST_AXES else f"AssertionError: {axes}"


def matmul(seen: Seen) -> int:
    """the elements of the first factor × the columns of the second, broadcast or not"""
    first, second = seen.inputs
    return prod(first) * second[-1]


PRODUCT = Rule(macs=1)
NORM = Rule(inputs=4, scaled=1, fails=too_many_axes)

FVCORE = Convention(
    name="fvcore",
    tool="fvcore FlopCountAnalysis",
    version=VERSION,
    unit="MACs",
    counts="multiply-accumulates, 2 per batch-norm element, 5 per element of other norms, 1 per input element of "
    "adaptive 2-D average pools, 1 or 4 per output element of 2-D upsampling",
    reads="functions in a trace",
    traces=True,
    functions=table(
        (PRODUCT, "aten::convNd aten::conv_transposeNd aten::linear"),
        (Rule(quirk=matmul), "aten::matmul"),
        (Rule(inputs=1, scaled=1, own_statistics=NORM), "aten::batch_norm"),
        (NORM, "aten::layer_norm aten::group_norm aten::instance_norm"),
        (Rule(inputs=1), "aten::adaptive_avg_pool2d"),
        (Rule(outputs=1), "aten::upsample_nearest2d"),
        (Rule(outputs=4), "aten::upsample_bilinear2d"),
    ),
)

FVCORE_ACTIVATIONS = Convention(
    name="fvcore-activations",
    tool="fvcore ActivationCountAnalysis",
    version=VERSION,
    unit="activations",
    counts="output elements of convolutions, linear layers and matrix products",
    reads="functions in a trace",
    traces=True,
    functions=table((Rule(outputs=1), "aten::convNd aten::conv_transposeNd aten::linear aten::matmul")),
)
