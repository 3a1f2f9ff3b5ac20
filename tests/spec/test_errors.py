"""What a person reads when a spec is wrong: whole messages, in under a second, and exit status 2.

The folder ``messages`` holds one file per kind of fault. In it each case is a name, the spec, and below
a line of dashes the message, to be read as a user reads it. What cannot be shown there (nesting, bombs,
bytes) is here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cnncalc
from cnncalc.__main__ import run as run_line
from cnncalc.errors import CnncalcError
from cnncalc.sources import load, load_text
from tests.work import at_most

MESSAGES = sorted((Path(__file__).parent / "messages").glob("*.txt"))
SMALL = "input: [3, 32, 32]\nlayers:\n"
WORK = 2_000_000
"""Calls of functions until a fault is told: what took more than a second would make many more."""


def cases():
    found = []
    for path in MESSAGES:
        for case in path.read_text(encoding="utf-8").split("===== ")[1:]:
            name, _, rest = case.partition("\n")
            spec, _, message = rest.partition("\n-----\n")
            found.append(pytest.param(spec + "\n", message.rstrip("\n"), id=f"{path.stem}: {name}"))
    return found


def refusal(text, name="net.yaml", **options):
    with at_most(WORK), pytest.raises(CnncalcError, match="error: ") as caught:
        load_text(text, name, **options)
    message = str(caught.value)
    assert all(line.isprintable() for line in message.split("\n"))
    return message


@pytest.mark.parametrize(("spec", "message"), cases())
def test_messages(spec, message):
    assert refusal(spec) == message


def test_the_command_line_says_the_same(tmp_path, capsys, monkeypatch):
    """Every message on standard error, with exit status 2, nothing on standard output and no traceback."""
    monkeypatch.chdir(tmp_path)
    for case in cases():
        spec, message = case.values
        Path("net.yaml").write_text(spec, encoding="utf-8")
        with at_most(WORK):
            status = run_line(["analyze", "net.yaml"])
        captured = capsys.readouterr()
        assert (status, captured.out, captured.err) == (2, "", message + "\n")


# What is too large to be shown.


def chain(levels, body, end):
    blocks = "".join(f"  b{i}: {{layers: {body.format(i + 1)}}}\n" for i in range(levels))
    return f"input: [3, 8, 8]\nblocks:\n{blocks}  b{levels}: {{layers: {end}}}\nlayers: [b0]\n"


def bomb():
    first = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    return first + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )


@pytest.mark.parametrize(
    ("text", "first", "hint"),
    [
        (
            SMALL[:-1] + " " + "[" * 10_000 + "]" * 10_000,
            "net.yaml:2:108: error: nested deeper than 100 levels",
            "use blocks to give structure a name",
        ),
        (
            SMALL[:-1] + " " + "[" * 10_000,
            "net.yaml:2:108: error: nested deeper than 100 levels",
            "use blocks to give structure a name",
        ),
        (
            SMALL[:-1] + " " + "{a: " * 10_000 + "}" * 10_000,
            "net.yaml:2:405: error: nested deeper than 100 levels",
            "use blocks to give structure a name",
        ),
        (
            SMALL + "  " + "- " * 10_000 + "relu\n",
            "net.yaml:3:201: error: nested deeper than 100 levels",
            "use blocks to give structure a name",
        ),
        (
            SMALL + "".join("  " * depth + "- a:\n" for depth in range(1, 2000)),
            "net.yaml:52:103: error: nested deeper than 100 levels",
            "use blocks to give structure a name",
        ),
        (
            SMALL + "  - conv: {out: '" + "(" * 10_000 + "1" + ")" * 10_000 + "', kernel: 3}\n",
            "net.yaml:3:18: error: the expression is longer than 1000 characters",
            None,
        ),
        (
            chain(55, "[" + "{{concat: [[" * 8 + "b{0}" + "]]}}" * 8 + "]", "[relu]"),
            "net.yaml:59:10: error: blocks, branches and repeats are nested too deeply",
            None,
        ),
        (
            bomb(),
            "net.yaml:6:8: error: aliases repeat more than 100,000 values",
            "use blocks and repeat instead of aliases",
        ),
        (
            chain(40, "[b{0}, b{0}]", "[]"),
            "net.yaml:42:23: error: more than 20,000 calls of blocks make almost no layers",
            "where each block calls the next twice, the work doubles from block to block",
        ),
        (chain(40, "[b{0}, b{0}]", "[relu]"), "net.yaml:44:10: error: block 'b0' makes more than 500,000 layers", None),
        (
            chain(30, "[{{residual: {{body: [b{0}], shortcut: [b{0}]}}}}, b{0}]", "[]"),
            "net.yaml:34:10: error: block 'b0' makes more than 500,000 layers",
            None,
        ),
        (
            chain(30, "[{{if: true, then: [b{0}, b{0}], else: []}}]", "[relu]"),
            "net.yaml:34:10: error: block 'b0' makes more than 500,000 layers",
            None,
        ),
        (
            chain(6, "[{{repeat: {{times: 10, layers: [b{0}]}}}}]", "[relu]"),
            "net.yaml:10:10: error: block 'b0' makes more than 500,000 layers",
            None,
        ),
        (
            SMALL + "  - conv: {out: " + "9" * 400 + ", kernel: 3}\n",
            "net.yaml:3:17: error: 'out' of conv must be a whole number, got inf",
            "the number is too large",
        ),
        (
            SMALL + "  - repeat: {times: 100, layers: [{conv: {out: 10**18, kernel: 1}}, flatten, "
            "{reshape: {shape: [1, 1, -1]}}, {conv: {out: 10**18, kernel: 1}}]}\n",
            "net.yaml:3:69: error: flatten: a size of 1024000000000000000000 is beyond 2^63 - 1, the largest whole "
            "number that PyTorch takes",
            None,
        ),
        (
            "input: [3, 8, 9223372036854775808]\nlayers: [relu]\n",
            "net.yaml:1:15: error: an input size must be below 2^63, got 9223372036854775808",
            None,
        ),
        (
            SMALL + "  - split: {chunks: 3, name: s}\n  - relu: {from: s." + "9" * 5000 + "}\n",
            "net.yaml:4:18: error: 's' has 3 outputs, there is no 's." + "9" * 944 + "…",
            "they count from 0",
        ),
        (
            SMALL + "  - relu: {name: " + "9" * 5000 + "}\n",
            "net.yaml:3:18: error: 'name' is longer than 1,000 characters",
            None,
        ),
        (
            SMALL + "  - mean: {axes: [0, 1, 2]}\n  - linear: in_channels\n",
            "net.yaml:4:13: error: the tensor a scalar here has no 'in_channels'",
            "a scalar has neither channels nor spatial sizes",
        ),
        (
            SMALL + "  - split: {chunks: 10**9}\n",
            "net.yaml:3:21: error: 'chunks' of split must be a whole number of at most 10000, "
            "got 1000000000 (from '10**9')",
            None,
        ),
        (
            SMALL + "".join(f"  - relu: {{name: n{i}}}\n" for i in range(5000)) + "  - relu: {from: zzzz}\n",
            "net.yaml:5003:18: error: there is no tensor 'zzzz' to read from",
            "choose from: input, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, … (4989 more); "
            "layers inside a block or branch have a path, e.g. block1.conv2",
        ),
    ],
    ids=lambda value: None if value is None or value.startswith("net.yaml") else f"{len(value)} characters",
)
def test_work_and_size_are_bounded(text, first, hint):
    message = refusal(text)
    assert message.split("\n")[0] == first
    hints = [line for line in message.split("\n") if line.startswith("  hint: ")]
    assert hints == ([] if hint is None else [f"  hint: {hint}"])
    assert len(message) < 2000


def test_a_long_chain_of_calls_is_shortened():
    assert refusal(chain(90, "[b{0}]", "[relu]")) == (
        """\
net.yaml:62:18: error: blocks call each other more than 60 deep
  62 |   b59: {layers: [b60]}
     |                  ^
  in block 'b59', called at net.yaml:61:18
  in block 'b58', called at net.yaml:60:18
  in block 'b57', called at net.yaml:59:18
  in block 'b56', called at net.yaml:58:18
  in block 'b55', called at net.yaml:57:18
  in block 'b54', called at net.yaml:56:18
  … 53 more calls
  in block 'b0', called at net.yaml:94:10"""
    )


def test_a_long_line_is_cut_around_the_fault():
    layers = ", ".join(["relu"] * 100)
    before = "relu, " * 8
    assert refusal(f"input: [3, 8, 8]\nlayers: [{layers}, rleu, {layers}]\n") == (
        f"""\
net.yaml:2:610: error: there is no layer or block 'rleu'
  2 | …, {before}rleu{", relu" * 7}, re…
    | {" " * 51}^
  hint: did you mean 'relu'?"""
    )


def test_many_inputs_that_do_not_add():
    """The two that clash are shown, not all."""
    text = (
        SMALL
        + "  - conv: {out: 3, kernel: 3, name: a}\n  - add:\n      from: ["
        + ", ".join(["input"] * 5000)
        + ", a]\n"
    )
    message = refusal(text)
    assert message.split("\n")[0] == (
        "net.yaml:4:5: error: cannot add 3×32×32 and 3×30×30: height 32 and 30, width 32 and 30 differ"
    )
    assert message.split("\n")[3:-1] == [
        "  first input:",
        "    input  3×32×32",
        "  5001th input:",
        "    input     3×32×32",
        "    a (conv)  3×30×30",
    ]


# Options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"variant": "resnet110"},
            "net.yaml: error: there is no variant 'resnet110'\n  hint: did you mean 'resnet101'?",
        ),
        ({"variant": "x"}, "net.yaml: error: there is no variant 'x'\n  hint: variants: resnet50, resnet101"),
        (
            {"args": ["clases=3"]},
            "net.yaml: error: cannot set 'clases': the spec has no such argument\n  hint: did you mean 'classes'?",
        ),
        (
            {"args": ["x=3"]},
            "net.yaml: error: cannot set 'x': the spec has no such argument\n  hint: arguments: classes, n",
        ),
        ({"args": ["classes"]}, "error: 'classes' is not KEY=VALUE\n  hint: write --set classes=10"),
        (
            {"args": ["classes=3 +"]},
            "net.yaml: error: cannot set 'classes' to '3 +': not an expression: invalid syntax",
        ),
        (
            {"args": ["classes=clases"]},
            "net.yaml: error: cannot set 'classes' to 'clases': there is no variable 'clases' here\n"
            "  hint: in scope here: nothing",
        ),
        (
            {"args": ["classes=9**9**9"]},
            "net.yaml: error: cannot set 'classes' to '9**9**9': "
            "the result is too large (numbers have at most 512 bits)",
        ),
        (
            {"args": {"classes": 1.5}},
            "net.yaml:5:13: error: 'out' of linear must be a whole number, got 1.5 (from 'classes')\n"
            "  5 |   - linear: classes\n    |             ^\n"
            "  hint: '//' divides to a whole number; round(), floor() and ceil() make one",
        ),
        (
            {"input": {"image": (3, 8, 8)}},
            "net.yaml: error: the spec has no input 'image'\n  hint: inputs: input",
        ),
        (
            {"input": (3, 0)},
            "error: (3, 0) is not an input shape\n"
            "  hint: 1 to 4 whole numbers of at least 1 and below 2^63: channels, then the spatial sizes",
        ),
        (
            {"input": ()},
            "error: () is not an input shape\n"
            "  hint: 1 to 4 whole numbers of at least 1 and below 2^63: channels, then the spatial sizes",
        ),
    ],
)
def test_options(options, message):
    text = (
        "input: [8]\nargs: {classes: 10, n: 1}\nvariants: {resnet50: {}, resnet101: {}}\nlayers:\n  - linear: classes\n"
    )
    assert refusal(text, **options) == message


def test_a_net_without_variants():
    assert refusal("input: [8]\nlayers: [relu]\n", variant="x") == (
        "net.yaml: error: there is no variant 'x'\n  hint: it has no variants"
    )


# Files.


def complaint(path, data=None):
    """What ``load`` says to a file with these bytes."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CnncalcError, match="error: ") as caught:
        load(path)
    return str(caught.value).replace(f"{path.parent}{os.sep}", "")


GOOD = "input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3, name: größe}}]\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "net.yaml: error: the file is empty\n  hint: a spec needs at least 'input:' and 'layers:'"),
        (b"# a\n\n", "net.yaml: error: the file is empty\n  hint: a spec needs at least 'input:' and 'layers:'"),
        (b"---\n...\n", "net.yaml: error: the file is empty\n  hint: a spec needs at least 'input:' and 'layers:'"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00",
            "net.yaml:1:1: error: byte 0x89 is not UTF-8\n  hint: is this a binary file?",
        ),
        (
            b"name: a\nsource: caf\xe9\n",
            "net.yaml:2:12: error: byte 0xe9 is not UTF-8\n  hint: save the file as UTF-8",
        ),
        (
            GOOD.encode("utf-16"),
            "net.yaml:1:1: error: byte 0xff is not UTF-8\n  hint: save the file as UTF-8; it looks like UTF-16",
        ),
        (
            b"a\x00b\n",
            "net.yaml:1:2: error: character U+0000 is not allowed in YAML\n  1 | a\\x00b\n    |  ^\n"
            "  hint: is this a binary file?",
        ),
        (
            "name: é\nlayers:\n  - \x1b[31mred\n".encode(),
            "net.yaml:3:5: error: character U+001B is not allowed in YAML\n  3 |   - \\x1b[31mred\n    |     ^",
        ),
    ],
)
def test_files(tmp_path, data, message):
    assert complaint(tmp_path / "net.yaml", data) == message


def test_a_folder(tmp_path):
    (tmp_path / "net.yaml").mkdir()
    assert complaint(tmp_path / "net.yaml") == "net.yaml: error: is a folder, not a spec"


def test_a_missing_file(tmp_path):
    (tmp_path / "resnet.yaml").write_text(GOOD, encoding="utf-8")
    assert complaint(tmp_path / "resnt.yaml") == (
        "resnt.yaml: error: there is no such file\n  hint: did you mean 'resnet.yaml'?"
    )
    assert complaint(tmp_path / "unlike.yml") == "unlike.yml: error: there is no such file"


def test_a_name_that_is_no_shipped_net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CnncalcError, match="error: ") as caught:
        load("resnet51")
    assert str(caught.value) == (
        "resnet51: error: there is no such file or shipped net\n  hint: did you mean 'resnet50'?"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_any_line_end_are_fine(tmp_path, encoding, newline):
    path = tmp_path / "net.yaml"
    path.write_bytes(GOOD.replace("\n", newline).encode(encoding))
    assert load(path).nodes[-1].path == "größe"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser reads everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(GOOD, encoding="utf-8")
    path.chmod(0)
    assert complaint(path) == "net.yaml: error: cannot be read: Permission denied"


def test_terminal_escapes_in_a_net_that_is_right():
    """Such names reach a report as what they are made of, never as what they do."""
    graph = load_text('name: "\\e[31m"\ninput: [3, 8, 8]\nlayers: [{relu: {name: "[bold]\\e[2J\\u202e"}}]\n')
    report = cnncalc.analyze(graph)
    for text in (report.to_json(), str(report)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "[bold]" in report.to_json()


def test_the_process_ends_with_status_2_and_no_traceback(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(SMALL + "  - conv: {out: 9**9**9, kernel: 3}\n", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "cnncalc", "analyze", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"{path}:3:17: error: the result is too large (numbers have at most 512 bits)\n"
        "  3 |   - conv: {out: 9**9**9, kernel: 3}\n    |                 ^\n"
    )
