"""``cnncalc layers``: the layers of the spec language."""

from cnncalc.commands._command import Sink, command
from cnncalc.commands._options import Text, argument
from cnncalc.errors import unknown_name


@command
def layers(
    name: Text = argument("[NAME]", "A layer, e.g. conv or Conv2d, or a family, e.g. pool."),
    *,
    sink: Sink,
) -> None:
    """List the layers of the spec language, or show one: its fields, formulas and an example.

    Example: cnncalc layers conv
    """
    from cnncalc.analysis import layers as analysis
    from cnncalc.layers import REGISTRY
    from cnncalc.report.layers import document
    from cnncalc.spec.fields import aliases, named_layer

    kind = sink.kind()
    families = analysis.families()
    layer = None if name is None else named_layer(name)
    if layer is not None:
        chosen = [layer]
    elif name is None:
        chosen = [*REGISTRY.values()]
    elif name in families:
        chosen = families[name]
    else:
        raise unknown_name("layer", name, [*aliases(), *families], families)
    sink.show(document(analysis.answer(chosen)), kind)
