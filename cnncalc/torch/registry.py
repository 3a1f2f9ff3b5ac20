"""What builds a layer's PyTorch module: a function decorated with :func:`builds`, or the layer's own ``torch_name``."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

from torch import nn

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Layer, Shape

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

BUILDERS: dict[type[Layer], Callable[..., nn.Module]] = {}
"""For layer classes that :func:`standard` cannot build the function ``(layer, *input_shapes) -> nn.Module``."""
SIZES = {"in_channels": 0, "num_features": 0, "num_channels": 0, "in_features": -1}
"""The axis of the input whose size ``torch.nn`` wants under each of these names."""


def builds(*layer_classes: type[Layer]) -> Callable[[Builder], Builder]:
    """Register the decorated function as the builder of these layers.

    Raises:
        ValueError: one of them has a builder.
    """

    def register(builder: Builder) -> Builder:
        for layer_class in layer_classes:
            if layer_class in BUILDERS:
                raise ValueError(f"{layer_class.__name__} has a builder: {BUILDERS[layer_class].__name__}")
            BUILDERS[layer_class] = builder
        return builder

    return register


def build_layer(layer: Layer, *input_shapes: Shape) -> nn.Module:
    """The PyTorch module that computes ``layer`` for inputs of these shapes (without the batch).

    Its ``forward`` takes the input tensors, batch first, and returns a tensor, or a tuple of them
    for a layer of several outputs. Its parameters and buffers are those that ``layer.weights`` declares.

    Raises:
        LayerError: the layer cannot take such inputs.
        CnncalcError: no builder for this kind of layer.
    """
    layer.checked_shapes(*input_shapes)
    return unchecked(layer, *input_shapes)


def unchecked(layer: Layer, *input_shapes: Shape) -> nn.Module:
    """As :func:`build_layer`; whether the layer takes such inputs is left to PyTorch."""
    if builder := BUILDERS.get(type(layer)):
        return builder(layer, *input_shapes)
    if not layer.torch_name:
        raise CnncalcError(
            f"{layer.kind} cannot be built in PyTorch: it has no torch_name, and no function in cnncalc.torch is "
            f"decorated with @builds({type(layer).__name__})"
        )
    return standard(layer, *input_shapes)


def standard(layer: Layer, *input_shapes: Shape, name: str = "", **given: Any) -> nn.Module:
    """The module of ``torch.nn`` that the layer (or ``name``) names, with the layer's fields as they were written.

    An argument of PyTorch's is the field of that name or alias (``dim`` is our ``axis``), or a size of the input;
    ``given`` ones go first.

    Raises:
        ValueError: there is no such module, as for more axes than PyTorch has.
    """
    name = name or Layer.torch_module(layer, *input_shapes)
    kind: type[nn.Module] | None = getattr(nn, name, None)
    if kind is None:
        raise ValueError(f"torch.nn has no {name}")
    arguments = dict(given)
    for argument in signature(kind).parameters:
        field = layer.field_aliases.get(argument, argument.replace("dim", "axis"))
        if argument in given:
            continue
        if argument in SIZES:
            arguments[argument] = input_shapes[0][SIZES[argument]]
        elif field in layer.__struct_fields__:
            value = getattr(layer, field)
            arguments[argument] = dim(value) if argument.endswith("dim") else value
    return kind(**arguments)


def dim(axis: int) -> int:
    """An axis of a spec as PyTorch's dimension: the batch is dimension 0, so one from the front is one further there
    (channels are 1), and one from the end is the same.
    """
    return axis + 1 if axis >= 0 else axis


def dims(axes: int | tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of one axis or several."""
    return tuple(map(dim, axes if isinstance(axes, tuple) else (axes,)))
