"""Which runs belong together, and what tells the others apart."""

from __future__ import annotations

from dataclasses import replace

from transfer_core.runs.recipes import group_runs, name_apart, recipe_key
from transfer_core.runs.run import Run
from transfer_core.training.spec import RunSpec

SPEC = RunSpec(manifest="m", split="s", strategy="fine_tuning", cut=6)


def run(number: int, spec: RunSpec = SPEC, name: str = "", **changes: object) -> Run:
    own = replace(spec, **changes)
    return Run(
        f"run{number}", own, own.manifest, "cpu", name, "", "done", 1, None, 0.0, 0.0, 0.0, 0, False, None, None, {}
    )  # fmt: skip


def by_split(each: Run) -> str:
    return each.spec.split


def test_seeds_on_the_same_images_are_one_recipe() -> None:
    runs = [
        run(1, seed=0),
        run(2, seed=0, lr=0.01),
        run(3, seed=1),
        run(4, seed=2),
        run(5, seed=0, split="other"),
    ]
    found = group_runs(runs, by_split)
    assert [[each.id for each in recipe.runs] for recipe in found] == [
        ["run1", "run3", "run4"],
        ["run2"],
        ["run5"],
    ]


def test_the_same_seed_again_is_no_further_seed() -> None:
    found = group_runs([run(1), run(2, seed=1), run(3), run(4, seed=1), run(5)], by_split)
    assert [[each.id for each in recipe.runs] for recipe in found] == [
        ["run1", "run2"],
        ["run3", "run4"],
        ["run5"],
    ]


def test_splits_drawn_anew_are_one_recipe_where_that_is_asked() -> None:
    runs = [run(1, split="a"), run(2, split="b"), run(3, split="a", cut=3)]
    assert len(group_runs(runs, by_split)) == 3
    assert [len(each.runs) for each in group_runs(runs, lambda _: "all")] == [2, 1]


def test_anything_but_seed_and_split_is_another_recipe() -> None:
    same = {recipe_key(replace(SPEC, seed=3)), recipe_key(replace(SPEC, split="other")), recipe_key(SPEC)}
    assert len(same) == 1
    for other in (
        replace(SPEC, cut=5), replace(SPEC, knobs={"l2_sp": 0.1}), replace(SPEC, backbone="lite2"), replace(SPEC, lr=0.1),
    ):  # fmt: skip
        assert recipe_key(other) not in same


def test_names_are_what_seeds_share_and_tell_recipes_apart() -> None:
    seeds = group_runs([run(1, name="Mine, seed 0"), run(2, seed=1, name="Mine, seed 1")], by_split)
    assert [each.name for each in seeds] == ["Mine"]
    (default,) = group_runs([run(1, name="a"), run(2, seed=1, name="b")], by_split)
    assert "Fine-tuning" in default.name
    rates = group_runs([run(1, name="x", lr=0.01), run(2, name="x", lr=0.1)], by_split)
    assert [each.name for each in rates] == ["x (learning rate 0.01)", "x (learning rate 0.1)"]
    again = group_runs([run(1, name="x"), run(2, name="x")], by_split)
    assert [each.name for each in again] == ["x (run1)", "x (run2)"]
    apart = group_runs([run(1, name="x"), run(2, name="x", split="other")], by_split)
    assert [each.name for each in apart] == ["x", "x"], "what was tested on other images is never beside it"


def test_runs_of_one_name_are_told_apart_by_what_differs() -> None:
    runs = [run(1, name="x"), run(2, name="x", seed=3), run(3, name="y"), run(4, name="x", manifest="other")]
    assert name_apart(runs) == {"run1": "x (seed 0)", "run2": "x (seed 3)", "run3": "y", "run4": "x"}
    assert list(name_apart([run(1), run(2)]).values()) == [
        "Fine-tuning, EfficientNet-Lite0, 6 of 9 frozen (run1)",
        "Fine-tuning, EfficientNet-Lite0, 6 of 9 frozen (run2)",
    ]
