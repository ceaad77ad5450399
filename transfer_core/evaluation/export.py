"""Taking a model home: the chosen weights, frozen and trained stages together, in one safe file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from transfer_core.files import atomic_path


def export_weights(
    stages: nn.Sequential, trained: Mapping[str, Tensor], path: Path, about: Mapping[str, str]
) -> None:
    """Write all weights of a classifier as safetensors: `stages.<stage>...` and `heads.main...`.

    `about` (text to text) stands in the file's header: classes, backbone, geometry, normalisation.
    """
    from safetensors.torch import save_file

    whole = {f"stages.{key}": value for key, value in stages.state_dict().items()} | dict(trained)
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in whole.items()}
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=dict(about))
