"""The mathematics and nothing else: pure functions over integers, each with its equation and source.

Every function works unchanged on an ``int`` and on a NumPy integer array (or a mix): no function
branches on a value, divides with ``/`` or rounds through a float. Arguments are annotated ``int``
for the common case.
"""
