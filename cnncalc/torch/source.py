"""Modules as Python code, read from what the builders make: ``nn.Conv2d(3, 64, 7, stride=2, padding=3)``.

The arguments of a module of ``torch.nn`` are read from the signature of its class and from the module's
attributes of those names, and one that leads to the same module when it is left out is marked as implied. So a
builder that returns such a module, or a :class:`Function` of PyTorch's own, needs no text of its own; another
module says its text in a method ``source``.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from cnncalc.convert import code
from cnncalc.convert.code import SELF, Arg, Call, Text, Verbatim, positional
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.layers.base import Layer, Shapes
from cnncalc.spec.problem import listed
from cnncalc.torch import parts
from cnncalc.torch.function import Hook
from cnncalc.torch.registry import build_layer

FUNCTIONS: dict[type[nn.Module], str] = {nn.Flatten: "torch.flatten"}
"""Modules that people write as a function of the same arguments, where a module is not needed."""


def render(graph: Graph) -> str:
    """A net as one Python module.

    Raises:
        CnncalcError: it has a layer that cannot be built, or not be written.
    """
    from cnncalc.convert import python

    def text(node: Node) -> Text:
        assert node.layer is not None
        return text_of(node.layer, node.input_shapes)

    for node in graph.nodes:
        if node.shared is not None and text(node) != text(graph.nodes[node.shared]):
            raise CnncalcError(
                f"{node.path} uses the weights of {graph.nodes[node.shared].path} with other settings, "
                "which PyTorch's modules cannot do\n  hint: a spec (.yaml) can express it"
            )
    # a spec's constant has no values but those that count up; a module's has others
    lost = [f"{node.path} ({describe(node.output_shape)})" for node in graph.without_values() if node.place is None]
    if lost:
        raise CnncalcError(
            f"the values of {listed(lost)} are not in the graph, so code without them would be wrong\n"
            "  hint: what a module keeps with register_buffer comes with its state dict; a spec (.yaml) needs no values"
        )
    return python.render(graph, text, dir(nn.Sequential()))


@cache
def text_of(layer: Layer, shapes: Shapes) -> Text:
    """How a layer is written for inputs of these shapes.

    Raises:
        CnncalcError: it cannot be built, or its module has no text.
    """
    with torch.device("meta"):  # no memory is taken
        module = build_layer(layer, *shapes)
        made = source(module, len(shapes))
    if made is None:
        raise CnncalcError(f"{layer.kind} cannot be written as Python code: {type(module).__name__} has no text")
    if type(layer).output_shapes is not Layer.output_shapes and len(layer.output_shapes(*shapes)) == 1:
        return made._replace(call=Call("[]", positional(made.call, Verbatim("0"))))  # a tuple of one
    return made


def source(module: nn.Module, inputs: int) -> Text | None:
    """The text of a module of ``inputs`` inputs; ``None`` if unknown."""
    tensors = tuple(code.Tensor(index) for index in range(inputs))
    own = getattr(module, "source", None)
    if own is not None:
        told = own(tensors)
        return told if isinstance(told, Text) else Text(None, told)
    kind = type(module)
    if not (kind.__module__.startswith("torch.nn.") or kind.__module__ == parts.__name__):
        return None
    made = constructor(module)
    call: Any = tensors
    for hook in module._forward_pre_hooks.values():
        if not isinstance(hook, Hook):
            return None
        call = (hook.function.source(call).call,)
    call = Call(SELF, positional(*call))
    for hook in module._forward_hooks.values():
        if not isinstance(hook, Hook):
            return None
        call = hook.function.source((call,)).call
    function = FUNCTIONS.get(kind)
    return Text(
        made,
        call,
        None
        if function is None
        else Call(
            function,
            (
                *positional(*tensors),
                *(a._replace(keyword=False, implied=a.implied and a is not made.args[0]) for a in made.args),
            ),
        ),
        helpers_of(kind),
    )


def helpers_of(thing: Any) -> tuple[tuple[str, str], ...]:
    """The source of a class or function that PyTorch lacks; empty for PyTorch's own."""
    return ((thing.__name__, inspect.getsource(thing)),) if thing.__module__ == parts.__name__ else ()


def constructor(module: nn.Module) -> Call:
    """The call that makes a module."""
    kind = type(module)
    given = {}
    parameters = [parameter for parameter in arguments_of(kind) if hasattr(module, parameter.name)]
    for parameter in parameters:
        value = getattr(module, parameter.name)
        given[parameter.name] = (value is not None) if parameter.name == "bias" else plain(value)
    state = state_of(module)

    def same(arguments: dict[str, Any]) -> bool:
        try:
            return state_of(kind(**arguments)) == state
        except (TypeError, ValueError, RuntimeError):
            return False

    if not same(given):
        raise CnncalcError(
            f"a {kind.__name__} cannot be written as Python code: its attributes do not tell how it was made"
        )
    for name, value in given.items():  # one number for all axes
        if isinstance(value, tuple) and len(set(value)) == 1 and same({**given, name: value[0]}):
            given[name] = value[0]
    args, left = [], dict(given)
    for parameter in parameters:
        name, optional = parameter.name, parameter.default is not parameter.empty
        less = {other: value for other, value in left.items() if other != name}
        implied = optional and same(less)
        if implied:
            left = less
        args.append(Arg(name, given[name], optional, implied, parameter.default if optional else ...))
    prefix = "" if kind.__module__ == parts.__name__ else "nn."
    return Call(f"{prefix}{kind.__name__}", tuple(args))


def arguments_of(kind: type[nn.Module]) -> tuple[inspect.Parameter, ...]:
    """The arguments of a module class that its modules keep as attributes."""
    found = [p for p in inspect.signature(kind).parameters.values() if p.name not in ("device", "dtype", "inplace")]
    return tuple(p for p in found if p.kind is p.POSITIONAL_OR_KEYWORD and not p.name.startswith("_"))


def state_of(module: nn.Module) -> dict[str, Any]:
    """What a module was made with, and the shapes of its tensors."""
    told = {p.name: getattr(module, p.name, None) for p in arguments_of(type(module))}
    values = {name: value is not None if isinstance(value, Tensor) else value for name, value in told.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict(keep_vars=True).items()}
    return {**values, "tensors": shapes}


def plain(value: Any) -> Any:
    """A module's attribute as a literal."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    return value
