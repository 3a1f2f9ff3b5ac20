"""Which function turns which ATen operator into layers; filled as the operator modules are imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cnncalc.torch.capture.tracer import Call, Tracer

Handler = Callable[["Tracer", "Call"], Any]
Function = TypeVar("Function", bound=Handler)

HANDLERS: dict[str, Handler] = {}
"""For each operator's name (without namespace and overload) the function that emits its layers."""
OWNED: dict[str, tuple[str, ...]] = {}
"""For operators that become a layer with weights the arguments that are these weights."""


def captures(*names: str, owns: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """Register the decorated function for the operators of these names; in-place variants are among them."""

    def register(function: Function) -> Function:
        for name in names:
            HANDLERS[name] = function
            if owns:
                OWNED[name] = owns
        return function

    return register
