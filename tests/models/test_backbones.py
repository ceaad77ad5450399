"""The table of backbones against the real modules, and our stages against the networks they are cut from."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from transfer_core.errors import UserError
from transfer_core.models.backbones import BACKBONES, DEFAULT, Backbone, Stage, get_backbone
from transfer_core.models.loading import load_backbone, make_stages, read_state
from transfer_core.models.stages import make_source

KEYS = [backbone.key for backbone in BACKBONES]
FROM_TORCHVISION = [key for key in KEYS if not key.startswith("lite")]
SMALLER = {"inception_v3": 96, "vit_b_16": 224}  # the least size each permits; 64 pixels for the others
AS_OTHERS_SAVE = {
    "densenet121": (".norm1.", ".norm.1."),  # torchvision's own file still has the older names
    "vit_b_16": (".mlp.0.", ".mlp.linear_1."),
}


def strip_head(source: Any) -> nn.Module:
    """The published network ending at its features, made without any of our cuts."""
    for name in ("fc", "head", "heads", "classifier"):
        layer = getattr(source, name, None)
        if isinstance(layer, nn.Sequential) and name == "classifier":
            layer[-1] = nn.Identity()
        elif layer is not None:
            setattr(source, name, nn.Identity())
    return source


def file_state(key: str, source: nn.Module) -> dict[str, Tensor]:
    """What a file with these weights may hold: half precision (half the disk), and old names where there were."""
    state = {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}
    new, old = AS_OTHERS_SAVE.get(key, ("", ""))
    return {k.replace(new, old) if new else k: v for k, v in state.items()}


def test_the_default_comes_first_and_keys_are_unique() -> None:
    assert BACKBONES[0].key == DEFAULT
    assert len(set(KEYS)) == len(KEYS) == 14


def test_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'resnet19'.*lite0, lite1, .*vit_b_16"):
        get_backbone("resnet19")


@pytest.mark.parametrize("backbone", BACKBONES, ids=KEYS)
def test_fewer_parameters_train_as_the_cut_moves_up(backbone: Backbone) -> None:
    suffixes = [backbone.suffix_parameters(cut) for cut in range(len(backbone.stages) + 1)]
    assert suffixes == sorted(suffixes, reverse=True)
    assert suffixes[0] == backbone.parameters
    assert suffixes[-1] == 0
    for cut in (-1, len(backbone.stages) + 1):
        with pytest.raises(UserError, match="between 0 and"):
            backbone.suffix_parameters(cut)


def test_the_table_is_read_without_heavy_imports() -> None:
    code = (
        "import sys, transfer_core.models.backbones, transfer_core.models.weights;"
        "print(*{'torch', 'torchvision', 'timm', 'numpy', 'pandas'} & sys.modules.keys())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""


@pytest.mark.parametrize("backbone", BACKBONES, ids=KEYS)
def test_the_table_equals_the_modules(backbone: Backbone) -> None:
    with torch.device("meta"):
        stages, x = make_stages(backbone).eval(), torch.empty(1, 3, backbone.size, backbone.size)
    measured = []
    for name, stage in stages.named_children():
        with FlopCounterMode(display=False) as counter:
            x = stage(x)
        gflops = round(counter.get_total_flops() / 2e9, 6)
        kinds = {type(each).__name__ for each in stage.modules()}
        norm, conv = (any(kind.startswith(each) for kind in kinds) for each in ("BatchNorm", "Conv2d"))
        parameters = sum(p.numel() for p in stage.parameters())
        measured.append(Stage(name, parameters, tuple(x.shape[1:]), gflops, norm, conv))
    assert tuple(measured) == backbone.stages
    assert backbone.stages[-1].shape == (backbone.feature_dim,)


@pytest.mark.parametrize("key", FROM_TORCHVISION)
def test_the_table_equals_what_torchvision_says(key: str) -> None:
    from torchvision.models import get_model_weights

    backbone, entry = get_backbone(key), get_model_weights(key)["IMAGENET1K_V1"]
    head = 1000 * (backbone.feature_dim + 1)
    auxiliary = 3_326_696 if key == "inception_v3" else 0  # Inception's second classifier
    assert backbone.parameters + head + auxiliary == entry.meta["num_params"]
    assert backbone.gflops + head / 1e9 == pytest.approx(entry.meta["_ops"], rel=0.02)
    assert backbone.top1 == entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert backbone.weights.url == entry.url
    preprocessing = entry.transforms()
    assert backbone.size == preprocessing.crop_size[0]
    assert (backbone.mean, backbone.std) == (tuple(preprocessing.mean), tuple(preprocessing.std))
    assert backbone.interpolation == preprocessing.interpolation.value


@pytest.mark.parametrize("key", ["lite0", "lite1", "lite2"])
def test_the_preprocessing_of_lite_is_timms(key: str) -> None:
    backbone, source = get_backbone(key), make_source(get_backbone(key))
    config: dict[str, Any] = source.default_cfg  # type: ignore[assignment]
    assert config["input_size"] == (3, backbone.size, backbone.size)
    assert (config["mean"], config["std"]) == (backbone.mean, backbone.std)
    assert (config["interpolation"], config["crop_pct"]) == (backbone.interpolation, backbone.crop)


@pytest.mark.parametrize("key", KEYS)
def test_loaded_stages_give_the_features_of_the_network(key: str, tmp_path: Any) -> None:
    """A file under the published names goes through `read_state`; then features are those of the original."""
    torch.manual_seed(0)
    backbone, path = get_backbone(key), tmp_path / "saved.pth"
    source = make_source(backbone)
    for name, buffer in source.named_buffers():
        if name.endswith("running_mean"):  # at their starting values swapped statistics would not show
            buffer.uniform_(-0.2, 0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.2, 0.8)
    state = file_state(key, source)
    torch.save(state, path)
    source.load_state_dict({k: v.float() for k, v in zip(source.state_dict(), state.values(), strict=True)})
    stages = load_backbone(backbone, path)
    path.unlink()  # pytest keeps folders of past sessions
    size = SMALLER.get(key, 64)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = strip_head(source.eval())(images)
        torch.testing.assert_close(stages(images), expected, rtol=1e-5, atol=1e-6)
    assert expected.shape == (2, backbone.feature_dim)
    assert float(expected.std()) > 0
    assert {p.dtype for p in stages.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in stages.parameters())
    assert_inputs_stay(stages.train(), images)


def assert_inputs_stay(stages: nn.Sequential, x: Tensor) -> None:
    with torch.no_grad():
        for name, stage in stages.named_children():
            before = x.clone()
            after = stage(x)
            assert torch.equal(x, before), f"{name} changes its input"
            x = after


@pytest.mark.parametrize("key", ["lite0", "resnet18", "densenet121", "swin_t"])
def test_our_own_names_are_read_too(key: str, tmp_path: Any) -> None:
    backbone = get_backbone(key)
    state = make_stages(backbone).state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": wrapped | {"head.weight": torch.ones(3)}}, tmp_path / "ours.pt")
    read = read_state(backbone, tmp_path / "ours.pt")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_a_seed_gives_the_same_random_weights() -> None:
    backbone = get_backbone("lite0")
    torch.manual_seed(3)
    first = copy.deepcopy(make_stages(backbone).state_dict())
    torch.manual_seed(3)
    second = make_stages(backbone).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


RESIZED = [backbone for backbone in BACKBONES if backbone.can_resize]


def test_all_that_halves_can_take_another_size() -> None:
    fixed = {backbone.key for backbone in BACKBONES} - {backbone.key for backbone in RESIZED}
    assert fixed == {"alexnet", "inception_v3", "vit_b_16", "swin_t"}


@pytest.mark.parametrize("backbone", RESIZED, ids=lambda each: each.key)
def test_at_another_size_shapes_and_costs_are_those_of_the_module(backbone: Backbone) -> None:
    other = backbone.at_size(96)
    stages = make_stages(backbone).eval()
    x = torch.zeros(1, 3, 96, 96)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for stage, made in zip(other.stages, stages, strict=True):
            x = made(x)
            assert tuple(x.shape[1:]) == stage.shape, stage.name
    assert other.parameters == backbone.parameters
    if backbone.key != "vgg16":  # its last stage is no convolution and costs the same at every size
        assert other.gflops == pytest.approx(counter.get_total_flops() / 2e9, rel=0.2)
    assert backbone.at_size(backbone.size) is backbone


@pytest.mark.parametrize(
    ("key", "size", "sentence"),
    [
        ("vit_b_16", 256, "takes images of 224 pixels only"),
        ("lite0", 250, "must be 224 or a multiple of 32 pixels, not 250"),
    ],
)
def test_impossible_sizes_are_refused(key: str, size: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        get_backbone(key).at_size(size)
