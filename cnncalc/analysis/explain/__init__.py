"""Every number with the formula that gave it: the layers' own methods, run on numbers that remember.

``tree`` holds expressions, ``traced`` integers that carry one, ``symbols`` the names of what a layer
is given, ``costs`` and ``field`` the explanations of a layer; ``answer`` gathers them, ``notation`` writes them.
"""
