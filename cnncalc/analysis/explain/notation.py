"""Expressions written out: Unicode for a terminal, LaTeX for paper; with symbols, or the numbers in their place."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, ClassVar

from cnncalc.analysis.explain.tree import Call, Ceil, Const, Expr, Floor, Name, Power, Product, Ratio, Rest, Sum, Truth
from cnncalc.text import visible

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
"""How tightly what is written holds together; what binds less than its place asks for is put in brackets."""


class Notation:
    """One way to write; ``numbers`` puts the values in the place of the symbols, ``general`` drops axes from these."""

    minus: ClassVar[str]
    times: ClassVar[str]
    forms: ClassVar[dict[str, str]]
    """A template for each kind of expression and each function; ``function`` for the other functions."""
    signs: ClassVar[dict[str, str]]
    """The signs of comparisons."""
    fraction_parts: ClassVar[tuple[int, int]]
    """How tightly the two parts of a fraction must bind."""
    fraction_factor: ClassVar[int]
    """How tightly a fraction must bind that is a factor."""

    def __init__(self, *, numbers: bool = False, general: bool = False) -> None:
        self.numbers = numbers
        self.general = general

    def symbol(self, name: str) -> str:
        """A name, which ``_`` parts from its index."""
        raise NotImplementedError

    def write(self, expr: Expr, least: int = 0) -> str:
        """The expression, in brackets where it binds less tightly than ``least``."""
        text, binds = self._written(expr)
        return self.forms["bracket"].format(text) if binds < least else text

    def _written(self, expr: Expr) -> tuple[str, int]:
        parts: Any = expr.parts
        match expr:
            case Name() if not self.numbers:
                return self.symbol(expr.general if self.general else expr.symbol), ATOM
            case Const() | Name():
                return self._number(expr.value)
            case Sum():
                return self._sum(*parts), SUM
            case Product():
                return self._product(*parts)
            case Power():
                return self._power(parts[0], self.write(parts[1])), POWER
            case Floor() | Ceil():
                return self._form(type(expr).__name__, self._fraction(*parts)), ATOM
            case Ratio():
                return self._fraction(*parts), PRODUCT
            case Rest():
                return self._form("Rest", self.write(parts[0], PRODUCT), self.write(parts[1], POWER)), SUM
            case Truth():
                return self._form("Truth", self.write(parts[1]), self.signs[parts[0]], self.write(parts[2])), ATOM
            case Call():
                arguments = ", ".join(map(self.write, parts[1:]))
                form = parts[0] if parts[0] in self.forms else "function"
                return self.forms[form].format(arguments, name=parts[0]), ATOM
        raise TypeError(type(expr).__name__)

    def _form(self, form: str, *texts: str) -> str:
        return self.forms[form].format(*texts)

    def _number(self, value: Any) -> tuple[str, int]:
        if isinstance(value, Fraction) and value.denominator > 1:
            text = self._form("Ratio", self._integer(value.numerator), self._integer(value.denominator))
            return text, SUM if value < 0 else PRODUCT
        if isinstance(value, float):
            return repr(value), ATOM
        return self._integer(int(value)), SUM if value < 0 else ATOM

    def _integer(self, value: int) -> str:
        return str(value).replace("-", self.minus)

    def _sum(self, constant: Any, terms: Any) -> str:
        ordered = list(terms)
        if ordered[0][1] < 0:  # what is added comes first, if anything is
            first = next((i for i, (_, n) in enumerate(ordered) if n > 0), 0)
            ordered.insert(0, ordered.pop(first))
        signed = [(n, self._times([*self._beside(n), self.write(term, PRODUCT)])) for term, n in ordered]
        if constant:
            lead = constant > 0 > signed[0][0]
            signed.insert(0 if lead else len(signed), (constant, self._number(abs(constant))[0]))
        text = "".join(f" {self.minus if number < 0 else '+'} {term}" for number, term in signed)
        return text[3:] if signed[0][0] > 0 else self.minus + text[3:]

    def _product(self, coefficient: Any, factors: Any) -> tuple[str, int]:
        written = [*self._beside(coefficient), *(self._factor(*factor) for factor in factors)]
        text, binds = self._times(written), POWER if len(written) == 1 else PRODUCT
        return (self.minus + text, SUM) if coefficient < 0 else (text, binds)

    def _beside(self, number: Any) -> list[str]:
        """What is written for the absolute value of a number before its factors: for 1 nothing."""
        return [] if abs(number) == 1 else [self._number(abs(number))[0]]

    def _times(self, factors: list[str]) -> str:
        return self.times.join(factors)

    def _factor(self, factor: Expr, power: int) -> str:
        if power != 1:
            return self._power(factor, str(power))
        return self.write(factor, self.fraction_factor if isinstance(factor, Ratio) else ATOM)

    def _power(self, base: Expr, exponent: str) -> str:
        return self._form("Power", self.write(base, ATOM), exponent)

    def _fraction(self, top: Expr, bottom: Expr) -> str:
        above, below = self.fraction_parts
        return self._form("Ratio", self.write(top, above), self.write(bottom, below))


SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Unicode(Notation):
    """Plain text: ``⌊(H + 2·P − K)/S⌋ + 1``."""

    minus, times = "−", "·"
    forms: ClassVar[dict[str, str]] = {
        "bracket": "({})",
        "Power": "{}^({})",
        "Ratio": "{}/{}",
        "Floor": "⌊{}⌋",
        "Ceil": "⌈{}⌉",
        "Rest": "{} mod {}",
        "Truth": "[{} {} {}]",
        "abs": "|{}|",
        "floor": "⌊{}⌋",
        "function": "{name}({})",
    }
    signs: ClassVar[dict[str, str]] = {"lt": "<", "le": "≤", "gt": ">", "ge": "≥", "eq": "=", "ne": "≠"}
    fraction_parts, fraction_factor = (PRODUCT, POWER), ATOM

    def symbol(self, name: str) -> str:
        return name

    def _power(self, base: Expr, exponent: str) -> str:
        if exponent.isdigit():
            return self.write(base, ATOM) + exponent.translate(SUPERSCRIPTS)
        return super()._power(base, exponent)


class Latex(Notation):
    """LaTeX for mathematics mode, with what ``amsmath`` has."""

    minus, times = "-", r" \cdot "
    forms: ClassVar[dict[str, str]] = {
        "bracket": r"\left({}\right)",
        "Power": "{}^{{{}}}",
        "Ratio": r"\frac{{{}}}{{{}}}",
        "Floor": r"\left\lfloor {} \right\rfloor",
        "Ceil": r"\left\lceil {} \right\rceil",
        "Rest": r"{} \bmod {}",
        "Truth": r"\left[{} {} {}\right]",
        "abs": r"\left|{}\right|",
        "floor": r"\left\lfloor {} \right\rfloor",
        "function": r"\{name}\left({}\right)",
    }
    signs: ClassVar[dict[str, str]] = {"lt": "<", "le": r"\le", "gt": ">", "ge": r"\ge", "eq": "=", "ne": r"\ne"}
    fraction_parts, fraction_factor = (0, 0), PRODUCT

    def symbol(self, name: str) -> str:
        base, _, index = name.partition("_")
        if (len(base) > 1 and base not in ROMAN) or not re.fullmatch(r"[A-Za-z0-9,]*", index):
            return rf"\mathrm{{{escaped(name)}}}"
        written, *parts = (one if len(one) == 1 else rf"\mathrm{{{one}}}" for one in (base, *index.split(",")))
        return f"{written}_{{{','.join(parts)}}}" if index else written


ROMAN = ("MACs", "FLOPs", "params", "buffers", "ops", "acts", "bytes", "start", "first", "last")
"""Words that may have an index."""

_MATHEMATICS = r"""·\cdot ×\times −- ±\pm ≤\le ≥\ge << >> || →\to √\surd ∂\partial ½\frac{1}{2} ⌊\lfloor ⌋\rfloor
⌈\lceil ⌉\rceil Σ\Sigma ρ\rho π\pi ¹^{1} ²^{2} ³^{3} ᵈ^{d} ᵀ^{T}"""
"""Characters of formulas, each before what it is in mathematics mode."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: rf"\{c}" for c in "_&%#${}"},
    **{c: f"${written}$" for c, written in re.findall(r"(\S)(\S+)", _MATHEMATICS)},
    "§": r"\S{}",
    "–": "--",
    "…": r"\dots{}",
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
