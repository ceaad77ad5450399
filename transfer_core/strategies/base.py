"""A strategy is a short list of phases; a phase says what trains, on which batches, by which loss.

The loop (`training/loop.py`) plays any list of phases. It, and never a strategy, owns optimiser
steps, precision, clipping, the cache, checkpoints, events, stop and resume. Torch is not imported
here, so that a strategy's name, needs and knobs can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier

Group = Literal["supervised", "adaptation", "few labels", "baseline"]
TARGET = "target domain"  # a need: labelled images of one domain, images of another
FURTHER_LABEL = "further label"  # a need: a second label of the same images
UNLABELLED = "unlabelled images"  # a need: images without a label, of whatever domain
BATCH_NORM = "batch-norm"  # a need: a backbone with batch-norm above the frozen stages
CONVOLUTIONS = "convolutions"  # a need: a backbone with convolutions above the frozen stages
NEEDS = {  # in words
    TARGET: "labels in one domain, images of another",
    FURTHER_LABEL: "labels for two questions",
    UNLABELLED: "labels, and images without",
    BATCH_NORM: "a backbone with batch-norm",
    CONVOLUTIONS: "a convolutional backbone",
}


@dataclass(frozen=True)
class Task:
    """What a strategy may know of the problem when it plans its phases."""

    classes: tuple[str, ...]
    class_weights: tuple[float, ...]  # one per class, mean 1 over the training images; all 1 if unweighted
    class_shares: tuple[float, ...]  # of the training images, in class order
    n_train: int
    stages: int  # how many the backbone has
    feature_dim: int
    shape: tuple[int, ...]  # of one image's activation at the cut
    cut: int
    epochs: int
    lr: float
    seed: int
    tasks: Mapping[str, int] = field(default_factory=dict)  # further heads: name -> number of classes
    has_target: bool = False  # whether the unlabelled images are of a target domain that is tested
    asked: tuple[int, ...] = ()  # the classes that are tested, where those of the source are others


@dataclass(frozen=True)
class Batch:
    """What one step sees. `x` and `x_target` are activations at the phase's cut."""

    x: Tensor  # [n, ...] float32
    y: Tensor  # [n] int64, -1 where unlabelled
    soft: Tensor | None = None  # [n, classes] what is learnt instead of y where labels are mixed or doubtful
    x_target: Tensor | None = None  # [m, ...] unlabelled images, of the target domain where there is one
    x_strong: Tensor | None = None  # [m, ...] the same images in another view, the stronger one where one is
    tasks: Mapping[str, Tensor] = field(default_factory=dict)  # further labels [n] by head name
    support: int = 0  # of an episode: how many of the first rows are examples, the rest being queries


@dataclass(frozen=True)
class StepLoss:
    """The named terms of a loss, whose sum is minimised, and the logits [n, classes] of `batch.x`.

    (Of an episode: of its queries alone.)
    `facts` are further numbers to be watched, such as how often a discriminator is right.
    """

    terms: Mapping[str, Tensor]
    logits: Tensor
    facts: Mapping[str, Tensor | float] = field(default_factory=dict)


# (model, batch, progress in 0..1 over the run) -> the loss of one step
Loss = Callable[["Classifier", Batch, float], StepLoss]
Hook = Callable[["Classifier"], None]


@dataclass(frozen=True)
class Turn:
    """A further update on the same batch: by another loss, of some of the phase's modules only."""

    loss: Loss
    modules: tuple[str, ...]  # of the phase's
    times: int = 1


@dataclass(frozen=True)
class Episodes:
    """Small problems drawn from the training images: `way` classes, `shot` examples, `queries` of each."""

    way: int
    shot: int
    queries: int
    per_epoch: int
    classes: tuple[int, ...] = ()  # that may occur; empty: all


@dataclass(frozen=True)
class Phase:
    """A stretch of training in which the same things train by the same loss.

    `modules` maps a part of the model ("stages.<number>", "heads", "extras.<name>") to the factor on
    `lr` with which it trains; parts not named do not train.

    `batches`: "shuffled" mini-batches, each image once an epoch in one of its views; "full", all images
    in all views at once, `steps` times an epoch; "episodes", as `episodes` says; "target", the
    unlabelled images alone, as `x`; or "everything", those and the training part, without labels.
    `target` asks for unlabelled images beside those of the training part, "pair" for two views of them, the first
    plain where the augmentation has one that is plainer.

    `optimiser` "none" calls the loss without gradients: it may set weights by a formula.
    """

    name: str
    epochs: int
    cut: int
    loss: Loss
    lr: float
    modules: Mapping[str, float]
    batches: Literal["shuffled", "full", "episodes", "target", "everything"] = "shuffled"
    target: Literal["none", "plain", "pair"] = "none"
    episodes: Episodes | None = None
    turns: tuple[Turn, ...] = ()  # after the update by `loss`
    steps: int = 1  # of a full batch, an epoch
    optimiser: Literal["adamw", "lbfgs", "none"] = "adamw"
    weight_decay: float = 0.0
    anchor: float = 0.0  # L2-SP: pull of the stages towards the weights they start from
    freeze_batch_norm: bool = False
    average: float = 0.0  # decay of the running average of the weights; 0: none
    selects: Literal["all", "anew", "never"] = "all"  # epochs compete; "anew": those before no longer do
    starts_from: Literal["last", "best"] = "last"  # the weights the phase begins with
    continues: bool = False  # the search of the phase before: patience that ended that one skips this
    before: Hook | None = None


class Strategy:
    """A frozen dataclass whose fields are its knobs."""

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]  # two sentences: when to use it
    group: ClassVar[Group] = "supervised"
    cost: ClassVar[str] = ""  # a phrase: what it costs beside fine-tuning, where it differs
    needs: ClassVar[tuple[str, ...]] = ()  # beyond labelled images, of NEEDS
    freezes: ClassVar[Literal["chosen", "all", "nothing"]] = "chosen"  # which stages: the cut decides, or not
    pretrained: ClassVar[bool] = True
    mixes: ClassVar[bool] = True  # whether its losses know images that are mixtures of two
    mixes_at_cut: ClassVar[bool] = (
        True  # whether labelled batches may be blended: no other images beside them
    )
    heeds_confidence: ClassVar[bool] = True  # whether its losses know doubtful labels
    trains_stages: ClassVar[bool] = False  # whether it is void with all stages frozen
    looks_at_unlabelled: ClassVar[bool] = False  # where there are any, without needing them
    takes_other_classes: ClassVar[bool] = False  # whether source and target may have different classes
    least_views: ClassVar[int] = 0  # stored views it needs to be what it says; 0: whatever

    def phases(self, task: Task) -> list[Phase]:
        """Return the phases for a task."""
        raise NotImplementedError

    @classmethod
    def can_learn_from(cls, views: int, *, mixes: bool) -> bool:
        """Tell whether an augmentation of that many views, mixing images or not, goes with it."""
        return (cls.mixes or not mixes) and views >= cls.least_views

    @classmethod
    def head_parameters(cls, features: int, classes: int) -> int:
        """Return how many parameters train in the head that answers, of so many features and classes."""
        return (features + 1) * classes

    def classes_needed(self) -> int:
        """Return how many classes a data set must have."""
        return 2

    @classmethod
    def fewest_classes(cls) -> int:
        """Return how many classes a data set must have whatever its knobs are set to."""
        return 2

    @classmethod
    def in_need_of(cls) -> str:
        """Return in words what it needs."""
        many = [f"at least {cls.fewest_classes()} classes"] if cls.fewest_classes() > 2 else []
        return "; ".join([*many, *(NEEDS[each] for each in cls.needs)]) or "labelled images"

    @classmethod
    def costs(cls) -> str:
        """Return in words what it costs."""
        return cls.cost or (
            "seconds, once the features are there" if cls.freezes == "all" else "as fine-tuning"
        )

    def measures_domains(self, task: Task) -> bool:
        """Tell whether the frozen stages' batch-norm statistics are measured on each domain before training."""
        return False

    def looking_at_source(self, model: Classifier, task: Task) -> AbstractContextManager[None]:
        """Return the context in which labelled images are looked at, where unlabelled ones need another."""
        return nullcontext()

    def prepare(self, model: Classifier, task: Task) -> None:
        """Put further parts into a new model: another head, or `model.extras["discriminator"]`."""
        return
