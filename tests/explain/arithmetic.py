"""A little evaluator of what is printed: it knows arithmetic and none of the code that wrote it.

Unicode (``⌊(224 + 2·3 − 7)/2⌋ + 1``) and LaTeX (``\\left\\lfloor \\frac{…}{…} \\right\\rfloor``) become the same
tokens, which one grammar reads. All is exact, but for products with a decimal fraction.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

UNICODE = re.compile(
    r"\s*(?:(?P<number>\d+\.\d+(?:e-?\d+)?|\d+)|(?P<word>mod|max|min|gcd)\b"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*(?:,[A-Za-z0-9]+)*)|(?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(?P<sign>[-+−·/()⌊⌋⌈⌉|\[\],<>=≤≥≠]))"
)
LATEX = re.compile(
    r"\s*(?:(?P<number>\d+(?:\{,\}\d{3})+|\d+\.\d+(?:e-?\d+)?|\d+)|(?P<command>\\[a-zA-Z]+)"
    r"|(?P<name>[A-Za-z])|(?P<sign>[-+()|\[\],<>={}^_]))"
)
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
COMPARE = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
    "≤": lambda a, b: a <= b,
    "≥": lambda a, b: a >= b,
    "≠": lambda a, b: a != b,
}


def unicode_tokens(text):
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = UNICODE.match(text, place)
        assert match, f"cannot read {text[place:]!r} of {text!r}"
        place = match.end()
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "power":
            tokens += [("sign", "^"), ("number", value.translate(DIGITS))]
        elif kind == "word":
            tokens.append(("sign", value))
        else:
            tokens.append((kind, "-" if value == "−" else value))
    return tokens


LATEX_SIGNS = {
    r"\cdot": "·",
    r"\lfloor": "⌊",
    r"\rfloor": "⌋",
    r"\lceil": "⌈",
    r"\rceil": "⌉",
    r"\le": "≤",
    r"\ge": "≥",
    r"\ne": "≠",
    r"\bmod": "mod",
    r"\max": "max",
    r"\min": "min",
    r"\gcd": "gcd",
}


def latex_tokens(text):
    """The same tokens; names are put together, and fractions become a call of ``frac``."""
    raw, place = [], 0
    text = text.strip()
    while place < len(text):
        match = LATEX.match(text, place)
        assert match, f"cannot read {text[place:]!r} of {text!r}"
        place = match.end()
        kind, value = match.lastgroup, match[match.lastgroup]
        if value in (r"\left", r"\right"):
            continue
        if value == r"\mathrm":
            end = text.index("}", place)
            raw.append(("name", text[place + 1 : end].replace(r"\_", "_")))
            place = end + 1
        elif kind == "command":
            assert value in LATEX_SIGNS or value == r"\frac", value
            raw.append(("sign", LATEX_SIGNS.get(value, "frac")))
        else:
            raw.append((kind, value.replace("{,}", "")))
    tokens = []
    while raw:
        kind, value = raw.pop(0)
        if kind == "name" and raw[:2] == [("sign", "_"), ("sign", "{")]:
            del raw[:2]
            index = ""
            while raw[0] != ("sign", "}"):
                index += raw.pop(0)[1]
            raw.pop(0)
            value = f"{value}_{index}"
        tokens.append((kind, value))
    return tokens


class Reader:
    """Recursive descent over tokens."""

    def __init__(self, tokens, names):
        self.tokens = list(tokens)
        self.names = names

    def peek(self):
        return self.tokens[0][1] if self.tokens and self.tokens[0][0] == "sign" else None

    def take(self, sign):
        assert self.tokens, f"expected {sign!r}, got the end"
        kind, value = self.tokens.pop(0)
        assert (kind, value) == ("sign", sign), f"expected {sign!r}, got {value!r}"

    def whole(self):
        value = self.sum()
        assert not self.tokens, f"left over: {self.tokens}"
        return value

    def sum(self):
        negative = self.peek() == "-"
        if negative:
            self.take("-")
        value = -self.product() if negative else self.product()
        while self.peek() in ("+", "-"):
            sign = self.tokens.pop(0)[1]
            value = value + self.product() if sign == "+" else value - self.product()
        return value

    def product(self):
        value = self.power()
        while self.peek() in ("·", "/", "mod"):
            sign = self.tokens.pop(0)[1]
            other = self.power()
            value = value * other if sign == "·" else Fraction(value) / other if sign == "/" else value % other
        return value

    def power(self):
        base = self.atom()
        if self.peek() == "^":
            self.take("^")
            return base ** self.group()
        return base

    def group(self):
        if self.peek() == "{":
            return self.enclosed("{", "}")
        return self.atom()

    def enclosed(self, left, right):
        self.take(left)
        value = self.sum()
        self.take(right)
        return value

    def arguments(self):
        self.take("(")
        values = [self.sum()]
        while self.peek() == ",":
            self.take(",")
            values.append(self.sum())
        self.take(")")
        return values

    def atom(self):
        kind, value = self.tokens[0]
        if kind == "number":
            self.tokens.pop(0)
            return float(value) if "." in value else int(value)
        if kind == "name":
            self.tokens.pop(0)
            assert value in self.names, f"{value} is given nowhere: {self.names}"
            return self.names[value]
        if value == "(":
            return self.enclosed("(", ")")
        if value == "⌊":
            return math.floor(self.enclosed("⌊", "⌋"))
        if value == "⌈":
            return math.ceil(self.enclosed("⌈", "⌉"))
        if value == "|":
            return abs(self.enclosed("|", "|"))
        if value == "[":
            self.take("[")
            left, sign, right = self.sum(), self.tokens.pop(0)[1], self.sum()
            self.take("]")
            return int(COMPARE[sign](left, right))
        if value == "frac":
            self.take("frac")
            return Fraction(self.enclosed("{", "}")) / self.enclosed("{", "}")
        if value in ("max", "min"):
            self.take(value)
            return {"max": max, "min": min}[value](self.arguments())
        if value == "gcd":
            self.take(value)
            return math.gcd(*map(int, self.arguments()))
        raise AssertionError(f"cannot read {value!r}")


def evaluate(text, names=None):
    """The value of an expression in Unicode."""
    return Reader(unicode_tokens(text), names or {}).whole()


def evaluate_latex(text, names=None):
    """The value of an expression in LaTeX."""
    return Reader(latex_tokens(text), names or {}).whole()
