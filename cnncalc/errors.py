"""Every error that cnncalc raises for bad input; the command line turns each into exit status 2."""

from __future__ import annotations

from collections.abc import Iterable


class CnncalcError(ValueError):
    """Base of all errors about the user's input."""


class LayerError(CnncalcError):
    """A layer that cannot take its inputs or its fields; raised without a place, which the spec adds.

    Args:
        message: what is wrong, in one clause, with the numbers.
        field: the layer's field at fault, where there is one; the spec points at it.
        hint: how to fix it.
    """

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint


class ShapeMismatchError(LayerError):
    """Several inputs of one layer whose shapes do not fit; the spec adds how each came about."""


def unknown_name(what: str, name: str, accepted: Iterable[str], listed: Iterable[str]) -> CnncalcError:
    """The error for a name that is not one of ``accepted``, with the nearest, else with those ``listed``."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), list(accepted), 1)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(listed)}"
    return CnncalcError(f"unknown {what} '{name}'\n  hint: {hint}")
