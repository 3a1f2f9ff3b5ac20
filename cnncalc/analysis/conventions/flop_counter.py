"""``torch.utils.flop_counter.FlopCounterMode`` of PyTorch 2.13: two FLOPs per multiply-accumulate of a product.

It sits below autograd and sees the operators that really run: ``convolution``, ``mm``, ``addmm``, ``bmm``,
``baddbmm`` and the fused attentions have a formula, everything else is passed over.
"""

from __future__ import annotations

from cnncalc.analysis.conventions.convention import Convention, Rule, table

PRODUCT = Rule(macs=2)

FLOP_COUNTER = Convention(
    name="flop_counter",
    tool="torch.utils.flop_counter",
    version="2.13.0",
    unit="FLOPs",
    counts="two FLOPs for each multiply-accumulate of convolutions and matrix products, nothing else",
    reads="operators as they run (a dispatch mode)",
    functions=table(
        (PRODUCT, "aten::convNd aten::conv_transposeNd aten::linear aten::matmul aten::scaled_dot_product_attention"),
    ),
)
