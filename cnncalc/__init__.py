"""The calculator for convolutional networks."""
