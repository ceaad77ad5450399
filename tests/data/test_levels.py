"""Levels of folders: layouts as people have them are read right, or asked about; never taken for something else in silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from transfer_core.data.ingest import Candidate
from transfer_core.data.level_guess import propose
from transfer_core.data.level_words import part_of
from transfer_core.data.levels import apply_scheme, choose
from transfer_core.errors import UserError


def files(*names: str) -> list[Candidate]:
    return [Candidate(name, bytes) for name in names]


def drawn(pattern: str, *levels: list[str], n: int = 3) -> Iterator[str]:
    """Paths of each combination of names, with running numbers for the images."""
    if not levels:
        yield from (pattern.replace("#", f"{abs(hash(pattern)) % 10_000}-{i}") for i in range(n))
        return
    for name in levels[0]:
        yield from drawn(pattern.replace("*", name, 1), *levels[1:], n=n)


PATIENTS = [f"patient_{n:02d}" for n in range(6)]
SURE = {  # paths -> what each level is, and what is left out
    "class / patient": (
        [*drawn("*/*/#.png", ["cancer"], PATIENTS), *drawn("*/*/#.png", ["normal"], ["patient_07"])], "class group", ()),
    "patient / class": (list(drawn("*/*/#.png", PATIENTS, ["a", "b"])), "group class", ()),
    "split / class / case": (list(drawn("*/*/*/#.png", ["train", "test"], ["a", "b"], ["Case 1", "Case 2"])),
                             "split class group", ()),
    "domain / class / subject": (list(drawn("*/*/*/#.png", ["north", "south"], ["a", "b"], ["subj1", "subj2"])), None, ()),
    "images beside masks": (list(drawn("*/*/1234a.png", ["COVID", "Normal"], ["images", "masks"], n=1)), "class out", ("masks",)),
    "masks by the names of files": (
        [*drawn("*/x1.png", ["a", "b"], n=1), *drawn("masks/*/x1_mask.png", ["a", "b"], n=1)], None, ("masks",)),
    "ground truth": ([*drawn("bottle/*/*/#.png", ["train", "test", "ground_truth"], ["good", "crack"])], "split class", ("ground_truth",)),
    "training_set": (list(drawn("*/*/#.png", ["training_set", "test_set"], ["cats", "dogs"])), "split class", ()),
    "dev and holdout": (list(drawn("*/*/#.png", ["train", "dev", "holdout"], ["cats", "dogs"])), "split class", ()),
    "prefixed": (list(drawn("*/*/#.png", ["chest_train", "chest_test"], ["cats", "dogs"])), "split class", ()),
    "class / split": (list(drawn("*/*/#.png", ["cats", "dogs"], ["train", "test"])), "class split", ()),
    "office": (list(drawn("*/images/*/#.png", ["amazon", "webcam"], ["mug", "pen"])), "domain out class", ()),
    "wordnet": (list(drawn("*/#.png", ["n01440764", "n02102040", "n02979186"])), "class", ()),
    "digits": (list(drawn("*/#.png", list("0123456789"))), "class", ()),
    "with and without mask": (list(drawn("*/#.png", ["with_mask", "without_mask"])), "class", ()),
    "domain / class": (list(drawn("*/*/#.png", ["north", "south"], ["ok", "nok"])), "domain class", ()),
    "chunks": (list(drawn("*/images/#.png", ["images_001", "images_002"])), "out out", ()),
}  # fmt: skip
UNSURE = {
    "BreaKHis": [f"breast/{c}/SOB/{t}/SOB_{c[0]}_{s}/{m}X/{n}.png" for n, (c, t, s, m) in enumerate(
        (c, t, s, m) for c, t in (("benign", "adenosis"), ("malignant", "ductal")) for s in range(3) for m in (40, 100))],
    "numbers above": list(drawn("*/*/#.png", [str(n) for n in range(8863, 8872)], ["0", "1"])),
    "names nobody knows": [f"{'ok' if n % 2 else 'nok'}/{name}/{n}.png" for n, name in enumerate(["meier", "huber", "lang", "kurz"] * 2)],
    "many names": list(drawn("*/*/#.png", [f"{a}{b}" for a in "abcd" for b in "xyz"], ["0", "1"])),
    "class / scanner": list(drawn("*/*/#.png", ["ok", "nok"], ["scanner A", "scanner B"])),
    "class / view": list(drawn("*/*/#.png", ["ok", "nok"], ["left", "right"])),
    "different depth": ["a/x/cat/1.png", "b/dog/2.png", "b/cat/3.png"],
    "ids alone": list(drawn("*/#.png", PATIENTS)),
    "numbers alone": list(drawn("*/#.png", ["1071", "1072", "1099"])),
    "something beside train": list(drawn("*/*/#.png", ["train", "challenge"], ["cats", "dogs"])),
    "masks or a class": list(drawn("*/#.png", ["mask", "face"])),
    "parts of one collection": list(drawn("*/#.png", ["HAM10000_images_part_1", "HAM10000_images_part_2"])),
    "copies": list(drawn("*/*/leaf-7.png", ["colour", "grey", "segmented"], ["rust"], n=1))
              + list(drawn("*/*/leaf-9.png", ["colour", "grey", "segmented"], ["scab"], n=1)),
}  # fmt: skip


@pytest.mark.parametrize("wrapping", ["", "my set/"])
@pytest.mark.parametrize(("paths", "meanings", "without"), SURE.values(), ids=SURE)
def test_what_is_plain_is_taken(
    paths: list[str], meanings: str | None, without: tuple[str, ...], wrapping: str
) -> None:
    found = propose(files(*(wrapping + path for path in paths)))
    assert found.is_sure, found.doubt
    assert meanings is None or " ".join(found.scheme.meanings) == meanings
    assert found.scheme.without == without


@pytest.mark.parametrize("paths", UNSURE.values(), ids=UNSURE)
def test_what_is_not_plain_is_asked(paths: list[str]) -> None:
    found = propose(files(*paths))
    assert not found.is_sure
    assert len(found.scheme.meanings) == len(found.levels)
    assert "class" not in found.cautious.meanings  # a table says the classes


def test_what_the_levels_say_reaches_the_images() -> None:
    paths = ["set/train/cancer/patient_1/a.png", "set/train/normal/patient_2/b.png", "set/test/cancer/patient_3/c.png",
             "set/train/cancer/patient_1/a_mask.png", "set/train/Unlabeled/patient_4/d.png"]  # fmt: skip
    images = files(*paths)
    scheme = propose(images).scheme
    told, problems = apply_scheme(images, scheme)
    assert [(each.label, each.person, each.given, each.group, each.domain) for each in told] == [
        ("cancer", "patient_1", "train", None, None), ("normal", "patient_2", "train", None, None),
        ("cancer", "patient_3", "test", None, None), (None, "patient_4", "train", None, None),
    ]  # fmt: skip
    assert [(each.file, each.kind) for each in problems] == [(paths[3], "mask")]


def test_a_person_by_a_study_is_one_group_and_without_a_class_it_is_asked() -> None:
    images = files(
        *(f"CheXpert/train/patient{n:05d}/study{s}/view1_frontal.jpg" for n in range(5) for s in (1, 2))
    )
    found = propose(images)
    assert not found.is_sure
    assert found.cautious.meanings == found.scheme.meanings == ("split", "group", "out")
    told, _ = apply_scheme(images, found.cautious)
    assert len({each.person for each in told}) == 5
    assert {each.domain for each in told} == {None}


def test_what_is_chosen_goes_with_the_folders_or_is_refused() -> None:
    images = files(*UNSURE["BreaKHis"])
    found = propose(images)
    told, _ = apply_scheme(images, choose(found, ["class", "out", "class", "group", "domain"]))
    assert {each.label for each in told} == {"benign/adenosis", "malignant/ductal"}
    assert {each.domain for each in told} == {"40X", "100X"}
    assert len({each.person for each in told}) == 6
    for said in (
        ["class"],
        ["class", "out", "out", "group", "colour"],
        ["split", "out", "class", "out", "out"],
    ):
        with pytest.raises(UserError) as refused:
            choose(found, said)
        assert refused.value.kind == "bad-levels"


@pytest.mark.parametrize(("name", "part"), [
    ("train", "train"), ("Training_Set", "train"), ("TrainImages", "train"), ("trainset2", "train"), ("train2017", "train"),
    ("val", "val"), ("dev", "val"), ("validation-set", "val"), ("hold_out", "test"), ("testing", "test"), ("TEST DATA", "test"),
    ("trainers", None), ("tests performed", None), ("contest", None), ("invalid", None), ("device", None), ("fold1", None),
])  # fmt: skip
def test_words_for_parts(name: str, part: str | None) -> None:
    assert part_of(name) == part
