"""ResMLP's row in the seed document, its near-identity start, and what it refuses."""

import pytest
import torch

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta


def test_the_seeds_row_is_reproduced() -> None:
    with on_meta():
        assert count_parameters(architectures.create("resmlp_12", num_classes=10)) == 14_969_722
    with on_meta():
        network = architectures.create("resmlp_12", num_classes=10)
    macs = count_macs(network, 3, 224)
    assert macs == pytest.approx(3.009e9, rel=0.005)


@pytest.mark.parametrize(
    ("name", "millions", "gmacs"), [("resmlp_12", 15, 3.0), ("resmlp_24", 30, 6.0), ("resmlp_36", 45, 8.9)]
)
def test_sizes_are_those_of_the_paper(name: str, millions: int, gmacs: float) -> None:
    card = architectures.card(name)
    assert round(card.params[1000] / 1e6) == millions
    assert card.macs[1000] / 1e9 == pytest.approx(gmacs, rel=0.02)


def test_every_block_starts_close_to_the_identity() -> None:
    torch.manual_seed(0)
    network = architectures.create("resmlp_24", num_classes=5, image_size=32)
    x = torch.randn(2, 4, 384)
    torch.testing.assert_close(network.blocks(x), x, atol=1e-2, rtol=0)
    assert [float(network.blocks[i].ls1.detach()[0]) for i in (0, 23)] == pytest.approx([1e-5, 1e-5])
    wider = architectures.create("resmlp_24", num_classes=5, image_size=32, layer_scale=1.0)
    assert (wider.blocks(x) - x).abs().max() > 0.1


def test_patches_meet_only_in_the_linear_layer_across_them() -> None:
    network = architectures.create("resmlp_12", num_classes=5, image_size=32).eval()
    for block in network.blocks:
        torch.nn.init.zeros_(block.linear_tokens.weight)
    x = torch.randn(1, 4, 384)
    changed = x.clone()
    changed[:, 0] += 1.0
    difference = (network.blocks(changed) - network.blocks(x)).abs().amax(dim=(0, 2))
    assert difference[0] > 0.1
    assert torch.count_nonzero(difference[1:]) == 0


def test_an_image_that_patches_do_not_tile_is_refused_with_sizes_that_work() -> None:
    with pytest.raises(ValueError, match=r"multiple of the patch size, 16 px \(got 28; nearest: 16 or 32\)"):
        architectures.create("resmlp_12", image_size=28)
