"""New run: what shall it learn, and how?"""

import streamlit as st

from pages.ui.choices import pick_backbone, pick_strategy
from pages.ui.contest import contest
from pages.ui.form_memory import recall_form, remember_form
from pages.ui.how_long import say_how_long
from pages.ui.parts import missing, title
from pages.ui.settings import ask_settings
from pages.ui.stages import stage_strip
from pages.ui.state import choose, current_data, current_split, get_lab, go, start_token
from pages.ui.sweep import show_sweep
from pages.ui.text import escape, plural, size
from pages.ui.views import preview
from transfer_core.data.augment import AUGMENTATIONS, get_augmentation
from transfer_core.errors import UserError
from transfer_core.models.weights import find_weights
from transfer_core.training.labels import choose_auxiliary
from transfer_core.training.rules import make_spec, twin_spec, unmet_need

lab = get_lab()
manifest = current_data("What shall it learn, and how?")
if manifest is None:
    title("What shall it learn, and how?")
    missing("There is no data set yet.", "Bring images", "study/data.py")
    st.stop()
split = current_split(manifest)
if split is None:
    title("What shall it learn, and how?")
    missing("It is not yet decided which images it is tested on.", "Choose the split", "study/split.py")
    st.stop()

recall_form()
# The run that is run again with changes; on another data set its settings mean nothing.
before = next(
    (run for run in lab.store.runs(manifest=manifest.id) if run.id == st.session_state.get("again")), None
)
first = before.spec if before else None
title("What shall it learn, and how?")
with st.container(key="wrap-page"):
    left, right = st.columns([5, 2], gap="large")


with left:
    backbone = pick_backbone(first)
    strategy = pick_strategy(first, manifest, split, backbone)
    stages = len(backbone.stages)

    st.markdown("#### Frozen stages")
    strip = st.container()
    guess = make_spec(manifest, split, {"backbone": backbone.key, "strategy": strategy.name, "device": "cpu"})
    if strategy.freezes == "chosen":
        same = first and (first.backbone, first.strategy) == (backbone.key, strategy.name)
        own = first.cut if first and same else guess.cut
        remembered = min(st.session_state.get("cut", own), stages)
        # The key keeps the slider the same one, or every second move would be lost; another strategy has its own.
        cut = st.slider(
            "Freeze this many stages", 0, stages, remembered, key=f"cut-of-{backbone.key}-{strategy.name}-{split.id}",
            help="Frozen stages keep what they learnt on ImageNet and are computed once.",
        )  # fmt: skip
        st.session_state["cut"] = cut
    else:
        cut = guess.cut
    with strip:
        stage_strip(backbone, cut, len(manifest.classes))

    st.markdown("#### Augmentation")
    names = [each.name for each in AUGMENTATIONS if strategy.can_learn_from(each.views, mixes=each.mixes)]
    wanted = st.session_state.get("augment", first.augment if first else guess.augment)
    key = f"augment-of-{strategy.name}-{split.id}"
    st.session_state.setdefault(key, wanted if wanted in names else guess.augment)
    augment = st.selectbox(
        "What may change without changing the class?", names, format_func=lambda name: get_augmentation(name).title,
        key=key, on_change=lambda: st.session_state.update(augment=st.session_state[key]),
    )  # fmt: skip
    st.caption(get_augmentation(augment).help)
    if wanted not in names:
        st.caption(
            f":material/info: {strategy.title} cannot learn with *{get_augmentation(wanted).title}*, so this was taken instead."
        )
    preview(manifest, split, backbone, augment, "whole")

    wishes = {"strategy": strategy.name, "backbone": backbone.key, "cut": cut, "augment": augment}
    wishes, unusual = ask_settings(manifest, split, wishes, first)
    remember_form()

try:
    spec = make_spec(manifest, split, wishes)
except UserError as error:
    right.error(escape(error), icon=":material/error:")
    st.stop()

with left:
    contest(manifest, split, wishes)
    show_sweep(manifest, split, wishes)
plan = lab.plan(spec, manifest, split)
n_train = sum(split.receipt.counts["train"].values())
needed = unmet_need(spec.make_strategy(), manifest, split, backbone, spec.cut)
with right, st.container(border=True, key="summary"):
    st.markdown("#### Summary")
    trained = (
        f"Trains **{plan.trained:,}** of {plan.total:,} parameters"
        if plan.trained
        else "Trains nothing: takes class means"
    )
    st.markdown(f"{trained} on **{plural(n_train, 'image')}**.")
    when = st.empty()
    if plan.bytes and cut:
        st.markdown(f"The frozen part is computed once and kept: {size(plan.bytes)}.")
    tested = sum(split.receipt.counts["test"].values())
    how = (
        f"from {escape(split.train_domain or 'the others')} to {escape(split.test_domain)}"
        if split.rule == "transfer"
        else f"split by {split.rule}"
    )
    bare = split.unlabelled(manifest).get("test", 0)
    if tested:
        st.markdown(f"Tested on {plural(tested, 'unseen image')}, {how}.")
    else:
        st.markdown(
            f"The {plural(bare, 'unseen image')} have no labels, {how}: the report offers to label some."
        )
    if unusual:
        st.markdown(f"Not as usual: {escape(', '.join(unusual))}.")
    own = spec.make_strategy()
    if not needed and hasattr(own, "auxiliary") and not split.new_classes:
        st.markdown(f"Second question: **{escape(choose_auxiliary(manifest, own.auxiliary))}**.")
    if twin_spec(spec, split):
        what = "adaptation" if split.rule == "transfer" else "the unlabelled images"
        st.markdown(
            f"The same run **without {what}** is trained as well, to see whether it helps; that takes time of its own."
        )
    name = st.text_input("Name of the run", placeholder="optional")
    if needed:
        st.warning(escape(needed), icon=":material/warning:")
    ready = find_weights(backbone, lab.home) is not None and not needed
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
say_how_long(when, spec, manifest, split, plan.seconds, ready=ready)  # last: it may take some seconds
