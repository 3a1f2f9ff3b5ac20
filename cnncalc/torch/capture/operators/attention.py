"""Attention."""

from __future__ import annotations

from cnncalc.layers.activation import Softmax
from cnncalc.layers.attention import ScaledDotProductAttention
from cnncalc.torch.capture.operators import linear, merge
from cnncalc.torch.capture.operators import shape as shapes
from cnncalc.torch.capture.registry import captures
from cnncalc.torch.capture.tracer import Call, Tracer
from cnncalc.torch.capture.values import UnsupportedError, Value, sample_shape


@captures("scaled_dot_product_attention", multiplies=True)
def scaled_dot_product_attention(tracer: Tracer, call: Call) -> Value:
    """``F.scaled_dot_product_attention``; with a mask or a scale of its own by its parts."""
    query, key, value = call["query"], call["key"], call["value"]
    if call["enable_gqa"]:
        raise UnsupportedError("its heads share keys")
    usual = query.shape[-1] ** -0.5
    scale = call["scale"]
    if call["attn_mask"] is None and (scale is None or abs(scale - usual) < 1e-12):
        refs, batch = tracer.together([query, key, value])
        leading = sample_shape(call.shape, batch)[:-2]
        refs = [tracer.expanded(ref, (*leading, *tracer.shape(ref)[-2:])) for ref in refs]
        (made,) = tracer.emit(ScaledDotProductAttention(is_causal=bool(call["is_causal"])), *refs)
        return tracer.checked(Value(call.shape, batch, made))
    if call["is_causal"]:
        raise UnsupportedError("it is causal, with a scale of its own")
    scores = linear.product(tracer, query, shapes.transposed(tracer, key, -2, -1))
    scores = merge.by_number(tracer, scores, "multiply", usual if scale is None else scale)
    if call["attn_mask"] is not None:
        scores = merge.added(tracer, [scores, call["attn_mask"]], scores.shape)
    scores = tracer.one(Softmax(axis=scores.axis(-1)), scores)
    return linear.product(tracer, scores, value)
