"""Annotations for GitHub: what its runner reads from a job's log and shows beside the lines of a file.

The form is that of the workflow commands (``::error file=…,line=…,col=…,title=…::message``), the escaping
that of their toolkit: ``%`` and line ends in a message, and ``:`` and ``,`` too in a property.
"""

from __future__ import annotations

import os
from typing import Literal

from cnncalc.graph import Place
from cnncalc.text import visible

Level = Literal["error", "warning", "notice"]


def annotation(level: Level, message: str, place: Place | None = None, *, title: str = "") -> str:
    """One annotation, without its line end; a line of 0 is a file as a whole."""
    known = place is not None and place.file and not place.file.startswith("<")
    properties = {
        "file": in_repository(place.file) if place is not None and known else "",
        "line": str(place.line) if place is not None and known and place.line else "",
        "col": str(place.column) if place is not None and known and place.line else "",
        "title": title,
    }
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level}{' ' if written else ''}{written}::{_data(message)}"


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
