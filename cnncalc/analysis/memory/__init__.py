"""How much memory a net takes: its weights, a pass in inference, a step of training.

``passes`` strings the layers' own accounts of a forward pass together; ``inference`` finds its peak,
``order`` the order of branches that lowers it, ``training`` what is kept for the backward pass and
what optimisers add, ``fit`` the largest batch. All sizes are bytes.
"""
