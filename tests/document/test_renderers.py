"""Blocks in every format: what a document says stands in all of them, and no line is wider than the terminal."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from msgspec import Struct

from cnncalc.document import html, markdown
from cnncalc.document import json as json_format
from cnncalc.document.blocks import (
    Bar,
    Bars,
    Branch,
    Document,
    Equation,
    Equations,
    Fact,
    Facts,
    Finding,
    Findings,
    Fold,
    Group,
    Heading,
    Note,
    Picture,
    Table,
    Text,
    Verbatim,
    flat,
)
from cnncalc.document.column import Column, exact, human, named, percent, sort_rows
from cnncalc.document.output import show
from cnncalc.document.terminal import render
from cnncalc.document.tree import folded, levels
from cnncalc.document.tree import tree as rows_as_tree
from cnncalc.errors import CnncalcError
from cnncalc.text import display_width


class Row(Struct, frozen=True):
    path: str
    count: int
    shape: tuple[int, ...] = (3, 4)


COLUMNS = (
    Column("layer", "layer", lambda row, _: row.path, path=True, elastic=True),
    Column("count", "count", lambda row, whole: row.count, show=human, right=True, total=lambda whole: str(whole)),
    Column("shape", "shape", lambda row, _: row.shape, show=lambda v: "×".join(map(str, v)), priority=3),
)
ROWS = (Row("stage1.conv1", 1_234_567), Row("stage1.bn1", 0), Row("head", 12))


class Answer(Struct, frozen=True):
    name: str = "net"
    rows: tuple[Row, ...] = ROWS


def tree(depth: int) -> list[Branch]:
    if depth == 1:
        return [Branch(0, "stage1", Row("stage1", 1_234_567)), Branch(0, "head", ROWS[2])]
    return [
        Branch(0, "stage1", Row("stage1", 1_234_567), open=True),
        Branch(1, "conv1", ROWS[0]),
        Branch(1, "bn1", ROWS[1]),
        Branch(0, "head", ROWS[2]),
    ]


TABLE = Table(COLUMNS, ROWS, whole=1_234_579, tree=tree, levels=2, folded="3 layers: --depth {depth}, or --all")
BLOCKS = (
    Heading("the net", 1),
    Text("a paragraph of some words that wraps where the terminal is narrow", lead="lead: ", strong="paragraph"),
    TABLE,
    Facts([Fact("parameters", "1,234,579", "1.23 M"), Fact("peak", "5", "at conv1")], title="totals", strong=True),
    Equations(
        [
            Equation("output height", ["H_out", "⌊(H − K)/S⌋ + 1", "55"], latex=["H", r"\frac{H}{S}", "55"]),
            Equation("parameters", ["params", "C_out·K² + C_out", "96·11² + 96", "11,712"], "weight C_out×K×K"),
        ]
    ),
    Bars(
        "shares",
        ("FLOPs %", "params %"),
        [Bar("stage1", (("98.0", 1.0), ("50.0", 0.5))), Bar("head", (("2.0", 0.02), ("<0.1", 0.0)))],
    ),
    Group([Verbatim("  conv: {out: 8}\n    ^", "yaml"), Text("gives 8×30×30")]),
    Picture(lambda width, colour: ["+--+", "|#.|", "+--+"]),
    Findings(
        [
            Finding("warning", "CNN101", "loses a row", "conv1", "pixels-lost", ("net.yaml", 4, 5), times=3),
            Finding("note", "CNN402", "nothing uses it", "width"),
        ]
    ),
    Note("branches meet out of line", "warning"),
    Note("1 of 2 checks failed", tone="red"),
)
DOCUMENT = Document(Answer(), BLOCKS, status=1)
SAID = (
    "the net",
    "parameters",
    "1,234,579",
    "at conv1",
    "output height",
    "C_out·K² + C_out = 96·11² + 96 = 11,712",
    "weight C_out×K×K",
    "stage1",
    "98.0",
    "<0.1",
    "net.yaml:4:5",
    "CNN101",
    "conv1 and 2 more",
    "nothing uses it",
    "branches meet out of line",
    "1 of 2 checks failed",
)
"""What every format for people says, word for word."""


def test_a_pipe_gets_everything_as_it_is() -> None:
    assert render(DOCUMENT).splitlines() == [
        "the net",
        "",
        "lead: a paragraph of some words that wraps where the terminal is narrow",
        "",
        "layer           count  shape",
        "────────────────────────────",
        "stage1.conv1   1.23 M  3×4",
        "stage1.bn1          0  3×4",
        "head               12  3×4",
        "────────────────────────────",
        "total         1234579",
        "",
        "totals",
        "parameters   1,234,579   1.23 M",
        "peak                 5   at conv1",
        "",
        "  output height  H_out = ⌊(H − K)/S⌋ + 1 = 55",
        "  parameters     params = C_out·K² + C_out = 96·11² + 96 = 11,712   (weight C_out×K×K)",
        "",
        "shares",
        "         FLOPs %                      params %",
        "stage1    98.0 ████████████████████    50.0 ██████████",
        "head       2.0 ▍                       <0.1",
        "",
        "  conv: {out: 8}",
        "    ^",
        "gives 8×30×30",
        "",
        "+--+",
        "|#.|",
        "+--+",
        "",
        "net.yaml:4:5: CNN101 warning conv1 and 2 more: loses a row",
        "CNN402 note width: nothing uses it",
        "",
        "warning: branches meet out of line",
        "",
        "1 of 2 checks failed",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for line in render(DOCUMENT, width=width, height=30, tree=True).splitlines():
        assert display_width(line) <= width


def test_a_line_that_wraps_keeps_its_indent() -> None:
    lines = render(Document(Answer(), [BLOCKS[1]]), width=40).splitlines()
    assert lines == ["lead: a paragraph of some words that", "      wraps where the terminal is narrow"]


def test_an_equation_that_wraps_is_broken_at_its_signs() -> None:
    page = Document(Answer(), [BLOCKS[4]])
    assert render(page, width=72).splitlines() == [
        "  output height  H_out = ⌊(H − K)/S⌋ + 1 = 55",
        "  parameters     params = C_out·K² + C_out = 96·11² + 96 = 11,712",
        "                 (weight C_out×K×K)",
    ]
    assert render(page, width=40).splitlines() == [
        "  output height",
        "    H_out = ⌊(H − K)/S⌋ + 1 = 55",
        "  parameters",
        "    params = C_out·K² + C_out",
        "      = 96·11² + 96 = 11,712",
        "    (weight C_out×K×K)",
    ]
    assert render(page, width=22).splitlines()[3:] == [
        "  parameters",
        "    params = C_out·K²",
        "        + C_out",
        "      = 96·11² + 96",
        "      = 11,712",
        "    (weight C_out×K×K)",
    ]


def test_a_terminal_gets_a_tree_that_fits_its_height() -> None:
    page = Document(Answer(), [TABLE])
    high = render(page, width=80, height=40, tree=True).splitlines()
    assert [line.rstrip() for line in high[2:6]] == [
        "stage1    1.23 M  3×4",
        "  conv1   1.23 M  3×4",
        "  bn1          0  3×4",
        "head          12  3×4",
    ]
    assert "--depth" not in "".join(high)
    low = render(page, width=80, height=10, tree=True).splitlines()
    assert len(low) <= 9
    assert [line.split()[0] for line in low[2:4]] == ["stage1", "head"]
    assert low[-1] == "3 layers: --depth 2, or --all"


def test_a_depth_that_is_asked_for_is_kept_however_low_the_terminal() -> None:
    page = Document(Answer(), [Table(COLUMNS, ROWS, 0, tree=tree, levels=2, depth=2)])
    assert "  conv1" in render(page, width=80, height=5, tree=True)


def test_colours_are_codes_around_the_same_text() -> None:
    coloured = render(DOCUMENT, width=80, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(DOCUMENT, width=80)
    assert "\x1b[1mthe net\x1b[0m" in coloured
    assert "\x1b[33mwarning:\x1b[0m" in coloured
    assert "\x1b[31m1 of 2 checks failed\x1b[0m" in coloured
    assert "\x1b[2mstage1.\x1b[0mconv1" in coloured


@pytest.mark.parametrize(
    ("word", "code"),
    [("pass", 32), ("fail", 31), ("added", 32), ("removed", 31), ("changed", 33), ("?", 33), ("0", 2), ("–", 2)],
)
def test_a_cell_that_is_one_word_has_its_colour(word: str, code: int) -> None:
    page = Document(Answer(), [Table([Column("status", "status", lambda row, _: row)], [word])])
    assert render(page, width=80, colour=True).splitlines()[-1] == f"\x1b[{code}m{word:<6}\x1b[0m"


def test_markdown_has_everything() -> None:
    text = markdown.render(DOCUMENT)
    for said in SAID:
        assert markdown.escape(said) in text
    assert text.startswith("## the net\n\nlead: a paragraph")
    assert "| stage1.conv1 |      1.23 M | 3×4   |\n" in text
    assert "| **total**    | **1234579** |       |\n" in text
    assert "```yaml\n  conv: {out: 8}\n    ^\n```\n" in text
    assert "**output height**\n\n$$\n\\begin{aligned}\nH &= \\frac{H}{S} \\\\\n&= 55\n\\end{aligned}\n$$\n" in text
    assert text.endswith("- warning: branches meet out of line\n- 1 of 2 checks failed\n")
    # numbers stand right, each share under its own head
    assert "| layer        |       count | shape |\n| ------------ | ----------: | ----- |\n" in text
    assert (
        "### shares\n\n|  | FLOPs % | params % |\n| --- | ---: | ---: |\n| stage1 | 98.0 | 50.0 |\n"
        "| head | 2.0 | \\<0.1 |\n" in text
    )


class Balance(HTMLParser):
    """The open tags of a page, which must close in turn, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []
        self.tables = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tables += tag == "table"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_html_is_a_whole_page_with_everything() -> None:
    text = html.render(DOCUMENT)
    page = Balance()
    page.feed(text)
    assert page.open == []
    assert page.tables == 5
    for said in SAID:
        assert said in "".join(page.said)
    assert text.startswith("<!doctype html>\n<html")
    assert '<meta charset="utf-8">' in text
    assert 'content="light dark"' in text
    assert "<title>the net</title>" in text
    assert "<html" not in html.part(DOCUMENT)
    assert "<p><b>warning:</b> branches meet out of line</p>\n<p>1 of 2 checks failed</p>\n" in text
    assert '<tfoot><tr><td>total</td><td class="n">1234579</td><td></td></tr></tfoot>' in text
    assert (
        '<thead><tr><th></th><th class="n">FLOPs %</th><th class="n">params %</th></tr></thead><tbody>\n'
        '<tr><td>stage1</td><td class="n">98.0</td><td class="n">50.0</td></tr>\n'
        '<tr><td>head</td><td class="n">2.0</td><td class="n">&lt;0.1</td></tr>\n' in text
    )


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", "\x1b[31mred", "| a | b |"])
def test_text_is_never_markup(text: str) -> None:
    blocks = [
        Heading(text),
        Text(text),
        Note(text),
        Facts([Fact(text, text, text)], text),
        Equations([Equation(text, [text, text], text)]),
        Bars(text, (text,), [Bar(text, ((text, 1.0),))]),
        Fold(text, [Note(text)]),
        Findings([Finding("error", text, text, text, text, (text, 1, 1))]),
        Verbatim(text),
    ]
    page = Document(Answer(), [*blocks, Table(COLUMNS, [Row(text, 1)])])
    assert "<script>" not in html.render(page).lower()
    assert "\x1b" not in html.render(page) + markdown.render(page) + render(page, width=80)
    assert "<script>" not in markdown.render(Document(Answer(), [*blocks[:-1], page.blocks[-1]]))
    # a cell of a table keeps to its cell
    _, _, row = markdown.render(Document(Answer(), [page.blocks[-1]])).splitlines()
    assert len(re.findall(r"(?<!\\)\|", row)) == len(COLUMNS) + 1


def test_csv_has_exact_rows_and_says_the_notes_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(DOCUMENT, "csv", None) == 1
    out, err = capsys.readouterr()
    assert list(csv.reader(io.StringIO(out))) == [
        ["layer", "count", "shape"],
        ["stage1.conv1", "1234567", "3x4"],
        ["stage1.bn1", "0", "3x4"],
        ["head", "12", "3x4"],
    ]
    assert err == "warning: branches meet out of line\n1 of 2 checks failed\n"


def test_a_finding_in_colour_has_the_same_text() -> None:
    page = Document(Answer(), [block for block in BLOCKS if isinstance(block, Findings)])
    first, *_ = render(page, width=40, colour=True).splitlines()
    assert first == "\x1b[2mnet.yaml:4:5: \x1b[0m\x1b[1mCNN101\x1b[0m \x1b[33mwarning\x1b[0m conv1 and 2"
    assert render(page, width=40).splitlines()[1] == "    more: loses a row"


@pytest.mark.parametrize(("format", "said"), [("table", "error: broken.yaml: is not a spec\n"), ("github", "")])
def test_complaints_are_said_on_standard_error(capsys: pytest.CaptureFixture[str], format: str, said: str) -> None:
    page = Document(Answer(), [Note("1 net")], texts={"github": str}, complaints=["broken.yaml: is not a spec"])
    show(page, format, None)
    assert capsys.readouterr().err == said


def test_json_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(DOCUMENT, "json", None) == 1
    assert capsys.readouterr().out == json_format.render(DOCUMENT.answer) + "\n"


def test_a_text_of_the_documents_own_is_a_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(Document(Answer(), [], texts={"latex": lambda: "\\alpha\n"}), "latex", None) == 0
    assert capsys.readouterr().out == "\\alpha\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_gets_plain_marks(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(raw, encoding=encoding))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    show(DOCUMENT, "table", None)
    text = raw.getvalue().decode(encoding)
    assert "?" not in text
    assert "  conv1   1.23 M  3x4" in text
    assert "-" * 20 in text
    assert "stage1    98.0 ####" in text


def test_what_can_be_folded_away_stands_below_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    """With its table folded into the window, and its notes said beside the rows of a CSV."""
    page = Document(Answer(), [Fold("a & b", [TABLE, Note("inner")]), Note("outer")], rows=lambda: TABLE)
    assert render(page, width=80, height=12, tree=True).splitlines() == [
        "a & b",
        "layer     count  shape",
        "──────────────────────",
        "stage1   1.23 M  3×4",
        "head         12  3×4",
        "──────────────────────",
        "total   1234579",
        "",
        "inner",
        "",
        "outer",
        "",
        "3 layers: --depth 2, or --all",
    ]
    text = markdown.render(page)
    assert text.startswith("<details><summary>a &amp; b</summary>\n\n| layer ")
    assert text.endswith("\n- inner\n\n</details>\n\n- outer\n")
    assert "<details open><summary>a &amp; b</summary>\n<div" in html.render(page)
    show(page, "csv", None)
    assert capsys.readouterr().err == "inner\nouter\n"


def test_a_low_terminal_leaves_out_what_can_be_closed_and_says_so() -> None:
    page = Document(
        Answer(), [*(Fold(name, [Note(f"inside {name}")], "2 folds: --all") for name in "ab"), Note("last")]
    )
    whole = ["a", "inside a", "", "b", "inside b", "", "last"]
    assert render(page, width=80).splitlines() == render(page, width=80, height=8).splitlines() == whole
    assert render(page, width=80, height=7).splitlines() == ["last", "", "2 folds: --all"]


def test_numbers_are_sorted_from_the_largest_and_what_is_unknown_stands_before_them() -> None:
    column = Column("n", "n", lambda row, _: row, right=True)
    assert sort_rows([3, -20, None, 10, 2.5, -1], column) == [None, 10, 3, 2.5, -1, -20]


def test_groups_are_flat() -> None:
    assert [type(one) for one in flat([Group([Text("a"), Group([Note("b")])])])] == [Text, Note]


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ((3, 224, 224), "3x224x224"), (((3, 4), (5,)), "3x4 5"), (7, "7")]
)
def test_exact_values(value: object, text: str) -> None:
    assert exact(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "?"), (0.0, "0"), (0.04, "<0.1"), (0.05, "0.1"), (12.34, "12.3")])
def test_percentages(value: float | None, text: str) -> None:
    assert percent(value) == text


def test_a_line_that_is_laid_out_goes_on_below_its_own_beginning() -> None:
    page = Document(None, [Verbatim("    a line of many words that are too long\n  ^")])
    assert render(page, width=28).splitlines() == ["    a line of many words", "      that are too long", "  ^"]
    assert render(page).splitlines() == ["    a line of many words that are too long", "  ^"]


def test_the_head_of_a_narrowed_column_is_narrowed_with_it() -> None:
    """Two columns of 20 and a gap of 2 want 42; in 36 the last one keeps 14."""
    columns = [
        Column("first", "the name of the first", lambda row, _: row.path),
        Column("second", "because it counts it so", lambda row, _: row.path, elastic=True),
    ]
    lines = render(Document(None, [Table(columns, [Row("x" * 20, 1)])]), width=37).splitlines()
    assert lines[0] == "the name of the first  becaus…s it so"
    assert set(map(len, lines)) == {37}


def test_rows_with_paths_become_a_tree_with_sums_for_blocks() -> None:
    def block(path: str, members: list[Row]) -> Row:
        return Row(path, sum(member.count for member in members))

    rows = (Row("a.b.c", 1), Row("a.b.d", 2), Row("a.e", 4), Row("f", 8))
    assert levels(rows) == 3
    assert [(one.level, one.name, one.row.count, one.open) for one in rows_as_tree(rows, 2, block)] == [
        (0, "a", 7, True),
        (1, "b", 3, False),
        (1, "e", 4, False),
        (0, "f", 8, False),
    ]
    assert [one.name for one in rows_as_tree(rows, 3, block)] == ["a", "b", "c", "d", "e", "f"]
    assert [(row.path, row.count) for row in folded(rows, 1, block)] == [("a", 7), ("f", 8)]
    assert [row.path for row in folded(rows, 2, block)] == ["a.b", "a.e", "f"]


def test_a_column_is_found_by_its_name_or_its_head() -> None:
    columns = (Column("median_ps", "time", lambda row, _: row), Column("time", "at", lambda row, _: row))
    assert [named(name, columns).name for name in ("median_ps", "time", "AT ")] == ["median_ps", "time", "time"]
    with pytest.raises(CnncalcError, match="unknown column 'tim'"):
        named("tim", columns)
