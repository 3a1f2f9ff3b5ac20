"""The console blocks of README and docs: what they show is run, compared, and written again.

``python -m tests.console [PAGE…]`` puts the output of every command of every block in the place of the old one, and
draws the README's picture again.

A block with a title (```yaml title="net.yaml") is a file for the commands of its page. A line ``…`` stands for lines
left out. The commands run in this process, each block in a folder of its own, on a terminal of 100 columns and 40 lines
without colour.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from difflib import SequenceMatcher
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from cnncalc.__main__ import run as run_line

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PICTURE = ROOT / "docs" / "pictures" / "analyze.svg"
PICTURED = "cnncalc analyze resnet50 --depth 1"
LEFT_OUT = "…"
TERMINAL = {"COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color", "NO_COLOR": "1"}

FENCE = re.compile(
    r'^(?P<fence>`{3,})(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^(?P=fence)$', re.M | re.S
)


class Block(NamedTuple):
    """One fenced block of a page; ``start`` and ``end`` are where its body lies in the text."""

    page: Path
    line: int
    language: str
    title: str
    body: str
    start: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class Step(NamedTuple):
    """A command as it is shown (one line, or several that a backslash joins), and the lines shown below it."""

    prompt: str
    shown: list[str]

    @property
    def command(self) -> str:
        return self.prompt.removeprefix("$ ").replace("\\\n", "")

    @property
    def needs_torch(self) -> bool:
        words = shlex.split(self.command)
        measures = {"verify", "bench"} & set(words[1:2]) and not {"numpy", "--help", "--machines"} & set(words)
        return bool(measures) or "torch:" in self.command or any(word.endswith(".py") for word in words[2:])


class Terminal(StringIO):
    """A terminal that takes UTF-8."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def blocks(page: Path, language: str = "") -> list[Block]:
    """The fenced blocks of a page, or those in one language."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["title"] or "",
            found["body"],
            found.start("body"),
            found.end("body"),
        )
        for found in FENCE.finditer(text)
        if language in ("", found["language"])
    ]


def steps(block: Block) -> list[Step]:
    """The commands of a console block."""
    found: list[Step] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append(Step(line, []))
        elif found and not found[-1].shown and found[-1].prompt.endswith("\\"):
            found[-1] = Step(f"{found[-1].prompt}\n{line}", [])
        else:
            found[-1].shown.append(line)
    return found


def outputs(block: Block) -> Iterator[tuple[Step, list[str]]]:
    """Each command of a block with the lines that it prints, in a folder with the files of the page."""
    with TemporaryDirectory() as folder, chdir(folder), patch.dict(os.environ, TERMINAL):
        for file in blocks(block.page):
            if file.title:
                Path(file.title).parent.mkdir(parents=True, exist_ok=True)
                Path(file.title).write_text(file.body, encoding="utf-8")
        status = 0
        for step in steps(block):
            program, *arguments = shlex.split(step.command)
            if program == "cnncalc":
                screen = Terminal()
                errors = StringIO()
                errors.write = screen.write  # type: ignore[method-assign]
                with redirect_stdout(screen), redirect_stderr(errors):
                    status = run_line(arguments)
                text = screen.getvalue().replace(f"{os.path.realpath(folder)}/", "")
            elif program == "cat":
                text = Path(*arguments).read_text(encoding="utf-8")
            else:
                assert step.command == "echo $?", f"{block.name}: cannot run {step.command}"
                text = str(status)
            yield step, [line.rstrip() for line in text.rstrip().splitlines()]


def fits(shown: list[str], printed: list[str]) -> bool:
    """Whether what is shown is what was printed, but for the lines left out."""
    pattern = "".join("(?:.*\n)+?" if line == LEFT_OUT else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


def current(shown: list[str], printed: list[str]) -> list[str]:
    """What is to be shown of what was printed: the lines nearest to those that are shown now."""
    if not shown and printed:
        return printed
    if fits(shown, printed):
        return shown
    parts: list[list[str]] = [[]]
    for line in shown:
        if line == LEFT_OUT:
            parts.append([])
        else:
            parts[-1].append(line)
    kept: list[str] = []
    done = 0
    for number, part in enumerate(parts):
        if not part:
            continue
        start = 0 if number == 0 else nearest(part[0], printed, done)
        end = len(printed) if number == len(parts) - 1 else nearest(part[-1], printed, start) + 1
        kept += [LEFT_OUT] * (start > done) + printed[start:end]
        done = end
    return kept + [LEFT_OUT] * (done < len(printed))


def nearest(line: str, printed: list[str], start: int) -> int:
    """The place of the line, from ``start`` on, that is most like this one."""
    words = line.split()
    places = range(start, len(printed))
    return max(places, key=lambda place: SequenceMatcher(None, words, printed[place].split()).ratio(), default=start)


def rewrite(page: Path) -> bool:
    """Run the blocks of a page and put what they print in it; whether anything changed."""
    before = text = page.read_text(encoding="utf-8")
    for block in reversed(blocks(page, "console")):
        if find_spec("torch") is None and any(step.needs_torch for step in steps(block)):
            continue
        body = "".join(
            "".join(f"{line}\n" for line in (step.prompt, *current(step.shown, printed)))
            for step, printed in outputs(block)
        )
        text = text[: block.start] + body + text[block.end :]
    if text != before:
        page.write_text(text, encoding="utf-8")
    return text != before


def pictured() -> str:
    """What the README's picture shows, with its colours."""
    screen = Terminal()
    with patch.dict(os.environ, TERMINAL), redirect_stdout(screen):
        del os.environ["NO_COLOR"]
        run_line(shlex.split(PICTURED)[1:])
    return f"$ {PICTURED}\n{screen.getvalue()}"


def picture() -> str:
    """The README's picture, as SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=int(TERMINAL["COLUMNS"]), file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(pictured()), no_wrap=True)
    drawn = console.export_svg(title="cnncalc", unique_id="cnncalc")
    # An image in a page loads no fonts from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S).replace("Fira Code", "DejaVu Sans Mono")


if __name__ == "__main__":
    for path in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        if rewrite(path):
            print(path.relative_to(ROOT))
    PICTURE.write_text(picture(), encoding="utf-8")
