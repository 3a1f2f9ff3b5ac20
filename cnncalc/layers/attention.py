"""Attention (Vaswani et al. 2017, arXiv:1706.03762). Tensors are ``…×length×features``, without the batch."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar, TypeVar

from cnncalc.errors import LayerError, ShapeMismatchError
from cnncalc.formulas.nest import Index, Nest, Operand, Term, loop, macs
from cnncalc.formulas.receptive_field import Taps, Window
from cnncalc.layers.axes import describe
from cnncalc.layers.base import EVERYTHING, Call, Positive, Product, Read, Reads, Shape, Weight, along, pointwise

if TYPE_CHECKING:
    from cnncalc.layers.tape import Held, Tape


def score_ops(rows: int, keys: int) -> int:
    """Per row of ``keys`` scores: ``keys`` scalings, and ``3·keys − 1`` for the softmax."""
    return rows * (4 * keys - 1)


class ScaledDotProductAttention(Product, frozen=True):
    """``softmax(Q·Kᵀ/√d)·V`` of inputs ``…×L×d``, ``…×S×d`` and ``…×S×e``, as in ``torch.nn.functional``.

    With ``is_causal`` unit ``i`` sees the keys up to ``i``; the masked products are still computed
    and counted. MACs: both products. Elementwise operations: one scaling per score,
    and the softmax over each row of S scores (S exps, S − 1 additions, S divisions).
    """

    aliases = ("sdpa", "attention")
    arity = (3, 3)

    is_causal: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        query, key, value = inputs
        if min(map(len, inputs)) < 2 or not len(query) == len(key) == len(value):
            raise ShapeMismatchError(
                f"needs query, key and value of the same number of axes, at least length and features, "
                f"got {describe(query)}, {describe(key)} and {describe(value)}"
            )
        if query[-1] != key[-1]:
            raise ShapeMismatchError(
                f"query {describe(query)} and key {describe(key)} differ in features: {query[-1]} and {key[-1]}"
            )
        if key[-2] != value[-2]:
            raise ShapeMismatchError(
                f"key {describe(key)} and value {describe(value)} differ in length: {key[-2]} and {value[-2]}"
            )
        if not query[:-2] == key[:-2] == value[:-2]:
            raise ShapeMismatchError(
                f"query {describe(query)}, key {describe(key)} and value {describe(value)} differ in the axes "
                "before length and features"
            )
        return (*query[:-1], value[-1])

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        leading = tuple(f"N_{axis}" for axis in range(1, len(inputs[0]) - 1))
        return (*leading, "L", "d"), (*leading, "S", "d"), (*leading, "S", "e")

    def output_symbols(self, rank: int) -> tuple[str, ...]:
        return (*(f"N_{axis},out" for axis in range(1, rank - 1)), "L_out", "e_out")

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """``s[l, j] += q[l, d]·k[j, d]``, and with the softmax of ``s`` ``y[l, e] += s[l, j]·v[j, e]``."""
        query, key, value = inputs
        heads = {f"n{axis}": size for axis, size in enumerate(query[:-2])}
        each = tuple(map(loop, heads))
        lengths = heads | {"l": query[-2], "s": key[-2]}
        row, column, feature = loop("l"), loop("s"), loop("d")
        scores = Nest(
            lengths | {"d": query[-1]},
            (*each, row, column),
            (*query[:-1], key[-2]),
            (Operand(0, query, (*each, row, feature)), Operand(1, key, (*each, column, feature))),
        )
        context = Nest(
            lengths | {"d": value[-1]},
            (*each, row, feature),
            self.output_shape(*inputs),
            (Operand(~0, scores.shape, scores.output), Operand(2, value, (*each, column, feature))),
        )
        return scores, context

    def direct_macs(self, *inputs: Shape) -> int:
        """Without the scores that a causal mask removes."""
        query, key, value = inputs
        length, keys = query[-2], key[-2]
        # Row i sees min(i + 1, keys) keys.
        seen = keys * length - keys * (keys - 1) // 2 if length >= keys else length * (length + 1) // 2
        pairs = seen if self.is_causal else length * keys
        return prod(query[:-2]) * pairs * (query[-1] + value[-1])

    def elementwise_ops(self, *inputs: Shape) -> int:
        return score_ops(prod(inputs[0][:-1]), inputs[1][-2])

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        return (Call(self.kind, inputs, self.output_shape(*inputs), self.macs(*inputs)),)

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        query, key, value = inputs
        return attend(tape, query, key, value, self.is_causal)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        leading = pointwise(inputs[0][:-2])
        length = len(leading)
        # A causal unit reads a range that grows with its index; the last unit reads what all of them read together.
        rows = min(inputs[0][-2], inputs[1][-2])
        keys = Read(window=Window(0, (Taps(0, rows - 1),))) if self.is_causal else EVERYTHING
        return (
            (*leading, along(length), EVERYTHING),
            (*leading, keys, EVERYTHING),
            (*leading, keys, along(length + 1)),
        )


class MultiHeadAttention(Product, frozen=True):
    """Multi-head attention over ``length×embed``, with its projections, as ``torch.nn.MultiheadAttention``.

    Inputs: one (self-attention), two (query; key and value) or three (query, key, value). MACs: the
    three input projections, the two products of each head, the output projection. Elementwise
    operations: in each head one scaling per score and the softmax over each row of S scores (S exps,
    S − 1 additions, S divisions); with bias one addition per element of each projection.
    """

    torch_name = "MultiheadAttention"
    aliases = ("mha", "multihead_attention")
    field_aliases: ClassVar[dict[str, str]] = {"heads": "num_heads"}
    arity = (1, 3)
    symbols: ClassVar[dict[str, str]] = {"num_heads": "h"}

    num_heads: Positive
    bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        query, key, value = query_key_value(*inputs)
        for name, shape in (("query", query), ("key", key), ("value", value)):
            if len(shape) != 2:
                raise LayerError(
                    f"needs a {name} of length×embed, got {describe(shape)}",
                    hint="flatten: {start_axis: 1} and permute: [1, 0] turn a feature map into a sequence",
                )
        if key[0] != value[0]:
            raise ShapeMismatchError(
                f"key {describe(key)} and value {describe(value)} differ in length: {key[0]} and {value[0]}"
            )
        if query[1] % self.num_heads:
            raise LayerError(f"num_heads {self.num_heads} does not divide embed {query[1]}", field="num_heads")
        return query

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (_, embed), (_, key), (_, value) = query_key_value(*inputs)
        if embed == key == value:
            weights = [Weight("in_proj_weight", (3 * embed, embed))]
        else:
            parts = (("q", embed), ("k", key), ("v", value))
            weights = [Weight(f"{name}_proj_weight", (embed, width)) for name, width in parts]
        if self.bias:
            weights.append(Weight("in_proj_bias", (3 * embed,)))
        weights.append(Weight("out_proj.weight", (embed, embed)))
        if self.bias:
            weights.append(Weight("out_proj.bias", (embed,)))
        return tuple(weights)

    def input_symbols(self, *inputs: Shape) -> tuple[tuple[str, ...], ...]:
        return (("L", "E"), ("S", "E_k"), ("S", "E_v"))[: len(inputs)]

    def output_symbols(self, rank: int) -> tuple[str, ...]:
        return ("L_out", "E_out")

    def equation(self, *inputs: Shape) -> tuple[Nest, ...]:
        """The projections of query, key and value, the scores and the context of each head, and the last projection."""
        shapes = query_key_value(*inputs)
        (length, embed), (source, _), _ = shapes
        sources = query_key_value(*range(len(inputs)))
        each, row, column = embed // self.num_heads, loop("l"), loop("s")

        def projection(of: int, shape: Shape, name: str) -> Nest:
            rows, width = shape
            x = Operand(of, shape, (loop("n"), loop("f")))
            weight = Operand(name, (embed, width), (loop("o"), loop("f")))
            bias = Operand(name, (embed,), (loop("o"),)) if self.bias else None
            loops = {"n": rows, "o": embed, "f": width}
            return Nest(loops, (loop("n"), loop("o")), (rows, embed), (x, weight), start=bias)

        inner = tuple(projection(*one) for one in zip(sources, shapes, ("query", "key", "value"), strict=True))
        lengths = {"h": self.num_heads, "l": length, "s": source, "d": each}
        of_head = Index((Term("h", each), Term("d")))
        scores = Nest(
            lengths,
            (loop("h"), row, column),
            (self.num_heads, length, source),
            (Operand(~0, (length, embed), (row, of_head)), Operand(~1, (source, embed), (column, of_head))),
        )
        context = Nest(
            lengths,
            (row, of_head),
            (length, embed),
            (Operand(~3, scores.shape, scores.output), Operand(~2, (source, embed), (column, of_head))),
        )
        return (*inner, scores, context, projection(~4, context.shape, "out"))

    def elementwise_ops(self, *inputs: Shape) -> int:
        (length, _), (source, _), _ = query_key_value(*inputs)
        return score_ops(self.num_heads * length, source) + super().elementwise_ops(*inputs)

    def torch_calls(self, *inputs: Shape) -> tuple[Call, ...]:
        length, embed = inputs[0]
        sources = query_key_value(*range(len(inputs)))
        *inner, scores, context, last = self.equation(*inputs)

        def linear(nest: Nest, reads: int | None = None, in_order: bool = True) -> Call:
            x = nest.operands[0].shape
            return Call("linear", (x,), nest.shape, macs(nest), bias=self.bias, reads=reads, in_order=in_order)

        projections = map(linear, inner, sources)
        per_head = [(self.num_heads, rows, embed // self.num_heads) for rows in scores.shape[1:]]
        work = macs(scores) + macs(context)
        attention = Call(ScaledDotProductAttention.kind, (*per_head, per_head[1]), per_head[0], work)
        # the heads are put side by side in a copy; for heads of one feature exchanging the axes does it
        copied = embed > self.num_heads or 1 in (self.num_heads, length)
        return (*projections, attention, linear(last, in_order=copied))

    def forward(self, tape: Tape, *inputs: Held) -> Held:
        query, key, value = query_key_value(*inputs)
        embed, heads = query.shape[-1], self.num_heads

        def project(x: Held) -> Held:
            out = tape.linear(x, tape.weight(embed, x.shape[-1]), tape.weight(embed) if self.bias else None)
            return tape.permute(tape.reshape(out, (*out.shape[:-1], heads, embed // heads)), (0, 2, 1, 3))

        query_heads, key_heads, value_heads = project(query), project(key), project(value)
        context = attend(tape, query_heads, key_heads, value_heads)
        tape.free(query_heads, key_heads, value_heads)
        joined = tape.reshape(tape.permute(context, (0, 2, 1, 3)), query.shape)
        return tape.linear(joined, tape.weight(embed, embed), tape.weight(embed) if self.bias else None)

    def reads(self, *inputs: Shape) -> tuple[Reads, ...]:
        whole = (EVERYTHING, EVERYTHING)
        if len(inputs) == 1:
            return (whole,)
        return ((along(0), EVERYTHING), *(whole for _ in inputs[1:]))


def attend(tape: Tape, query: Held, key: Held, value: Held, is_causal: bool = False) -> Held:
    """``softmax(Q·Kᵀ/√d)·V`` without a fused kernel: query and key are scaled before they are multiplied."""
    scaled = tape.pointwise(query)
    mask = _causal_mask(tape, query.shape[-2], key.shape[-2]) if is_causal else None
    columns = tape.pointwise(tape.permute(key, (*range(len(key.shape) - 2), len(key.shape) - 1, len(key.shape) - 2)))
    scores = tape.matrix_product(scaled, columns)
    tape.free(columns)
    if mask is not None:
        unmasked, scores = scores, tape.pointwise(scores, mask)
        tape.free(unmasked)
    weights = tape.new(scores.shape, scores)
    tape.keep(weights, weights)
    tape.free(scores)
    out = tape.matrix_product(weights, value)
    tape.free(scaled, weights, *(() if mask is None else (mask,)))
    return out


def _causal_mask(tape: Tape, length: int, keys: int) -> Held:
    """0 up to the unit's own index, −∞ after it, made of booleans."""
    ones = tape.new((length, keys), element=1)
    triangle = tape.new((length, keys), element=1)
    tape.free(ones)
    ends = (tape.new(()), tape.new(()))
    mask = tape.new((length, keys))
    tape.free(triangle, *ends)
    return mask


T = TypeVar("T")


def query_key_value(query: T, key: T | None = None, value: T | None = None) -> tuple[T, T, T]:
    """The three inputs of attention, where the key defaults to the query and the value to the key."""
    key = query if key is None else key
    return query, key, key if value is None else value
