"""What is to be noted about a net besides its numbers: diagnostics, shared weights and separable pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from cnncalc import units
from cnncalc.analysis.report import LayerReport, Report, SeparablePair
from cnncalc.document.blocks import Mark
from cnncalc.report.words import MOST_NAMES, about, more_than

MARKS: dict[str, Mark] = {"info": "note", "warning": "warning", "error": "error"}
"""The mark of each severity."""


def noted(report: Report) -> list[tuple[Mark, str]]:
    """Each note's mark (``note``, ``warning``, ``error``) and text; a total that is partial names its layers."""
    notes: list[tuple[Mark, str]] = [(MARKS[d.severity], f"{d.message}{about(d.layers)}") for d in report.diagnostics]
    return notes + [("note", text) for text in (_shared(report.layers), _separable(report.separable)) if text]


def _shared(layers: Iterable[LayerReport]) -> str:
    users: dict[str, int] = {}
    for layer in layers:
        if layer.shared_with is not UNSET:
            users[layer.shared_with] = users.get(layer.shared_with, 0) + 1
    if not users:
        return ""
    listed = [f"{owner} ({count + 1} times)" for owner, count in users.items()]
    return f"shared weights, counted once: {more_than(listed, MOST_NAMES)}"


def _separable(pairs: Sequence[SeparablePair]) -> str:
    """What depthwise and pointwise pairs cost against the convolutions they replace."""
    if not pairs:
        return ""
    macs, standard = sum(pair.macs for pair in pairs), sum(pair.standard_macs for pair in pairs)
    if len(pairs) == 1:
        (pair,) = pairs
        return (
            f"{pair.depthwise} + {pair.pointwise} take {units.share(macs, standard)} % of the MACs of the standard "
            f"convolution ({units.show(macs)} of {units.show(standard)}); 1/C_out + 1/K² = {100 * pair.rule:.1f} %"
        )
    ratios, rules = [pair.ratio for pair in pairs], [pair.rule for pair in pairs]
    return (
        f"{len(pairs)} pairs of depthwise + pointwise convolution take {units.show(macs)} MACs, "
        f"{units.share(macs, standard)} % of the {units.show(standard)} of the standard convolutions they replace; "
        f"each {_range(ratios)}, where 1/C_out + 1/K² = {_range(rules)}"
    )


def _range(shares: Sequence[float]) -> str:
    """From the least to the greatest, in per cent."""
    low, high = f"{100 * min(shares):.1f} %", f"{100 * max(shares):.1f} %"
    return low if low == high else f"{low} to {high}"
