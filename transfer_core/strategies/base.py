"""A strategy is a short list of phases; a phase says what trains, on which batches, by which loss.

The loop (`training/loop.py`) plays any list of phases. It, and never a strategy, owns optimiser
steps, precision, clipping, the cache, checkpoints, events, stop and resume. Torch is not imported
here, so that a strategy's name, needs and knobs can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class Task:
    """What a strategy may know of the problem when it plans its phases."""

    classes: tuple[str, ...]
    class_weights: tuple[float, ...]  # one per class, mean 1 over the training images; all 1 if unweighted
    n_train: int
    stages: int  # how many the backbone has
    cut: int
    epochs: int
    lr: float


@dataclass(frozen=True)
class Batch:
    """What one step sees. `x` are activations at the phase's cut."""

    x: Tensor  # [n, ...] float32
    y: Tensor  # [n] int64, -1 where unlabelled
    x_target: Tensor | None = None  # [m, ...] images of the target domain, without labels
    tasks: Mapping[str, Tensor] = field(default_factory=dict)  # further labels by head name
    rows: tuple[str, ...] = ()  # image hashes


@dataclass(frozen=True)
class StepLoss:
    """The named terms of a loss, whose sum is minimised, and the logits [n, classes] of `batch.x`."""

    terms: Mapping[str, Tensor]
    logits: Tensor


# (model, batch, progress in 0..1 over the run) -> the loss of one step
Loss = Callable[["Classifier", Batch, float], StepLoss]
Hook = Callable[["Classifier"], None]


@dataclass(frozen=True)
class Phase:
    """A stretch of training in which the same things train by the same loss.

    `modules` maps a part of the model ("stages.<name>", "heads") to the factor on `lr` with which it
    trains; parts not named do not train. `batches`: "shuffled" mini-batches, each image once an epoch
    in one of its views; or "full", all images in all views at once, `steps` times an epoch.
    """

    name: str
    epochs: int
    cut: int
    loss: Loss
    lr: float
    modules: Mapping[str, float]
    batches: Literal["shuffled", "full"] = "shuffled"
    steps: int = 1  # of a full batch, an epoch
    optimiser: Literal["adamw", "lbfgs"] = "adamw"
    weight_decay: float = 0.0
    freeze_batch_norm: bool = False
    average: float = 0.0  # decay of the running average of the weights; 0: none
    before: Hook | None = None
    after: Hook | None = None


class Strategy(Protocol):
    """A frozen dataclass whose fields are its knobs."""

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]  # two sentences: when to use it
    needs: ClassVar[tuple[str, ...]]  # beyond labelled images: "target domain", "unlabelled images", ...
    chooses_cut: ClassVar[bool]  # whether the freeze slider applies

    def phases(self, task: Task) -> list[Phase]:
        """Return the phases for a task."""
        ...
