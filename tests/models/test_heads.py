"""Parts on top of the features: what is blanked for an autoencoder, and what it is to rebuild."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transfer_core.models.heads import Decoder, blank

MAPS = {"convolutional": (24, 6, 6), "channels last": (6, 6, 24), "tokens": (17, 12)}


@pytest.mark.parametrize("shape", MAPS.values(), ids=list(MAPS))
def test_a_place_is_blanked_with_all_its_channels(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.rand(50, *shape) + 1
    channel = {24: 1, 6: 3, 17: 2}[shape[0]]
    gone = blank(x, 0.3) == 0
    assert torch.equal(gone.all(channel), gone.any(channel))
    assert gone.float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(blank(x, 0.0), x)


def test_single_numbers_of_a_vector_are_blanked() -> None:
    torch.manual_seed(0)
    gone = blank(torch.ones(50, 40), 0.3) == 0
    assert gone.any(1).all()
    assert not gone.all(1).any()


def test_a_map_is_rebuilt_whichever_way_its_channels_lie() -> None:
    torch.manual_seed(0)
    first, features = torch.rand(4, 24, 8, 8), torch.rand(4, 16)
    decoder, other = Decoder(16, (24, 8, 8)), Decoder(16, (8, 8, 24))
    other.load_state_dict(decoder.state_dict())
    assert torch.allclose(decoder(features, first), other(features, first.movedim(1, -1)))


def test_what_is_rebuilt_are_means_over_patches_relative_to_their_variance() -> None:
    torch.manual_seed(0)
    x, features = torch.rand(5, 6, 14, 14), torch.rand(5, 16)
    decoder = Decoder(16, (6, 14, 14))
    patches = x.numpy().reshape(5, 6, 7, 2, 7, 2).mean((3, 5))
    rebuilt = decoder.grow(features).detach().numpy()
    wanted = np.square(rebuilt - patches).mean() / patches.var(ddof=1)
    assert decoder(features, x).item() == pytest.approx(wanted, rel=1e-4)
