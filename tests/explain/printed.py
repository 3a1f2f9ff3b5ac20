"""Reading what ``explain`` prints, and checking that every line of it is true."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from cnncalc.document.terminal import render
from cnncalc.layers.axes import axis_name
from cnncalc.report.explain import document
from tests.explain.arithmetic import evaluate, evaluate_latex


def page(found, *, width=None, height=None, colour=False, all=True, **options):
    """An explanation as a terminal shows it, with every layer and every quantity where nothing else is said."""
    return render(document(found, all=all, **options), width=width, height=height, colour=colour, tree=bool(width))


SYMBOLS = {
    "params": "params",
    "buffers": "buffers",
    "MACs": "macs",
    "FLOPs": "flops",
    "ops": "elementwise_ops",
    "acts": "activations",
}


class Read:
    """One layer as it was printed: the given names, and what each line comes to by symbol and by title."""

    def __init__(self, heading):
        self.heading = heading
        self.path, self.kind = heading.split("   ")[:2]
        self.names = {}
        self.values = {}
        self.lines = {}
        self.notes = {}
        self.like = None
        self.equations = 0


@cache
def numeric(text):
    """The value of an expression without names; many layers share theirs."""
    return evaluate(text)


def result(text):
    """A result: ``118,013,952``, ``−3`` or ``7040/7``."""
    return Fraction(text.replace(",", "").replace("−", "-"))


def given(text, names):
    """``H=W=224, K=7``: the names that a line gives values."""
    for part in text.split(", "):
        *symbols, value = part.split("=")
        names |= dict.fromkeys(symbols, result(value))


def equation(text, names):
    """The symbols on the left and the value, once every step has been found to come to it."""
    left, *steps = re.split(r" = (?![^\[]*\])", text)
    symbols = [left]
    while len(steps) > 1 and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*(,[A-Za-z0-9]+)*", steps[0]) and steps[0] not in names:
        symbols.append(steps.pop(0))
    value = result(steps[-1])
    for step in steps[:-1]:
        found = numeric(step) if not re.search(r"(?!mod|max|min|gcd)\b[A-Za-z]", step) else evaluate(step, names)
        assert found == value, f"{text}: {step} is {found}"
    return symbols, value


def read_text(text):
    """The layers of a whole explanation in plain text, every equation checked on the way."""
    layers = []
    for block in text.split("\n\n")[1:]:
        lines = block.split("\n")
        if lines[0] in ("symbols", "sources"):
            break
        if lines[0].startswith("  in its place"):
            check_versus(layers[-1], lines)
            continue
        layer = Read(lines[0])
        layers.append(layer)
        for line in lines[1:]:
            if not line.startswith("  "):
                continue  # the settings
            if line.startswith("  sizes and costs as for "):
                layer.like = line.removeprefix("  sizes and costs as for ")
                continue
            if line.startswith("  with "):
                given(line.removeprefix("  with "), layer.names)
                continue
            title, said = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            title = re.sub(r" \[[\d,]+\]$", "", title)
            said = re.split(r"\s{2,}", said)[0]
            if " = " not in said:
                layer.notes[title] = said
                continue
            if title == "zero":
                symbols, value = said.split(" = ")[:-1], Fraction(0)
                assert said.endswith(" = 0")
                layer.equations += 1
            else:
                symbols, value = equation(said, layer.names)
                layer.equations += 1
            layer.lines[title] = value
            layer.values |= dict.fromkeys(symbols, value)
            layer.names |= dict.fromkeys(symbols, value)
    return layers


def check_versus(layer, lines):
    """The equations about another layer in this one's place hold, in this one's names."""
    names = dict(layer.names)
    for line in lines[1:]:
        title, said = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        _, value = equation(
            re.split(r"\s{2,}", said)[0], {n: v for n, v in names.items() if n not in ("params", "MACs")}
        )
        layer.lines[
            f"{lines[0].strip().removeprefix('in its place: ').partition(' (')[0]}: {title.partition(' [')[0]}"
        ] = value


def agrees(read, row, node, inputs):
    """Whether what was printed about a layer is what the report says of it.

    Args:
        read: the layer as it was printed.
        row: the layer in the report of ``analyze``.
        node: the layer in the graph.
        inputs: names and shapes of the net's inputs.
    """
    assert read.path == row.path
    assert read.kind == row.type
    if read.like is None:
        for port, shape in enumerate(node.output_shapes, start=1):
            symbols = node.layer.output_symbols(len(shape))
            if len(node.output_shapes) > 1:
                symbols = [f"{s}{',' if '_' in s else '_'}{port}" for s in symbols]
            assert tuple(read.values[s] for s in symbols) == shape
        for symbol, name in SYMBOLS.items():
            number = getattr(row, name)
            if number is None:
                assert symbol not in read.values
            else:
                assert read.values[symbol] == number, (read.path, symbol)
    alone = dict.fromkeys(list(inputs)[:1], row.receptive_field)
    fields = row.receptive_fields if isinstance(row.receptive_fields, dict) else alone
    for name, field in fields.items():
        prefix = f"{name}, " if len(inputs) > 1 else ""
        rank = len(inputs[name]) - 1
        if field is None:  # one axis that is not known leaves all of them out
            shown = [titled(read, "receptive field", axis_name(axis, rank), prefix) for axis in range(rank)]
            assert any(isinstance(one, str) or one is None for one in shown), (read.path, shown)
            continue
        for axis in range(rank):
            check_axis(read, field, axis, axis_name(axis, rank), prefix)


def titled(read, what, axis, prefix):
    """What was printed about one axis: under its own title, one for several axes, or one for all."""
    for known in (read.lines, read.notes):
        for title, value in known.items():
            stem, _, where = title.partition(", ")
            mine = where in ("", prefix.removesuffix(", ")) or (
                where.startswith(prefix) and axis in where.removeprefix(prefix)
            )
            if stem == what and mine:
                return value
    return None


def check_axis(read, field, axis, name, prefix):
    size = titled(read, "receptive field", name, prefix)
    if field.kind == "global" or field.size[axis] is None:
        assert size == "global: every unit sees the whole input", (read.path, size)
        return
    assert size == field.size[axis], (read.path, name, size, field)
    jump, start = titled(read, "jump", name, prefix), titled(read, "start", name, prefix)
    exact = field.jump_exact[axis] if isinstance(field.jump_exact, tuple) else field.jump[axis]
    assert jump == (None if exact is None else Fraction(exact)), (read.path, jump, field)
    assert start == field.start[axis], (read.path, start, field)


def check_latex(text):
    """Every row of every aligned block comes to the last one of its equation; the number of equations."""
    names, count = {}, 0
    assert text.isascii()
    for block in re.split(r"\\subsection\*\{", text)[1:]:
        names = {}
        in_place = False
        for line in block.split("\n"):
            in_place = in_place or line.startswith("In its place")
            if line.startswith("With "):
                for part in re.findall(r"\$([^$]*)\$", line):
                    *symbols, value = part.split(" = ")
                    names |= {latex_name(symbol): evaluate_latex(value) for symbol in symbols}
        blocks = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", block, re.DOTALL)
        for rows in blocks:
            left, steps = [], []
            for row in [*rows.split(" \\\\\n"), None]:
                cells = None if row is None else row.split("&")
                if cells is None or cells[0].strip():
                    if steps:
                        count += 1
                        value = evaluate_latex(steps[-1])
                        for step in steps[:-1]:
                            assert evaluate_latex(step, names) == value, (left, step)
                        if not any(name.startswith("ratio") for name in left) and not (
                            in_place and left[0] in ("params", "MACs") and left[0] in names
                        ):
                            names |= dict.fromkeys(left, value)
                    if cells is None:
                        break
                    left, steps = [latex_name(part) for part in cells[0].split(" = ")], []
                steps.append(cells[1].strip().removeprefix("=").strip())
    return count


def latex_name(text):
    """A symbol as it is written in Unicode."""
    from tests.explain.arithmetic import latex_tokens

    ((kind, name),) = latex_tokens(text)
    assert kind == "name"
    return name
