"""How long ``cnncalc analyze specs/resnet.yaml`` takes from the shell, in units of ``python -c pass``.

    python benchmarks/cold_start.py [--runs 21]

All commands run in turn within each round, so that other work on the machine affects all
equally; medians are compared. Limits: JSON at most 9 times ``python -c pass``, the table at most 10,
and both at least 20 times less than a script that imports torch and counts the same ResNet-50 with
``torch.utils.flop_counter``. Exit status 1 where one is missed.

Bytecode is compiled before the first round, as it is for an installed package.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SPEC = str(ROOT / "specs" / "resnet.yaml")
FLOPS = 8_178_368_512

TORCH = """
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        unit = lambda a, b, k, s: nn.Sequential(nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b))
        self.body = nn.Sequential(unit(inputs, width, 1, 1), nn.ReLU(), unit(width, width, 3, stride), nn.ReLU(),
                                  unit(width, 4 * width, 1, 1))
        changed = stride != 1 or inputs != 4 * width
        self.shortcut = unit(inputs, 4 * width, 1, stride) if changed else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))

layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
inputs = 64
for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
    for block in range(depth):
        layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
        inputs = 4 * width
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
with torch.no_grad(), FlopCounterMode(display=False) as counter:
    net(torch.zeros(1, 3, 224, 224))
print(counter.get_total_flops(), sum(p.numel() for p in net.parameters()))
"""


def commands(torch: bool) -> dict[str, list[str]]:
    analyze = [sys.executable, "-m", "cnncalc", "analyze", SPEC]
    found = {"pass": [sys.executable, "-c", "pass"], "json": [*analyze, "--format", "json"], "table": analyze}
    return found | ({"torch": [sys.executable, "-c", TORCH]} if torch else {})


def measure(runs: int, torch_runs: int) -> dict[str, float]:
    """Median seconds of each command."""
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        lines = commands(torch_runs > 0)
        for name, line in lines.items():
            out = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", env=environment, check=True)
            if name in ("json", "torch") and str(FLOPS) not in out.stdout:
                raise SystemExit(f"{name}: did not count {FLOPS} FLOPs")
        seconds: dict[str, list[float]] = {name: [] for name in lines}
        for round_number in range(runs):
            for name, line in lines.items():
                if name == "torch" and round_number >= torch_runs:
                    continue
                start = time.perf_counter()
                subprocess.run(line, stdout=subprocess.DEVNULL, env=environment, check=True)
                seconds[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=21, help="rounds; medians are compared")
    parser.add_argument("--torch-runs", type=int, default=3, help="rounds that run torch too; 0 leaves it out")
    options = parser.parse_args()
    times = measure(options.runs, options.torch_runs)
    for name, seconds in times.items():
        print(f"{name:<6} {1000 * seconds:8.1f} ms   {seconds / times['pass']:6.2f} × python -c pass")
    verdicts = [
        ("JSON / python -c pass", times["json"] / times["pass"], "at most", 9.0),
        ("table / python -c pass", times["table"] / times["pass"], "at most", 10.0),
    ]
    if "torch" in times:
        verdicts.append(("torch / JSON", times["torch"] / times["json"], "at least", 20.0))
        verdicts.append(("torch / table", times["torch"] / times["table"], "at least", 20.0))
    missed = 0
    for what, ratio, side, limit in verdicts:
        kept = ratio <= limit if side == "at most" else ratio >= limit
        missed += not kept
        print(f"{what:<24} {ratio:6.2f}   ({side} {limit:g}: {'kept' if kept else 'MISSED'})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
