"""How the work grows with the number of layers, relative to ``yaml.compose`` with libyaml on the same file.

    python benchmarks/scale.py [--rounds 5]

For flat files of 1,000, 10,000 and 100,000 layers: the CPU time of reading, of all analyses and of the
JSON, each the least of several rounds, next to that of ``yaml.compose(text, Loader=yaml.CSafeLoader)`` in the same
rounds. Limits: at 100,000 layers reading takes at most 3 times what ``compose`` takes, time per layer grows by at most
half from 1,000 to 100,000 layers, and a ``repeat`` to 100,000 layers, analysed and written as JSON,
stays under 1 GB. Exit status 1 where one is missed.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cnncalc import analyze  # noqa: E402
from cnncalc.sources import load_text  # noqa: E402

UNITS = {
    "convolutions": ["conv: {out: 8, kernel: 3, padding: 1}"],
    "conv-bn-relu": ["conv: {out: 8, kernel: 3, padding: 1, bias: false}", "batch_norm", "relu"],
    "bare names": ["relu"],
}
"""The last has the shortest text of a layer; it is shown, but not subject to the limit on reading."""
SIZES = (1_000, 10_000, 100_000)
PEAK = """
import resource, sys
from cnncalc import analyze
from cnncalc.sources import load_text
analyze(load_text(sys.stdin.read())).to_json()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def flat(unit: list[str], layers: int) -> str:
    body = "".join(f"  - {unit[number % len(unit)]}\n" for number in range(layers))
    return f"input: [3, 32, 32]\nlayers:\n{body}"


def repeated(unit: list[str], layers: int) -> str:
    body = ", ".join(f"{{{layer}}}" if ":" in layer else layer for layer in unit)
    times = -(-layers // len(unit))
    return f"input: [3, 32, 32]\nlayers:\n  - repeat: {{times: {times}, layers: [{body}]}}\n"


def measured(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least CPU seconds of each step; the steps take turns."""
    least = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            gc.collect()
            gc.disable()
            begin = time.process_time()
            step()
            least[name] = min(least[name], time.process_time() - begin)
            gc.enable()
    return least


def times(text: str, rounds: int) -> dict[str, float]:
    graph = load_text(text)
    report = analyze(graph)
    return measured(
        {
            "compose": lambda: yaml.compose(text, Loader=yaml.CSafeLoader),
            "load": lambda: load_text(text),
            "analyze": lambda: analyze(graph),
            "json": report.to_json,
        },
        rounds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    missed = []
    head = "   layers  µs per layer:  compose      load   analyze      json      load        all"
    for name, unit in UNITS.items():
        print(f"{name}: {', '.join(unit)}")
        print(head)
        per_layer = {}
        for layers in SIZES:
            # Many rounds of the small file, which ends before the processor is at full speed.
            spent = times(flat(unit, layers), rounds if layers > 20_000 else rounds * 4)
            whole = spent["load"] + spent["analyze"] + spent["json"]
            per_layer[layers] = whole / layers
            micro = "  ".join(f"{seconds / layers * 1e6:8.2f}" for seconds in spent.values())
            ratio, total = spent["load"] / spent["compose"], whole / spent["compose"]
            print(f"{layers:9,}  {'':9}  {micro}  {ratio:7.2f} ×  {total:7.2f} ×")
            if layers == SIZES[-1] and ratio > 3 and name != "bare names":
                missed.append(f"{name}: load takes {ratio:.2f} times compose, more than 3")
        growth = per_layer[SIZES[-1]] / per_layer[SIZES[0]]
        print(f"{'':9}  time per layer from {SIZES[0]:,} to {SIZES[-1]:,} layers: {growth:.2f} ×\n")
        if growth > 1.5:
            missed.append(f"{name}: time per layer grows {growth:.2f} times, more than 1.5")
    text = repeated(UNITS["conv-bn-relu"], SIZES[-1])
    result = subprocess.run(
        [sys.executable, "-c", PEAK], input=text, capture_output=True, text=True, check=True, cwd=ROOT
    )
    megabytes = int(result.stdout) / (1e6 if sys.platform == "darwin" else 1e3)
    print(f"repeat to {SIZES[-1]:,} layers, analysed and as JSON: peak of {megabytes:,.0f} MB")
    if megabytes > 1000:
        missed.append(f"repeat takes {megabytes:,.0f} MB, more than 1,000")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
