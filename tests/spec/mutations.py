"""Random specs: mutations of the shipped nets, and documents made of the language's own words.

``python -m tests.spec.mutations FIRST LAST`` tries the seeds from FIRST to before LAST and prints each that ends in
anything but a graph or a message, or that takes long.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from cnncalc.api import analyze
from cnncalc.document.terminal import render
from cnncalc.errors import CnncalcError
from cnncalc.layers import REGISTRY
from cnncalc.layers.fields import choices, required_fields
from cnncalc.report.analyze import document as page
from cnncalc.sources import load_text, specs_dir
from cnncalc.spec.expression import CONSTANTS, FUNCTIONS
from cnncalc.spec.fields import aliases, choice_words
from cnncalc.spec.language import BLOCK, CHOICE, META, REPEAT, RESIDUAL, SIZES, SPEC, STRUCTURES

ZOO = {path.stem: path.read_text(encoding="utf-8") for path in sorted(Path(specs_dir()).glob("*.yaml"))}
FIELDS = {field for layer in REGISTRY.values() for field in layer.__struct_fields__}
VARIABLES = (*SIZES, "index")
KEYS = {*SPEC, *BLOCK, *REPEAT, *CHOICE, *RESIDUAL, *META, *STRUCTURES, "branches", "required", *CONSTANTS}
WORDS = sorted({*aliases(), *choice_words(), *FIELDS, *KEYS, *VARIABLES, *FUNCTIONS})
NUMBERS = ["0", "-1", "1", "2", "3", "7", "64", "65", "1.5", "-2", "0.5", "1e3", "1e-9", "1000000", "10**9", "'3'"]
NUMBERS += ["9**9**9", "99999999999999999999", ".inf", ".nan", "[]", "[1, 2]", "[[1, 2], 1]"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", "and", "or", "in", "|", "is"]
CHARACTERS = list("[]{}:,-'\"#&*!|>%@`?\t \n\\0123456789abxé()/+=<.~\u202e\x1b\x00\ufeff\u2028\x85\r\ud800")
WORD, NUMBER = re.compile(r"[a-z_]+"), re.compile(r"\d+(\.\d+)?")

Random = random.Random


# -- mutations -------------------------------------------------------------------------------------


def mutated(rng: Random, text: str) -> str:
    """A text with a few changes of any kind."""
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        text = rng.choice(MUTATIONS)(rng, text) or " "
    return text


def replaced(rng: Random, text: str, pattern: re.Pattern[str], by: Callable[[], str]) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + by() + text[match.end() :]


def line_deleted(rng: Random, text: str) -> str:
    lines = text.split("\n")
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def line_doubled(rng: Random, text: str) -> str:
    lines = text.split("\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return "\n".join(lines)


def lines_swapped(rng: Random, text: str) -> str:
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def line_shifted(rng: Random, text: str) -> str:
    lines = text.split("\n")
    i = rng.randrange(len(lines))
    by = rng.randrange(1, 5)
    lines[i] = " " * by + lines[i] if rng.random() < 0.5 else lines[i][by:]
    return "\n".join(lines)


def character_changed(rng: Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(CHARACTERS) + text[at + rng.randrange(2) :]


def stretch_deleted(rng: Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + text[at + rng.randrange(1, 40) :]


def number_changed(rng: Random, text: str) -> str:
    return replaced(rng, text, NUMBER, lambda: rng.choice(NUMBERS))


def word_changed(rng: Random, text: str) -> str:
    return replaced(rng, text, WORD, lambda: rng.choice(WORDS))


def word_moved(rng: Random, text: str) -> str:
    words = WORD.findall(text) or [""]
    return replaced(rng, text, WORD, lambda: rng.choice(words))


MUTATIONS = (
    line_deleted,
    line_doubled,
    lines_swapped,
    line_shifted,
    character_changed,
    stretch_deleted,
    number_changed,
    word_changed,
    word_changed,
    word_moved,
)


# -- documents -------------------------------------------------------------------------------------


def expression(rng: Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(["0", "1", "2", "3", "1.5", "a", "b", *SIZES, "[1,2]", "true", "null", "relu"])

    def part() -> str:
        return expression(rng, depth - 1)

    forms: list[Callable[[], str]] = [
        lambda: f"{part()} {rng.choice(OPERATORS)} {part()}",
        lambda: f"({part()})",
        lambda: f"{part()} if {part()} else {part()}",
        lambda: f"{part()}[{part()}]",
        lambda: f"{rng.choice([*FUNCTIONS, 'open'])}({', '.join(part() for _ in range(rng.randrange(3)))})",
        lambda: f"-{part()}",
        lambda: f"not {part()}",
    ]
    return rng.choice(forms)()


def value(rng: Random, depth: int) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(["1", "2", "3", "4", "8", "16"])
    if kind < 0.5:
        return rng.choice(NUMBERS)
    if kind < 0.6:
        return rng.choice(WORDS)
    if kind < 0.75 or depth == 0:
        return f'"{expression(rng, 3)}"'
    if kind < 0.9:
        return f"[{', '.join(value(rng, depth - 1) for _ in range(rng.randrange(4)))}]"
    return body(rng, depth - 1)


def layer(rng: Random, depth: int) -> str:
    kind = rng.random()
    if kind < 0.08:
        return f"{{repeat: {{times: {rng.choice(['0', '2', '3', 'a', value(rng, 0)])}, layers: {body(rng, depth)}}}}}"
    if kind < 0.16:
        return f'{{if: "{expression(rng, 2)}", then: {body(rng, depth)}, else: {body(rng, depth)}}}'
    if kind < 0.26:
        when = f', when: "{expression(rng, 2)}"' if rng.random() < 0.3 else ""
        return f"{{residual: {{body: {body(rng, depth)}, shortcut: {body(rng, depth)}{when}}}}}"
    if kind < 0.38:
        merges = sorted(name for name, cls in REGISTRY.items() if cls.arity[1] != 1)
        return f"{{{rng.choice(merges)}: [{', '.join(body(rng, depth) for _ in range(rng.randrange(4)))}]}}"
    if kind < 0.48:
        return rng.choice(
            ["b1", "b2", f"{{b1: {{a: {value(rng, 1)}}}}}", f"{{b2: {value(rng, 1)}}}", "{activation: a}"]
        )
    name = rng.choice(sorted(REGISTRY))
    if kind < 0.55:
        return name
    if kind < 0.6:
        return f"{{{name}: {value(rng, 1)}}}"
    return f"{{{name}: {{{', '.join(fields(rng, name))}}}}}"


def fields(rng: Random, name: str) -> list[str]:
    cls = REGISTRY[name]
    needed = required_fields(cls)
    written = []
    for field in cls.__struct_fields__:
        if rng.random() < (0.97 if field in needed else 0.2):
            words = sorted(choices(cls)[field])
            simple = (
                rng.choice(words) if words and rng.random() < 0.6 else rng.choice(["1", "2", "3", "[1, 2]", "true"])
            )
            written.append(f"{field}: {simple if rng.random() < 0.7 else value(rng, 1)}")
    if rng.random() < 0.15:
        written.append(f"name: {rng.choice(['t', 'u', 'a'])}")
    if rng.random() < 0.15:
        source = rng.choice(
            ["t", "u", "-1", "input", "[-1, t]", "[t, u, -1]", "relu1", "split1.0", "[input, input]", "[]"]
        )
        written.append(f"from: {source}")
    if rng.random() < 0.1:
        written.append("share: s")
    return written


def body(rng: Random, depth: int) -> str:
    if depth <= 0:
        return rng.choice(["[]", "[relu]", "[batch_norm]"])
    return f"[{', '.join(layer(rng, depth - 1) for _ in range(rng.choice([0, 1, 1, 2, 3])))}]"


def document(rng: Random) -> str:
    """A spec from the language's grammar, most often with something wrong in it."""
    shape = [rng.choice([1, 2, 3, 4, 8, 16]) for _ in range(rng.choice([1, 2, 3, 3, 3, 3, 4]))]
    lines = [
        f"input: {rng.choice([f'{shape}', f'{shape}', f'{shape}', f'{{input: {shape}, t: {shape}}}', '[a, 8, 8]'])}",
        f"args: {{a: {rng.choice(['1', '2', '4', 'relu', '[1, 2]', 'b1'])}, b: {value(rng, 1)}}}",
        "blocks:",
        f"  b1: {{args: {{a: {rng.choice(['1', '2', 'in_channels', 'required'])}}}, layers: {body(rng, 2)}}}",
        f"  b2: {{args: {{x: required, y: in_channels}}, layers: {body(rng, 2)}}}",
        "layers:",
        *(f"  - {layer(rng, 3)}" for _ in range(rng.randrange(1, 7))),
    ]
    if rng.random() < 0.2:
        lines.append(f"outputs: {rng.choice(['[t]', '[relu1]', '{x: t}', '[input]', 'conv1'])}")
    return "\n".join(lines) + "\n"


# -- names -----------------------------------------------------------------------------------------

HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "a.b",
    "a..b",
    "0",
    "-1",
    "1e5",
    "9" * 5000,
    "a" * 1001,
    "{",
    "}}",
    "{{}}",
    "{index}",
    "{1/0}",
]
HOSTILE += [
    "\x1b[31m",
    "\u202e",
    "\r\n",
    "::error::x",
    "=cmd()",
    "'",
    '"',
    "\\",
    "é",
    "日本",
    "%0A",
    "$(x)",
    "__init__",
    "None",
]
HOSTILE += [
    "class",
    "self",
    "torch",
    "true",
    "null",
    "in_channels",
    "input",
    "relu",
    "relu1",
    "conv",
    "s.0",
    "s.99999999999",
]


def named(rng: Random) -> str:
    """A spec whose names are anything, most often the same few in several places."""
    pool = [rng.choice(HOSTILE) for _ in range(3)] + ["x", "s"]

    def name() -> str:
        return json.dumps(rng.choice(pool))

    def layer() -> str:
        fields = [f"{key}: {name()}" for key in META if rng.random() < 0.4]
        kind = rng.choice(["relu: {", "conv: {out: 4, kernel: 1, ", "b: {w: 4, ", "split: {chunks: 3, "])
        return f"{{{kind}{', '.join(fields)}}}}}"

    layers = [layer() for _ in range(rng.randrange(1, 5))]
    layers[rng.randrange(len(layers))] = f"{{repeat: {{times: 2, layers: [{layer()}, {layer()}]}}}}"
    return (
        f"name: {name()}\nsource: {name()}\n"
        f"input: {rng.choice(['[3, 8, 8]', f'{{{name()}: [3, 8, 8]}}', f'{{x: [3, 8, 8], {name()}: [3, 8, 8]}}'])}\n"
        f"args: {{{rng.choice(['a', 'index', name()])}: {name()}}}\n"
        f"blocks: {{{rng.choice(['b', 'b', 'b', name()])}: {{args: {{w: 4}}, layers: [{layer()}]}}}}\n"
        f"layers: [{', '.join(layers)}]\n"
        + rng.choice(["", "", f"outputs: [{name()}]\n", f"outputs: {{{name()}: x}}\n"])
    )


# -- command lines ---------------------------------------------------------------------------------

OPTIONS = {
    "analyze": [
        "columns",
        "depth",
        "sort",
        "top",
        "show",
        "label-smoothing",
        "images",
        "epochs",
        "fit",
        "batch",
        "dtype",
    ],
    "rf": ["layer", "unit", "from"],
    "lint": ["select", "ignore"],
    "sizes": ["near", "at"],
    "explain": ["total", "batch", "dtype"],
    "check": ["max", "min", "batch"],
    "conventions": ["tool", "functional", "batch"],
    "diff": ["set-a", "set-b", "variant-a", "input-b", "fail-on", "depth", "batch"],
}
COMMON = ["set", "variant", "input", "format"]
TEXTS = [
    "params",
    "macs",
    "conv1",
    "relu*",
    "all",
    "json",
    "csv",
    "a=2",
    "b=[1,2]",
    "a=9**9**9",
    "params=1M",
    "params>+1%",
    "x",
    "=",
]
TEXTS += [
    "3x8x8",
    "1x3x8x8",
    "8x8x3",
    "3x",
    "0x1",
    "3x9999999999999999999x1",
    "4,4",
    "memory",
    "float16",
    "CNN1",
    "thop",
    "é\x1b",
]
SMALL = ["lenet5", "squeezenet1_0", "net.yaml", "net.yaml", "net.yaml", "net.yaml", "none.yaml", "."]


def line(rng: Random) -> list[str]:
    """A command line about a shipped net or ``net.yaml``, with options that may mean nothing."""
    command = rng.choice(sorted(OPTIONS))
    sources = [rng.choice(SMALL) for _ in range(2 if command == "diff" else 1)]
    words = [command, *sources, *(["--max", "4"] if command == "sizes" else [])]
    for _ in range(rng.randrange(4)):
        option = rng.choice([*OPTIONS[command], *COMMON])
        words += [f"--{option}", rng.choice([*TEXTS, *NUMBERS, *WORDS, expression(rng, 2), rng.choice(HOSTILE)])]
    return words


# -- trials ----------------------------------------------------------------------------------------


def trial(seed: int) -> str:
    """The spec of a seed."""
    rng = Random(seed)
    kind = rng.random()
    if kind < 0.5:
        return mutated(rng, ZOO[rng.choice(sorted(ZOO))])
    if kind < 0.65:
        return named(rng)
    if kind < 0.7:
        head = "input: [3, 8, 8]\nargs: {a: 2, b: [1, 2]}\nlayers: "
        return head + f'[{{conv: {{out: "{expression(rng, 6)}", kernel: 1}}}}]\n'
    text = document(rng)
    return mutated(rng, text) if rng.random() < 0.3 else text


def outcome(text: str) -> str | None:
    """``None`` for a net with all its numbers, or the message.

    Anything else that a spec can lead to is a fault, and leaves as the exception that it is.
    """
    try:
        graph = load_text(text, "net.yaml")
    except CnncalcError as error:
        return str(error)
    report = analyze(graph)
    report.to_json()
    render(page(report), width=80)
    return None


def main() -> None:
    first, last = int(sys.argv[1]), int(sys.argv[2])
    right, seen = 0, set()
    for seed in range(first, last):
        text = trial(seed)
        started = time.process_time()
        try:
            right += outcome(text) is None
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            fault = (type(error).__name__, place.filename, place.lineno)
            if fault not in seen:
                seen.add(fault)
                print("seed", seed, *fault, str(error)[:200], flush=True)
        spent = time.process_time() - started
        if spent > 1:
            print(f"seed {seed} took {spent:.1f} s", flush=True)
    print(f"seeds {first} to {last}: {right} nets, {len(seen)} faults")


if __name__ == "__main__":
    main()
