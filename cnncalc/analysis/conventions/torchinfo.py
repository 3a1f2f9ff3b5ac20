"""torchinfo 1.8.0: ``total_mult_adds`` of its summary, which never looks at what a module does.

For each call of a module without children it takes the learned tensors named ``weight`` and ``bias``:
their size × batch × output positions where the class name has "Conv" in it, else their size × batch. So
a linear layer over several positions is counted as if there were one, a norm by its parameters, and
what is no module of its own, attention and products of two tensors not at all.
"""

from __future__ import annotations

from math import prod

from cnncalc.analysis.conventions.convention import Convention, Rule, Seen, table


def once_per_position(seen: Seen) -> int:
    """each weight and bias once per output position"""
    return _parameters(seen) * seen.output[0] * prod(seen.output[2:])


def once_per_sample(seen: Seen) -> int:
    """each weight and bias once per sample, whatever it does"""
    return _parameters(seen) * seen.output[0]


def output_projection(seen: Seen) -> int:
    """the weight and bias of its one child, the output projection, once per sample"""
    projection = (prod(tensor.shape) for tensor in seen.learned if tensor.name.startswith("out_proj."))
    return sum(projection) * seen.output[0]


def _parameters(seen: Seen) -> int:
    return sum(prod(tensor.shape) for tensor in seen.learned if tensor.name in ("weight", "bias"))


TORCHINFO = Convention(
    name="torchinfo",
    tool="torchinfo",
    version="1.8.0",
    unit="MACs",
    counts="parameters × output positions for classes with Conv in their name, parameters × batch for all others",
    reads="modules and their parameters",
    modules=table(
        (Rule(quirk=once_per_position), "ConvNd ConvTransposeNd"),
        (Rule(quirk=output_projection), "MultiheadAttention"),
    ),
    other=Rule(quirk=once_per_sample),
)
