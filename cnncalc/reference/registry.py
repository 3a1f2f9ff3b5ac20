"""Which function evaluates which layer, and which one gives its gradient; filled as the family modules are imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from cnncalc.errors import CnncalcError
from cnncalc.layers.base import Layer
from cnncalc.reference import nest
from cnncalc.reference.array import Array

Weights = dict[str, Array]
"""A layer's tensors by the names that ``layer.weights`` declares."""
Outputs = Array | tuple[Array, ...]
Gradients = tuple[tuple[Array, ...], Weights]
"""The gradient of every input, and of every learnable weight by name."""
Function = TypeVar("Function", bound=Callable[..., Any])

EVALUATORS: dict[type[Layer], Callable[..., Outputs]] = {}
"""For each layer class the function ``(layer, weights, *inputs) -> output``, in inference."""
DIFFERENTIATORS: dict[type[Layer], Callable[..., Gradients]] = {}
"""For some layer classes the function ``(layer, weights, inputs, output_gradient) -> gradients``."""

STEP = 1e-3


def evaluates(*layer_classes: type[Layer]) -> Callable[[Function], Function]:
    """Register the decorated function as the evaluator of layer classes, whose equation does not say all."""
    return _registers(EVALUATORS, layer_classes)


def differentiates(*layer_classes: type[Layer]) -> Callable[[Function], Function]:
    """Register the decorated function as the gradient of layer classes."""
    return _registers(DIFFERENTIATORS, layer_classes)


def _registers(
    functions: dict[type[Layer], Any], layer_classes: tuple[type[Layer], ...]
) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        for layer_class in layer_classes:
            if layer_class in functions:
                raise ValueError(f"{layer_class.__name__} has a function already: {functions[layer_class].__name__}")
            functions[layer_class] = function
        return function

    return register


def evaluate_layer(layer: Layer, weights: Weights, *inputs: Array) -> Outputs:
    """The output of ``layer`` (a tuple where it has several) for inputs ``(N, C, *spatial)``, in inference.

    Raises:
        LayerError: the layer cannot take inputs of these shapes.
        CnncalcError: no evaluator for this kind of layer.
    """
    shapes = tuple(x.shape[1:] for x in inputs)
    layer.output_shapes(*shapes)
    function = EVALUATORS.get(type(layer))
    if function is not None:
        return function(layer, weights, *inputs)
    equation = layer.equation(*shapes)
    if len(equation) != 1:
        raise CnncalcError(
            f"{layer.kind} cannot be evaluated in NumPy: no function in cnncalc.reference is decorated "
            f"with @evaluates({type(layer).__name__})"
        )
    return nest.evaluate(equation[0], {**dict(enumerate(inputs)), **weights})


def layer_gradients(layer: Layer, weights: Weights, inputs: tuple[Array, ...], *gradients: Array) -> Gradients:
    """Gradients of ``L = Σ gradient · output`` with respect to the inputs and the learnable weights.

    By the layer's own equation or function where there is one, else by differences (:func:`numeric_gradients`).

    Raises:
        LayerError: the layer cannot take inputs of these shapes.
        CnncalcError: no evaluator for this kind of layer.
    """
    shapes = tuple(x.shape[1:] for x in inputs)
    layer.output_shapes(*shapes)
    function = DIFFERENTIATORS.get(type(layer))
    if function is not None:
        return function(layer, weights, inputs, *gradients)
    equation = layer.equation(*shapes)
    if len(equation) != 1:
        return numeric_gradients(layer, weights, inputs, *gradients)
    found = nest.gradients(equation[0], {**dict(enumerate(inputs)), **weights}, *gradients)
    return tuple(found[number] for number in range(len(inputs))), {
        name: value for name, value in found.items() if isinstance(name, str)
    }


def numeric_gradients(layer: Layer, weights: Weights, inputs: tuple[Array, ...], *gradients: Array) -> Gradients:
    """The same by the five-point central difference, which is exact for polynomials of degree 4:

    ``f′(x) ≈ (f(x − 2h) − 8·f(x − h) + 8·f(x + h) − f(x + 2h)) / 12h``

    Every element takes four evaluations, so it is for small tensors.
    """
    learnable = [w.name for w in layer.weights(*(x.shape[1:] for x in inputs)) if w.learnable]
    stencil = ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0))

    def loss(some_weights: Weights, some_inputs: tuple[Array, ...]) -> float:
        outputs = evaluate_layer(layer, some_weights, *some_inputs)
        each = outputs if isinstance(outputs, tuple) else (outputs,)
        return float(sum(np.sum(g * y) for g, y in zip(gradients, each, strict=True)))

    def gradient(values: Array, total: Callable[[Array], float]) -> Array:
        found = np.zeros_like(values)
        for place in np.ndindex(*values.shape):
            for step, factor in stencil:
                moved = values.copy()
                moved[place] += step * STEP
                found[place] += factor * total(moved) / (12 * STEP)
        return found

    def over_input(which: int) -> Array:
        return gradient(inputs[which], lambda moved: loss(weights, (*inputs[:which], moved, *inputs[which + 1 :])))

    def over_weight(name: str) -> Array:
        return gradient(weights[name], lambda moved: loss({**weights, name: moved}, inputs))

    return tuple(map(over_input, range(len(inputs)))), {name: over_weight(name) for name in learnable}
