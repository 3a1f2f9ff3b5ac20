"""Random small nets for the tests: as specs, with one channel wherever inputs are added."""

from __future__ import annotations

import random

import yaml

from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.sources import load_text


def random_graph(seed: int) -> Graph:
    """A net of windows, moves, resizing, global layers and branches; the same one for the same seed."""
    draw = random.Random(seed)
    while True:
        rank = draw.choice((1, 2, 2, 2))
        shape = [1, *(draw.randint(6, 13 if rank == 2 else 40) for _ in range(rank))]
        layers = [layer for _ in range(draw.randint(2, 5)) for layer in part(draw, rank, 0)]
        try:
            graph = load_text(yaml.safe_dump({"input": shape, "layers": layers}))
        except CnncalcError:
            continue  # the window is larger than what is left
        if max(shape[0] for node in graph.nodes for shape in node.output_shapes) <= 16:
            return graph


def part(draw: random.Random, rank: int, depth: int) -> list[object]:
    """One layer, or several that belong together."""
    kinds = [conv, conv, conv, pool, transposed, resized, adaptive, shuffled, plain]
    if depth < 2:
        kinds += [residual, branches, gated]
    return draw.choice(kinds)(draw, rank, depth)


def window(draw: random.Random, rank: int, *, most: int = 3) -> dict[str, object]:
    kernel = [draw.randint(1, most + 1) for _ in range(rank)]
    return {
        "kernel": kernel,
        "stride": [draw.choice((1, 1, 1, 2, 3)) for _ in range(rank)],
        "dilation": [draw.choice((1, 1, 2)) for _ in range(rank)],
        "padding": [draw.randint(0, k // 2) for k in kernel],
    }


def conv(draw, rank, depth):
    mode = draw.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular"))
    return [{"conv": {"out": 1, **window(draw, rank), "padding_mode": mode}}]


def pool(draw, rank, depth):
    given = window(draw, rank)
    if draw.random() < 0.5:
        return [{"max_pool": {**given, "ceil_mode": draw.random() < 0.3}}]
    del given["dilation"]
    return [{"avg_pool": given}]


def transposed(draw, rank, depth):
    return [{"conv_transpose": {"out": 1, **window(draw, rank)}}]


def resized(draw, rank, depth):
    mode = draw.choice(("nearest", "nearest-exact", "linear", "area"))
    if draw.random() < 0.5:
        return [{"upsample": {"scale_factor": draw.choice((2, 1.5, 0.5, 3)), "mode": mode}}]
    corners = mode == "linear" and draw.random() < 0.5
    return [{"upsample": {"size": [draw.randint(2, 14) for _ in range(rank)], "mode": mode, "align_corners": corners}}]


def adaptive(draw, rank, depth):
    kind = draw.choice(("adaptive_avg_pool", "adaptive_max_pool"))
    return [{kind: {"output_size": [draw.randint(2, 8) for _ in range(rank)]}}]


def shuffled(draw, rank, depth):
    if rank != 2:
        return plain(draw, rank, depth)
    if draw.random() < 0.5:
        return [{"conv": {"out": 4, "kernel": 1}}, {"pixel_shuffle": 2}]
    return [{"pixel_unshuffle": 2}, {"conv": {"out": 1, "kernel": 1}}]


def plain(draw, rank, depth):
    return draw.choice((["relu"], ["batch_norm"], [{"pad": {"padding": [[1, 2]] * rank}}]))


def inner(draw, rank, depth):
    return [layer for _ in range(draw.randint(0, 2)) for layer in part(draw, rank, depth + 1)]


def same(draw, rank):
    """A convolution that keeps the size."""
    kernel = [draw.choice((1, 3, 5)) for _ in range(rank)]
    dilation = draw.choice((1, 2))
    padding = [dilation * (k - 1) // 2 for k in kernel]
    return {"conv": {"out": 1, "kernel": kernel, "dilation": dilation, "padding": padding}}


def residual(draw, rank, depth):
    return [{"residual": {"body": [same(draw, rank) for _ in range(draw.randint(1, 2))]}}]


def branches(draw, rank, depth):
    several = [[same(draw, rank)], [], [same(draw, rank), same(draw, rank)]][: draw.randint(2, 3)]
    if draw.random() < 0.5:
        return [{"add": several}]
    return [{"concat": several}, {"conv": {"out": 1, "kernel": 1}}]


def gated(draw, rank, depth):
    """Squeeze and excitation: every unit also sees everything."""
    return [{"multiply": [[], ["global_avg_pool", {"conv": {"out": 1, "kernel": 1}}]]}]
