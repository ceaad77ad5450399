"""Say what the model beside this file makes of images. Needs numpy and onnxruntime; Pillow only for image files.

python predict.py --check               the model against the answers it gave when it was exported
python predict.py IMAGE [IMAGE ...]     one line of JSON for each image
python predict.py PIXELS.npy            pixels that are prepared already: uint8 [n, 3, size, size], RGB
Add --int8 to use the smaller model where there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-4  # of a probability
FULL = (
    2**14
)  # an image of 16 bits that reaches this value uses them; 12 bits of a sensor in them would be nearly black
INT8_TOLERANCE = 0.02  # integer arithmetic differs a little between processors


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("files", nargs="*", help="images, or .npy files of prepared pixels")
    parser.add_argument("--check", action="store_true", help="compare with the expected answers")
    parser.add_argument("--int8", action="store_true", help="use model-int8.onnx")
    options = parser.parse_args(arguments)
    bundle = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    model = open_model("model-int8.onnx" if options.int8 else "model.onnx")
    if options.check or not options.files:
        return check(model, bundle, options.int8)
    failed = 0
    for name in options.files:
        try:
            pixels = read(Path(name), bundle)
        except (OSError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += 1
            continue
        for said in decide(ask(model, pixels)[0], bundle):
            print(json.dumps({"file": name, **said}, ensure_ascii=False))
    return 1 if failed else 0


def open_model(name: str) -> Any:
    """Open a model of this folder with ONNX Runtime on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(HERE / name), providers=["CPUExecutionProvider"])


def ask(model: Any, pixels: Pixels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Return calibrated probabilities [n, classes] and features [n, d] of prepared pixels [n, 3, s, s]."""
    chances, features = model.run(["probabilities", "features"], {"pixels": pixels})
    return chances.astype(np.float64), features


def decide(chances: npt.NDArray[np.float64], bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said of each image: class, prediction set, and whether it goes to a person.

    Of the classes that reach their threshold the one that exceeds it most, as a ratio; where none does, the likeliest
    of those without a threshold, or of all where every class has one.
    """
    classes, rule = bundle["classes"], bundle["decision"]
    limits = np.array([rule["thresholds"].get(name, np.inf) for name in classes])
    free = np.isinf(limits)
    answers = []
    for row in chances:
        ratio = row / limits
        rest = np.where(free, row, -1.0) if free.any() else row
        said = int(ratio.argmax() if (ratio >= 1).any() else rest.argmax())
        inside = (row >= rule["set_threshold"]) | np.isin(np.arange(len(row)), (row.argmax(), said))
        answers.append(
            {
                "class": classes[said],
                "probability": round(float(row[said]), 6),
                "set": [name for name, is_in in zip(classes, inside, strict=True) if is_in],
                "to_a_person": bool(row[said] < rule["refer_below"]),
                "probabilities": {name: round(float(p), 6) for name, p in zip(classes, row, strict=True)},
            }
        )
    return answers


def read(path: Path, bundle: dict[str, Any]) -> Pixels:
    """Return the pixels [n, 3, s, s] of an image file, prepared as in training, or of a .npy file as they are."""
    size = bundle["input"]["size"]
    if path.suffix.lower() != ".npy":
        return prepare(path, bundle)[None]
    pixels = np.load(path, allow_pickle=False)
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (3, size, size):
        raise ValueError(f"expected uint8 [n, 3, {size}, {size}], found {pixels.dtype} {list(pixels.shape)}")
    return np.asarray(pixels)


def prepare(path: Path, bundle: dict[str, Any]) -> Pixels:
    """Return an image as the model saw its training images: upright, RGB, square [3, size, size]."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ValueError("image files need Pillow: pip install pillow") from None
    how = bundle["input"]
    with Image.open(path, formats=("PNG", "JPEG", "TIFF", "BMP", "WEBP")) as opened:
        if opened.format == "TIFF" and max(np.ravel(opened.tag_v2.get(258, 8))) > 8 and opened.mode == "RGB":  # type: ignore[attr-defined]
            raise ValueError("colour images of 16 bits are not read here: save it with 8 bits")
        image = _to_rgb(ImageOps.exif_transpose(opened), how["reading"])
    resample = Image.Resampling[how["interpolation"].upper()]
    square = (how["size"], how["size"])
    if how["geometry"] == "whole":
        image = image.resize(square, resample)
    elif how["geometry"] == "pad":
        image = ImageOps.pad(image, square, resample, color=(128, 128, 128))
    else:  # centre
        image = ImageOps.fit(image, square, resample, bleed=0.0625)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _to_rgb(image: Any, reading: dict[str, Any]) -> Any:
    """Return 8-bit RGB: transparency over the background, more than 8 bits between the data set's black and white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if reading["low"] is None and (image.mode in ("I", "F") or values.max() < FULL):
            raise ValueError("the model's images had 8 bits, so nothing tells black from white in this one")
        low, high = (0.0, 65535.0) if reading["low"] is None else (reading["low"], reading["high"])
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        shares = np.clip((values - low) / max(high - low, 1e-30), 0, 1)
        return Image.fromarray(np.rint(shares * 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        shown = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, reading["background"]), shown).convert(
            "RGB"
        )
    return image.convert("RGB")


def check(model: Any, bundle: dict[str, Any], is_int8: bool) -> int:
    """Compare the model with the answers it gave when it was exported; return 0 where they agree, else 1."""
    golden = HERE / "golden"
    key, tolerance = ("int8", INT8_TOLERANCE) if is_int8 else ("probabilities", TOLERANCE)
    expected = json.loads((golden / "expected.json").read_text(encoding="utf-8"))
    with np.load(golden / "inputs.npz", allow_pickle=False) as stored:
        pixels = stored["pixels"]
    wanted = np.array([each[key] for each in expected["cases"]])
    gap = float(np.abs(ask(model, pixels)[0] - wanted).max())
    print(f"{len(pixels)} inputs: largest difference of a probability {gap:.1e} (at most {tolerance:.0e})")
    images = [golden / each["image"] for each in expected["cases"] if each["image"]]
    if images:
        try:
            off = max(
                int(np.abs(prepare(path, bundle).astype(int) - x).max())
                for path, x in zip(images, pixels, strict=True)
            )
            print(f"{len(images)} images: largest difference of a prepared pixel {off} (at most 1)")
        except ValueError as error:
            print(f"images not tried: {error}")
            off = 0
        gap = gap if off <= 1 else float("inf")
    passed = gap <= tolerance and expected["classes"] == bundle["classes"]
    print("passed" if passed else "FAILED: do not use this copy")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
