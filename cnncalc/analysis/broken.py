"""A net of several that could not be read: for answers that go on with the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from cnncalc.errors import CnncalcError
from cnncalc.graph import Place
from cnncalc.spec.problem import SpecError


class Broken(Struct, frozen=True):
    """What was asked for, the whole message, and the place in the file as far as there is one."""

    net: str
    message: str
    file: str | None
    line: int | None
    column: int | None

    @property
    def place(self) -> Place:
        """Its place; a line of 0 is the file as a whole."""
        return Place(self.file or self.net, self.line or 0, self.column or 0)


def verdict(failed: Iterable[bool], broken: Sequence[Broken]) -> Literal["pass", "fail", "error"]:
    """Of several nets: an error where one could not be read, else whether one failed."""
    return "error" if broken else "fail" if any(failed) else "pass"


def broken(net: str, error: CnncalcError) -> Broken:
    """What could not be read, from the error that said so."""
    if isinstance(error, SpecError):
        return Broken(net, str(error), error.file, error.line, error.column)
    return Broken(net, str(error), None, None, None)
