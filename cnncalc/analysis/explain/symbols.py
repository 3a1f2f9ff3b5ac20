"""A layer and its input shapes with each whole number replaced by a traced one under its symbol."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnncalc.analysis.explain.traced import Trace
from cnncalc.layers.axes import AXIS_NAMES
from cnncalc.layers.base import AXIS_SYMBOLS, Layer, Shapes
from cnncalc.layers.fields import REQUIRED, defaults_of

TITLES = {
    "C": "channels",
    "H": "height",
    "W": "width",
    "Z": "depth",
    "L": "length",
    "S": "source length",
    "F": "features",
    "E": "embedding",
    "d": "features",
    "e": "features",
    "n": "rows",
    "k": "inner size",
    "m": "columns",
}
"""Names of axes, by the letters of their symbols."""
SPATIAL = {symbol for symbols in AXIS_SYMBOLS.values() for symbol in symbols[1:]}


def symbol_of(layer: type[Layer], field: str) -> str:
    """A field's symbol in formulas: from the class or its nearest base; else the field's name."""
    for cls in layer.__mro__:
        symbols: dict[str, str] = cls.__dict__.get("symbols", {})
        if field in symbols:
            return symbols[field]
    return field


def traced_layer(trace: Trace, layer: Layer, shapes: Shapes, general: bool = False) -> Layer:
    """The layer, its whole numbers traced; those at their default stay plain, which keeps formulas short, unless the
    formulas are to be ``general``.
    """
    rank = len(shapes[0]) - 1 if shapes else 0
    changed = {}
    for field, default in defaults_of(type(layer)).items():
        value = getattr(layer, field)
        symbol = symbol_of(type(layer), field)
        if symbol == field and isinstance(value, tuple) and any(isinstance(one, tuple) for one in value):
            continue  # lists of lists without names
        traced = _traced(trace, symbol, value, REQUIRED if general else default, rank)
        if traced is not value:
            changed[field] = traced
            if symbol != field:
                trace.meanings.setdefault(symbol.partition("_")[0], field.replace("_", " "))
    return replace(layer, **changed) if changed else layer


def _traced(trace: Trace, symbol: str, value: Any, default: Any, rank: int) -> Any:
    if type(value) is int:
        return value if value == default else trace.name(symbol, value)
    if isinstance(value, tuple):
        letters = [name[0] for name in AXIS_NAMES.get(rank, ())]
        suffixes = letters if len(value) == rank else [str(i) for i in range(1, len(value) + 1)]
        suffixes = suffixes if len(suffixes) == len(value) else [str(i) for i in range(1, len(value) + 1)]
        return tuple(_one(trace, symbol, suffix, one, default) for suffix, one in zip(suffixes, value, strict=True))
    return value


def _one(trace: Trace, symbol: str, suffix: str, value: Any, default: Any) -> Any:
    """One entry of a list: a number, or a pair before and after; anything else stays as it is."""
    if isinstance(value, tuple) and len(value) == 2 and all(type(one) is int for one in value):
        before, after = (
            trace.name(f"{symbol}_{suffix},{end}", one, f"{symbol}_{end}")
            for end, one in zip(("before", "after"), value, strict=True)
        )
        return before, after
    if type(value) is not int or value == default:
        return value
    return trace.name(f"{symbol}_{suffix}", value, symbol)


def title_of(symbol: str, axis: str = "axis") -> str:
    """The name of the axis of a symbol."""
    return TITLES.get(symbol.partition("_")[0], axis)


def spatial(symbol: str) -> str:
    """The symbol without the letter of its spatial axis, so that height and width read alike."""
    letter, mark, index = symbol.partition("_")
    return f"X{mark}{index}" if letter in SPATIAL else symbol


def traced_shapes(trace: Trace, layer: Layer, shapes: Shapes) -> Shapes:
    """The input shapes, each size under the symbol that the layer's class gives it."""
    return tuple(
        tuple(
            trace.name(symbol, size, spatial(symbol), title_of(symbol))
            for symbol, size in zip(symbols, shape, strict=True)
        )
        for symbols, shape in zip(layer.input_symbols(*shapes), shapes, strict=True)
    )
