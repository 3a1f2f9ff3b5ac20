"""Table, CSV, Markdown, HTML and JSON of random reports, each read back by a parser that is not ours."""

from __future__ import annotations

import csv as standard_csv
import io
import json
import re
from html.parser import HTMLParser
from unicodedata import combining, east_asian_width

import jsonschema
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import cnncalc
from cnncalc import units
from cnncalc.analysis.fold import COUNTS
from cnncalc.analysis.report import Report
from cnncalc.document import csv, html, markdown, terminal
from cnncalc.document.column import Column
from cnncalc.errors import CnncalcError
from cnncalc.report.analyze import document
from cnncalc.report.columns import COLUMNS, choose
from cnncalc.report.remarks import noted
from cnncalc.report.schema import report_schema
from cnncalc.sources import load_text
from cnncalc.text import visible
from tests.report.draws import few, layer, report, reports


def as_table(net: Report, *, width: int | None = None, colour: bool = False, tree: bool = False) -> str:
    return terminal.render(document(net), width=width, colour=colour, tree=tree)


def as_csv(net: Report) -> str:
    rows = document(net).rows
    assert rows is not None
    return csv.table(rows.columns, rows.rows, rows.whole)


def as_markdown(net: Report, columns: list[Column] | None = None) -> str:
    return markdown.render(document(net, columns=columns))


def as_html(net: Report, columns: list[Column] | None = None) -> str:
    return html.render(document(net, columns=columns))


SGR = re.compile(r"\x1b\[\d*m")


def columns_of(line: str) -> int:
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in line)


@few
@given(reports(), st.integers(40, 240))
def test_no_line_of_a_table_is_wider_than_the_terminal(net: Report, width: int) -> None:
    assume(max(getattr(net.totals, name) for name in COUNTS) < 10**15)  # all digits of a total are shown, come what may
    for line in as_table(net, width=width).splitlines():
        assert columns_of(line) <= width


@few
@given(reports())
def test_without_a_terminal_nothing_is_cut_and_nothing_coloured(net: Report) -> None:
    text = as_table(net)
    assert "\x1b" not in text
    for row in net.layers:
        assert visible(row.path) in text
    for name in COUNTS:
        assert f"{getattr(net.totals, name):,}" in text


@few
@given(reports(), st.none() | st.integers(30, 200))
def test_colour_adds_escapes_and_nothing_else(net: Report, width: int | None) -> None:
    coloured = as_table(net, width=width, colour=True)
    assert SGR.sub("", coloured).replace(" ", "") == as_table(net, width=width).replace(" ", "")


@few
@given(reports(), st.booleans())
def test_control_characters_never_reach_the_terminal(net: Report, colour: bool) -> None:
    for text in (as_table(net, colour=colour), as_csv(net), as_markdown(net), as_html(net)):
        assert all(line.isprintable() for line in SGR.sub("", text).split("\n"))


@few
@given(reports())
def test_csv_reads_back_exactly(net: Report) -> None:
    def guarded(text: str) -> str:  # what a spreadsheet would take for a formula
        return visible(f"'{text}" if re.match(r"\s*[-=+@\uff1d\uff0b\uff0d\uff20]", text) else text)

    rows = list(standard_csv.DictReader(io.StringIO(as_csv(net), newline="")))
    assert [row["layer"] for row in rows] == [guarded(one.path) for one in net.layers]
    for name in COUNTS:
        assert sum(int(row[name] or 0) for row in rows) == getattr(net.totals, name)
    for row, one in zip(rows, net.layers, strict=True):
        assert row["output"] == "x".join(map(str, one.output_shape))
        assert row["params"] == ("" if one.params is None else str(one.params))
        assert row["settings"] == guarded(COLUMNS["settings"].value(one, net))


@few
@given(reports())
def test_markdown_has_a_cell_for_each_column_in_each_row(net: Report) -> None:
    text = as_markdown(net, columns=choose("layer,settings,params"))
    before, _, _ = text.partition("\n|  |  |  |\n")
    lines = [line for line in before.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in lines]
    assert all(len(row) == 3 for row in cells)
    assert len(lines) == len(net.layers) + 3


class Reader(HTMLParser):
    """Fails on tags that do not match; collects the cells of the body."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


@few
@given(reports())
def test_html_reads_back(net: Report) -> None:
    reader = Reader()
    reader.feed(as_html(net, columns=choose("layer,settings,params")))
    reader.close()
    assert not reader.open
    assert reader.seen <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "h1",
        "p",
        "div",
        "style",
        "table",
        "caption",
        "b",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "span",
    }
    shown = [(visible(one.path), visible(COLUMNS["settings"].value(one, net))) for one in net.layers]
    assert [(row[0], row[1]) for row in reader.rows[1 : len(shown) + 1]] == shown


@few
@given(reports())
def test_json_reads_back_and_keeps_to_its_schema(net: Report) -> None:
    text = net.to_json()
    read = json.loads(text)
    assert read == json.loads(msgspec.json.encode(net)) == json.loads(json.dumps(net.to_dict()))
    assert all(line.isprintable() for line in text.split("\n"))
    jsonschema.Draft202012Validator(report_schema("report")).validate(read)
    assert json.loads(net.to_json(indent=0)) == read


def test_json_of_a_file_name_that_is_no_text() -> None:
    assert json.loads(report(layer("a\udcff")).to_json())["layers"][0]["path"] == "a\udcff"


def test_a_list_of_numbers_is_one_line_and_a_text_that_looks_like_one_is_left_alone() -> None:
    net = report(layer("[\n  1,\n  2\n]"))
    assert '"output_shape": [4, 8, 8]' in net.to_json()
    assert json.loads(net.to_json())["layers"][0]["path"] == "[\n  1,\n  2\n]"


def test_counts_are_exact_at_any_size() -> None:
    net = report(layer("a", params=2**200 + 1), layer("b", params=1))
    assert json.loads(net.to_json())["totals"]["params"] == 2**200 + 2
    assert str(2**200 + 1) in as_csv(net)
    assert f"{2**200 + 2:,}" in as_table(net)


def test_an_unknown_number_is_never_a_zero() -> None:
    net = report(layer("a", macs=None, flops=None), layer("b", macs=7, flops=14))
    rows = list(standard_csv.DictReader(io.StringIO(as_csv(net))))
    assert [row["macs"] for row in rows] == ["", "7"]
    text = as_table(net)
    assert re.search(r"^a .* \? ", text, re.MULTILINE)
    assert re.search(r"^MACs\s+≥ 7$", text, re.MULTILINE)
    assert "lower bounds" in text
    assert re.search(r"^parameters\s+0$", text, re.MULTILINE)


def test_a_share_of_what_is_unknown_is_unknown() -> None:
    unknown = layer("a.x", macs=None, flops=None, params=3)
    net = report(unknown, layer("a.y", macs=7, flops=14), layer("b", params=1), layer("c", macs=None, flops=None))
    chart = as_table(net).partition("where the FLOPs")[2]
    assert re.search(r"^a +\? +75\.0 █", chart, re.MULTILINE)
    assert re.search(r"^b +0 +25\.0 █", chart, re.MULTILINE)
    assert re.search(r"^c +\? +0$", chart, re.MULTILINE)
    many = [layer(f"m{i}", macs=100, flops=200) for i in range(11)]
    small = [layer("x", macs=None, flops=None), layer("y", macs=1, flops=2)]
    chart = as_table(report(*many, *small)).partition("where the FLOPs")[2]
    assert re.search(r"^\d others +\? ", chart, re.MULTILINE)


def test_unknown_column_names_the_nearest() -> None:
    with pytest.raises(CnncalcError, match=r"unknown column 'parms'\n  hint: did you mean 'params'\?"):
        choose("layer,parms")
    with pytest.raises(CnncalcError, match="choose from layer, type"):
        choose("zzzzzz")


def test_markup_of_rich_is_text() -> None:
    net = report(layer("[bold red]a[/]"))
    assert "[bold red]a[/]" in as_table(net, colour=True).replace("\x1b[2m", "").replace("\x1b[0m", "")


def test_notes_tell_shared_weights_and_separable_pairs() -> None:
    net = report(layer("head1", params=10), layer("head2", shared_with="head1"))
    assert "head1 (2 times)" in as_table(net)
    assert "weights of" in as_table(net)


@pytest.mark.parametrize(("copies", "words"), [(1, "take "), (2, "2 pairs of depthwise + pointwise convolution take ")])
def test_the_share_of_separable_pairs_is_theirs_of_the_standard(copies: int, words: str) -> None:
    pair = "{conv: {out: 4, kernel: 3, padding: 1, groups: 4}}, {conv: {out: 8, kernel: 1}}, "
    back = "{conv: {out: 4, kernel: 1}}, relu, "
    net = cnncalc.analyze(load_text(f"input: [4, 8, 8]\nlayers: [{(pair + 'relu, ' + back) * copies}relu]\n"))
    # 64 places: 4·9 and 4·8 products, in place of 4·8·9
    own, standard = copies * 64 * (36 + 32), copies * 64 * 288
    (note,) = (text for _, text in noted(net) if "pointwise" in text or "1/C_out" in text)
    assert f"{100 * own / standard:.1f} %" in note.partition("standard convolution")[0]
    assert f"{units.show(own)}" in note
    assert f"{units.show(standard)}" in note
    assert words in note
