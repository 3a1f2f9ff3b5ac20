"""Every error that cnncalc raises for bad input; the command line turns each into exit status 2."""

from __future__ import annotations


class CnncalcError(ValueError):
    """Base of all errors about the user's input."""


class LayerError(CnncalcError):
    """A layer that cannot take its inputs or its fields; raised without a place, which the spec adds.

    Args:
        message: what is wrong, in one clause, with the numbers.
        field: the layer's field at fault, where there is one; the spec points at it.
        hint: what would mend it.
    """

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint


class ShapeMismatchError(LayerError):
    """Several inputs of one layer whose shapes do not go together; the spec adds how each came about."""
