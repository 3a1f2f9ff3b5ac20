"""A function of tensors as a module without parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Function(nn.Module):
    """Calls ``function`` on its inputs, with ``arguments`` that stay the same."""

    def __init__(self, function: Callable[..., Any], **arguments: Any) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Any:
        """The function's result."""
        return self.function(*inputs, **self.arguments)

    def extra_repr(self) -> str:
        """What is called with what, for the module's printed form."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return ", ".join(filter(None, (self.function.__name__, arguments)))
