"""The keywords of the spec language, each with what it takes and what it is for.

The parser, its hints and the JSON Schema read them here.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """A key of a mapping. ``hint`` says how to write it where it is required and missing."""

    takes: str
    help: str
    required: bool = False
    hint: str | None = None


Keys = dict[str, Key]

_NAMED = Key("name", "A word or a number, or several with dots between; {expression} may be part of it.")
_FROM = Key("from", "What is read instead of the tensor before: a name, a path or an input; several as a list.")
_NUMBERED = Key("flag", "Whether what stands here without a name is called 0, 1, 2, …, as in torch.nn.Sequential.")
_ARGS = Key("args", "Arguments with their defaults; 'required' for one that has none.")
_INPUT = "Channels, then the spatial axes (no batch), as [3, 224, 224]; or named inputs."
_INPUT_HINT = "write 'input: [3, 224, 224]': channels, then the spatial sizes"
_LAYERS_HINT = "write 'layers:' and below it one layer per line, each after '- '"

SPEC: Keys = {
    "name": Key("text", "What the net is called."),
    "source": Key("text", "The paper or code that the net is from."),
    "input": Key("inputs", _INPUT, required=True, hint=_INPUT_HINT),
    "args": _ARGS,
    "variants": Key("variants", "Named sets of arguments."),
    "flat_branches": Key("flag", "Whether branches and shortcuts add no level to the paths of what stands in them."),
    "numbered": _NUMBERED,
    "blocks": Key("blocks", "Pieces of the net with arguments, called as layers are."),
    "layers": Key("body", "The net's layers in order.", required=True, hint=_LAYERS_HINT),
    "outputs": Key("outputs", "The tensors that are the net's results, where they are not just the last layer's."),
    "budget": Key("budget", "Limits that 'cnncalc check' holds the net against."),
}
"""Of a whole spec."""
BLOCK: Keys = {"args": _ARGS, "numbered": _NUMBERED, "layers": Key("body", "Its layers in order.", required=True)}
REPEAT: Keys = {
    "times": Key("count", "How many rounds; 'index' counts them from 0.", required=True),
    "layers": Key("body", "The layers of one round.", required=True),
}
CHOICE: Keys = {
    "if": Key("value", "Which of two bodies.", required=True),
    "then": Key("body", "Layers where it holds.", required=True),
    "else": Key("body", "Layers where it does not; none if left out."),
}
RESIDUAL: Keys = {
    "body": Key("body", "Layers whose result the skip is added to.", required=True),
    "shortcut": Key("body", "Layers of the skip, taken only where the body changes the shape."),
    "when": Key("value", "The skip stands only where this holds; always without it."),
    "name": _NAMED,
    "from": _FROM,
}
META: Keys = {
    "name": _NAMED,
    "from": _FROM,
    "share": Key("name", "Calls of the same share name use the same weights."),
}
"""What every layer and block takes besides its fields or arguments."""
BRANCHES = Key("branches", "Branches, joined; [] is the tensor itself.")
"""What a layer of several inputs takes besides."""
STRUCTURES = {
    "repeat": "The layers several times over; 'index' counts from 0.",
    "if": "One of two bodies.",
    "residual": "A body, and what is added to its result: its input, or the shortcut where shapes differ.",
    "activation": "A layer by a name that an argument may hold.",
}
"""Items that are no layers; no block can have their names."""
SIZES = {
    "in_channels": "The channels of the tensor before.",
    "in_size": "Its spatial sizes as a list.",
    "in_length": "Its only spatial size.",
    "in_depth": "The first of its three spatial sizes.",
    "in_height": "Its height.",
    "in_width": "Its width.",
}
"""Names of sizes in expressions."""
