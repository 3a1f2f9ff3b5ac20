"""CNN4..: what nothing uses: layers that reach no output, arguments and blocks that the text never mentions."""

from __future__ import annotations

from collections.abc import Iterator

from cnncalc.analysis.lint.design import Design
from cnncalc.analysis.lint.rule import Found, rule

MOST_NAMES = 4


@rule(
    "CNN401",
    "unused-output",
    "warning",
    why="No output of the net depends on this layer: its weights get no gradient, and its work is done for nothing. "
    "Mostly it was meant to be read and another tensor is: a layer with 'from', or one that takes no input "
    "(parameter), becomes what the next layer reads.",
    mend="read it by its name (from: NAME), list it under outputs, or take it out",
    source="Aho, Lam, Sethi & Ullman 2006, Compilers, §9.1.6, on dead code",
)
def unused_output(design: Design) -> Iterator[Found]:
    """A layer or an input that no output of the net depends on."""
    nodes, needed = design.graph.nodes, design.graph.needed()
    told: set[int] = set()
    for number, node in enumerate(nodes):
        if needed[number] or design.readers[number]:
            continue
        # What leads here and to no output is of no use either.
        mine, waiting = {number}, [number]
        while waiting:
            for before in {ref.node for ref in nodes[waiting.pop()].inputs}:
                if not needed[before] and before not in told:
                    told.add(before)
                    mine.add(before)
                    waiting.append(before)
        paths = [nodes[one].path for one in sorted(mine - {number})]
        message = "its output is never used" if node.layer else "no layer reads this input"
        if paths:
            more = ", …" if len(paths) > MOST_NAMES else ""
            message += f", nor what leads to it ({', '.join(paths[:MOST_NAMES])}{more})"
        after = nodes[number + 1] if number + 1 < len(nodes) else None
        if node.layer and after is not None:
            reads = " and ".join(dict.fromkeys(map(design.graph.path, after.inputs))) or "no tensor"
            message += f"; {after.path}, which comes next, reads {reads}"
        yield Found(number, message, {"layers": [*paths, node.path]})


@rule(
    "CNN402",
    "unused-name",
    "warning",
    why="Nothing in the spec mentions it, in any variant: to set it changes nothing. Mostly it is misspelt here or "
    "where it was meant to be used, or left over.",
    mend="use it, spell it as where it is used, or take it out",
    source="Aho, Lam, Sethi & Ullman 2006, Compilers, §9.1.6, on dead code",
)
def unused_name(design: Design) -> Iterator[Found]:
    """An argument or a block that nothing in the spec mentions."""
    for one in design.graph.leftovers:
        hint = f"; {one.hint}" if one.hint else ""
        yield Found(one, f"the {one.kind} is never used{hint}", {"kind": one.kind})
