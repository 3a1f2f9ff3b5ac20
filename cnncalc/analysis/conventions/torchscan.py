"""torchscan 0.2.0: ``macs`` and ``module_flops`` of its report, from formulas by the class of each module.

What it does not know makes the total partial, and it says so: every class outside the tables below, so
also the sums and concatenations that are modules here and operators elsewhere.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import NOTHING, Convention, Rule, Seen, table

VERSION = "0.2.0"


def kernel_size(seen: Seen) -> int:
    """Elements of a pool's window, as torchscan has it: one number alone is not squared."""
    kernel: int | tuple[int, ...] = getattr(seen.layer, "kernel", 1)
    return prod(kernel) if isinstance(kernel, tuple) else kernel


def max_pool(seen: Seen) -> int:
    """kernel − 1 per output element, where the kernel of 3×3 written as 3 is 3"""
    return seen.output_elements * (kernel_size(seen) - 1)


def avg_pool(seen: Seen) -> int:
    """kernel − 1 + number of spatial axes per output element, where the kernel of 3×3 written as 3 is 3"""
    return seen.output_elements * (kernel_size(seen) - 1 + len(seen.inputs[0]) - 2)


def adaptive_kernel(seen: Seen) -> tuple[int, ...]:
    """The ratio of input to output size along each axis; where that is no whole number, the remainder + 1."""
    sizes = zip(seen.inputs[0][2:], seen.output[2:], strict=False)
    return tuple(size % out + 1 if size % out else size // out for size, out in sizes)


def adaptive_max_pool(seen: Seen) -> int:
    """kernel − 1 per output element, the kernel being the ratio of sizes (or the remainder + 1)"""
    return seen.output_elements * (prod(adaptive_kernel(seen)) - 1)


def adaptive_avg_pool(seen: Seen) -> int:
    """kernel − 1 + number of spatial axes per output element, the kernel being the ratio of sizes (or remainder + 1)"""
    kernel = adaptive_kernel(seen)
    return seen.output_elements * (prod(kernel) - 1 + len(kernel))


def conv(seen: Seen) -> int:
    """multiply-accumulates over the output elements"""
    groups, kernel = getattr(seen.layer, "groups", 1), (seen.weight or ())[2:]
    return seen.output_elements * (seen.inputs[0][1] // groups) * prod(kernel)


def conv_transpose(seen: Seen) -> int:
    """a multiply-accumulate of each input channel and tap for each OUTPUT element, and 4 per spatial axis"""
    return 4 * (len(seen.inputs[0]) - 2) + conv(seen)


def dropout(seen: Seen) -> int:
    """1 per element, for a random number that evaluation does not draw"""
    return seen.input_elements if getattr(seen.layer, "p", 0) > 0 else 0


def product_flops(seen: Seen) -> int:
    """each multiply-accumulate as 2, less 1 per output element, and 1 for the bias"""
    return 2 * seen.macs - seen.output_elements * (not seen.bias)


def conv_transpose_flops(seen: Seen) -> int:
    """2 per input channel and tap, less 1, for each OUTPUT element, 1 for the bias, and 8 per spatial axis"""
    return 8 * (len(seen.inputs[0]) - 2) + 2 * conv(seen) - seen.output_elements * (not seen.bias)


def batch_norm_flops(seen: Seen) -> int:
    """4 per element (2 without scale) and 2 per channel"""
    return 2 * seen.inputs[0][1] + (2 + 2 * (seen.weight is not None)) * seen.input_elements


def layer_norm_flops(seen: Seen) -> int:
    """6 per element, 1 for each of scale and shift, and 2 per set that is normalised"""
    shape, axes = seen.inputs[0][1:], getattr(seen.layer, "axes", None)
    over = range(len(shape)) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    sizes = [shape[axis] for axis in over]
    elements = seen.input_elements
    return 6 * elements + 2 * (elements // prod(sizes)) + len(seen.learned) * elements


def output_projection(seen: Seen) -> int:
    """the multiply-accumulates of its one child, the output projection"""
    return prod(seen.inputs[0]) * seen.inputs[0][-1]


def output_projection_flops(seen: Seen) -> int:
    """Those of the child, as of any linear layer."""
    return 2 * output_projection(seen) - seen.output_elements * (not _has_bias(seen))


def _has_bias(seen: Seen) -> bool:
    return any("bias" in tensor.name for tensor in seen.learned)


def always(seen: Seen) -> bool:
    """There is no formula for it."""
    return True


def lacks_key_or_value(seen: Seen) -> bool:
    """Its formula fails, and it says so: AttributeError: 'NoneType' object has no attribute 'ndim'."""
    return len(seen.inputs) < 3


def attention_flops(seen: Seen) -> int:
    """the products at 2n − 1 per result, biases, scaling and 3n − 1 per softmax, if it is given query, key and value;
    and its one child, the output projection, (once more)"""
    if lacks_key_or_value(seen):
        return output_projection_flops(seen)
    (batch, target, embed), (_, source, _), _ = seen.inputs
    heads = getattr(seen.layer, "num_heads", 1)
    head, bias = embed // heads, _has_bias(seen)
    rows = batch * heads * target
    projections = sum(prod(shape[:-1]) * embed * (2 * shape[-1] - 1 + bias) for shape in seen.inputs)
    scores = 1 + rows * head + rows * source * (2 * head - 1) + rows * (3 * source - 1)
    context = rows * head * (2 * source - 1)
    return projections + scores + context + 2 * output_projection_flops(seen)


POOLS = (
    (Rule(quirk=max_pool), "MaxPoolNd"),
    (Rule(quirk=avg_pool), "AvgPoolNd"),
    (Rule(quirk=adaptive_max_pool), "AdaptiveMaxPoolNd"),
    (Rule(quirk=adaptive_avg_pool), "AdaptiveAvgPoolNd"),
)

TORCHSCAN = Convention(
    name="torchscan",
    tool="torchscan macs",
    version=VERSION,
    unit="MACs",
    counts="multiply-accumulates, 2 per batch-norm element (1 without scale), kernel − 1 per output element of max "
    "pools and a little more of average pools",
    reads="modules",
    confesses=True,
    inherits=True,
    modules=table(
        (Rule(macs=1), "Linear ConvNd"),
        (Rule(quirk=conv_transpose), "ConvTransposeNd"),
        (Rule(inputs=1, scaled=1), "BatchNormNd"),
        *POOLS,
        (Rule(quirk=output_projection, partial=always), "MultiheadAttention"),
        (NOTHING, "ReLU ELU LeakyReLU ReLU6 Tanh Sigmoid Dropout Flatten Identity"),
    ),
)

TORCHSCAN_FLOPS = Convention(
    name="torchscan-flops",
    tool="torchscan module_flops",
    version=VERSION,
    unit="FLOPs",
    counts="2n − 1 for each sum of n products, biases, 4 per batch-norm element (2 without scale), 1 to 6 per "
    "element of activations, kernel − 1 per output element of pools, 1 per dropout element",
    reads="modules",
    confesses=True,
    inherits=True,
    modules=table(
        (Rule(quirk=product_flops), "Linear ConvNd"),
        (Rule(quirk=conv_transpose_flops), "ConvTransposeNd"),
        (Rule(quirk=batch_norm_flops), "BatchNormNd"),
        (Rule(quirk=layer_norm_flops), "LayerNorm"),
        (Rule(quirk=attention_flops, partial=lacks_key_or_value), "MultiheadAttention"),
        *POOLS,
        (Rule(inputs=1), "ReLU"),
        (Rule(inputs=2), "ReLU6"),
        (Rule(inputs=4), "LeakyReLU Sigmoid"),
        (Rule(inputs=6), "ELU Tanh"),
        (Rule(quirk=dropout), "Dropout"),
        (NOTHING, "Flatten Identity"),
    ),
)
