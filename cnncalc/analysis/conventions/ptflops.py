"""ptflops 0.7.5, both backends. Its MACs are multiply-accumulates for products, and operations for the rest.

``pytorch`` hooks modules by their exact class, and also replaces some functions of ``torch.nn.functional``
and ``torch`` while the net runs. Modules call those functions: so relu, prelu, elu, gelu and all pools
are counted twice, once as a module and once as a function. It divides the count for modules by the
batch, but not the count for functions. What is written as an operator (``a + b``) it does not see.

``aten`` is a dispatch mode as PyTorch's own counter: ``convolution``, ``mm``, ``addmm`` and ``bmm``, with
the bias where the operator adds it.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import Convention, Number, Rule, Seen, table

VERSION = "0.7.5"


def of_first_sample(seen: Seen) -> int:
    """the output elements of one sample, however many there are"""
    return prod(seen.output[1:])


def interpolated(seen: Seen) -> Number:
    """the input elements × the scale factors, or the elements of the output size that is given"""
    sizes, elements = len(seen.inputs[0]) - 2, seen.input_elements
    scale, size = (getattr(seen.layer, name, None) for name in ("scale_factor", "size"))
    if size is not None:
        return prod(size if isinstance(size, tuple) else (size,) * sizes) * prod(seen.inputs[0][:2])
    if isinstance(scale, tuple):
        return elements * prod(int(one) for one in scale)
    return elements * float(scale or 1) ** sizes


PRODUCT = Rule(macs=1, bias=1)
ELEMENT = Rule(outputs=1)
INPUT = Rule(inputs=1)

PTFLOPS = Convention(
    name="ptflops",
    tool="ptflops (pytorch)",
    version=VERSION,
    unit="MACs",
    counts="multiply-accumulates and biases, 2 per norm element (1 without scale, and for layer norm), 1 per element "
    "of activations and pools, most of them twice",
    reads="modules, and functions that it replaces",
    per_sample=True,
    patches=True,
    modules=table(
        (PRODUCT, "ConvNd ConvTransposeNd Linear"),
        (Rule(inputs=1, scaled=1), "BatchNormNd InstanceNormNd GroupNorm"),
        (INPUT, "LayerNorm"),  # it has no attribute "affine"
        (ELEMENT, "ReLU ReLU6 LeakyReLU PReLU ELU GELU"),
        (INPUT, "MaxPoolNd AvgPoolNd AdaptiveMaxPoolNd AdaptiveAvgPoolNd"),
        (Rule(quirk=of_first_sample), "Upsample"),
    ),
    functions=table(
        (INPUT, "F.relu F.prelu F.elu F.gelu F.silu F.softmax"),
        (INPUT, "F.max_poolNd F.avg_poolNd F.adaptive_max_poolNd F.adaptive_avg_poolNd"),
        (Rule(quirk=interpolated), "F.interpolate"),
        (ELEMENT, "Tensor.mul Tensor.add"),
    ),
)


FUSED = Rule(macs=1, bias=1, fused=True)
"""PyTorch adds the bias in the product (``addmm``) where the input lies in order; else it is a sum of its own."""

PTFLOPS_ATEN = Convention(
    name="ptflops-aten",
    tool="ptflops (aten)",
    version=VERSION,
    unit="MACs",
    counts="multiply-accumulates of convolutions and matrix products, and 1 per element that a bias is added to",
    reads="operators as they run (a dispatch mode)",
    functions=table(
        (PRODUCT, "aten::convNd aten::conv_transposeNd aten::matmul aten::scaled_dot_product_attention"),
        (FUSED, "aten::linear"),
    ),
)
