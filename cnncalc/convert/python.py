"""A graph as one Python module that only needs PyTorch.

Blocks become classes (:mod:`cnncalc.convert.classes` finds them), chains ``nn.Sequential``, repeated steps loops.
Modules have the names that the graph's paths tell, so a state dict fits the module of :func:`cnncalc.torch.build`
as well.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from textwrap import wrap
from typing import Any, NamedTuple

from cnncalc.convert.blocks import Path, Tree, Value, base_of
from cnncalc.convert.classes import CHOSEN, SCOPES, Argument, Class, Finder, Hole, Item, Meaning, Slot
from cnncalc.convert.code import (
    SELF,
    WIDTH,
    Arg,
    Call,
    Doc,
    Group,
    Infix,
    Text,
    Verbatim,
    code,
    flat,
    formatted,
    lay_out,
    literal,
    mentioned,
    prefixed,
)
from cnncalc.graph import Graph, Node
from cnncalc.layers.axes import describe
from cnncalc.text import visible

MOST_INLINE = 8
"""Most steps of a chain that is written where it is used."""
MOST_NAMES = 5
"""Most results of one call that have names of their own."""
FIXED = {"torch", "nn", "F", "Tensor", "OrderedDict", "self", "i", "range", "enumerate", "super", "getattr", "str"}
FIXED |= {"int", "float", "bool", "type", "dict", "tuple"}
"""Names that the code itself uses."""


def render(graph: Graph, text: Callable[[Node], Text], reserved: Collection[str] = ()) -> str:
    """The module's source.

    Args:
        graph: the net.
        text: how a node's layer is written.
        reserved: attributes that every module has, so that none of its parts can be one.
    """
    return Writer(graph, text, frozenset(reserved)).module()


class Expression(NamedTuple):
    """A value (``text`` is empty), or code: ``level`` 0 for a name, 1 for a product, 2 for anything else."""

    value: Any = None
    text: str = ""
    level: int = 0

    def code(self) -> Any:
        """As a part of a call."""
        return Verbatim(self.text) if self.text else self.value

    def times(self, factor: int) -> Expression:
        """A multiple of it."""
        if factor == 1:
            return self
        if not self.text:
            return Expression(self.value * factor)
        return Expression(None, f"{factor} * {self.atom(1)}", 1)

    def over(self, divisor: int) -> Expression:
        """A part of it."""
        if divisor == 1:
            return self
        return Expression(None, f"{self.atom(1)} // {divisor}", 2) if self.text else Expression(self.value // divisor)

    def shifted(self, by: int) -> Expression:
        """It and a number more."""
        if not self.text:
            return Expression(self.value + by)
        return Expression(None, f"{self.text} {'+' if by > 0 else '-'} {abs(by)}", 2) if by else self

    def plus(self, other: Expression, first: int) -> Expression:
        """What has grown from it by ``other`` in each round of a loop whose ``i`` begins with ``first``."""
        if other == Expression(0):
            return self
        if other == Expression(1):
            found = re.fullmatch(r"(.*) ([+-]) (\d+)", self.text)
            base, more = (found[1], int(found[2] + found[3])) if found else (self.text, 0)
            start = Expression(None, f"{base} + i", 2) if self.text else Expression(None, "i", 0)
            return start.shifted((more if self.text else self.value) - first)
        grown = f"i * {other.atom(1)}" if not first else f"(i - {first}) * {other.atom(1)}"
        return Expression(None, f"{flat(code(self.code()))} + {grown}", 2)

    def atom(self, level: int) -> str:
        """The text, in parentheses where it binds less than ``level``."""
        if not self.text:
            return literal(self.value)
        return self.text if self.level <= level else f"({self.text})"


Scope = list[Expression]
"""The values of a class's arguments within its code."""


class Writer:
    """Writes one net."""

    def __init__(self, graph: Graph, text: Callable[[Node], Text], reserved: frozenset[str]) -> None:
        self.graph = graph
        self.reserved = reserved

        def text_of(number: int) -> Text:
            return text(graph.nodes[number])

        root = Tree(graph, lambda number: text_of(number).module is not None).root()
        self.finder = Finder(graph, root, text_of)
        self.classes = self.finder.find()
        self.net = self.classes[-1]
        self.helpers: dict[str, str] = {}
        texts = (text_of(number) for number, node in enumerate(graph.nodes) if node.layer is not None)
        self.names = frozenset(FIXED).union(name for one in texts for name, _ in one.helpers)
        self.give_size()
        self.inline = {id(one) for one in self.classes if self.stands_inline(one)}
        self.name_classes()
        for one in self.classes:
            name_arguments(one, self.taken(one), self.graph)

    # -- the file -------------------------------------------------------------------------------

    def module(self) -> str:
        """All of it."""
        classes = []
        for one in self.classes:
            if id(one) not in self.inline:
                classes.append(ClassWriter(self, one).lines())
        body = "\n\n\n".join("\n".join(lines) for lines in [*self.helper_lines(), *classes, self.factory()])
        return f"{self.docstring()}\n{self.imports(body)}\n\n\n{body}\n"

    def helper_lines(self) -> list[list[str]]:
        sources = (re.sub(r"  # type: ignore\[.*\]", "", source) for _, source in sorted(self.helpers.items()))
        return [source.rstrip("\n").split("\n") for source in sources]

    def docstring(self) -> str:
        shapes = ", ".join(shape_text(shape) for shape in self.graph.inputs.values())
        results = ", ".join(shape_text(self.graph.shape(ref)) for _, ref in self.graph.outputs)
        given = ", ".join(f"{name}={value!r}".replace(" ", "") for name, value in self.graph.args.items())
        lines = [f"{self.graph.name or 'A net'}: {shapes} -> {results}."]
        for paragraph in (self.graph.citation, given and f"Written by cnncalc for {given}."):
            if paragraph:
                lines += ["", *wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)]
        if not given:
            lines += ["", "Written by cnncalc."]
        if counted := ", ".join(node.path for node in self.graph.without_values()):
            text = f"The values of {counted} are not given: they count up from 0 until others are set."
            lines += ["", *wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)]
        text = "\n".join(visible(line) for line in lines)
        return '"""' + text.replace("\\", "\\\\").replace('"""', "'''") + '\n"""\n'

    def imports(self, body: str) -> str:
        lines = []
        if "OrderedDict(" in body:
            lines += ["from collections import OrderedDict", ""]
        if re.search(r"\btorch\.", body):
            lines.append("import torch")
        if re.search(r"\bF\.", body):
            lines.append("import torch.nn.functional as F")
        names = [name for name in ("Tensor", "nn") if re.search(rf"\b{name}\b", body)]
        return "\n".join([*lines, f"from torch import {', '.join(names)}"])

    def factory(self) -> list[str]:
        """A function named after the net."""
        name = identifier(self.graph.name) or "net"
        if name == self.net.name:
            name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
            name = f"make_{name}" if name == self.net.name else name
        name = unique(name, self.names.union(dir(builtins)))
        return [
            *ClassWriter(self, self.net).signature(f"def {name}", self.net.name, 0),
            f"    return {self.call_of_net()}",
        ]

    def call_of_net(self) -> str:
        return f"{self.net.name}({', '.join(argument.name for argument in self.net.arguments)})"

    # -- classes --------------------------------------------------------------------------------

    def stands_inline(self, one: Class) -> bool:
        """Whether a chain is written where it is used, as it is short or used once or twice."""
        count = len(one.slots)
        if one is self.net or not one.is_chain or count > MOST_INLINE:
            return False
        if any(slot.is_run or slot.present is not None for slot in one.slots):
            return False
        if any(item.attributes[-1] in self.reserved for slot in one.slots for item in slot.items):
            return False
        bases = {base_of(block.path[-1]) for block in one.blocks}
        if bases <= {*SCOPES, ""}:
            return True
        uses = sum(item.inner is one for other in self.classes for slot in other.slots for item in slot.items)
        return count * uses <= count + 3

    def give_size(self) -> None:
        """Lets the net take the size of its result, where that is an argument of the spec and of no other layer."""
        sizes = [c for c in self.net.columns if c.hint in ("out_features", "out_channels") and type(c.values[0]) is int]
        if not sizes:
            return
        last = sizes[-1]
        (size,) = last.values
        names = [name for name, value in self.graph.args.items() if type(value) is int and value == size]
        alike = [column for column in self.net.columns if column.kind == "count" and column.values == [size]]
        if len(names) == 1 and len(alike) == 1 and (name := identifier(names[0])):
            last.hint, last.kind = name, "argument"
            argument = Argument(last)
            argument.default = size
            self.net.meanings[self.net.columns.index(last)] = Meaning(argument=len(self.net.arguments))
            self.net.arguments.append(argument)

    def name_classes(self) -> None:
        """Names of classes: what most of their blocks are called; where several are, what the first of each is."""
        written = [one for one in self.classes if id(one) not in self.inline]
        wanted: dict[str, list[Class]] = {}
        for one in written[:-1]:
            votes = Counter(self.finder.base(block) for block in one.blocks)
            best = max(votes, key=lambda base: (votes[base], len(base)))
            wanted.setdefault(camel(best), []).append(one)
        taken = {*self.names, *dir(builtins)}
        for name, classes in wanted.items():
            most = max(classes, key=lambda one: len(one.blocks))
            for one in [most, *(one for one in classes if one is not most)]:
                last = one.blocks[0].path[-1]
                full = camel(last) if base_of(last) else camel(f"{name}_{last}")
                apart = any(other is not most and len(other.blocks) == len(most.blocks) for other in classes)
                wanted_name = full if one is not most or apart else name
                one.name = unique(wanted_name, taken)
                taken.add(one.name)
        self.net.name = unique(camel(identifier(self.graph.name) or "net"), taken)
        self.names = self.names.union(one.name for one in self.classes)

    def taken(self, one: Class) -> set[str]:
        """Names that an argument of a class must not have."""
        attributes = {part for slot in one.slots for item in slot.items for part in item.attributes}
        return attributes | self.reserved | self.names


class ClassWriter:
    """Writes one class."""

    def __init__(self, writer: Writer, one: Class) -> None:
        self.writer = writer
        self.one = one
        self.stored: set[str] = set()

    def lines(self) -> list[str]:
        one = self.one
        forward = [] if one.is_chain else self.forward()
        making = self.making()
        stored = [f"        self.{a.name} = {a.name}" for a in one.arguments if a.name in self.stored]
        lines = [f"class {one.name}(nn.{'Sequential' if one.is_chain else 'Module'}):"]
        if making or stored:
            lines += self.signature("def __init__", "None", 4, "self")
            lines += ["        super().__init__()", *stored, *making]
            if forward:
                lines.append("")
        return [*lines, *forward]

    def signature(self, start: str, result: str, indent: int, *first: str) -> list[str]:
        """``def …:`` with all arguments, those without a default before the others."""
        parts = [*first]
        for argument in in_order(self.one.arguments):
            default = "" if argument.default is ... else f" = {literal(argument.default)}"
            parts.append(f"{argument.name}: {annotation(argument.values)}{default}")
        return lay_out(Group(f"{start}(", tuple(parts), f") -> {result}:"), indent)

    # -- making ---------------------------------------------------------------------------------

    def making(self) -> list[str]:
        """The statements that register the modules."""
        lines: list[str] = []
        scope = [Expression(None, argument.name) for argument in self.one.arguments]
        made: set[Path] = set()
        for slot in self.one.slots:
            if slot.is_run:
                lines += self.loop(slot, scope)
                continue
            (item,) = slot.items
            value = self.made(self.one, slot, item, scope)
            if value is None or not slot.own:
                continue
            for length in range(1, len(item.attributes)):
                if item.attributes[:length] not in made:
                    made.add(item.attributes[:length])
                    lines += self.registered(item.attributes[:length], "nn.Module()")
            made.add(item.attributes)
            if slot.present is not None:
                present = self.meaning(self.one, slot.present, scope)
                lines += self.registered(item.attributes, "nn.Identity()")
                lines.append(f"        if {flat(code(present.code()))}:")
                lines += self.registered(item.attributes, value, 12)
                continue
            lines += self.registered(item.attributes, value)
        return lines

    def registered(self, attributes: Path, value: Doc, indent: int = 8) -> list[str]:
        """The statement that makes a module a part of this one."""
        holder = self.attribute(attributes[:-1])
        name = attributes[-1]
        if name in self.writer.reserved:
            return lay_out(value, indent, f"{holder}._modules[{literal(name)}] = ")
        if not is_name(name):
            return lay_out(Group(f"{holder}.add_module(", (literal(name), value), ")"), indent)
        return lay_out(value, indent, f"{holder}.{name} = ")

    def attribute(self, attributes: Path) -> str:
        """Where a module is found."""
        text = SELF
        for name in attributes:
            if name in self.writer.reserved:
                text = f"{text}._modules[{literal(name)}]"
            else:
                text = f"{text}.{name}" if is_name(name) else f"getattr({text}, {literal(name)})"
        return text

    def loop(self, slot: Slot, scope: Scope) -> list[str]:
        """The statements that register a run of modules."""
        first = slot.first or 0
        if slot.listed:
            ((index, hole),) = slot.listed.items()
            listed = self.meaning(self.one, hole, scope)
            name = self.loop_name(self.one, Hole(index))
            given = (code(listed.code()), *([str(first)] if first else []))
            lines = lay_out(Group("enumerate(", given, ")"), 8, f"for i, {name} in ", ":")
        else:
            assert slot.rounds is not None
            rounds = self.meaning(self.one, slot.rounds, scope)
            end = Expression(rounds.value + (first > 0)) if not rounds.text else rounds
            shown = flat(code(end.code())) if first == 0 or not rounds.text else f"{rounds.atom(1)} + 1"
            lines = [f"        for i in range({f'{first}, ' if first else ''}{shown}):"]
        for item in slot.items:
            value = self.made(self.one, slot, item, scope)
            assert value is not None
            stem = item.attributes[-1].removesuffix(str(slot.first))
            name = formatted(stem, "i") if stem else "str(i)"
            lines += lay_out(Group("self.add_module(", (name, value), ")"), 12)
        return lines

    def loop_name(self, one: Class, hole: Hole) -> str:
        """The name of a list's entries."""
        arguments = {argument.name for argument in one.arguments}
        return word(singular(one.columns[hole.column].hint), "value", self.writer.names | arguments)

    def made(self, one: Class, slot: Slot, item: Item, scope: Scope) -> Doc | None:
        """What makes the module of an item; nothing for a function."""
        if item.inner is None:
            assert item.text is not None
            self.writer.helpers.update(item.text.helpers)
            if item.text.module is None:
                return None
            return code(self.filled(item.text.module, one, slot, scope))
        given = [self.value(one, slot, hole, scope) for hole in item.given]
        inner = item.inner
        if id(inner) in self.writer.inline:
            return self.sequential(inner, given)
        values = {id(argument): value for argument, value in zip(inner.arguments, given, strict=True)}
        parts = []
        for argument in in_order(inner.arguments):
            value = values[id(argument)]
            if argument.default is ...:
                parts.append(code(value.code()))
            elif value.text or value.value != argument.default or type(value.value) is not type(argument.default):
                parts.append(prefixed(f"{argument.name}=", code(value.code())))
        return Group(f"{inner.name}(", tuple(parts), ")")

    def sequential(self, inner: Class, scope: Scope) -> Doc:
        """A chain that is written where it is used."""
        parts: list[tuple[str, Doc]] = []
        for slot in inner.slots:
            (item,) = slot.items
            value = self.made(inner, slot, item, scope)
            assert value is not None
            parts.append((item.attributes[-1], value))
        if [name for name, _ in parts] == [str(number) for number in range(len(parts))]:
            return Group("nn.Sequential(", tuple(value for _, value in parts), ")")
        if all(is_name(name) for name, _ in parts):
            named: Doc = Group("OrderedDict(", tuple(prefixed(f"{name}=", value) for name, value in parts), ")")
        else:
            pairs = tuple(Group("(", (literal(name), value), ")") for name, value in parts)
            named = Group("OrderedDict(", (Group("[", pairs, "]"),), ")")
        return Group("nn.Sequential(", (named,), ")")

    def meaning(self, one: Class, hole: Hole, scope: Scope) -> Expression:
        """The code of a column."""
        meaning = one.meanings[hole.column]
        if meaning.argument is None:
            return Expression(meaning.value)
        value = scope[meaning.argument]
        if meaning.given:
            return (
                Expression(None, f"{value.atom(0)} is not None", 2)
                if value.text
                else Expression(value.value is not None)
            )
        if meaning.plus:
            return value.shifted(meaning.plus)
        return value.times(meaning.times).over(meaning.over)

    def value(self, one: Class, slot: Slot, hole: Hole, scope: Scope) -> Expression:
        """The code of a hole, in a loop too."""
        if hole.column in slot.listed:
            return Expression(None, self.loop_name(one, hole))
        value = self.meaning(one, hole, scope)
        if hole.column in slot.growth:
            return value.plus(self.meaning(one, slot.growth[hole.column], scope), slot.first or 0)
        return value

    def filled(self, part: Any, one: Class, slot: Slot, scope: Scope) -> Any:
        """A call with its holes filled."""
        if isinstance(part, Call) and part.function == CHOSEN:
            return Verbatim(f"{flat(code(self.value(one, slot, part.args[0].value, scope).code()))}()")
        if isinstance(part, Call):
            filled = (arg._replace(value=self.filled(arg.value, one, slot, scope)) for arg in part.args)
            return Call(part.function, tuple(arg for arg in filled if not (arg.keyword and is_default(arg))))
        return self.value(one, slot, part, scope).code() if isinstance(part, Hole) else part

    # -- forward --------------------------------------------------------------------------------

    def forward(self) -> list[str]:
        """The method."""
        names = self.input_names()
        body = Forward(self, names).lines()
        if self.one is self.writer.net and len(self.writer.graph.outputs) > 1:
            result = "dict[str, Tensor]"
        else:
            result = (
                "Tensor" if len(self.one.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(self.one.outputs))}]"
            )
        head = Group("def forward(", ("self", *(f"{name}: Tensor" for name in names)), f") -> {result}:")
        return [*lay_out(head, 4), *body]

    def input_names(self) -> list[str]:
        """Names of the inputs: ``x``, and further ones."""
        names: list[str] = []
        wanted: Iterable[str] = ["x", *["skip"] * (self.one.inputs - 1)][: self.one.inputs]
        if self.one is self.writer.net and self.one.inputs > 1:
            wanted = self.writer.graph.inputs
        for name in wanted:
            names.append(word(name, "x", self.writer.names.union(names)))
        return names

    def flag(self, present: Hole) -> str:
        """The condition in ``forward`` for whether a step is there."""
        number = self.one.meanings[present.column].argument
        assert number is not None
        name = self.one.arguments[number].name
        self.stored.add(name)
        return f"self.{name} is not None" if self.one.meanings[present.column].given else f"self.{name}"

    def called(self, slot: Slot, tensors: list[Doc], apart: Callable[[Doc], str] | None = None) -> Doc:
        """The call of a step; ``apart`` makes a statement of each call within it and answers the variable."""
        (item,) = slot.items
        module = self.attribute(item.attributes)
        if item.inner is not None:
            return Group(f"{module}(", tuple(tensors), ")")
        assert item.text is not None
        self.writer.helpers.update(item.text.helpers)
        scope = []
        for number, argument in enumerate(self.one.arguments):
            scope.append(Expression(None, f"self.{argument.name}"))
            if number in used(item.text.call, self.one):
                self.stored.add(argument.name)
        call = self.filled(item.text.call, self.one, slot, scope)
        if apart is not None:
            call = with_parts_apart(call, lambda part: apart(code(part, tensors, module)))
        return code(call, tensors, module)


def is_default(arg: Arg) -> bool:
    """Whether an argument has the value that it has when it is left out."""
    return type(arg.value) is type(arg.default) and arg.value == arg.default


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


def used(part: Any, one: Class) -> set[int]:
    """The numbers of the arguments that a call uses."""
    if isinstance(part, Call):
        return set().union(*(used(arg.value, one) for arg in part.args))
    if isinstance(part, Hole) and (number := one.meanings[part.column].argument) is not None:
        return {number}
    return set()


class Pending(NamedTuple):
    """A result that is not written yet, since it may stand where it is used."""

    value: Value
    doc: Doc
    slot: int
    keeps_input: bool


class Forward:
    """The statements of a class's ``forward``: which tensor is in which variable, and what stands within what."""

    def __init__(self, writer: ClassWriter, names: list[str]) -> None:
        self.writer = writer
        self.one = writer.one
        works = writer.writer.finder.works
        needed = {value.step for value in self.one.outputs}
        needed |= {number for number, slot in enumerate(self.one.slots) if works(slot.sample)}
        for number in range(len(self.one.slots) - 1, -1, -1):
            if number in needed:
                needed.update(value.step for value in self.one.slots[number].args)
        self.slots = [(number, slot) for number, slot in enumerate(self.one.slots) if number in needed]
        self.uses: dict[Value, list[int]] = {}
        for number, slot in self.slots:
            text = slot.items[0].text
            ports = [] if text is None else mentioned(text.call)
            for port, value in enumerate(slot.args):
                self.uses.setdefault(value, []).extend([number] * max(ports.count(port), 1))
        for value in self.one.outputs:
            self.uses.setdefault(value, []).append(len(self.one.slots))
        self.variables: dict[Value, str] = {Value(-1, port): name for port, name in enumerate(names)}
        self.pending: list[Pending] = []
        self.statements: list[str] = []

    def lines(self) -> list[str]:
        for number, slot in self.slots:
            self.write(number, slot)
        outputs = self.one.outputs
        graph = self.writer.writer.graph
        if self.one is self.writer.writer.net and len(graph.outputs) > 1:
            self.flush()
            step_of = dict(zip(self.one.blocks[0].results, outputs, strict=True))
            pairs = [f"{literal(name)}: {self.variables[step_of[ref]]}" for name, ref in graph.outputs]
            return [*self.statements, *lay_out(Group("{", tuple(pairs), "}"), 8, "return ")]
        if len(outputs) == 1 and [one.value for one in self.pending] == [outputs[0]]:
            return [*self.statements, *lay_out(self.pending[0].doc, 8, "return ")]
        self.flush()
        return [*self.statements, f"        return {', '.join(self.variables[value] for value in outputs)}"]

    def write(self, number: int, slot: Slot) -> None:
        """One step: as a statement, or kept until it is used."""
        (item,) = slot.items
        if slot.present is not None and item.text is not None and item.text.module is None:
            self.flush()
            self.write_optional(Value(number, 0), slot)
            return
        waiting = [one.value for one in self.pending]
        taken = [value for value in slot.args if value in waiting]
        plain = item.inner is not None or (item.text is not None and item.text.is_plain)
        fits = taken == waiting and (not plain or all(is_expression(one.doc, self.writer) for one in self.pending))
        beside = not taken and all(
            self.uses[one.value] == self.uses.get(Value(number, 0)) and one.keeps_input for one in self.pending
        )
        if (taken and not fits) or (not taken and self.pending and not beside):
            self.flush()
            taken = []
        within = {one.value: one.doc for one in self.pending if one.value in taken}
        tensors: list[Doc] = [within[value] if value in within else self.variables[value] for value in slot.args]
        doc = self.writer.called(slot, tensors)
        if within and len(flat(doc)) > WIDTH - 16 and not self.splits(doc):
            self.flush()
            tensors = [self.variables[value] for value in slot.args]
            doc = self.writer.called(slot, tensors)
        self.pending = [one for one in self.pending if one.value not in within]
        if any(len(line) > WIDTH for line in lay_out(doc, 8, "return " if slot.results == 1 else "x1, x2, x3 = ")):
            self.flush()
            tensors = [self.variables[value] for value in slot.args]
            names: set[str] = set()

            def apart(part: Doc) -> str:
                name = unique("part", self.live(number) | names | set(map(flat, tensors)))
                names.add(name)
                self.statements += lay_out(part, 8, f"{name} = ")
                return name

            doc = self.writer.called(slot, tensors, apart)
        if not any(Value(number, port) in self.uses for port in range(slot.results)):
            self.flush()
            self.statements += lay_out(doc, 8)
            return
        if slot.results > 1:
            self.flush()
            self.assign_all(number, slot, doc)
            return
        value = Value(number, 0)
        reads_on = any(last_use(self.uses, arg) > number for arg in slot.args)
        if len(self.uses[value]) == 1:
            self.pending.append(Pending(value, doc, number, reads_on))
        else:
            self.flush()
            self.assign(value, doc)

    def splits(self, doc: Doc) -> bool:
        """Whether a call may take several lines: a list of tensors, one on each."""
        return isinstance(doc, Group) and doc.start == "torch.cat("

    def write_optional(self, value: Value, slot: Slot) -> None:
        """A function that only some blocks have."""
        assert slot.present is not None
        doc = self.writer.called(slot, [self.variables[one] for one in slot.args])
        flag = self.writer.flag(slot.present)
        otherwise = slot.args[slot.instead]
        name = self.variables[otherwise]
        if last_use(self.uses, otherwise) <= value.step and name.isidentifier():
            self.variables[value] = name
            self.statements += [f"        if {flag}:", *lay_out(doc, 12, f"{name} = ")]
        else:
            self.assign(value, f"{flat(doc)} if {flag} else {name}")

    def flush(self) -> None:
        """Writes what is pending."""
        while self.pending:
            one = self.pending.pop(0)
            self.assign(one.value, one.doc)

    def assign(self, value: Value, doc: Doc) -> None:
        """A result into a variable."""
        name = self.variable(value)
        self.variables[value] = name
        self.statements += lay_out(doc, 8, f"{name} = ")

    def assign_all(self, number: int, slot: Slot, doc: Doc) -> None:
        """Several results into variables."""
        stem = re.sub(r"\d+$", "", self.variables.get(slot.args[0], "x"))
        names: list[str] = []
        if slot.results > MOST_NAMES:
            name = unique("parts", self.live(number))
            for port in range(slot.results):
                self.variables[Value(number, port)] = f"{name}[{port}]"
            self.statements += lay_out(doc, 8, f"{name} = ")
            return
        for port in range(slot.results):
            value = Value(number, port)
            if value in self.uses:
                name = unique(f"{stem}{port + 1}", self.live(number) | set(names))
                self.variables[value] = name
                names.append(name)
            else:
                names.append("_")
        self.statements += lay_out(doc, 8, f"{', '.join(names)}{',' if len(names) == 1 else ''} = ")

    def live(self, number: int) -> set[str]:
        """Variables whose tensors are still read after a step."""
        read = {name for value, name in self.variables.items() if last_use(self.uses, value) > number}
        return {name.partition("[")[0] for name in read} | self.writer.writer.names

    def variable(self, value: Value) -> str:
        """A variable for a result: that of its input if it is no longer read."""
        slot = self.one.slots[value.step]
        (item,) = slot.items
        live = self.live(value.step)
        own = identifier(item.attributes[-1]) if slot.own else ""
        reads = self.uses[value]
        if own and len(reads) > 1 and reads[-1] > value.step + 3:
            return unique(own, live)
        for source in slot.args:
            name = self.variables.get(source)
            if name is not None and name.isidentifier() and name not in live and name not in self.held():
                return name
        if own and (item.inner is not None) and reads[0] != value.step + 1:
            return unique(own, live)
        return unique("out", live)

    def held(self) -> set[str]:
        """Variables that pending results still read."""
        names = set()
        for one in self.pending:
            names |= {self.variables[arg] for arg in self.one.slots[one.slot].args if arg in self.variables}
        return names


def last_use(uses: dict[Value, list[int]], value: Value) -> int:
    """The number of the step that reads a value last."""
    return max(uses.get(value, [-1]))


def is_expression(doc: Doc, writer: ClassWriter) -> bool:
    """Whether code is a mere expression of tensors, as a sum."""
    return isinstance(doc, Infix)


# -- names -----------------------------------------------------------------------------------------


def shape_text(shape: tuple[int, ...]) -> str:
    """``3x224x224``"""
    return describe(shape).replace("×", "x")


def identifier(name: str) -> str:
    """A name as Python takes it; empty where nothing is left of it."""
    cleaned = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not cleaned or not cleaned.isidentifier():
        return f"_{cleaned}" if cleaned[:1].isdigit() else ""
    return f"{cleaned}_" if keyword.iskeyword(cleaned) else cleaned


def word(name: str, otherwise: str, taken: Collection[str]) -> str:
    """A name that the code may use: valid in Python, and not yet used for anything else."""
    return unique(identifier(name) or otherwise, taken)


def is_name(name: str) -> bool:
    """Whether an attribute can be written with a dot."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")


def camel(name: str) -> str:
    """``conv_bn`` as ``ConvBn``."""
    joined = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^a-zA-Z0-9]+", name))
    return identifier(joined) if joined[:1].isalpha() else f"Block{joined}"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def singular(name: str) -> str:
    """One of a list of that name."""
    return name.removesuffix("_list") if name.endswith("_list") else name.removesuffix("s")


def in_order(arguments: list[Argument]) -> list[Argument]:
    """Arguments as a signature has them: those without a default first."""
    return sorted(arguments, key=lambda argument: argument.default is not ...)


def annotation(values: list[Any]) -> str:
    """The type of an argument that has these values."""
    kinds = {annotation_of(value) for value in values}
    if kinds == {"int", "float"}:
        return "float"
    return " | ".join(sorted(kinds, key=lambda kind: (kind == "None", "[" in kind, kind)))


def annotation_of(value: Any) -> str:
    """The type of one value."""
    if value is None:
        return "None"
    if isinstance(value, Verbatim):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{annotation(list(value)) if value else 'int'}, ...]"
    return type(value).__name__


def name_arguments(one: Class, taken: set[str], graph: Graph) -> None:
    """Gives the arguments names of their own."""
    names: dict[str, list[Argument]] = {}
    for argument in one.arguments:
        names.setdefault(wanted_name(argument, one, graph), []).append(argument)
    used_names = set(taken)
    for name, arguments in names.items():
        for argument in arguments:
            full = name if len(arguments) == 1 else qualified(name, argument, arguments, one)
            argument.name = word(full, "value", used_names)
            used_names.add(argument.name)


def wanted_name(argument: Argument, one: Class, graph: Graph) -> str:
    """The name where it is used, or its role in the whole block."""
    hint = argument.column.hint
    if argument.column.kind != "count" or any(type(value) not in (int, type(None)) for value in argument.values):
        return hint
    if None in argument.values and argument.column.where:
        return f"{base_of(argument.column.where[0])}_channels"
    into = [graph.shape(block.inputs[0])[:1] for block in one.blocks if block.inputs]
    out = [graph.shape(block.results[0])[:1] for block in one.blocks if block.results]
    values = [(value,) for value in argument.values]
    if values == into:
        return "channels" if values == out else hint if hint == "in_features" else "in_channels"
    if values == out:
        return hint if hint == "out_features" else "out_channels"
    return "mid_channels" if hint in ("out_channels", "num_features", "normalized_shape", "channels") else hint


def qualified(name: str, argument: Argument, alike: list[Argument], one: Class) -> str:
    """A name that says in which part the argument is used, with a number where several are used there."""
    short = "channels" if name == "mid_channels" else name
    part = argument.column.where[:1]
    same = [other for other in alike if other.column.where[:1] == part]
    number = f"{same.index(argument) + 1}" if len(same) > 1 else ""
    base = base_of(part[0])
    parts = {item.attributes[0] for slot in one.slots for item in slot.items if base_of(item.attributes[0]) == base}
    return f"{base if len(parts) == 1 and base else part[0]}_{short}{number}"
