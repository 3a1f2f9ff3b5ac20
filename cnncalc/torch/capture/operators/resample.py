"""Interpolation and moves between channels and space."""

from __future__ import annotations

from typing import Any

from cnncalc.layers.resample import ChannelShuffle, PixelShuffle, PixelUnshuffle, Upsample
from cnncalc.torch.capture.operators.fields import as_map, feature_map, one_or_each
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value

MODES = {
    **{f"upsample_nearest{rank}d": ("nearest", rank) for rank in (1, 2, 3)},
    **{f"_upsample_nearest_exact{rank}d": ("nearest-exact", rank) for rank in (1, 2, 3)},
    "upsample_linear1d": ("linear", 1),
    "upsample_bilinear2d": ("linear", 2),
    "upsample_trilinear3d": ("linear", 3),
    "upsample_bicubic2d": ("bicubic", 2),
}


@captures(*MODES)
def upsample(tracer: Tracer, call: Call) -> Value:
    """``F.interpolate``: by a factor where one is given, or where the size is a multiple."""
    mode, rank = MODES[call.name]
    x = call.first()
    given_map = as_map(tracer, x, rank)
    if given_map.spread:
        raise UnsupportedError("it works on samples that are merged with other axes")
    have, want = x.shape[-rank:], call.shape[-rank:]
    fields: dict[str, Any] = {"mode": mode, "align_corners": bool(call["align_corners"])}
    given = call["scale_factors"]
    if given:
        fields["scale_factor"] = one_or_each([float(one) for one in given], rank)
    elif all(new % old == 0 for old, new in zip(have, want, strict=True)):
        factors = [float(new // old) for old, new in zip(have, want, strict=True)]
        fields["scale_factor"] = one_or_each(factors, rank)
    else:
        fields["size"] = one_or_each(want, rank)
    (made,) = tracer.emit(Upsample(**fields), given_map.ref)
    return given_map.back(tracer, made, call.shape)


@captures("pixel_shuffle")
def pixel_shuffle(tracer: Tracer, call: Call) -> Value:
    """``F.pixel_shuffle``"""
    return _moved(tracer, call, PixelShuffle(upscale_factor=call["upscale_factor"]))


@captures("pixel_unshuffle")
def pixel_unshuffle(tracer: Tracer, call: Call) -> Value:
    """``F.pixel_unshuffle``"""
    return _moved(tracer, call, PixelUnshuffle(downscale_factor=call["downscale_factor"]))


@captures("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(tracer: Tracer, call: Call) -> Value:
    """``F.channel_shuffle``"""
    return _moved(tracer, call, ChannelShuffle(groups=call["groups"]))


def _moved(tracer: Tracer, call: Call, layer: Any) -> Value:
    x = call.first()
    (made,) = tracer.emit(layer, feature_map(tracer, x, len(x.shape) - 2))
    return tracer.checked(Value(call.shape, x.batch, made))
