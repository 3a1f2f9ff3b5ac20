"""``cnncalc rf``: what it prints, in which formats, with which pictures, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc.analysis.fields import _axis_numbers, unit_report
from cnncalc.document.heat import HOLE, RAMP, VIRIDIS, draw
from cnncalc.formulas.receptive_field import Field
from cnncalc.sources import load
from tests.commands.conftest import Run

SPEC = """name: holes
input: [1, 12, 12]
layers:
  - conv: {out: 4, kernel: 3, dilation: 2, padding: 2, name: a}
  - relu: {name: b}
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1, name: c}
  - global_avg_pool: {name: d}
"""
PNG, PDF = b"\x89PNG\r\n", b"%PDF"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "holes.yaml"
    path.write_text(SPEC)
    return path


# -- the table of maps -----------------------------------------------------------------------------


def test_every_map_has_its_numbers(run: Run, spec: Path):
    """Worked by hand: c reads 3 units of a, 1 pixel apart, each of 5 pixels: 7; unit 0 starts at −1 − 2."""
    maps = json.loads(run("rf", spec, "--format", "json").out)["maps"]
    by_path = {one["path"]: one for one in maps}
    a, c, d = by_path["a"], by_path["c"], by_path["d"]
    assert (a["size"], a["jump"], a["start"], a["centre"]) == ([5, 5], [1, 1], [-2, -2], [0, 0])
    assert (c["size"], c["jump"], c["start"], c["centre"]) == ([7, 7], [2, 2], [-3, -3], [0, 0])
    assert c["clipped"] == [7, 7]
    # units of c start at −3, −1, 1, 3, 5, 7 and end 6 later: the first two and the last reach beyond 0 … 11
    assert c["border"] == pytest.approx(1 - (3 / 6) ** 2)
    assert a["border"] == pytest.approx(1 - (8 / 12) ** 2)
    assert (d["kind"], d["size"]) == ("global", None)


def test_the_line_below_says_where_the_field_first_covers_the_input(run: Run, spec: Path):
    assert "first covers the whole 12×12 of 'input' at d (global)" in run("rf", spec).out
    smaller = run("rf", spec, "--input", "1x5x5").out
    assert "first covers the whole 5×5 of 'input' at a (size 5)" in smaller
    assert "every unit sees all of it from d on" in smaller


def test_the_table_is_as_worked_by_hand(run: Run, tmp_path: Path):
    """Padding 1 is seen by 1 − (7/9)² of a's units and, after the stride of 2, by 1 − (3/4)² of p's."""
    path = tmp_path / "m.yaml"
    path.write_text(
        "input: [1, 9, 9]\nlayers:\n"
        "  - conv: {name: a, out: 1, kernel: 3, padding: 1}\n  - max_pool: {name: p, kernel: 2, stride: 2}\n"
    )
    out = run("rf", path).out.splitlines()
    assert out[0] == "m: receptive fields on input (1×9×9)"
    assert [line.split() for line in (out[2].replace(" %", "%"), *out[4:6])] == [
        ["layer", "type", "output", "size", "jump", "start", "centre", "clipped", "border%"],
        ["a", "conv", "1×9×9", "3", "1", "-1", "0", "3", "39.5"],
        ["p", "max_pool", "1×4×4", "4", "2", "-1", "0.5", "4", "43.8"],
    ]
    assert out[-1] == "no field covers the whole 9×9 of 'input'; the largest is 4, at p"


NESTED = """name: nested
input: [1, 40, 40]
blocks:
  pair:
    layers: [{conv: {out: 2, kernel: 3, name: a}}, {conv: {out: 2, kernel: 3, name: b}}]
layers: [{pair: {name: p}}, {pair: {name: q}}, {max_pool: {kernel: 2, stride: 2, name: m}}]
"""


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    path = tmp_path / "nested.yaml"
    path.write_text(NESTED)
    return path


def test_a_terminal_shows_as_many_levels_as_fit(run: Run, nested: Path, monkeypatch: pytest.MonkeyPatch):
    """Each 3×3 adds 2, the pool of 2 one: 3, 5, 7, 9, 10; a block has the field of its last map."""
    sizes = {"p": 5, "a": 3, "b": 5, "q": 9, "m": 10}

    def rows(height: int, *options: str) -> list[list[str]]:
        monkeypatch.setattr("cnncalc.document.output.screen", lambda _: (60, height, False))
        return [line.split() for line in run("rf", nested, "--columns", "layer,size", *options).out.splitlines()]

    low, high = rows(14), rows(40)
    assert low[4:7] == [[name, str(sizes[name])] for name in "pqm"]
    assert low[-1] == ["5", "maps:", "--depth", "2,", "or", "--all"]
    tree = [["p", "5"], ["a", "3"], ["b", "5"], ["q", "9"], ["a", "7"], ["b", "9"], ["m", "10"]]
    assert high[4:11] == rows(14, "--all")[4:11] == rows(14, "--depth", "2")[4:11] == tree
    assert rows(40, "--depth", "1")[4:7] == low[4:7]


def test_rows_are_folded_sorted_and_cut(run: Run, nested: Path):
    def sizes(*options: str) -> dict[str, str]:
        out = run("rf", nested, *options, "--format", "csv", "--columns", "layer,size").out
        return {row["layer"]: row["size"] for row in csv.DictReader(io.StringIO(out))}

    assert sizes("--depth", "1") == {"p": "5x5", "q": "9x9", "m": "10x10"}
    assert list(sizes("--sort", "size")) == ["m", "q.b", "q.a", "p.b", "p.a"]
    assert sizes("--sort", "size", "--top", "2") == {"m": "10x10", "q.b": "9x9"}
    assert "2 rows of 5 maps" in run("rf", nested, "--sort", "size", "--top", "2").out
    answer = json.loads(run("rf", nested, "--depth", "1", "--format", "json").out)
    assert [(one["path"], one["type"]) for one in answer["maps"]] == [("p", "block"), ("q", "block"), ("m", "max_pool")]


def test_what_sees_everything_comes_first_where_rows_are_sorted(run: Run, spec: Path):
    out = run("rf", spec, "--sort", "size", "--columns", "layer,size").out.splitlines()
    assert [line.split() for line in out[4:8]] == [["d", "all"], ["c", "7"], ["a", "5"], ["b", "5"]]


@pytest.mark.parametrize("pattern", ["q.b", "q", "q*", "*q.b", "[q]"])
def test_a_layer_is_chosen_by_its_path_its_block_or_a_pattern(run: Run, nested: Path, pattern: str):
    assert "of q.b (2×32×32)" in run("rf", nested, "--layer", pattern).out


def test_one_map_on_another(run: Run, spec: Path):
    maps = json.loads(run("rf", spec, "--from", "a", "--format", "json").out)["maps"]
    assert {one["path"]: one["size"] for one in maps} == {"b": [1, 1], "c": [3, 3], "d": None}


@pytest.mark.parametrize("format", ["csv", "markdown", "html"])
def test_the_other_formats_have_a_row_for_each_map(run: Run, spec: Path, format: str):
    out = run("rf", spec, "--format", format).out
    assert all(re.search(rf"\b{path}\b", out) for path in "abcd")
    assert "7" in out


def test_csv_is_exact(run: Run, spec: Path):
    rows = list(csv.DictReader(io.StringIO(run("rf", spec, "--format", "csv").out)))
    assert [row["size"] for row in rows] == ["5x5", "5x5", "7x7", ""]


@given(
    st.integers(1, 5), st.integers(-20, 20), st.integers(1, 30), st.integers(1, 25), st.integers(1, 40), st.booleans()
)
def test_the_numbers_of_an_axis_are_those_of_its_units_one_by_one(jump, start, size, units, pixels, twice):
    """Against counting; ``twice`` writes the same field with a period of two."""
    bounds = (start, start + size - 1)
    field = Field(jump, (bounds,))
    if twice:
        field = Field(2 * jump, (bounds, (bounds[0] + jump, bounds[1] + jump)))
    found = _axis_numbers(field, units, pixels)
    sets = [range(start + jump * unit, start + jump * unit + size) for unit in range(units)]
    inside = [[pixel for pixel in one if 0 <= pixel < pixels] for one in sets]
    assert found.border * units == pytest.approx(sum(len(i) < len(s) for i, s in zip(inside, sets, strict=True)))
    assert found.clipped == max(map(len, inside))
    assert found.covers == any(len(one) == pixels for one in inside)


# -- one unit --------------------------------------------------------------------------------------


def test_a_unit_with_holes(run: Run, spec: Path):
    """Three taps two apart: 9 of the 25 pixels of the box."""
    report = json.loads(run("rf", spec, "--layer", "a", "--unit", "5,6", "--format", "json").out)
    assert report["unit"] == [5, 6]
    assert [axis["box"] for axis in report["axes"]] == [[3, 7], [4, 8]]
    assert report["axes"][0]["reached"] == [[3, 3], [5, 5], [7, 7]]
    assert (report["reached"], report["covered"], report["paths"], report["product"]) == (9, 9 / 25, 9, True)
    assert sum(report["axes"][1]["mass"]) == pytest.approx(1)


def test_a_unit_as_a_table_with_its_picture(run: Run, spec: Path):
    out = run("rf", spec, "--layer", "a", "--unit", "5,6").out
    assert "holes: unit (5, 6) of a (4×12×12) on input (1×12×12)" in out
    assert "9 pixels reach the unit, 36.0% of the box inside the input" in out
    assert "|    @.@.@   |" in out
    assert out.endswith("+\n:-=+*%#@ few to many paths   . in the box, but not reached\n")
    assert "pixels reach the unit, 36.0% of the box inside the input (the others lie in holes between the taps" in out
    assert "\x1b" not in out
    assert "@" not in run("rf", spec, "--layer", "a", "--unit", "5,6", "--no-picture").out


def test_a_unit_at_the_border_is_clipped(run: Run, spec: Path):
    """Taps at −2, 0 and 2: the box reaches two pixels beyond the input, and three of its five lie in it."""
    (axis, _) = json.loads(run("rf", spec, "--layer", "a", "--unit", "corner", "--format", "json").out)["axes"]
    assert (axis["box"], axis["clipped"], axis["reached"]) == ([-2, 2], [0, 2], [[0, 0], [2, 2]])
    row = run("rf", spec, "--layer", "a", "--unit", "corner").out.splitlines()[4]
    assert re.split(r"\s{2,}", row)[:6] == ["height", "-2 … 2", "5", "0 … 2", "3", "2"]


def test_csv_lists_every_pixel(run: Run, spec: Path):
    rows = list(csv.DictReader(io.StringIO(run("rf", spec, "--layer", "a", "--unit", "corner", "--format", "csv").out)))
    assert [(row["y"], row["x"], row["share"]) for row in rows] == [(y, x, "0.25") for y in "02" for x in "02"]


def test_negative_indices_count_from_the_end(run: Run, spec: Path):
    assert "unit (11, 0) of a" in run("rf", spec, "--layer", "a", "--unit=-1,0").out


def test_a_unit_that_stands_for_all(run: Run, spec: Path):
    assert "every unit of d (4×1×1)" in run("rf", spec, "--layer", "d").out


def test_no_claim_is_made_where_no_index_tells(run: Run, tmp_path: Path):
    path = tmp_path / "flat.yaml"
    path.write_text("input: [1, 4, 4]\nlayers:\n  - conv: {out: 2, kernel: 3}\n  - flatten\n")
    report = json.loads(run("rf", path, "--layer", "flatten1", "--format", "json").out)
    assert report["reason"] == "which pixels reach a unit of flatten1 is told by no single axis"
    assert (report["reached"], report["paths"], report["axes"][0]["kind"]) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "e"], "error: --layer: unknown layer 'e'\n  hint: choose from input, a, b, c, d\n"),
        (
            ["--layer", "[ab]"],
            "error: --layer [ab]: 2 layers match\n  hint: choose one of a, b\n",
        ),
        (
            ["--layer", "a", "--top", "2"],
            "error: --layer shows one unit, which has no rows to choose\n"
            "  hint: leave out --columns, --depth, --sort, --top and --all\n",
        ),
        (
            ["--columns", "layer", "--format", "json"],
            "error: --columns: JSON always holds every number\n  hint: use --format csv for a choice of columns\n",
        ),
        (
            ["--sort", "sise"],
            "error: unknown column 'sise'\n  hint: did you mean 'size'?\n",
        ),
        (["--layer", "input"], "error: --layer input: it is what is seen\n  hint: take a layer that comes after it\n"),
        (["--unit", "0,0"], "error: --unit needs --layer\n  hint: e.g. --layer stage3 --unit 7,7\n"),
        (
            ["--layer", "c", "--unit", "6,0"],
            "error: --unit 6,0: c has 6×6 units, and none at 6\n"
            "  hint: indices count from 0 to 5, or from -1 backwards\n",
        ),
        (
            ["--layer", "c", "--unit", "1"],
            "error: --unit 1: 1 given for 2 spatial axes\n  hint: c has 6×6 units; write 0,0 for the first\n",
        ),
        (
            ["--layer", "c", "--unit", "y"],
            "error: --unit: 'y' is not a unit\n"
            "  hint: an index for each spatial axis, e.g. 3,3; or centre, or corner\n",
        ),
        (["--layer", "a", "--from", "c"], "error: a does not depend on 'c'\n"),
        (["--from", "d"], "error: nothing depends on 'd'\n  hint: --from takes a layer that others come after\n"),
        (["--plot", "x.gif"], "error: --plot x.gif: a picture ends in .png, .svg, .pdf\n  hint: e.g. field.png\n"),
        (
            ["--image", "x.jpg"],
            "error: --image needs --plot and --layer\n  hint: e.g. --layer stage3 --plot field.png\n",
        ),
    ],
)
def test_what_is_refused(run: Run, spec: Path, arguments: list[str], message: str):
    outcome = run("rf", spec, *arguments)
    assert (outcome.status, outcome.out, outcome.err) == (2, "", message)


def test_a_net_without_space_has_no_fields(run: Run, tmp_path: Path):
    path = tmp_path / "mlp.yaml"
    path.write_text("name: mlp\ninput: [784]\nlayers: [{linear: 10}]\n")
    outcome = run("rf", path)
    assert (outcome.status, outcome.err) == (2, "error: mlp: no input has spatial axes, so there are no fields\n")


# -- pictures in the terminal ----------------------------------------------------------------------


def test_half_blocks_hold_two_pixels_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLORTERM", "truecolor")
    *lines, _ = draw([[0.0, 1.0], [1.0, 0.0]], ((0, 1), (0, 1)), colour=True)
    (line,) = lines
    most, hole = (";".join(map(str, rgb)) for rgb in (VIRIDIS[-1], HOLE))
    assert line == f"\x1b[38;2;{hole}m\x1b[48;2;{most}m▀\x1b[38;2;{most}m\x1b[48;2;{hole}m▀\x1b[0m"


def test_a_terminal_of_256_colours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLORTERM", raising=False)
    assert "\x1b[38;5;" in draw([[1.0]], None, colour=True)[0]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (224, 224)])
def test_a_picture_fits_the_terminal(size: tuple[int, int], colour: bool):
    values = [[1.0] * size[1] for _ in range(size[0])]
    lines = draw(values, None, width=40, colour=colour)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert all(len(line) <= 40 for line in plain)
    assert len(lines) <= 40


def test_a_rare_pixel_is_never_drawn_as_none():
    *_, line, _, _ = draw([[1e-30, 1.0, 0.0]], ((0, 0), (0, 1)))
    assert line == f"|{RAMP[0]}{RAMP[-1]} |"


# -- pictures in files -----------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "head"), [("png", PNG), ("pdf", PDF), ("svg", b"<?xml")])
@pytest.mark.parametrize("layer", [[], ["--layer", "c"]])
def test_a_plot_of_each_kind(run: Run, spec: Path, tmp_path: Path, ending: str, head: bytes, layer: list[str]):
    pytest.importorskip("matplotlib")
    first, second = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
    for path in (first, second):
        assert run("rf", spec, *layer, "--plot", path).status == 0
    assert first.read_bytes().startswith(head)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["holes.yaml", first.name, second.name]


def test_the_words_of_a_plot(run: Run, spec: Path, tmp_path: Path):
    """Text stays text in SVG, so what a reader sees can be read here."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "unit.svg"
    run("rf", spec, "--layer", "c", "--plot", path)
    text = path.read_text()
    for words in (
        "x [pixels]",
        "y [pixels]",
        "field's box, 7×7",
        "95% width",
        "paths from a pixel",
        "unit (3, 3) of c",
    ):
        assert words.replace("'", "&#x27;") in text or words in text
    run("rf", spec, "--plot", path, "--force")
    text = path.read_text()
    for words in (
        "receptive field [pixels]",
        "input: 12 pixels",
        "every unit sees all",
        "layer, in order of computation",
    ):
        assert words in text


@pytest.mark.parametrize("shape", ["1x40", "1x9x9x9", "1x9x14"])
def test_plots_of_one_and_three_dimensions(run: Run, tmp_path: Path, shape: str):
    pytest.importorskip("matplotlib")
    path = tmp_path / "net.yaml"
    path.write_text(f"input: [{shape.replace('x', ', ')}]\nlayers: [{{conv: {{out: 2, kernel: 3}}}}, relu]\n")
    for options in ([], ["--layer", "relu1"]):
        outcome = run("rf", path, *options, "--plot", tmp_path / f"x{len(options)}.png")
        assert (outcome.status, outcome.err) == (0, "")


def test_a_plot_is_said_in_place_of_the_table(run: Run, spec: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "x.svg"
    assert run("rf", spec, "--plot", plot).out == f"wrote {plot}: holes: growth of the field over 4 maps\n"
    said = f"wrote {plot}: holes: unit (3, 3) of c (4×6×6) on input (1×12×12)\n"
    there = run("rf", spec, "--layer", "c", "--plot", plot)
    assert (there.status, there.err) == (2, f"error: {plot} is there already\n  hint: --force replaces it\n")
    assert run("rf", spec, "--layer", "c", "--plot", plot, "--force").out == said
    csv = run("rf", spec, "--plot", plot, "--force", "--format", "csv").out
    assert csv == run("rf", spec, "--format", "csv").out


def test_your_own_image_lies_below(run: Run, spec: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    photo = tmp_path / "photo.jpg"
    image.new("RGB", (30, 20), (200, 30, 30)).save(photo)
    with_image, without = tmp_path / "with.png", tmp_path / "without.png"
    assert run("rf", spec, "--layer", "a", "--plot", with_image, "--image", photo).status == 0
    assert run("rf", spec, "--layer", "a", "--plot", without).status == 0

    def red(path: Path) -> int:
        pixels = np.asarray(image.open(path).convert("RGB")).astype(int)
        return int(((pixels[..., 0] > 150) & (pixels[..., 1] < 90)).sum())

    assert red(with_image) > 10_000 > red(without)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), (b"no image", "Pillow cannot read this kind of image")],
)
def test_an_image_that_cannot_be_read(run: Run, spec: Path, tmp_path: Path, content: bytes | None, message: str):
    pytest.importorskip("matplotlib")
    photo, plot = tmp_path / "photo.jpg", tmp_path / "x.png"
    if content is not None:
        photo.write_bytes(content)
    outcome = run("rf", spec, "--layer", "a", "--plot", plot, "--image", photo)
    assert (outcome.status, outcome.err) == (2, f"error: --image {photo}: {message}\n")
    assert not plot.exists()


def test_a_plot_that_cannot_be_written_leaves_nothing(run: Run, spec: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    outcome = run("rf", spec, "--plot", tmp_path / "nowhere" / "x.png")
    assert outcome.status == 2
    assert "cannot write" in outcome.err
    (tmp_path / "folder.png").mkdir()
    assert "it is a folder" in run("rf", spec, "--plot", tmp_path / "folder.png").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "holes.yaml"]


def test_without_matplotlib_it_says_what_to_install(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("rf", spec, "--plot", "x.png")
    assert outcome.err == "error: --plot needs matplotlib\n  hint: pip install 'cnncalc[plot]'\n"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [([], {"numpy", "torch", "matplotlib", "PIL"}), (["--layer", "stage3"], {"torch", "matplotlib", "PIL"})],
)
def test_what_is_not_needed_is_not_imported(arguments: list[str], absent: set[str]):
    line = ["rf", "resnet18", *arguments]
    code = f"from cnncalc.__main__ import run\nassert run({line}) == 0\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert not absent & set(result.stdout.split("\n")[-2].split())


def test_a_picture_of_three_dimensions_has_the_last_two_axes(run: Run, tmp_path: Path):
    pytest.importorskip("matplotlib")
    from cnncalc.report.pictures import plane

    path = tmp_path / "net.yaml"
    path.write_text("input: [1, 9, 6, 14]\nlayers: [{conv: {out: 2, kernel: [2, 3, 5]}}]\n")
    unit = unit_report(load(path), "conv1", "4,1,7")
    drawn = plane(unit)
    assert (drawn.sizes, drawn.boxes) == ((6, 14), ((1, 3), (7, 11)))
    # one path from each pixel of 2×3×5; the two planes of the first axis lie one behind the other
    box = np.zeros((6, 14), bool)
    box[1:4, 7:12] = True
    assert np.array_equal(drawn.reached, box)
    assert np.array_equal(drawn.shares, box * 1.0)
    text = run("rf", path, "--layer", "conv1", "--unit", "4,1,7").out
    picture = [line for line in text.splitlines() if line.startswith("|")]
    # two rows of pixels to a line: rows 1 to 3 and columns 7 to 11, the first line half of it
    assert picture == ["|       %%%%%  |", "|       @@@@@  |", "|              |"]


def test_where_every_unit_sees_padding_the_border_is_whole(run: Run, tmp_path: Path):
    path = tmp_path / "b.yaml"
    path.write_text("input: [1, 1, 1]\nlayers: [{conv: {out: 4, kernel: 3, padding: 1, name: a}}]\n")
    out = run("rf", path).out.splitlines()
    (row,) = [line.split() for line in out if line.startswith("a ")]
    assert row == ["a", "conv", "4×1×1", "3", "1", "-1", "0", "1", "100"]


def test_a_box_that_is_reached_whole_has_no_holes(run: Run, tmp_path: Path):
    path = tmp_path / "b.yaml"
    path.write_text("input: [1, 9, 9]\nlayers: [{conv: {out: 4, kernel: 3, padding: 1, name: a}}]\n")
    out = run("rf", path, "--layer", "a", "--no-picture").out.splitlines()
    assert "9 pixels reach the unit, 100% of the box inside the input" in out
