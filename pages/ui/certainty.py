"""Whether the probabilities of a run mean what they say, and what its prediction sets hold."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.text import between, percent, plural
from transfer_core.evaluation.calibrate import reliability
from transfer_core.evaluation.cases import Cases, Numbers
from transfer_core.evaluation.decision import Decision, Floats
from transfer_core.evaluation.summary import tell_sets


def show_calibration(
    run: str, decision: Decision, probabilities: Floats, truth: Numbers, cases: Cases
) -> None:
    """Show how sure it is against how often it is right, as trained and with the temperature of validation images."""
    box = st.expander(
        "Do the probabilities mean what they say?",
        icon=":material/balance:",
        on_change="rerun",
        key="calibration",
    )
    if not box.open:
        return
    from transfer_core.figures import reliability_diagram  # plotly is slow to import

    unseen = len(cases.truth) > 0
    chances, labels = (cases.probabilities, cases.truth) if unseen else (probabilities, truth)
    before, after = reliability(chances, labels), reliability(decision.calibrated(chances), labels)
    kind = "unseen" if unseen else "validation"
    with box:
        st.markdown(
            f"Of images that it calls 80 % sure, 80 of 100 should be right. One number, the temperature "
            f"**{decision.temperature:.2f}**, fitted on {plural(decision.images, 'validation image')}, makes it "
            f"{'less' if decision.temperature > 1 else 'more'} sure throughout; the class that is likeliest stays the same. "
            f"Mean gap between sureness and truth (expected calibration error) on {plural(len(labels), f'{kind} image')}: "
            f"**{100 * before.error:.1f}** points as trained, **{100 * after.error:.1f}** points calibrated."
        )
        show_chart(
            reliability_diagram(before, after),
            alt="Accuracy against confidence, before and after calibration",
        )  # fmt: skip


def show_sets(decision: Decision, calibrated: Floats, cases: Cases, *, grouped: bool) -> None:
    """Show how large the prediction sets in use are and how often they hold the true class; `grouped`: by whole groups."""
    box = st.expander("Prediction sets", icon=":material/data_array:", on_change="rerun", key="sets")
    if not box.open:
        return
    with box:
        wanted = percent(decision.wishes.coverage, 0)
        if decision.set_threshold == 0:
            need = int(np.ceil(decision.wishes.coverage / (1 - decision.wishes.coverage) - 1e-9))
            st.warning(
                f"{decision.units} are too few to promise {wanted}: {need} are needed. Until then "
                "every set holds all classes.",
                icon=":material/warning:",
            )
            return
        chances = decision.calibrated(cases.probabilities) if len(cases.truth) else calibrated
        sets = decision.sets(chances)
        sizes = sets.sum(1)
        st.markdown(
            f"A class is in the set from a probability of {percent(decision.set_threshold)}. On {plural(len(sets), 'image')}, "
            f"{percent(float((sizes == 1).mean()))} get one class, the others {sizes[sizes > 1].mean() if (sizes > 1).any() else 0:.1f} on "
            "average: between those, look."
        )
        if len(cases.truth):
            holds = sets[np.arange(len(sets)), cases.truth]
            told = tell_sets(decision, cases, grouped=grouped)
            st.markdown(
                f"Asked for {wanted}; on {plural(len(holds), 'unseen image')} the set held the true class in "
                f"**{percent(told['held'])}** ({between(told['held_ci'])})."
            )
            table = [
                {"Class": name, "In the set when true": percent(float(holds[cases.truth == number].mean())),
                 "n": int((cases.truth == number).sum())}
                for number, name in enumerate(cases.classes) if (cases.truth == number).any()
            ]  # fmt: skip
            config = {"In the set when true": st.column_config.TextColumn(alignment="right")}
            st.dataframe(table, hide_index=True, column_config=config, alt="How often sets hold each class")
            st.caption("The promise is for all images together; a class of its own may be held less often.")
