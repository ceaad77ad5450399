"""Puts a bundle together: every file, its hash, and a self-test that it must pass before it appears."""

from __future__ import annotations

import json
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.bundle import readme
from transfer_core.bundle.document import to_html, to_markdown
from transfer_core.bundle.golden import write_expected, write_inputs
from transfer_core.bundle.graph import Session, write_onnx
from transfer_core.bundle.network import Portable, describe_head, make_portable, save_weights
from transfer_core.bundle.pdf import write_pdf
from transfer_core.bundle.quantise import draw_calibration, measure, quantise, read_batches
from transfer_core.bundle.story import split_words, tell
from transfer_core.bundle.subject import Options, Subject, Tell
from transfer_core.bundle.verify import ABOUT, FORMAT, TOLERANCE, Verdict, hash_file, verify
from transfer_core.errors import UserError
from transfer_core.evaluation.report import write_csv
from transfer_core.files import plain_words, read_json, sync_all, write_json
from transfer_core.models.model import Classifier

AGREEMENT = 64  # test images on which the exported model is compared with the report
STEPS = ("Writing the weights", "Writing the ONNX file", "Comparing with the report", "Making the int8 model",
         "Measuring the int8 model", "Writing the report", "Running the self-test")  # fmt: skip


def make_bundle(subject: Subject, model: Classifier, folder: Path, options: Options, tell_: Tell) -> Verdict:
    """Write a bundle into a folder that is empty, new, or a bundle; return its self-test.

    The folder appears, or changes, at once and only when all is there. UserError: the folder holds something else, the
    disk is full, or the self-test failed.
    """
    check_folder(folder)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    with plain_words(folder):
        try:
            part.mkdir(parents=True)
            about = _write(subject, model, part, options, tell_)
            files = sorted(path for path in part.rglob("*") if path.is_file())
            about["files"] = {path.relative_to(part).as_posix(): hash_file(path) for path in files}
            write_json(part / ABOUT, about)
            tell_(STEPS[6], 0, 0)
            verdict = verify(part)
            if not verdict.passed:
                wrong = next(each.found for each in verdict.checks if not each.passed)
                raise UserError(
                    f"The exported model failed its self-test, so nothing was written: {wrong}", "self-test"
                )
            sync_all()
            _take_place(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return verdict


def check_folder(folder: Path) -> None:
    """Raise UserError where a bundle would overwrite something that is none."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        is_bundle = folder.is_dir() and read_json(folder / ABOUT)["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        is_bundle = False
    if not is_bundle:
        message = f"{folder} holds something that is no bundle, and would be overwritten: name a new or an empty folder."
        raise UserError(message, "not-empty")


def _take_place(part: Path, folder: Path) -> None:
    """Let a finished folder take the place of an older one."""
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def zip_bundle(folder: Path, path: Path, top: str) -> None:
    """Pack a bundle's files below one folder; weights hardly shrink, so they are only stored."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                stored = each.suffix in (".onnx", ".safetensors", ".png", ".npz")
                kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
                each.chmod(0o644)  # a zip keeps it: whoever unpacks it is not in this home any more
                packed.write(each, f"{top}/{each.relative_to(folder).as_posix()}", kind)


def _write(
    subject: Subject, model: Classifier, folder: Path, options: Options, tell_: Tell
) -> dict[str, Any]:
    """Write all files but bundle.json, and return what that one is to say."""
    import torch

    tell_(STEPS[0], 0, 0)
    rule = subject.decision
    augment = str(subject.spec["augment"]) if subject.views > 1 else "none"
    network = make_portable(model, subject.backbone, augment, subject.views, rule.temperature)
    about = _about(subject, network, augment)
    header = _header(about)
    save_weights(network, folder / "model.safetensors", header)
    tell_(STEPS[1], 0, 0)
    write_onnx(network, subject.backbone.size, folder / "model.onnx", header)
    pixels, rows = write_inputs(subject, folder / "golden", options.images)
    with torch.no_grad():
        chances, plain, _ = (each.numpy() for each in network(torch.from_numpy(pixels)))
    write_expected(folder / "golden", rule.classes, rows, chances, plain)
    about["golden"] = {"inputs": len(pixels), "images": len(rows), "tolerance": TOLERANCE}
    session = Session(folder / "model.onnx")
    about["agreement_with_report"] = _agreement(subject, session, tell_)
    if options.int8:
        about["int8"] = _make_int8(subject, folder, session, header, pixels, tell_)
    tell_(STEPS[5], 0, 0)
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as out:
        by_hash = subject.report.some(np.argsort(np.array(subject.report.images)))
        write_csv(by_hash, subject.decision, out, with_names=options.names)
    _write_documents(subject, folder, about)
    return about


def _write_documents(subject: Subject, folder: Path, about: Mapping[str, Any]) -> None:
    story = tell(subject)
    (folder / "report.html").write_text(to_html(story, subject.name), encoding="utf-8")
    (folder / "model_card.md").write_text(to_markdown(story), encoding="utf-8")
    write_pdf(story, subject.name, folder / "report.pdf")
    (folder / "README.md").write_text(readme.tell(subject, about), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("predict.py"), folder / "predict.py")


def _about(subject: Subject, network: Portable, augment: str) -> dict[str, Any]:
    """Return what a program needs to use the model rightly, and what an auditor asks."""
    backbone, rule, manifest, split = subject.backbone, subject.decision, subject.manifest, subject.split
    networks = int(subject.spec.get("networks", 1))
    features = backbone.feature_dim * networks
    return {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": list(rule.classes),
        "input": {
            "name": "pixels", "dtype": "uint8", "shape": ["images", 3, backbone.size, backbone.size],
            "colours": "RGB", "values": "0 to 255; the model itself normalises them", "size": backbone.size,
            "geometry": subject.spec["geometry"], "interpolation": backbone.interpolation,
            "reading": asdict(manifest.reading), "mean": list(backbone.mean), "std": list(backbone.std),
        },
        "outputs": {
            "probabilities": "[images, classes], calibrated by the temperature",
            "plain": "[images, classes], before calibration",
            "features": f"[images, {features}]",
        },
        "decision": {
            "temperature": rule.temperature, "thresholds": dict(rule.wishes.thresholds),
            "refer_below": rule.wishes.refer_below, "coverage": rule.wishes.coverage,
            "set_threshold": rule.set_threshold, "fitted_on_validation_images": rule.images, "shifted": rule.shifted,
        },
        "network": {
            "backbone": backbone.key, "title": backbone.title, "licence": backbone.licence,
            "head": describe_head(network.head), "feature_dim": features, "networks": networks, "cut": int(subject.spec["cut"]),
            "views": {"augment": augment, "count": subject.views},
        },
        "measured_on_test_images": measured_on_test_images(subject),
        "data": {
            "name": manifest.name, "manifest": manifest.id, "images": len(manifest.rows),
            "split": split_words(subject), "counts": {part: dict(each) for part, each in split.receipt.counts.items()},
        },
        "run": {"id": subject.run, "name": subject.name, "made": subject.made, "strategy": subject.strategy,
                "spec": dict(subject.spec), "caveats": list(subject.caveats)},
        "versions": {name: version(name) for name in ("torch", "onnx", "onnxruntime", "numpy", "pillow")},
    }  # fmt: skip


def measured_on_test_images(subject: Subject) -> dict[str, Any]:
    """Return the figures that stand in a bundle for a program to read."""
    figures = ("accuracy", "balanced_accuracy", "macro_f1")
    names = ("n", *figures, *(f"{each}_ci" for each in figures), "resampled", "groups", "labelled_by_hand")
    return {name: subject.test[name] for name in names}


def _header(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands in the models' own headers, so that a file says what it is without the others."""
    how = about["input"]
    return {
        "classes": json.dumps(about["classes"], ensure_ascii=False),
        "backbone": about["network"]["backbone"],
        "size": str(how["size"]),
        "mean": json.dumps(how["mean"]),
        "std": json.dumps(how["std"]),
        "interpolation": how["interpolation"],
        "geometry": how["geometry"],
        "averaged_views": about["network"]["views"]["augment"],
        "temperature": repr(about["decision"]["temperature"]),
        "manifest": about["data"]["manifest"],
        "run": about["run"]["id"],
    }


def _agreement(subject: Subject, session: Session, tell_: Tell) -> dict[str, Any]:
    """Compare the exported model with the stored predictions, on up to AGREEMENT test images.

    Training keeps activations in half precision, so probabilities may differ by some thousandths.
    """
    images = [
        image
        for image, part in zip(subject.report.images, subject.report.parts, strict=True)
        if part == "test"
    ]
    images = sorted(images)[:AGREEMENT]
    if not images:
        return {"n": 0}
    place = {image: number for number, image in enumerate(subject.report.images)}
    stored = subject.report.probabilities[[place[image] for image in images]]
    found = np.concatenate(
        [session.say(pixels)[1] for pixels in read_batches(subject, images, tell_, STEPS[2])]
    )
    same = float((found.argmax(1) == stored.argmax(1)).mean())
    return {"n": len(images), "same_class": same, "largest_difference": float(np.abs(found - stored).max())}


def _make_int8(
    subject: Subject, folder: Path, session: Session, header: dict[str, str], pixels: Any, tell_: Tell
) -> dict[str, Any]:
    """Write the int8 model and its answers to the golden inputs; return what it costs and gains."""
    path = folder / "model-int8.onnx"
    calibration = draw_calibration(subject)
    quantise(folder / "model.onnx", path, read_batches(subject, calibration, tell_, STEPS[3]), header)
    small = Session(path)
    expected = read_json(folder / "golden" / "expected.json")
    for case, row in zip(expected["cases"], small.say(pixels)[0], strict=True):
        case["int8"] = [float(p) for p in row]
    write_json(folder / "golden" / "expected.json", expected)
    sizes = {"mb_float": (folder / "model.onnx").stat().st_size / 1e6, "mb_int8": path.stat().st_size / 1e6}
    return {
        **measure(subject, (session, small), tell_),
        **sizes,
        "calibrated_on_training_images": len(calibration),
    }
