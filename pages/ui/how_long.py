"""How long a run will take, as New run says it: from runs like it, else from a trial on this machine, else that it is not known."""

from __future__ import annotations

import threading
from contextlib import suppress

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui.patience import patiently
from pages.ui.state import get_helper, get_lab
from pages.ui.text import duration, span
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.runs.run import ACTIVE
from transfer_core.strategies import get_strategy
from transfer_core.training.spec import RunSpec

LATER = "How long it takes is known after the first run with this backbone; the live page says it from the first epoch on."
_ONE = threading.Lock()  # two trials at once would measure half a machine each


def say_how_long(
    place: DeltaGenerator,
    spec: RunSpec,
    manifest: Manifest,
    split: Split,
    seconds: float | None,
    *,
    ready: bool,
) -> None:
    """Say it in `place`; `seconds` as earlier runs tell, `ready` where the run could start.

    Called last on a page: where nothing is known the machine is tried out, and whoever goes on meanwhile does not wait.
    """
    if seconds:
        place.markdown(_words(spec, duration(seconds)))
        return
    found = get_lab().forecast(spec, manifest, split)
    if found is None and ready and _may_try(spec):
        place.markdown(":material/timer: Measuring how long it takes")
        _try_out(spec, manifest, split)
        found = get_lab().forecast(spec, manifest, split)
    place.markdown(_words(spec, span(*found), " (measured for two seconds)") if found else LATER)


def _words(spec: RunSpec, time: str, how: str = "") -> str:
    cost = get_strategy(spec.strategy).cost
    if cost:
        return f"Fine-tuning would take about {time} on {spec.device}{how}; this: {cost}."
    return f"About **{time}** on {spec.device}{how}."


def _may_try(spec: RunSpec) -> bool:
    """Tell whether nothing trains now, and the same was not tried in vain before."""
    return _kind(spec) not in st.session_state.get("tried", ()) and not get_lab().store.runs(states=ACTIVE)


def _kind(spec: RunSpec) -> tuple[str, str, int, int]:
    return spec.device, spec.backbone, spec.make_backbone().size, spec.cut


def _try_out(spec: RunSpec, manifest: Manifest, split: Split) -> None:
    lab, helper, left = get_lab(), get_helper(), threading.Event()

    def measure() -> None:
        with _ONE:  # somebody may have measured the same meanwhile; for who has left, it is too late
            if not left.is_set() and lab.forecast(spec, manifest, split) is None:
                helper.try_out(spec, lab.stored(spec, manifest))

    try:
        with suppress(UserError):  # an estimate is never needed
            patiently(measure)
    finally:
        left.set()
    st.session_state.setdefault("tried", set()).add(_kind(spec))
