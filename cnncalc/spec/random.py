"""Random nets in the spec language, drawn from the layer classes themselves.

A layer's fields are drawn by their declared types, and drawn again if the layer refuses them for
the current shape; no layer is named here, so a new class takes part automatically. A net is
plain data (mappings, lists, numbers) as in a spec's file; :func:`render` writes it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from math import prod
from random import Random
from typing import Any

import msgspec
from msgspec import Meta

from cnncalc.errors import LayerError
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.base import Shape, Shapes, ShortForm
from cnncalc.layers.fields import REQUIRED, defaults_of, types_of
from cnncalc.layers.merge import Add
from cnncalc.layers.regularization import Identity
from cnncalc.spec.fields import written

Data = dict[str, Any]
"""A spec as plain data."""
Items = list[Any]
"""The layers of a body, each a mapping from its name to its fields."""
Drawn = tuple[Items, Shape]
"""Layers, and their output shape."""
Accept = Callable[[Shape], bool]

SIZES = {0: 0, 1: 24, 2: 14, 3: 7}
"""Largest spatial size of an input by rank."""
GROWN = 2
"""How many times larger a feature map may become."""
MOST_CHANNELS = 12
MOST_ELEMENTS = 3000
MOST_TAPS = 100_000
FLOATS = (-1.0, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
STRUCTURE = {"branches", "layers", "body"}
"""Fields that hold layers."""


def random_spec(rng: Random) -> str:
    """A random net as YAML text that loads."""
    return render(random_net(rng))


def random_net(rng: Random) -> Data:
    """A random net as plain data."""
    return _Draw(rng).net()


# -- layers ----------------------------------------------------------------------------------------


def outputs_of(layer: Layer, shapes: Shapes) -> Shapes:
    """The shapes that a layer gives, short forms written out.

    Raises:
        LayerError: it cannot take its inputs.
    """
    for part in layer.expand(*shapes) if isinstance(layer, ShortForm) else (layer,):
        shapes = part.output_shapes(*shapes)
    return shapes


def keeps_places(layer: Layer, shapes: Shapes) -> bool:
    """Whether units still have positions in the input: no spatial axis is read as a whole or scattered."""
    first = layer.expand(*shapes)[:1] if isinstance(layer, ShortForm) else (layer,)
    inputs = [pair for part in first for pair in zip(shapes, part.reads(*shapes), strict=True)]
    axes = [axis for shape, reads in inputs for axis in zip(shape[1:], reads[1:], strict=True)]
    return all(read.window is not None or size <= 1 for size, read in axes)


def classes(fits: Callable[[type[Layer]], bool]) -> tuple[list[type[Layer]], list[float]]:
    """Layer classes, and how often each is drawn."""
    found = [layer for _, layer in sorted(REGISTRY.items()) if layer.drawn and fits(layer)]
    return found, [_weight(layer) for layer in found]


def _weight(layer: type[Layer]) -> float:
    """Products of one input often, layers with geometry sometimes, pointwise ones rarely."""
    if layer.arity[0] > 1:
        return 1
    if layer.is_product:
        return 6
    if any("tuple" in str(hint) for hint in types_of(layer).values()):
        return 2
    pointwise = layer.reads is Layer.reads and layer.equation is Layer.equation and not issubclass(layer, ShortForm)
    return 0.4 if pointwise else 1


class Fields:
    """Draws values of declared types that suit the current shapes."""

    def __init__(self, rng: Random, shapes: Shapes, wanted: Shape = ()) -> None:
        self.rng = rng
        self.axes = len(shapes[0])
        sizes = {size for shape in (*shapes, wanted) for size in shape}
        parts = {divisor for size in sizes for divisor in range(1, size + 1) if size % divisor == 0}
        self.counts = sorted(size for size in sizes | parts if size <= 64) or [1]

    def draw(self, layer: type[Layer]) -> Data:
        """Fields of a layer; those with a default mostly keep it."""
        hints, defaults = types_of(layer), defaults_of(layer)
        drawn = (name for name, default in defaults.items() if default is REQUIRED or self.rng.random() < 0.45)
        return {name: self.value(hints[name]) for name in drawn}

    def value(self, hint: Any) -> Any:
        """A value of one type."""
        rng, limits = self.rng, Meta()
        if typing.get_origin(hint) is typing.Annotated:
            hint, limits = typing.get_args(hint)
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            weights = [0.4 if part is type(None) else 2 if typing.get_origin(part) is tuple else 1 for part in parts]
            return self.value(rng.choices(parts, weights)[0])
        if origin is typing.Literal:
            return rng.choice(parts)
        if origin is tuple:
            return self.values(parts[0], limits)
        if hint is bool:
            return rng.random() < 0.5
        if hint is int:
            return self.whole(limits.ge)
        return rng.choice([one for one in FLOATS if _within(one, limits)]) if hint is float else None

    def values(self, hint: Any, limits: Meta) -> list[Any]:
        """A list with one entry per spatial axis unless the type fixes its length."""
        rng = self.rng
        length = limits.min_length
        if length is None:
            length = rng.choices([max(self.axes - 1, 0), self.axes, 1, 2], [7, 2, 1, 1])[0]
        if hint is int and rng.random() < 0.7:  # axes, each once
            return rng.sample(range(self.axes), min(length, self.axes))
        return [self.value(hint) for _ in range(length)]

    def whole(self, least: float | None) -> int:
        """A whole number: small, or a count that occurs in the shapes; without a limit an axis or an offset."""
        rng = self.rng
        if least is None:
            return rng.randint(-self.axes - (rng.random() < 0.1), self.axes + 2)
        if least <= 0 and rng.random() < 0.4:
            return int(least)
        return rng.choice(self.counts if rng.random() < 0.5 else (1, 2, 2, 2, 3, 3, 3, 4, 5))


def _within(value: float, limits: Meta) -> bool:
    try:
        msgspec.convert(value, typing.Annotated[float, limits])
    except msgspec.ValidationError:
        return False
    return True


# -- nets ------------------------------------------------------------------------------------------


class _Draw:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.named: list[tuple[str, Shape]] = []
        self.labels = 0
        self.shares = 0
        self.left = rng.randint(1, 10)
        self.takes_one = classes(lambda layer: layer.arity[0] <= 1)
        self.takes_several = classes(lambda layer: layer.arity[1] is None or layer.arity[1] > 1)
        self.splits = classes(lambda layer: layer.output_shapes is not Layer.output_shapes)

    def net(self) -> Data:
        """Inputs, layers, and sometimes several outputs."""
        rng = self.rng
        first = self.input_shape()
        if rng.random() < 0.12:
            others = [self.other_input(first) for _ in range(rng.randint(1, 2))]
            inputs: Any = {f"in{number}": list(shape) for number, shape in enumerate([first, *others], 1)}
            self.named = [(name, tuple(shape)) for name, shape in inputs.items()]
            layers = self.from_first_input(self.body(first, self.left, top=True)[0])
        else:
            inputs = list(first)
            layers = self.body(first, self.left, top=True)[0]
        data = {"input": inputs, "layers": layers}
        inner = [name for name, _ in self.named if name not in inputs]
        if inner and rng.random() < 0.2:
            data["outputs"] = rng.sample(inner, rng.randint(1, min(2, len(inner))))
        return data

    def input_shape(self) -> Shape:
        rng = self.rng
        rank = rng.choices((0, 1, 2, 3), (1, 9, 16, 8))[0]
        if not rank:
            return (rng.randint(1, 24),)
        sizes = tuple(rng.randint(max(1, SIZES[rank] // 3), SIZES[rank]) for _ in range(rank))
        return (rng.randint(1, MOST_CHANNELS), *sizes)

    def other_input(self, first: Shape) -> Shape:
        """Another input: mostly of the first one's shape, or with other channels."""
        dice = self.rng.random()
        if dice < 0.4:
            return first
        return (self.rng.randint(1, MOST_CHANNELS), *first[1:]) if dice < 0.7 else self.input_shape()

    def from_first_input(self, layers: Items) -> Items:
        """The layers, the first of which says what it reads, as it must in a net of several inputs."""
        ((kind, fields),) = layers[0].items() if layers else ((Identity.kind, {}),)
        if STRUCTURE & set(fields):
            return [{Identity.kind: {"from": "in1"}}, *layers]
        source = fields.get("from", -1)
        source = ["in1" if one == -1 else one for one in source] if isinstance(source, list) else source
        return [{kind: {**fields, "from": "in1" if source == -1 else source}}, *layers[1:]]

    def body(self, shape: Shape, length: int, top: bool = False, depth: int = 0) -> Drawn:
        """Layers one after the other."""
        rng = self.rng
        items: Items = []
        tail = length - rng.randint(1, 3) if top and rng.random() < 0.4 else length + 1
        forms: tuple[tuple[float, Callable[[Shape, int], Drawn | None]], ...] = (
            (0.12, self.residual),
            (0.26, self.merge),
            (0.30, self.repeat),
            (0.36, self.split),
            (0.42, self.skip),
            (0.46, self.shared),
        )
        for number in range(length):
            if self.left <= 0:
                break
            self.left -= 1
            dice = rng.random()
            form = next((make for limit, make in forms if dice < limit), None)
            made = form(shape, depth + 1) if form is not None and depth < 2 else None
            if number == tail:
                made = self.search(shape, lambda out: len(out) == 2, free=True)
            made = made or self.layer(shape, free=number >= tail)
            if made is None:
                continue
            items += made[0]
            shape = made[1]
            if top and rng.random() < 0.4:
                self.label(items, shape)
        return items, shape

    def label(self, items: Items, shape: Shape) -> None:
        """Gives the last layer a name that others can read from."""
        ((kind, fields),) = items[-1].items()
        if "times" not in fields and "name" not in fields:
            items[-1] = {kind: {**fields, "name": self.new_name()}}
            self.named.append((items[-1][kind]["name"], shape))

    def new_name(self) -> str:
        self.labels += 1
        return f"t{self.labels}"

    # -- single layers -----------------------------------------------------------------------------

    def fits(self, layer: Layer, shapes: Shapes, free: bool) -> Shapes | None:
        """The output shapes, if the layer accepts its inputs and its output is not trivially small."""
        try:
            outputs = outputs_of(layer, shapes)
        except LayerError:
            return None
        for out in outputs:
            largest = GROWN * SIZES.get(len(out) - 1, 7)
            if prod(out) > MOST_ELEMENTS or len(out) > 4 or (len(out) > 2 and max(out[1:]) > largest):
                return None
        if sum(prod(weight.shape) for weight in layer.weights(*shapes)) > MOST_TAPS:
            return None
        if not free and self.rng.random() < 0.85:
            if not keeps_places(layer, shapes):
                return None
            if any(min(out[1:], default=2) < 2 <= min(shapes[0][1:], default=0) for out in outputs):
                return None
        return outputs

    def attempt(
        self, kind: type[Layer], shapes: Shapes, *, free: bool = False, wanted: Shape = (), more: Data | None = None
    ) -> tuple[Items, Shapes] | None:
        """One draw of a layer's fields: the layer as a spec writes it and its output shapes, if it is valid."""
        fields = Fields(self.rng, shapes, wanted).draw(kind)
        try:
            layer = msgspec.convert(fields, kind)
        except msgspec.ValidationError:
            return None
        outputs = self.fits(layer, shapes, free)
        if outputs is None or any(out[:1] > (4 * MOST_CHANNELS,) for out in outputs):
            return None
        return [{kind.kind: fields | (more or {})}], outputs

    def single(self, kind: type[Layer], shapes: Shapes, **options: Any) -> Drawn | None:
        """As :meth:`attempt`, for a layer of one output."""
        made = self.attempt(kind, shapes, **options)
        return (made[0], made[1][0]) if made is not None and len(made[1]) == 1 else None

    def layer(self, shape: Shape, *, free: bool = False, wanted: Shape = ()) -> Drawn | None:
        """A layer of one input."""
        for _ in range(30):
            kind = self.rng.choices(*self.takes_one)[0]
            for _ in range(6):
                made = self.single(kind, (shape,), free=free, wanted=wanted)
                if made is not None:
                    return made
        return None

    def search(
        self, shape: Shape, accept: Accept, *, wanted: Shape = (), free: bool = False, tries: int = 80
    ) -> Drawn | None:
        """One layer or two whose output is accepted."""
        for _ in range(tries):
            made = self.layer(shape, free=free, wanted=wanted)
            if made is None:
                return None
            if self.rng.random() < 0.15 and (then := self.layer(made[1], free=free, wanted=wanted)):
                made = made[0] + then[0], then[1]
            if accept(made[1]):
                return made
        return None

    def join(self, kind: type[Layer], shapes: Shapes, more: Data | None = None) -> Drawn | None:
        """A layer that takes several inputs, and its output shape."""
        for _ in range(4):
            made = self.single(kind, shapes, free=self.rng.random() < 0.5, more=more)
            if made is not None:
                return made
        return None

    # -- structure ---------------------------------------------------------------------------------

    def residual(self, shape: Shape, depth: int) -> Drawn | None:
        """A body and what is added to it: the tensor itself if the sizes allow it, else a shortcut."""
        body, out = self.body(shape, self.rng.randint(1, 3), depth=depth)
        try:
            merged = Add().output_shape(out, shape)
        except LayerError:
            merged = None
        if merged is not None and prod(merged) <= MOST_ELEMENTS:
            return [{"residual": {"body": body}}], merged
        found = self.search(shape, lambda other: other == out, wanted=out)
        if found is None:
            return body, out
        return [{"residual": {"body": body, "shortcut": found[0]}}], out

    def merge(self, shape: Shape, depth: int) -> Drawn | None:
        """Branches, joined by a layer of several inputs."""
        rng = self.rng
        kind = rng.choices(*self.takes_several)[0]
        least, most = kind.arity
        count = rng.randint(max(least, 2), min(most or 4, 4))
        for _ in range(6):
            branches = [self.body(shape, rng.randint(0, 2), depth=depth)]
            while len(branches) < count:
                found = self.next_branch(kind, tuple(out for _, out in branches), shape)
                if found is None:
                    break
                branches.append(found)
            else:
                items, shapes = zip(*branches, strict=True)
                joined = self.join(kind, shapes, {"branches": [*items]})
                if joined is not None:
                    return joined
        return None

    def next_branch(self, kind: type[Layer], others: Shapes, shape: Shape) -> Drawn | None:
        """A branch whose output a layer can join with those of the others."""
        rng = self.rng
        if len(others) + 1 < kind.arity[0]:
            return self.search(shape, lambda out: True, free=rng.random() < 0.5)
        if rng.random() < 0.4 and self.join(kind, (*others, shape)):
            return [], shape

        def joins(out: Shape) -> bool:
            return self.join(kind, (*others, out)) is not None

        return self.search(shape, joins, wanted=others[0], free=rng.random() < 0.3, tries=25)

    def skip(self, shape: Shape, depth: int) -> Drawn | None:
        """The previous tensor joined with a named one, after a layer that makes the two fit if they do not."""
        rng = self.rng
        if not self.named:
            return None
        if rng.random() < 0.1:
            name, other = rng.choice(self.named)
            for _ in range(10):
                made = self.single(rng.choices(*self.takes_one)[0], (other,), more={"from": name})
                if made is not None:
                    return made
        for _ in range(6):
            name, other = rng.choice(self.named)
            kind = rng.choices(*self.takes_several)[0]
            if kind.arity[0] > 2:
                continue

            def joins(out: Shape, kind: type[Layer] = kind, other: Shape = other) -> bool:
                return self.join(kind, (out, other)) is not None

            found = ([], shape) if joins(shape) else self.search(shape, joins, wanted=other, tries=12)
            joined = self.join(kind, (found[1], other), {"from": [-1, name]}) if found else None
            if found and joined:
                return found[0] + joined[0], joined[1]
        return None

    def repeat(self, shape: Shape, depth: int) -> Drawn | None:
        """A shape-keeping body, repeated."""
        for _ in range(8):
            body, out = self.body(shape, self.rng.randint(1, 2), depth=depth)
            if body and out == shape:
                return [{"repeat": {"times": self.rng.randint(2, 3), "layers": body}}], shape
        return None

    def split(self, shape: Shape, depth: int) -> Drawn | None:
        """A layer of several outputs: each through its own branch, or one of them chosen."""
        rng = self.rng
        for _ in range(20):
            kind = rng.choices(*self.splits)[0]
            made = self.attempt(kind, (shape,), free=True)
            if made is None:
                continue
            items, parts = made
            if len(parts) > 1 and rng.random() < 0.3:
                name, port = self.new_name(), rng.randrange(len(parts))
                after = rng.choices(*self.takes_one)[0]
                following = self.single(after, (parts[port],), more={"from": f"{name}.{port}"})
                if following is not None:
                    return [{kind.kind: {**items[0][kind.kind], "name": name}}, *following[0]], following[1]
                continue
            several = rng.choices(*self.takes_several)[0]
            bodies = [self.body(part, rng.randint(0, 1), depth=depth) for part in parts]
            least, most = several.arity
            if not least <= len(parts) <= (most or len(parts)):
                continue
            branches, shapes = zip(*bodies, strict=True)
            joined = self.join(several, shapes, {"branches": [*branches]})
            if joined is not None and len(parts) > 1:
                return items + joined[0], joined[1]
        return None

    def shared(self, shape: Shape, depth: int) -> Drawn | None:
        """A layer used twice with the same weights, sometimes at two resolutions."""

        def same(out: Shape) -> bool:
            return out[:1] == shape[:1] and len(out) == len(shape)

        for _ in range(6):
            made = self.search(shape, same, wanted=shape, tries=10)
            if made is None or len(made[0]) != 1:
                continue
            ((kind, fields),) = made[0][0].items()
            if not fields:
                continue
            layer = msgspec.convert(fields, REGISTRY[kind])
            between: Drawn | None = ([], made[1])
            if self.rng.random() < 0.5:
                between = self.search(made[1], same, tries=10)
            if between is None:
                continue
            again = self.fits(layer, (between[1],), True)
            if again is None or isinstance(layer, ShortForm):
                continue
            weights = layer.weights(shape)
            if not weights or weights != layer.weights(between[1]):
                continue
            self.shares += 1
            call = {kind: {**fields, "share": f"w{self.shares}"}}
            return [call, *between[0], call], again[0]
        return None


# -- as a spec is written --------------------------------------------------------------------------

WIDTH = 90


def render(data: Data) -> str:
    """A spec's data as YAML text: one line for each layer if it fits."""
    lines = []
    for key, value in data.items():
        inner = _items(value) if key == "layers" else []
        lines += [f"{key}:", *(f"  {line}" for line in inner)] if inner else [f"{key}: {flow(value)}"]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line; a layer without fields is just its name."""
    if isinstance(value, dict):
        parts = [f"{key}: {flow(part)}" for key, part in value.items()]
        return next(iter(value)) if [*value.values()] == [{}] else f"{{{', '.join(parts)}}}"
    return f"[{', '.join(map(flow, value))}]" if isinstance(value, (list, tuple)) else written(value)


def _items(values: Items) -> list[str]:
    """The lines of a list of layers, or of branches."""
    lines = []
    for value in values:
        if isinstance(value, dict) and any(value.values()):
            ((name, fields),) = value.items()
            lines += _entry(f"- {name}:", fields, indent="    ")
        else:
            lines += _entry("-", value)
    return lines


def _entry(head: str, value: Any, indent: str = "  ") -> list[str]:
    text = f"{head} {flow(value)}"
    if len(text) <= WIDTH or not isinstance(value, (dict, list)):
        return [text]
    parts = [_entry(f"{key}:", part) for key, part in value.items()] if isinstance(value, dict) else [_items(value)]
    return [head, *(indent + line for part in parts for line in part)]
