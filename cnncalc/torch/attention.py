"""Attention in PyTorch, as plain matrix products: the fused kernels of a CPU hide their work from its FLOP counter."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  (the name that everyone gives it)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

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


class PlainMultiHeadAttention(nn.MultiheadAttention):
    """``nn.MultiheadAttention``, batch first, of one to three inputs, without fused kernels.

    Its own ``forward`` would take a fused path in evaluation mode.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None
    ) -> Tensor:
        """Attention of the query to the key (by default the query) over the value (by default the key)."""
        key = query if key is None else key
        value = key if value is None else value
        with sdpa_kernel(SDPBackend.MATH):
            out, _ = F.multi_head_attention_forward(
                query.transpose(0, 1),
                key.transpose(0, 1),
                value.transpose(0, 1),
                self.embed_dim,
                self.num_heads,
                self.in_proj_weight,
                self.in_proj_bias,
                bias_k=None,
                bias_v=None,
                add_zero_attn=False,
                dropout_p=0.0,
                out_proj_weight=self.out_proj.weight,
                out_proj_bias=self.out_proj.bias,
                training=self.training,
                need_weights=False,
                use_separate_proj_weight=not self._qkv_same_embed_dim,
                q_proj_weight=self.q_proj_weight,
                k_proj_weight=self.k_proj_weight,
                v_proj_weight=self.v_proj_weight,
            )
        return out.transpose(0, 1)


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
