"""Checks that no lower bound is above a measured time on this CPU.

    python benchmarks/bound.py [--machine FILE] [--repeat 20] [--threads 1] [NET ...]

Calibrates this machine (or takes a machine file), then measures every layer of some nets of the zoo and the nets
as a whole, forwards and backwards, and compares the best time of each with its bound. Exit status 1 if a bound is
above it. Other work on the machine makes measured times longer, never shorter, so it cannot make this fail by
itself, unless it disturbs every try of the calibration, which is why that takes the best of many.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from cnncalc import machines, units  # noqa: E402
from cnncalc.analysis import bench as reports  # noqa: E402
from cnncalc.sources import load  # noqa: E402
from cnncalc.torch.bench import measure  # noqa: E402
from cnncalc.torch.calibrate import calibrate  # noqa: E402

NETS = ("resnet18", "resnet50", "vgg11", "mobilenet_v2", "convnext_tiny", "densenet121", "googlenet", "unet")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--machine")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine, warning = (machines.load(options.machine), "") if options.machine else calibrate()
    print(machines.written(machine))
    if warning:
        print(f"warning: {warning}\n")
    print(f"{'net':<16} {'forward':>9} {'bound':>9} {'×':>6} {'backward':>9} {'bound':>9} {'×':>6}   nearest layer")
    broken = []
    for name in options.nets:
        graph = load(name, input=(1, 188, 188)) if name == "unet" else load(name)
        measured = measure(graph, repeat=options.repeat, backward=True)
        found = reports.answer(graph, measured, device="cpu", dtype="float32", batch=1, machine=machine, backward=True)
        broken += [f"{name}: {what}" for what in found.above_measured]
        cells = []
        for which in (found.forward, found.backward):
            assert isinstance(which, reports.TimeReport)
            assert isinstance(which.bound_ps, int)
            ratio = which.best_ps / which.bound_ps
            cells.append(f"{units.show_time(which.best_ps):>9} {units.show_time(which.bound_ps):>9} {ratio:6.2f}")
        passes = [(row.path, one) for row in found.layers for one in (row.forward, row.backward)]
        ratios = [
            (one.best_ps / one.bound_ps, path)
            for path, one in passes
            if isinstance(one, reports.TimeReport) and one.bound_ps
        ]
        nearest, path = min(ratios)
        print(f"{name:<16} {' '.join(cells)}   {path} {nearest:.2f} (of {len(ratios)} bounds)", flush=True)
    for what in broken:
        print(f"ABOVE what is measured: {what}")
    print("every bound is at most the best time" if not broken else f"{len(broken)} bounds are too high")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
