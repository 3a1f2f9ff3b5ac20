"""Output sizes and costs of a layer, explained: parameters, work, memory.

The layer's own methods and :func:`cnncalc.analysis.cost.layer_cost` are run on traced numbers. There is
nothing here about any particular layer.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cnncalc.analysis.cost import layer_cost
from cnncalc.analysis.explain.quantity import Quantity, quantity
from cnncalc.analysis.explain.symbols import spatial, title_of, traced_layer, traced_shapes
from cnncalc.analysis.explain.traced import Trace
from cnncalc.analysis.memory.training import ELEMENT, held_bytes
from cnncalc.analysis.receptive_field import followed
from cnncalc.formulas import cost as formulas
from cnncalc.layers.axes import AXIS_NAMES
from cnncalc.layers.base import Layer, Reads, Shapes, Weight, pointwise

MOST_PHASES = 64
"""Fields that repeat only after more units are given without formulas."""


class Account(NamedTuple):
    """All explanations of one layer; ``tensors`` are what it owns, with the shapes as expressions, and ``reads`` what
    its outputs read, ``None`` where that is their own place alone. Of a ``long`` one, whose units take more
    than ``MOST_PHASES`` turns in what they read, it is not traced.
    """

    quantities: tuple[Quantity, ...]
    tensors: tuple[Weight, ...]
    trace: Trace
    layer: Layer
    shapes: Shapes
    reads: tuple[Reads, ...] | None
    long: bool


def account(
    layer: Layer, shapes: Shapes, *, batch: int = 1, dtype: str = "float32", shared: bool = False, general: bool = False
) -> Account:
    """The sizes and costs of a layer, each with its formula.

    Args:
        layer: the layer.
        shapes: shapes of its inputs.
        batch: samples; all but the weights grow with them.
        dtype: the type of the elements; of ``int8`` only what is multiplied with is (see ``memory.training``).
        shared: whether the weights are another's, and so no parameters of this layer.
        general: whether formulas have a symbol for fields at their default too (a stride of 1).
    """
    trace = Trace()
    inputs = traced_shapes(trace, layer, shapes)
    traced = traced_layer(trace, layer, shapes, general)
    found = _derived(trace, traced, inputs)
    sizes, outputs = _sizes(trace, traced, inputs)
    found += sizes
    samples = trace.name("N", batch, meaning="batch") if batch > 1 else batch
    cost = layer_cost(traced, inputs, samples)

    def add(name: str, title: str, symbol: str, value: int | None, method: str, note: str = "") -> int | None:
        if value is None:
            found.append(Quantity(name, title, symbol, None, note=note))
            return None
        found.append(quantity(name, title, symbol, value, layer=layer, method=method, note=note))
        return value

    owner = "the weights are another layer's" if shared else ""
    add("params", "parameters", "params", 0 if shared else cost.params, "weights", owner)
    add("buffers", "buffers", "buffers", 0 if shared else cost.buffers, "weights", owner)
    reasons = "; ".join(cost.unknown)
    macs = add("macs", "MACs", "MACs", cost.macs, "macs", reasons)
    work = None if macs is None else formulas.flops(trace.result("MACs", macs))
    add("flops", "FLOPs", "FLOPs", work, "macs", reasons)
    add("elementwise_ops", "elementwise ops", "ops", cost.elementwise_ops, "elementwise_ops", reasons)
    add("activations", "activations", "acts", cost.activations, "activations", reasons)
    each = trace.name("b", ELEMENT[dtype], meaning="bytes per element")
    matrix = trace.name("b_w", 1, meaning="bytes per element") if dtype == "int8" else each
    elements = sum(map(prod, outputs)) * samples
    add("output_bytes", "output in memory", "bytes_out", formulas.tensor_bytes(elements, each), "output_shapes")
    learnable, buffers = (0, 0) if shared else held_bytes(traced.weights(*inputs), each, matrix)
    add("weight_bytes", "parameters in memory", "bytes_params", learnable, "weights", owner)
    add("buffer_bytes", "buffers in memory", "bytes_buffers", buffers, "weights", owner)
    plain = tuple(map(followed, layer.reads(*shapes)))
    long = any(len(set(one.window.taps)) > MOST_PHASES for reads in plain for one in reads if one.window)
    own_place = plain == tuple(map(pointwise, shapes))
    reads = None if own_place or long else tuple(map(followed, traced.reads(*inputs)))
    return Account(tuple(found), traced.weights(*inputs), trace, traced, inputs, reads, long)


def _derived(trace: Trace, layer: Layer, inputs: Shapes) -> list[Quantity]:
    """The intermediate numbers that the class names, each computed from those before it by name."""
    found = []
    for symbol in layer.derived(*inputs):
        values = layer.derived(*inputs)[symbol]
        title = symbol.replace("P_", "padding ")
        for name, value in zip(AXIS_NAMES[len(values)], values, strict=True):
            own = f"{symbol},{name[0]}"
            key = f"{symbol.lower()}_{name}"
            found.append(quantity(key, f"{title}, {name}", own, value, layer=layer, method="output_shapes", axis=name))
            trace.define(own, value, symbol)
    return found


def _sizes(trace: Trace, layer: Layer, inputs: Shapes) -> tuple[list[Quantity], Shapes]:
    """The size of each axis of each output, and the shapes with computed sizes under their names."""
    found: list[Quantity] = []
    shapes = layer.output_shapes(*inputs)
    named = []
    for port, shape in enumerate(shapes, start=1):
        sizes = []
        for number, (symbol, size) in enumerate(zip(layer.output_symbols(len(shape)), shape, strict=True), start=1):
            symbol = symbol if len(shapes) == 1 else f"{symbol}{',' if '_' in symbol else '_'}{port}"
            axis = title_of(symbol, f"axis {number}")
            title = f"output {axis}" if len(shapes) == 1 else f"output {port}, {axis}"
            name = "output_" + (axis if len(shapes) == 1 else f"{port}_{axis}").replace(" ", "_")
            found.append(quantity(name, title, symbol, size, layer=layer, method="output_shapes", axis=axis))
            sizes.append(trace.define(symbol, size, spatial(symbol)))
        named.append(tuple(sizes))
    return found, tuple(named)
