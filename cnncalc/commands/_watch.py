"""``--watch``: a command that runs again whenever a file changes."""

import os
import sys
from collections.abc import Callable, Sequence
from time import sleep
from typing import NoReturn

from cnncalc.errors import CnncalcError

PAUSE = 0.3
"""Seconds between two looks at the files."""


def again(files: Sequence[str], run: Callable[[], None]) -> NoReturn:
    """Run, and run again whenever one of the files (or of those in a folder) changes, until Ctrl-C.

    What is wrong with a file is said, and the next change is waited for.

    Raises:
        CnncalcError: one is not a file.
    """
    from cnncalc.document.output import complain

    for file in files:
        if not os.path.exists(file):
            raise CnncalcError(f"--watch: {file} is not a file")
    while True:
        before = _stamps(files)
        if sys.stdout is not None and sys.stdout.isatty():
            sys.stdout.write("\x1b[2J\x1b[H")
        try:
            run()
        except CnncalcError as error:
            complain(str(error))
        except SystemExit:
            pass  # its status is that of a single run
        while _stamps(files) == before:
            sleep(PAUSE)


def _stamps(files: Sequence[str]) -> dict[str, int]:
    """When each file was changed last; a file that is gone has no time."""
    found = {}
    for file in files:
        inside = [os.path.join(at, name) for at, _, names in os.walk(file) for name in names]
        for one in [file, *inside]:
            try:
                found[one] = os.stat(one).st_mtime_ns
            except OSError:
                found[one] = 0
    return found
