"""How the further analyses are shown. A section is one module of this package with

- ``COLUMNS``: its columns, each row of which reads ``LayerReport.<section>``;
- ``facts(report)``: what stands below the table;
- ``hidden(report)``, where it has one: the names of columns that have nothing to show in this report.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from cnncalc.analysis.sections import SECTIONS, of_column
from cnncalc.document.blocks import Facts

if TYPE_CHECKING:
    from cnncalc.analysis.report import Report
    from cnncalc.document.column import Column


def module(section: str) -> Any:
    """The module of a section."""
    return import_module(f"cnncalc.report.sections.{section}")


def column(name: str) -> Column | None:
    """The column of that name, where some section has it."""
    section = of_column(name)
    return None if section is None else {one.name: one for one in module(section).COLUMNS}[name]


def present(report: Report) -> list[str]:
    """The sections that a report has."""
    return [section for section in SECTIONS if getattr(report, section) is not UNSET]


def columns(report: Report) -> list[Column]:
    """The columns of the sections that a report has: but for those that a section says have nothing to show."""
    chosen = []
    for section in present(report):
        part = module(section)
        hidden = part.hidden(report) if hasattr(part, "hidden") else ()
        chosen += [column for column in part.COLUMNS if column.name not in hidden]
    return chosen


def facts(report: Report) -> list[Facts]:
    """What each section of a report has to say below the table."""
    return [Facts(module(section).facts(report), section) for section in present(report)]
