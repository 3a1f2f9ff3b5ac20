"""Fan-in and fan-out of a weight, which set the standard deviation of its initial values.

Sources: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural
networks", §4.2; He et al. 2015, "Delving deep into rectifiers", arXiv:1502.01852, §2.2.
"""

from __future__ import annotations

from math import prod

Shape = tuple[int, ...]


def fan_in(weight: Shape) -> int:
    """Inputs of one output unit: ``C_in/G·K_h·K_w`` for a weight ``(C_out, C_in/G, K_h, K_w)``."""
    return prod(weight[1:])


def fan_out(weight: Shape) -> int:
    """``C_out·K_h·K_w``, as in ``torch.nn.init``: groups and stride are ignored."""
    return weight[0] * prod(weight[2:])
