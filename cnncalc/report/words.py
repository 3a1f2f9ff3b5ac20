"""How shapes, settings and layers are written, on every page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cnncalc.analysis.answer import Shape

MOST_NAMES = 6
"""Layers that a sentence names."""


def shape_text(shape: Shape) -> str:
    """``64×112×112``."""
    return "×".join(map(str, shape)) or "scalar"


def shapes_text(shapes: Iterable[Shape]) -> str:
    """The shapes of several inputs; ``2 · 64×56×56`` where they are alike."""
    known = list(shapes)
    if len(known) > 1 and all(shape == known[0] for shape in known):
        return f"{len(known)} · {shape_text(known[0])}"
    return ", ".join(map(shape_text, known))


def setting_text(value: Any) -> str:
    """One setting as it is written in a spec."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(setting_text, value))}]"
    return str(value)


def about(layers: Sequence[str]) -> str:
    """Which layers a note is about, the first few by name."""
    more = f", … ({len(layers) - MOST_NAMES} more)" if len(layers) > MOST_NAMES else ""
    return f" ({', '.join(layers[:MOST_NAMES])}{more})" if layers else ""
