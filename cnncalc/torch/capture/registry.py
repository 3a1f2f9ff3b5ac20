"""Which function turns which ATen operator into layers; filled as the operator modules are imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cnncalc.torch.capture.tracer import Call, Tracer

Handler = Callable[["Tracer", "Call"], Any]
Function = TypeVar("Function", bound=Callable[..., Any])

HANDLERS: dict[str, Handler] = {}
"""For each operator's name (without namespace and overload) the function that emits its layers."""
OWNED: dict[str, tuple[str, ...]] = {}
"""For operators that become a layer with weights, the arguments that are these weights."""
MULTIPLYING: set[str] = {
    *("addbmm", "addmv", "bilinear", "cdist", "chain_matmul", "dot", "inner", "linalg_multi_dot", "mv", "tensordot"),
    *("gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "vdot"),
}
"""Operators with multiply-accumulates, which count on constants too; these have no layer, others register."""


def captures(*names: str, owns: tuple[str, ...] = (), multiplies: bool = False) -> Callable[[Function], Function]:
    """Register the decorated function for the operators of these names; in-place variants are among them.

    After the tracer it gets what its parameters are named after: ``x`` is the operator's first argument, ``call`` the
    whole call, any other the operator's argument of that name (``None`` where it has none). It returns a value for each
    of the operator's results that are tensors of the graph: one, or a tuple of the first ones.

    Args:
        names: of the operators.
        owns: arguments that become weights of the layer.
        multiplies: it has MACs, which every run of the net computes, also where it depends on no input.

    Raises:
        ValueError: an operator has a function already.
    """

    def register(function: Function) -> Function:
        given = [*inspect.signature(function).parameters][1:]

        @wraps(function)
        def handler(tracer: Tracer, call: Call) -> Any:
            own = {"call": call, "x": next(iter(call.arguments.values()))}
            return function(tracer, *(own[name] if name in own else call[name] for name in given))

        for name in names:
            if name in HANDLERS:
                raise ValueError(f"{name} is captured by {HANDLERS[name].__name__} already")
            HANDLERS[name] = handler
            if owns:
                OWNED[name] = owns
            if multiplies:
                MULTIPLYING.add(name)
        return function

    return register
