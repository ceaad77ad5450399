"""The health check finds what was planted, nothing else, and its remedies mend it in a new version."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import encode
from PIL import Image, ImageFilter

from transfer_core.data import health
from transfer_core.data.alike import NEAR, cluster, get_alike
from transfer_core.data.edit import exclude, group_together, keep_first, merge_classes, relabel
from transfer_core.data.health import Finding, check_health, get_findings, is_checked, measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import make_split
from transfer_core.errors import UserError


def picture(seed: int, edge: int = 96) -> Image.Image:
    """A picture with edges and surfaces, unlike that of any other seed."""
    rough = np.random.default_rng(seed).integers(40, 216, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((edge, edge), Image.Resampling.NEAREST)


def bring(library: Library, files: dict[str, Image.Image], domain: Callable[[str], str | None] = lambda _: None) -> Manifest:  # fmt: skip
    candidates = [
        Candidate(path, lambda data=encode(image): data, path.split("/")[0], domain(path))  # noqa: B008
        for path, image in files.items()
    ]
    return ingest(candidates, "set", library)[0]


def sound(n: int = 12) -> dict[str, Image.Image]:
    return {f"{'ab'[seed % 2]}/{seed:02d}.png": picture(seed) for seed in range(n)}


def check(library: Library, manifest: Manifest) -> dict[str, Finding]:
    return {each.kind: each for each in check_health(library, manifest, measure_all(library, manifest))}


def paths(manifest: Manifest, finding: Finding) -> list[str]:
    return sorted(manifest.by_image[image].path for image in finding.images)


def test_nothing_is_said_of_a_sound_set(library: Library) -> None:
    assert check(library, bring(library, sound())) == {}


PLANTED = {
    "tiny": picture(50, 20),
    "dark": picture(51).point(lambda v: v // 16),
    "bright": picture(52).point(lambda v: 255 - v // 12),
    "flat": Image.new("RGB", (96, 96), (90, 90, 90)),
    "blurred": picture(53).filter(ImageFilter.GaussianBlur(9)),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_is_found_alone(library: Library, kind: str) -> None:
    manifest = bring(library, sound() | {"a/planted.png": PLANTED[kind]})
    found = check(library, manifest)
    assert set(found) == {kind}
    assert paths(manifest, found[kind]) == ["a/planted.png"]
    mended = library.add(exclude(manifest, found[kind].images))
    assert check(library, mended) == {}
    assert mended.parent == manifest.id
    assert library.get(manifest.id) == manifest  # the old version stays


def copies() -> dict[str, Image.Image]:
    return sound() | {"b/again.webp": picture(0), "a/nearly.png": noise_on(picture(1))}


def noise_on(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(int) + np.random.default_rng(1).integers(-2, 3, (*image.size, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def test_copies_are_found_and_can_be_taken_out_or_held_together(library: Library) -> None:
    files = {path: (encode(image, "WEBP", lossless=True) if path.endswith("webp") else encode(image)) for path, image in copies().items()}  # fmt: skip
    candidates = [Candidate(path, partial(bytes, data), path[0]) for path, data in files.items()]
    manifest, _ = ingest(candidates, "set", library)
    found = check(library, manifest)
    assert set(found) == {"two-labels", "same-pixels", "near-duplicates"}
    assert paths(manifest, found["two-labels"]) == ["a/00.png", "b/again.webp"]
    assert paths(manifest, found["near-duplicates"]) == ["a/nearly.png", "b/01.png"]
    once = keep_first(manifest, found["near-duplicates"].clusters)
    assert len(once.rows) == len(manifest.rows) - 1
    grouped = group_together(manifest, found["near-duplicates"].clusters)
    for seed in range(20):
        split = make_split(grouped, "group", seed=seed)
        assert len({split.assignment[image] for image in found["near-duplicates"].images}) == 1


def test_groups_that_share_a_look_alike_become_one(library: Library) -> None:
    manifest = bring(library, sound())
    one, two, three, four = (row.image for row in manifest.rows[:4])
    before = group_together(manifest, [[one, two]])
    chained = group_together(before, [[two, three], [three, four]])
    groups = {chained.by_image[image].group for image in (one, two, three, four)}
    assert len(groups) == 1
    assert {row.group for row in chained.rows[4:]} == {None}


def test_classes_that_are_too_small_or_rare(library: Library) -> None:
    files = {f"many/{seed}.png": picture(seed) for seed in range(60)}
    files |= {f"rare/{seed}.png": picture(100 + seed) for seed in range(5)}
    files |= {f"lone/{seed}.png": picture(200 + seed) for seed in range(2)}
    manifest = bring(library, files)
    found = check(library, manifest)
    assert set(found) == {"rare-class", "small-class"}
    merged = library.add(merge_classes(manifest, ["rare", "lone"], "few"))
    assert merged.class_counts == {"few": 7, "many": 60}


def test_domains_that_differ_at_a_glance(library: Library) -> None:
    def site(path: str) -> str:
        return "east" if int(path[2:4]) % 4 < 2 else "west"

    alike = bring(library, sound(24), site)
    assert "domains-differ" not in check(library, alike)
    shaded = {
        path: image.point(lambda v: v // 3) if site(path) == "west" else image
        for path, image in sound(24).items()
    }
    found = check(library, bring(library, shaded, site))
    assert "east and west differ in brightness and contrast" in found["domains-differ"].message


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=40), st.data())
def test_clusters_are_those_of_all_pairs(words: list[int], data: st.DataObject) -> None:
    for _ in range(5):  # relatives, or no two words would ever be near
        word = data.draw(st.sampled_from(words))
        for _ in range(data.draw(st.integers(0, 4))):
            word ^= 1 << data.draw(st.integers(0, 63))
        words = [*words, word]
    looks = [(f"i{n}", f"{word:016x}") for n, word in enumerate(words)]
    edges = {
        n: {m for m in range(len(words)) if (words[n] ^ words[m]).bit_count() <= NEAR}
        for n in range(len(words))
    }
    wanted = set()
    for start in edges:
        reached, front = {start}, [start]
        while front:
            new = edges[front.pop()] - reached
            reached |= new
            front += new
        if len(reached) > 1:
            wanted.add(frozenset(f"i{n}" for n in reached))
    assert {frozenset(each) for each in cluster(looks, lambda *_: True)} == wanted


def test_labels_can_be_changed_and_taken_away(library: Library) -> None:
    manifest = bring(library, sound())
    first, second = (row.image for row in manifest.rows[:2])
    changed = relabel(manifest, {first: " c ", second: None})
    assert changed.classes == ("a", "b", "c")
    assert (changed.by_image[first].label, changed.by_image[second].label) == ("c", None)
    assert changed.parent == manifest.id
    assert manifest.by_image[first].label == "a"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: relabel(m, {"0" * 64: "x"}),
        lambda m: exclude(m, ["0" * 64]),
        lambda m: exclude(m, [row.image for row in m.rows]),
        lambda m: merge_classes(m, ["nowhere"], "a"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    library: Library, change: Callable[[Manifest], Manifest]
) -> None:
    with pytest.raises(UserError):
        change(bring(library, sound()))


def test_measures_are_taken_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = bring(library, sound())
    first = measure_all(library, manifest)
    monkeypatch.setattr(Library, "thumb_path", lambda *_: pytest.fail("measured again"))
    assert measure_all(library, manifest) == first


def test_what_was_found_is_kept_and_found_anew_under_other_rules(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = bring(library, sound() | {"a/black.png": picture(50).point(lambda v: v // 16)})
    found = get_findings(library, manifest)
    assert found == check_health(library, manifest, measure_all(library, manifest))
    assert "dark" in {each.kind for each in found}
    monkeypatch.setattr(health, "DARK", 0.0)
    assert get_findings(library, manifest) == found
    monkeypatch.setattr(health, "RULES", health.RULES + 1)
    assert "dark" not in {each.kind for each in get_findings(library, manifest)}


def test_a_version_is_checked_where_what_it_came_from_was_and_nothing_was_added(library: Library) -> None:
    manifest = bring(library, sound())
    assert not is_checked(library, manifest)
    fewer = library.add(exclude(manifest, [manifest.rows[0].image]))
    assert not is_checked(library, fewer)
    measure_all(library, manifest)
    get_alike(library, manifest)
    assert is_checked(library, manifest)
    assert is_checked(library, fewer)
    more = [Candidate("b/more.png", partial(bytes, encode(picture(99))), "b")]
    assert not is_checked(library, ingest(more, "more", library, parent=manifest)[0])
