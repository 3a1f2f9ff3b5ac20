"""What a long command is doing, on standard error and only on a terminal."""

from __future__ import annotations

from typing import Any


class Progress:
    """A spinner with the time and what is being done, at the start ``first``; with ``total`` a bar too."""

    def __init__(self, first: str = "loading PyTorch", total: int | None = None) -> None:
        self.first, self.total = first, total
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Progress:
        import sys

        if sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = [SpinnerColumn(), TimeElapsedColumn(), *([BarColumn()] if self.total else [])]
            text = TextColumn("{task.description}", markup=False)
            self.bar = Progress(*columns, text, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.first, total=self.total)
        return self

    def show(self, what: str) -> None:
        """The next thing to be done."""
        if self.bar is not None:
            from cnncalc.text import visible

            self.bar.update(self.task, description=visible(what), advance=1 if self.total else 0)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
