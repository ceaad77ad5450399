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
    if run.state == "done" or not run.result:
        return None
    if run.spec.networks > 1:
        return (
            f"Stopped before all {run.spec.networks} networks were trained; what there was of them is kept."
        )
    return f"Stopped after {run.result['epoch']} of {run.spec.total_epochs} epochs; the best of them is kept."


def on_both_sides(split: Split) -> str | None:
    """Say that images of one group stand on both sides of a split by image; None where none do."""
    shared = split.receipt.groups_shared
    if split.rule != "image" or not shared:
        return None
    groups = "1 group" if shared == 1 else f"{shared:,} groups"
    return f"Images of {groups} were on both sides, so these figures may be too good for new groups. A split by group tells."
