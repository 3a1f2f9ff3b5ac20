"""The mathematics itself in NumPy: every layer as its equation, forward and backward.

Arrays are batch first, ``(N, C, *spatial)``, with one code for one to three spatial axes. One function
per layer class, decorated with :func:`evaluates`, computes it in inference; for those with an
equation of their own one decorated with :func:`differentiates` gives the gradients. :func:`run`
executes a whole net, and :func:`dependency` measures by that what each of its units sees.
"""

from __future__ import annotations

from cnncalc.reference import (
    activation,
    arithmetic,
    attention,
    loss,
    merge,
    norm,
    pool,
    reduce,
    regularization,
    resample,
    shape,
    tensor,
)
from cnncalc.reference.execution import Step, draw_weights, execute, run
from cnncalc.reference.registry import (
    DIFFERENTIATORS,
    EVALUATORS,
    differentiates,
    evaluate_layer,
    evaluates,
    layer_gradients,
    numeric_gradients,
)
from cnncalc.reference.support import dependency, jumps, spans

__all__ = [
    "DIFFERENTIATORS",
    "EVALUATORS",
    "Step",
    "activation",
    "arithmetic",
    "attention",
    "dependency",
    "differentiates",
    "draw_weights",
    "evaluate_layer",
    "evaluates",
    "execute",
    "jumps",
    "layer_gradients",
    "loss",
    "merge",
    "norm",
    "numeric_gradients",
    "pool",
    "reduce",
    "regularization",
    "resample",
    "run",
    "shape",
    "spans",
    "tensor",
]
