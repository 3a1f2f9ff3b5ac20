"""Which function builds which layer's PyTorch module; filled as the family modules are imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Layer, Shape

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

BUILDERS: dict[type[Layer], Callable[..., nn.Module]] = {}
"""For each layer class the function ``(layer, *input_shapes) -> nn.Module``."""


def builds(layer_class: type[Layer]) -> Callable[[Builder], Builder]:
    """Register the decorated function as the builder of ``layer_class``."""

    def register(builder: Builder) -> Builder:
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
    builder = BUILDERS.get(type(layer))
    if builder is None:
        raise CnncalcError(
            f"{layer.kind} cannot be built in PyTorch: no function in cnncalc.torch is decorated "
            f"with @builds({type(layer).__name__})"
        )
    return builder(layer, *input_shapes)
