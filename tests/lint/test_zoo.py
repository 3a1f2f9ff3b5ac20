"""What is found in the nets of the zoo, and why it is right. None has an error; few have a warning."""

from __future__ import annotations

from collections import Counter

import pytest

from cnncalc.analysis.lint import Finding, lint
from cnncalc.api import load
from cnncalc.sources import zoo_names

E = "error"
W = "warning"
N = "info"

FOUND: dict[str, dict[tuple[str, str], int]] = {
    # 32 → 28 → 14 → 10 → 5 → 1: nothing is lost, and c5's units see just the 32 pixels. Its counts are from before
    # matrix units: 6 maps in c1, 84 units in f6 (a 7×12 bitmap) and 10 classes are no multiples of 8.
    "lenet5": {("CNN305", N): 3},
    # 224 is no size for a kernel of 11 with stride 4 and padding 2: (224 + 4 − 11) = 4·54 + 1, so one row of padding
    # at the bottom is left (the paper's 227 without padding is exact). The last pool's units see
    # 11 + (3−1)·4 + (5−1)·8 + (3−1)·8 + 3·(3−1)·16 + (3−1)·16 = 195 of 224 pixels; three linear layers relate the rest.
    "alexnet": {("CNN104", N): 1, ("CNN203", N): 1},
    # Five halvings of 224 are exact. The units of the last pool see 212 of 224, and the fifth stage stays at the 512
    # channels of the fourth (Table 1 of the paper).
    "vgg16": {("CNN203", N): 1, ("CNN303", N): 1},
    # The stem's 7×7 with stride 2 on 224, and the three pools of 3 with stride 2 and ceil_mode on 112, 56 and 28: each
    # window grid reaches one row farther beyond one border than beyond the other. Branches are aligned, biases left
    # out, and channels multiples of 8.
    "googlenet": {("CNN104", N): 4},
    # 299 was chosen so that every stride without padding is exact: 299 → 149 → 147 → 73 → 71 → 35 → 17 → 8.
    "inception_v3": {},
    # Stem, pool and the three 3×3 with stride 2 read padding at the top alone of an even map. The three shortcuts of
    # 1×1 with stride 2 read a quarter of what the body beside them reads whole (ResNet-D mends it). All
    # 3 + 4 + 6 + 3 blocks end in a norm before the sum.
    "resnet50": {("CNN102", N): 3, ("CNN104", N): 5, ("CNN304", N): 16},
    # Stem and pool as in resnet50; the transitions' 2×2 pools fit. Block 3 ends with 256 + 24·32 = 1024 channels, and
    # block 4 with 512 + 16·32 = 1024 too. Norms come before the convolutions, so no bias and no last norm.
    "densenet121": {("CNN104", N): 2, ("CNN303", N): 1},
    # Stem and four depthwise strides. The thin layers are linear on purpose: where no sum stands between (16 → 96 and
    # 320 → 1280) two products follow each other and save weights. 1 + 2 + 3 + 2 + 2 blocks have a skip.
    "mobilenet_v2": {("CNN104", N): 5, ("CNN302", N): 2, ("CNN304", N): 10},
    # Stem, pool and two depthwise strides in each of 3 stages. No activation follows a depthwise convolution: 2 in each
    # of 3 downsampling units, 1 in each of 3 + 7 + 3 others; separable pairs save weights. Half of 116 is 58 (3 + 3·2
    # convolutions in stage 2), half of 232 is 116 (3 + 7·2 in stage 3), both no multiples of 8; 232 is.
    "shufflenet_v2_x1_0": {("CNN104", N): 8, ("CNN302", N): 19, ("CNN305", N): 9 + 17},
    # As mobilenet_v2, with (1−1) + (2−1) + (2−1) + (3−1) + (3−1) + (4−1) + (1−1) = 9 skips. A quarter of the blocks'
    # inputs is squeezed to: 4 once, 6 and 10 twice, 20 and 28 three times. After the first squeeze-excite every unit
    # depends on the whole input, so the head sees all.
    "efficientnet_b0": {("CNN104", N): 5, ("CNN302", N): 2, ("CNN304", N): 9, ("CNN305", N): 11},
    # Stem and downsampling have kernel = stride and fit 224; channels double; a learned scale from 1e-6 ends each
    # residual branch already; layer norm needs the bias before it, as it is taken over the channels.
    "convnext_tiny": {},
    # 572 was chosen so that every pool gets an even map, and the crops are equal on all sides, so the skips are
    # aligned; the up-convolutions have kernel = stride. Only the 2 classes are no multiple of 8.
    "unet": {("CNN305", N): 1},
    # torchvision keeps the biases of VGG's 13 convolutions though a norm follows each.
    "vgg16_bn": {("CNN203", N): 1, ("CNN301", W): 13, ("CNN303", N): 1},
    # The basic blocks' shortcuts as in resnet50; the stem's 64 channels at 112×112 are as many as stage 1 has.
    "resnet18": {("CNN102", N): 3, ("CNN104", N): 5, ("CNN303", N): 1, ("CNN304", N): 8},
    # 7 with stride 2 and no padding leaves a row of 224 ((224 − 7) is odd); the classes are a mean over units that see
    # 7 + 2·2 + 3·(3−1)·4 + 2·4 + 4·(3−1)·8 + 2·8 + (3−1)·16 = 155 pixels. Of the pools with ceil_mode, on 109, 54 and
    # 27, the second reaches one row beyond the bottom.
    "squeezenet1_0": {("CNN101", W): 1, ("CNN104", N): 1, ("CNN203", N): 1},
}


def find(name: str, **options: object) -> tuple[Finding, ...]:
    return lint(load(name, **options)).findings  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found(name: str) -> None:
    assert Counter((one.rule, one.severity) for one in find(name)) == FOUND[name]


@pytest.mark.parametrize("name", sorted(zoo_names()))
def test_no_net_of_the_zoo_has_an_error(name: str) -> None:
    assert [one for one in find(name) if one.severity == E] == []


def test_the_only_warnings_in_the_zoo() -> None:
    """Each is what it says, and its authors knew it or did not mind."""
    warned = {
        name: set(rules) for name in zoo_names() if (rules := [one.rule for one in find(name) if one.severity == W])
    }
    assert warned == {
        "vgg11_bn": {"CNN301"},
        "vgg13_bn": {"CNN301"},
        "vgg16_bn": {"CNN301"},
        "vgg19_bn": {"CNN301"},
        "squeezenet1_0": {"CNN101"},
        "squeezenet1_1": {"CNN101"},
        # the last depthwise 3×3 reads units that see 251 of 224 pixels
        "mobilenet_v1": {"CNN202"},
        # 16 → 16 → 72 without a skip: the thin layer is not thin, and 16·16 + 16·72 weights do what 16·72 can
        "mobilenet_v3_small": {"CNN302"},
    }


def test_numbers_of_the_zoo() -> None:
    """Against the papers and the arithmetic of the notes."""
    by_rule = {one.rule: one for one in find("vgg16")}
    assert by_rule["CNN203"].numbers["axes"][0] == {"axis": "height", "field": 212, "input": 224}
    by_rule = {one.rule: one for one in find("alexnet")}
    assert by_rule["CNN203"].numbers["axes"][0]["field"] == 195
    assert by_rule["CNN104"].numbers["axes"][0]["padding_read"] == [2, 1]
    (pair,) = (one for one in find("mobilenet_v3_small") if one.severity == W)
    assert (pair.numbers["weights"], pair.numbers["weights_as_one"]) == (16 * 16 + 16 * 72, 16 * 72)
    (last,) = (one for one in find("mobilenet_v1") if one.rule == "CNN202")
    # 3 and twelve depthwise 3×3, each adding 2·jump: 1·2 | 2·2 | 2 4 | 4 8 | 8 and five of 16 | 16 (its stride) | 32
    assert last.numbers["axes"][0]["field"] == 1 + 2 * (1 + 2 + 2 + 4 + 4 + 8 + 8 + 6 * 16)


def test_odd_sizes_centre_a_residual_net() -> None:
    """225 → 113 → 57 → 29 → 15 → 8: as Alsallakh et al. 2021 recommend."""
    assert not [one for one in find("resnet50", input=(3, 225, 225)) if one.rule == "CNN104"]


def test_small_inputs_leave_layers_unproductive() -> None:
    """VGG16 on CIFAR's 32 pixels: conv3_3's units see 40 of 32, so all that come after have seen everything."""
    names = [one.layer for one in find("vgg16", input=(3, 32, 32)) if one.rule == "CNN202"]
    # conv3_2's units see 32, conv3_3's 40; stages 4 and 5 read those and beyond
    assert names == [f"stage{stage}.conv{conv}" for stage in (4, 5) for conv in (1, 2, 3)]
