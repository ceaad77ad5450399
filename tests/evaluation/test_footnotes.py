"""What stands below the figures: whose labels were used, and what would else have been chosen."""

from __future__ import annotations

from transfer_core.evaluation.footnotes import footnotes, tell_choice

ORACLE = {
    "best_epoch": 3,
    "oracle": {"epoch": 5, "balanced_accuracy": 0.8, "chosen": 0.7, "images": 1234},
    "test_transductive": {"balanced_accuracy": 0.755, "n": 2000},
}


def test_nothing_special_needs_no_word() -> None:
    assert footnotes({"best_epoch": 3}, {}) == []
    assert footnotes({"target_labels_used": 0}, {"knobs": {"shots": 0}}) == []


def test_an_oracle_is_called_one_and_the_transductive_figure_by_its_name() -> None:
    chosen, whole = footnotes(ORACLE, {})
    assert "without labels of the target: epoch 3" in chosen
    assert "oracle" in chosen
    assert "epoch 5 (80.0 %)" in chosen
    assert "On all labelled images" in whole
    assert "75.5 % (transductive, n 2,000)" in whole
    assert "On all other labelled images" in footnotes(ORACLE | {"target_labels_used": 4}, {})[-1]


def test_an_ensemble_says_so_and_has_no_single_epoch() -> None:
    result = {"selection_rule": "lowest validation loss", "best_epoch": 3, "epoch": 7}
    assert tell_choice(result, {}) == "lowest validation loss (epoch 3 of 7)"
    assert tell_choice(result, {"networks": 2}) == "lowest validation loss, in each network"
    whole, several = footnotes({"test_transductive": ORACLE["test_transductive"]}, {"networks": 2})
    assert "75.5 % (transductive" in whole
    assert "the mean of 2 networks" in several
    assert footnotes({"networks": 1}, {"networks": 3}) == [
        "Only 1 of its 3 networks was trained; nothing else answers."
    ]
    assert len(footnotes({"test_transductive": {"n": 0}}, {"networks": 2})) == 1


def test_labels_that_were_used_are_counted() -> None:
    assert footnotes({"target_labels_used": 1}, {}) == ["1 label of the target's training part was used."]
    assert footnotes({"target_labels_used": 40}, {}) == ["40 labels of the target's training part were used."]
    (told,) = footnotes(ORACLE | {"target_labels_used": 40}, {}, other_classes=True)
    assert "40 labels of the target were used, a quarter of them to choose" in told


def test_doubtful_labels_are_named_by_their_column() -> None:
    (told,) = footnotes({}, {"label_confidence": "experts"})
    assert "as the further label “experts” says" in told


def test_few_examples_and_a_phase_that_was_never_reached_are_told() -> None:
    few, short = footnotes({"unreached": "measuring"}, {"knobs": {"shots": 1}})
    assert "at most 1 image per class" in few
    assert "Stopped before “measuring”" in short


def test_a_second_question_is_named() -> None:
    (told,) = footnotes({"second_question": {"site": 3}}, {})
    assert "“site” (3 answers)" in told
