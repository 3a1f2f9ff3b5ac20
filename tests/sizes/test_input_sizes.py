"""Input sizes against PyTorch, against arithmetic by hand, and against running every size."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncalc import sources
from cnncalc.analysis.input_sizes import QUESTIONS, Mend, Survey, diagnose, find_base, near, resized, survey
from cnncalc.analysis.size_rule import describe, find_rule
from cnncalc.errors import CnncalcError
from cnncalc.spec.resize import Resizable
from tests.sizes.nets import PADDED_UNET, TorchUNet, output_size

MOST = 1024


def surveyed(net: Resizable, most: int = MOST) -> Survey:
    base = find_base(net, net.inputs(), most)
    assert base is not None
    return survey(net, base, most)


def rule(found: Survey, question: str, axis: int = 0) -> str:
    sizes = found.scans[axis].sizes[question]
    return describe(sizes, find_rule(sizes, found.most))


@pytest.fixture(scope="module")
def unet() -> Resizable:
    return sources.resizable("unet")


@pytest.fixture(scope="module")
def unet_survey(unet: Resizable) -> Survey:
    return surveyed(unet)


@pytest.fixture(scope="module")
def padded() -> Resizable:
    return sources.resizable_text(PADDED_UNET, "padded.yaml")


@pytest.fixture(scope="module")
def padded_survey(padded: Resizable) -> Survey:
    return surveyed(padded)


def paper(size: int) -> tuple[int | None, bool]:
    """Output size of Ronneberger et al. 2015 and whether a pixel was lost, as their Fig. 1 is drawn.

    Going down, two 3×3 convolutions take 4 pixels and a pool halves; going up, sizes double and two
    convolutions take 4. So 572 → 568 → 284 → 280 → 140 → 136 → 68 → 64 → 32 → 28, then
    56 → 52 → 104 → 100 → 200 → 196 → 392 → 388. With a, …, d even before each pool the input is
    16·b + 60, where b is the size at the bottom, so every such size is 12 modulo 16. A bottom of b leaves
    c = b − 4, and c → 2c − 4 four times over: 4 stays 4, and 3 → 2 → 0 is nothing. So b ≥ 8: from 188 on.
    """
    lost = False
    for _ in range(4):
        size -= 4
        if size < 1:
            return None, lost
        lost |= size % 2 == 1
        size //= 2
    size -= 4
    for _ in range(4):
        if size < 1:
            return None, lost
        size = 2 * size - 4
    return (size if size >= 1 else None), lost


def test_the_original_unet_is_what_the_paper_draws(unet_survey: Survey) -> None:
    assert paper(572) == (388, False)
    assert paper(188) == (4, False)
    for scan in unet_survey.scans:
        assert scan.sizes["works"] == {s for s in range(1, MOST + 1) if paper(s)[0] is not None}
        assert scan.sizes["lossless"] == {s for s in range(1, MOST + 1) if paper(s)[0] is not None and not paper(s)[1]}
        assert scan.sizes["exact"] == scan.sizes["lossless"]
    for axis in (0, 1):
        assert rule(unet_survey, "works", axis) == "every size from 188"
        assert rule(unet_survey, "lossless", axis) == "16·k + 12 (k ≥ 11)"
    assert unet_survey.dependence is None


def test_every_answer_about_the_unet_is_that_of_the_whole_net_run_anew(unet: Resizable, unet_survey: Survey) -> None:
    """No replay, no memory: the text is run for each size of 1…1024, and the windows are looked at one by one."""
    for size in range(1, MOST + 1):
        attempt = unet.attempt({"input": (1, size, 572)})
        sizes = unet_survey.scans[0].sizes
        assert (size in sizes["works"]) == (attempt.error is None)
        if attempt.graph is not None:
            assert attempt.graph.shape(attempt.graph.outputs[0][1]) == (2, paper(size)[0], 388)
            assert (size in sizes["lossless"]) == (not any(axes[0].pixels for _, axes in unet.left_out(attempt.nodes)))


@pytest.mark.parametrize("size", [100, 187, 188, 189, 203, 204, 300, 571, 572])
def test_the_original_unet_in_pytorch(unet_survey: Survey, size: int) -> None:
    made = output_size(TorchUNet(padded=False), size, size)
    assert (size in unet_survey.scans[0].sizes["works"]) == (made is not None)
    assert made is None or made == (paper(size)[0],) * 2


def test_a_padded_unet_wants_multiples_of_16(padded_survey: Survey) -> None:
    """Four pools halve, and what is doubled again must be what the skip brings."""
    for axis in (0, 1):
        for question in QUESTIONS:
            assert rule(padded_survey, question, axis) == "multiples of 16"
    net = TorchUNet(padded=True)
    for size in (*range(8, 66), 570, 576, 1008, 1024):
        made = output_size(net, size, 32)
        assert (size in padded_survey.scans[0].sizes["works"]) == (made is not None)
        assert made is None or made == (size, 32)


def test_resnet50() -> None:
    """Five layers of stride 2 with a kernel of K and (K−1)/2 of padding: conv1, the pool, the first blocks of stages.

    (H + K − 1 − K) mod 2 is (H − 1) mod 2: nothing is left out where H is odd, and (H + 1)/2 goes on, so
    that H = 32·k + 1 five times over. Where H is even the row left out is padding (or, before a 1×1
    convolution, a pixel between its windows), and at size 1 each layer gives 1: no size fails.
    """
    found = surveyed(sources.resizable("resnet50"))

    def exact(size: int) -> bool:
        for kernel in (7, 3, 3, 3, 3):
            if (size + 2 * (kernel // 2) - kernel) % 2:
                return False
            size = (size + 2 * (kernel // 2) - kernel) // 2 + 1
        return True

    for axis, scan in enumerate(found.scans):
        assert scan.sizes["works"] == scan.sizes["lossless"] == scan.sizes["weights"] == set(range(1, MOST + 1))
        assert scan.sizes["exact"] == {size for size in range(1, MOST + 1) if exact(size)}
        assert rule(found, "works", axis) == "every size"
        assert rule(found, "exact", axis) == "32·k + 1 (k ≥ 0)"


@pytest.mark.parametrize(
    ("name", "works", "lossless", "weights"),
    [
        # Five pools of 2: a smaller map has nothing left; the pools' floors want multiples of 32; 7×7 is adaptive.
        ("vgg16", "every size from 32", "multiples of 32", "every size from 32"),
        # 32 − 4 = 28, 14 − 4 = 10, 5, and a 5×5 convolution over the 5; a longer map changes the linear layer.
        ("lenet5", "every size from 32", "multiples of 4 from 32", "32…35"),
    ],
)
def test_nets_of_the_zoo(name: str, works: str, lossless: str, weights: str) -> None:
    found = surveyed(sources.resizable(name))
    assert (rule(found, "works"), rule(found, "lossless"), rule(found, "weights")) == (works, lossless, weights)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["resnet18", "vgg11", "lenet5", "alexnet"])
def test_the_module_in_pytorch_takes_what_is_said_to_work(name: str) -> None:
    """A module of the spec's size takes exactly the sizes that work and keep every weight's shape."""
    import torch

    from cnncalc.torch import build

    net = sources.resizable(name)
    found = surveyed(net, 300)
    (shape,) = net.inputs().values()
    module = build(name).to("meta").eval()
    kept = found.scans[0].sizes["weights"]
    for size in {1, 2, 15, 31, 33, 63, 64, 224, 225, 255, 300, min(kept), max(min(kept) - 1, 1), max(kept)}:
        x = torch.empty(1, shape[0], size, shape[2], device="meta")
        try:
            module(x)
            taken = True
        except RuntimeError:
            taken = False
        assert taken == (size in kept), size


def test_axes_that_differ() -> None:
    text = "input: [1, 40, 60]\nlayers: [{max_pool: [2, 3]}, {conv: {out: 1, kernel: [3, 1]}}]\n"
    found = surveyed(sources.resizable_text(text))
    assert [scan.axis.name for scan in found.scans] == ["height", "width"]
    # height: pool of 2, and then at least 3; width: pool of 3
    assert [rule(found, "works", axis) for axis in (0, 1)] == ["every size from 6", "every size from 3"]
    assert [rule(found, "lossless", axis) for axis in (0, 1)] == ["even sizes from 6", "multiples of 3"]


@pytest.mark.parametrize(("rank", "names"), [(1, ["length"]), (3, ["depth", "height", "width"])])
def test_other_ranks(rank: int, names: list[str]) -> None:
    shape = ", ".join(["2", *["16"] * rank])
    found = surveyed(sources.resizable_text(f"input: [{shape}]\nlayers: [{{max_pool: 4}}]\n"), 64)
    assert [scan.axis.name for scan in found.scans] == names
    assert {rule(found, "lossless", axis) for axis in range(rank)} == {"multiples of 4"}


def test_axes_that_depend_on_each_other() -> None:
    """An image and its transpose can be added only where the image is square, or broadcast along both axes."""
    text = "input: [1, 16, 16]\nlayers: [{add: [[], [{transpose: {axis0: 1, axis1: 2}}]]}]\n"
    found = surveyed(sources.resizable_text(text), 64)
    assert [rule(found, "works", axis) for axis in (0, 1)] == ["1, 16", "1, 16"]
    assert found.dependence is not None
    question, (height, width), together = found.dependence
    assert (question, together) == ("works", True)
    assert height == width or 1 in (height, width)


def test_inputs_of_one_size_are_varied_together() -> None:
    pools = ", ".join(f"{{max_pool: {{kernel: 4, from: {name}}}}}" for name in ("left", "right"))
    text = f"input: {{left: [3, 20, 30], right: [2, 20, 40]}}\nlayers: [{pools}]\n"
    found = surveyed(sources.resizable_text(text), 64)
    assert [(scan.axis.name, scan.axis.inputs) for scan in found.scans] == [
        ("height of left, right", ("left", "right")),
        ("width of left", ("left",)),
        ("width of right", ("right",)),
    ]


def test_a_net_without_spatial_axes() -> None:
    net = sources.resizable_text("input: [784]\nlayers: [{linear: 10}]\n")
    with pytest.raises(CnncalcError, match=r"channels alone(.|\n)*no height or width to vary"):
        survey(net, net.inputs())


def test_where_the_specs_own_size_fails_the_nearest_that_works_stands_in(padded: Resizable) -> None:
    assert find_base(padded, {"input": (1, 90, 64)}, 200) == {"input": (1, 96, 96)}
    assert find_base(padded, {"input": (1, 48, 80)}, 200) == {"input": (1, 48, 80)}
    assert find_base(padded, {"input": (1, 9, 9)}, 15) is None


# -- near ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(700, 500), (16, 17), (1, 8), (999, 24), (64, 64)])
@pytest.mark.parametrize("question", QUESTIONS[:3])
def test_the_nearest_fits(padded: Resizable, padded_survey: Survey, wanted: tuple[int, int], question: str) -> None:
    axes = [scan.axis for scan in padded_survey.scans]
    found = near(padded, padded_survey.base, dict(zip(axes, wanted, strict=True)), question, MOST)
    multiples = range(16, 2048, 16)
    above = tuple(min(m for m in multiples if m >= size) for size in wanted)
    assert found.above is not None
    assert found.above.sizes == above
    smaller = [[m for m in multiples if m <= size] for size in wanted]
    below = tuple(map(max, smaller)) if all(smaller) else None
    assert (found.below and found.below.sizes) == below
    closest = tuple(min(multiples, key=lambda m, size=size: (abs(m - size), -m)) for size in wanted)
    assert found.closest is not None
    assert found.closest.sizes == closest
    for fit in (found.closest, found.above, found.below):
        if fit is not None:
            assert (
                tuple(size + before + after for size, (before, after) in zip(wanted, fit.change, strict=True))
                == fit.sizes
            )
            assert all(abs(after) - abs(before) in (0, 1) and before * after >= 0 for before, after in fit.change)


def test_nothing_near(unet: Resizable, unet_survey: Survey) -> None:
    axes = [scan.axis for scan in unet_survey.scans]
    found = near(unet, unet_survey.base, dict.fromkeys(axes, 100), "works", 50)
    assert (found.closest, found.above, found.below) == (None, None, None)


# -- mends -----------------------------------------------------------------------------------------


def mends(net: Resizable, size: tuple[int, int]) -> dict[str, Mend]:
    return {mend.kind: mend for mend in diagnose(net, {"input": (1, *size)}).mends}


@pytest.mark.parametrize("size", [(90, 100), (17, 16), (31, 47), (64, 65), (570, 573)])
def test_output_paddings_mend_a_unet_in_pytorch(padded: Resizable, size: tuple[int, int]) -> None:
    """What is proposed is built into the net written by hand, which then gives the size that it takes."""
    steps = {step.layer: step.value for step in mends(padded, size)["output_padding"].steps}
    given = [steps.get(f"up{number}.conv_transpose1", (0, 0)) for number in (1, 2, 3, 4)]
    assert output_size(TorchUNet(padded=True), *size) is None
    assert output_size(TorchUNet(padded=True, output_padding=given), *size) == size
    # By hand: at each level the pixel that the pool's floor took.
    lost = [tuple(side >> level & 1 for side in size) for level in (3, 2, 1, 0)]
    assert given == lost


@pytest.mark.parametrize("kind", ["pad", "crop"])
@pytest.mark.parametrize("size", [(40, 48), (56, 40)])
def test_pads_and_crops_mend_a_unet_as_text(padded: Resizable, kind: str, size: tuple[int, int]) -> None:
    """The proposed layers are written into a spec, which is then loaded as any other."""
    start = PADDED_UNET.index("  up:")
    layers = PADDED_UNET.index("layers:\n  - double: {name: down1")
    block, text = PADDED_UNET[start:layers], PADDED_UNET
    steps = {(step.layer, step.input): step for step in mends(padded, size)[f"{kind}s"].steps}
    blocks = ""
    for number, skip in enumerate(("down4", "down3", "down2", "down1"), 1):
        branches = []
        for port, source in enumerate(("skip", "grown")):
            step = steps.pop((f"up{number}.concat1", port), None)
            change = f"{kind}: {{{step.field}: {[*map(list, step.value)]}, from: {source}}}" if step else ""
            branches.append(f"[{{{change or f'identity: {{from: {source}}}'}}}]")
        blocks += (
            block.replace("  up:", f"  up_{number}:")
            .replace("stride: 2}", "stride: 2, name: grown}")
            .replace("concat: {from: [skip, -1]}", f"concat: [{', '.join(branches)}]")
        )
        out = 12 - 2 * number
        text = text.replace(f"- up: {{out: {out}, skip: {skip}}}", f"- up_{number}: {{out: {out}, skip: {skip}}}")
    assert not steps
    text = text.replace("layers:\n  - double: {name: down1", f"{blocks}layers:\n  - double: {{name: down1")
    with pytest.raises(CnncalcError, match="cannot concatenate"):
        sources.load_text(PADDED_UNET, input=(1, *size))
    graph = sources.load_text(text, input=(1, *size))
    made = graph.shape(graph.outputs[0][1])[1:]
    assert made == size if kind == "pad" else all(a <= b for a, b in zip(made, size, strict=True))


def test_a_collision_of_channels_has_no_mend_by_size() -> None:
    net = sources.resizable_text(
        "input: [1, 8, 8]\nlayers: [{add: [[{conv: {out: 2, kernel: 1}}], [{conv: {out: 3, kernel: 1}}]]}]\n"
    )
    found = diagnose(net, net.inputs())
    assert found.attempt.failure is not None
    assert found.attempt.failure.path == "add1"
    assert found.mends == ()
    assert find_base(net, net.inputs(), 30) is None


def test_a_kernel_too_large_has_no_mend_but_another_size(unet: Resizable) -> None:
    found = diagnose(unet, {"input": (1, 100, 572)})
    assert found.attempt.failure is not None
    assert found.attempt.failure.path == "bottom.conv1"
    assert found.mends == ()


def test_what_is_left_out_at_a_size_that_works() -> None:
    """225 → 112 loses one row at the first pool; 230 → 115 → 57 → 28 one column at the second and the third."""
    net = sources.resizable("vgg16")
    found = diagnose(net, {"input": (3, 225, 230)})
    lost = {node.path: tuple(one.pixels for one in axes) for node, axes in found.left}
    assert lost == {"stage1.max_pool1": (1, 0), "stage2.max_pool1": (0, 1), "stage3.max_pool1": (0, 1)}


def test_sizes_replace_only_their_axes(padded_survey: Survey) -> None:
    height, width = (scan.axis for scan in padded_survey.scans)
    assert resized({"input": (1, 64, 64)}, {height: 7}) == {"input": (1, 7, 64)}
    assert resized({"input": (1, 64, 64)}, {width: 7}) == {"input": (1, 64, 7)}


def test_progress_is_told(padded: Resizable) -> None:
    told: list[str] = []
    show: Callable[[str], object] = told.append
    survey(padded, padded.inputs(), 130, show)
    assert told == [f"{name} {size}" for name in ("height", "width") for size in (1, 65, 129)]
