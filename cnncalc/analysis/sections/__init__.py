"""Further analyses that ``analyze`` makes where they are asked for; what is not asked for costs nothing.

A section is one module of this package with

- ``measured(report, graph, settings)``: the section's totals, its part for each node, and more diagnostics;
- ``folded(parts)``: what one row for several layers has.

Its structures stand in ``analysis/report.py``, its columns in ``report/sections/``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis.report import LayerReport, Report
    from cnncalc.analysis.roofline import Algorithms, Machine
    from cnncalc.graph import Graph

SECTIONS: dict[str, tuple[str, ...]] = {
    "memory": ("weight_bytes", "output_bytes", "saved_bytes", "live_bytes"),
    "training": ("forward_flops", "input_gradient", "weight_gradient", "step_flops", "expected_step", "runs"),
    "speed": ("moved_bytes", "intensity", "roofline", "limit", "time_bound"),
    "initialisation": (
        "fan_in",
        "fan_out",
        "gain",
        "he_std",
        "he_fan_out_std",
        "xavier_std",
        "decayed",
        "not_decayed",
        "zero_init",
    ),
    "convention": ("counted",),
}
"""The sections in the order in which they are shown, each with the names of its columns."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "memory": ("dtype", "optimizer", "mixed_precision", "checkpoint", "fit"),
    "training": ("images", "epochs"),
    "speed": ("machine", "dtype", "algorithms"),
    "initialisation": ("label_smoothing",),
    "convention": ("convention",),
}
"""The settings that each section reads."""
ALIASES = {"init": "initialisation", "initialization": "initialisation"}


class Settings(Struct, frozen=True, kw_only=True):
    """What the sections can be told; each reads what is its own."""

    label_smoothing: float = 0.1
    convention: str = "flop_counter"
    images: int | None = None
    epochs: int | None = None
    machine: Machine | None = None
    algorithms: Algorithms = "direct"
    dtype: str = "float32"
    optimizer: str = "adam"
    mixed_precision: bool = False
    checkpoint: int | None = None
    fit: str | None = None


def named(text: str) -> list[str]:
    """The sections of ``--show``, which commas separate; ``all`` is every one.

    Raises:
        CnncalcError: there is no such section; the message has the nearest.
    """
    wanted: list[str] = []
    for name in text.split(","):
        known = ALIASES.get(name.strip().lower(), name.strip().lower())
        if known != "all" and known not in SECTIONS:
            from cnncalc.errors import unknown_name

            raise unknown_name("section", name.strip(), [*SECTIONS, *ALIASES, "all"], SECTIONS)
        wanted += SECTIONS if known == "all" else [known]
    return wanted


def of_column(name: str) -> str | None:
    """The section that a column belongs to; ``None`` for a column of every report."""
    return next((section for section, columns in SECTIONS.items() if name in columns), None)


def module(section: str) -> Any:
    """The module of a section."""
    return import_module(f"cnncalc.analysis.sections.{section}")


def add(report: Report, graph: Graph, wanted: Iterable[str], settings: Settings) -> Report:
    """The report with these sections."""
    for section in SECTIONS:
        if section in wanted:
            totals, parts, *more = module(section).measured(report, graph, settings)
            own = [part for node, part in zip(graph.nodes, parts, strict=True) if node.layer is not None]
            layers = [replace(layer, **{section: part}) for layer, part in zip(report.layers, own, strict=True)]
            report = replace(report, layers=tuple(layers), **{section: totals})
            report = replace(report, diagnostics=(*report.diagnostics, *more))
    return report


def add_wanted(
    report: Report, graph: Graph, *, show: str | None, columns: Iterable[str | None], settings: dict[str, Any]
) -> Report:
    """The report with the sections that are asked for: by name, by a column, or by a setting of theirs.

    Args:
        report: the report so far.
        graph: the net.
        show: names of sections, which commas separate.
        columns: names of columns, which commas separate.
        settings: the settings by name; ``None`` where one is not given.

    Raises:
        CnncalcError: there is no such section, or a setting is wrong.
    """
    wanted = set(named(show)) if show is not None else set()
    for names in columns:
        wanted |= {section for name in (names or "").split(",") if (section := of_column(name.strip().lower()))}
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        readers = [section for section, own in SETTINGS.items() if name in own]
        if not wanted & set(readers):
            wanted.add(readers[0])
    return add(report, graph, wanted, Settings(**given))


def folded(layers: Sequence[LayerReport]) -> dict[str, Any]:
    """For a row that stands for several layers, what each section has of them."""
    result = {}
    for section in SECTIONS:
        parts = [part for layer in layers if (part := getattr(layer, section)) is not UNSET]
        if parts:
            result[section] = module(section).folded(parts)
    return result
