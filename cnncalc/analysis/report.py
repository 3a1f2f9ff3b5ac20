"""The report: what every output format prints, and exactly the JSON of schema version 1.

The structures below *are* the JSON: field for field, in this order. Shapes carry no batch; ``macs``,
``flops``, ``elementwise_ops`` and ``activations`` do. Keys are only ever added within a version.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from cnncalc.analysis.answer import Answer, Model, Shape

Count = int | None
"""A whole number, or null where it is unknown; the diagnostics then say why."""

SECTION_NAMES = ("memory", "training", "speed", "initialisation", "convention")
"""The further analyses, each a key of the report and of its layers where it was asked for; see ``sections``."""


class ReceptiveField(Struct, frozen=True):
    """What one unit sees of the net's input; per-axis lists have one entry per spatial axis of the input.

    ``local``: unit ``i`` sees the pixels ``start + jump·i`` to ``start + jump·i + size − 1``.
    ``global``: every unit sees everything. A null entry is an axis that is seen as a whole. ``jump``
    and ``start`` are null where the field has a size but its place is no linear function of one
    index (after ``flatten``). ``jump_exact`` is there where some jump is no integer. ``aligned`` is
    there, and false, where branches of different jumps or centres met on the way. ``phases`` is there
    after upsampling, per axis: so many units take turns with fields of their own before the pattern
    repeats; ``start`` is then that of unit 0 and ``size`` the largest.
    """

    kind: Literal["local", "global"]
    size: tuple[int | None, ...] | None = None
    jump: tuple[int | float | None, ...] | None = None
    start: tuple[int | None, ...] | None = None
    jump_exact: tuple[str | None, ...] | UnsetType = UNSET
    aligned: bool | UnsetType = UNSET
    phases: tuple[int, ...] | UnsetType = UNSET


class LayerInitialisation(Struct, frozen=True, gc=False):
    """How one layer is to start (``--show initialisation``). Fans, gain and deviations are those of its first weight
    that multiplies its input, and null where it has none.

    ``activation`` is the path of the activation whose gain it is, null where none follows. ``he_std`` goes by the
    fan-in, ``he_fan_out_std`` by the fan-out, ``xavier_std`` by both. ``decayed`` and ``not_decayed`` count the
    parameters that weight decay is meant for, and the others (biases, norms). ``zero_init``: its scale is the last of a
    residual's body, and best starts at 0.
    """

    decayed: int
    not_decayed: int
    fan_in: int | None
    fan_out: int | None
    gain: float | None
    activation: str | None
    he_std: float | None
    he_fan_out_std: float | None
    xavier_std: float | None
    zero_init: bool


class InitialLoss(Struct, frozen=True):
    """The cross-entropy, in nats, of one output with ``classes`` channels: while all classes are equally likely, and
    the least that label smoothing leaves.
    """

    output: str
    classes: int
    at_start: float
    smoothed_floor: float


class InitialisationTotals(Struct, frozen=True):
    """The split of the parameters by weight decay, how many scales best start at 0, and the losses."""

    decayed: int
    not_decayed: int
    zero_init: int
    label_smoothing: float
    losses: tuple[InitialLoss, ...]


class LayerConvention(Struct, frozen=True, gc=False):
    """What another tool counts for one layer (``--convention``), in its unit; null where it fails there."""

    counted: int | float | None


class ConventionTotals(Struct, frozen=True):
    """Another tool's answer for the whole net, in its unit; null where it gives none.

    ``macs`` is the same in MACs, null for activations; ``difference`` is what it has beyond ours, in its unit.
    """

    tool: str
    version: str
    unit: str
    status: Literal["complete", "partial", "fails", "unknown"]
    answer: int | None
    macs: int | float | None
    difference: int | None


class StepFlops(Struct, frozen=True, gc=False):
    """FLOPs of one training step: of the forward pass, of the gradients of activations (inputs of layers, as far as
    something before them learns), of the gradients of weights, and of all three.
    """

    forward_flops: Count
    input_gradient_flops: Count
    weight_gradient_flops: Count
    step_flops: Count


class LayerTraining(StepFlops, frozen=True, gc=False):
    """What one layer costs in one training step (``--show training``), as PyTorch and torchvision run it.

    ``expected_if_skipped`` is there in a net with stochastic depth: the mean where what is dropped is neither computed
    nor differentiated (Huang et al. 2016), rounded to whole FLOPs. ``runs`` is the probability that the layer runs.
    """

    expected_if_skipped: StepFlops | UnsetType = UNSET
    runs: float | UnsetType = UNSET


class TrainingRun(Struct, frozen=True):
    """A whole training run (``--images``, ``--epochs``). ``steps`` counts the last batch of an epoch however small.

    ``flops`` are those of all images in all epochs; ``petaflop_s_days`` are they over 10¹⁵·86,400.
    """

    images: int
    epochs: int
    steps: int
    flops: int
    petaflop_s_days: float
    flops_if_skipped: int | UnsetType = UNSET


class TrainingTotals(StepFlops, frozen=True):
    """What a training step costs: sums over all layers, lower bounds where the status is ``partial``.

    ``drops`` counts the layers of stochastic depth. ``expected_if_skipped`` is there where there are some, and null
    where some layer runs if one of several drops keeps its tensor: no single branch tells how often.
    """

    status: Literal["complete", "partial"]
    drops: int = 0
    expected_if_skipped: StepFlops | UnsetType | None = UNSET
    run: TrainingRun | UnsetType = UNSET


class LayerSpeed(Struct, frozen=True, gc=False):
    """What one layer must move (``--show speed``), and with ``--machine`` the least time that it takes there.

    ``read_bytes`` are the inputs that its outputs depend on, ``weight_bytes`` the weights and buffers that it reads,
    ``written_bytes`` its outputs; all 0 where the output can be a view of the input. ``intensity`` is FLOPs per byte.
    Times are whole picoseconds, rounded down: ``compute_ps`` at the peak, ``memory_ps`` at the memory's bandwidth,
    ``roofline_ps`` the larger and ``limit`` which that is; ``bound_ps`` holds whatever the caches hold.
    """

    read_bytes: int
    weight_bytes: int
    written_bytes: int
    bytes: int
    intensity: float | None
    compute_ps: int | UnsetType = UNSET
    memory_ps: int | UnsetType = UNSET
    roofline_ps: int | UnsetType = UNSET
    limit: Literal["compute", "memory", "nothing", "several"] | UnsetType = UNSET
    bound_ps: int | UnsetType = UNSET


class MachineReport(Struct, frozen=True):
    """The machine that the times are for; ``cache_bytes`` is what its caches hold together, 0 where not given."""

    name: str
    source: str
    peak_flops: int
    bandwidth: int
    cache_bytes: int


class SpeedTotals(Struct, frozen=True):
    """Sums over all layers, and the net's least times.

    ``bound_ps`` holds for layers that run one after the other; ``fused_bound_ps`` however they are fused and
    overlap. ``algorithms``: whether every product is computed (``direct``), or convolutions may take
    Winograd's or the FFT's way (``fast``). Where ``status`` is ``partial`` the FLOPs of some layers are unknown, and
    count with nothing.
    """

    status: Literal["complete", "partial"]
    dtype: str
    algorithms: Literal["direct", "fast"]
    read_bytes: int
    weight_bytes: int
    written_bytes: int
    bytes: int
    intensity: float | None
    machine: MachineReport | UnsetType = UNSET
    roofline_ps: int | UnsetType = UNSET
    bound_ps: int | UnsetType = UNSET
    fused_bound_ps: int | UnsetType = UNSET


class LayerMemory(Struct, frozen=True, gc=False):
    """Bytes of one layer (``--show memory``), for the whole batch.

    ``weights`` (buffers among them) are 0 where they are another layer's; ``output`` are those of its outputs, though
    they may be views of its input; ``saved`` is what autograd keeps for it and for no layer before, the weights
    apart; ``live`` the most bytes of tensors alive while it runs in inference.
    """

    weights: int
    output: int
    saved: int
    live: int


class Inference(Struct, frozen=True):
    """Bytes of tensors alive at once in inference, each let go after its last use; the weights come on top.

    ``peak`` is reached at the layer ``at``, while the outputs of ``alive`` are there. ``in_place``: the peak where
    activations that can write over their input do. ``best_order`` is the peak in the order of the layers that has the
    lowest, ``order`` that order (null where it is the one as written), and ``order_proven`` says whether none is lower.
    """

    peak: int
    at: str
    alive: tuple[str, ...]
    in_place: int
    best_order: int
    order: tuple[str, ...] | None
    order_proven: bool


class TrainingMemory(Struct, frozen=True):
    """Bytes that a step of training holds between the forward and the backward pass.

    ``saved`` is what autograd keeps, with checkpoints the inputs of the blocks; ``recomputed`` what the block
    ``recomputed_block`` has besides while it is run again. ``master_weights`` are float32 copies for mixed precision.
    ``total`` is the sum with weights and buffers.
    """

    optimizer: str
    mixed_precision: bool
    checkpoint: int | None
    gradients: int
    master_weights: int
    optimizer_state: int
    saved: int
    recomputed: int
    recomputed_block: str | None
    total: int


class Fit(Struct, frozen=True):
    """The largest batch whose step of training holds at most ``bytes``: 0 where not even one sample fits, null where
    nothing that is held grows with the batch.
    """

    bytes: int
    batch: int | None


class MemoryTotals(Struct, frozen=True):
    """The memory of the net, in bytes. ``partial``: a layer does not say what it takes, so that these are lower bounds.

    ``training`` is null for ``int8`` weights, which are not trained.
    """

    status: Literal["complete", "partial"]
    dtype: str
    weights: int
    buffers: int
    inference: Inference
    training: TrainingMemory | None
    fit: Fit | None


class LayerReport(Struct, frozen=True, gc=False):
    """One layer. ``shared_with`` names the layer whose weights it reuses (its ``params`` are then 0)."""

    path: str
    type: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    params: Count
    buffers: Count
    macs: Count
    flops: Count
    elementwise_ops: Count
    activations: Count
    receptive_field: ReceptiveField | None
    settings: dict[str, Any]
    output_shapes: tuple[Shape, ...] | UnsetType = UNSET
    shared_with: str | UnsetType = UNSET
    receptive_fields: dict[str, ReceptiveField] | UnsetType = UNSET
    initialisation: LayerInitialisation | UnsetType = UNSET
    convention: LayerConvention | UnsetType = UNSET
    memory: LayerMemory | UnsetType = UNSET
    training: LayerTraining | UnsetType = UNSET
    speed: LayerSpeed | UnsetType = UNSET

    @property
    def has_sections(self) -> bool:
        """Whether further analyses were asked for."""
        return any(getattr(self, name) is not UNSET for name in SECTION_NAMES)


class Totals(Struct, frozen=True):
    """Sums over all layers; a partial total is a lower bound, and the diagnostics name what it misses.

    Bytes are those of float32; ``inference_peak_bytes`` the most of tensors alive at once, the weights apart, null
    where a layer does not say what it takes; it is computed for pages and limits, not for JSON (``--show memory``).
    """

    status: Literal["complete", "partial"]
    params: int
    buffers: int
    macs: int
    flops: int
    elementwise_ops: int
    activations: int
    weight_bytes: int
    inference_peak_bytes: Count | UnsetType = UNSET


class Diagnostic(Struct, frozen=True):
    """Something worth knowing about the net or its numbers, and the layers that it is about."""

    code: str
    severity: Literal["info", "warning", "error"]
    message: str
    layers: tuple[str, ...]


class SeparablePair(Struct, frozen=True):
    """A depthwise convolution and the pointwise one after it, against the standard convolution they replace.

    ``ratio`` is ``macs / standard_macs``, exactly; ``rule`` is the notes' ``1/C_out + 1/(K_h·K_w)``,
    which equals it where the depthwise multiplier is 1 and the pointwise convolution keeps the grid.
    """

    depthwise: str
    pointwise: str
    macs: int
    standard_macs: int
    ratio: float
    ratio_exact: str
    rule: float
    rule_exact: str


class Report(Answer, frozen=True, kw_only=True):
    """The whole answer to ``analyze``."""

    model: Model
    totals: Totals
    layers: tuple[LayerReport, ...]
    diagnostics: tuple[Diagnostic, ...]
    separable: tuple[SeparablePair, ...] = ()
    initialisation: InitialisationTotals | UnsetType = UNSET
    convention: ConventionTotals | UnsetType = UNSET
    memory: MemoryTotals | UnsetType = UNSET
    training: TrainingTotals | UnsetType = UNSET
    speed: SpeedTotals | UnsetType = UNSET

    @property
    def has_sections(self) -> bool:
        """Whether further analyses were asked for."""
        return any(getattr(self, name) is not UNSET for name in SECTION_NAMES)
