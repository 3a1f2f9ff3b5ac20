"""What ``cnncalc verify`` costs, in units of one plain forward and backward pass.

    python benchmarks/verify.py [--runs 5] [--threads 2]

Three processes run in turn within each round, so that other work on the machine affects all
equally; medians are compared:

- *plain*: ``import torch``, build the net, one forward and one backward pass at the same size;
- *costs*: ``cnncalc verify resnet50 --checks shape,params,buffers,flops,backward``;
- *all*: ``cnncalc verify resnet50`` with receptive fields and values too, fewer times.

Limit: costs at most 3 times plain. Exit status 1 where it is missed. For each the peak memory is
given (``ru_maxrss`` of the process), and for the checks what each of them takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 3.0
COSTS = "shape,params,buffers,flops,backward"

PLAIN = """
import sys, torch
from torch import nn

def unit(inputs, width, kernel, stride):
    convolution = nn.Conv2d(inputs, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width))

class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.body = nn.Sequential(unit(inputs, width, 1, 1), nn.ReLU(), unit(width, width, 3, stride), nn.ReLU(),
                                  unit(width, 4 * width, 1, 1))
        changed = stride != 1 or inputs != 4 * width
        self.shortcut = unit(inputs, 4 * width, 1, stride) if changed else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))

layers = [unit(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
inputs = 64
for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
    for block in range(depth):
        layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
        inputs = 4 * width
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
assert sum(p.numel() for p in net.parameters()) == 25_557_032
net(torch.randn(1, 3, 224, 224)).sum().backward()
"""

SPLIT = f"""
import sys, time
from cnncalc.sources import load
from cnncalc.torch.verify import verify
graph = load(sys.argv[1])
resize = lambda shapes: load(sys.argv[1], input=shapes)
verify(graph, checks=["shape"])
for checks in ("{COSTS}", "pixels", "field", "jump", "values"):
    start = time.perf_counter()
    verify(graph, checks=checks.split(","), resize=resize)
    print(f"  {{checks:<38}} {{time.perf_counter() - start:6.1f}} s")
"""


def run(line: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak MiB of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(line[-4:])}: exit status {process.returncode}")
    # bytes on macOS, KiB elsewhere
    return seconds, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="rounds; medians are compared")
    parser.add_argument("--all-runs", type=int, default=1, help="rounds that make every check; 0 leaves it out")
    parser.add_argument("--threads", type=int, default=2, help="threads of every process")
    options = parser.parse_args()
    net = "resnet50"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(options.threads)}
    verify = [sys.executable, "-m", "cnncalc", "verify", net]
    lines = {"plain": [sys.executable, "-c", PLAIN], "costs": [*verify, "--checks", COSTS], "all": verify}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in lines}
    for round_number in range(options.runs):
        for name, line in lines.items():
            if name != "all" or round_number < options.all_runs:
                found[name].append(run(line, environment))
    times = {name: median(seconds for seconds, _ in runs) for name, runs in found.items() if runs}
    for name, seconds in times.items():
        memory = max(peak for _, peak in found[name])
        print(f"{name:<6} {seconds:6.1f} s   {seconds / times['plain']:6.2f} × plain   {memory:7.0f} MiB at most")
    if "all" in times:
        print("what each check takes, PyTorch loaded:", flush=True)
        subprocess.run([sys.executable, "-c", SPLIT, net], env=environment, check=True)
    ratio = times["costs"] / times["plain"]
    print(f"costs / plain {ratio:.2f}   (at most {LIMIT:g}: {'kept' if ratio <= LIMIT else 'MISSED'})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
