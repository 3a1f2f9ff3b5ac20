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

from cnncalc.analysis.conventions.convention import Convention, Number, Rule, Seen, each_rank

VERSION = "0.7.5"


def of_first_sample(seen: Seen) -> int:
    """the output elements of one sample, however many there are"""
    return prod(seen.outputs[0][1:])


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
NORM = Rule(inputs=1, scaled=1)

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
    modules={
        **each_rank("ConvNd", PRODUCT),
        **each_rank("ConvTransposeNd", PRODUCT),
        "Linear": PRODUCT,
        **each_rank("BatchNormNd", NORM),
        **each_rank("InstanceNormNd", NORM),
        "GroupNorm": NORM,
        "LayerNorm": INPUT,  # it has no attribute "affine"
        "ReLU": ELEMENT,
        "ReLU6": ELEMENT,
        "LeakyReLU": ELEMENT,
        "PReLU": ELEMENT,
        "ELU": ELEMENT,
        "GELU": ELEMENT,
        **each_rank("MaxPoolNd", INPUT),
        **each_rank("AvgPoolNd", INPUT),
        **each_rank("AdaptiveMaxPoolNd", INPUT),
        **each_rank("AdaptiveAvgPoolNd", INPUT),
        "Upsample": Rule(quirk=of_first_sample),
    },
    functions={
        "F.relu": INPUT,
        "F.prelu": INPUT,
        "F.elu": INPUT,
        "F.gelu": INPUT,
        "F.silu": INPUT,
        "F.softmax": INPUT,
        **each_rank("F.max_poolNd", INPUT),
        **each_rank("F.avg_poolNd", INPUT),
        **each_rank("F.adaptive_max_poolNd", INPUT),
        **each_rank("F.adaptive_avg_poolNd", INPUT),
        "F.interpolate": Rule(quirk=interpolated),
        "Tensor.mul": ELEMENT,
        "Tensor.add": ELEMENT,
    },
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
    functions={
        **each_rank("aten::convNd", PRODUCT),
        **each_rank("aten::conv_transposeNd", PRODUCT),
        "aten::linear": FUSED,
        "aten::matmul": PRODUCT,
        "aten::scaled_dot_product_attention": PRODUCT,
    },
)
