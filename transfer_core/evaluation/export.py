"""Taking a model home: the chosen weights, frozen and trained stages together, in one safe file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from transfer_core.files import atomic_path, set_usual_mode
from transfer_core.models.heads import bake
from transfer_core.models.model import Classifier


def export_weights(model: Classifier, path: Path, about: Mapping[str, str]) -> None:
    """Write all weights of a classifier as safetensors: `stages.<stage>...` and `heads.main...`.

    What only training needed is left out. `about` (text to text) stands in the file's header: classes,
    backbone, geometry, normalisation.
    """
    from safetensors.torch import save_file

    plain = copy.deepcopy(model)
    plain.extras.clear()
    bake(plain.stages)
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in plain.state_dict().items()}
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=dict(about))
        set_usual_mode(part)  # safetensors lets nobody else read it
