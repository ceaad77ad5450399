import csv
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sample_data.shapes import CLASSES, COLOURS, COLUMNS, DOMAINS, Drawing, draw_shapes, write_shapes

SCRIPT = Path(__file__).parents[2] / "sample_data" / "shapes.py"


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return draw_shapes(800, seed=0)


def column(drawings, name):
    return np.array([getattr(each, name) for each in drawings])


def facts(drawing):
    return drawing.label, drawing.domain, drawing.group, drawing.colour, drawing.name, drawing.image.tobytes()


def spread(counts):
    return max(counts.values()) - min(counts.values())


def thumbnails(drawings) -> np.ndarray:
    """Grey 16 x 16 pictures without their brightness and contrast, [n, 256]."""
    small = [each.image.convert("L").resize((16, 16), Image.Resampling.BOX) for each in drawings]
    x = np.array([np.asarray(each, dtype=float).ravel() for each in small])
    x -= x.mean(1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def centroid_accuracy(x, y, train, test) -> float:
    names = np.unique(y)
    centres = np.array([x[train & (y == name)].mean(0) for name in names])
    nearest = ((x[test][:, None] - centres) ** 2).sum(-1).argmin(1)
    return float((names[nearest] == y[test]).mean())


def neighbour_accuracy(x, y, train, test) -> float:
    nearest = (x[test] @ x[train].T).argmax(1)
    return float((y[train][nearest] == y[test]).mean())


def by_sheet(accuracy, x, y, groups, within) -> float:
    """Mean accuracy on each sheet after learning from the other sheets of its domain."""
    sheets = np.unique(groups[within])
    return float(np.mean([accuracy(x, y, within & (groups != s), within & (groups == s)) for s in sheets]))


def half(rows) -> np.ndarray:
    """Half of the rows, by chance: every sheet is on both sides."""
    return np.random.default_rng(0).permutation(len(rows)) % 2 == 0


# What is promised of every set


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before():
    first = [facts(each) for each in draw_shapes(50, seed=3)]
    np.random.default_rng().normal(size=10)
    random.seed(1)
    draw_shapes(7, seed=9)
    assert [facts(each) for each in draw_shapes(50, seed=3)] == first


def test_another_seed_gives_other_pictures_of_the_same_classes():
    one, other = draw_shapes(80, seed=0), draw_shapes(80, seed=1)
    assert [each.label for each in one] == [each.label for each in other]
    assert not {each.image.tobytes() for each in one} & {each.image.tobytes() for each in other}


def test_no_two_pictures_of_a_set_are_alike(drawings):
    assert len({each.image.tobytes() for each in drawings}) == len(drawings)
    assert len({each.name for each in drawings}) == len(drawings)


def test_a_shorter_set_is_the_beginning_of_a_longer_one(drawings):
    assert [facts(each) for each in draw_shapes(93, seed=0)] == [facts(each) for each in drawings[:93]]


def test_fewer_classes_leave_the_shapes_of_the_others_alone():
    few = draw_shapes(8, classes=("star-dotted", "disc-solid"), domains=("clean",), groups=1)
    assert Counter(each.label for each in few) == {"star-dotted": 4, "disc-solid": 4}
    assert {each.domain for each in few} == {"clean"}
    assert {each.group for each in few} == {"sheet-01"}


@pytest.mark.parametrize("n", [1, 39, 40, 41, 250, 403])
def test_classes_domains_and_colours_are_balanced(n):
    drawn = draw_shapes(n, size=16)
    assert len(drawn) == n
    pairs = Counter({(label, domain): 0 for label in CLASSES for domain in DOMAINS})
    pairs.update((each.label, each.domain) for each in drawn)
    colours = Counter(dict.fromkeys(COLOURS, 0))
    colours.update(each.colour for each in drawn)
    assert spread(pairs) <= 1
    assert spread(colours) <= 1


def test_a_group_lies_in_one_domain_and_holds_every_class(drawings):
    domains, labels = defaultdict(set), defaultdict(Counter)
    for each in drawings:
        domains[each.group].add(each.domain)
        labels[each.group][each.label] += 1
    assert sorted(domains) == [f"sheet-{k:02d}" for k in range(1, 9)]
    assert all(len(found) == 1 for found in domains.values())
    assert all(set(found) == set(CLASSES) and spread(found) == 0 for found in labels.values())


def test_even_a_short_set_has_every_sheet():
    assert len({each.group for each in draw_shapes(40)}) == 8


def test_colour_says_nothing_about_the_class():
    drawn = draw_shapes(2400, size=16)
    counts = Counter((each.label, each.colour) for each in drawn)
    # 120 pictures a class, 20 expected of each colour.
    assert len(counts) == len(CLASSES) * len(COLOURS)
    chi2 = sum((count - 20) ** 2 / 20 for count in counts.values())
    assert chi2 < 140  # 95 degrees of freedom, 99.8th percentile


@pytest.mark.parametrize("size", [16, 33, 64, 224])
def test_size_and_mode(size):
    for each in draw_shapes(40, size=size)[::13]:
        assert each.image.size == (size, size)
        assert each.image.mode == "RGB"


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": ("hexagon-solid",)},
        {"classes": ()},
        {"classes": ("disc-solid", "disc-solid")},
        {"domains": ("painted",)},
        {"groups": 1},
        {"size": 8},
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ValueError, match=r"choose|at least"):
        draw_shapes(4, **wrong)


# What the pictures are good for


def test_classes_are_told_apart_on_sheets_never_seen(drawings):
    x, y, groups = thumbnails(drawings), column(drawings, "label"), column(drawings, "group")
    clean = column(drawings, "domain") == "clean"
    assert by_sheet(centroid_accuracy, x, y, groups, clean) > 0.45  # chance is 0.05


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_class_is_lost_on_sheets_that_were_seen(drawings, domain):
    x, y, within = thumbnails(drawings), column(drawings, "label"), column(drawings, "domain") == domain
    train = half(y) & within
    test = ~train & within
    recall = {label: neighbour_accuracy(x, y, train, test & (y == label)) for label in CLASSES}
    assert min(recall.values()) > 0.25, recall  # about ten pictures each; chance is 0.05
    assert np.mean(list(recall.values())) > 0.75


def test_clean_to_photographed_is_a_real_gap(drawings):
    x, y = thumbnails(drawings), column(drawings, "label")
    domain, groups = column(drawings, "domain"), column(drawings, "group")
    clean = domain == "clean"
    # New sheets on both sides of the comparison: only the domain differs.
    at_home = by_sheet(centroid_accuracy, x, y, groups, clean)
    abroad = centroid_accuracy(x, y, clean, ~clean)
    assert 0.08 < abroad < at_home - 0.2
    train = half(y)
    assert (
        neighbour_accuracy(x, y, ~clean & train, ~clean & ~train)
        > neighbour_accuracy(x, y, clean, ~clean) + 0.4
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_pictures_of_one_sheet_on_both_sides_flatter_the_score(drawings, domain):
    x, y, groups = thumbnails(drawings), column(drawings, "label"), column(drawings, "group")
    within = column(drawings, "domain") == domain
    train = half(y)
    leaky = neighbour_accuracy(x, y, within & train, within & ~train)
    assert leaky > by_sheet(neighbour_accuracy, x, y, groups, within) + 0.2


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_colour_can_be_seen(drawings, domain):
    within = [each for each in drawings if each.domain == domain]
    pixels = np.array([np.asarray(each.image, dtype=float).reshape(-1, 3) for each in within])
    # Red, green and blue as shares do not depend on how much light there is, only on its colour and the ink.
    share = pixels / pixels.sum(-1, keepdims=True)
    share -= np.median(share, axis=1, keepdims=True)
    strong = np.argsort((share**2).sum(-1), axis=1)[:, -300:, None]
    hue = np.take_along_axis(share, strong, axis=1).mean(1)
    y = column(within, "colour")
    train = half(y)
    assert centroid_accuracy(hue, y, train, ~train) > 0.7  # chance is 0.17


# Files


def test_a_folder_holds_what_was_drawn(tmp_path):
    folder = write_shapes(tmp_path / "new" / "set", 44, seed=5, groups=4)
    drawn = draw_shapes(44, seed=5, groups=4)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(list(folder.rglob("*.png"))) == 44
    for row, each in zip(rows, drawn, strict=True):
        assert row["image"] == f"{each.domain}/{each.label}/{each.name}.png"
        assert tuple(row.values())[1:] == (each.label, each.domain, each.group, each.colour)
        with Image.open(folder / row["image"]) as image:
            assert image.tobytes() == each.image.tobytes()


def test_the_command_line_writes_the_same_folder(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path / "a"), "--n", "20", "--seed", "2"]
    subprocess.run(command, check=True, capture_output=True)
    write_shapes(tmp_path / "b", 20, seed=2)
    a, b = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in (tmp_path / "a", tmp_path / "b")
    )
    assert len(a) == 21
    assert a == b
