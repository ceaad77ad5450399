"""The network as it leaves the house: the same numbers in torch, in ONNX Runtime, and view by view in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support import TINY, make_tiny
from transfer_core.bundle import network
from transfer_core.bundle.graph import Session, write_onnx
from transfer_core.bundle.network import describe_head, load_network, make_portable, save_weights
from transfer_core.data.augment import make_view
from transfer_core.data.images import Pixels
from transfer_core.errors import UserError
from transfer_core.evaluation.calibrate import apply_temperature
from transfer_core.knobs import get_knobs
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.ensemble import Ensemble
from transfer_core.models.heads import PrototypeHead, SomeClasses, TwoHeads, add_scale_and_shift
from transfer_core.models.loading import load_backbone, make_stages
from transfer_core.models.model import MAIN, Classifier
from transfer_core.models.statistics import measure_statistics
from transfer_core.training.spec import RunSpec

TEMPERATURE = 0.6


def draw(n: int, size: int, seed: int = 0) -> Pixels:
    """Noise, each image of a brightness, contrast and colour of its own."""
    rng = np.random.default_rng(seed)
    middle, spread = rng.uniform(40, 215, (n, 3, 1, 1)), rng.uniform(5, 80, (n, 1, 1, 1))
    return (middle + spread * rng.normal(size=(n, 3, size, size))).clip(0, 255).astype(np.uint8)


def make_classifier(backbone: Backbone, stages: nn.Sequential, head: nn.Module | None = None) -> Classifier:
    """A classifier whose head tells images apart, by as much as a trained one does."""
    model = Classifier(stages, backbone.feature_dim, {MAIN: 3}).eval()
    with torch.no_grad():
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (backbone.mean, backbone.std))
        x = (torch.from_numpy(draw(8, backbone.size, 9)).float() / 255 - mean) / std
        features = model.features(x, 0)
        weight = torch.randn(3, backbone.feature_dim, generator=torch.Generator().manual_seed(1))
        spread = (features @ weight.T).sub((features @ weight.T).mean(0)).std()
        model.heads[MAIN].weight.copy_(1.5 * weight / spread)
        model.heads[MAIN].bias.copy_(-(features @ model.heads[MAIN].weight.T).mean(0))
    if head is not None:
        model.heads[MAIN] = head
    return model


def test_it_says_the_mean_over_views_of_what_the_classifier_says(tmp_path: Path) -> None:
    """Against the views as training makes them, seen one by one, and the temperature in numpy."""
    model = make_classifier(TINY, make_tiny())
    add_scale_and_shift(model.stages)  # as meta-transfer leaves it
    pixels = draw(5, TINY.size)
    mean, std = (np.array(each).reshape(1, 3, 1, 1) for each in (TINY.mean, TINY.std))
    for name, views in (("none", 1), ("mirror", 2), ("flips", 4), ("turns", 8)):
        said, seen = [], []
        for view in range(views):
            turned = np.stack([make_view(each, name, view, "", 0) for each in pixels])
            x = torch.from_numpy((turned / 255 - mean) / std).float()
            with torch.no_grad():
                seen.append(model.features(x, 0).numpy())
                said.append(model.heads[MAIN](torch.from_numpy(seen[-1])).softmax(1).numpy())
        wanted = apply_temperature(np.mean(said, axis=0, dtype=np.float64), TEMPERATURE)
        portable = make_portable(model, TINY, name, views, TEMPERATURE)
        write_onnx(portable, TINY.size, tmp_path / f"{name}.onnx", {})
        with torch.no_grad():
            found = [each.numpy() for each in portable(torch.from_numpy(pixels))]
        for chances, plain, features in (found, Session(tmp_path / f"{name}.onnx").say(pixels)):
            assert np.abs(chances - wanted).max() < 1e-5
            assert np.abs(plain - np.mean(said, axis=0)).max() < 1e-5
            assert np.allclose(features, np.mean(seen, axis=0), atol=1e-4)
    assert np.ptp(wanted, axis=0).max() > 0.1  # the images are told apart, or nothing was tested


HEADS = {
    "linear": lambda: nn.Linear(16, 3),
    "some": lambda: SomeClasses(16, 3, (0, 2)),
    "two": lambda: TwoHeads(16, 3),
    "prototypes": lambda: PrototypeHead(16, 3, True),
    "far prototypes": lambda: PrototypeHead(16, 3, False),
}


@pytest.mark.parametrize("kind", HEADS)
def test_weights_come_back_with_any_head_and_fit_no_other(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "make_stages", lambda _: make_tiny(seed=5))
    head = HEADS[kind]()
    if isinstance(head, PrototypeHead):
        head.take_centre(torch.randn(20, 16))
        head.take(torch.randn(20, 16), torch.arange(20) % 2)  # of the third class nothing was seen
    portable = make_portable(make_classifier(TINY, make_tiny(), head), TINY, "none", 1, TEMPERATURE)
    path = tmp_path / "model.safetensors"
    save_weights(portable, path, {"classes": "[]"})
    about = describe_head(portable.head)
    pixels = torch.from_numpy(draw(3, TINY.size))
    again = load_network(path, TINY, about, 3, "none", 1, TEMPERATURE)
    with torch.no_grad():
        for a, b in zip(portable(pixels), again(pixels), strict=True):
            assert torch.equal(a, b)
    write_onnx(portable, TINY.size, tmp_path / "model.onnx", {})
    said = Session(tmp_path / "model.onnx").say(pixels.numpy())
    assert np.abs(said[0] - portable(pixels)[0].detach().numpy()).max() < 1e-5
    with pytest.raises(UserError, match="does not hold the weights"):
        load_network(path, TINY, {"kind": "two" if kind != "two" else "linear"}, 3, "none", 1, TEMPERATURE)
    with pytest.raises(UserError, match="does not know"):
        load_network(path, TINY, {"kind": "os.system"}, 3, "none", 1, TEMPERATURE)


def test_an_ensemble_leaves_as_one_network_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "make_stages", lambda _: make_tiny(seed=5))
    model = Ensemble(make_classifier(TINY, make_tiny()), 2, 2).eval()
    with torch.no_grad():
        for each in model.members[1].stages[2:].parameters():
            each.mul_(1.5)
    portable = make_portable(model, TINY, "none", 1, 1.0)
    path, pixels = tmp_path / "model.safetensors", torch.from_numpy(draw(3, TINY.size))
    save_weights(portable, path, {"classes": "[]"})
    again = load_network(path, TINY, describe_head(portable.head), 3, "none", 1, 1.0, networks=2, cut=2)
    write_onnx(portable, TINY.size, tmp_path / "model.onnx", {})
    with torch.no_grad():
        alone = [make_portable(each, TINY, "none", 1, 1.0)(pixels)[0] for each in model.members]
        found = [portable(pixels)[0], again(pixels)[0]]
    assert not torch.allclose(alone[0], alone[1], atol=0.01)
    for each in (*found, torch.from_numpy(Session(tmp_path / "model.onnx").say(pixels.numpy())[0])):
        assert torch.allclose(each, (alone[0] + alone[1]) / 2, atol=1e-5)
    with pytest.raises(UserError, match="does not hold the weights"):
        load_network(path, TINY, describe_head(portable.head), 3, "none", 1, 1.0, networks=3, cut=2)
    (most,) = [each.high for each in get_knobs(RunSpec) if each.name == "networks"]
    for networks, cut in ((most + 1, 2), (0, 2), (2, 5), (2, -1)):
        with pytest.raises(UserError, match="which no run has"):
            load_network(path, TINY, describe_head(portable.head), 3, "none", 1, 1.0, networks, cut)
    assert most == network.MOST_NETWORKS


def test_the_file_says_nothing_of_this_machine(tmp_path: Path) -> None:
    portable = make_portable(make_classifier(TINY, make_tiny()), TINY, "flips", 4, 1.0)
    write_onnx(portable, TINY.size, tmp_path / "model.onnx", {"classes": "[]"})
    content = (tmp_path / "model.onnx").read_bytes()
    for trace in (
        b"site-packages",
        b".py",
        str(Path.home()).encode() + b"/",
        str(Path(__file__).parents[2]).encode(),
    ):
        assert trace not in content


@pytest.mark.slow
@pytest.mark.parametrize("key", ["lite0", "resnet18", "mobilenet_v3_large", "swin_t"])
def test_torch_and_onnx_runtime_say_the_same(key: str, tmp_path: Path) -> None:
    backbone = get_backbone(key)
    torch.manual_seed(0)
    if backbone.weights.origin == "package":
        stages = load_backbone(backbone)
    else:
        stages = make_stages(backbone)
        measure_statistics(stages, [torch.randn(4, 3, backbone.size, backbone.size)])
    portable = make_portable(make_classifier(backbone, stages), backbone, "none", 1, TEMPERATURE)
    write_onnx(portable, backbone.size, tmp_path / "model.onnx", {})
    session = Session(tmp_path / "model.onnx")
    for n in (1, 5):
        pixels = draw(n, backbone.size, n)
        with torch.no_grad():
            wanted = [each.numpy() for each in portable(torch.from_numpy(pixels))]
        found = session.say(pixels)
        assert np.abs(wanted[0] - found[0]).max() <= 1e-4
        assert np.abs(wanted[1] - found[1]).max() <= 1e-4
        assert np.allclose(wanted[2], found[2], rtol=1e-3, atol=1e-3 * np.abs(wanted[2]).max())
    assert wanted[0].max(1).min() < 0.999  # not saturated, where any two would agree
