"""Graphs with the names that torchvision's modules have, made of the shipped specs without torchvision."""

from __future__ import annotations

import re
from collections import Counter

from msgspec.structs import replace

import cnncalc
from cnncalc.graph import Graph


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with other paths, and nothing that is known only of a spec."""
    nodes = tuple(replace(node, path=names.get(node.path, node.path), place=None) for node in graph.nodes)
    assert len({node.path for node in nodes}) == len(nodes)
    outputs = tuple((nodes[ref.node].path, ref) for _, ref in graph.outputs)
    return replace(graph, nodes=nodes, outputs=outputs, citation="", args={}, budget={})


def resnet(name: str) -> Graph:
    """As ``torchvision.models.resnet``: ``layer1.0.conv1``, ``layer1.0.downsample.0``; a module that is called again
    is ``relu_2``.
    """
    graph = cnncalc.load(name)
    names = {
        "conv_bn1.conv1": "conv1",
        "conv_bn1.batch_norm1": "bn1",
        "relu1": "relu",
        "max_pool1": "maxpool",
        "global_avg_pool1": "avgpool",
        "linear1": "fc",
    }
    for node in graph.nodes:
        match = re.fullmatch(r"stage(\d)\.\w+?(\d+)\.(.*)", node.path)
        if match is None:
            continue
        stage, block, rest = int(match[1]), int(match[2]), match[3]
        rest = re.sub(r"^conv_bn(\d)\.conv1$", r"conv\1", rest)
        rest = re.sub(r"^conv_bn(\d)\.batch_norm1$", r"bn\1", rest)
        rest = {
            "shortcut1.conv_bn1.conv1": "downsample.0",
            "shortcut1.conv_bn1.batch_norm1": "downsample.1",
            "relu1": "relu",
            "relu2": "relu_2",
            "relu3": "relu_3",
        }.get(rest, rest)
        names[node.path] = f"layer{stage}.{block - 1}.{rest}"
    return renamed(graph, names)


def mobilenet_v3(name: str) -> Graph:
    """As ``torchvision.models.mobilenetv3``: ``features.4.block.2.fc1``, where an expansion or squeeze-excitation
    that is not there moves the numbers of what follows.
    """
    graph = cnncalc.load(name)
    size = name.rpartition("_")[2]
    last = max(int(m[1]) for node in graph.nodes if (m := re.match(rf"{size}1\.bneck(\d+)\.", node.path))) + 1
    names = {"global_avg_pool1": "avgpool"}
    names |= {
        "linear1": "classifier.0",
        "hardswish3": "classifier.1",
        "dropout1": "classifier.2",
        "linear2": "classifier.3",
    }
    for block, number, act in (("conv_bn1", 0, "hardswish1"), ("conv_bn2", last, "hardswish2")):
        names |= {f"{block}.conv1": f"features.{number}.0", f"{block}.batch_norm1": f"features.{number}.1"}
        names[act] = f"features.{number}.2"
    parts: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for node in graph.nodes:
        match = re.fullmatch(rf"({size}1\.bneck(\d+))\.(.*)", node.path)
        if match is None:
            continue
        bneck, number, rest = match[1], int(match[2]), match[3]
        if rest == "add1":
            names[node.path] = f"features.{number}.add1"
        elif rest.startswith("squeeze_excite1"):
            parts[bneck] += not inside[f"{bneck} se"]
            inside[f"{bneck} se"] = 1
            leaf = rest.rpartition(".")[2]
            leaf = {"global_avg_pool1": "avgpool", "conv1": "fc1", "relu1": "activation", "conv2": "fc2"}.get(
                leaf, leaf
            )
            leaf = leaf.replace("hardsigmoid1", "scale_activation")
            names[node.path] = f"features.{number}.block.{parts[bneck] - 1}.{leaf}"
        else:
            if rest.endswith("conv1"):  # a convolution begins the next part
                parts[bneck] += 1
                inside[bneck] = 0
            else:
                inside[bneck] += 1
            names[node.path] = f"features.{number}.block.{parts[bneck] - 1}.{inside[bneck]}"
    return renamed(graph, names)
