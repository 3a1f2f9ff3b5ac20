"""The report of a comparison: totals, rows and what they are folded into."""

from __future__ import annotations

import csv
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from random import Random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import cnncalc
from cnncalc.analysis import conditions
from cnncalc.analysis.conditions import difference, judge
from cnncalc.analysis.difference import DiffReport, LayerDiff, folded
from cnncalc.analysis.fold import COUNTS
from cnncalc.document.csv import table as csv_table
from cnncalc.document.grid import cells
from cnncalc.document.terminal import render
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.layers.base import Layer
from cnncalc.report.diff import CSV_COLUMNS, diff_document, percentage, short
from cnncalc.report.schema import report_schema
from cnncalc.sources import load_text
from cnncalc.spec.random import random_spec

PUBLISHED = json.loads((Path(__file__).parent.parent / "data" / "torchvision.json").read_text())["models"]


def between(first: int, second: int) -> DiffReport:
    return cnncalc.diff(load_text(random_spec(Random(first))), load_text(random_spec(Random(second))), batch=3)


def side(row: LayerDiff, which: str, name: str) -> int:
    report = getattr(row, which)
    return 0 if report is None else getattr(report, name)


numbers = st.integers(0, 10**6)
few = settings(max_examples=25)


@few
@given(numbers, numbers, st.integers(1, 3))
def test_the_differences_of_the_rows_add_up_to_those_of_the_totals(first: int, second: int, depth: int) -> None:
    report = between(first, second)
    for rows in (report.layers, report.summary, folded(report.layers, depth)):
        for total in report.totals[: len(COUNTS)]:
            name = total.metric
            assert total.difference == total.after - total.before  # type: ignore[operator]
            assert total.difference == sum(side(row, "after", name) - side(row, "before", name) for row in rows)


@few
@given(numbers, numbers)
def test_the_other_way_round_is_the_mirror(first: int, second: int) -> None:
    one, other = between(first, second), between(second, first)
    mirrored = {"added": "removed", "removed": "added"}
    told = {(row.before and row.before.path, row.after and row.after.path, row.status) for row in one.layers}
    assert told == {
        (row.after and row.after.path, row.before and row.before.path, mirrored.get(row.status, row.status))
        for row in other.layers
    }
    assert [total.difference for total in one.totals] == [
        None if total.difference is None else -total.difference for total in other.totals
    ]


@few
@given(numbers)
def test_a_net_and_itself_are_the_same(number: int) -> None:
    report = between(number, number)
    assert report.same
    assert (report.layers, report.net) == ((), {})
    assert not any(total.difference for total in report.totals)
    assert "the nets are the same" in str(report)


@few
@given(numbers, numbers)
def test_every_row_is_a_layer_of_the_nets_and_says_truly_what_differs(first: int, second: int) -> None:
    report = between(first, second)
    counts = report.counts
    assert len(report.layers) == sum(getattr(counts, name) for name in counts.__struct_fields__) - counts.same
    for row in report.layers:
        if row.before is None or row.after is None:
            assert row.status == ("added" if row.before is None else "removed")
            continue
        assert row.differs or row.edits
        assert all(getattr(row.before, name) != getattr(row.after, name) for name in row.differs)
        assert all(old != new for old, new in row.edits.values())
        assert (row.status == "renamed") <= (row.before.path != row.after.path and not row.edits)


def test_resnet101_has_17_more_blocks_and_the_parameters_that_torchvision_has_more() -> None:
    report = cnncalc.diff("resnet50", "resnet101")
    params = report.totals[0]
    published = PUBLISHED["resnet101"]["params"] - PUBLISHED["resnet50"]["params"]
    assert (params.metric, params.difference) == ("params", published)
    # a bottleneck: three convolutions, three norms, three activations and the sum
    assert report.counts.added == 17 * 10
    assert (report.counts.removed, report.counts.changed, report.counts.renamed, report.counts.moved) == (0, 0, 0, 0)
    blocks, others = report.summary
    assert blocks.path == "stage3.bottleneck7…23"
    assert blocks.after is not None
    assert blocks.after.params == published
    assert others.status == "affected"
    assert not report.same


WIDE = """
name: net
input: [3, 16, 16]
args: {{width: 8}}
blocks:
  stage:
    args: {{out: required}}
    layers: [{{conv: {{out: out, kernel: 3, padding: 1, bias: false}}}}, batch_norm, relu]
layers:
  - stage: {{out: width}}
  - stage: {{out: 2 * width{name}}}
{more}  - flatten
  - linear: 10
"""


def wide(width: int = 8, more: str = "", name: str = "") -> cnncalc.Graph:
    return load_text(WIDE.format(more=more, name=name).replace("width: 8", f"width: {width}"))


def test_a_widened_net_tells_edits_from_what_follows_from_them() -> None:
    report = cnncalc.diff(wide(), wide(12))
    assert report.net == {"args": ({"width": 8}, {"width": 12})}
    told = {row.path: (row.status, dict(row.edits)) for row in report.layers}
    assert {path for path, (status, _) in told.items() if status == "changed"} == {"stage1.conv1", "stage2.conv1"}
    assert told["stage1.conv1"] == ("changed", {"out": (8, 12)})
    assert told["stage2.batch_norm1"] == ("affected", {})
    # 3·9·8 → 3·9·12
    (row,) = [row for row in report.layers if row.path == "stage1.conv1"]
    assert (side(row, "before", "params"), side(row, "after", "params")) == (216, 324)
    assert {"output_shape", "params", "macs", "flops", "activations", "settings"} <= set(row.differs)
    assert "affected" in str(report)


def test_a_block_that_came_or_got_a_name_is_one_row() -> None:
    added = cnncalc.diff(wide(), wide(more="  - stage: {out: 5}\n"))
    assert [(row.status, row.path) for row in added.summary if row.status != "changed"] == [
        ("added", "stage3"),
        ("affected", "other layers"),
    ]
    named = cnncalc.diff(wide(), wide(name=", name: deep"))
    (row,) = named.summary
    assert row.before is not None
    assert row.after is not None
    assert (row.status, row.before.path, row.after.path, row.layers) == ("renamed", "stage2", "deep", {"renamed": 3})


def test_only_blocks_in_a_row_are_one_row() -> None:
    head, block = WIDE.format(more="", name="").split("layers:\n  -")[0], "  - stage: {{out: {}, name: s{}}}\n"
    before, after = (
        load_text(head + "layers:\n" + "".join(block.format(5 + number, number) for number in numbers))
        for numbers in ([1, 3], [1, 2, 3, 4, 5])
    )
    rows = [(row.status, row.path) for row in cnncalc.diff(before, after).summary]
    assert [path for status, path in rows if status == "added"] == ["s2", "s4…5"]


def test_a_layer_put_in_before_numbered_ones_is_a_row_and_all_their_new_names_are_another() -> None:
    text = "input: [3, 8, 8]\nlayers: [{}]\n"
    convs = [f"{{conv: {{out: 3, kernel: 1, bias: {flag}}}}}" for flag in ("true", "false") * 3]
    before = load_text(text.format(", ".join(convs)))
    after = load_text(text.format(", ".join(["{conv: {out: 3, kernel: 3, padding: same}}", *convs])))
    report = cnncalc.diff(before, after)
    assert (report.counts.added, report.counts.renamed, report.counts.changed) == (1, 6, 0)
    assert [(row.status, row.path) for row in report.summary] == [("added", "conv1"), ("renamed", "other names")]


def test_a_layer_that_moved_is_told_as_moved() -> None:
    text = "input: [3, 8, 8]\nlayers: [{}]\n"
    before, after = (load_text(text.format(names)) for names in ("relu, tanh, silu, gelu", "tanh, silu, relu, gelu"))
    report = cnncalc.diff(before, after)
    assert [(row.status, row.path, dict(row.edits)) for row in report.layers] == [
        ("moved", "relu1", {"inputs": (("input",), ("silu1",))})
    ]
    assert report.counts.moved == 1
    assert "reads input → silu1" in str(report)


def test_a_block_in_which_nothing_was_edited_is_affected() -> None:
    """One of its layers has another name, the other another input: the edit stands before it."""
    text = (
        "input: [3, 8, 8]\nlayers:\n  - conv: {{name: first, out: {}, kernel: 1}}\n"
        "  - unit: {{name: u}}\n"
        "blocks: {{unit: {{layers: [{{relu: {{name: {}}}}}, {{conv: {{out: 4, kernel: 1}}}}]}}}}\n"
    )
    report = cnncalc.diff(load_text(text.format(4, "x")), load_text(text.format(8, "y")))
    rows = {row.path: (row.status, row.layers) for row in folded(report.layers, 1)}
    assert rows["u"] == ("affected", {"renamed": 1, "affected": 1})


def test_a_percentage_is_of_what_there_was_before() -> None:
    """From 6·3 to 9·3 weights: half as many again; the other way round a third less; from none there is none."""
    text = "input: [3]\nlayers: [{{linear: {{out: {}, bias: false}}}}]\n"
    six, nine, none = load_text(text.format(6)), load_text(text.format(9)), load_text("input: [3]\nlayers: [relu]\n")
    for before, after, percent in ((six, nine, 50.0), (nine, six, -100 / 3), (none, six, None), (six, none, -100.0)):
        params = next(one for one in cnncalc.diff(before, after).totals if one.metric == "params")
        assert params.percent == (None if percent is None else pytest.approx(percent))


def test_outputs_that_are_others_are_a_difference() -> None:
    text = "input: [3, 8, 8]\nlayers: [relu, tanh]\noutputs: {}\n"
    report = cnncalc.diff(load_text(text.format("{a: relu1}")), load_text(text.format("{a: tanh1}")))
    assert not report.same
    assert report.net == {"outputs": ({"a": "relu1"}, {"a": "tanh1"})}
    assert "outputs a: relu1 → a: tanh1" in str(report)


def test_a_layer_that_cannot_be_counted_makes_the_totals_partial() -> None:
    class Mystery(Layer, frozen=True):
        """A layer whose author forgot the cost."""

        def output_shape(self, *inputs):  # type: ignore[no-untyped-def]
            return inputs[0]

    try:
        nets = [load_text(f"input: [3, 8, 8]\nlayers: [{names}]\n") for names in ("relu", "relu, mystery")]
    finally:
        del REGISTRY["mystery"]
    report = cnncalc.diff(*nets, fail_on=["macs>+1%", "params>+1%"])
    by_metric = {total.metric: total.status for total in report.totals}
    assert (by_metric["macs"], by_metric["params"]) == ("partial", "complete")
    assert [(one.metric, one.status) for one in report.conditions] == [("macs", "fail"), ("params", "pass")]
    assert report.conditions[0].reason == "unknown: the macs of some layers could not be counted"
    assert "lower bounds: MACs, FLOPs, elementwise ops" in str(report)
    assert "lower bounds" in report.to_markdown()


# -- formats ---------------------------------------------------------------------------------------


@few
@given(numbers, numbers)
def test_the_json_is_valid_and_whole(first: int, second: int) -> None:
    report = between(first, second)
    answer = json.loads(report.to_json())
    jsonschema.Draft202012Validator(report_schema("diff")).validate(answer)
    assert [row["path"] for row in answer["layers"]] == [row.path for row in report.layers]


@few
@given(numbers, numbers)
def test_the_markdown_renders_as_tables_and_the_layers_are_folded_away(first: int, second: int) -> None:
    report = between(first, second)
    text = report.to_markdown()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    tables = [token for token in tokens if token.type == "table_open"]
    rows = [token for token in tokens if token.type == "tr_open"]
    shown = len(short(report))
    assert len(tables) == 1 + bool(shown)
    totals = sum(bool(total.before or total.after) for total in report.totals)
    # a head each; the sum of the layers' table is a row too
    assert len(rows) == 1 + totals + bool(shown) * (shown + 2)
    assert text.count("<details>") == text.count("</details>") == bool(report.layers)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("nets", [("resnet50", "resnet101"), ("mobilenet_v2", "vgg11"), ("resnet18", "resnet50")])
def test_a_terminal_is_not_exceeded_and_one_screen_is_enough(width: int, nets: tuple[str, str]) -> None:
    page = diff_document(cnncalc.diff(*nets, fail_on=["params>+1%"]))
    lines = render(page, width=width, height=50, tree=True).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 50


def test_nets_with_little_in_common_are_compared_by_their_totals_and_blocks() -> None:
    """Of 186 layers and inputs 18 have a twin: the input, 16 names and a move; 13 share a place, not a setting."""
    report = cnncalc.diff("resnet50", "vgg16")
    counts = report.counts
    assert (counts.same, counts.renamed, counts.moved) == (1, 16, 1)
    assert (report.little_in_common, report.matching) == (True, (18, 186))
    page = render(diff_document(report)).splitlines()
    assert page[-1] == (
        "the two nets have little in common: 18 of 186 layers match (--all lists them); "
        "layers: 10 added, 145 removed, 13 changed, 1 moved, 16 renamed, 1 the same"
    )
    rows = [line.split() for line in page[page.index("layers") + 3 :]][:10]
    assert [row[1] for row in rows] == [
        "conv_bn1",
        *(f"stage{n}" for n in range(1, 6)),
        "linear1",
        "linear2",
        "linear1",
        "other",
    ]
    every = render(diff_document(report, report.layers)).splitlines()
    assert len(every) > len(report.layers) > 180
    # nets that are alike, and small ones, are no such case
    assert not cnncalc.diff("resnet50", "resnet101").little_in_common
    assert not cnncalc.diff("resnet18", "resnet50").little_in_common
    small = [load_text(f"input: [4]\nlayers: [{layer}]\n") for layer in ("relu", "{linear: 3}")]
    assert not cnncalc.diff(*small).little_in_common


def test_the_row_of_a_block_says_how_many_came_went_and_differ() -> None:
    """The first stage of ResNet-50 has 32 layers: three bottlenecks of ten, and two for the shortcut."""
    report = cnncalc.diff("resnet18", "resnet50")
    (stage,) = [row for row in folded(report.layers, 1) if row.path == "stage1"]
    assert stage.layers == {"added": 19, "changed": 1, "renamed": 12}
    page = render(diff_document(report, folded(report.layers, 1))).splitlines()
    (line,) = [line for line in page if line.split()[1:2] == ["stage1"]]
    assert "+19, 13 differ" in line


def test_many_rows_are_folded_into_the_height_of_a_terminal() -> None:
    """30 blocks of two layers whose kernel differs; a pipe has a row for each layer."""
    blocks = "".join(f"  - b: {{{{name: b{number}, k: {{0}}}}}}\n" for number in range(30))
    text = (
        "input: [3, 999]\nblocks:\n  b:\n    args: {{k: required}}\n    layers:\n"
        "      - conv: {{out: 3, kernel: k, name: one}}\n      - conv: {{out: 3, kernel: k, name: two}}\n"
        f"layers:\n{blocks}"
    )
    report = cnncalc.diff(*[load_text(text.format(kernel)) for kernel in (2, 3)])
    page = diff_document(report)
    assert render(page).count("kernel 2 → 3") == 60
    folded_page = render(page, width=100, height=60, tree=True)
    assert folded_page.count("2 layers") == 30
    assert folded_page.splitlines()[-1] == "60 rows: --depth 2, or --all"
    assert render(page, width=100, height=100, tree=True).count("kernel 2 → 3") == 60


def test_arguments_and_outputs_go_from_before_to_after() -> None:
    """A channel more has 3·3·3 weights and a bias more."""
    text = "input: [3, 8, 8]\nargs: {{width: {}}}\nlayers: [{{conv: {{out: width, kernel: 3}}}}, relu{}]\n"
    report = cnncalc.diff(load_text(text.format(5, "")), load_text(text.format(7, ", tanh")))
    (row,) = [line for line in str(report).splitlines() if line.startswith("changed")]
    assert "out 5 → 7" in row
    assert f"+{2 * 28}" in row
    (layers,) = [total for total in report.totals if total.metric == "layers"]
    assert (layers.before, layers.after, layers.difference) == (2, 3, 1)
    assert "width 5 → 7" in str(report)
    assert "3×8×8 to 5×6×6 → 7×6×6, batch 1" in str(report)


def test_of_many_inputs_those_that_differ_are_named() -> None:
    text = "input: [3, 8, 8]\nlayers:\n  - relu: {{name: a}}\n  - tanh: {{name: b}}\n  - concat: {{from: [{}]}}\n"
    few = cnncalc.diff(load_text(text.format("a, b")), load_text(text.format("b, a")))
    assert "reads a + b → b + a" in str(few)
    many = [load_text(text.format(", ".join(["a", "input", "a", "a", last]))) for last in ("a", "b")]
    assert "reads – → b" in str(cnncalc.diff(*many))
    shapes = cnncalc.diff(load_text(text.format("a, b")), load_text(text.replace("8, 8", "8, 9").format("a, b")))
    assert "shape 3×8×8 → 3×8×9" in str(shapes)


def test_percentages_never_hide_a_difference() -> None:
    assert [percentage(v) for v in (None, 0.0, 0.00001, -0.004, 0.049, 0.05, 12.34, -1234.5)] == [
        "–",
        "0",
        "+1e-05",
        "-0.004",
        "+0.049",
        "+0.1",
        "+12.3",
        "-1,234.5",
    ]


# -- conditions ------------------------------------------------------------------------------------

OPERATORS = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "!=": lambda a, b: a != b,
}


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.sampled_from(sorted(OPERATORS)), st.integers(-(10**5), 10**5))
def test_a_percentage_is_exact(before: int, after: int, operator: str, thousandths: int) -> None:
    sign = "-" if thousandths < 0 else "+"
    text = f"params {operator} {sign}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}%"
    (outcome,) = judge([conditions.parse(text)], {"params": difference("params", before, after)})
    met = OPERATORS[operator](Fraction(100 * (after - before), before), Fraction(thousandths, 1000))
    assert (outcome.status == "fail") == met


@pytest.mark.parametrize(
    ("text", "before", "after", "met"),
    [
        ("params>+1%", 100, 101, False),
        ("params>+1%", 1000, 1011, True),
        ("params>1%", 1000, 1011, True),
        ("params<-5%", 100, 94, True),
        ("params>+1%", 0, 0, False),
        ("params>=+1%", 0, 0, False),
        ("params>=0%", 0, 0, True),
        ("params>+1000%", 0, 1, True),
        ("params>+1k", 5000, 6000, False),
        ("params>+1k", 5000, 6001, True),
        ("params>-1k", 5000, 4001, True),
        ("params>6k", 5000, 6001, True),
        ("params<=6k", 7000, 6000, True),
        ("params!=", 5, 5, False),
        ("params !=", 5, 6, True),
        ("params!=6", 5, 6, False),
        (" PARAMS > +1% ", 100, 102, True),
    ],
)
def test_conditions(text: str, before: int, after: int, met: bool) -> None:
    (outcome,) = judge([conditions.parse(text)], {"params": difference("params", before, after)})
    assert (outcome.status == "fail") == met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params", "is not a condition\n  hint: write METRIC, one of"),
        ("parms>1", "unknown metric 'parms'\n  hint: did you mean 'params'"),
        ("params>", "'' is not a count"),
        ("params>+x%", "not a percentage; write"),
        ("params>1.5", "'1.5' is not a whole number"),
        ("params=3", "is not a condition"),
    ],
)
def test_a_wrong_condition_is_one_message(text: str, message: str) -> None:
    with pytest.raises(CnncalcError, match=re.escape(message)):
        conditions.parse(text)


def test_a_metric_that_one_net_lacks_fails_and_that_both_lack_passes() -> None:
    condition = [conditions.parse("rf>+1")]
    assert judge(condition, {"rf": difference("rf", None, 3)})[0].status == "fail"
    assert judge(condition, {"rf": difference("rf", None, None)})[0].status == "pass"


def test_edits_can_be_forbidden() -> None:
    report = cnncalc.diff("vgg11", "vgg13", fail_on=["added>0", "removed>0", "layers>+100%", "differ>0"])
    assert [one.status for one in report.conditions] == ["fail", "pass", "pass", "fail"]
    same = cnncalc.diff("vgg11", "vgg11", fail_on=["differ>0", "affected>0"])
    assert same.status == "pass"
    assert report.status == "fail"


def test_csv_has_both_sides_exactly() -> None:
    report = cnncalc.diff("vgg11", "vgg13")
    rows = list(csv.DictReader(io.StringIO(csv_table(CSV_COLUMNS, report.layers))))
    assert len(rows) == len(report.layers)
    new = next(row for row in rows if row["layer_after"] == "stage1.conv2")
    assert (new["change"], new["layer_before"], new["params_before"]) == ("added", "", "")
    assert new["params_after"] == str(64 * 64 * 9 + 64)
    assert cells(CSV_COLUMNS[0], report.layers, None) == [row["change"] for row in rows]
