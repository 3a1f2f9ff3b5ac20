"""The nets that several sources name: the specs of folders, and the variants of specs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cnncalc import sources
from cnncalc.errors import CnncalcError

ENDINGS = (".yaml", ".yml")
# A spec has this key at its top level; few other YAML files of a repository do.
_LAYERS = re.compile(r"""^["']?layers["']?\s*:""", re.MULTILINE)


class Target(NamedTuple):
    """One net: a source and its chosen variant."""

    source: str
    variant: str | None = None

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.source if self.variant is None else f"{self.source} ({self.variant})"


def is_many(given: Sequence[str]) -> bool:
    """Whether sources mean a list of nets, and not one net."""
    return len(given) != 1 or os.path.isdir(given[0])


def targets(
    given: Sequence[str], *, variant: str | None = None, all_variants: bool = False, lenient: bool = False
) -> list[Target]:
    """The nets of sources, each once.

    Args:
        given: sources; a folder means all specs in it, however deep.
        variant: the variant to take of all of them.
        all_variants: whether a spec with variants gives each of them instead of its own arguments.
        lenient: whether files that are not specs are skipped.

    Raises:
        CnncalcError: a folder has no specs, or a file cannot be read.
    """
    found: dict[Target, None] = {}
    for source in given:
        for file in _files(source, lenient):
            variants: list[str | None] = [*variants_of(file)] if all_variants and variant is None else []
            found.update(dict.fromkeys(Target(file, one) for one in variants or [variant]))
    return list(found)


def _files(source: str, lenient: bool) -> list[str]:
    if os.path.isdir(source):
        specs = list(specs_below(source))
        if not specs and not lenient:
            hint = "a spec is a .yaml file with 'layers:'"
            raise CnncalcError(f"{source}: error: there is no spec in this folder\n  hint: {hint}")
        return specs
    if lenient and os.path.isfile(source) and not is_spec(sources.text_of(source)[0]):
        return []
    return [source]


def specs_below(folder: str) -> Iterator[str]:
    """The files of all specs below a folder, in alphabetical order.

    Hidden folders, virtual environments, special files and files too large for a spec are left out.
    """
    for path, folders, files in os.walk(folder):
        if path != folder and "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = os.path.normpath(os.path.join(path, name))
            if name.endswith(ENDINGS) and not name.startswith(".") and is_spec(_text(file)):
                yield file


def _text(file: str) -> str:
    """As much of a file's text as is needed to recognise a spec; empty for binary or unreadable files."""
    try:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > sources.MOST_BYTES:
            return ""
        with open(file, encoding="utf-8", errors="replace") as lines:
            return lines.read()
    except OSError as error:
        raise CnncalcError(f"{file}: error: cannot be read: {error.strerror or error}") from None


def is_spec(text: str) -> bool:
    """Whether a YAML text is meant to be a spec: it has a key ``layers`` at its top level."""
    return _LAYERS.search(text) is not None


def variants_of(source: str) -> list[str]:
    """The variants of a source; none if it is a variant itself or cannot be read."""
    if sources.is_stream(source):
        return []
    try:
        text, shown, chosen = sources.text_of(source)
        return [] if chosen is not None else sources.variants_of(shown, text)
    except CnncalcError:
        return []  # loading it will give the message
