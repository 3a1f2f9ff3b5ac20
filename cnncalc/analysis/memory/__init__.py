"""The memory of a net: its weights, a pass in inference, a step of training.

``passes`` joins the layers' records of a forward pass; ``inference`` finds its peak,
``order`` the order of branches that lowers it, ``training`` what is kept for the backward pass and
what optimisers add, ``fit`` the largest batch. All sizes are bytes.
"""
