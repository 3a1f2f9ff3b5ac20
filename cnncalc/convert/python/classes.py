"""A block as a class: the statements that make its modules, and those of ``forward``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnncalc.convert.code import (
    CHOSEN,
    SELF,
    Call,
    Doc,
    Group,
    Text,
    Verbatim,
    attributes_of,
    code,
    flat,
    formatted,
    lay_out,
    literal,
    prefixed,
)
from cnncalc.convert.python.forward import Forward
from cnncalc.convert.python.names import annotation, is_name, word
from cnncalc.convert.python.steps import Path, Step, Wiring
from cnncalc.convert.template import ABSENT, TENSOR, Block, Leaf, TCall, TGroup, TItem, TOp, TRepeat, keyed
from cnncalc.convert.tree import stem

if TYPE_CHECKING:
    from cnncalc.convert.python.module import ModuleWriter


class ClassWriter:
    """Writes one class."""

    def __init__(self, writer: ModuleWriter, block: Block) -> None:
        self.writer = writer
        self.block = block
        self.wiring = Wiring(block, writer.graph)
        self.names = writer.names
        self.params = [param for param in block.ordered() if param.kind != TENSOR]
        self.kept: set[str] = set()
        """Arguments that ``forward`` needs."""

    def lines(self) -> list[str]:
        """All of it."""
        chain = self.wiring.is_chain
        forward = [] if chain else self.forward()
        making = self.making()
        stored = [f"        self.{param.name} = {param.name}" for param in self.params if param.name in self.kept]
        lines = [f"class {self.block.name}(nn.{'Sequential' if chain else 'Module'}):"]
        if making or stored:
            lines += self.signature("def __init__", "None", 4, "self")
            lines += ["        super().__init__()", *stored, *making, *([""] if forward else [])]
        return [*lines, *forward]

    def signature(self, start: str, result: str, indent: int, *first: str) -> list[str]:
        """``def …:`` with all arguments."""
        parts = [*first]
        for param in self.params:
            default = "" if param.default is ... else f" = {literal(param.default)}"
            parts.append(f"{param.name}: {annotation(param.values)}{default}")
        return lay_out(Group(f"{start}(", tuple(parts), f") -> {result}:"), indent)

    # -- making ---------------------------------------------------------------------------------

    def making(self) -> list[str]:
        """The statements that register the modules."""
        lines: list[str] = []
        made: set[Path] = set()
        for step in self.wiring.steps:
            if isinstance(step.item, TRepeat):
                lines += self.loop(step.item, step.attributes)
                continue
            value = self.made(step.item)
            if value is None or not step.own:
                continue
            for length in range(1, len(step.attributes)):
                if step.attributes[:length] not in made:
                    made.add(step.attributes[:length])
                    lines += self.registered(step.attributes[:length], "nn.Module()")
            if step.present is not None:
                lines += self.registered(step.attributes, "nn.Identity()")
                lines.append(f"        if {self.value(step.present)}:")
            lines += self.registered(step.attributes, value, 8 if step.present is None else 12)
        return lines

    def registered(self, attributes: Path, value: Doc, indent: int = 8) -> list[str]:
        """The statement that makes a module a part of this one."""
        holder, name = self.attribute(attributes[:-1]), attributes[-1]
        if name in self.writer.attributes:
            return lay_out(value, indent, f"{holder}._modules[{literal(name)}] = ")
        if not is_name(name):
            return lay_out(Group(f"{holder}.add_module(", (literal(name), value), ")"), indent)
        return lay_out(value, indent, f"{holder}.{name} = ")

    def attribute(self, attributes: Path) -> str:
        """Where a module is found."""
        text = SELF
        for name in attributes:
            if name in self.writer.attributes:
                text = f"{text}._modules[{literal(name)}]"
            else:
                text = f"{text}.{name}" if is_name(name) else f"getattr({text}, {literal(name)})"
        return text

    def loop(self, repeat: TRepeat, attributes: Path) -> list[str]:
        """The statements that register a run of modules."""
        value = self.call(repeat.call, self.grown(repeat, "i"))
        added = Group("self.add_module(", (self.round_name(repeat), value), ")")
        return [f"        for i in range({self.rounds(repeat, self.value)}):", *lay_out(added, 12)]

    def rounds(self, repeat: TRepeat, value: Callable[[Leaf], str]) -> str:
        """How many rounds a run has."""
        if not repeat.times.expression:
            return str(repeat.times.constant - repeat.less)
        return f"{value(repeat.times)} - {repeat.less}" if repeat.less else value(repeat.times)

    def round_name(self, repeat: TRepeat) -> str:
        """The name of round ``i``."""
        text, first = stem(next(row[0].name for row in repeat.rows if row))
        return formatted(text, f"i + {first}" if first else "i")

    def grown(self, repeat: TRepeat, index: str | int) -> dict[str, Doc]:
        """The arguments of a run that are not the same in all rounds."""
        found: dict[str, Doc] = {}
        for name, leaf in repeat.growth.items():
            first, by = self.value(repeat.call.args[name]), self.value(leaf)
            if isinstance(index, int) and not leaf.expression and not repeat.call.args[name].expression:
                found[name] = str(int(first) + index * int(by))
            elif index != 0:
                step = f"({by})" if " " in by else by
                found[name] = f"{first} + {index}" if by == "1" else f"{first} + {index} * {step}"
        return found

    def made(self, item: TItem) -> Doc | None:
        """What makes the module of an item; nothing for a function."""
        if isinstance(item, TOp):
            text = self.text(item)
            return None if text.module is None else code(self.filled(text.module, self.value))
        if isinstance(item, TGroup):
            return self.sequential(item)
        assert isinstance(item, TCall)
        return self.call(item, {})

    def call(self, item: TCall, grown: dict[str, Doc]) -> Doc:
        """The call that makes a block's module."""
        parts: list[Doc] = []
        for param in item.block.ordered():
            if param.kind == TENSOR:
                continue
            leaf = item.args[param.name]
            if leaf.constant is ABSENT and not leaf.expression:  # no instance needs it
                leaf.constant = next(value for value in (param.default, *param.values) if value not in (..., ABSENT))
            value = grown.get(param.name) or self.doc(leaf)
            if param.default is ...:
                parts.append(value)
            elif leaf.expression or param.name in grown or keyed(leaf.constant) != keyed(param.default):
                parts.append(prefixed(f"{param.name}=", value))
        return Group(f"{item.block.name}(", tuple(parts), ")")

    def sequential(self, item: TGroup) -> Doc:
        """A chain that is written where it is used."""
        parts: list[tuple[str, Doc]] = []
        for part in item.body:
            if isinstance(part, TRepeat):
                row = next(row for row in part.rows if row)
                parts += [(group.name, self.call(part.call, self.grown(part, at))) for at, group in enumerate(row)]
            else:
                name = part.name if isinstance(part, TGroup) else next(filter(None, part.names))  # type: ignore[union-attr]
                parts.append((attributes_of(name)[0], self.made(part) or ""))
        if [name for name, _ in parts] == [str(number) for number in range(len(parts))]:
            return Group("nn.Sequential(", tuple(value for _, value in parts), ")")
        if all(is_name(name) for name, _ in parts):
            named: Doc = Group("OrderedDict(", tuple(prefixed(f"{name}=", value) for name, value in parts), ")")
        else:
            pairs = tuple(Group("(", (literal(name), value), ")") for name, value in parts)
            named = Group("OrderedDict(", (Group("[", pairs, "]"),), ")")
        return Group("nn.Sequential(", (named,), ")")

    # -- values ---------------------------------------------------------------------------------

    def text(self, item: TOp) -> Text:
        """How a layer is written here: as a function where people would, unless it is part of a chain."""
        text: Text = item.text
        self.writer.helpers.update(text.helpers)
        return text

    def value(self, leaf: Leaf) -> str:
        """A value in ``__init__``."""
        return flat(self.doc(leaf))

    def stored(self, leaf: Leaf) -> str:
        """A value in ``forward``."""
        if leaf.param is None:
            return self.value(leaf)
        self.kept.add(leaf.param.name)
        return leaf.code(f"self.{leaf.param.name}")

    def doc(self, leaf: Leaf) -> Doc:
        """A value in ``__init__``, as it may be laid out."""
        return leaf.code(leaf.param.name) if leaf.param is not None else code(leaf.constant)

    def filled(self, part: Any, value: Callable[[Leaf], str]) -> Any:
        """A call with its values."""
        if isinstance(part, Call) and part.function == CHOSEN:
            return Verbatim(f"{value(part.args[0].value)}()")
        if isinstance(part, Call):
            args = (arg._replace(value=self.filled(arg.value, value)) for arg in part.args)
            kept = (a for a in args if not (a.keyword and type(a.value) is type(a.default) and a.value == a.default))
            return Call(part.function, tuple(kept))
        if isinstance(part, Leaf):
            return part.constant if part.param is None else Verbatim(value(part))
        return part

    # -- forward --------------------------------------------------------------------------------

    def forward(self) -> list[str]:
        """The method."""
        names: list[str] = []
        wanted = ["x", *["skip"] * self.wiring.inputs][: self.wiring.inputs]
        graph = self.writer.graph
        if self.block.is_net and self.wiring.inputs > 1:
            wanted = [*graph.inputs]
        for name in wanted:
            names.append(word(name, "x", self.names.union(names)))
        for step in self.wiring.steps:
            if isinstance(step.item, TOp) and step.item.text.function is not None:
                step.item.text = step.item.text._replace(module=None, call=step.item.text.function)
        working = {number for number, step in enumerate(self.wiring.steps) if step.args and self.works(step)}
        body = Forward(self, names, working).lines()
        count = len(self.wiring.outputs)
        result = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
        if self.block.is_net and len(graph.outputs) > 1:
            result = "dict[str, Tensor]"
        head = Group("def forward(", ("self", *(f"{name}: Tensor" for name in names)), f") -> {result}:")
        return [*lay_out(head, 4), *body]

    def works(self, step: Step) -> bool:
        """Whether a step applies weights to an input: even unread it would cost as much, and train its norms."""
        nodes = map(self.writer.graph.nodes.__getitem__, step.nodes)
        return any(node.layer is not None and node.inputs and node.layer.weights(*node.input_shapes) for node in nodes)

    def called(self, step: Step, tensors: list[Doc], apart: Callable[[Doc], str] | None = None) -> Doc:
        """The call of a step; ``apart`` makes a statement of each call within it and answers the variable."""
        module = self.attribute(step.attributes)
        if not isinstance(step.item, TOp):
            return Group(f"{module}(", tuple(tensors), ")")
        call = self.filled(self.text(step.item).call, self.stored)
        if apart is not None:
            call = with_parts_apart(call, lambda part: apart(code(part, tensors, module)))
        return code(call, tensors, module)

    def rounds_of(self, repeat: TRepeat) -> tuple[str, str]:
        """How many rounds a loop in ``forward`` has, and the module of round ``i``."""
        return self.rounds(repeat, self.stored), f"getattr(self, {self.round_name(repeat)})"


def with_parts_apart(call: Any, apart: Callable[[Any], str]) -> Any:
    """A call with a variable for each call within it."""
    if not isinstance(call, Call) or call.function in ("(,)", ":"):
        return call
    args = []
    for arg in call.args:
        value = with_parts_apart(arg.value, apart)
        if isinstance(value, Call) and value.function not in ("(,)", ":"):
            value = Verbatim(apart(value))
        args.append(arg._replace(value=value))
    return Call(call.function, tuple(args))
