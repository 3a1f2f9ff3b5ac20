"""Pieces of Python code before they are text: calls whose numbers may still become arguments, and their layout.

Code is laid out so that ruff (or black) leaves it as it is at any line length from :data:`WIDTH` up: what does
not fit on one line has one part per line and a comma after the last, which those formatters keep.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

WIDTH = 88
"""Longest line of what is written; the default of ruff and black."""


class Tensor(NamedTuple):
    """Input number ``number`` of a layer."""

    number: int


class Arg(NamedTuple):
    """An argument of a call; ``implied`` where leaving it out means the same, ``default`` what it is then."""

    name: str
    value: Any
    keyword: bool = False
    implied: bool = False
    default: Any = ...


class Call(NamedTuple):
    """``function(args)``.

    ``.name`` is a method of the first argument, a sign such as ``+`` stands between all of them, ``[]`` indexes
    the first by the others, ``:`` is a slice, ``(,)`` a tuple, and ``self`` calls the layer's own module.
    """

    function: str
    args: tuple[Arg, ...]


SELF = "self"
CHOSEN = "chosen"
"""The function of a call whose argument names the module to make."""
FIXED = frozenset(("torch", "nn", "F", "Tensor", "OrderedDict", "self", "i", "range", "super", "getattr", "str", "int"))
FIXED |= {"float", "bool", "type", "dict", "tuple"}
"""Names that the code itself uses."""


def attributes_of(path: str) -> tuple[str, ...]:
    """The attributes that lead from a net's module to a layer's: the parts of its path.

    PyTorch's modules hold their mode in ``training``, so a part of that name gets a ``_``, as does what would equal it.
    """
    return tuple([f"{part}_" if re.fullmatch("training_*", part) else part for part in path.split(".")])


class Text(NamedTuple):
    """How a layer is written.

    ``module`` makes its module (``None`` for a layer that is a mere function), ``call`` is its result, with
    :class:`Tensor` for its inputs; ``function`` says the same without the module, where people would.
    ``helpers`` is the source of what the two use beyond PyTorch, by name.
    """

    module: Call | None
    call: Any
    function: Call | None = None
    helpers: tuple[tuple[str, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the result is just the module's, of one input, as in ``nn.Sequential``."""
        return self.module is not None and self.call == Call(SELF, (Arg("", Tensor(0)),))


def mentioned(part: Any) -> list[int]:
    """The numbers of the inputs in a call, each as often as it stands there."""
    if isinstance(part, Call):
        return [number for arg in part.args for number in mentioned(arg.value)]
    return [part.number] if isinstance(part, Tensor) else []


def positional(*values: Any) -> tuple[Arg, ...]:
    """Arguments without names."""
    return tuple(Arg("", value) for value in values)


# -- layout ----------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Parts between brackets: on one line where they fit, else one on each."""

    start: str
    parts: tuple[Doc, ...]
    end: str


class Infix(str):
    """A sum, product or the like, which comes apart within another one."""


Doc = str | Group
"""Code before it is broken into lines."""


def flat(doc: Doc) -> str:
    """All on one line."""
    if isinstance(doc, str):
        return doc
    return f"{doc.start}{', '.join(map(flat, doc.parts))}{doc.end}"


def lay_out(doc: Doc, indent: int = 0, before: str = "", after: str = "") -> list[str]:
    """Lines, each indented; the first begins with ``before``, the last ends with ``after``."""
    pad = " " * indent
    line = f"{pad}{before}{flat(doc)}{after}"
    if isinstance(doc, str) or not doc.parts or len(line) <= WIDTH:
        return [line]
    lines = [f"{pad}{before}{doc.start}"]
    for part in doc.parts:
        lines += lay_out(part, indent + 4, after=",")
    return [*lines, f"{pad}{doc.end.removeprefix(',')}{after}"]  # a tuple of one has its comma already


def prefixed(prefix: str, doc: Doc) -> Doc:
    """``doc`` with text before it, as ``name=`` before a value."""
    return prefix + doc if isinstance(doc, str) else doc._replace(start=prefix + doc.start)


def literal(value: Any) -> str:
    """A value as Python has it."""
    if isinstance(value, str):
        text = repr(str(value))
        return text if '"' in text else f'"{text[1:-1]}"'  # the quotes that formatters prefer
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not isfinite(value):
        return f'float("{value}")'
    return repr(value)


def formatted(text: str, name: str) -> str:
    """``text`` and the value of a variable after it, as one string."""
    begin = literal(text.replace("{", "{{").replace("}", "}}"))
    return f"f{begin[:-1]}{{{name}}}{begin[-1]}"


def code(value: Any, tensors: Sequence[Doc] = (), module: str = SELF) -> Doc:
    """A call or value as code.

    Args:
        value: what to write; a :class:`Verbatim` is code already.
        tensors: what stands for the layer's inputs.
        module: what stands for its module.
    """
    if isinstance(value, Tensor):
        return tensors[value.number]
    if isinstance(value, Verbatim):
        return value.text
    if type(value) is tuple and len(value) > 1:
        return Group("(", tuple(code(one) for one in value), ")")
    if not isinstance(value, Call):
        return literal(value)

    def inner(arg: Arg) -> Doc:
        return code(arg.value, tensors, module)

    function, args = value
    if function == "[]":
        indexed = flat(inner(args[0]))
        indexed = f"({indexed})" if isinstance(indexed, Infix) else indexed
        return f"{indexed}[{', '.join(flat(inner(arg)) for arg in args[1:])}]"
    if function == ":":
        start, stop, step = ("" if arg.value is None else flat(inner(arg)) for arg in args)
        return f"{start}:{stop}{':' + step if step else ''}"
    if function == "(,)":
        return Group("(", tuple(map(inner, args)), ",)" if len(args) == 1 else ")")
    if not function[0].isalpha() and function[0] != ".":
        return Infix(f" {function} ".join(operand(flat(inner(arg)), function, arg.value) for arg in args))
    if function[0] == ".":
        receiver = flat(inner(args[0]))
        if isinstance(receiver, Infix):
            receiver = f"({receiver})"
        function, args = receiver + function, args[1:]
    name = module if function == SELF else function
    return Group(f"{name}(", tuple(prefixed(f"{a.name}=" if a.keyword else "", inner(a)) for a in args), ")")


def operand(text: str, sign: str, value: Any) -> str:
    """A part of a sum or product, in parentheses where it would come apart."""
    product = isinstance(value, Call) and value.function == "*" and sign == "/"
    apart = isinstance(text, Infix) or (isinstance(value, Verbatim) and " " in text)
    return f"({text})" if apart and not product else text


class Verbatim(NamedTuple):
    """Code that is written as it stands."""

    text: str
