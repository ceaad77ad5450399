"""New run: what shall it learn, and how?"""

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from pages.ui.forms import knob_form
from pages.ui.parts import card, missing, title
from pages.ui.stages import stage_strip
from pages.ui.state import choose, current_data, current_split, get_helper, get_lab, go, start_token
from pages.ui.text import duration, escape, percent, plural, size
from pages.ui.views import preview
from transfer_core.data.augment import AUGMENTATIONS, get_augmentation
from transfer_core.data.images import GEOMETRIES
from transfer_core.errors import UserError
from transfer_core.knobs import get_knobs
from transfer_core.models.backbones import BACKBONES, get_backbone
from transfer_core.models.device import list_devices
from transfer_core.models.weights import download_weights, find_weights, missing_weights_message
from transfer_core.strategies import STRATEGIES, get_strategy
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

lab = get_lab()
manifest = current_data()
if manifest is None:
    title("What shall it learn, and how?")
    missing("There is no data set yet.", "Bring images", "study/data.py")
    st.stop()
split = current_split(manifest)
if split is None:
    title("What shall it learn, and how?")
    missing("It is not yet decided which images it is tested on.", "Choose the split", "study/split.py")
    st.stop()

# The run that is run again with changes; on another data set its settings mean nothing.
before = next(
    (run for run in lab.store.runs(manifest=manifest.id) if run.id == st.session_state.get("again")), None
)
first = before.spec if before else None
title("What shall it learn, and how?")
with st.container(key="wrap-page"):
    left, right = st.columns([5, 2], gap="large")


def backbone_card(key: str) -> None:
    """Show one backbone; the chosen one has a filled mark."""
    backbone = get_backbone(key)
    here = find_weights(backbone, lab.home) is not None
    with card(key, st.session_state["backbone"] == key):
        st.markdown(f"**{escape(backbone.title)}**")
        st.caption(escape(backbone.about))
        st.caption(
            f"**{backbone.parameters / 1e6:.1f} M** parameters · **{backbone.gflops:.2f}** GFLOPs  \n"
            f"**{percent(backbone.top1 / 100)}** right on ImageNet  \n{escape(backbone.licence)}"
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if here:
                st.badge("weights here", icon=":material/check:", color="green")
            else:
                st.badge(f"{backbone.weights.megabytes:.0f} MB", icon=":material/download:", color="gray")
            is_on = st.session_state["backbone"] == key
            label, icon = ("Chosen", ":material/radio_button_checked:") if is_on else ("Choose", None)
            if st.button(label, key=f"choose-{key}", icon=icon, disabled=is_on):
                st.session_state["backbone"] = key
                st.session_state.pop("cut", None)
                st.rerun()


with left:
    st.session_state.setdefault("backbone", first.backbone if first else "lite0")
    st.markdown("#### Backbone")
    shown = ["lite0", "lite2", "resnet50"]
    if st.session_state["backbone"] not in shown:
        shown[-1] = st.session_state["backbone"]
    with st.container(key="wrap-backbones"):
        for place, key in zip(st.columns(3), shown, strict=True):
            with place:
                backbone_card(key)
    with st.expander("More backbones"), st.container(key="wrap-more"):
        others = [each.key for each in BACKBONES if each.key not in shown]
        for start in range(0, len(others), 3):
            for place, key in zip(st.columns(3), others[start : start + 3], strict=False):
                with place:
                    backbone_card(key)
    backbone = get_backbone(st.session_state["backbone"])
    stages = len(backbone.stages)
    if find_weights(backbone, lab.home) is None:
        st.warning(missing_weights_message(backbone, lab.home), icon=":material/download:")
        if st.button("Download the weights now", icon=":material/download:"):
            bar = st.progress(0.0, f"Downloading {backbone.title}")
            download_weights(backbone, lab.home, lambda done, total: bar.progress(done / max(total, 1)))
            st.rerun()
        brought = st.file_uploader(
            "Or give the file", type=["safetensors", "pth"], key=f"weights-{backbone.key}"
        )
        if brought:
            with (
                st.spinner("Comparing every tensor", show_time=True),
                TemporaryDirectory(dir=lab.home) as folder,
            ):
                path = Path(folder) / Path(brought.name).name
                path.write_bytes(brought.getbuffer())
                note = get_helper().add_weights(backbone.key, path)
            st.session_state["receipt"] = f"The weights of {backbone.title} are here. {escape(note)}"
            st.rerun()

    st.markdown("#### Strategy")
    st.session_state.setdefault("strategy", first.strategy if first else "feature_extraction")
    for place, each in zip(st.columns(len(STRATEGIES)), STRATEGIES, strict=True):
        with place, card(each.name, st.session_state["strategy"] == each.name):
            st.markdown(f"**{each.title}**")
            st.caption(each.about)
            is_on = st.session_state["strategy"] == each.name
            label, icon = ("Chosen", ":material/radio_button_checked:") if is_on else ("Choose", None)
            if st.button(label, key=f"choose-{each.name}", icon=icon, disabled=is_on):
                st.session_state["strategy"] = each.name
                st.rerun()
    strategy = get_strategy(st.session_state["strategy"])

    st.markdown("#### Frozen stages")
    guess = make_spec(manifest, split, {"backbone": backbone.key, "strategy": strategy.name, "device": "cpu"})
    if strategy.chooses_cut:
        own = first.cut if first and first.backbone == backbone.key else guess.cut
        remembered = min(st.session_state.get("cut", own), stages)
        # The key keeps the slider the same one, or every second move would be lost.
        cut = st.slider("Freeze this many stages", 0, stages, remembered, key=f"cut-of-{backbone.key}-{split.id}",
                        help="Frozen stages keep what they learnt on ImageNet and are computed once.")  # fmt: skip
        st.session_state["cut"] = cut
    else:
        cut = stages
    stage_strip(backbone, cut, len(manifest.classes))

    st.markdown("#### Augmentation")
    names = [each.name for each in AUGMENTATIONS]
    augment = st.selectbox(
        "What may change without changing the class?",
        names,
        index=names.index(first.augment) if first else 0,
        format_func=lambda name: get_augmentation(name).title,
    )
    st.caption(get_augmentation(augment).help)
    preview(manifest, split, backbone, augment, "whole")

    with st.expander("Settings an expert may want", icon=":material/tune:"):
        wishes = {"strategy": strategy.name, "backbone": backbone.key, "cut": cut, "augment": augment}
        defaults = make_spec(manifest, split, wishes | {"device": "cpu"})
        common = [knob for knob in get_knobs(RunSpec) if knob.name not in ("cut", "geometry")]
        if not strategy.chooses_cut:
            common = [knob for knob in common if knob.name not in ("lr", "batch_size")]
        prefix = f"{strategy.name}-{backbone.key}-{augment}-{split.id}"
        own = first if first and (first.strategy, first.augment) == (strategy.name, augment) else defaults
        general = knob_form(common, {each.name: getattr(own, each.name) for each in common}, prefix)
        geometries, devices = list(GEOMETRIES), list_devices()
        at = geometries.index(first.geometry) if first else 0
        geometry = st.radio("Geometry", geometries, index=at, format_func=lambda each: GEOMETRIES[each])
        st.markdown(f"**{strategy.title}**")
        knobs = knob_form(get_knobs(strategy), own.knobs, f"{prefix}-knob")
        at = devices.index(first.device) if first and first.device in devices else 0
        device = st.selectbox("Device", devices, index=at)
        cache = st.toggle("Keep the frozen part's results (activation cache)", first.cache if first else True)
    wishes |= general | {"knobs": knobs, "geometry": geometry, "device": device, "cache": cache}

try:
    spec = make_spec(manifest, split, wishes)
except UserError as error:
    right.error(escape(error), icon=":material/error:")
    st.stop()

plan = lab.plan(spec, manifest, split)
n_train = sum(split.receipt.counts["train"].values())
with right, st.container(border=True):
    st.markdown("#### Summary")
    st.markdown(
        f"Trains **{plan.trained:,}** of {plan.total:,} parameters on **{plural(n_train, 'image')}**."
    )
    when = f"About **{duration(plan.seconds)}** on {spec.device}." if plan.seconds else (
        "How long it takes is known after the first run with this backbone; the live page says it from the first epoch on."
    )  # fmt: skip
    st.markdown(when)
    if plan.bytes and cut:
        st.markdown(f"The frozen part is computed once and kept: {size(plan.bytes)}.")
    tested = sum(split.receipt.counts["test"].values())
    st.markdown(f"Tested on {plural(tested, 'unseen image')}, split by {split.rule}.")
    name = st.text_input("Name of the run", placeholder="optional")
    ready = find_weights(backbone, lab.home) is not None
    if st.button(
        "Start training", type="primary", icon=":material/play_arrow:", width="stretch", disabled=not ready
    ):
        token = start_token(spec.id)
        run = lab.start(spec, name=name, token=token, parent=before.id if before else None)
        st.session_state.pop("again", None)
        choose(run=run.id)
        go("train/live.py")
    queued = [
        run for run in lab.store.runs(states=("queued", "running", "stopping")) if run.device == spec.device
    ]
    if queued:
        st.caption(f"{plural(len(queued), 'run')} on {spec.device} before this one; it starts by itself.")
