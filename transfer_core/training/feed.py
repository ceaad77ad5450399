"""The batches of an epoch, as a phase asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from transfer_core.data.augment import draw_mixture, get_augmentation
from transfer_core.data.batches import Plan, make_batches
from transfer_core.errors import UserError
from transfer_core.models.activations import ON_THE_FLY, Activations, on_the_fly
from transfer_core.strategies import Batch, Episodes, Phase
from transfer_core.training.labels import soften
from transfer_core.training.setup import Setup


class Feed:
    """Batches of a run's training images and unlabelled images. Labels of other images are never read."""

    def __init__(self, setup: Setup) -> None:
        self.spec, self._seed = setup.spec, setup.order
        self.train, self.unlabelled = setup.images("train"), setup.images("unlabelled")
        self._y = setup.labels("train")
        self._tasks = setup.task_labels(self.train)
        self._row = {image: row for row, image in enumerate(self.train)}
        policy = get_augmentation(setup.spec.augment)
        self._mixes, self._symmetric = policy.mixes, policy.is_symmetry
        self._soft: Tensor | None = None
        if setup.spec.label_confidence or policy.mixes or setup.spec.mixing:
            self._soft = soften(self._y, setup.confidence(self.train), len(setup.manifest.classes))
        self._full: dict[int, Tensor] = {}
        self._orders: dict[int, list[int]] = {}  # of the unlabelled images, by round; only the last is kept

    def count_steps(self, phase: Phase) -> int:
        """Return how many batches an epoch of a phase has."""
        if phase.batches == "full":
            return phase.steps
        if phase.batches == "episodes":
            assert phase.episodes
            return phase.episodes.per_epoch
        return len(self._plan(phase, 0))

    def batches(self, phase: Phase, epoch: int, activations: Activations) -> Iterator[Batch]:
        """Yield the batches of an epoch; the same epoch gives the same ones."""
        if phase.batches == "full":
            yield from self._all_at_once(phase, activations)
        elif phase.batches == "episodes":
            assert phase.episodes
            yield from self._episodes(phase.episodes, epoch, activations)
        elif phase.batches == "shuffled":
            yield from self._mini_batches(phase, epoch, activations)
        else:
            for x in activations.batches(self._plan(phase, epoch), epoch):
                yield Batch(x, torch.full((len(x),), -1, device=x.device))

    def _images(self, phase: Phase) -> list[str]:
        own = {"target": self.unlabelled, "everything": [*self.train, *self.unlabelled]}
        return own.get(phase.batches, self.train)

    def _plan(self, phase: Phase, epoch: int) -> Plan:
        """Return an epoch's batches; of the target the plain views in whole batches, which count alike in a mean."""
        plan = self._shuffled(self._images(phase), epoch)
        if phase.batches != "target":
            return plan
        whole = [images for images, _ in plan if len(images) >= self.spec.batch_size]
        return [(images, [0] * len(images)) for images in whole or [plan[0][0]]]

    def _shuffled(self, images: Sequence[str], epoch: int) -> Plan:
        return make_batches(images, self.spec.batch_size, self.spec.views, seed=self._seed, epoch=epoch)

    def _mini_batches(self, phase: Phase, epoch: int, activations: Activations) -> Iterator[Batch]:
        plan = self._shuffled(self.train, epoch)
        rng = np.random.default_rng([self._seed, 90, epoch])
        others: list[Iterator[Tensor]] = []
        if phase.target != "none":
            plain = beside = self._beside(plan, epoch)
            if phase.target == "pair" and not (self._symmetric and self.spec.views):
                plain = [(images, [0] * len(images)) for images, _ in beside]
            others.append(activations.batches(plain, epoch))
            if phase.target == "pair":
                strong = self._other_views(plain, epoch) if self.spec.views else beside
                others.append(activations.batches(strong, epoch))
        for (images, views), x in zip(plan, activations.batches(plan, epoch), strict=True):
            rows = [self._row[image] for image in images]
            further = [next(each) for each in others]
            x, soft = self._blended(x, self._soft_labels(images, views), rng)
            yield Batch(
                x,
                self._y[rows],
                soft=soft,
                x_target=further[0] if further else None,
                x_strong=further[1] if len(further) > 1 else None,
                tasks={name: labels[rows] for name, labels in self._tasks.items()},
            )

    def _soft_labels(self, images: list[str], views: list[int]) -> Tensor | None:
        """Return what views of images show [n, classes], of two classes where they mix two; None: certain labels."""
        if self._soft is None:
            return None
        own = self._soft[[self._row[image] for image in images]]
        if not self._mixes:
            return own
        spec, rows, shares = self.spec, [], []
        for image, view in zip(images, views, strict=True):
            mixture = draw_mixture(spec.augment, view, image, spec.seed, self.train)
            rows.append(self._row[mixture[0] if mixture else image])
            shares.append(mixture[1] if mixture else 1.0)
        share = own.new_tensor(shares)[:, None]
        return share * own + (1 - share) * self._soft[rows]

    def _blended(
        self, x: Tensor, soft: Tensor | None, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return activations [n, ...] and soft labels [n, classes], each blended with those of another image of the batch.

        Verma et al. 2019, "Manifold Mixup", always at the freeze point: what the cache keeps is blended anew each time.
        """
        if not self.spec.mixing or soft is None:
            return x, soft
        other = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        share = x.new_tensor(rng.beta(self.spec.mixing, self.spec.mixing, len(x)))
        own = share.view(-1, *[1] * (x.ndim - 1))
        return own * x + (1 - own) * x[other], share[:, None] * soft + (1 - share[:, None]) * soft[other]

    def _beside(self, plan: Plan, epoch: int) -> Plan:
        """Return unlabelled batches as large as those of the plan, going round as often as it takes."""
        views, size = self.spec.views, len(self.unlabelled)
        start = np.random.default_rng([self._seed, 78]).integers(max(views, 1), size=size)
        count = sum(len(images) for images, _ in plan) * (epoch - 1)
        out: Plan = []
        for images, _ in plan:
            places = range(count, count + len(images))
            chosen = [self._nth(place) for place in places]
            seen = [
                int(start[number] + place // size) % views if views else on_the_fly(place // size)
                for number, place in zip(chosen, places, strict=True)
            ]
            out.append(([self.unlabelled[number] for number in chosen], seen))
            count += len(images)
        return out

    def _nth(self, count: int) -> int:
        """Return the number of the unlabelled image that comes at a count, each round in another order."""
        turn, place = divmod(count, len(self.unlabelled))
        if turn not in self._orders:
            rng = np.random.default_rng([self._seed, 79, turn])
            self._orders = {turn: rng.permutation(len(self.unlabelled)).tolist()}
        return self._orders[turn][place]

    def _other_views(self, plan: Plan, epoch: int) -> Plan:
        """Return the plan, each image in another of its views, where there are any."""
        count = self.spec.views
        rng = np.random.default_rng([self._seed, 80, epoch])

        def other(view: int) -> int:
            return (view + int(rng.integers(1, count))) % count if count > 1 else view

        return [(images, [other(view) for view in views]) for images, views in plan]

    def _all_at_once(self, phase: Phase, activations: Activations) -> Iterator[Batch]:
        x = self._all_views(phase.cut, activations)
        views = max(1, self.spec.views)
        each = [self._soft_labels(self.train, [view] * len(self.train)) for view in range(views)]
        soft = None if self._soft is None else torch.cat([own for own in each if own is not None])
        for _ in range(phase.steps):
            yield Batch(x, self._y.repeat(views), soft=soft)

    def _all_views(self, cut: int, activations: Activations) -> Tensor:
        """Return the training images in all their views [views * n, d], read once."""
        if cut not in self._full:
            views = range(max(1, self.spec.views))
            parts = [activations.at_cut(self.train, [view] * len(self.train)) for view in views]
            self._full[cut] = torch.cat(parts)
        return self._full[cut]

    def _episodes(self, episodes: Episodes, epoch: int, activations: Activations) -> Iterator[Batch]:
        rng = np.random.default_rng([self._seed, 81, epoch])
        drawn = [self._draw(episodes, rng) for _ in range(episodes.per_epoch)]
        views = [
            rng.integers(self.spec.views, size=len(rows)) if self.spec.views else [ON_THE_FLY] * len(rows)
            for rows, _ in drawn
        ]
        plan = [
            ([self.train[row] for row in rows], [int(view) for view in own])
            for (rows, _), own in zip(drawn, views, strict=True)
        ]
        for (rows, support), x in zip(drawn, activations.batches(plan, epoch), strict=True):
            yield Batch(x, self._y[rows], support=support)

    def _draw(self, episodes: Episodes, rng: np.random.Generator) -> tuple[list[int], int]:
        """Return the rows of an episode, the examples first, and how many examples there are.

        UserError where a class has a single image: there would be nothing to ask.
        """
        y = self._y.cpu().numpy()
        present = np.array(
            [each for each in np.unique(y[y >= 0]) if not episodes.classes or each in episodes.classes]
        )
        examples: list[int] = []
        queries: list[int] = []
        for number in rng.permutation(present)[: episodes.way]:
            own = rng.permutation(np.flatnonzero(y == number))
            shot = min(episodes.shot, max(1, len(own) - 1))
            examples += own[:shot].tolist()
            queries += own[shot : shot + episodes.queries].tolist()
        if not queries:
            raise UserError(
                "Episodes need classes with at least 2 training images: bring more, or allow more examples per class."
            )
        return examples + queries, len(examples)
