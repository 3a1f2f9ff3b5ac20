"""What machines read stays: of these command lines no key goes or changes, and no status; keys may be added.

The command lines are the keys of ``lines`` in the file: with each its status and what stands at each key of the
output, by a digest where it is long. ``CNNCALC_FREEZE=1 pytest tests/commands/test_frozen.py`` writes today's output
there, after a change that is meant, or after a new command line was added with the value null.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from cnncalc import __version__
from cnncalc.__main__ import run

FILE = Path(__file__).parent.parent / "data" / "frozen.json"
LINES = list(json.loads(FILE.read_text(encoding="utf-8"))["lines"])
SPEC = """name: net
args: {width: 6}
input: [3, 33, 31]
layers:
  - conv: {name: c1, out: width, kernel: 1, stride: 2}
  - softmax
  - conv: {out: width, kernel: 3, dilation: 2}
  - relu
  - conv_transpose: {out: 4, kernel: 3, stride: 2}
  - flatten
  - linear: {out: 5}
budget: {params: {max: 300}, macs: {max: 1M}}
"""
Known = dict[str, Any]


def named(pairs: list[tuple[str, Any]]) -> Known:
    """An object of JSON; in a schema without its words, which are for people, and the keys it requires are keys."""
    made = dict(pairs)
    if made.keys() & {"type", "$ref", "anyOf", "properties"} and isinstance(made.get("description"), str):
        del made["description"]
    return made | ({"required": dict.fromkeys(made["required"])} if isinstance(made.get("required"), list) else {})


def said(line: str, folder: Path) -> tuple[int, Known]:
    """The status, and the output by its keys; what is not JSON, and the language of the specs, is one text."""
    command, *more = shlex.split(line)
    fixed = command in ("convert", "schema") or more[:1] == ["show"] or "--format" in more
    with chdir(folder), redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()):
        status = run([command, *more, *([] if fixed else ["--format", "json"])])
    text = re.sub(r"NumPy [\d.]+", "NumPy", out.getvalue().replace(f'"{__version__}"', '""'))
    if not text.startswith("{") or "sarif" in more:
        return status, {"text": text}
    # The last digits of a logarithm are the platform's.
    read = json.loads(text, object_pairs_hook=named, parse_float=lambda number: f"{float(number):.12g}")
    return status, {"text": json.dumps(read, sort_keys=True)} if line == "schema spec" else read


def learn(value: Any, known: Known) -> None:
    """Add the keys in a value; all items of a list are one."""
    for key, item in value.items() if isinstance(value, dict) else []:
        learn(item, known.setdefault(key, {}))
    for item in value if isinstance(value, list) else []:
        learn(item, known)


def prune(value: Any, known: Known) -> Any:
    """The value without the keys that are not known."""
    if isinstance(value, dict):
        return {key: prune(item, known[key]) for key, item in value.items() if key in known}
    return [prune(item, known) for item in value] if isinstance(value, list) else value


def digests(answer: Known, known: Known) -> dict[str, str]:
    """What is known at each key of the answer, by a digest where it is long."""
    texts = {key: json.dumps(value, sort_keys=True) for key, value in prune(answer, known).items()}
    return {k: t if len(t) < 16 else hashlib.sha256(t.encode()).hexdigest()[:16] for k, t in sorted(texts.items())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("frozen")
    (made / "net.yaml").write_text(SPEC)
    return made


@pytest.fixture(scope="module")
def frozen(folder: Path) -> Known:
    if os.environ.get("CNNCALC_FREEZE"):
        answers = {line: said(line, folder) for line in LINES}
        keys: Known = {}
        for line, (_, answer) in answers.items():
            learn(answer, keys.setdefault(line.split()[0], {}))
        lines = {line: [status, digests(answer, keys[line.split()[0]])] for line, (status, answer) in answers.items()}
        rows = [f"{json.dumps(line)}: {json.dumps(row, separators=(',', ':'))}" for line, row in lines.items()]
        short = json.dumps(keys, sort_keys=True, separators=(",", ":"))
        FILE.write_text('{"keys": ' + short + ',\n"lines": {\n' + ",\n".join(rows) + "\n}}\n", encoding="utf-8")
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("line", LINES)
def test_what_machines_read_is_as_it_was(frozen: Known, folder: Path, line: str) -> None:
    status, answer = said(line, folder)
    was_status, was = frozen["lines"][line]
    now = digests(answer, frozen["keys"][line.split()[0]])
    assert status == was_status
    assert {key for key in was | now if was.get(key) != now.get(key)} == set(), "what stands at these keys differs"


def test_a_key_may_be_added_and_none_may_go_or_change(frozen: Known, folder: Path) -> None:
    _, answer = said("analyze lenet5 --show all", folder)
    known, was = frozen["keys"]["analyze"], frozen["lines"]["analyze lenet5 --show all"][1]
    layer = answer["layers"][3]
    layer["new"] = answer["new"] = 1
    assert digests(answer, known) == was
    layer["params"] += 1
    changed = digests(answer, known)
    layer["params"] -= 1
    del layer["macs"]
    assert {key for key in was if changed[key] != was[key]} == {"layers"}
    assert digests(answer, known)["layers"] not in (was["layers"], changed["layers"])
