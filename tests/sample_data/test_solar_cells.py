import csv
from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from sample_data import make_solar_cells as maker

FOLDER = maker.data_folder()
needs_images = pytest.mark.skipif(FOLDER is None, reason="elpv-dataset is not installed (group `samples`)")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with maker.TARGET.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_columns_and_file_order(rows):
    assert tuple(rows[0]) == maker.COLUMNS
    assert [row["image"] for row in rows] == [f"cell{k:04d}.png" for k in range(1, 2625)]


def test_counts_are_the_published_ones(rows):
    assert Counter(round(float(row["probability"]), 3) for row in rows) == {
        0: 1508,
        0.333: 295,
        0.667: 106,
        1: 715,
    }
    assert Counter(row["label"] for row in rows) == {"functional": 1803, "defective": 821}
    assert Counter(row["domain"] for row in rows) == {"mono": 1074, "poly": 1550}
    types = Counter((row["domain"], round(3 * float(row["probability"]))) for row in rows)
    assert [types["mono", k] for k in range(4)] == [588, 117, 56, 313]
    assert [types["poly", k] for k in range(4)] == [920, 178, 50, 402]


def test_defective_means_more_likely_than_not(rows):
    assert all((row["label"] == "defective") == (float(row["probability"]) > 0.5) for row in rows)


def test_runs_of_one_crystal_type(rows):
    runs = [(domain, len(list(run))) for domain, run in groupby(row["domain"] for row in rows)]
    expected = "60m 300p 180m 360p 714m 530p 72m 180p 48m 180p"
    assert " ".join(f"{size}{domain[0]}" for domain, size in runs) == expected


def test_forty_four_modules_each_contiguous_and_of_one_type(rows):
    runs = [name for name, _ in groupby(row["group"] for row in rows)]
    assert runs == [f"module-{k:02d}" for k in range(1, 45)]  # a group that came back would be listed twice
    types = dict({(row["group"], row["domain"]) for row in rows})
    assert len({(row["group"], row["domain"]) for row in rows}) == 44
    assert Counter(types.values()) == {"mono": 18, "poly": 26}


def test_modules_have_sixty_cells_but_for_the_four_odd_ones(rows):
    sizes = Counter(row["group"] for row in rows)
    odd = {name: size for name, size in sizes.items() if size != 60}
    assert odd == {"module-21": 54, "module-31": 50, "module-37": 72, "module-41": 48}


def test_modules_of_each_run(rows):
    modules = [len({row["group"] for row in run}) for _, run in groupby(rows, key=lambda row: row["domain"])]
    assert modules == [1, 5, 3, 6, 12, 9, 1, 3, 1, 3]


def test_another_file_order_is_refused(rows):
    domains = [row["domain"] for row in rows]
    with pytest.raises(ValueError, match="crystal type"):
        maker.make_groups(domains[::-1])
    with pytest.raises(ValueError, match="crystal type"):
        maker.make_groups(domains[:-1])


@needs_images
def test_the_script_writes_this_very_table(tmp_path):
    assert maker.write_solar_cells(FOLDER, tmp_path / "again.csv").read_bytes() == maker.TARGET.read_bytes()


@needs_images
def test_the_table_lists_the_installed_images_and_no_others(rows):
    assert sorted(path.name for path in (FOLDER / "images").iterdir()) == [row["image"] for row in rows]


@needs_images
def test_the_inferred_borders_are_where_the_pictures_change(rows):
    """The long monocrystalline run: modules explain more of the look of a cell than any other cutting."""
    run = [k for k, row in enumerate(rows) if 16 <= int(row["group"][-2:]) <= 27]
    looks = np.array([look(rows[k]["image"]) for k in run])
    looks = (looks - looks.mean(0)) / looks.std(0)
    modules = np.unique([rows[k]["group"] for k in run], return_inverse=True)[1]
    inferred = explained(looks, modules)
    assert inferred > 0.6
    place = np.arange(len(run))
    assert inferred > explained(looks, place * (modules.max() + 1) // len(run)) + 0.02  # equal blocks
    assert inferred > explained(looks, place // 60) + 0.02  # the short module last
    for shift in (-30, -10, 10, 30):
        assert inferred > explained(looks, np.roll(modules, shift)) + 0.05, shift


def look(image: str) -> np.ndarray:
    """Brightness quantiles and roughness of one cell."""
    with Image.open(FOLDER / "images" / image) as opened:
        pixels = np.asarray(opened, dtype=np.float32)[::3, ::3]
    steps = [np.abs(np.diff(pixels, axis=axis)).mean() for axis in (0, 1)]
    return np.array([*np.percentile(pixels, [1, 10, 50, 90, 99]), pixels.std(), *steps])


def explained(looks: np.ndarray, groups: np.ndarray) -> float:
    """Share of the variance that lies between groups."""
    within = sum(((looks[groups == g] - looks[groups == g].mean(0)) ** 2).sum() for g in np.unique(groups))
    return 1 - within / (looks**2).sum()
