"""What an adaptation adds to a page: its health while it trains, and the verdict beside its twin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from pages.ui.state import choose, get_lab, go, run_again
from pages.ui.text import escape, percent
from transfer_core.evaluation.contest import Pair
from transfer_core.evaluation.pair_words import beside_twin, missing
from transfer_core.runs.caveats import compared_as_they_stand, no_twin, without
from transfer_core.runs.lab import default_name
from transfer_core.runs.run import Run
from transfer_core.strategies import TARGET, UNLABELLED, get_strategy
from transfer_core.training.events import EpochEnded
from transfer_core.training.health import Finding, called, check_health, list_parts, of_latest_network
from transfer_core.training.spec import RunSpec

ONCE = "Both were trained once: how another seed would do is not known."
SIGNALS = {  # validators -> in words
    "information_maximisation": "Sure and even predictions (information maximisation)",
    "soft_neighbourhood_density": "Similar images, same answer (neighbourhood density)",
    "class_share_agreement": "Classes as frequent as in the source",
}
ICONS = {"good": ":material/check_circle:", "note": ":material/info:", "warning": ":material/warning:"}


def show_health(run: Run, ends: Sequence[EpochEnded]) -> None:
    """Show in words how an adaptation does, of a run that is over at the epoch that was kept; nothing for other runs."""
    found, ends, shares = _look(run, ends)
    if not found:
        return
    adapts = _adapts(run)
    with st.container(border=True):
        what = _name_of(run) if adapts else "What it says of the target"
        kept = run.is_over and run.spec.networks == 1 and any(each.best for each in ends)
        when = f", at epoch {ends[-1].epoch}, which was kept" if kept else ""
        st.markdown(f"**{what}{when}**")
        for each in found:
            _say(each)
        _called(ends[-1], shares)
        with st.expander("What the loss is made of", icon=":material/functions:"):
            parts = list_parts(ends)
            table = {
                "Part": [each.name for each in parts],
                "At first": [f"{each.first:.3f}" for each in parts],
                f"Epoch {ends[-1].epoch}": [f"{each.now:.3f}" for each in parts],
                "What it means": [each.meaning for each in parts],
            }
            st.table(table, border="horizontal", hide_index=True)


def show_alarms(run: Run) -> None:
    """Say of a finished adaptation what its health panel warns of; nothing where it is well."""
    events = [each for _, _, each in get_lab().store.events(run.id, kinds=["EpochEnded"])]
    for each in _look(run, [each for each in events if isinstance(each, EpochEnded)])[0]:
        if each.level == "warning":
            _say(each)


def _say(found: Finding) -> None:
    colour = ":orange[{}]" if found.level == "warning" else "{}"
    st.markdown(f"{ICONS[found.level]} {colour.format(escape(found.text))}")


def _adapts(run: Run) -> bool:
    needs = get_strategy(run.spec.strategy).needs
    return run.spec.strategy != "source_only" and bool({TARGET, UNLABELLED} & set(needs))


def _name_of(run: Run) -> str:
    """Return what the panel is headed by: without a target domain nothing is adapted."""
    return "Health of the adaptation" if run.spec.target else "Health of the learning from unlabelled images"


def _look(
    run: Run, ends: Sequence[EpochEnded]
) -> tuple[list[Finding], Sequence[EpochEnded], dict[str, float]]:
    """Return what there is to say of a run, the epochs it is said by, and the shares of the source's classes."""
    split = get_lab().library.get_split(run.manifest, run.spec.split)
    counts = split.receipt.counts["train"]
    total = max(1, sum(counts.values()))
    shares = {} if split.new_classes else {name: count / total for name, count in counts.items()}
    ends = of_latest_network(ends, run.spec.networks)
    best = max((each.epoch for each in ends if each.best), default=None)
    if run.is_over and best and run.spec.networks == 1:
        ends = [each for each in ends if each.epoch <= best]  # the model that is there, not the last one seen
    return check_health(ends, shares, adapts=_adapts(run)), ends, shares


def _called(last: EpochEnded, shares: dict[str, float]) -> None:
    """Show how often each class is called on the target, beside its share in the source."""
    found = called(last, shares)
    if not found:
        return
    share = partial(st.column_config.ProgressColumn, format="%.0f %%", min_value=0, max_value=100)
    table = {
        "Class": list(found),
        "Called on the target": [100 * now for now, _ in found.values()],
        "In the source": [100 * own for _, own in found.values()],
    }
    columns = {name: share() for name in list(table)[1:]}
    st.dataframe(table, hide_index=True, width="stretch", column_config=columns)


def show_made_for(run: Run) -> None:
    """Say of an adapted model which images it is for; nothing of other models."""
    if get_lab().is_adapted(run):
        st.caption(
            f":material/info: Adapted to images like those of **{escape(run.spec.target)}**; on others it may do worse than "
            "the validation figures say."
        )


def show_verdict(run: Run) -> None:
    """Show whether adaptation helped, or what is missing to tell; nothing for other runs."""
    lab = get_lab()
    twin, lacking, diverged = lab.twin(run), lab.needs_twin(run), lab.diverged_twin(run)
    if not (twin or lacking or diverged):
        return
    with st.container(border=True):
        what = without(run)
        st.markdown(f"#### Did {what} help?")
        if diverged:
            st.markdown(no_twin(run))
            if st.button("Run again with changes", icon=":material/replay:"):
                run_again(run)
        elif twin is None:
            st.markdown(f"Not known: the same run without {what} is missing.")
        for each in compared_as_they_stand(run, twin):
            st.caption(f":material/info: {each}")
        if twin and (pair := lab.verdict(run)):
            _say_verdict(pair, what)
        elif twin:
            _not_yet(run, twin)
        if lacking:
            _offer_twin(run, lacking, twin, what)
        if twin and twin.result and st.button(f"See the run without {what}", icon=":material/open_in_new:"):
            choose(run=twin.id)
            go("results/report.py")


def _offer_twin(run: Run, lacking: RunSpec, twin: Run | None, what: str) -> None:
    """Offer to train a twin that is missing, or to go on with one that was stopped."""
    lab = get_lab()
    label = f"Train the run without {what} to its end" if twin else "Train it now"
    if st.button(label, icon=":material/play_arrow:"):
        name = f"{default_name(lacking)}, for comparison"
        started = lab.resume(twin.id) if twin else lab.start(lacking, name=name, parent=run.id)
        choose(run=started.id)
        go("train/live.py")


def _say_verdict(pair: Pair, what: str) -> None:
    figure = beside_twin(pair, what)
    if pair.verdict == "better":
        st.success(f"**Better.** {figure} {ONCE}", icon=":material/trending_up:")
    elif pair.is_harmful:
        sure = pair.verdict == "worse"
        word = "Worse." if sure else "It looks worse, which is not proven."
        advice = f"{ONCE} Use" if sure else "Harm is flagged before it is proven: to be safe, use"
        st.error(f"**{word}** {figure} {advice} the run without {what}.", icon=":material/trending_down:")
    else:
        lack = missing(pair)
        st.info(f"**Cannot tell.** {figure} {lack[0].upper()}{lack[1:]}.", icon=":material/balance:")


def _not_yet(run: Run, twin: Run) -> None:
    if not (twin.is_over and run.is_over):
        st.markdown(f"The same run without adaptation is needed for an answer; it is {escape(twin.state)}.")
        return
    own, other = get_lab().report(run), get_lab().report(twin)
    images = [row.image for row, _, _ in own.rows("test")]
    same = float((own.predicted(images) == other.predicted(images)).mean()) if images else 0.0
    st.info(
        "The target's test images have no labels, so this cannot be measured. "
        f"Both runs say the same on {percent(same)} of them. Label {len(get_lab().spot_check(run).images)} of them, and you "
        "will know.",
        icon=":material/help:",
    )
    _signals(run, twin)


def _signals(run: Run, twin: Run) -> None:
    """Show what can be seen without labels, of both runs side by side."""
    own, other = ((each.result or {}).get("target") or {} for each in (run, twin))
    if not own or not other:
        return
    shares = {name: f"Said to be {name.removeprefix('share ')}" for name in own if name.startswith("share ")}
    rows = {**SIGNALS, **shares}
    table = {
        "Without labels": list(rows.values()),
        "This run": [_signal(name, own.get(name)) for name in rows],
        "Without adaptation": [_signal(name, other.get(name)) for name in rows],
    }
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(
        "On the target's training images. Sure and even predictions, similar images with the same answer, and classes as frequent as "
        "in the source are good signs; none of them knows whether an answer is right."
    )


def _signal(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return percent(value) if name.startswith("share ") or name == "class_share_agreement" else f"{value:.2f}"
