"""Every option of every command does something: with it a call gives another output, status or message than without.

What measures time is compared without the times; whatever it is, the same call twice gives the same.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
from typer.main import get_command

from cnncalc.__main__ import application
from cnncalc.__main__ import run as run_line

NET = """\
name: net
input: [3, 17, 17]
args: {width: 8}
variants: {wide: {width: 16}, slim: {width: 4}}
blocks:
  stage:
    args: {out: required}
    layers:
      - conv: {out: out, kernel: 3, stride: 2, padding: 1, bias: false}
      - batch_norm
      - relu
layers:
  - stage: {out: width}
  - stage: {out: 2 * width}
  - global_avg_pool
  - flatten
  - linear: 10
budget: {params: {max: 1M}}
"""
FILES = {
    "there.dot": "",
    "there.yaml": "",
    "net.yaml": NET,
    "wider.yaml": NET.replace("name: net", "name: wider").replace("2 * width", "3 * width"),
    "blind.yaml": "input: [3, 16, 16]\nlayers: [{conv: {out: 8, kernel: 3, stride: 2}}]\n",
    "heavy.yaml": "input: [64, 32, 32]\nlayers: [{conv: {out: 64, kernel: 3, padding: 1}}]\n",
    "poor.yaml": "input: [3, 16, 16]\nlayers: [relu]\n",
    "none.yaml": "no: spec\n",
    "factories.py": (
        "import torch\n\n"
        "def conv(out=4): return torch.nn.Sequential(torch.nn.Conv2d(3, out, 3), torch.nn.ReLU())\n\n"
        "def words(): return torch.nn.Embedding(10, 8)\n"
    ),
}
KWARGS = "torch:factories:conv --input 3x8x8 | --kwargs '{\"out\": 6}'"
DTYPE = "torch:factories:words --input 5 | --input-dtype int64"

COMMON = {
    "--set": "net.yaml | --set width=12",
    "--variant": "net.yaml | --variant wide",
    "--input": "net.yaml | --input 3x33x33",
    "--format": "net.yaml | --format csv",
    "--output": "net.yaml | --output written",
}
BATCH = {"--batch": "net.yaml | --batch 2"}
TORCH = {"--kwargs": KWARGS, "--input-dtype": DTYPE}
PAIR = "net.yaml net.yaml"

ROWS: dict[str, dict[str, str]] = {
    "analyze": {
        **COMMON,
        **BATCH,
        **TORCH,
        "--columns": "net.yaml | --columns layer,params",
        "--all-variants": "net.yaml | --all-variants",
        "--watch": "lenet5 | --watch",
        "--force": "net.yaml --format csv --output there.yaml | --force",
        "--depth": "net.yaml | --depth 1",
        "--all": "net.yaml --depth 1 | --all",
        "--sort": "net.yaml | --sort params",
        "--top": "net.yaml --sort params | --top 2",
        "--show": "net.yaml | --show memory",
        "--label-smoothing": "net.yaml --show initialisation | --label-smoothing 0.3",
        "--convention": "net.yaml | --convention thop",
        "--images": "net.yaml --show training --epochs 2 | --images 1000",
        "--epochs": "net.yaml --show training --images 1000 | --epochs 7",
        "--machine": "net.yaml | --machine t4",
        "--dtype": "net.yaml --show memory | --dtype float16",
        "--algorithms": "heavy.yaml --machine raspberry_pi_5 | --algorithms fast",
        "--optimizer": "net.yaml --show memory | --optimizer sgd",
        "--mixed-precision": "net.yaml --show memory | --mixed-precision",
        "--checkpoint": "net.yaml --show memory | --checkpoint 1",
        "--fit": "net.yaml --show memory | --fit 1GB",
    },
    "explain": {
        **COMMON,
        **BATCH,
        **TORCH,
        "--format": "net.yaml | --format latex",
        "--force": "net.yaml --output there.yaml --format json | --force",
        "--layer": "net.yaml | --layer stage1.conv1",
        "--total": "net.yaml | --total params",
        "--all": "net.yaml | --all",
        "--sources": "net.yaml stage1.conv1 | --sources",
        "--depth": "net.yaml | --depth 1",
        "--dtype": "net.yaml stage1.conv1 --all | --dtype float16",
        "--compare": "net.yaml stage1.conv1 | --compare",
        "--no-compare": "net.yaml stage1.conv1 --compare | --no-compare",
    },
    "rf": {
        **COMMON,
        **TORCH,
        "--set": "net.yaml --format json | --set width=12",
        "--variant": "net.yaml --format json | --variant wide",
        "--layer": "net.yaml | --layer stage2",
        "--unit": "net.yaml --layer stage2 | --unit corner",
        "--from": "net.yaml | --from stage1.conv1",
        "--columns": "net.yaml | --columns layer,size",
        "--depth": "net.yaml | --depth 1",
        "--sort": "net.yaml | --sort size",
        "--top": "net.yaml | --top 2",
        "--all": "net.yaml --layer stage1 | --all",
        "--picture": "net.yaml | --picture",
        "--no-picture": "net.yaml --layer stage2 | --no-picture",
        "--plot": "net.yaml | --plot a.txt",
        "--force": "net.yaml --format csv --output there.yaml | --force",
        "--image": "net.yaml --layer stage2 --plot a.svg | --image none.yaml",
    },
    "sizes": {
        **COMMON,
        "--set": "net.yaml --max 9 | --set depth=12",
        "--variant": "net.yaml --max 9 | --variant wide",
        "--input": "net.yaml --max 9 | --input 3x18x18",
        "--near": "net.yaml --max 9 | --near 20",
        "--force": "net.yaml --max 9 --format csv --output there.yaml | --force",
        "--at": "blind.yaml --max 9 | --at 3x1x1",
        "--max": "net.yaml --max 9 | --max 12",
        "--format": "net.yaml --max 9 | --format csv",
        "--output": "net.yaml --max 9 | --output written",
    },
    "solve": {
        "--in": "conv --out 7 --in 14 | --in 15",
        "--out": "conv --in 14 --out 7 | --out 6",
        **{
            name: f"conv_transpose --in 7 --out 14 | {name} {value}"
            for name, value in [
                ("--kernel", 4),
                ("--stride", 2),
                ("--padding", 1),
                ("--dilation", 2),
                ("--output-padding", 1),
                ("--limit", 3),
                ("--top", 3),
                ("--format", "csv"),
                ("--output", "written"),
            ]
        },
        "--ceil-mode": "max_pool --in 14 --out 7 | --ceil-mode",
        "--force": "conv --in 14 --out 7 --format csv --output there.yaml | --force",
    },
    "layers": {
        "--format": "conv | --format json",
        "--output": "conv | --output written",
        "--force": "conv --format csv --output there.yaml | --force",
    },
    "conventions": {
        **COMMON,
        **BATCH,
        **TORCH,
        "--tool": "net.yaml | --tool thop",
        "--functional": "net.yaml | --functional relu",
        "--depth": "net.yaml --tool thop | --depth 1",
        "--columns": "net.yaml --tool thop | --columns layer,count",
        "--sort": "net.yaml --tool thop | --sort count",
        "--top": "net.yaml --tool thop | --top 2",
        "--all": "net.yaml --tool thop --depth 1 | --all",
        "--force": "net.yaml --format csv --output there.yaml | --force",
    },
    "lint": {
        **COMMON,
        **TORCH,
        "--set": "net.yaml | --set width=3",
        "--select": "net.yaml | --select CNN1",
        "--ignore": "net.yaml | --ignore CNN",
        "--strict": "blind.yaml | --strict",
        "--rules": "net.yaml | --rules",
        "--explain": "net.yaml | --explain CNN101",
        "--force": "net.yaml --format csv --output there.yaml | --force",
        "--all-variants": "net.yaml | --all-variants",
        "--lenient": "none.yaml | --lenient",
        "--input": "blind.yaml | --input 3x17x17",
    },
    "check": {
        **COMMON,
        **BATCH,
        "--kwargs": KWARGS.replace(" |", " --max params=1M |"),
        "--input-dtype": DTYPE.replace(" |", " --max params=1M |"),
        "--input": "net.yaml --max macs=1 | --input 3x33x33",
        "--batch": "net.yaml --max macs=1 | --batch 2",
        "--max": "net.yaml | --max params=1",
        "--min": "net.yaml | --min params=1M",
        "--force": "net.yaml --format csv --output there.yaml | --force",
        "--all-variants": "net.yaml | --all-variants",
        "--lenient": "poor.yaml | --lenient",
    },
    "diff": {
        **{
            option: f"net.yaml wider.yaml | {words}"
            for option, words in [
                ("--set", "--set width=12"),
                ("--variant", "--variant wide"),
                ("--input", "--input 3x33x33"),
                ("--batch", "--batch 2"),
                ("--fail-on", "--fail-on params>+1%"),
                ("--depth", "--depth 1"),
                ("--all", "--all"),
                ("--columns", "--columns layer,params"),
                ("--sort", "--all --sort params"),
                ("--top", "--all --top 1"),
                ("--format", "--format csv"),
                ("--output", "--output written"),
            ]
        },
        "--force": "net.yaml wider.yaml --format csv --output there.yaml | --force",
        **{
            f"{option}-{side}": f"{PAIR} | {option}-{side} {value}"
            for option, value in [("--set", "width=12"), ("--variant", "wide"), ("--input", "3x33x33")]
            for side in "ab"
        },
        "--kwargs": "torch:factories:conv net.yaml --input 3x8x8 | --kwargs '{\"out\": 6}'",
        "--kwargs-a": "torch:factories:conv net.yaml --input 3x8x8 | --kwargs-a '{\"out\": 6}'",
        "--kwargs-b": "net.yaml torch:factories:conv --input 3x8x8 | --kwargs-b '{\"out\": 6}'",
        "--input-dtype": "torch:factories:words torch:factories:words --input 5 | --input-dtype int64",
        "--git": "net.yaml | --git HEAD",
    },
    "verify": {
        **{
            option: f"net.yaml --checks shape,flops --format json | {words}"
            for option, words in [
                ("--set", "--set width=12"),
                ("--variant", "--variant wide"),
                ("--input", "--input 3x33x33"),
                ("--batch", "--batch 2"),
                ("--device", "--device nowhere"),
                ("--dtype", "--dtype float64"),
                ("--layers", "--layers stage1.*"),
                ("--layer", "--layer stage1.*"),
                ("--checks", "--checks params"),
                ("--format", "--format csv"),
                ("--output", "--output written"),
            ]
        },
        "--kwargs": KWARGS.replace(" |", " --checks shape --format json |"),
        "--input-dtype": DTYPE.replace(" |", " --checks shape |"),
        "--table": "net.yaml --checks shape | --table",
        "--force": "net.yaml --checks shape --format csv --output there.yaml | --force",
        "--backend": "net.yaml --checks shape | --backend numpy",
        "--random": "--checks shape --random 1 | --random 2",
        "--seed": "--checks shape --random 1 --format json --layers '*' | --seed 5",
    },
    "bench": {
        **{
            option: f"net.yaml --repeat 1 --format json | {words}"
            for option, words in [
                ("--set", "--set width=12"),
                ("--variant", "--variant wide"),
                ("--input", "--input 3x33x33"),
                ("--batch", "--batch 2"),
                ("--device", "--device nowhere"),
                ("--dtype", "--dtype float64"),
                ("--repeat", "--repeat 2"),
                ("--backward", "--backward"),
                ("--machine", "--machine t4"),
                ("--machines", "--machines"),
                ("--calibrate", "--calibrate there.yaml"),  # refused before it measures
                ("--depth", "--depth 1"),
                ("--format", "--format csv"),
                ("--output", "--output written"),
            ]
        },
        "--force": "--machines --format csv --output there.yaml | --force",
        "--all": "net.yaml --repeat 1 --format json --depth 1 | --all",
        "--columns": "net.yaml --repeat 1 --format csv | --columns layer",
        "--sort": "net.yaml --repeat 1 --format csv --columns layer | --sort layer",
        "--top": "net.yaml --repeat 1 --format json | --top 2",
        "--kwargs": KWARGS.replace(" |", " --repeat 1 --format json |"),
        "--input-dtype": DTYPE.replace(" |", " --repeat 1 --format json |"),
        "--threads": "net.yaml --repeat 1 --format json --threads 1 | --threads 2",
        "--algorithms": "heavy.yaml --repeat 1 --format json --machine raspberry_pi_5 | --algorithms fast",
    },
    "convert": {
        **{
            option: f"net.yaml written.yaml | {words}"
            for option, words in [
                ("--to", "--to dot"),
                ("--set", "--set width=12"),
                ("--variant", "--variant wide"),
                ("--input", "--input 3x33x33"),
            ]
        },
        "--depth": "net.yaml written.dot | --depth 1",
        "--force": "net.yaml there.dot | --force",
        "--kwargs": "torch:factories:conv written.yaml --input 3x8x8 | --kwargs '{\"out\": 6}'",
        "--input-dtype": "torch:factories:words written.yaml --input 5 | --input-dtype int64",
    },
    "schema": {"--output": "report | --output written", "--force": "report --output there.yaml | --force"},
    "zoo list": {
        "--sort": "| --sort params",
        "--top": "| --top 3",
        "--all": "--top 3 | --all",
        "--format": "| --format csv",
        "--output": "| --output written",
        "--force": "--format csv --output there.yaml | --force",
    },
    "zoo show": {
        "--path": "lenet5 | --path",
        "--output": "lenet5 | --output written",
        "--force": "lenet5 --output there.yaml | --force",
    },
}
"""For each option a line without it, and after the bar what is added. What is given twice counts as given last."""


def options() -> Iterator[tuple[str, str]]:
    """Every command with every option."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, str]]:
        for word, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{name} {word}".strip())
        if not hasattr(command, "commands"):
            for parameter in command.params:
                if parameter.param_type_name == "option":
                    yield from ((name, option) for option in (*parameter.opts, *parameter.secondary_opts))

    yield from walk(get_command(application([])), "")


def test_every_option_has_a_row() -> None:
    assert sorted(options()) == sorted((command, option) for command, rows in ROWS.items() for option in rows)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], tuple[object, ...]]]:
    """What a command gives for a line of words: status, output, messages and the files that it writes."""
    folder = tmp_path_factory.mktemp("nets")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    if shutil.which("git"):
        who = ["-c", "user.name=A. Tester", "-c", "user.email=tester@example.org"]
        for words in (["init", "-q"], ["add", "net.yaml"], [*who, "commit", "-qm", "base"]):
            subprocess.run(["git", *words], cwd=folder, check=True, timeout=60)

    def call(command: str, line: str) -> tuple[object, ...]:
        from contextlib import redirect_stderr, redirect_stdout
        from io import StringIO

        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run_line([*command.split(), *shlex.split(line)])
        files = sorted(set(folder.iterdir()) - {folder / name for name in (*FILES, ".git", "__pycache__")})
        written = [(file.name, file.read_bytes()) for file in files]
        for file in files:
            file.unlink()
        timeless = re.sub(
            r'"(?:(?!bound)\w*_ps|times_bound)": ?[\d.e+]+|"above_measured": ?\[[^]]*\]|\d[\d.,]* ?s\b',
            "#",
            out.getvalue(),
        )
        return status, timeless, err.getvalue(), written

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield cache(call)
        sys.modules.pop("factories", None)


@pytest.mark.parametrize("command", ROWS)
def test_the_same_call_twice_gives_the_same(call: Callable[[str, str], tuple[object, ...]], command: str) -> None:
    if command in ("verify", "bench") and find_spec("torch") is None:
        pytest.skip("needs PyTorch")
    line = next(iter(ROWS[command].values())).partition("|")[0]
    assert call.__wrapped__(command, line) == call.__wrapped__(command, line)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command, rows in ROWS.items() for option in rows]
)
def test_an_option_does_something(call: Callable[[str, str], tuple[object, ...]], command: str, option: str) -> None:
    without, _, added = (part.strip() for part in ROWS[command][option].partition("|"))
    assert option in shlex.split(added)
    if (command in ("verify", "bench") or "torch:" in without) and find_spec("torch") is None:
        pytest.skip("needs PyTorch")
    if option == "--git" and shutil.which("git") is None:
        pytest.skip("needs git")
    plain = call(command, without)
    changed = call(command, f"{without} {added}")
    assert changed != plain
    # Nothing that a row is for is refused for want of its row's own words.
    assert "No such option" not in str(changed[2])
    assert "internal error" not in f"{plain}{changed}"
