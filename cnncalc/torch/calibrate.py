"""This machine's peak FLOP/s and bandwidths, high enough that lower bounds hold.

Whatever disturbs a measurement makes it slower, so that the best of many tries is nearest to the truth, and a little
below it; ``HEADROOM`` makes up for that, since too low a peak would make a bound too high. On a CPU every number is
that of one thread times the number of threads: more is not possible, since threads do not speed each other up, and one
thread is disturbed less often than all of them. For the memory's bandwidth that is more than many threads can share;
edit the file if the data sheet says less.

The best of many tries does not fix one thing: other work that uses the memory all the time. If the machine is
busy when the calibration begins, the memory gets the bandwidth of the caches, with which a bound still holds, and
the headroom is ``BUSY_HEADROOM``.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnncalc.analysis.roofline import Cache, Machine
from cnncalc.formulas.cost import conv_macs, flops, matmul_macs
from cnncalc.torch.bench import Clock
from cnncalc.torch.running import DTYPES, Progress, threads, usable

HEADROOM = (115, 100)
BUSY_HEADROOM = (130, 100)
"""Factor on the best measurement."""
PATIENCE = 0.25
LONGEST = 2.0
"""Seconds without a better try until a kernel is done, and seconds at most."""
LEAST_TRIES = 10
ROUNDS = 2


BUSY = 0.5
"""The load (processes that run or wait, averaged over the last minute) from which a machine counts as busy."""


class Calibration(NamedTuple):
    """A machine as measured, and a warning if something was wrong with the measurement."""

    machine: Machine
    warning: str = ""


class Kernel(NamedTuple):
    """Something to run, and how much work (FLOPs, or bytes) it is."""

    run: Callable[[], Any]
    work: int


def calibrate(device: str = "cpu", *, progress: Progress = lambda what: None) -> Calibration:
    """This machine, as measured; with PyTorch's present number of threads on a CPU.

    Raises:
        CnncalcError: PyTorch cannot use the device.
    """
    usable(device)
    with torch.no_grad():
        if device.partition(":")[0] == "cpu":
            return _processor(progress)
        return Calibration(_accelerator(device, progress))


def _processor(progress: Progress) -> Calibration:
    clock, count, held, load = Clock("cpu"), torch.get_num_threads(), cpu_caches(), load_average()
    with threads(1):
        alone = _peaks("cpu", clock, progress)
        near = _bandwidth("cpu", _sizes(held or 1 << 26), clock, progress)
        far = near if load > BUSY or not held else _bandwidth("cpu", [max(4 * held, 1 << 27)], clock, progress)
    note, warning, headroom = "of one thread, times the threads", "", HEADROOM
    if far == near:
        note += "; for the memory, what caches give"
    if load > BUSY:
        headroom = BUSY_HEADROOM
        note += f", since other work went on (load {load:.1f})"
        warning = (
            f"other work goes on here (load {load:.1f}), so that the memory's bandwidth cannot be told; it is given "
            "that of the caches, and bounds of layers that wait for the memory are low: "
            "calibrate again when all is quiet"
        )
    machine = Machine(
        name=f"{_cpu_name()}, {count} {'threads' if count > 1 else 'thread'}",
        source=_source("cpu", note, headroom),
        peak={dtype: _with_headroom(rate * count, headroom) for dtype, rate in alone.items()},
        bandwidth=_with_headroom(far * count, headroom),
        caches=(Cache(held, _with_headroom(near * count, headroom)),) if held else (),
        threads=count,
    )
    return Calibration(machine, warning)


def load_average() -> float:
    """Processes that ran or waited in the last minute, on average; 0 where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


def _accelerator(device: str, progress: Progress) -> Machine:
    clock, held, name = Clock(device), 0, platform.machine()
    if clock.kind == "cuda":
        properties = torch.cuda.get_device_properties(device)
        held, name = int(getattr(properties, "L2_cache_size", 0)), properties.name
    peaks = _peaks(device, clock, progress)
    # if the caches are unknown, their bandwidth counts as the memory's
    sizes = [max(8 * held, 1 << 29)] if held else [*_sizes(1 << 26), 1 << 29]
    return Machine(
        name=name,
        source=_source(device, "the caches' bandwidth is not measured"),
        peak={dtype: _with_headroom(rate) for dtype, rate in peaks.items()},
        bandwidth=_with_headroom(_bandwidth(device, sizes, clock, progress)),
        caches=(Cache(held),) if held else (),
    )


def _source(device: str, note: str, headroom: tuple[int, int] = HEADROOM) -> str:
    more = f"{100 * headroom[0] // headroom[1] - 100}%"
    return (
        f"measured by cnncalc bench --calibrate with PyTorch {torch.__version__} on {device}: the best of many tries "
        f"and {more} more; {note}"
    )


def _with_headroom(rate: int, headroom: tuple[int, int] = HEADROOM) -> int:
    """With the headroom, rounded up to four digits."""
    value = -(-rate * headroom[0] // headroom[1])
    unit: int = 10 ** max(0, len(str(value)) - 4)
    return -(-value // unit) * unit


def _rate(kernel: Kernel, clock: Clock) -> int:
    """Work per second in the best of tries, which continue until none is better for a while."""
    kernel.run()
    clock.once(kernel.run)
    begun = better = time.perf_counter()
    best, tries = clock.once(kernel.run), 1
    while True:
        taken, now = clock.once(kernel.run), time.perf_counter()
        tries += 1
        if taken * 200 < best * 199:
            better = now
        best = min(best, taken)
        if now - begun > LONGEST or (now - better > PATIENCE and tries >= LEAST_TRIES):
            return kernel.work * 10**12 // max(best, 1)


# -- peak ------------------------------------------------------------------------------------------


def _peaks(device: str, clock: Clock, progress: Progress) -> dict[str, int]:
    """The best rate of each dtype that PyTorch can multiply in here; at least that of float32 for a narrower one,
    since it can be computed in float32.
    """
    peaks: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name, dtype in DTYPES.items():
            if device == "mps" and dtype == torch.float64:
                continue
            peaks[name] = max(peaks.get(name, 0), _peak(name, dtype, device, clock, progress))
        if clock.kind == "cuda":
            with _tf32(True):
                peaks["tf32"] = max(peaks.get("tf32", 0), _peak("tf32", torch.float32, device, clock, progress))
    for name in ("float16", "bfloat16", "tf32"):
        if name in peaks:
            peaks[name] = max(peaks[name], peaks["float32"])
    return {name: rate for name, rate in peaks.items() if rate}


def _peak(name: str, dtype: torch.dtype, device: str, clock: Clock, progress: Progress) -> int:
    best = 0
    try:
        for number, kernel in enumerate(_products(device, dtype), 1):
            progress(f"peak of {name}, kernel {number}")
            best = max(best, _rate(kernel, clock))
    except RuntimeError:  # not available in this dtype here: what was measured so far counts
        pass
    return best


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _products(device: str, dtype: torch.dtype) -> Iterator[Kernel]:
    """Matrix products and convolutions without padding, in both memory formats; larger ones for an accelerator."""
    large = device != "cpu"

    def made(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).to(dtype)

    for size in (2048, 4096, 8192) if large else (256, 512, 768):
        a, b, out = made(size, size), made(size, size), made(size, size)
        yield Kernel(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), flops(matmul_macs(size, size, size)))  # type: ignore[misc]
    batch = 64 if large else 1
    for channels, size, kernel in ((64, 58, 3), (128, 30, 3), (256, 16, 3), (256, 28, 1)):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            module = nn.Conv2d(channels, channels, kernel, bias=False, device=device, dtype=dtype)
            module, x = module.to(memory_format=memory_format), made(batch, channels, size, size)  # type: ignore[call-overload, unused-ignore]
            x = x.to(memory_format=memory_format)
            macs = conv_macs((size - kernel + 1) ** 2, kernel**2, channels, channels, 1) * batch
            yield Kernel(lambda module=module, x=x: module(x), flops(macs))  # type: ignore[misc]


# -- bandwidth -------------------------------------------------------------------------------------


def _sizes(held: int) -> list[int]:
    """Bytes of working sets that fit the caches: powers of two from 128 KiB."""
    return [1 << power for power in range(17, 40) if 1 << power <= max(held // 2, 1 << 17)]


def _bandwidth(device: str, sizes: list[int], clock: Clock, progress: Progress) -> int:
    """The best rate of reading and writing over working sets of these sizes."""
    best = 0
    for _ in range(ROUNDS):
        for size in sizes:
            progress(f"bandwidth over {size >> 10:,} KiB")
            best = max(best, *(_rate(kernel, clock) for kernel in _moves(device, size)))
    return best


def _moves(device: str, size: int) -> Iterator[Kernel]:
    """Elementwise work over ``size`` bytes of float32, each read or written once, or in place read and written."""
    whole = torch.ones(size // 4, device=device)
    half = len(whole) // 2
    first, second = whole[:half], whole[half : 2 * half]
    yield Kernel(whole.relu_, 2 * size)
    yield Kernel(lambda: first.copy_(second), size)
    yield Kernel(lambda: torch.clamp_min(first, 0, out=second), size)
    yield Kernel(whole.sum, size)
    yield Kernel(whole.zero_, size)
    third = len(whole) // 3
    a, b, c = whole[:third], whole[third : 2 * third], whole[2 * third : 3 * third]
    yield Kernel(lambda: torch.add(a, b, out=c), size)


# -- the processor ---------------------------------------------------------------------------------


def cpu_caches() -> int:
    """Bytes that all caches for data hold together, as Linux tells; 0 where it does not."""
    found: dict[tuple[str, str], int] = {}
    for folder in glob("/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]*"):
        try:
            kind, level, shared, size = (_read(folder, name) for name in ("type", "level", "shared_cpu_list", "size"))
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K") and size[:-1].isdigit():
            found[level, shared] = int(size[:-1]) << 10
    return sum(found.values())


def _read(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="ascii") as file:
        return file.read().strip()


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"
