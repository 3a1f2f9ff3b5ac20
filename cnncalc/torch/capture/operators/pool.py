"""Pools."""

from __future__ import annotations

import re
from math import prod
from typing import Any

from cnncalc.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from cnncalc.torch.capture.operators.fields import as_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import Value

SLIDING: dict[str, type[Any]] = {
    **{f"max_pool{rank}d{places}": MaxPool for rank in (1, 2, 3) for places in ("", "_with_indices")},
    **{f"avg_pool{rank}d": AvgPool for rank in (1, 2, 3)},
}
ADAPTIVE: dict[str, tuple[type[Any], type[Any]]] = {
    **{f"{own}adaptive_avg_pool{rank}d": (AdaptiveAvgPool, GlobalAvgPool) for rank in (1, 2, 3) for own in ("", "_")},
    **{f"adaptive_max_pool{rank}d": (AdaptiveMaxPool, GlobalMaxPool) for rank in (1, 2, 3)},
}


def _rank(call: Call) -> int:
    """The rank in the operator's name, as 2 in ``max_pool2d_with_indices``."""
    return int(re.findall(r"\d(?=d)", call.name)[0])


@captures(*SLIDING)
def sliding(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.max_poolNd`` and ``F.avg_poolNd``"""
    call.check_first_alone("places of its maxima are")
    kind, given = SLIDING[call.name], as_map(tracer, x, _rank(call))
    own = given.fields(call, kind)
    if own.get("stride") == own["kernel"]:
        del own["stride"]
    return given.back(tracer, *tracer.emit(kind(**own), given.ref))


@captures(*ADAPTIVE)
def adaptive(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.adaptive_avg_poolNd`` and ``F.adaptive_max_poolNd``; to one unit it is a global pool."""
    call.check_first_alone("places of its maxima are")
    (kind, whole), rank = ADAPTIVE[call.name], _rank(call)
    given, sizes = as_map(tracer, x, rank), call.shape[-rank:]
    if given.spread:
        layer = kind(output_size=(None, *sizes))
    else:
        layer = whole() if prod(sizes) == 1 else kind(output_size=one_or_each(sizes))
    return given.back(tracer, *tracer.emit(layer, given.ref))
