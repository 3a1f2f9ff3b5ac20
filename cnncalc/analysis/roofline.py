"""The least time that a machine needs for each layer, and for the net.

Two times, which differ in what they assume of the memory:

- the *roofline* time of a layer (Williams, Waterman & Patterson 2009) is the larger of the time for its FLOPs at the
  peak and that for its bytes at the bandwidth of the memory. What the layer before left in a cache can be read
  faster than that, so it is the best time where every tensor comes from memory, and no bound where it does not.
- the *bound* takes off what caches could hold: of the bytes read, as many as all caches together hold may be there
  when the layer begins, and of the bytes written as many may still be there when it ends; the rest passes the memory's
  bandwidth, and all of it that of the cache. Products with padding's zeros are not counted.

Elementwise work counts only by its traffic: there is no peak for it that holds everywhere. Unknown work adds 0,
so that a bound stays a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from cnncalc.analysis.traffic import BYTES, Traffic
from cnncalc.errors import CnncalcError
from cnncalc.formulas.cost import flops
from cnncalc.formulas.roofline import beyond, picoseconds

Algorithms = Literal["direct", "fast"]


class Cache(Struct, frozen=True):
    """One level of caches, all of its kind together: bytes, and bytes per second if known."""

    size: int
    bandwidth: int | None = None


class Machine(Struct, frozen=True):
    """What a machine does at most: FLOP/s by dtype, bytes per second of its memory, and its caches, the nearest first.

    ``threads`` is the number of threads of a measured peak.
    """

    name: str
    source: str
    peak: dict[str, int]
    bandwidth: int
    caches: tuple[Cache, ...] = ()
    threads: int | None = None


class LayerTime(Struct, frozen=True):
    """Least times of one layer in whole picoseconds, rounded down.

    ``limit`` says which part of the roofline is the larger. ``bound`` holds whatever is in the caches.
    """

    compute: int
    memory: int
    limit: Literal["compute", "memory", "nothing"]
    bound: int

    @property
    def roofline(self) -> int:
        """The larger of both."""
        return max(self.compute, self.memory)


class NetTime(Struct, frozen=True):
    """Least times of the net in whole picoseconds.

    ``roofline`` is the sum of the layers'. ``fused_bound`` holds however layers are fused and overlap. ``bound`` holds
    where they run one after the other, each by itself: it is the sum of the layers' bounds, or the other where that
    is larger (weights that fit a cache layer by layer need not fit it together).
    """

    roofline: int
    bound: int
    fused_bound: int


def peak_of(machine: Machine, dtype: str) -> int:
    """The peak for a dtype.

    Raises:
        CnncalcError: the machine has none for it.
    """
    if dtype not in machine.peak:
        raise CnncalcError(
            f"{machine.name} has no peak for {dtype}\n  hint: --dtype can be {', '.join(machine.peak)} there"
        )
    return machine.peak[dtype]


def layer_time(
    macs: int | None, part: Traffic, machine: Machine, dtype: str, algorithms: Algorithms = "direct"
) -> LayerTime:
    """The least times of a layer.

    Args:
        macs: its multiply-accumulates as they are counted.
        part: what it must move and compute.
        machine: where it runs.
        dtype: of all its tensors.
        algorithms: whether every product is computed, or convolutions may take Winograd's or the FFT's way.

    Raises:
        CnncalcError: the machine has no peak for the dtype.
    """
    peak, size = peak_of(machine, dtype), BYTES[dtype]
    read, written = part.read * size, part.outputs * size
    compute = picoseconds(flops(macs or 0), peak)
    memory = picoseconds(read + written, machine.bandwidth)
    return LayerTime(
        compute=compute,
        memory=memory,
        limit="nothing" if not compute and not memory else "compute" if compute >= memory else "memory",
        bound=_bound(part, machine, dtype, algorithms),
    )


def net_time(
    times: Sequence[LayerTime], whole: Traffic, machine: Machine, dtype: str, algorithms: Algorithms = "direct"
) -> NetTime:
    """The least times of a net, from those of its layers and what it needs as a whole."""
    fused = _bound(whole, machine, dtype, algorithms)
    return NetTime(
        roofline=sum(time.roofline for time in times),
        bound=max(sum(time.bound for time in times), fused),
        fused_bound=fused,
    )


def _bound(part: Traffic, machine: Machine, dtype: str, algorithms: Algorithms) -> int:
    """The largest of the times for the products and for the traffic of each level."""
    macs = part.direct_macs if algorithms == "direct" else part.bilinear_macs
    size, held = BYTES[dtype], 0
    times = [picoseconds(flops(macs or 0), peak_of(machine, dtype))]
    for level in (*machine.caches, Cache(0, machine.bandwidth)):
        if level.bandwidth is not None:
            passing = beyond(part.read * size, held) + beyond(part.outputs * size, held)
            times.append(picoseconds(passing, level.bandwidth))
        held += level.size
    return max(times)


def backward_bound(
    gradients: int | None, macs: int | None, part: Traffic, machine: Machine, dtype: str, algorithms: Algorithms
) -> int:
    """The least time of a layer's backward pass by its products alone, in whole picoseconds.

    Args:
        gradients: multiply-accumulates of the gradients as they are counted.
        macs: those of the forward pass; of each gradient as large a part is left out as of the forward pass.
        part: what the layer must move and compute.
        machine: where it runs.
        dtype: of all its tensors.
        algorithms: as for :func:`layer_time`.
    """
    needed = part.direct_macs if algorithms == "direct" else part.bilinear_macs
    if not gradients or not macs or needed is None:
        return 0
    return picoseconds(flops(gradients * needed // macs), peak_of(machine, dtype))
