"""The README of a bundle: what is in it, and how to use it with nothing but numpy and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer_core.bundle.document import Block, Bullets, Heading, Table, Text, to_markdown
from transfer_core.bundle.story import headline
from transfer_core.bundle.subject import Subject
from transfer_core.evaluation.words import percent

USE = """```
pip install onnxruntime numpy
python predict.py --check
```

answers the golden inputs and compares: it must end with `passed`. Image files need Pillow besides:

```
pip install pillow
python predict.py IMAGE [IMAGE ...]
```

prints one line of JSON for each image: the class, its probability, the prediction set, whether it should go to a person.

`to_a_person` goes by the probability alone. Whether an image is unlike the training images is told by the app only: here
such an image gets a class, perhaps with `"to_a_person": false`, where the app would send it to a person.
"""
CALL = """```python
import json, numpy as np, onnxruntime
from predict import decide, prepare
from pathlib import Path

bundle = json.loads(Path("bundle.json").read_text(encoding="utf-8"))
model = onnxruntime.InferenceSession("model.onnx")
pixels = prepare(Path("image.png"), bundle)[None]        # uint8 [images, 3, size, size], RGB
probabilities, features = model.run(["probabilities", "features"], {"pixels": pixels})
print(decide(probabilities.astype(np.float64), bundle))
```
"""
FILES = (
    ("model.onnx", "pixels to probabilities; normalisation, views and temperature are inside"),
    ("model-int8.onnx", "the same in 8-bit integers: smaller; what it costs stands below"),
    ("model.safetensors", "the weights alone, for PyTorch; numbers only, cannot run code"),
    (
        "bundle.json",
        "classes, input, thresholds, temperature, prediction sets, data set, sha-256 of every file",
    ),
    ("predict.py", "a short script that reads images as training did and decides as was decided"),
    ("golden/", "inputs with expected answers"),
    ("model_card.md", "what it is for, how well it does, where it ends"),
    ("report.html, report.pdf", "the same with figures; no network is needed"),
    ("predictions.csv", "what it said of every image of the data set, by hash: calibrated, and as trained"),
)


def tell(subject: Subject, about: Mapping[str, Any]) -> str:
    """Return the README as Markdown."""
    how, rule = about["input"], about["decision"]
    first: list[Block] = [
        Heading(subject.name, 1),
        Text(headline(subject.test) + " See model_card.md."),
        *(Text(each, warning=True) for each in subject.caveats),
        Heading("Use it"),
    ]
    files = [each for each in FILES if "int8" not in each[0] or "int8" in about]
    rest: list[Block] = [
        Heading("What is here"),
        Table(("File", "What it is"), files, words=True),
        Heading("What goes in, what comes out"),
        Bullets(
            [
                f"In: pixels, uint8 [images, 3, {how['size']}, {how['size']}], RGB, 0 to 255. From an image: upright (EXIF), "
                f"RGB, geometry {how['geometry']}, {how['interpolation']} as in Pillow.",
                "Out: probabilities (calibrated), plain (before calibration), features.",
                f"Classes, in order: {', '.join(about['classes'])}.",
                f"A class is in the prediction set from a probability of {rule['set_threshold']:.4f}, for a coverage of "
                f"{percent(rule['coverage'], 0)}."
                + (" Not promised here: images of another domain." if rule["shifted"] else ""),
                "Images of more than 8 bits are brought to 8 by the black and white in bundle.json (input, reading); DICOM "
                "and HEIC are read by the app only.",
            ]
        ),
        *_int8(about),
        Heading("Check it"),
        Text("With the app: transfer-lab verify FOLDER compares all files, and PyTorch with ONNX Runtime."),
    ]
    return f"{to_markdown(first)}\n{USE}\nFrom Python:\n\n{CALL}\n{to_markdown(rest)}"


def _int8(about: Mapping[str, Any]) -> list[Block]:
    if "int8" not in about:
        return []
    return [Heading("The int8 model"), Text(int8_words(about["int8"]))]


def int8_words(int8: Mapping[str, Any]) -> str:
    """Return in one sentence or two what the int8 model costs and gains."""
    speed = int8["ms_float"] / max(int8["ms_int8"], 1e-9)
    pace = (
        f"{speed:.1f} times as fast"
        if speed >= 1.05
        else "no faster"
        if speed >= 0.95
        else f"slower ({speed:.2f} times the speed)"
    )
    gain = (
        f"{int8['mb_int8']:.1f} MB instead of {int8['mb_float']:.1f} MB, and {pace} here ({int8['ms_int8']:.1f} ms an image "
        f"instead of {int8['ms_float']:.1f} ms; {int8['machine']})."
    )
    if not int8["n"]:
        return f"{gain} What it costs could not be measured: no test image has a label."
    low, high = (100 * end for end in int8["difference_ci"])
    return (
        f"{gain} On {int8['n']:,} test images it is right on {percent(int8['accuracy_int8'])} instead of "
        f"{percent(int8['accuracy_float'])}, and says the same class on {percent(int8['same_class'])}; balanced accuracy changes "
        f"by {100 * int8['balanced_accuracy_difference']:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, "
        f"{int8['resampled']} resampled)."
    )
