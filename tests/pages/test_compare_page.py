"""Compare as a user sees it, in every state of what there is to compare."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, Study, bring, button, curves, follow, labels, link_of, show, words
from transfer_core.runs.lab import Lab
from transfer_core.runs.run import Run
from transfer_core.training.events import EpochEnded

PAGE = "results/compare.py"


def two(study: Study, *, wrong: tuple[int, int] = (6, 0), **wishes: object) -> tuple[Run, Run]:
    """A probe that leads on validation images, and fine-tuning beside it."""
    probe = study.ended(name="probe", wrong=wrong[0], val=0.9, **wishes)
    return probe, study.ended(name="tuned", wrong=wrong[1], val=0.8, strategy="fine_tuning", cut=6, **wishes)


def charts(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


@pytest.mark.parametrize("images", [True, False])
def test_nothing_to_compare_says_what_is_missing(empty: Study, images: bool) -> None:
    if images:
        bring(empty.home, draw_shapes(40, seed=9, size=32))
    at = show(PAGE)
    assert "Two finished runs are needed" in words(at)
    assert ("Set up a run" if images else "Bring images") in labels(at)


def test_one_run_is_not_compared(study: Study) -> None:
    study.ended()
    assert "Two finished runs are needed" in words(show(PAGE))


def test_first_on_validation_images_but_worse_on_test_images_does_not_lead(study: Study) -> None:
    probe, tuned = two(study)
    at = show(PAGE, run=tuned.id)
    assert set(at.multiselect[0].value) == {probe.id, tuned.id}
    said = words(at)
    assert "### No run leads" in said
    assert "probe** is first by accuracy on the validation images, with 90.0 % of" in said
    assert "but it is worse than **1 tuned** on the test images, −40.0 points" in said
    assert "Take **1 tuned**" in said
    assert "same 15 test images" in said
    assert "exact McNemar" in said
    assert sorted(at.dataframe[0].value["Run"]) == ["probe", "tuned"]
    assert charts(at) == 3
    assert not at.warning
    button(at, "Take home: tuned (100.0 % of unseen images right)").click().run()
    assert link_of(at, "run") == tuned.id


def test_what_is_no_better_than_guessing_is_not_pressed_upon_anybody(study: Study) -> None:
    study.ended(name="other", wrong=8, val=0.6)
    leader = study.ended(name="leader", wrong=12, val=0.9, strategy="fine_tuning")
    at = show(PAGE, run=leader.id)
    assert "better than guessing" in at.warning[0].value
    (taken,) = [each for each in at.button if each.label.startswith("Take home")]
    assert taken.proto.type == "secondary"


def test_what_cannot_be_told_apart_is_said_so_with_the_images_needed(study: Study) -> None:
    two(study, wrong=(2, 4))
    said = words(show(PAGE))
    assert "cannot tell apart" in said
    assert "more test images needed, if the difference is as it looks" in said


def test_three_runs_have_a_table_of_all_pairs_in_words(study: Study) -> None:
    two(study)
    study.ended(name="third", wrong=15, val=0.1, strategy="fine_tuning", cut=3)
    at = show(PAGE)
    (table,) = [each.proto.body for each in at.get("html") if "lab-pairs" in each.proto.body]
    assert table.count("<td") == 9
    assert "better" in table
    assert "worse" in table
    assert "Corrected for 3 pairs" in words(at)


def test_seeds_are_one_choice_and_one_line(study: Study) -> None:
    seeds = [
        study.ended(name=f"tuned, seed {each}", wrong=each, seed=each, strategy="fine_tuning", cut=6)
        for each in range(3)
    ]
    other = study.ended(name="probe", wrong=5, seed=0)
    at = show(PAGE, run=other.id)
    assert len(at.multiselect[0].options) == 2
    assert "tuned · 3 seeds" in at.multiselect[0].options
    table = at.dataframe[0].value.set_index("Run")
    assert list(table["Runs"].loc[["tuned", "probe"]]) == [3, 1]
    assert "scatter of the seeds" in words(at)
    linked = show(PAGE, race=",".join([seeds[0].id, other.id]))
    assert len(linked.multiselect[0].value) == 2, "a link may name any of the seeds"
    assert list(linked.dataframe[0].value["Runs"]) == [3, 1]


def test_one_choice_after_another_is_kept(study: Study) -> None:
    runs = [study.ended(name=f"r{cut}", strategy="fine_tuning", cut=cut).id for cut in range(4)]
    at = show(PAGE, race=",".join(runs[:2]))
    for wanted in (runs[:3], runs[1:3], runs, [], runs[2:]):
        at.multiselect[0].set_value(wanted).run()
        assert at.multiselect[0].value == wanted
        assert link_of(at, "race") == ",".join(wanted)
        at.run()
        assert at.multiselect[0].value == wanted
    assert "Choose two runs" not in words(at)


def test_other_splits_are_shown_as_spread_and_not_tested(study: Study) -> None:
    for seed in range(2):
        study.choices = {"rule": "image", "seed": seed}
        two(study)
    at = show(PAGE)
    assert len(at.multiselect[0].value) == 2, "those tested alike come first"
    assert not at.warning
    every = [run.id for run in study.store.runs()]
    at = show(PAGE, race=",".join(every))
    assert "nothing is tested between them" in at.warning[0].value
    assert list(at.dataframe[0].value["Runs"]) == [2, 2]
    assert not any(label.startswith("Take home") for label in labels(at))
    assert "McNemar" not in words(at)
    assert "No run leads" in words(at)
    assert "their validation images differ too" not in words(at), "each recipe has those of both splits"
    at = show(PAGE, race=",".join((every[0], every[-1])))
    assert "their validation images differ too" in words(at)


def test_groups_are_said_to_be_resampled_and_few_to_prove_little(study: Study) -> None:
    study.choices = {"rule": "group"}
    two(study)
    said = words(show(PAGE))
    assert "groups resampled as a whole" in said
    assert "so few can prove little" in said


def test_labels_given_by_hand_are_compared(study: Study) -> None:
    source, target = study.manifest.domains
    rows = study.manifest.rows
    bare = tuple(replace(row, label=None if row.domain == target else row.label) for row in rows)
    study.library.add(replace(study.manifest, rows=bare, name="half labelled"))
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    runs = [study.ended(name=name, strategy=name) for name in ("mcc", "dann")]
    at = show(PAGE, run=runs[0].id)
    assert "as soon as the first run has been measured on labelled images" in words(at)
    truth = {row.image: row.label for row in rows}
    for image in study.lab.spot_check(runs[0]).images:
        study.library.answer(runs[0].manifest, image, truth[image])
    at = show(PAGE, run=runs[0].id)
    assert list(at.dataframe[0].value["n"]) == ["10", "10"]
    assert "same 10 test images" in words(at)


def test_a_run_on_its_way_is_raced_beside_what_is_done(study: Study) -> None:
    two(study)
    study.running(name="on its way", strategy="fine_tuning", cut=2)
    at = show(PAGE)
    assert len(at.multiselect[0].value) == 3
    assert len(at.dataframe[0].value) == 2
    (bar,) = [each.proto for each in at.get("progress")]
    assert bar.value == 40  # of the whole run, the test included
    assert re.match("on its way: Epoch 2 of 4 done · about .* left", bar.text), bar.text


def test_results_come_to_the_page_when_a_run_ends_that_is_watched(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends between the page's first lines, which see it train, and the race's look at what trains."""
    study.ended(name="probe")
    run = study.running(name="on its way", strategy="fine_tuning", cut=2)
    look, looks = Lab.look, []

    def ends(lab: Lab) -> None:
        looks.append(len(looks))
        if len(looks) == 2:  # the page itself looks first
            study.store.finish(run.id, run.attempt, "done", best=0.8, result=study.report(run, wrong=4))
        look(lab)

    monkeypatch.setattr(Lab, "look", ends)
    at = show(PAGE)
    assert sorted(at.dataframe[0].value["Run"]) == ["on its way", "probe"]
    assert not at.get("progress")
    assert len(looks) > 2, "the page was drawn anew"


def test_the_race_draws_what_each_run_told_and_grows(study: Study) -> None:
    study.ended(name="probe", epochs=3)
    run = study.running(name="on its way", strategy="fine_tuning", cut=2, epochs=1)
    at = show(PAGE)
    wanted = {"2 probe": ([1.0, 2.0, 3.0], [0.5, 0.75, 1 - 0.5 / 3]), "1 on its way": ([1.0], [0.5])}
    assert curves(at) == [wanted]
    figures = {"loss": 0.2, "accuracy": 0.9}
    study.store.add_events(run.id, run.attempt, [EpochEnded(2, 4, figures, figures, 1e-3, 4.0, best=True)])
    assert curves(at.run()) == [wanted | {"1 on its way": ([1.0, 2.0], [0.5, 0.9])}]


def test_each_network_of_a_run_begins_anew_in_the_race(study: Study) -> None:
    study.ended(name="three", strategy="fine_tuning", cut=2, networks=3, epochs=4)
    study.ended(name="probe")
    (chart,) = curves(show(PAGE))
    assert chart["2 three"] == (
        [1, None, 2, None, 3, None, 4],
        [0.5, None, 0.75, None, 1 - 0.5 / 3, None, 0.875],
    )


def test_thirty_runs_stay_one_page(study: Study) -> None:
    for number in range(30):
        study.ended(
            name=f"try {number}", wrong=number % 6, strategy="fine_tuning", cut=4, lr=1e-4 * (number + 1)
        )
    at = show(PAGE, race=",".join(run.id for run in study.store.runs()))
    assert len(at.dataframe[0].value) == 30
    assert "And 23 others" in [each.label for each in at.expander]
    assert "Corrected for 435 pairs" in words(at)


def test_a_name_cannot_call_out(study: Study) -> None:
    study.ended(name=CALLS_OUT, val=0.9)
    study.ended(name="<b>bold</b>", strategy="fine_tuning", cut=3)
    study.ended(name="third", strategy="fine_tuning", cut=2)
    at = show(PAGE)
    read = [each.value for kind in (at.markdown, at.caption, at.warning, at.info) for each in kind]
    assert any("evil" in each for each in read)
    assert not any("](http" in each or "<b>" in each for each in read)
    (table,) = [each.proto.body for each in at.get("html") if "lab-pairs" in each.proto.body]
    assert "&lt;b&gt;bold" in table
    assert "<b>bold" not in table


# -- the freeze-depth explorer --------------------------------------------------------------


def test_runs_that_differ_in_the_cut_are_drawn_against_it(study: Study) -> None:
    for cut in (0, 4, 9):
        study.ended(strategy="fine_tuning", cut=cut, val=0.5 + cut / 20)
    at = show(PAGE)
    assert "Highest on the validation images: 9 of 9 stages frozen, 95.0 %" in words(at)
    assert charts(at) == 4


@pytest.mark.parametrize("page", [PAGE, "train/new_run.py"])
def test_one_click_sweeps_the_cut_without_what_is_done(study: Study, page: str) -> None:
    done = study.ended(strategy="fine_tuning", cut=3)
    study.ended(name="probe")
    split = study.split(**study.choices)
    at = show(page, {"strategy": "fine_tuning", "sweep": True}, data=study.manifest.id, split=split.id, run=done.id,
              race=done.id)  # fmt: skip
    if page == PAGE:
        at = show(page, {"sweep": True}, race=",".join([done.id, study.store.runs()[0].id]))
        assert "1 of 10 runs done already" in words(at)
    start = next(each for each in at.button if each.key == "start-sweep")
    missing = 9 if page == PAGE else 10  # New run would train longer
    assert f"Train {missing} runs" in start.label
    assert "known after the first fine-tuning" in words(at)
    follow(at, start.label, PAGE)
    at.run()
    assert not at.exception
    runs = [study.store.get(run) for run in at.multiselect[0].value]
    assert sorted(run.spec.cut for run in runs) == list(range(10))
    assert len({replace(run.spec, cut=0).id for run in runs}) == 1
    assert f"{missing} runs waiting" in words(at)


def test_two_runs_are_compared(study: Study) -> None:
    worse, better = study.ended(name="worse", wrong=6, val=0.7), study.ended(name="better", wrong=1)
    at = show("results/compare.py", run=worse.id)
    assert set(at.multiselect[0].value) == {worse.id, better.id}
    table = at.dataframe[0].value
    assert sorted(table["Run"]) == ["better", "worse"]
    assert not at.warning
    winner = next(each for each in at.button if each.label.startswith("Take home: better"))
    winner.click().run()
    assert "better" in words(at)
    assert link_of(at, "run") == better.id


def test_runs_on_other_images_are_not_set_side_by_side(study: Study) -> None:
    study.ended(name="here")
    bring(study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Others")
    there = study.ended(name="there")
    at = show("results/compare.py", run=there.id)
    at.multiselect[0].set_value([run.id for run in study.store.runs()]).run()
    assert "different images" in at.warning[0].value
