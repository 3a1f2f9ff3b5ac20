"""``cnncalc sizes`` and ``cnncalc solve``: what they print, their JSON, exit status and complaints."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.sizes.nets import PADDED_UNET


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "padded.yaml"
    path.write_text(PADDED_UNET)
    return path


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_rules_of_a_padded_unet(run: Run, spec: Path) -> None:
    result = run("sizes", spec)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines == [
        "input sizes of padded_unet",
        "",
        "axis           sizes that           are              smallest  largest  count",
        "─" * 77,
        "height, width  work                 multiples of 16        16     1024     64",
        "height, width  lose no pixel        multiples of 16        16     1024     64",
        "height, width  use all padding too  multiples of 16        16     1024     64",
        "height, width  keep weight shapes   multiples of 16        16     1024     64",
        "",
        "every size in 1…1024 was run along height and width while the other stays at 64; "
        "the axes are independent in 48 combinations of sizes that were tried",
        "",
        "padded_unet works at 1×64×64: no window leaves anything out",
    ]


def test_the_json_of_the_unet(run: Run) -> None:
    result = run("sizes", "unet", "--near", "700x500", "--format", "json")
    answer = json.loads(result.out)
    assert result.status == 0
    assert answer["schema_version"] == 1
    assert (answer["name"], answer["range"], answer["independent"]) == ("unet", [1, 1024], True)
    assert [axis["name"] for axis in answer["axes"]] == ["height", "width"]
    # 16·11 + 12 = 188 is the smallest, 16·63 + 12 = 1020 the largest: 53 sizes
    assert answer["axes"][0]["lossless"] == {
        "rule": "16·k + 12 (k ≥ 11)",
        "count": 53,
        "smallest": 188,
        "largest": 1020,
        "runs": [],
        "start": 173,
        "period": 16,
        "residues": [12],
    }
    assert answer["axes"][1]["works"]["rule"] == "every size from 188"
    assert answer["at"] == {
        "inputs": {"input": [1, 572, 572]},
        "status": "works",
        "left_out": [],
        "layer": None,
        "message": None,
        "other_sizes": None,
        "mends": [],
    }
    assert answer["wanted"] == [700, 500]
    works, lossless, _ = answer["near"]
    assert works["closest"] == {"sizes": [700, 500], "change": [[0, 0], [0, 0]]}
    # 700 = 16·43 + 12; 500 = 16·30 + 20: 492 and 508 are as near, and the larger goes first
    assert lossless["closest"] == lossless["above"] == {"sizes": [700, 508], "change": [[0, 0], [4, 4]]}
    assert lossless["below"] == {"sizes": [700, 492], "change": [[0, 0], [-4, -4]]}


def test_a_size_that_fails(run: Run, spec: Path) -> None:
    result = run("sizes", spec, "--at", "1x90x100")
    assert (result.status, result.err) == (1, "")
    for text in (
        "padded_unet does not work at 1×90×100",
        # 90 → 45 → 22 → 11 → 5, and 5 → 10
        "cannot concatenate 10×11×12 and 10×10×12 along channels: height 11 and 10 differ",
        "  first input:\n    down4.relu2 (relu)  10×11×12\n  second input:",
        "    up1.conv_transpose1 (conv_transpose)  10×10×12",
        "\n\nhow to fix it (each was run on the whole net)\n",
        "\nanother input size: 80×96 (crop height 5 + 5, crop width 2 + 2)\n",
        "\nanother input size: 96×112 (pad height 3 + 3, pad width 6 + 6)\n",
        "\nfields of transposed convolutions: output_padding: [1, 0] on up1.conv_transpose1; ",
        "\npads where branches meet: padding: [[0, 1], [0, 0]] on input 2 of up1.concat1; padding: ",
        "\ncrops where branches meet: cropping: [[0, 1], [0, 0]] on input 1 of up1.concat1; cropping: ",
        "multiples of 16",
    ):
        assert text in result.out


@pytest.mark.parametrize("kind", ["table", "csv", "markdown", "html"])
def test_every_format_says_that_a_size_fails(run: Run, spec: Path, kind: str) -> None:
    result = run("sizes", spec, "--at", "1x90x100", "--format", kind)
    assert result.status == 1
    said = result.err if kind == "csv" else result.out
    for text in (
        "padded_unet does not work at 1×90×100",
        "cannot concatenate 10×11×12 and 10×10×12 along channels: height 11 and 10 differ",
        "another input size: 80×96",
        "every size in 1…1024 was run",
    ):
        assert text in said


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("more", [["--at", "1x90x100"], ["--near", "90x1000"]])
def test_no_line_is_wider_than_the_terminal(
    run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch, width: int, more: list[str]
) -> None:
    from cnncalc.document import output

    monkeypatch.setattr(output, "screen", lambda _: (width, 40, False))
    lines = run("sizes", spec, *more, "--max", 300).out.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= (60 if width == 60 else 50)
    # the rule stays, whatever goes
    assert any(line.startswith("height, width  lose no pixel        multiples of 16") for line in lines)


def test_the_json_of_a_size_that_fails(run: Run, spec: Path) -> None:
    result = run("sizes", spec, "--input", "1x65x64", "--format", "json", "--max", 100)
    answer = json.loads(result.out)
    assert result.status == 1
    at = answer["at"]
    assert (at["status"], at["layer"]) == ("fails", "up4.concat1")
    assert "height 65 and 64 differ" in at["message"]
    assert at["other_sizes"]["closest"] == {"sizes": [64, 64], "change": [[0, -1], [0, 0]]}
    assert at["mends"] == [
        {
            "kind": "output_padding",
            "steps": [{"layer": "up4.conv_transpose1", "field": "output_padding", "value": [1, 0]}],
        },
        {
            "kind": "pads",
            "steps": [{"layer": "up4.concat1", "field": "padding", "value": [[0, 1], [0, 0]], "input": 1}],
        },
        {
            "kind": "crops",
            "steps": [{"layer": "up4.concat1", "field": "cropping", "value": [[0, 1], [0, 0]], "input": 0}],
        },
    ]
    # the other axis stands where the net works
    assert [axis["size"] for axis in answer["axes"]] == [64, 64]


def test_csv_and_markdown_have_the_rules(run: Run, spec: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("sizes", spec, "--format", "csv", "--max", 100).out)))
    assert [row["question"] for row in rows] == [
        "work",
        "lose no pixel",
        "leave out no padding either",
        "keep every weight's shape",
    ]
    assert {row["rule"] for row in rows} == {"multiples of 16"}
    assert {row["count"] for row in rows} == {"6"}
    target = tmp_path / "rules.md"
    assert run("sizes", spec, "--max", 100, "--output", target).status == 0
    assert "| height, width |" in target.read_text()


def test_where_pixels_are_lost(run: Run) -> None:
    result = run("sizes", "vgg16", "--at", "3x225x230", "--max", 70)
    assert result.status == 0
    # 225 → 112 + 1; 230 → 115 → 57 + 1 → 28 + 1
    assert result.out.splitlines()[-4:] == [
        "stage1.max_pool1 loses pixels: 1 of height",
        "stage2.max_pool1 loses pixels: 1 of width",
        "stage3.max_pool1 loses pixels: 1 of width",
        "vgg16 works at 3×225×230: pixels are lost",
    ]


def test_what_is_left_out_without_loss(run: Run) -> None:
    result = run("sizes", "resnet18", "--max", 100)
    first, last = result.out.splitlines()[-2:]
    assert first.startswith(
        "left out without loss (padding, or what lies between windows): conv_bn1.conv1, max_pool1, stage2.basic1."
    )
    assert last == "resnet18 works at 3×224×224: no pixel is lost"
    assert "32·k + 1 (k ≥ 0)" in result.out


def test_a_net_of_no_size_is_a_fault_of_the_spec(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"
    path.write_text("input: [1, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3, groups: 3}}]\n")
    result = run("sizes", path, "--max", 20)
    assert (result.status, result.out) == (2, "")
    assert "groups 3 does not divide" in result.err
    assert "note: no size in 1…20, the same along all axes, works" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--near", "big"], "--near: 'big' is not a size"),
        (["--near", "1x2x3"], "--near 1x2x3: 3 sizes for 2 spatial axes"),
        (["--at", "1xx"], "--at: '1xx' is not a shape"),
        (["--at", "1x64"], "--at: another number of axes than the net's input"),
        (["--at", "left=1x64x64"], "the spec has no input 'left'"),
        (["--max", "0"], "0 is not in the range"),
        (["--set", "depth=3"], "cannot set 'depth'"),
    ],
)
def test_complaints_about_sizes(run: Run, spec: Path, arguments: list[str], message: str) -> None:
    result = run("sizes", spec, *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_the_table_of_near_sizes(run: Run) -> None:
    """A size is smaller than the wanted one where pixels are cropped, and larger where they are padded."""
    lines = run("sizes", "unet", "--near", "700x500", "--max", 520).out.splitlines()
    start = next(number for number, line in enumerate(lines) if "near 700×500" in line)
    rows = [cells(line) for line in lines[start + 2 : start + 7]]
    assert rows == [
        ["work", "closest", "700×500", "as it is"],
        ["lose no pixel", "closest", "700×508", "pad width 4 + 4"],
        ["lose no pixel", "not larger", "700×492", "crop width 4 + 4"],
        ["use all padding too", "closest", "700×508", "pad width 4 + 4"],
        ["use all padding too", "not larger", "700×492", "crop width 4 + 4"],
    ]
    # 81 is as near to 80 as to no multiple of 16 but itself: 96 is the next that is not smaller
    lines = run("sizes", "unet", "--near", "701x493", "--max", 520).out.splitlines()
    assert ["lose no pixel", "not smaller", "716×508", "pad height 7 + 8, pad width 7 + 8"] in map(cells, lines)


def test_axes_that_depend_on_each_other(run: Run, tmp_path: Path) -> None:
    """Where the other axis stands at 8 only 8 works, and yet every square does."""
    path = tmp_path / "square.yaml"
    path.write_text(
        "input: [3, 8, 8]\nlayers:\n"
        "  - {if: in_height == in_width, then: [relu], else: [{conv: {out: 3, kernel: 100}}]}\n"
    )
    found = re.search(
        r"depend on each other: (\d+)×(\d+) does work, though not all of its sizes do where the other axes stand",
        run("sizes", path, "--max", 20).out,
    )
    assert found is not None
    assert found[1] == found[2] != "8"
    path.write_text(path.read_text().replace("in_height == in_width", "in_height < 10 or in_width < 10"))
    found = re.search(
        r"depend on each other: (\d+)×(\d+) does not work, though each of its sizes does",
        run("sizes", path, "--max", 20).out,
    )
    assert found is not None
    assert min(int(found[1]), int(found[2])) >= 10


def test_of_many_layers_that_lose_pixels_the_first_are_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    branch = "[{conv: {out: 1, kernel: 3, stride: 2}}]"
    path.write_text(f"input: [3, 8, 7]\nlayers:\n  - concat: [{', '.join([branch] * 11)}]\n")
    lines = run("sizes", path, "--max", 9).out.splitlines()
    assert [line for line in lines if line.endswith("loses pixels: 1 of height")] == lines[-10:-2]
    assert lines[-2:] == ["3 more layers lose pixels", f"{path} works at 3×8×7: pixels are lost"]


def test_one_near_size_is_meant_for_all_axes(run: Run, spec: Path) -> None:
    answer = json.loads(run("sizes", spec, "--near", 90, "--max", 120, "--format", "json").out)
    assert answer["wanted"] == [90, 90]
    assert answer["near"][0]["closest"]["sizes"] == [96, 96]


def test_the_table_of_near_sizes_has_both_sides(run: Run, spec: Path) -> None:
    """The multiples of 16 on either side of 90 and 1000."""
    out = run("sizes", spec, "--near", "90x1000").out.splitlines()
    rows = [cells(line) for line in out if line.startswith("work ")]
    assert rows == [
        ["work", "closest", "96×1008", "pad height 3 + 3, pad width 4 + 4"],
        ["work", "not larger", "80×992", "crop height 5 + 5, crop width 4 + 4"],
    ]


def test_near_sizes_are_at_most_max_away(run: Run, spec: Path) -> None:
    """From 90 the multiples of 16 are 6 and 10 away."""
    for most, closest, below in ((10, 96, 80), (9, 96, None), (5, None, None)):
        answer = json.loads(run("sizes", spec, "--near", 90, "--max", most, "--format", "json").out)
        found = [fit and fit["sizes"] for fit in (answer["near"][0]["closest"], answer["near"][0]["below"])]
        assert found == [size and [size, size] for size in (closest, below)]


# -- solve -----------------------------------------------------------------------------------------


def test_solve_prints_the_natural_ones_first(run: Run) -> None:
    result = run("solve", "conv", "--in", 224, "--out", 56, "--kernel", 7)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert cells(lines[0]) == ["kernel", "stride", "padding", "dilation", "lost", "note"]
    # ⌊(224 + 6 − 7)/4⌋ + 1 = ⌊55.75⌋ + 1: three cells are left, all of them padding
    assert cells(lines[2]) == ["7", "4", "3", "1", "0", "3 of padding left out"]
    assert "conv 224 → 56: 8 solutions (kernel ≤ 11" in lines[-1]


def test_solve_as_json(run: Run) -> None:
    result = run("solve", "deconv", "--in", "28x14", "--out", "56x28", "--limit", 1, "--format", "json")
    answer = json.loads(result.out)
    assert (answer["layer"], answer["sizes"]) == ("conv_transpose", [[28, 56], [14, 28]])
    assert answer["solutions"] == [
        {
            "settings": "conv_transpose: {kernel: 2, stride: 2}",
            "kernel": 2,
            "stride": 2,
            "lost": 0,
            "padding_left": 0,
            "skipped": 0,
            "centred": True,
            "padding": 0,
            "dilation": 1,
            "output_padding": 0,
            "even": True,
        }
    ]
    assert answer["count"] > 1


def test_solve_tells_what_speaks_against_a_solution(run: Run) -> None:
    result = run("solve", "max_pool", "--in", 7, "--out", 3, "--kernel", 2, "--stride", 2, "--dilation", 1)
    assert "loses 1 pixel" in result.out
    assert "skips 1 of 2 pixels" in run("solve", "conv", "--in", 8, "--out", 4, "--kernel", 1).out
    odd = run("solve", "conv_transpose", "--in", 28, "--out", 56, "--kernel", 3, "--padding", 1, "--dilation", 1)
    assert "uneven: the kernel is not a multiple of the stride" in odd.out


def test_no_solution(run: Run) -> None:
    result = run("solve", "conv", "--in", 3, "--out", 100)
    assert (result.status, result.err) == (1, "")
    assert result.out.startswith("no conv makes 3 → 100 (kernel ≤ 11")
    assert json.loads(run("solve", "conv", "--in", 3, "--out", 100, "--format", "json").out)["solutions"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["konv", "--in", "8", "--out", "4"], "unknown layer 'konv'\n  hint: did you mean 'conv'?"),
        (["relu", "--in", "8", "--out", "4"], "relu has no sliding window\n  hint: layers that have: conv,"),
        (["conv", "--in", "x", "--out", "4"], "error: solve: 'x' is not a size\n  hint: e.g. 224"),
        (["conv", "--in", "8x8", "--out", "4"], "2 sizes before and 1 after"),
        (
            ["conv", "--in", "8"],
            "error: solve: it takes two sizes, before and after, got 1\n  hint: e.g. cnncalc solve conv 224 56\n",
        ),
        (["avg_pool", "--in", "8", "--out", "4", "--dilation", "2"], "avg_pool has no dilation"),
        (["conv", "--in", "8", "--out", "4", "--ceil-mode"], "conv has no ceil_mode\n  hint: leave --ceil-mode out"),
    ],
)
def test_complaints_about_solve(run: Run, arguments: list[str], message: str) -> None:
    result = run("solve", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize("command", ["sizes", "solve"])
def test_help_has_an_example(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.status == 0
    assert f"Example: cnncalc {command} " in result.out


def test_what_is_taken_off_at_one_end_is_a_crop_and_what_is_added_a_pad(run: Run, spec: Path) -> None:
    # the nearest multiples of 16 are one pixel away: 64 and 80 for 65, and for 79 too
    assert "another input size: 64×64 (crop height 0 + 1)" in run("sizes", spec, "--at", "1x65x64").out
    assert "another input size: 64×80 (pad width 0 + 1)" in run("sizes", spec, "--at", "1x64x79").out
