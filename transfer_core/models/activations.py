"""Activations at the cut, for any images and views: from the cache, or computed on the spot.

Both ways run the same code up to the stored stage and from there to the cut, so they give the same
numbers; the cache only remembers the middle.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from transfer_core.data.augment import draw_mixture, get_augmentation, make_view
from transfer_core.data.images import Pixels, decode_pixels
from transfer_core.data.library import Library
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError
from transfer_core.models.backbones import Backbone
from transfer_core.models.cache import ActivationCache, Shelf, ShelfKey
from transfer_core.models.prefix import MICRO_BATCH, Prefix

Rows = npt.NDArray[np.generic]
T = TypeVar("T")
WRITE_EVERY = 2.0  # seconds
ON_THE_FLY = -1  # as a view: a fresh random draw, never stored; so is every number below


def on_the_fly(turn: int) -> int:
    """Return the view of an image that comes once more in the same epoch: another fresh draw for each turn, from 0."""
    return ON_THE_FLY - turn


class Activations:
    """Activations of a data set's images at a cut. Close it (or use `with`) to release the cache."""

    def __init__(
        self,
        library: Library,
        reading: Reading,
        backbone: Backbone,
        prefix: Prefix,
        *,
        weights: str,
        geometry: str,
        augment: str,
        seed: int,
        cache: ActivationCache | None,
        partners: Sequence[Sequence[str]] = (),  # images that may be mixed with each other
        others: Mapping[str, Activations] | None = None,  # of images that a prefix of their own computes
    ) -> None:
        self._library, self._reading, self._backbone, self._prefix = library, reading, backbone, prefix
        self._weights, self._geometry, self._augment, self._seed = weights, geometry, augment, seed
        self._cache = cache
        self._partners = {image: tuple(own) for own in partners for image in own}
        self._others = others or {}
        self._shelves: dict[int, Shelf] = {}

    @property
    def prefixes(self) -> list[Prefix]:
        """What computes them: one, or one for each domain."""
        return [each._prefix for each in (self, *dict.fromkeys(self._others.values()))]

    def fill(
        self, images: Sequence[str], views: int, *, progress: Callable[[int, int], bool] | None = None
    ) -> bool:
        """Compute what the cache lacks of views 0..views-1; False where `progress` said to stop.

        `progress(done, total)` is called after every micro-batch and returns whether to go on.
        """
        if self._cache is None:
            return True
        lacking = self._lacking(images, views)
        total, done = sum(len(each) for _, _, each in lacking), 0
        if total:
            self._cache.make_room(total * self._key(0).row_bytes)
        for own, view, missing in lacking:
            with _Writer(own._shelf(view)) as writer:
                for batch, rows in own._rows_ahead(missing, view):
                    writer.add(batch, rows)
                    done += len(batch)
                    if progress and not progress(done, total):
                        return False
        return True

    def count_lacking(self, wanted: Sequence[tuple[Sequence[str], int]]) -> int:
        """Return how many views `fill` would compute for all of (images, views), each once."""
        if self._cache is None:
            return 0
        found: dict[tuple[Activations, int], set[str]] = {}
        for images, views in wanted:
            for own, view, missing in self._lacking(images, views):
                found.setdefault((own, view), set()).update(missing)
        return sum(map(len, found.values()))

    def _lacking(self, images: Sequence[str], views: int) -> list[tuple[Activations, int, list[str]]]:
        owned: dict[Activations, list[str]] = {}
        for image in images:
            owned.setdefault(self._others.get(image, self), []).append(image)
        return [
            (own, view, own._shelf(view).missing(part))
            for view in range(views)
            for own, part in owned.items()
        ]

    def at_cut(self, images: Sequence[str], views: Sequence[int] | None = None, draw: int = 0) -> Tensor:
        """Return activations [n, ...] float32 on the device; `views[i]` is the view of image i.

        `draw` seeds views that are ON_THE_FLY (an epoch's number).
        """
        wanted = list(views) if views is not None else [0] * len(images)
        own = self._whose(images)
        return own._prefix.from_stored(own._stored(images, wanted, draw))

    def batches(
        self, batches: Sequence[tuple[Sequence[str], Sequence[int]]], draw: int = 0
    ) -> Iterator[Tensor]:
        """Yield `at_cut` of each (images, views); with a cache the next rows are read ahead."""
        if self._cache is None:  # computing ahead in a thread would only fight for the same cores
            for images, views in batches:
                yield self.at_cut(images, views, draw)
            return
        owners = [self._whose(images) for images, _ in batches]
        with ThreadPoolExecutor(1) as pool:
            waiting = [
                pool.submit(own._stored, *each, draw)
                for own, each in zip(owners[:2], batches[:2], strict=True)
            ]
            for index, own in enumerate(owners):
                rows = waiting.pop(0).result()
                if index + 2 < len(batches):
                    waiting.append(pool.submit(owners[index + 2]._stored, *batches[index + 2], draw))
                yield own._prefix.from_stored(rows)

    def _whose(self, images: Sequence[str]) -> Activations:
        """Return what computes these images; those of one batch are of one domain."""
        owners = {self._others.get(image, self) for image in images}
        assert len(owners) <= 1
        return owners.pop() if owners else self

    def _stored(self, images: Sequence[str], views: Sequence[int], draw: int) -> Rows:
        parts: dict[int, Rows] = {}
        for view in set(views):
            own = [image for image, each in zip(images, views, strict=True) if each == view]
            if self._cache is not None and view > ON_THE_FLY:
                parts[view] = self._shelf(view).read(own)
            else:
                parts[view] = self._compute(own, view, draw)
        if len(parts) == 1:
            return next(iter(parts.values()))
        first = next(iter(parts.values()))
        out = np.empty((len(images), *first.shape[1:]), first.dtype)
        for view, rows in parts.items():
            out[np.asarray(views) == view] = rows
        return out

    def _compute(self, images: Sequence[str], view: int, draw: int) -> Rows:
        return np.concatenate([rows for _, rows in self._rows_ahead(images, view, draw)])

    def _rows_ahead(
        self, images: Sequence[str], view: int, draw: int = 0
    ) -> Iterator[tuple[list[str], Rows]]:
        """Yield what is stored of images, a micro-batch at a time, in their order.

        Where several threads may compute, each decodes and computes its own; else the next is decoded while this one is used.
        """
        chunks = [list(images[at : at + MICRO_BATCH]) for at in range(0, len(images), MICRO_BATCH)]
        lanes, to_stored = self._prefix.lanes, self._prefix.to_stored

        def read(chunk: list[str]) -> Pixels:
            return self._pixels(chunk, view, draw)

        if lanes == 1:
            yield from ((chunk, to_stored(pixels)) for chunk, pixels in _ahead(read, chunks, 1))
        else:
            yield from _ahead(lambda chunk: to_stored(read(chunk)), chunks, lanes)

    def _pixels(self, images: Sequence[str], view: int, draw: int) -> Pixels:
        return np.stack([self._one(image, view, draw) for image in images])

    def _one(self, image: str, view: int, draw: int) -> Pixels:
        pixels = self._whole(image)
        if view <= ON_THE_FLY:
            # Past every stored view; which one differs from epoch to epoch, image to image and turn to turn.
            turn = [] if view == ON_THE_FLY else [ON_THE_FLY - view]
            rng = np.random.default_rng([self._seed, draw, int(image[:12], 16), *turn])
            view = int(rng.integers(1 << 20))
        own = self._partners.get(image)
        mixture = draw_mixture(self._augment, view, image, self._seed, own) if own else None
        partner = self._whole(mixture[0]) if mixture else None
        return make_view(pixels, self._augment, view, image, self._seed, partner)

    def _whole(self, image: str) -> Pixels:
        """Return an image's pixels [3, s, s] as they are."""
        path = self._library.image_path(image)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            message = f"The stored image {path} is gone: bring the data set again, which puts it back."
            raise UserError(message, "missing-image") from None
        return decode_pixels(
            data, self._reading, self._backbone.size, self._geometry, self._backbone.interpolation
        )

    def _key(self, view: int) -> ShelfKey:
        stored = self._prefix.stored
        shape = self._backbone.stages[stored - 1].shape if stored else (3, *[self._backbone.size] * 2)
        fixed = view == 0 or self._augment == "none"
        seed = 0 if get_augmentation(self._augment).is_symmetry else self._seed  # symmetries draw nothing
        # A mixture depends on which images it may be made of.
        version = get_augmentation(self._augment).version
        policy = self._augment if version == 1 else f"{self._augment}.{version}"
        others = hashlib.sha256("".join(self._partners).encode()).hexdigest()[:12] if self._partners else ""
        return ShelfKey(
            reading=str(sorted(asdict(self._reading).items())),
            geometry=self._geometry,
            size=self._backbone.size,
            weights=self._weights if stored else self._backbone.interpolation,
            engine=f"{self._prefix.engine}-{self._prefix.device.type}" if stored else "pixels",
            dtype=self._prefix.dtype(shape),
            stage=stored,
            shape=shape,
            view="0" if fixed else f"{policy}-{view}-{seed}{others}",
        )

    def _shelf(self, view: int) -> Shelf:
        assert self._cache is not None
        if view not in self._shelves:
            self._shelves[view] = self._cache.open(self._key(view))
        return self._shelves[view]

    def close(self) -> None:
        """Release the shelves of the cache."""
        for each in (self, *dict.fromkeys(self._others.values())):
            for shelf in each._shelves.values():
                shelf.close()
            each._shelves = {}

    def __enter__(self) -> Activations:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ahead(
    work: Callable[[list[str]], T], chunks: Sequence[list[str]], lanes: int
) -> Iterator[tuple[list[str], T]]:
    """Yield (chunk, what work makes of it) in their order, as many at once as there are lanes, and one waiting."""
    ahead = lanes + 1
    with ThreadPoolExecutor(lanes) as pool:
        waiting = [pool.submit(work, chunk) for chunk in chunks[:ahead]]
        for index, chunk in enumerate(chunks):
            found = waiting.pop(0).result()
            if index + ahead < len(chunks):
                waiting.append(pool.submit(work, chunks[index + ahead]))
            yield chunk, found


class FrozenPass:
    """Counts what a run computes below the cut as one pass, in however many calls, at whichever cuts."""

    def __init__(self) -> None:
        self.done = self.total = 0  # views of images

    def expect(self, lacking: int) -> None:
        """Note how much is still to be computed, as far as is known."""
        self.total = self.done + lacking

    def fill(
        self, activations: Activations, images: Sequence[str], views: int, tell: Callable[[int, int], bool]
    ) -> bool:
        """Fill as `Activations.fill`; `tell(done, total)` is told the counts of the whole pass."""
        before = self.done

        def told(done: int, _: int) -> bool:
            self.done = before + done
            self.total = max(self.total, self.done)
            return tell(self.done, self.total)

        return activations.fill(images, views, progress=told)


class _Writer:
    """Gathers rows for a shelf: making each micro-batch durable by itself would cost a tenth of the time."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._images: list[str] = []
        self._rows: list[Rows] = []
        self._written = time.monotonic()

    def add(self, images: Sequence[str], rows: Rows) -> None:
        """Take rows [n, ...]; they are on disk after WRITE_EVERY seconds at the latest."""
        self._images += images
        self._rows.append(rows)
        if time.monotonic() - self._written > WRITE_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._images:
            self._shelf.append(self._images, np.concatenate(self._rows))
        self._images, self._rows, self._written = [], [], time.monotonic()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
