"""Interpolation and moves between channels and space."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.resample import ChannelShuffle, PixelShuffle, PixelUnshuffle, Upsample
from cnncalc.torch.capture.operators.fields import as_map, feature_map, fields, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

MODES: dict[str, tuple[Any, int]] = {
    **{f"upsample_nearest{rank}d": ("nearest", rank) for rank in (1, 2, 3)},
    **{f"_upsample_nearest_exact{rank}d": ("nearest-exact", rank) for rank in (1, 2, 3)},
    "upsample_linear1d": ("linear", 1),
    "upsample_bilinear2d": ("linear", 2),
    "upsample_trilinear3d": ("linear", 3),
    "upsample_bicubic2d": ("bicubic", 2),
}
REARRANGED: dict[str, type[Any]] = {
    "pixel_shuffle": PixelShuffle,
    "pixel_unshuffle": PixelUnshuffle,
    "channel_shuffle": ChannelShuffle,
    "native_channel_shuffle": ChannelShuffle,
}


@captures(*MODES)
def upsample(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.interpolate``: by a factor where one is given, or where the size is a multiple."""
    mode, rank = MODES[call.name]
    given = as_map(tracer, x, rank)
    if given.spread:
        raise UnsupportedError("it works on samples that are merged with other axes")
    have, want = x.shape[-rank:], call.shape[-rank:]
    if call["scale_factors"]:
        target: dict[str, Any] = {"scale_factor": one_or_each([float(one) for one in call["scale_factors"]])}
    elif all(new % old == 0 for old, new in zip(have, want, strict=True)):
        target = {"scale_factor": one_or_each([float(new // old) for old, new in zip(have, want, strict=True)])}
    else:
        target = {"size": one_or_each(want)}
    layer = Upsample(mode=mode, align_corners=bool(call["align_corners"]), **target)
    return given.back(tracer, *tracer.emit(layer, given.ref))


@captures(*REARRANGED)
def rearranged(tracer: Tracer, call: Call, x: Value) -> Value:
    """``F.pixel_shuffle`` and similar ones."""
    kind = REARRANGED[call.name]
    (made,) = tracer.emit(kind(**fields(call, kind)), feature_map(tracer, x, len(x.shape) - 2))
    return tracer.value(made, x.batch)
