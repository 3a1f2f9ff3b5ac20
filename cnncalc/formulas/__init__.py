"""The mathematics and nothing else: pure functions over integers, each with its equation and source.

Every function works unchanged on an ``int`` and on a NumPy integer array (or a mix): no function
branches on a value, divides with ``/`` or rounds through a float. Arguments are annotated ``int``
for the common case. (Sets of positions, windows with phases and nests are of ints alone.)

Where to look
    =====================================  ==============================================================
    question                               formula
    =====================================  ==============================================================
    output size of a convolution, a pool   ``size.conv_output_size``, ``size.ceil_pool_output_size``
    of a transposed convolution            ``size.conv_transpose_output_size``
    padding that ``same`` means            ``size.same_padding``
    where a resized map samples its input  ``resample.half_pixel_grid`` and its neighbours
    parameters and MACs of a layer         ``nest``: its equation as loops; ``Layer.equation`` in ``layers/``
    MACs of the gradients                  ``nest.gradient_macs``: the same loops, roles exchanged
    FLOPs of MACs, bytes of a tensor       ``cost.flops``, ``cost.tensor_bytes``
    what a layer's units read              ``receptive_field.Window``; ``layers/reads.py`` finds it in a nest
    receptive field, jump, start           ``receptive_field.compose``: the recurrence, one layer at a time
    field of an upsampling                 ``compose`` too: ``resample.sampled_window`` gives a window with
                                           a phase for each unit between two samples, and so a field
    fields of branches that meet           ``receptive_field.union``
    pixels read, padding and border modes  ``positions.position``: the border rule; ``positions.positions``
    products that padding makes needless   ``traffic.pairs_inside``, ``traffic.taps_inside``
    least time of work                     ``roofline.picoseconds``
    variance of initial weights            ``initialisation``
    =====================================  ==============================================================

How they become numbers of a net
    ``graph.propagate`` carries values along what layers read. The passes of ``analysis/``, each one algebra:
    ``receptive_field`` (the recurrence, which ignores borders), ``exact_field`` (sets of pixels, borders and
    holes included; each is the other's check), ``unit_field`` (paths from every pixel to one unit) and
    ``measuring`` (which units no border cuts off).
    ``analysis/cost`` counts the forward pass, ``analysis/training`` the backward pass (``step_macs``: gradients of
    activations as far as something before them learns, and of weights), ``analysis/stochastic`` its mean where
    branches are dropped, ``analysis/traffic`` what must be read and written, ``analysis/roofline`` the least time.
"""
