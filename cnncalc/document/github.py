"""Annotations for GitHub: what its runner reads from a job's log and shows beside the lines of a file.

The form is that of the workflow commands (``::error file=…,line=…,col=…,title=…::message``), the escaping
that of their toolkit: ``%`` and line ends in a message, and ``:`` and ``,`` too in a property.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from cnncalc.document.blocks import Finding
from cnncalc.text import visible


def render(findings: Iterable[Finding], verdicts: Iterable[str]) -> str:
    """A line for each finding, then the verdicts as they are."""
    return "".join(f"{line}\n" for line in [*map(annotation, findings), *map(visible, verdicts)])


def annotation(finding: Finding) -> str:
    """One annotation, without its line end."""
    file, line, column = finding.place or ("", 0, 0)
    if file.startswith("<"):  # standard input
        file = ""
    properties = {
        "file": in_repository(file) if file else "",
        "line": str(line) if file and line else "",
        "col": str(column) if file and line else "",
        "title": finding.title,
    }
    level = "notice" if finding.mark == "note" else finding.mark
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level}{' ' if written else ''}{written}::{_data(finding.message)}"


def in_repository(file: str) -> str:
    """A file's path as the repository has it, where the job says which folder that is."""
    root = os.environ.get("GITHUB_WORKSPACE")
    if root:
        whole, root = os.path.realpath(file), os.path.realpath(root)
        if whole.startswith(root + os.sep):
            file = os.path.relpath(whole, root)
    return file.replace(os.sep, "/")


def _data(text: str) -> str:
    return visible(text, keep="\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
