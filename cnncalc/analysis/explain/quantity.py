"""One number of a layer, with its formula and the formula's source."""

from __future__ import annotations

import inspect
import re
import sys
from functools import cache
from typing import NamedTuple

from cnncalc.analysis.explain.traced import Via, expression, via
from cnncalc.analysis.explain.tree import Expr, Number
from cnncalc.layers.base import Layer


class Quantity(NamedTuple):
    """A number: its ``name`` for machines, ``title`` for people, symbol, expression and sources.

    ``axis`` names the axis that it belongs to, where it is one of several alike. Without an
    expression it has no number, and ``note`` says why. ``general`` is the expression before the
    layer's defaults (a stride of 1) made it shorter.
    """

    name: str
    title: str
    symbol: str
    expr: Expr | None
    axis: str = ""
    note: str = ""
    sources: tuple[str, ...] = ()
    general: Expr | None = None

    @property
    def value(self) -> Number | None:
        """The number."""
        return None if self.expr is None else self.expr.value


def quantity(
    name: str, title: str, symbol: str, value: int, *, layer: Layer, method: str, axis: str = "", note: str = ""
) -> Quantity:
    """The quantity of a traced (or plain) number that ``method`` of the layer gave."""
    return Quantity(name, title, symbol, expression(value), axis, note, sources_of(via(value), layer, method))


# -- where a formula is from: the docstrings of what ran ---------------------------------------------

CITATION = re.compile(r"\b(19|20)\d\d\b|torch\.|TensorFlow")


def sources_of(formulas: Via, layer: Layer, method: str) -> tuple[str, ...]:
    """The docstrings of the formulas that ran; if none did, the layer class's about the number."""
    if method == "elementwise_ops" and (counted := counting(type(layer))):
        return (counted,)
    if formulas:
        return cited(formulas)
    return (described(type(layer), method),)


@cache
def cited(formulas: Via) -> tuple[str, ...]:
    """The first paragraph of each formula, and if none of them names a source, those of their modules."""
    texts = [paragraph(inspect.getdoc(formula) or formula.__name__) for formula in formulas]
    if not any(map(CITATION.search, texts)):
        texts += dict.fromkeys(text for formula in formulas if (text := _of_module(formula.__module__)))
    return tuple(texts)


@cache
def _of_module(name: str) -> str:
    match = re.search(r"^Sources?: (.*?)(?:\n\n|\Z)", inspect.getdoc(sys.modules[name]) or "", re.MULTILINE | re.DOTALL)
    return plain(match[1]) if match else ""


@cache
def counting(layer: type[Layer]) -> str:
    """The class docstring's part about its elementwise operations."""
    match = re.search(r"Elementwise operations.*?(?:\n\n|\Z)", inspect.getdoc(layer) or "", re.DOTALL)
    return f"{layer.kind}: {plain(match[0])}" if match else ""


@cache
def described(layer: type[Layer], method: str) -> str:
    """The docstring of the method, own or inherited; for the output, that of the class."""
    if method == "output_shapes":
        text, _, _ = paragraph(inspect.getdoc(layer) or "").partition(" Elementwise operations")
        return f"{layer.kind}: {text}"
    return paragraph(inspect.getdoc(getattr(layer, method)) or "")


def paragraph(text: str) -> str:
    """The first paragraph."""
    return plain(text.partition("\n\n")[0])


def plain(text: str) -> str:
    """Text on one line, without the marks of a docstring."""
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", " ".join(text.split())).replace("``", "")
