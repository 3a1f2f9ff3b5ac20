"""Attention in PyTorch, as plain matrix products: the fused kernels of a CPU hide their work from its FLOP counter."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cnncalc.convert.code import SELF, Arg, Call, Text, Verbatim, positional
from cnncalc.layers.attention import MultiHeadAttention, ScaledDotProductAttention
from cnncalc.layers.base import Shape
from cnncalc.torch.registry import builds


class PlainAttention(nn.Module):
    """``F.scaled_dot_product_attention`` without fused kernels."""

    def __init__(self, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``softmax(Q·Kᵀ/√d)·V``."""
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)

    def source(self, tensors: tuple[Any, ...]) -> Any:
        """``F.scaled_dot_product_attention(q, k, v)``, with whatever kernel PyTorch takes for it."""
        causal = Arg("is_causal", self.is_causal, True, implied=not self.is_causal, default=False)
        return Call("F.scaled_dot_product_attention", (*positional(*tensors), causal))


class PlainMultiHeadAttention(nn.MultiheadAttention):
    """``nn.MultiheadAttention``, batch first, of one to three inputs, without fused kernels.

    Its own ``forward`` would take a fused path in evaluation mode, and puts the batch second, for
    which it copies its inputs.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None
    ) -> Tensor:
        """Attention of the query to the key (by default the query) over the value (by default the key)."""
        key = query if key is None else key
        value = key if value is None else value
        if self._qkv_same_embed_dim:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)

        def project(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return F.linear(x, weight, bias).view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

        with sdpa_kernel(SDPBackend.MATH):
            out = F.scaled_dot_product_attention(
                project(query, weights[0], biases[0]),
                project(key, weights[1], biases[1]),
                project(value, weights[2], biases[2]),
            )
        joined: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return joined

    def source(self, tensors: tuple[Any, ...]) -> Text:
        """``nn.MultiheadAttention(…)``, and the first of what it returns."""
        own_sizes = self.kdim == self.vdim == self.embed_dim
        made = Call(
            "nn.MultiheadAttention",
            (
                Arg("embed_dim", self.embed_dim),
                Arg("num_heads", self.num_heads),
                Arg("bias", self.in_proj_bias is not None, True, self.in_proj_bias is not None, True),
                Arg("kdim", self.kdim, True, own_sizes, None),
                Arg("vdim", self.vdim, True, own_sizes, None),
                Arg("batch_first", True, True, default=False),
            ),
        )
        three = (*tensors, *tensors[-1:] * 2)[:3]
        called = Call(SELF, (*positional(*three), Arg("need_weights", Verbatim("False"), True)))
        return Text(made, Call("[]", positional(called, Verbatim("0"))))


@builds(ScaledDotProductAttention)
def build_scaled_dot_product_attention(layer: ScaledDotProductAttention, *shapes: Shape) -> nn.Module:
    """``F.scaled_dot_product_attention``."""
    return PlainAttention(layer.is_causal)


@builds(MultiHeadAttention)
def build_multi_head_attention(layer: MultiHeadAttention, *shapes: Shape) -> nn.Module:
    """``nn.MultiheadAttention``."""
    # the key defaults to the query, the value to the key
    embed, key, value = shapes[0][-1], shapes[min(1, len(shapes) - 1)][-1], shapes[-1][-1]
    return PlainMultiHeadAttention(embed, layer.num_heads, bias=layer.bias, kdim=key, vdim=value, batch_first=True)
