"""Blocks from classes of groups: values that differ between instances become arguments or expressions over them.

A template holds, for every number in a block, its value in each instance. A value that is the same in all
is written as it is; one that others determine is an expression over them; each that is left is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Any, Protocol

from msgspec import Struct

from cnncalc.convert.spec.classes import (
    REQUIRED,
    Classes,
    Mismatch,
    Run,
    groups_of,
    stem,
)
from cnncalc.convert.spec.structure import Fork, Group, Item, Op, Refs, Skip, Source, name_of
from cnncalc.graph import Graph, Ref
from cnncalc.layers import REGISTRY, Layer
from cnncalc.layers.fields import choices
from cnncalc.layers.merge import Add
from cnncalc.spec.fields import find_layer


class Wild:
    """The value where an instance has none: any will do."""

    def __repr__(self) -> str:
        return "WILD"


WILD = Wild()


SQUEEZE_EXCITE = "squeeze_excite"
CURRENT = -1
"""The current tensor in a list of sources."""


class Word(str):
    """A layer's name as a value."""

    __slots__ = ()


class Literal(str):
    """A text that is not a name."""

    __slots__ = ()


class Param(Struct):
    """An argument of a block, with its value in every instance."""

    hint: str
    values: list[Any]
    leaf: Leaf | None = None
    kind: str = ""
    last: bool = False
    name: str = ""
    default: Any = REQUIRED


class Leaf(Struct):
    """One value of a template in every instance, and once resolved how it is written: as a value, or as an
    expression with a place ``{0}``, ``{1}`` … for each of ``params``.
    """

    values: list[Any]
    hint: str
    channels: Sequence[int | None] = ()
    """``in_channels`` where the value stands."""
    condition: bool = False
    skip: bool = False
    """Whether it is the condition of a residual."""
    kind: str = ""
    """The kind of number: it may only be derived from others of its kind."""
    last: bool = False
    """Whether it is resolved last; may be derived from the others."""
    place: tuple[str, int] = ("", 0)
    """The name of the layer or call that has it, and the number of its branch."""
    suggested: str = ""
    """A name for its argument, if something better than the field's is known."""
    constant: Any = WILD
    expression: str = ""
    params: list[Param] = []
    resolved: bool = False

    def same(self) -> bool:
        """Whether the value is the same in all instances that have it."""
        return len({keyed(value) for value in self.values if value is not WILD}) <= 1

    def known(self) -> Any:
        return next((value for value in self.values if value is not WILD), WILD)


class Named(Struct):
    """What an item is called in each instance (``None``: it is not there) and after what it would be called by
    itself; ``explicit`` where that is not the same.
    """

    names: list[str | None]
    kinds: list[str]
    explicit: bool = False

    def label(self) -> str | None:
        """The name to write, if one must be.

        Raises:
            Mismatch: it is not the same in all instances.
        """
        if not self.explicit:
            return None
        names = {name for name in self.names if name is not None}
        if len(names) != 1:
            raise Mismatch
        return names.pop()


class TOp(Struct):
    """A layer."""

    named: Named
    kind: Leaf | str
    fields: dict[str, Leaf]
    source: list[Leaf] | None
    share: str | None
    layer: type[Layer]


class TCall(Struct):
    """A call of a block."""

    named: Named
    block: Block
    args: dict[str, Leaf]
    source: list[Leaf] | None
    share: str | None = None


class TRepeat(Struct):
    """Equal calls, ``times - less`` of them."""

    times: Leaf
    less: int
    call: TCall
    names: list[list[str]]
    pattern: str | None = None


class TFork(Struct):
    """A layer of several inputs with its branches."""

    op: TOp
    branches: list[list[TItem]]
    source: list[Leaf] | None


class TSkip(Struct):
    """A residual."""

    named: Named
    body: list[TItem]
    shortcut: list[TItem] | None
    when: Leaf | None
    source: list[Leaf] | None
    has_shortcut: list[bool] = []


class TIf(Struct):
    """Items that only some instances have."""

    condition: Leaf
    then: list[TItem]
    present: list[bool] = []


TItem = TOp | TCall | TRepeat | TFork | TSkip | TIf


class Block(Struct):
    """A class of groups as a block: its template, and its arguments."""

    groups: list[Group]
    body: list[TItem] = []
    params: list[Param] = []
    channels: list[int | None] = []
    entry: Param | None = None
    """The argument that holds the channels at the entrance, where some value needs it."""
    name: str = ""
    numbered: bool = False
    position: dict[int, int] = {}


class Naming(Protocol):
    """What gives blocks their names; ``taken`` are those that are given, and the language's own."""

    taken: set[str]

    def name(self, block: Block) -> str:
        """A name that no other block has."""
        ...


def keyed(value: Any) -> Any:
    """A value that equals another only if it is of the same type (``1`` and ``true`` differ)."""
    if isinstance(value, tuple) and not isinstance(value, Ref):
        return tuple([keyed(part) for part in value])
    return type(value), value


class Templates:
    """The blocks of a net, each after those it calls, and the net itself as one more."""

    def __init__(self, classes: Classes, names: Naming) -> None:
        self.classes = classes
        self.names = names
        self.graph: Graph = classes.graph
        self.blocks: dict[int, Block] = {}
        self.order: list[Block] = []
        groups: dict[int, list[Group]] = {}
        for group in groups_of(classes.tree.body):
            groups.setdefault(classes.find(group), []).append(group)
        self.groups = groups
        self.aliases = aliases(classes.tree.body)
        for root in groups:
            self.block(root)
        top = Group("", "", classes.tree.body, (), ())
        self.top = Block([top])
        self.fill(self.top, [None])

    def block(self, root: int) -> Block:
        """The block of a class, made where it is not there yet."""
        if root not in self.blocks:
            block = self.blocks[root] = Block(self.groups[root])
            for group in groups_of_bodies(self.groups[root]):
                if self.classes.find(group) != root:
                    self.block(self.classes.find(group))
            block.position = {id(group): number for number, group in enumerate(block.groups)}
            block.channels = [self.channels(group.reads) for group in block.groups]
            self.fill(block, list(block.groups))
            block.name = self.names.name(block)
            self.order.append(block)
        return self.blocks[root]

    def fill(self, block: Block, scopes: list[Group | None]) -> None:
        try:
            block.body = self.body([group.body for group in block.groups], scopes)
            locate(block.body, 0)
            Resolver(self, block, scopes).run()
        except Mismatch as error:
            error.groups = error.groups or block.groups
            raise

    def channels(self, refs: Refs) -> int | None:
        shape = self.graph.shape(refs[0]) if len(refs) == 1 else ()
        return shape[0] if shape else None

    # -- templates -----------------------------------------------------------------------------

    def body(self, instances: Sequence[list[Item] | None], scopes: list[Group | None]) -> list[TItem]:
        instances = self.classes.wrapped(instances, scopes)
        items: list[TItem] = []
        columns = self.classes.columns(instances, scopes)
        for place, column in enumerate(columns):
            made = self.column(column, scopes)
            lacking = [run is None and body is not None for run, body in zip(column, instances, strict=True)]
            last = items[-1] if items else None
            if isinstance(last, TIf) and [not there for there in last.present] == lacking and isinstance(made[0], TOp):
                last.then += made  # an activation that is there where the layers before it are
                continue
            if any(lacking) and not (isinstance(made[0], TOp) and isinstance(made[0].kind, Leaf)):
                there: list[Any] = [
                    WILD if body is None else run is not None for run, body in zip(column, instances, strict=True)
                ]
                channels = [
                    None if body is None else self.channels(self.before(columns, place, number))
                    for number, body in enumerate(instances)
                ]
                first = made[0]
                hint = self.part(first, column)
                condition = Leaf(there, hint, channels=channels, condition=True)
                if (
                    items
                    and isinstance(items[-1], TIf)
                    and list(map(keyed, items[-1].condition.values)) == list(map(keyed, there))
                ):
                    items[-1].then += made
                else:
                    items.append(TIf(condition, made, [value is True for value in there]))
            else:
                if any(lacking) and isinstance(made[0], TOp) and isinstance(made[0].kind, Leaf):
                    leaf = made[0].kind  # null for a layer means no layer
                    leaf.values = [None if lack else v for lack, v in zip(lacking, leaf.values, strict=True)]
                items += made
        return items

    def part(self, first: TItem, column: Sequence[Run | None]) -> str:
        """A name for the argument that tells whether a part is there."""
        if isinstance(first, TOp) and isinstance(first.kind, str) and first.layer.is_product:
            return f"has_{first.kind}"
        if not isinstance(first, TCall):
            return hint_of(column)
        if first.block.name == SQUEEZE_EXCITE:
            return "se"
        run = next(run for run in column if run is not None)
        shapes = [self.channels(run.items[0].reads), self.channels(self.result(run.items[-1]))]
        if None not in shapes and shapes[1] > shapes[0]:  # type: ignore[operator]
            return "expand"
        return f"has_{first.block.name}"

    def before(self, columns: list[list[Run | None]], place: int, number: int) -> Refs:
        """The current tensor where an instance has, or would have, the item of a column."""
        for column in columns[place:]:
            run = column[number]
            if run is not None:
                return run.items[0].reads if run.items[0].source is None else ()
        for column in reversed(columns[:place]):
            run = column[number]
            if run is not None:
                return self.result(run.items[-1])
        return ()

    def result(self, item: Item) -> Refs:
        """The end of an item; of a residual that does not apply, that of its body."""
        if isinstance(item, Group):
            return item.result
        if isinstance(item, Skip) and item.op.node < 0:
            return self.result(item.body[-1])
        node = item.node if isinstance(item, Op) else item.op.node
        return tuple(Ref(node, port) for port in range(len(self.graph.nodes[node].output_shapes)))

    def column(self, column: list[Run | None], scopes: list[Group | None]) -> list[TItem]:
        first = next(run for run in column if run is not None).items[0]
        items = [None if run is None else run.items[0] for run in column]
        source = self.source([None if item is None else item.source for item in items])
        if isinstance(first, Group):
            return self.calls(column, source)
        if isinstance(first, Op):
            return [self.op([item if isinstance(item, Op) else None for item in items], source)]
        if isinstance(first, Fork):
            op = self.op([item.op if isinstance(item, Fork) else None for item in items], None)
            branches = [
                self.body([item.branches[number] if isinstance(item, Fork) else None for item in items], scopes)
                for number in range(len(first.branches))
            ]
            return [TFork(op, branches, source)]
        body = self.body([item.body if isinstance(item, Skip) else None for item in items], scopes)
        shortcuts = [item.shortcut if isinstance(item, Skip) else None for item in items]
        has = [shortcut is not None for shortcut in shortcuts]
        shortcut = self.body(shortcuts, scopes) if any(has) else None
        virtual: list[Any] = [
            WILD if item is None else item.op.node >= 0 if isinstance(item, Skip) else False for item in items
        ]
        channels = [None if item is None else self.channels(item.reads) for item in items]
        when = None
        if False in virtual:
            when = Leaf(virtual, "has_skip", channels=channels, condition=True, skip=True)
        if shortcut is not None:
            self.classes.check_shortcuts(items)
        names = [item.op.name if isinstance(item, Skip) and item.op.node >= 0 else None for item in items]
        return [TSkip(Named(names, [Add.kind] * len(names)), body, shortcut, when, source, has)]

    def op(self, ops: Sequence[Op | None], source: list[Leaf] | None) -> TOp:
        first = next(op for op in ops if op is not None)
        names = [None if op is None else op.name for op in ops]
        kinds = ["" if op is None else op.layer.kind for op in ops]
        layer = type(first.layer)
        channels = [None if op is None else self.channels(op.reads) for op in ops]
        if len({kind for kind in kinds if kind}) > 1 or (None in ops and self.classes.word(first)):
            absent = [WILD if op is None else Word(op.layer.kind) for op in ops]
            return TOp(Named(names, kinds), Leaf(absent, "act", channels=channels, kind="act"), {}, source, None, layer)
        fields = {}
        for name in layer.__struct_fields__:
            values = [WILD if op is None else literal(layer, name, getattr(op.layer, name)) for op in ops]
            kind, last = kind_of(layer, name)
            fields[name] = Leaf(values, name, channels=channels, kind=kind, last=last)
        return TOp(Named(names, kinds), first.layer.kind, fields, source, first.share, layer)

    def source(self, sources: Sequence[Source | None]) -> list[Leaf] | None:
        """What is read by name: a leaf for each tensor."""
        given = next((source for source in sources if source is not None), None)
        if given is None:
            return None
        return [
            Leaf([WILD if source is None else source[number] or CURRENT for source in sources], "skip")
            for number in range(len(given))
        ]

    def calls(self, column: list[Run | None], source: list[Leaf] | None) -> list[TItem]:
        """Calls of a block: one for each item of the runs, or a repeat where that is shorter."""
        first = next(run for run in column if run is not None)
        assert isinstance(first.items[0], Group)
        block = self.block(self.classes.find(first.items[0]))
        rows = [None if run is None else [item for item in run.items if isinstance(item, Group)] for run in column]
        tails = [None if row is None else row[1:] for row in rows]
        if source is None or not any(tails):
            cut = self.segments(rows, block)
        elif all(tail is None or tail for tail in tails):
            heads: list[list[Group] | None] = [None if row is None else row[:1] for row in rows]
            cut = [heads, *self.segments(tails, block)]  # items that read by name are not put in a repeat
        else:
            raise Mismatch
        made: list[TItem] = []
        for number, segment in enumerate(cut):
            firsts = [None if groups is None or not groups else groups[0] for groups in segment]
            call = self.one_call(block, firsts, source if number == 0 else None)
            if all(groups is None or len(groups) == 1 for groups in segment):
                made.append(call)
                continue
            less = number if all(n in (0, 1) for other in cut[:number] for n in map(len_of, other)) else -1
            total = [WILD if row is None else len(row) for row in rows]
            if less >= 0 and number == len(cut) - 1:
                times = Leaf(total, "depth", kind="depth")
            else:
                own = [WILD if groups is None else len(groups) for groups in segment]
                times, less = Leaf(own, "depth", kind="depth"), 0
            names = [[] if groups is None else [group.name for group in groups] for groups in segment]
            made.append(TRepeat(times, less, call, names))
        return made

    def one_call(self, block: Block, groups: Sequence[Group | None], source: list[Leaf] | None) -> TCall:
        names = [None if group is None else group.name for group in groups]
        channels = [None if group is None else self.channels(group.reads) for group in groups]
        args = {}
        for param in block.params:
            if param is block.entry:
                continue
            values = [WILD if g is None else param.values[block.position[id(g)]] for g in groups]
            name = param.name.rstrip("0123456789")
            args[param.name] = Leaf(
                values, param.hint, channels=channels, suggested=name, kind=param.kind, last=param.last
            )
        share = next(group for group in groups if group is not None).share
        return TCall(Named(names, [""] * len(names)), block, args, source, share)

    def segments(self, rows: Sequence[list[Group] | None], block: Block) -> list[list[list[Group] | None]]:
        """The runs of all instances cut at the same places, so that within each piece all calls are equal.

        Raises:
            Mismatch: they differ in length, and not in how often equal calls are repeated.
        """
        cuts = [None if row is None else self.equal_runs(row, block) for row in rows]
        lengths = {len(row) for row in rows if row is not None}
        patterns = {tuple(map(len, cut)) for cut in cuts if cut is not None}
        if len(patterns) == 1:
            (pattern,) = patterns
            return [[None if cut is None else cut[number] for cut in cuts] for number in range(len(pattern))]
        most = max(len(cut) for cut in cuts if cut is not None)
        if most <= 2:
            split: list[list[list[Group] | None]] = [[], []]
            for row, cut in zip(rows, cuts, strict=True):
                if row is not None and cut is not None and len(cut) == 2 and len(cut[0]) > 1:
                    break
                split[0].append(None if row is None else row[:1])
                split[1].append(None if row is None else row[1:])
            else:
                if most == 2:
                    return split
                return [[None if cut is None else cut[0] for cut in cuts]]
        if len(lengths) == 1:
            return [[None if row is None else [row[number]] for row in rows] for number in range(lengths.pop())]
        error = Mismatch()
        error.runs = True
        raise error

    def equal_runs(self, row: list[Group], block: Block) -> list[list[Group]]:
        cut: list[list[Group]] = []
        before: Any = None
        for group in row:
            at = block.position[id(group)]
            now = tuple([keyed(p.values[at]) for p in block.params if p is not block.entry])
            if cut and now == before:
                cut[-1].append(group)
            else:
                cut.append([group])
            before = now
        return cut


def len_of(groups: list[Group] | None) -> int:
    """How many groups there are; none in an instance without them."""
    return 0 if groups is None else len(groups)


def hint_of(column: Sequence[Run | None]) -> str:
    """A name for the argument that tells whether an item is there."""
    item = next(run for run in column if run is not None).items[0]
    name = stem(name_of(item).rpartition(".")[2])[0].rstrip("_")
    return f"has_{name}" if name.isidentifier() else "full"


def groups_of_bodies(groups: Sequence[Group]) -> Iterator[Group]:
    """All groups within some groups."""
    for group in groups:
        yield from groups_of(group.body)


def aliases(body: Sequence[Item]) -> dict[Ref, list[str]]:
    """The groups that end in a tensor, outermost last: their paths name it too."""
    found: dict[Ref, list[str]] = {}
    for group in groups_of(body):
        if len(group.result) == 1:
            found.setdefault(group.result[0], []).append(group.path)
    return found


# -- arguments -------------------------------------------------------------------------------------


class Resolver:
    """Decides how each value of a template is written."""

    def __init__(self, templates: Templates, block: Block, scopes: list[Group | None]) -> None:
        self.templates = templates
        self.graph = templates.graph
        self.block = block
        self.scopes = scopes

    def run(self) -> None:
        conditions: list[Leaf] = []
        for leaf in leaves(self.block.body):
            if leaf.condition:
                conditions.append(leaf)
            else:
                self.value(leaf)
        for leaf in conditions:
            self.condition(leaf)
        name_params(self.block, self.graph, self.templates.names.taken)

    def value(self, leaf: Leaf) -> None:
        leaf.resolved = True
        if any(isinstance(value, Ref) for value in leaf.values):
            self.tensor(leaf)
            return
        if leaf.same():
            leaf.constant = leaf.known()
            return
        param = self.find(leaf.values, leaf.kind)
        if param is not None:
            leaf.expression, leaf.params = "{0}", [param]
            return
        found = self.expression(leaf)
        if found is not None:
            leaf.expression, leaf.params = found
            return
        param = Param(leaf.hint, list(leaf.values), leaf, leaf.kind, leaf.last)
        self.block.params.append(param)
        leaf.expression, leaf.params = "{0}", [param]

    def find(self, values: list[Any], kind: str) -> Param | None:
        """An argument of a kind that has these values already."""
        for param in self.block.params:
            if param.kind != kind:
                continue
            if all(a is WILD or b is WILD or keyed(a) == keyed(b) for a, b in zip(param.values, values, strict=True)):
                if not any(a is not WILD and b is not WILD for a, b in zip(param.values, values, strict=True)):
                    continue
                param.values = [b if a is WILD else a for a, b in zip(param.values, values, strict=True)]
                return param
        return None

    def expression(self, leaf: Leaf) -> tuple[str, list[Param]] | None:
        """A short expression over the arguments so far and the channels coming in, that gives all values."""
        values = leaf.values
        if not all(value is WILD or type(value) is int for value in values):
            return None
        if len({value for value in values if value is not WILD}) < 2:
            return None
        kind = leaf.kind
        if kind not in FAMILIES.values():
            return None
        bases: list[tuple[str, list[Any], list[Param]]] = [
            ("{0}", param.values, [param])
            for param in self.block.params
            if all(value is WILD or type(value) is int for value in param.values)
            and param is not self.block.entry
            and param.kind == kind
        ]
        if leaf.channels and kind == CHANNELS:
            bases.append(("in_channels", list(leaf.channels), []))
        if self.block.channels and kind == CHANNELS:
            bases.append(("", list(self.block.channels), []))
        for form, function in FORMS:
            for text, base, params in bases:
                if all(
                    value is WILD or (type(b) is int and function(b) == value)
                    for value, b in zip(values, base, strict=True)
                ):
                    if not text:
                        params = [self.entry()]
                        text = "{0}"
                    return form.replace("x", text), params
        for i, (one, left, first) in enumerate(bases):
            for two, right, second in bases[i + 1 :]:
                if one and two and kind == CHANNELS and product(values, left, right):
                    params = first + second
                    texts = [one, two.replace("{0}", "{1}") if len(params) == 2 else two]
                    return " * ".join(texts), params
                for kernel, dilation, params in ((left, right, first + second), (right, left, second + first)):
                    halves = [k // 2 if type(k) is int else k for k in kernel]
                    if kind == WINDOW and product(values, halves, dilation):
                        return "{0} // 2 * {1}", params
        return None

    def entry(self) -> Param:
        """The argument that keeps the channels at the block's entrance."""
        if self.block.entry is None:
            self.block.entry = Param("channels", list(self.block.channels), None, default="in_channels")
            self.block.params.append(self.block.entry)
        return self.block.entry

    def condition(self, leaf: Leaf) -> None:
        """A condition as a comparison of what the block knows, or as an argument of its own."""
        leaf.resolved = True
        values = leaf.values
        if not leaf.skip and self.filled_condition(leaf):
            return
        atoms: list[tuple[str, list[Any], list[Param]]] = []
        for param in self.block.params:
            given = param.values
            if all(value is WILD or type(value) is bool for value in given):
                atoms.append(("{0}", given, [param]))
            elif all(value is WILD or type(value) is int for value in given) and param is not self.block.entry:
                pairs = list(zip(given, leaf.channels, strict=True)) if leaf.channels else []
                if pairs and all(c is not None or v is WILD for v, c in pairs):
                    atoms.append(("in_channels == {0}", [v if v is WILD else v == c for v, c in pairs], [param]))
                    atoms.append(("{0} != in_channels", [v if v is WILD else v != c for v, c in pairs], [param]))
                atoms.append(("{0} == 1", [v if v is WILD else v == 1 for v in given], [param]))
                atoms.append(("{0} > 1", [v if v is WILD else v > 1 for v in given], [param]))
        for text, given, params in atoms:
            if holds(values, given):
                leaf.expression, leaf.params = text, params
                return
        for i, (one, left, first) in enumerate(atoms):
            for two, right, second in atoms[i + 1 :]:
                if first == second:
                    continue
                both = [WILD if WILD in (a, b) else a and b for a, b in zip(left, right, strict=True)]
                if holds(values, both):
                    leaf.expression = f"{one} and {two.replace('{0}', '{1}')}"
                    leaf.params = first + second
                    return
        param = Param(leaf.hint, list(values), leaf)
        self.block.params.append(param)
        leaf.expression, leaf.params = "{0}", [param]

    def filled_condition(self, leaf: Leaf) -> bool:
        """A condition on an argument that is unused where the condition is false, so that it can have a special value
        there: the channels coming in for a number of channels, 0 for any other number.
        """
        for param in self.block.params:
            if param is self.block.entry or leaf.same():
                continue
            free = [value is WILD for value in param.values]
            if free != [value is False for value in leaf.values] or any(value is WILD for value in leaf.values):
                continue
            given = [v for v in param.values if v is not WILD]
            channels = list(leaf.channels) or [None] * len(free)
            expand = all(
                f or (type(v) is int and c is not None and v != c)
                for v, c, f in zip(param.values, channels, free, strict=True)
            )
            if expand and param.kind == CHANNELS and None not in channels:
                param.values = [c if f else v for v, c, f in zip(param.values, channels, free, strict=True)]
                leaf.expression, leaf.params = "{0} != in_channels", [param]
                return True
            if all(type(v) in (int, float) and v for v in given):
                param.values = [0 if f else v for v, f in zip(param.values, free, strict=True)]
                leaf.expression, leaf.params = "{0}", [param]
                return True
        return False

    # -- tensors -------------------------------------------------------------------------------

    def tensor(self, leaf: Leaf) -> None:
        """A tensor of the block's own by its path in it; another by its whole path, or as an argument."""
        if any(not isinstance(value, (Ref, Wild)) for value in leaf.values):
            raise Mismatch
        pairs = list(zip(leaf.values, self.scopes, strict=True))
        texts = {self.tensor_text(value, scope) for value, scope in pairs if value is not WILD}
        if len(texts) == 1:
            leaf.constant = TensorName(texts.pop())
            return
        if any(value is not WILD and scope and self.inside(value, scope) for value, scope in pairs):
            raise Mismatch
        param = self.find(leaf.values, TENSOR)
        if param is None:
            param = Param("skip", list(leaf.values), leaf, TENSOR)
            self.block.params.append(param)
        leaf.expression, leaf.params = "{0}", [param]

    def inside(self, ref: Ref, scope: Group) -> bool:
        return self.graph.path(ref).startswith(f"{scope.path}.")

    def tensor_text(self, ref: Ref, scope: Group | None) -> str:
        path = self.graph.path(ref)
        prefix = f"{scope.path}." if scope is not None else ""
        names = [alias for alias in self.templates.aliases.get(ref, ()) if not prefix or alias.startswith(prefix)]
        best = min([*names, path], key=len) if path.startswith(prefix) or not prefix else None
        if best is not None:
            return best[len(prefix) :] if best.startswith(prefix) else best
        names = self.templates.aliases.get(ref, [])
        return min([*names, path], key=len)


class TensorName(str):
    """A tensor's name, as ``from:`` takes it."""

    __slots__ = ()


def product(values: list[Any], left: list[Any], right: list[Any]) -> bool:
    """Whether every value is the product of two others."""
    return all(
        value is WILD or (type(a) is int and type(b) is int and a * b == value)
        for value, a, b in zip(values, left, right, strict=True)
    )


def holds(values: list[Any], given: list[Any]) -> bool:
    """Whether a condition has the wanted value wherever that is known."""
    return all(value is WILD or value == other for value, other in zip(values, given, strict=True))


def _ratio(k: int) -> Any:
    return lambda x: x // k


def _times(k: int) -> Any:
    return lambda x: x * k


def _round_to(value: int) -> int:
    result = max(8, int(value + 4) // 8 * 8)
    return result + 8 if result < 0.9 * value else result


OUT = "out"
CHANNELS = "channels"
WINDOW = "window"
TENSOR = "tensor"
COUNTS = (OUT, CHANNELS, "depth")
"""Arguments that differ at every place, so that none of their values can be a default."""
FAMILIES = {
    **dict.fromkeys((OUT, CHANNELS, "groups", "width"), CHANNELS),
    **dict.fromkeys(("kernel", "dilation"), WINDOW),
}
"""Fields whose values may follow from each other; any other's only from one of its own name."""


def literal(layer: type[Layer], field: str, value: Any) -> Any:
    """A field's value, told apart where it is a free text."""
    return Literal(value) if type(value) is str and value not in choices(layer)[field] else value


def kind_of(layer: type[Layer], field: str) -> tuple[str, bool]:
    """What kind of number a field holds, and whether it is one that follows from others: what a word can
    say in its stead (``same``) is told by the kernel and the dilation.
    """
    by_word = bool(choices(layer)[field])
    return (WINDOW if by_word else FAMILIES.get(field, field)), by_word


FORMS: list[tuple[str, Any]] = [
    ("x", lambda x: x),
    *((f"x * {k}", _times(k)) for k in (2, 4, 3, 6, 8)),
    *((f"x // {k}", _ratio(k)) for k in (2, 4, 8, 16)),
    ("round_to(x // 4)", lambda x: _round_to(x // 4)),
    ("x * 2 + 1", lambda x: 2 * x + 1),
    ("x - 1", lambda x: x - 1),
]


def leaves(body: Sequence[TItem]) -> Iterator[Leaf]:
    """All values of a template, in the order in which they are written."""
    for item in body:
        if isinstance(item, TRepeat):
            yield item.times
            yield from leaves([item.call])
            continue
        if isinstance(item, TIf):
            yield item.condition
            yield from leaves(item.then)
            continue
        yield from item.source or ()
        if isinstance(item, TOp):
            if isinstance(item.kind, Leaf):
                yield item.kind
            yield from sorted(item.fields.values(), key=lambda leaf: leaf.last)
        elif isinstance(item, TCall):
            yield from sorted(item.args.values(), key=lambda leaf: leaf.last)
        elif isinstance(item, TFork):
            yield from leaves([item.op])
            for branch in item.branches:
                yield from leaves(branch)
        elif isinstance(item, TSkip):
            if item.when is not None:
                yield item.when
            yield from leaves(item.body)
            yield from leaves(item.shortcut or [])


def name_params(block: Block, graph: Graph, words: Set[str]) -> None:
    """Names for the arguments: the field's, told apart where several have the same; and their defaults."""
    shapes = [graph.shape(group.result[0]) if len(group.result) == 1 else () for group in block.groups]
    results = [shape[0] if shape else None for shape in shapes]
    # An argument of a tensor's name would stand in its way where the tensor is read.
    taken = {str(leaf.constant) for leaf in leaves(block.body) if isinstance(leaf.constant, TensorName)}
    places = place_names([param for param in block.params if param.hint == OUT])
    by_hint = Counter(param.hint for param in block.params if param.hint == OUT)
    for param in block.params:
        hint = (param.leaf.suggested if param.leaf else "") or param.hint
        if param.hint == OUT:
            final = all(v is WILD or v == r for v, r in zip(param.values, results, strict=True))
            hint = OUT if final else "width" if by_hint[OUT] <= 2 else places.get(id(param), "width")
        name, number = hint, 2
        if not name.isidentifier() or (name in words and (name in REGISTRY or find_layer(name) is None)):
            name = f"{hint}_" if hint.isidentifier() else "value"
        root = name
        while name in taken:
            name = f"{root}{number}"
            number += 1
        taken.add(name)
        param.name = name
        if param.default is REQUIRED:
            param.default = default_for(param)


def place_names(params: Sequence[Param]) -> dict[int, str]:
    """Names for many arguments of one kind, by where they stand: the layer's own name, or the branch's number."""
    places = {id(param): param.leaf.place for param in params if param.leaf is not None}
    names = Counter(name for name, _ in places.values())
    branches = Counter(branch for _, branch in places.values())
    found, seen = {}, Counter[int]()
    for number, (name, branch) in places.items():
        word = name.replace(".", "_")
        if word.isidentifier() and names[name] == 1 and find_layer(word) is None:
            found[number] = word
        elif branch:
            seen[branch] += 1
            found[number] = f"b{branch}" + (f"_{seen[branch]}" if branches[branch] > 1 else "")
    return found


def locate(body: Sequence[TItem], branch: int) -> None:
    """Tells the values of a template their places."""
    for item in body:
        if isinstance(item, TFork):
            for number, inner in enumerate(item.branches, 1):
                locate(inner, number)
        elif isinstance(item, TSkip):
            locate(item.body, branch)
            locate(item.shortcut or [], branch)
        elif isinstance(item, TIf):
            locate(item.then, branch)
        else:
            call = item.call if isinstance(item, TRepeat) else item
            names = {name for name in call.named.names if name is not None}
            name = names.pop() if len(names) == 1 else ""
            for leaf in leaves([call]):
                leaf.place = (name, branch)


def default_for(param: Param) -> Any:
    """The value that need not be written: the most common natural default."""
    values = [value for value in param.values if value is not WILD]
    if not values or any(isinstance(value, Ref) for value in values):
        return None if 0 < len(values) < len(param.values) else REQUIRED  # a tensor that some calls do not read
    counts = Counter(map(keyed, values))
    for natural in (1, 3, False, None, 0):
        if counts.get(keyed(natural), 0) * 4 >= len(values) and param.hint not in COUNTS:
            return natural
    commonest, count = counts.most_common(1)[0]
    value = next(value for value in values if keyed(value) == commonest)
    return value if isinstance(value, (bool, float, Word)) and count * 2 >= len(values) else REQUIRED
