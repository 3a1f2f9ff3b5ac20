"""Random nets in the spec language, drawn from the layer classes themselves.

A layer's fields are drawn by their declared types, and drawn again if the layer refuses them for
the current shape; no layer is named here, so a new class takes part automatically. A net is
plain data (mappings, lists, numbers) as in a spec's file; :func:`render` writes it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
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

Data = dict[str, Any]
"""A spec as plain data."""
Items = list[Any]
"""The layers of a body, each a name or a name with its fields."""
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
    if not isinstance(layer, ShortForm):
        return layer.output_shapes(*shapes)
    for part in layer.expand(*shapes):
        shapes = part.output_shapes(*shapes)
    return shapes


def keeps_places(layer: Layer, shapes: Shapes) -> bool:
    """Whether units still have positions in the input: no spatial axis is read as a whole or scattered."""
    parts = layer.expand(*shapes) if isinstance(layer, ShortForm) else (layer,)
    for part in parts[:1]:
        for shape, reads in zip(shapes, part.reads(*shapes), strict=True):
            if any(read.window is None and size > 1 for read, size in zip(reads[1:], shape[1:], strict=True)):
                return False
    return True


def _classes(fits: Callable[[type[Layer]], bool]) -> tuple[list[type[Layer]], list[float]]:
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
    return 0.4 if layer.reads is Layer.reads and not issubclass(layer, ShortForm) else 1


def _takes_one(layer: type[Layer]) -> bool:
    return layer.arity[0] <= 1


def _takes_several(layer: type[Layer]) -> bool:
    return layer.arity[1] is None or layer.arity[1] > 1


# -- fields ----------------------------------------------------------------------------------------


class _Fields:
    """Draws values of declared types that suit the current shapes."""

    def __init__(self, rng: Random, shapes: Shapes, wanted: Shape = ()) -> None:
        self.rng = rng
        self.axes = len(shapes[0])
        sizes = {size for shape in (*shapes, wanted) for size in shape}
        parts = {divisor for size in sizes for divisor in range(1, size + 1) if size % divisor == 0}
        self.counts = sorted(size for size in sizes | parts if size <= 64) or [1]

    def draw(self, layer: type[Layer]) -> Data:
        """Fields of a layer; those with a default mostly keep it."""
        fields = {}
        for name, default in defaults_of(layer).items():
            if default is REQUIRED or self.rng.random() < 0.45:
                fields[name] = self.value(types_of(layer)[name])
        return fields

    def value(self, hint: Any) -> Any:
        """A value of one type."""
        rng = self.rng
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        limits = Meta()
        if origin is typing.Annotated:
            hint, limits = parts[0], next((part for part in parts[1:] if isinstance(part, Meta)), limits)
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
        if hint is float:
            return rng.choice([f for f in FLOATS if _within(f, limits)])
        return None

    def values(self, hint: Any, limits: Meta) -> list[Any]:
        """A list with one entry per spatial axis unless the type fixes its length."""
        rng = self.rng
        if limits.min_length is not None:
            length = limits.min_length
        else:
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
        if rng.random() < 0.5:
            return rng.choice(self.counts)
        return rng.choice((1, 2, 2, 2, 3, 3, 3, 4, 5))


def _within(value: float, limits: Meta) -> bool:
    return (
        (limits.ge is None or value >= limits.ge)
        and (limits.gt is None or value > limits.gt)
        and (limits.le is None or value <= limits.le)
        and (limits.lt is None or value < limits.lt)
    )


# -- nets ------------------------------------------------------------------------------------------


class _Draw:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.named: list[tuple[str, Shape]] = []
        self.labels = 0
        self.shares = 0
        self.left = rng.randint(1, 10)
        self.one = _classes(_takes_one)
        self.several = _classes(_takes_several)
        self.splitters = _classes(lambda layer: layer.output_shapes is not Layer.output_shapes)

    def net(self) -> Data:
        """Inputs, layers, and sometimes several outputs."""
        rng = self.rng
        first = self.input_shape()
        if rng.random() < 0.12:
            others = [self.other_input(first) for _ in range(rng.randint(1, 2))]
            inputs = {f"in{number}": list(shape) for number, shape in enumerate([first, *others], 1)}
            self.named = [(name, tuple(shape)) for name, shape in inputs.items()]
            layers = self.body(first, self.left, top=True)[0]
            if not layers:
                layers = [{Identity.kind: {}}]
            self.start_from(layers, "in1")
            data: Data = {"input": inputs, "layers": layers}
        else:
            data = {"input": list(first), "layers": self.body(first, self.left, top=True)[0]}
        inner = [name for name, _ in self.named if name not in data["input"]]
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

    def start_from(self, layers: Items, name: str) -> None:
        """Names what the first layer reads, which a net of several inputs must say."""
        kind, fields = next(iter(layers[0].items())) if isinstance(layers[0], dict) else (layers[0], {})
        if isinstance(fields, dict) and not {"branches", "layers", "times", "body"} & set(fields):
            source = fields.get("from", -1)
            if source == -1:
                fields["from"] = name
            elif isinstance(source, list):
                fields["from"] = [name if one == -1 else one for one in source]
            layers[0] = {kind: fields}
        else:
            layers.insert(0, {Identity.kind: {"from": name}})

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
        last = items[-1]
        kind, fields = next(iter(last.items())) if isinstance(last, dict) else (last, {})
        if isinstance(fields, list):
            fields = {"body" if kind == "residual" else "branches": fields}
        if "times" in fields or "name" in fields:
            return
        self.labels += 1
        name = f"t{self.labels}"
        items[-1] = {kind: {**fields, "name": name}}
        self.named.append((name, shape))

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

    def layer(self, shape: Shape, *, free: bool = False, wanted: Shape = ()) -> Drawn | None:
        """A layer of one input."""
        for _ in range(30):
            kind = self.rng.choices(*self.one)[0]
            for _ in range(6):
                made = self.attempt(kind, (shape,), free, wanted)
                if made is not None and len(made[1]) == 1:
                    return [made[0]], made[1][0]
        return None

    def attempt(
        self, kind: type[Layer], shapes: Shapes, free: bool, wanted: Shape = (), more: Data | None = None
    ) -> tuple[Any, Shapes] | None:
        """One draw of a layer's fields: the layer as a spec writes it and its output shapes, if it is valid."""
        fields = _Fields(self.rng, shapes, wanted).draw(kind)
        try:
            layer = msgspec.convert(fields, kind)
        except msgspec.ValidationError:
            return None
        outputs = self.fits(layer, shapes, free)
        if outputs is None or any(out[:1] > (4 * MOST_CHANNELS,) for out in outputs):
            return None
        fields |= more or {}
        return ({kind.kind: fields} if fields else kind.kind), outputs

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

    # -- structure ---------------------------------------------------------------------------------

    def residual(self, shape: Shape, depth: int) -> Drawn | None:
        """A body and what is added to it: the tensor itself if the sizes allow it, else a shortcut."""
        body, out = self.body(shape, self.rng.randint(1, 3), depth=depth)
        merged = _merged(Add(), (out, shape))
        if merged is not None and self.affordable(merged):
            return [{"residual": body}], merged
        found = self.search(shape, lambda other: other == out, wanted=out)
        if found is None:
            return body, out
        return [{"residual": {"body": body, "shortcut": found[0]}}], out

    def affordable(self, shape: Shape) -> bool:
        """Whether a tensor is small enough."""
        return prod(shape) <= MOST_ELEMENTS

    def merge(self, shape: Shape, depth: int) -> Drawn | None:
        """Branches, joined by a layer of several inputs."""
        rng = self.rng
        kind = rng.choices(*self.several)[0]
        least, most = kind.arity
        count = rng.randint(max(least, 2), min(most or 4, 4))
        for _ in range(6):
            branches = [self.body(shape, rng.randint(0, 2), depth=depth)]
            while len(branches) < count:
                so_far = tuple(out for _, out in branches)
                if len(branches) + 1 < least:
                    found: Drawn | None = self.search(shape, lambda out: True, free=rng.random() < 0.5)
                elif rng.random() < 0.4 and self.join(kind, (*so_far, shape)):
                    found = [], shape
                else:
                    found = self.search(
                        shape,
                        lambda out, so_far=so_far: self.join(kind, (*so_far, out)) is not None,  # type: ignore[misc]
                        wanted=so_far[0],
                        free=rng.random() < 0.3,
                        tries=25,
                    )
                if found is None:
                    break
                branches.append(found)
            joined = self.join(kind, tuple(out for _, out in branches)) if len(branches) == count else None
            if joined is not None:
                fields, out = joined
                bodies = [items for items, _ in branches]
                return [{kind.kind: {**fields, "branches": bodies} if fields else bodies}], out
        return None

    def join(self, kind: type[Layer], shapes: Shapes) -> tuple[Data, Shape] | None:
        """Fields with which a layer takes several inputs, and its output shape."""
        for _ in range(4):
            made = self.attempt(kind, shapes, free=self.rng.random() < 0.5)
            if made is not None and len(made[1]) == 1:
                written, (out,) = made
                return (written[kind.kind] if isinstance(written, dict) else {}), out
        return None

    def skip(self, shape: Shape, depth: int) -> Drawn | None:
        """The previous tensor joined with a named one, after a layer that makes the two fit if they do not."""
        rng = self.rng
        if not self.named:
            return None
        if rng.random() < 0.1:
            name, other = rng.choice(self.named)
            for _ in range(10):
                made = self.attempt(rng.choices(*self.one)[0], (other,), False, more={"from": name})
                if made is not None and len(made[1]) == 1:
                    return [made[0]], made[1][0]
        for _ in range(6):
            name, other = rng.choice(self.named)
            kind = rng.choices(*self.several)[0]
            if kind.arity[0] > 2:
                continue

            def joins(out: Shape, kind: type[Layer] = kind, other: Shape = other) -> bool:
                return self.join(kind, (out, other)) is not None

            found = ([], shape) if joins(shape) else self.search(shape, joins, wanted=other, tries=12)
            joined = self.join(kind, (found[1], other)) if found else None
            if found and joined:
                fields, out = joined
                return [*found[0], {kind.kind: {**fields, "from": [-1, name]}}], out
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
            kind = rng.choices(*self.splitters)[0]
            made = self.attempt(kind, (shape,), True)
            if made is None:
                continue
            written, parts = made
            if len(parts) > 1 and rng.random() < 0.3:
                self.labels += 1
                name, port = f"t{self.labels}", rng.randrange(len(parts))
                following = self.attempt(
                    rng.choices(*self.one)[0], (parts[port],), False, more={"from": f"{name}.{port}"}
                )
                if following is not None and len(following[1]) == 1:
                    return [{kind.kind: {**written[kind.kind], "name": name}}, following[0]], following[1][0]
                continue
            several = rng.choices(*self.several)[0]
            bodies = [self.body(part, rng.randint(0, 1), depth=depth) for part in parts]
            most = several.arity[1]
            if len(parts) < several.arity[0] or (most is not None and len(parts) > most):
                continue
            joined = self.join(several, tuple(out for _, out in bodies))
            if joined is not None and len(parts) > 1:
                fields, out = joined
                branches = [items for items, _ in bodies]
                merged = {several.kind: {**fields, "branches": branches} if fields else branches}
                return [written, merged], out
        return None

    def shared(self, shape: Shape, depth: int) -> Drawn | None:
        """A layer used twice with the same weights, sometimes at two resolutions."""

        def same(out: Shape) -> bool:
            return out[:1] == shape[:1] and len(out) == len(shape)

        for _ in range(6):
            made = self.search(shape, same, wanted=shape, tries=10)
            if made is None or len(made[0]) != 1 or not isinstance(made[0][0], dict):
                continue
            ((kind, fields),) = made[0][0].items()
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


def _merged(layer: Layer, shapes: Shapes) -> Shape | None:
    try:
        return layer.output_shape(*shapes)
    except LayerError:
        return None


# -- as a spec is written --------------------------------------------------------------------------

WIDTH = 100


def render(data: Data) -> str:
    """A spec's data as YAML text: one line for each layer if it fits."""
    lines = [f"{key}: {flow(value)}" for key, value in data.items() if key not in ("layers", "outputs")]
    lines += ["layers:", *_body(data["layers"], "  ")] if data["layers"] else ["layers: []"]
    if "outputs" in data:
        lines.append(f"outputs: {flow(data['outputs'])}")
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _body(items: Items, indent: str) -> Iterator[str]:
    """The lines of a list of layers."""
    for item in items:
        if not isinstance(item, dict):
            yield f"{indent}- {flow(item)}"
            continue
        ((name, fields),) = item.items()
        short = f"{indent}- {name}: {flow(fields)}"
        if len(short) <= WIDTH:
            yield short
            continue
        yield f"{indent}- {name}:"
        inner = indent + "    "
        if isinstance(fields, list):
            yield from _body(fields, inner) if name == "residual" else _branches(fields, inner)
            continue
        for key, value in fields.items():
            if key == "branches":
                yield f"{inner}branches:"
                yield from _branches(value, inner + "  ")
            elif key in ("body", "shortcut", "layers") and value:
                yield f"{inner}{key}:"
                yield from _body(value, inner + "  ")
            else:
                yield f"{inner}{key}: {flow(value)}"


def _branches(bodies: list[Items], indent: str) -> Iterator[str]:
    for body in bodies:
        if body:
            yield f"{indent}-"
            yield from _body(body, indent + "  ")
        else:
            yield f"{indent}- []"
