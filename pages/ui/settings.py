"""The settings of a run that an expert may want, in one expander; what was changed there stays changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from pages.ui.forms import knob_form
from transfer_core.data.augment import get_augmentation
from transfer_core.data.images import GEOMETRIES
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.knobs import Knob, Value, get_knobs
from transfer_core.models.backbones import get_backbone
from transfer_core.models.device import list_devices
from transfer_core.strategies import get_strategy
from transfer_core.training.labels import confidence_columns, further_labels
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

PLACE = "settings-"  # what a session remembers of these forms begins with it


def ask_settings(
    manifest: Manifest, split: Split, wishes: Mapping[str, Any], first: RunSpec | None
) -> tuple[dict[str, Any], list[str]]:
    """Show the expander for a run as wished so far; return all wishes, and what is not as usual, in words.

    `first` is the run that is run again with changes.
    """
    strategy, augment = get_strategy(wishes["strategy"]), wishes["augment"]
    special = _own_knobs(wishes["strategy"], manifest, split)
    # Open where something has to be said: how many labels of the target, or which label is the second question.
    asked = any(each.name == "auxiliary" for each in special) or (
        bool(split.new_classes) and strategy.takes_other_classes
    )
    with st.expander("Settings an expert may want", icon=":material/tune:", expanded=asked):
        usual = make_spec(manifest, split, {**wishes, "device": "cpu"})
        own = first if first and (first.strategy, first.augment) == (strategy.name, augment) else None
        place = f"{PLACE}{manifest.id}"
        prefix = f"{strategy.name}-{usual.backbone}-{augment}-{split.id}"
        common = _common_knobs(usual, manifest, split)
        general = settings_form(common, _general(usual), prefix, place, _general(own) if own else None)
        geometries, devices = list(GEOMETRIES), list_devices()
        at = geometries.index(first.geometry) if first else 0
        geometry = st.radio("Geometry", geometries, index=at, format_func=lambda each: GEOMETRIES[each])
        st.markdown(f"**{strategy.title}**")
        special_place = f"{place}-{strategy.name}"
        knobs = settings_form(
            special, usual.knobs, f"{prefix}-knob", special_place, own.knobs if own else None
        )
        at = devices.index(first.device) if first and first.device in devices else 0
        device = st.selectbox("Device", devices, index=at)
        cache = st.toggle("Keep the frozen part's results (activation cache)", first.cache if first else True)
        unusual = changed(common, place) + changed(special, special_place)
        if unusual and not own:
            st.button("Back to the usual settings", icon=":material/undo:", on_click=forget_settings,
                      args=(prefix, place))  # fmt: skip
    found = {**wishes, **general, "knobs": knobs, "geometry": geometry, "device": device, "cache": cache}
    return found, unusual


def _own_knobs(strategy: str, manifest: Manifest, split: Split) -> list[Knob]:
    """Return the settings of a strategy that mean something here; the second question among the labels there are."""
    knobs = list(get_knobs(get_strategy(strategy)))
    possible = further_labels(manifest) if not split.new_classes else []
    # First what has to be said before it can start.
    first = [
        replace(each, choices=tuple(possible))
        for each in knobs
        if each.name == "auxiliary" and len(possible) > 1
    ]
    first += [each for each in knobs if each.name == "target_labels" and split.new_classes]
    hidden = {"auxiliary", *(each.name for each in first)}
    if split.rule != "transfer":
        hidden.add("target_labels")
    return first + [each for each in knobs if each.name not in hidden]


def _common_knobs(usual: RunSpec, manifest: Manifest, split: Split) -> list[Knob]:
    """Return the general settings that mean something here."""
    hidden = {"cut", "geometry"}
    if not get_augmentation(usual.augment).is_symmetry:
        hidden.add("test_views")
    if not get_backbone(usual.backbone).can_resize:
        hidden.add("size")
    if split.rule != "transfer":  # without a target there is nothing else to choose by
        hidden.add("select")
    if get_strategy(usual.strategy).freezes != "chosen":
        hidden |= {"lr", "batch_size"}
    if get_strategy(usual.strategy).freezes == "all":
        hidden.add("networks")
    if not get_strategy(usual.strategy).mixes_at_cut:
        hidden.add("mixing")
    doubtful = confidence_columns(manifest) if get_strategy(usual.strategy).heeds_confidence else []
    if not doubtful or split.new_classes:
        hidden.add("label_confidence")
    return [
        replace(knob, choices=("", *doubtful)) if knob.name == "label_confidence" else knob
        for knob in get_knobs(RunSpec)
        if knob.name not in hidden
    ]


def _general(spec: RunSpec) -> dict[str, Value]:
    """Return the general settings of a spec, with the size that is meant where it names none."""
    size = spec.size or get_backbone(spec.backbone).size
    return {each.name: getattr(spec, each.name) for each in get_knobs(RunSpec)} | {"size": size}


def settings_form(
    knobs: Sequence[Knob],
    usual: Mapping[str, Value],
    prefix: str,
    place: str,
    first: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """Show knobs as `knob_form` does; what was changed stays changed when the form is drawn anew.

    It is drawn anew where the prefix changes (another augmentation, another backbone) and where the page is
    opened again. What nobody touched follows `usual`; `first` are the settings of a run to be changed.
    """
    if not knobs:
        return {}
    kept = st.session_state.setdefault(place, {})
    names = [knob.name for knob in knobs]
    if f"{prefix}-{names[0]}" not in st.session_state:
        own = {**usual, **(first or {}), **kept}
        # Fixed as long as the form stays: a widget whose first value changes is another widget.
        st.session_state[f"{place}-start"] = {name: own[name] for name in names}
    found = knob_form(knobs, st.session_state[f"{place}-start"], prefix)
    for name, value in found.items():
        kept.pop(name, None)
        if value != usual[name]:
            kept[name] = value
    return found


def forget_settings(*places: str) -> None:
    """Go back to the usual settings in forms of these places, of all places where none is named."""
    for key in list(st.session_state):
        name = str(key)
        if name.startswith(places or (PLACE,)):
            del st.session_state[key]


def changed(knobs: Iterable[Knob], place: str) -> list[str]:
    """Return in words what is not as usual in the form of a place."""
    return in_words(knobs, st.session_state.get(place, {}))


def in_words(knobs: Iterable[Knob], values: Mapping[str, Value]) -> list[str]:
    """Return the settings among `values` in words."""
    shown = ((knob, values[knob.name]) for knob in knobs if knob.name in values)
    return [
        f"{knob.label.lower()} {_show(value)}{' ' + knob.unit if knob.unit else ''}" for knob, value in shown
    ]


def _show(value: Value) -> str:
    return (
        ("no", "yes")[value]
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
