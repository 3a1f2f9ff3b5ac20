"""How shapes, settings and layers are written, on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cnncalc.analysis.answer import Shape

TITLES = {
    "params": "parameters",
    "buffers": "buffers",
    "macs": "MACs",
    "flops": "FLOPs",
    "elementwise_ops": "elementwise ops",
    "activations": "activations",
    "layers": "layers",
    "rf": "receptive field",
    "jump": "jump",
}
"""What a page calls the numbers of a net."""
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


def named_shapes(tensors: Mapping[str, Shape]) -> str:
    """The shapes of a net's inputs or outputs, by name where there are several."""
    if len(tensors) == 1:
        return shape_text(*tensors.values())
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in tensors.items())


def settings_text(values: Mapping[str, Any]) -> str:
    """``out=64 kernel=3``."""
    return " ".join(f"{name}={setting_text(value)}" for name, value in values.items())


def more_than(names: Sequence[str], most: int) -> str:
    """The first few of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f", … ({len(names) - most} more)" if len(names) > most else "")


def per_axis(values: Sequence[Any] | None, none: str = "all", show: Callable[[Any], str] = str) -> str:
    """``427`` where all axes agree, else ``427×211``; ``none`` stands for an axis without a value."""
    if values is None:
        return "–"
    shown = [none if value is None else show(value) for value in values]
    return shown[0] if len(set(shown)) == 1 else "×".join(shown)


def setting_text(value: Any) -> str:
    """One setting as it is written in a spec."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(setting_text, value))}]"
    return str(value)


def about(layers: Sequence[str]) -> str:
    """Which layers a note is about, the first few by name."""
    return f" ({more_than(layers, MOST_NAMES)})" if layers else ""
