"""Operators that do nothing in evaluation."""

from __future__ import annotations

from cnncalc.layers.regularization import AlphaDropout, ChannelDropout, Dropout
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import Value

DROPOUTS = {
    "dropout": Dropout,
    "native_dropout": Dropout,
    "feature_dropout": ChannelDropout,
    "alpha_dropout": AlphaDropout,
}


@captures(*DROPOUTS)
def dropout(tracer: Tracer, call: Call) -> Value:
    """``F.dropout`` and similar ones; no layer if the probability is 0."""
    x = call.first()
    return tracer.one(DROPOUTS[call.name](p=call["p"]), x) if call["p"] else x
