"""A run's bundle on the page: how far it is, what its self-test found, and its files."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.ui.state import get_packer
from pages.ui.text import duration, escape, size
from transfer_core.bundle.readme import int8_words
from transfer_core.runs.run import Run
from transfer_core.runs.take_home import Packed

CONTENTS = (
    "the model as **ONNX**, from pixels to calibrated probabilities, and its weights as **safetensors**",
    "classes, thresholds, temperature, prediction sets, and the hash of the data set, for programs",
    "**model card** and **report** (HTML and PDF), which need no network",
    "a script that runs it with numpy and ONNX Runtime alone, and **golden inputs** with expected answers",
)


@st.fragment(run_every=0.5)
def show_progress(run: str) -> None:
    """Show how far the bundle is; when it is over, draw the page anew."""
    packer = get_packer()
    if not packer.is_working(run):
        st.rerun()
    now = packer.standing(run)
    counted = f": {now['done']:,} of {now['total']:,} images" if now["total"] else ""
    counted += f", {duration(packer.seconds(run))} so far"
    share = now["done"] / now["total"] if now["total"] else 0.0
    with st.container(border=True):
        st.markdown("#### Putting the bundle together")
        st.progress(share, f"{now['doing']}{counted}")
        st.caption(
            "It goes on by itself: you may leave this page. It ends with a self-test of what was written."
        )


def show_packed(run: Run, packed: Packed) -> None:
    """Show a bundle that is ready: the self-test first, then its files."""
    receipt, verdict = packed.receipt, packed.receipt["verdict"]
    with st.container(border=True):
        st.markdown("#### Your bundle is ready")
        st.success(
            "Self-test passed: asked the same, the exported model and the original give the same probabilities, to "
            "less than 0.0001.",
            icon=":material/verified:",
        )
        agreement = receipt["agreement_with_report"]
        if agreement["n"]:
            st.markdown(
                f"The exported model says the same class as the report on {100 * agreement['same_class']:.0f} % of "
                f"{agreement['n']} test images; a probability differs by at most {max(agreement['largest_difference'], 1e-4):.4f}."
            )
        if receipt["int8"]:
            st.markdown(f"**Smaller model:** {escape(int8_words(receipt['int8']))}")
        golden = receipt["golden"]["images"]
        st.caption(
            (f"It holds {golden} test images" if golden else "It holds no image of the data set")
            + (
                ", with file and group names."
                if receipt["options"]["names"]
                else ", and no file or group names."
            )
            + f" Made {escape(receipt['made'][:10])}."
        )
        with st.container(horizontal=True):
            st.download_button(
                f"Download ({size(packed.path.stat().st_size)})", packed.path.read_bytes, f"transfer-lab-{run.id}.zip",
                "application/zip", type="primary", icon=":material/download:", on_click="ignore",
            )  # fmt: skip
            for label, name, kind in (
                ("Report (HTML)", "report.html", "text/html"),
                ("Report (PDF)", "report.pdf", "application/pdf"),
            ):
                st.download_button(
                    label, partial(packed.read, name), f"{run.id}-{name}", kind, icon=":material/description:",
                    on_click="ignore",
                )  # fmt: skip
        with st.expander("What the self-test looked at", icon=":material/checklist:"):
            st.markdown(
                "\n".join(
                    f"- **{escape(each['name'])}**: {escape(each['found'])}" for each in verdict["checks"]
                )
            )
            st.caption(
                "Anyone can repeat it: `transfer-lab verify FOLDER`. To be sure that a copy is this one, compare the "
                f"bundle's number: {escape(verdict['bundle_id'])}"
            )
        card = st.expander("Model card", icon=":material/badge:", on_change="rerun", key=f"card-{run.id}")
        if card.open:
            with card:
                st.markdown(_smaller(packed.read("model_card.md").decode()))


def _smaller(card: str) -> str:
    """Return a model card whose headings fit into a page."""
    return "\n".join(f"###{line}" if line.startswith("#") else line for line in card.splitlines())
