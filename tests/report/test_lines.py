"""Pages line by line, from small answers made by hand, whose sums and shares are worked in the head."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import structs

from cnncalc.analysis.check import Checked, CheckReport, Limits, check, together
from cnncalc.analysis.compare import compare
from cnncalc.analysis.fields import FieldReport, field_report
from cnncalc.analysis.metrics import of_report
from cnncalc.analysis.report import Diagnostic, LayerReport, Report, SeparablePair
from cnncalc.analysis.solve import Wanted, solve
from cnncalc.analysis.solve import answer as solved
from cnncalc.analysis.verdict import Row, answer, verdict
from cnncalc.document.blocks import Document, Table
from cnncalc.document.terminal import render
from cnncalc.layers import REGISTRY
from cnncalc.report import check as checks
from cnncalc.report import compare as comparisons
from cnncalc.report import rf
from cnncalc.report.analyze import document
from cnncalc.report.columns import choose, select
from cnncalc.report.solve import document as solutions
from cnncalc.report.verify import document as verified
from cnncalc.sources import load
from tests.report.draws import layer, report

PAIR = SeparablePair("dw", "pw", 114, 1000, 0.114, "57/500", 0.1361, "49/360")


def net() -> Report:
    """Block ``a`` has an unknown part; three layers share one set of weights, 98 % of all."""
    made = report(
        layer("a.b", params=100, macs=1000, flops=2000, elementwise_ops=10, activations=20),
        layer("a.c", params=300, macs=None, flops=None, output_shape=(8, 4, 4)),
        layer("d", params=19_600, macs=3000, flops=6000),
        layer("e", shared_with="d", macs=1000, flops=2000),
        layer("f", shared_with="d"),
    )
    return structs.replace(
        made,
        model=structs.replace(made.model, args={"classes": 10, "wide": True}, citation="Author 2020"),
        diagnostics=(
            Diagnostic("one", "info", "a note", ()),
            Diagnostic("two", "warning", "a warning", tuple("abcdefgh")),
        ),
        separable=(PAIR,),
    )


def lines(shown: Document) -> list[str]:
    """All but the rules of tables."""
    return [line for line in render(shown).splitlines() if set(line) != {"─"}]


def page(found: Report, names: str, rows: Sequence[LayerReport] | None = None, depth: int | None = None) -> list[str]:
    return lines(document(found, columns=choose(names), rows=rows, depth=depth))


BELOW = [
    "parameters           20,000   20.00 k",
    "buffers                   0",
    "MACs                ≥ 5,000",
    "FLOPs              ≥ 10,000   10.00 k",
    "elementwise ops          10",
    "activations              20",
    "weights           78.13 KiB   float32",
    "inference peak         12 B   of tensors alive at once, float32",
    "",
    "partial: some layers could not be counted; the totals are lower bounds",
    "",
    "where the FLOPs and the parameters go",
    "         FLOPs %                      params %",
    "a            ?                          2.0 ▍",
    "d         60.0 ████████████▎           98.0 ████████████████████",
    "e         20.0 ████▏                      0",
    "",
    "note: a note",
    "warning: a warning (a, b, c, d, e, f, … (2 more))",
    "note: shared weights, counted once: d (3 times)",
    "note: dw + pw take 11.4 % of the MACs of the standard convolution (114 of 1,000); 1/C_out + 1/K² = 13.6 %",
]


def test_a_page_with_all_that_a_net_can_have() -> None:
    assert page(net(), "layer,output,params,params%,macs,flops,flops%,shared") == [
        "net   3×8×8 → 4×8×8   batch 1",
        "classes=10 wide=true",
        "Author 2020",
        "",
        "layer  output   params  params %     MACs      FLOPs  FLOPs %  weights of",
        "a.b    4×8×8       100       0.5    1,000      2,000     20.0",
        "a.c    8×4×4       300       1.5        ?          ?        ?",
        "d      4×8×8   19.60 k      98.0    3,000      6,000     60.0",
        "e      4×8×8         0         0    1,000      2,000     20.0  d",
        "f      4×8×8         0         0        0          0        0  d",
        "total          20.00 k            ≥ 5,000  ≥ 10.00 k",
        "",
        *BELOW,
    ]


def test_folded_rows_have_sums_and_the_last_output() -> None:
    found = net()
    assert page(found, "layer,type,output,params,flops", select(found, depth=1), depth=1)[4:] == [
        "layer  type   output   params      FLOPs",
        "a      block  8×4×4       400          ?",
        "d      alpha  4×8×8   19.60 k      6,000",
        "e      alpha  4×8×8         0      2,000",
        "f      alpha  4×8×8         0          0",
        "total                 20.00 k  ≥ 10.00 k",
        "",
        "the net has 5 layers, folded at level 1",
        "",
        *BELOW,
    ]


def test_the_first_rows_of_a_sorted_table() -> None:
    found = net()
    assert page(found, "layer,params", select(found, sort="params", top=2))[4:] == [
        "layer   params",
        "d      19.60 k",
        "a.c        300",
        "total  20.00 k",
        "",
        "2 rows shown; the net has 5 layers",
        "",
        *BELOW,
    ]


def test_several_pairs_are_one_note() -> None:
    """114 + 500 of 1,000 + 1,000 are 30.7 %."""
    other = structs.replace(PAIR, macs=500, ratio=0.5, rule=0.25)
    assert page(structs.replace(net(), separable=(PAIR, other)), "layer")[-1] == (
        "note: 2 pairs of depthwise + pointwise convolution take 614 MACs, 30.7 % of the 2,000 of the standard "
        "convolutions they replace; each 11.4 % to 50.0 %, where 1/C_out + 1/K² = 13.6 % to 25.0 %"
    )


def test_many_blocks_are_the_largest_and_the_sum_of_the_others() -> None:
    """Of 12 blocks of 1, 2, …, 12 parts in 78 the six smallest are 21 in 78 together: 26.9 %, the longest bar."""
    blocks = [layer(f"l{n:02}", params=n, macs=n, flops=2 * n) for n in range(1, 13)]
    said = page(report(*blocks), "layer")
    bars = said[said.index("where the FLOPs and the parameters go") + 2 :]
    assert [line.split()[0] for line in bars] == ["l07", "l08", "l09", "l10", "l11", "l12", "6"]
    # 12 of 21 in 20 columns of eighths: 91 eighths
    assert bars[-2].split() == ["l12", "15.4", "█" * 11 + "▍", "15.4", "█" * 11 + "▍"]
    assert bars[-1].split() == ["6", "others", "26.9", "█" * 20, "26.9", "█" * 20]


# -- check -----------------------------------------------------------------------------------------


def partial() -> Report:
    return report(layer("a", params=100, macs=None, flops=None), layer("b", params=100, macs=1000, flops=2000))


def held(found: Report, limits: Limits) -> CheckReport:
    return check(found.model, of_report(found), limits)


def test_each_limit_and_the_verdict() -> None:
    """A lower bound keeps a min and breaks a max, never the other way round."""
    found = partial()
    found = structs.replace(found, model=structs.replace(found.model, batch=2))
    limits = {"params": {"max": 200, "min": 250}, "macs": {"max": 5000, "min": 500}, "flops": {"max": 1000}}
    shown = checks.document(held(found, limits))
    assert shown.status == 1
    assert isinstance(shown.rows, Table)
    assert [column.name for column in shown.rows.columns][-2:] == ["status", "reason"]
    assert lines(shown) == [
        "metric  limit  value  bound  margin       %  status",
        "params  max      200    200       0       0  pass",
        "params  min      200    250     -50   -20.0  fail",
        "macs    max    1,000  5,000   4,000    80.0  fail",
        "macs    min    1,000    500     500   100.0  pass",
        "flops   max    2,000  1,000  -1,000  -100.0  fail",
        "",
        "macs max: unknown: the value is a lower bound without a",
        "",
        "macs min: unknown: the value is a lower bound without a",
        "",
        "flops max: unknown: the value is a lower bound without a",
        "",
        "net, batch 2: 3 of 5 checks failed",
    ]
    assert [checks.sentence(one) for one in held(found, limits).checks] == [
        "params: 200 keeps the max of 200",
        "params: 200 is under the min of 250 by 50 (20.0 %)",
        "macs: 1,000 keeps the max of 5,000, as far as it is known; unknown: the value is a lower bound without a",
        "macs: 1,000 keeps the min of 500",
        "flops: 2,000 is over the max of 1,000 by 1,000 (100.0 %)",
    ]


def test_several_nets_are_one_verdict() -> None:
    nets = [
        Checked("one.yaml", held(partial(), {"params": {"max": 200, "min": 100}}), {}),
        Checked("two.yaml", held(partial(), {}), {}),
        Checked("three.yaml", held(partial(), {}), {}),
    ]
    shown = checks.document(together(nets, []), nets)
    assert shown.status == 0
    assert lines(shown) == [
        "net       metric  limit  value  bound  margin      %  status",
        "one.yaml  params  max      200    200       0      0  pass",
        "one.yaml  params  min      200    100     100  100.0  pass",
        "",
        "3 nets: all 2 checks passed, 2 without limits",
    ]


# -- verify ----------------------------------------------------------------------------------------


def test_what_holds_what_fails_and_what_was_not_measured() -> None:
    rows = [
        Row("a", "shape", "1x2", "1x2"),
        Row("a", "field, height", "3", "4", "claimed 3, measured 4"),
        Row("a", "field, width", "3", "3"),
        Row("b", "flops", "1200", "1200", "", "of the first"),
        Row("c", "flops", "1300", "1300", "", "of the second"),
        Row("", "peak", "", "", "", "there was no memory"),
    ]
    found = answer(load("resnet18"), verdict(rows, ["on a CPU"]))
    shown = verified(found, table=True)
    assert shown.status == 1
    assert lines(shown) == [
        "✗ 1 of 5 claims fail for resnet18; 1 not measured",
        "shape 1 · field 1 of 2 fail · flops 2",
        "",
        "layer  shape  field    flops  peak",
        "a      1x2 ✓  3 ≠ 4",
        "b                    1,200 ✓",
        "c                    1,300 ✓",
        "total",
        "",
        "error: a, field, height: claimed 3, measured 4",
        "note: flops: b: of the first (and 1 more like it)",
        "note: peak: the net: there was no memory",
        "measured: on a CPU",
    ]
    assert render(shown, colour=True).startswith("\x1b[31m✗ 1 of 5")
    fine = verified(answer(load("resnet18"), verdict(rows[:1])))
    assert fine.status == 0
    assert render(fine, colour=True) == "\x1b[32m✓ 1 of 1 claims hold for resnet18\x1b[0m\nshape 1\n"


# -- solve -----------------------------------------------------------------------------------------

BOUNDS = "(kernel ≤ 11, stride ≤ 16, dilation ≤ 4, where they are not given)"


@pytest.mark.parametrize(
    ("kind", "wanted", "rows", "last"),
    [
        ("max_pool", Wanted(((7, 3),), 2, 2, None, 1), ["2 2 0 1 1 loses 1 pixel"], "max_pool 7 → 3: 1 solution"),
        ("max_pool", Wanted(((8, 3),), 2, 2, 0, 1), [], "no max_pool makes 8 → 3"),
        (
            "max_pool",
            Wanted(((8, 3),), 2, 3, 0, 1),
            ["2 3 0 1 0 skips 1 of 3 pixels, off centre"],
            "max_pool 8 → 3: 1 solution",
        ),
        # an even kernel at stride 1 has no pixel in its middle, and one of 2 not the middle of 3
        (
            "conv",
            Wanted(((7, 3),), 4, 1),
            ["4 1 1 2 0 off centre", "4 1 4 4 0 off centre"],
            "conv 7 → 3: 2 solutions",
        ),
        (
            "conv",
            Wanted(((8, 4),), 1),
            ["1 2 0 1 0 skips 1 of 2 pixels, 1 of padding left out"],
            "conv 8 → 4: 1 solution",
        ),
    ],
)
def test_solutions_and_what_speaks_against_them(kind: str, wanted: Wanted, rows: list[str], last: str) -> None:
    shown = solutions(solved(kind, wanted, solve(REGISTRY[kind], wanted), 20))
    assert shown.status == (0 if rows else 1)
    head = ["kernel stride padding dilation lost note"] if rows else []
    said = [" ".join(line.split()) for line in lines(shown) if line]
    assert said == [*head, *rows, f"{last} {BOUNDS}"]


# -- rf --------------------------------------------------------------------------------------------


def test_what_is_said_of_fields() -> None:
    report = field_report(load("resnet18"))
    assert isinstance(report, FieldReport)

    def said(**changes: object) -> list[str]:
        return [note.text for note in rf.notes(structs.replace(report, covers=(), **changes))]

    line = "branches meet out of line (other jumps or centres) at a, b, c, d"
    assert said(misaligned=tuple("abcd")) == [line]
    assert said(misaligned=tuple("abcde")) == [f"{line} …"]
    maps = tuple(structs.replace(one, reason="nobody tells") for one in report.maps[2:4])
    assert said(maps=(*report.maps[:2], *maps)) == [f"not known from {maps[0].path} on: nobody tells"]


# -- several nets ----------------------------------------------------------------------------------


def test_nets_side_by_side() -> None:
    """Twice the MACs of the first are 2.00; of a lower bound there is no ratio."""
    first = report(layer("a", params=300, macs=1000, flops=2000, activations=5))
    second = report(layer("a", params=100, macs=2000, flops=4000, activations=7))
    warned = structs.replace(partial(), diagnostics=(Diagnostic("x", "warning", "a warning", ("a",)),))
    models = [structs.replace(first.model, name=name) for name in ("one", "two", "three")]
    nets = [structs.replace(net, model=model) for net, model in zip((first, second, warned), models, strict=True)]
    shown = comparisons.document(compare(nets))
    assert shown.status == 0
    assert lines(shown) == [
        "net    input  output  params  weights   MACs  × first  FLOPs  activ.  peak  RF  totals",
        "one    3×8×8  4×8×8      300  1,200 B  1,000     1.00  2,000       5  12 B   –  complete",
        "two    3×8×8  4×8×8      100    400 B  2,000     2.00  4,000       7  12 B   –  complete",
        "three  3×8×8  4×8×8      200    800 B  1,000        ?  2,000       0  12 B   –  partial",
        "",
        "warning: three: a warning (a)",
    ]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max": 200}, "net: 1 check passed"),
        ({"max": 199}, "net: 1 of 1 checks failed"),
        ({"max": 200, "min": 200}, "net: all 2 checks passed"),
    ],
)
def test_one_check_is_no_plural(limits: dict[str, int], said: str) -> None:
    assert lines(checks.document(held(partial(), {"params": limits})))[-1] == said
