"""Activations in PyTorch."""

from __future__ import annotations

from torch import nn

from cnncalc.layers import activation
from cnncalc.layers.base import Layer, Shape
from cnncalc.torch.dims import dim
from cnncalc.torch.registry import builds


def builds_as(layer_class: type[Layer], module_class: type[nn.Module]) -> None:
    """Register a layer whose fields are the module's own, by name."""

    @builds(layer_class)
    def build(layer: Layer, shape: Shape) -> nn.Module:
        return module_class(**{name: getattr(layer, name) for name in layer.__struct_fields__})


builds_as(activation.Relu, nn.ReLU)
builds_as(activation.Relu6, nn.ReLU6)
builds_as(activation.LeakyRelu, nn.LeakyReLU)
builds_as(activation.Prelu, nn.PReLU)
builds_as(activation.Elu, nn.ELU)
builds_as(activation.Selu, nn.SELU)
builds_as(activation.Celu, nn.CELU)
builds_as(activation.Gelu, nn.GELU)
builds_as(activation.Silu, nn.SiLU)
builds_as(activation.Mish, nn.Mish)
builds_as(activation.Hardsigmoid, nn.Hardsigmoid)
builds_as(activation.Hardswish, nn.Hardswish)
builds_as(activation.Hardtanh, nn.Hardtanh)
builds_as(activation.Softsign, nn.Softsign)
builds_as(activation.Softshrink, nn.Softshrink)
builds_as(activation.Hardshrink, nn.Hardshrink)
builds_as(activation.Tanhshrink, nn.Tanhshrink)
builds_as(activation.Threshold, nn.Threshold)
builds_as(activation.Sigmoid, nn.Sigmoid)
builds_as(activation.LogSigmoid, nn.LogSigmoid)
builds_as(activation.Tanh, nn.Tanh)
builds_as(activation.Softplus, nn.Softplus)


def builds_along_axis(layer_class: type[activation.AlongAxis], module_class: type[nn.Module]) -> None:
    """Register an activation along an axis; PyTorch's ``dim`` counts the batch."""

    @builds(layer_class)
    def build(layer: activation.AlongAxis, shape: Shape) -> nn.Module:
        return module_class(dim=dim(layer.axis))


builds_along_axis(activation.Softmax, nn.Softmax)
builds_along_axis(activation.Softmin, nn.Softmin)
builds_along_axis(activation.LogSoftmax, nn.LogSoftmax)
builds_along_axis(activation.Glu, nn.GLU)
