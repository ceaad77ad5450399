"""What a report and a model card say, in words, with every figure's n and interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer_core.bundle.document import Block, Bullets, Heading, Picture, Table, Text
from transfer_core.bundle.plots import draw_confusion, draw_curves, draw_intervals, draw_reliability
from transfer_core.bundle.subject import Subject
from transfer_core.evaluation.calibrate import reliability
from transfer_core.evaluation.cases import make_cases
from transfer_core.evaluation.chance import no_better_than_guessing
from transfer_core.evaluation.footnotes import footnotes, tell_choice
from transfer_core.evaluation.in_use import threshold
from transfer_core.evaluation.pair_words import beside_twin
from transfer_core.evaluation.summary import tell_domains, tell_sets, tell_use
from transfer_core.evaluation.words import between, by_hand, coefficient, interval, percent, undefined

FEW = 20  # images of a class, below which no figure of it means much
MANY = 25  # classes, from which a matrix is no longer read
PARTS = {"train": "training", "val": "validation", "target_train": "target, labels hidden", "test": "test"}


def tell(subject: Subject) -> list[Block]:
    """Return the whole story of a run: what it is for, how well it does, how that is known, and where it ends."""
    return [
        *_headline(subject), *_purpose(subject), *_figures(subject), *_decision(subject), *_data(subject),
        *_limits(subject), *_origin(subject),
    ]  # fmt: skip


def headline(test: Mapping[str, Any]) -> str:
    """Return the one sentence that says how well a model does."""
    if not test["n"]:
        return "Not measured: the unseen images have no labels."
    note = by_hand(test)
    return (
        f"Right on {percent(test['accuracy'])} of {test['n']:,} unseen images ({between(test['accuracy_ci'])})"
        f"{note and f'; {note}'}."
    )


def _headline(subject: Subject) -> list[Block]:
    return [
        Heading(subject.name, 1),
        Text(headline(subject.test)),
        *(Text(each, warning=True) for each in subject.caveats),
        Text(_held_out(subject)),
    ]


def _held_out(subject: Subject) -> str:
    split, test = subject.split, subject.test
    lack = split.ungrouped(subject.manifest)
    kinds = {
        "image": "single images, drawn at random",
        "group": split.held_out(subject.manifest),
        "domain": f"the domain {split.test_domain}, which training never saw",
        "given": "the test images named when the data set was brought",
        "transfer": f"a part of the images of {split.test_domain} that training never saw",
    }
    grouped = test.get("resampled") == "groups"
    units = split.units(subject.manifest, test["groups"]) if grouped else "single images"
    rest = f" Intervals are 95 % and treat {units} as independent." if test["n"] else ""
    choice = tell_choice(subject.result, subject.spec)
    return f"Held out: {kinds[split.rule]}. {lack and lack + ' '}Chosen by {choice}.{rest}"


def _purpose(subject: Subject) -> list[Block]:
    names = ", ".join(subject.manifest.classes)
    blocks: list[Block] = [
        Heading("What it is for"),
        Text(
            f"It tells {len(subject.manifest.classes)} classes apart ({names}) in images like those of the data set "
            f"{subject.manifest.name}. It supports a person's decision; it has not been assessed as a medical device or "
            "for any safety purpose."
        ),
    ]
    if subject.split.rule == "transfer":
        target = subject.split.test_domain
        made = (
            f"adapted to images of {target}"
            if subject.adapted
            else f"trained on {_source(subject)} and tested on images of {target}"
        )
        blocks.append(Text(f"It was {made}; on others it may do worse than these figures say."))
    return blocks


def _source(subject: Subject) -> str:
    return (
        f"images of {subject.split.train_domain}" if subject.split.train_domain else "images of other domains"
    )


def _figures(subject: Subject) -> list[Block]:
    test = subject.test
    blocks: list[Block] = [Heading("How well it does on unseen images")]
    if not test["n"]:
        return [*blocks, Text("This cannot be said: none of the unseen images has a label.", warning=True)]
    rows = [("Accuracy", "accuracy"), ("Balanced accuracy", "balanced_accuracy"), ("Macro-F1", "macro_f1")]
    blocks.append(
        Table(
            ("Figure", "Value", "95 % interval, %", "n"),
            [(name, percent(test[key]), interval(test[f"{key}_ci"]), f"{test['n']:,}") for name, key in rows],
        )
    )
    if test.get("kappa_ci"):
        kappa = coefficient(test["kappa"], test["kappa_ci"])
        blocks.append(Text(f"Agreement beyond chance (Cohen's kappa): {kappa}."))
    if guessed := no_better_than_guessing(test):
        blocks.append(Text(guessed, warning=True))
    blocks.append(Picture(draw_intervals(test["per_class"]), "How much of each class is found"))
    blocks.append(
        Table(
            ("Class", "Found (recall)", "95 %", "Right when said (precision)", "95 %", "F1", "95 %", "n"),
            [_class_row(each) for each in test["per_class"]],
        )
    )
    blocks += [Text(each) for each in undefined(test)]
    if len(test["confusion"]) <= MANY:
        names = [each["class"] for each in test["per_class"]]
        blocks.append(
            Picture(draw_confusion(test["confusion"], names), "What each class was taken for, in images")
        )
    blocks += _by_domain(subject)
    blocks += [
        Text(each)
        for each in footnotes(subject.result, subject.spec, other_classes=bool(subject.split.new_classes))
    ]
    if subject.verdict:
        without = "adaptation" if subject.spec.get("target") else "the unlabelled images"
        told = beside_twin(subject.verdict, without)
        blocks.append(
            Text(
                " ".join(
                    [
                        f"Did {without} help? {subject.verdict.verdict.capitalize()}. {told}",
                        *subject.cut_short,
                    ]
                ),
                warning=subject.verdict.is_harmful,
            )
        )
    if len(subject.epochs) > 1:
        blocks.append(Picture(draw_curves(subject.epochs), "How it learnt: accuracy after each epoch"))
    return blocks


def _class_row(each: Mapping[str, Any]) -> tuple[str, ...]:
    figures = [
        text
        for name in ("recall", "precision", "f1")
        for text in (percent(each[name]), interval(each[f"{name}_ci"]))
    ]
    return (each["class"], *figures, f"{each['support']:,}")


def _by_domain(subject: Subject) -> list[Block]:
    """Return the figures on each domain of the test images, where there is more than one."""
    found = tell_domains(subject.report, make_cases(subject.report))
    if len(found) < 2:
        return []
    rows = [
        (name, *(text for key in ("accuracy", "balanced_accuracy") for text in (percent(each[key]), interval(each[f"{key}_ci"]))),
         percent(each["macro_f1"]), f"{each['n']:,}")
        for name, each in found.items()
    ]  # fmt: skip
    return [Table(("Domain", "Accuracy", "95 %", "Balanced accuracy", "95 %", "Macro-F1", "n"), rows)]


def _decision(subject: Subject) -> list[Block]:
    rule = subject.decision
    blocks: list[Block] = [Heading("What its probabilities mean")]
    blocks.append(
        Text(
            f"Probabilities are calibrated by a temperature of {rule.temperature:.3g}, fitted on {rule.images:,} validation "
            "images; it never changes which class is likeliest. The exported model has it inside."
        )
    )
    if rule.shifted:
        blocks.append(
            Text(
                "The test images are of another domain than those it was fitted on, so neither calibration nor coverage is "
                "promised there.",
                warning=True,
            )
        )
    blocks += _measured_decision(subject)
    if rule.wishes.thresholds:
        rows = [(name, threshold(limit)) for name, limit in rule.wishes.thresholds.items()]
        blocks.append(Table(("Class", "said from a probability of"), rows))
    return blocks


def _measured_decision(subject: Subject) -> list[Block]:
    """Return what calibration, sets, thresholds and referring come to on the labelled test images."""
    rule, cases = subject.decision, make_cases(subject.report)
    plain, truth = cases.probabilities, cases.truth
    if not len(truth):
        return []
    found = reliability(plain, truth), reliability(rule.calibrated(plain), truth)
    grouped = subject.report.grouped
    sets, used = tell_sets(rule, cases, grouped=grouped), tell_use(rule, cases, grouped=grouped)
    asked = (
        f"Prediction sets, asked to hold the true class {percent(sets['asked'], 0)} of the time, held it on "
    )
    blocks: list[Block] = [
        Picture(draw_reliability(*found), f"Does 80 % mean 80 %? Measured on {len(truth):,} test images"),
        Text(
            f"{asked}{percent(sets['held'])} of {len(truth):,} test images ({between(sets['held_ci'])}), with "
            f"{sets['mean_size']:.2f} classes on average."
            if rule.set_threshold
            else "Prediction sets hold every class: there were too few validation images to promise the coverage."
        ),
    ]
    if not used:
        return blocks
    blocks.append(
        Text(
            f"With the decision in use ({used['words']}) it is right on {percent(used['accuracy'])} of {used['n']:,} test images "
            f"({between(used['accuracy_ci'])}); the figures above are of the likeliest class."
        )
    )
    if rule.wishes.refer_below:
        words = f"What is said with less than {threshold(rule.wishes.refer_below)} goes to a person: "
        words += f"{used['referred']:,} of {used['n']:,} test images."
        if rest := used["rest"]:
            words += f" Of the other {rest['n']:,} it was right on {percent(rest['accuracy'])} ({between(rest['accuracy_ci'])})."
        blocks.append(Text(words))
    return blocks


def _data(subject: Subject) -> list[Block]:
    manifest, counts = subject.manifest, subject.split.receipt.counts
    parts = [part for part in PARTS if part in counts]
    rows = [(name, *(f"{counts[part].get(name, 0):,}" for part in parts)) for name in manifest.classes]
    rows.append(("all", *(f"{sum(counts[part].values()):,}" for part in parts)))
    blocks: list[Block] = [
        Heading("What it learnt from"),
        Text(
            f"Data set {manifest.name} ({len(manifest.rows):,} images), version {manifest.id}. {subject.note}".strip()
        ),
        Table(("Labelled images", *(PARTS[part] for part in parts)), rows),
    ]
    domains = ", ".join(f"{name} ({number:,})" for name, number in manifest.domains.items())
    receipt = subject.split.receipt
    facts = [f"Images by domain: {domains}."] if domains else []
    if manifest.groups:
        facts.append(
            f"{len(manifest.groups):,} group{'s' * (len(manifest.groups) != 1)}; {receipt.groups_shared:,} of them on more than one side of the split."
        )
    facts.append(
        f"{receipt.pixels_shared:,} identical and {receipt.near_duplicates:,} nearly identical pictures on more than one side."
    )
    return [*blocks, Bullets(facts)]


def _limits(subject: Subject) -> list[Block]:
    """Return in plain words where the figures end."""
    test, split, manifest = subject.test, subject.split, subject.manifest
    found = [
        "An image that shows none of these classes gets one of them all the same.",
        "Images of another device, site, way of preparing or population than those above were not tested.",
    ]
    if split.rule == "image" and not manifest.groups:
        found.append(
            "No groups (patients, parts) were named, so images of one may be on both sides of the split."
        )
    if split.rule in ("domain", "transfer") and split.test_domain:
        found.append(f"Of other domains, only {split.test_domain} was tested.")
    few = [each["class"] for each in test["per_class"] if each["support"] < FEW]
    if test["n"] and few:
        found.append(f"Fewer than {FEW} test images: {', '.join(few)}. Their figures say little.")
    if test["n"] and test.get("resampled") == "groups" and test["groups"] < 10:
        found.append(
            f"Only {test['groups']} group{'s were' if test['groups'] > 1 else ' was'} held out; with others the figures may be quite different."
        )
    origin = "The labels came with the data set and were taken as true"
    later = "; those of the test images were given by hand after training" if by_hand(test) else ""
    found.append(f"{origin}{later}.")
    return [Heading("Where it ends"), Bullets(found)]


def _origin(subject: Subject) -> list[Block]:
    spec, backbone = subject.spec, subject.backbone
    views = f"averaged over {subject.views} views" if subject.views > 1 else "one view an image"
    environment = ", ".join(f"{name} {value}" for name, value in subject.result["environment"].items())
    return [
        Heading("How it came about"),
        Bullets(
            [
                f"{subject.strategy} of {backbone.title}, {spec['cut']} of {len(backbone.stages)} stages frozen, seed {spec['seed']}.",
                f"Images of {backbone.size} pixels, geometry {spec['geometry']}, augmentation {spec['augment']}, {views}.",
                f"Pretrained weights: {backbone.weights.name} ({backbone.licence}).",
                f"Run {subject.run} of {subject.made}, split {split_words(subject)}.",
                f"Environment: {environment}.",
            ]
        ),
    ]


def split_words(subject: Subject) -> str:
    """Return how the images were divided, with what is needed to do it again."""
    split = subject.split
    return f"{split.id} by {split.rule}, seed {split.seed}"
