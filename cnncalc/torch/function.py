"""A function of tensors as a module without parameters."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getsource, signature
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert.code import Arg, Call, Text, positional
from cnncalc.errors import CnncalcError
from cnncalc.torch import parts

BARE = ("chunks", "dims", "dim0", "dim1", "split_size_or_sections")
"""Arguments of PyTorch's compiled functions that are usually given without names."""


class Function(nn.Module):
    """Calls ``function`` on its inputs, with ``arguments`` that stay the same."""

    def __init__(self, function: Callable[..., Any], **arguments: Any) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Any:
        """The function's result."""
        return self.function(*inputs, **self.arguments)

    def source(self, tensors: tuple[Any, ...]) -> Text:
        """The call as Python code."""
        defaults = defaults_of(self.function)
        name, helpers = name_of(self.function)
        given: list[Arg] = []
        for key, value in self.arguments.items():
            bare = key not in defaults and (bool(defaults) or name[0] == "." or key in BARE)
            named = not bare or any(arg.keyword for arg in given)
            given.append(Arg(key, plain(value), named, key in defaults and defaults[key] == value))
        return Text(None, Call(name, (*positional(*tensors), *given)), helpers=helpers)

    def extra_repr(self) -> str:
        """What is called with what, for the module's printed form."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return ", ".join(filter(None, (self.function.__name__, arguments)))


class Hook:
    """A function that a module's input goes through before it (or its output after it), as a hook."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], *output: Tensor) -> Any:
        """The other tensor."""
        return self.function(*(output or inputs))


def name_of(function: Callable[..., Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What a function is called in Python code that imports ``torch`` and ``F``, and its source if it is in neither.

    Raises:
        CnncalcError: it can be called nothing there.
    """
    name = function.__name__
    if getattr(function, "__module__", "") == parts.__name__:
        return name, ((name, getsource(function)),)
    if getattr(torch, name, None) is function:
        return f"torch.{name}", ()
    short = name.removeprefix("linalg_")
    if getattr(torch.linalg, short, None) is function:
        return f"torch.linalg.{short}", ()
    if getattr(nn.functional, name, None) is function:
        return f"F.{name}", ()
    if getattr(Tensor, name, None) is function:
        return f".{name}", ()
    raise CnncalcError(f"{name} is not a function of PyTorch, so it cannot be written as Python code")


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of a function that may be left out; none where Python cannot tell."""
    try:
        parameters = signature(function).parameters.values()
    except ValueError:
        return {}
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def plain(value: Any) -> Any:
    """A list as a tuple, so that it can be compared and kept."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value
