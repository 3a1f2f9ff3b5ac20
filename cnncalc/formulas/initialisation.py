"""Fan-in and fan-out of a weight, by which the deviation of its initial values is set.

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
    """``C_out·K_h·K_w``, as ``torch.nn.init`` has it: without regard to groups and stride."""
    return weight[0] * prod(weight[2:])
