"""Real scans through a real browser: DICOM and 16-bit TIFF, from the folder to a prediction."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
import tifffile

from tests.browser.serving import Server
from tests.browser.test_journey import press, settled, until
from transfer_core.data.library import Library

pytestmark = [
    pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore::UserWarning")
]  # fmt: skip
NAME = "Mustermann^Erika"


def scans(kind: str) -> dict[str, bytes]:
    """Twelve variations of a CT slice, and of an MR slice, that pydicom ships: as they are, or as 16-bit TIFF."""
    found = {}
    for label, source in (("chest", "CT_small.dcm"), ("head", "MR_small.dcm")):
        dataset = pydicom.dcmread(Path(pydicom.data.__file__).parent / "test_files" / source)
        values = dataset.pixel_array
        for number in range(12):
            turned = np.roll(values, 5 * number, axis=number % 2).copy()
            out = io.BytesIO()
            if kind == "tif":
                tifffile.imwrite(out, (turned.astype(int) - values.min()).astype(np.uint16))
            else:
                dataset.PatientName, dataset.PatientID = NAME, f"{label}-{number // 2}"
                dataset.PixelData = turned.astype(values.dtype).tobytes()
                dataset.save_as(out)
            found[f"{label}/{number:02d}.{kind}"] = out.getvalue()
    return found


@pytest.mark.parametrize("kind", ["dcm", "tif"])
def test_scans_from_the_folder_on(server: Server, page: Any, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "scans"
    for name, data in scans(kind).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    page.goto(server.address)
    page.locator("input.dir").set_input_files(str(folder))
    page.get_by_role("heading", name="scans").wait_for()
    library = Library(server.home)
    manifest = library.get(library.datasets()[0].id)
    assert len(manifest.rows) == 24
    assert len(manifest.groups) == (12 if kind == "dcm" else 0)  # a patient is a group
    if kind == "tif":  # from here on a scan is an image like any other
        return
    press(page, "Continue to the split")
    page.get_by_text("Receipt").wait_for()
    press(page, "Continue to training")
    page.get_by_text("Summary").wait_for()
    press(page, "Start training")
    until(lambda: any(run.result for run in server.store.runs()), "no report")
    page.goto(f"{server.address}/predict")
    settled(page)
    page.set_input_files("input.many", str(folder / f"chest/03.{kind}"))
    page.get_by_role("button", name="All as CSV").wait_for()
    picture = page.locator("[data-testid=stImage] img").first
    picture.wait_for()
    assert picture.evaluate("each => each.naturalWidth") >= 64
    kept = b"".join(path.read_bytes() for path in server.home.rglob("*") if path.is_file())
    assert NAME.encode() not in kept
