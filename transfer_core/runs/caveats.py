"""What makes a run's figures worth less than they look; said wherever they stand."""

from __future__ import annotations

from transfer_core.data.split import Split
from transfer_core.runs.run import Run


def caveats(run: Run, split: Split) -> list[str]:
    """Return the sentences about a finished run, none where nothing speaks against its figures."""
    mended = (run.result or {}).get("mended")
    return [each for each in (cut_short(run), mended, on_both_sides(split)) if each]


def cut_short(run: Run) -> str | None:
    """Say that a run was ended before its time; None where it was not."""
    if not (far := _how_far(run)):
        return None
    kept = "what there was of them is kept" if run.spec.networks > 1 else "the best of them is kept"
    return f"{far[0].upper()}{far[1:]}; {kept}."


def without(run: Run) -> str:
    """Return what a run's twin goes without, in words."""
    return "adaptation" if run.spec.target else "the unlabelled images"


def no_twin(run: Run) -> str:
    """Say of a run whose twin diverged before it had a model that nothing is known, and what to do."""
    return (
        f"Not known: the same run without {without(run)} diverged, which means that its loss stopped being a number, and "
        "trained again it would diverge again. Run both with a lower learning rate."
    )


def compared_as_they_stand(run: Run, twin: Run | None) -> list[str]:
    """Say which of a run and its twin was ended before its time."""
    told = ((run, "This run"), (twin, f"The run without {without(run)}"))
    return [
        f"{name} {'was ' * (not _diverged(each))}{far} and is compared as it stands."
        for each, name in told
        if each and (far := _how_far(each))
    ]


def _how_far(run: Run) -> str:
    if run.state == "done" or not run.result:
        return ""
    how = "diverged (its loss stopped being a number)" if _diverged(run) else "stopped"
    if run.spec.networks > 1:
        return f"{how} before all {run.spec.networks} networks were trained"
    return f"{how} after {run.result['epoch']} of {run.spec.total_epochs} epochs"


def _diverged(run: Run) -> bool:
    return (run.result or {}).get("reason") == "diverged"


def on_both_sides(split: Split) -> str | None:
    """Say that images of one group stand on both sides of a split by image; None where none do."""
    shared = split.receipt.groups_shared
    if split.rule != "image" or not shared:
        return None
    groups = "1 group" if shared == 1 else f"{shared:,} groups"
    return f"Images of {groups} were on both sides, so these figures may be too good for new groups. A split by group tells."
