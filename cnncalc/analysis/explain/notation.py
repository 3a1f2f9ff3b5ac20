"""Expressions written out: Unicode for a terminal, LaTeX for paper; with symbols, or the numbers in their place."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

from cnncalc.analysis.explain.tree import Call, Ceil, Const, Expr, Floor, Name, Power, Product, Ratio, Rest, Sum, Truth
from cnncalc.text import visible

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
"""How tightly what is written holds together; what binds less than its place asks for is put in brackets."""


class Notation(ABC):
    """One way to write; ``numbers`` puts the values in the place of the symbols, ``general`` drops axes from these."""

    plus, minus, times = " + ", " − ", "·"

    def __init__(self, *, numbers: bool = False, general: bool = False) -> None:
        self.numbers = numbers
        self.general = general

    def write(self, expr: Expr, least: int = 0) -> str:
        """The expression, in brackets where it binds less tightly than ``least``."""
        text, binds = self._written(expr)
        return self.bracket(text) if binds < least else text

    def _written(self, expr: Expr) -> tuple[str, int]:
        parts: Any = expr.parts
        match expr:
            case Const():
                return self._number(parts[0])
            case Name():
                if not self.numbers:
                    return self.symbol(expr.general if self.general else parts[0]), ATOM
                text, binds = self._number(expr.value)
                return text, binds
            case Sum():
                return self._sum(*parts), SUM
            case Product():
                return self._product(*parts)
            case Power():
                return self.power(self.write(parts[0], ATOM), self.write(parts[1])), POWER
            case Floor() | Ceil():
                return self.rounded(isinstance(expr, Ceil), *self._division(parts)), ATOM
            case Ratio():
                return self.fraction(*self._division(parts)), PRODUCT
            case Rest():
                return self.rest(self.write(parts[0], PRODUCT), self.write(parts[1], POWER)), SUM
            case Truth():
                return self.truth(parts[0], self.write(parts[1]), self.write(parts[2])), ATOM
            case Call():
                return self.function(parts[0], [self.write(one) for one in parts[1:]]), ATOM
        raise TypeError(type(expr).__name__)

    def _number(self, value: Any) -> tuple[str, int]:
        if isinstance(value, Fraction) and value.denominator > 1:
            top, bottom = self.integer(value.numerator), self.integer(value.denominator)
            return self.fraction((top, top), (bottom, bottom)), SUM if value < 0 else PRODUCT
        if isinstance(value, float):
            return repr(value), ATOM
        return self.integer(int(value)), SUM if value < 0 else ATOM

    def integer(self, value: int) -> str:
        """A whole number."""
        return str(value).replace("-", self.minus.strip())

    def _sum(self, constant: Any, terms: Any) -> str:
        ordered = [(n, term) for n, term in terms]
        if ordered[0][0] < 0:  # what is added comes first, if anything is
            first = next((i for i, (n, _) in enumerate(ordered) if n > 0), 0)
            ordered.insert(0, ordered.pop(first))
        signed = [(n < 0, self._scaled(abs(n), term)) for n, term in ordered]
        if constant:
            lead = constant > 0 and signed[0][0]
            signed.insert(0 if lead else len(signed), (constant < 0, self._number(abs(constant))[0]))
        text = (self.minus.strip() if signed[0][0] else "") + signed[0][1]
        for negative, term in signed[1:]:
            text += (self.minus if negative else self.plus) + term
        return text

    def _scaled(self, number: Any, term: Expr) -> str:
        if number == 1:
            return self.write(term, PRODUCT)
        return self._number(number)[0] + self.times + self.write(term, PRODUCT)

    def _product(self, coefficient: Any, factors: Any) -> tuple[str, int]:
        written = [] if abs(coefficient) == 1 else [self._number(abs(coefficient))[0]]
        for factor, power in factors:
            if power == 1:
                written.append(self.factor(factor))
            else:
                written.append(self.power(self.write(factor, ATOM), str(power)))
        text = self.times.join(written)
        binds = POWER if len(written) == 1 else PRODUCT
        return (self.minus.strip() + text, SUM) if coefficient < 0 else (text, binds)

    def _division(self, parts: Any) -> tuple[tuple[str, str], tuple[str, str]]:
        """Numerator and denominator, each by itself and as it stands beside a slash."""
        top, bottom = parts
        return (self.write(top), self.write(top, PRODUCT)), (self.write(bottom), self.write(bottom, POWER))

    # what differs

    @abstractmethod
    def bracket(self, text: str) -> str:
        """``(text)``"""

    @abstractmethod
    def symbol(self, name: str) -> str:
        """A name, which ``_`` parts from its index."""

    @abstractmethod
    def factor(self, factor: Expr) -> str:
        """One factor of several."""

    @abstractmethod
    def power(self, base: str, exponent: str) -> str:
        """``base^exponent``"""

    @abstractmethod
    def fraction(self, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        """``a/b``; each part by itself, and as it stands beside a slash."""

    @abstractmethod
    def rounded(self, up: bool, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        """``⌊a/b⌋`` or ``⌈a/b⌉``"""

    @abstractmethod
    def rest(self, top: str, bottom: str) -> str:
        """``a mod b``"""

    @abstractmethod
    def truth(self, sign: str, first: str, second: str) -> str:
        """``[a < b]``"""

    @abstractmethod
    def function(self, name: str, arguments: list[str]) -> str:
        """``max(a, b)`` and others"""


SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Unicode(Notation):
    """Plain text: ``⌊(H + 2·P − K)/S⌋ + 1``."""

    def bracket(self, text: str) -> str:
        return f"({text})"

    def symbol(self, name: str) -> str:
        return name

    def factor(self, factor: Expr) -> str:
        return self.write(factor, ATOM)

    def power(self, base: str, exponent: str) -> str:
        return base + exponent.translate(SUPERSCRIPTS) if exponent.isdigit() else f"{base}^({exponent})"

    def fraction(self, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        return f"{top[1]}/{bottom[1]}"

    def rounded(self, up: bool, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        inside = self.fraction(top, bottom)
        return f"⌈{inside}⌉" if up else f"⌊{inside}⌋"

    def rest(self, top: str, bottom: str) -> str:
        return f"{top} mod {bottom}"

    def truth(self, sign: str, first: str, second: str) -> str:
        return f"[{first} {Truth.signs[sign]} {second}]"

    def function(self, name: str, arguments: list[str]) -> str:
        if name in ("abs", "floor"):
            return ("|{}|" if name == "abs" else "⌊{}⌋").format(*arguments)
        return f"{name}({', '.join(arguments)})"


class Latex(Notation):
    """LaTeX for mathematics mode, with what ``amsmath`` has."""

    minus, times = " - ", r" \cdot "
    signs = {"lt": "<", "le": r"\le", "gt": ">", "ge": r"\ge", "eq": "=", "ne": r"\ne"}  # noqa: RUF012

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)"

    def symbol(self, name: str) -> str:
        base, _, index = name.partition("_")
        if (len(base) > 1 and base not in ROMAN) or not re.fullmatch(r"[A-Za-z0-9,]*", index):
            return rf"\mathrm{{{escaped(name)}}}"
        written = base if len(base) == 1 else rf"\mathrm{{{base}}}"
        if not index:
            return written
        parts = [one if len(one) == 1 else rf"\mathrm{{{one}}}" for one in index.split(",")]
        return f"{written}_{{{','.join(parts)}}}"

    def factor(self, factor: Expr) -> str:
        return self.write(factor, PRODUCT if isinstance(factor, Ratio) else ATOM)

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def fraction(self, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        return rf"\frac{{{top[0]}}}{{{bottom[0]}}}"

    def rounded(self, up: bool, top: tuple[str, str], bottom: tuple[str, str]) -> str:
        left, right = (r"\left\lceil ", r" \right\rceil") if up else (r"\left\lfloor ", r" \right\rfloor")
        return left + self.fraction(top, bottom) + right

    def rest(self, top: str, bottom: str) -> str:
        return rf"{top} \bmod {bottom}"

    def truth(self, sign: str, first: str, second: str) -> str:
        return rf"\left[{first} {self.signs[sign]} {second}\right]"

    def function(self, name: str, arguments: list[str]) -> str:
        if name == "abs":
            return rf"\left|{arguments[0]}\right|"
        if name == "floor":
            return rf"\left\lfloor {arguments[0]} \right\rfloor"
        return rf"\{name}\left({', '.join(arguments)}\right)"


ROMAN = ("MACs", "FLOPs", "params", "buffers", "ops", "acts", "bytes", "start", "first", "last")
"""Words that may have an index."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: rf"\{c}" for c in "_&%#$"},
    "·": r"$\cdot$",
    "×": r"$\times$",
    "−": "$-$",
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "√": r"$\surd$",
    "Σ": r"$\Sigma$",
    "ρ": r"$\rho$",
    "½": r"$\frac{1}{2}$",
    "²": r"$^{2}$",
    "³": r"$^{3}$",
    "ᵈ": r"$^{d}$",
    "±": r"$\pm$",
    "π": r"$\pi$",
    "ᵀ": r"$^{T}$",
    "¹": r"$^{1}$",
    "∂": r"$\partial$",
    "§": r"\S{}",
    "–": "--",
    "…": r"\dots{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
}


def escaped(text: str) -> str:
    """Prose for LaTeX in plain ASCII; a character that is not known is written by its number."""
    text = re.sub(r'"([^"]*)"', "``\\1''", visible(text))
    return "".join(_LATEX.get(c) or (c if c.isascii() else rf"\symbol{{{ord(c)}}}") for c in text)


def counted(value: Any, *, latex: bool = False, parted: bool = True) -> str:
    """A result: a count with its thousands parted, or a fraction."""
    if isinstance(value, Fraction) and value.denominator > 1:
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}" if latex else f"{value}".replace("-", "−")
    text = f"{int(value):,}" if parted else str(int(value))
    return text.replace(",", "{,}") if latex else text.replace("-", "−")
