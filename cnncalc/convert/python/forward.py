"""The ``forward`` of a class: which tensor is in which variable, and what is written within what."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cnncalc.convert.code import WIDTH, Doc, Group, Infix, flat, lay_out, literal, mentioned
from cnncalc.convert.python.names import identifier, unique
from cnncalc.convert.python.steps import Step, Value, Wiring
from cnncalc.convert.template import Leaf, TRepeat

MOST_NAMES = 5
"""Most results of one call that have names of their own."""


class Calls(Protocol):
    """What writes the parts of the statements."""

    wiring: Wiring
    names: frozenset[str]

    def called(self, step: Step, tensors: list[Doc], apart: Callable[[Doc], str] | None = None) -> Doc:
        """The call of a step; ``apart`` makes a statement of each call within it and answers the variable."""

    def stored(self, leaf: Leaf) -> str:
        """A value in ``forward``."""

    def rounds_of(self, repeat: TRepeat) -> tuple[str, str]:
        """How many rounds a loop in ``forward`` has, and the module of round ``i``."""


class Pending(NamedTuple):
    """A result that is not written yet, since it may stand where it is used."""

    value: Value
    doc: Doc
    step: int
    keeps_input: bool


class Forward:
    """The statements of a class's ``forward``: which tensor is in which variable, and what stands within what."""

    def __init__(self, writer: Calls, names: list[str], working: set[int]) -> None:
        """``working``: steps that are done even if nobody reads their results."""
        self.writer = writer
        self.wiring = writer.wiring
        steps = self.wiring.steps
        needed = {value.step for value in self.wiring.outputs} | working
        for number in range(len(steps) - 1, -1, -1):
            if number in needed:
                needed.update(value.step for value in steps[number].args)
        self.steps = [(number, step) for number, step in enumerate(steps) if number in needed]
        self.uses: dict[Value, list[int]] = {}
        for number, step in self.steps:
            ports = [] if step.text is None else mentioned(step.text.call)
            for port, value in enumerate(step.args):
                self.uses.setdefault(value, []).extend([number] * max(ports.count(port), 1))
        for value in self.wiring.outputs:
            self.uses.setdefault(value, []).append(len(steps))
        self.variables: dict[Value, str] = {Value(-1, port): name for port, name in enumerate(names)}
        self.pending: list[Pending] = []
        self.statements: list[str] = []

    def lines(self) -> list[str]:
        """All of them."""
        for number, step in self.steps:
            self.write(number, step)
        outputs, graph = self.wiring.outputs, self.wiring.graph
        if self.wiring.block.is_net and len(graph.outputs) > 1:
            self.flush()
            pairs = [f"{literal(name)}: {self.variables[self.wiring.known[ref]]}" for name, ref in graph.outputs]
            return [*self.statements, *lay_out(Group("{", tuple(pairs), "}"), 8, "return ")]
        if len(outputs) == 1 and [one.value for one in self.pending] == [outputs[0]]:
            return [*self.statements, *lay_out(self.pending[0].doc, 8, "return ")]
        self.flush()
        return [*self.statements, f"        return {', '.join(self.variables[value] for value in outputs)}"]

    def write(self, number: int, step: Step) -> None:
        """One step: as a statement, or kept until it is used."""
        if isinstance(step.item, TRepeat):
            self.flush()
            self.write_loop(Value(number, 0), step, step.item)
            return
        if step.present is not None and step.text is not None and step.text.module is None:
            self.flush()
            self.write_optional(Value(number, 0), step, step.present)
            return
        waiting = [one.value for one in self.pending]
        taken = [value for value in step.args if value in waiting]
        fits = taken == waiting and (not step.is_plain or all(isinstance(one.doc, Infix) for one in self.pending))
        beside = not taken and all(
            self.uses[one.value] == self.uses.get(Value(number, 0)) and one.keeps_input for one in self.pending
        )
        if (taken and not fits) or (not taken and self.pending and not beside):
            self.flush()
            taken = []
        within = {one.value: one.doc for one in self.pending if one.value in taken}
        doc = self.called(step, within)
        if within and len(flat(doc)) > WIDTH - 16 and not (isinstance(doc, Group) and doc.start == "torch.cat("):
            self.flush()
            within = {}
            doc = self.called(step, within)
        self.pending = [one for one in self.pending if one.value not in within]
        if any(len(line) > WIDTH for line in lay_out(doc, 8, "return " if step.results == 1 else "x1, x2, x3 = ")):
            self.flush()
            doc = self.in_parts(number, step)
        if not any(Value(number, port) in self.uses for port in range(step.results)):
            self.flush()
            self.statements += lay_out(doc, 8)
        elif step.results > 1:
            self.flush()
            self.assign_all(number, step, doc)
        elif len(self.uses[Value(number, 0)]) == 1:
            reads_on = any(self.last_use(arg) > number for arg in step.args)
            self.pending.append(Pending(Value(number, 0), doc, number, reads_on))
        else:
            self.flush()
            self.assign(Value(number, 0), doc)

    def called(self, step: Step, within: dict[Value, Doc]) -> Doc:
        """The call of a step, with what it takes as far as that is not in a variable."""
        return self.writer.called(step, [within.get(value) or self.variables[value] for value in step.args])

    def in_parts(self, number: int, step: Step) -> Doc:
        """The call of a step that is too long for a line, with a statement for each call within it."""
        tensors: list[Doc] = [self.variables[value] for value in step.args]
        names: set[str] = set()

        def apart(part: Doc) -> str:
            name = unique("part", self.live(number) | names | set(map(flat, tensors)))
            names.add(name)
            self.statements += lay_out(part, 8, f"{name} = ")
            return name

        return self.writer.called(step, tensors, apart)

    def write_loop(self, value: Value, step: Step, repeat: TRepeat) -> None:
        """A run of calls, each of what the one before gives."""
        first, *others = [self.variables[arg] for arg in step.args]
        name = self.variable(value)
        if name != first:
            self.statements.append(f"        {name} = {first}")
        self.variables[value] = name
        rounds, module = self.writer.rounds_of(repeat)
        called = Group(f"{module}(", (name, *others), ")")
        self.statements += [f"        for i in range({rounds}):", *lay_out(called, 12, f"{name} = ")]

    def write_optional(self, value: Value, step: Step, present: Leaf) -> None:
        """A function that only some blocks have."""
        doc = self.called(step, {})
        flag = self.writer.stored(present)
        name = self.variables[step.args[0]]
        if self.last_use(step.args[0]) <= value.step and name.isidentifier():
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

    def assign_all(self, number: int, step: Step, doc: Doc) -> None:
        """Several results into variables."""
        stem = re.sub(r"\d+$", "", self.variables.get(step.args[0], "x"))
        names: list[str] = []
        if step.results > MOST_NAMES:
            name = unique("parts", self.live(number))
            for port in range(step.results):
                self.variables[Value(number, port)] = f"{name}[{port}]"
            self.statements += lay_out(doc, 8, f"{name} = ")
            return
        for port in range(step.results):
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
        read = {name for value, name in self.variables.items() if self.last_use(value) > number}
        return {name.partition("[")[0] for name in read} | self.writer.names

    def variable(self, value: Value) -> str:
        """A variable for a result: that of its input if it is no longer read."""
        step = self.wiring.steps[value.step]
        live = self.live(value.step)
        own = identifier(step.attributes[-1]) if step.own else ""
        reads = self.uses[value]
        if own and len(reads) > 1 and reads[-1] > value.step + 3:
            return unique(own, live)
        for source in step.args:
            name = self.variables.get(source)
            if name is not None and name.isidentifier() and name not in live and name not in self.held():
                return name
        if own and step.text is None and reads[0] != value.step + 1:
            return unique(own, live)
        return unique("out", live)

    def held(self) -> set[str]:
        """Variables that pending results still read."""
        names = set()
        for one in self.pending:
            names |= {self.variables[arg] for arg in self.wiring.steps[one.step].args if arg in self.variables}
        return names

    def last_use(self, value: Value) -> int:
        """The number of the step that reads a value last."""
        return max(self.uses.get(value, [-1]))
