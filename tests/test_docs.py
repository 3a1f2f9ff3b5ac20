"""README and docs say what is true: their blocks are run, their links lead somewhere, nothing is left out."""

from __future__ import annotations

import doctest
import json
import re
import runpy
import shlex
from contextlib import chdir
from html import unescape
from pathlib import Path

import pytest
import typer
import yaml

from cnncalc.__main__ import COMMANDS, application
from cnncalc.layers import REGISTRY
from tests import console
from tests.console import PAGES, ROOT, Block, blocks, current, fits, outputs, steps

DOCS = ROOT / "docs"
CONSOLE = [
    pytest.param(block, id=block.name, marks=[pytest.mark.torch] * any(step.needs_torch for step in steps(block)))
    for page in PAGES
    for block in blocks(page, "console")
]


def options(command: str) -> set[str]:
    """The long options of a command, or of its subcommands, that help shows."""
    called = typer.main.get_command(application([command])).commands[command]  # type: ignore[attr-defined]
    parts = getattr(called, "commands", {"": called}).values()
    found = [param for part in parts for param in part.params if not getattr(param, "hidden", False)]
    return {name for param in found for name in (*param.opts, *param.secondary_opts) if name.startswith("--")}


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    """The pages that come from the code."""
    return runpy.run_path(str(DOCS / "hooks.py"))["pages"]()


@pytest.mark.parametrize("block", CONSOLE)
def test_a_console_block_shows_what_is_printed(block: Block) -> None:
    for step, printed in outputs(block):
        assert step.shown == current(step.shown, printed), f"{step.command}: python -m tests.console writes it again"


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        ("a b c", True),
        ("a … c", True),
        ("… c", True),
        ("a …", True),
        ("a b", False),
        ("a b x", False),
        ("a … b c", False),
    ],
)
def test_what_is_left_out_is_some_line(shown: str, holds: bool) -> None:
    assert fits(shown.split(), ["a", "b", "c"]) is holds


def test_what_is_shown_is_found_again() -> None:
    printed = ["total 12 M", "first 3", "second 4", "third 5", "end"]
    assert current([], printed) == printed
    assert current(["total 13 M", "…", "third 6", "…"], printed) == ["total 12 M", "…", "third 5", "…"]
    assert current(["…", "second 9", "third 9", "fin"], printed) == ["…", "second 4", "third 5", "end"]


def test_the_picture_shows_what_is_printed() -> None:
    drawn = re.findall(r"<text [^>]*>([^<]*)</text>", console.PICTURE.read_text(encoding="utf-8"))
    said = unescape("".join(drawn))
    printed = re.sub(r"\x1b\[[0-9;]*m", "", console.pictured())
    assert [word for word in printed.split() if word not in said] == []


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=block.name) for page in PAGES for block in blocks(page, "pycon")],
)
def test_a_python_block_gives_what_it_shows(block: Block, tmp_path: Path) -> None:
    test = doctest.DocTestParser().get_doctest(block.body, {}, block.name, str(block.page), block.line)
    assert test.examples
    with chdir(tmp_path):
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("language", ["yaml", "python", "json"])
def test_what_is_shown_in_a_language_is_in_it(language: str) -> None:
    read = {"yaml": yaml.compose, "json": json.loads, "python": lambda text: compile(text, "page", "exec")}[language]
    for page in PAGES:
        for block in blocks(page, language):
            assert read(block.body) is not None or not block.body.strip(), block.name


def test_commands_in_the_text_take_their_options() -> None:
    """Of every command line, in a block or in the running text: the command is there, and so are its options."""
    lines = [
        (page.name, found[1])
        for page in PAGES
        for found in re.finditer(r"(?:^\$ |`|^|run: |\| )(cnncalc [^`\n&|]+)", page.read_text(encoding="utf-8"), re.M)
    ]
    assert len(lines) > 60
    wrong = []
    for page, line in lines:
        words = shlex.split(line.rstrip("\\"))
        if words[1] in COMMANDS:
            given = {word.partition("=")[0] for word in words if re.match(r"--\w", word)}
            wrong += [(page, line)] * bool(given - options(words[1]) - {"--help"})
        elif words[1] != "COMMAND" and "." not in words[1]:
            wrong.append((page, line))
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page_that_names_its_options(command: str) -> None:
    pages = [DOCS / "commands" / f"{command}.md", DOCS / "commands" / "index.md"]
    said = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert [option for option in sorted(options(command)) if not re.search(rf"{option}(?![\w-])", said)] == []
    assert f"docs/commands/{command}.md" in (ROOT / "README.md").read_text(encoding="utf-8") or command == "schema"
    assert f"({command}.md)" in pages[1].read_text(encoding="utf-8")


def test_the_navigation_has_every_page() -> None:
    nav = re.findall(r"^ +- (\S+\.md)$|: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    files = {str(page.relative_to(DOCS)) for page in PAGES[1:]}
    assert {first or second for first, second in nav} == files | {"index.md", "zoo.md"}


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(FENCED, "", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


FENCED = re.compile(r"^(`{3,}).*?^\1$", re.M | re.S)


def test_links_lead_somewhere(generated: dict[str, str]) -> None:
    made = {str(DOCS / path): text for path, text in generated.items()}
    texts = {str(page): page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "CONTRIBUTING.md"]}
    checked = 0
    for place, text in (texts | made).items():
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(FENCED, "", text)):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = str((Path(place).parent / path).resolve()) if path else place
            assert target in made or Path(target).exists(), f"{place}: {link}"
            assert not anchor or anchor in anchors((texts | made)[target]), f"{place}: {link}"
            checked += 1
    assert checked > 100


def test_the_readme_is_short_and_has_the_two_set_up_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 200
    shown = [block.body.strip() for block in blocks(ROOT / "README.md", "sh")]
    assert shown == ["pip install . && cnncalc analyze specs/resnet.yaml", 'pip install -e ".[test]" && pytest -n auto']
    assert shown[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "docs/pictures/analyze.svg" in readme


def test_every_layer_has_a_section_with_its_fields(generated: dict[str, str]) -> None:
    sections: dict[str, str] = {}
    for path, text in generated.items():
        if path.startswith("layers/"):
            for section in re.split(r"^## ", text, flags=re.M)[1:]:
                sections[section.partition("\n")[0]] = section
    assert set(sections) == set(REGISTRY)
    for kind, layer in REGISTRY.items():
        shown = re.findall(r"^\| (\w+) ", sections[kind], re.M)
        assert shown == [*["field"] * bool(layer.__struct_fields__), *layer.__struct_fields__]
    row = re.search(r"^\| kernel .*$", sections["conv"], re.M)
    assert row is not None
    assert [cell.strip() for cell in row[0].split("|")[1:5]] == [
        "kernel",
        "int ≥ 1, or one per axis",
        "required",
        "kernel_size",
    ]


def test_the_zoo_page_has_torchvisions_numbers(generated: dict[str, str]) -> None:
    measured = json.loads((ROOT / "tests" / "data" / "torchvision.json").read_text(encoding="utf-8"))["models"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", generated["zoo.md"], re.M))
    assert set(measured) <= set(rows)
    shown = {name: [number.replace(",", "") for number in row.split(" | ")] for name, row in rows.items()}
    for name, facts in measured.items():
        assert shown[name][4] == str(facts["flops"])
    assert rows["resnet50"].startswith("3×224×224 | 25,557,032 | 53,173 | 4,089,184,256 | 8,178,368,512 | 39,063,016")
