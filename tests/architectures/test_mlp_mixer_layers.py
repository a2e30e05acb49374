"""MLP-Mixer where there is no peer: the seed document's row, table 1's sizes, stochastic depth, what it refuses."""

import pytest
import torch
from layer_walk import shapes_and_parameters

import architectures
from architectures.layers import StochasticDepth
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta


def test_the_seeds_row_is_reproduced() -> None:
    with on_meta():
        assert count_parameters(architectures.create("mlp_mixer", num_classes=10)) == 13_631_802
    with on_meta():
        network = architectures.create("mlp_mixer", num_classes=10)
    macs = count_macs(network, 3, 224)
    assert macs == pytest.approx(2.852e9, rel=0.005)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("mixer_s32", 19), ("mixer_s16", 18), ("mixer_b32", 60), ("mixer_b16", 59), ("mixer_l16", 207)],
)
def test_sizes_are_those_of_table_1(name: str, millions: int) -> None:
    """The table leaves the head out of the count."""
    width = {"s": 512, "b": 768, "l": 1024}[name[6]]
    assert round((architectures.card(name).params[1000] - 1000 * (width + 1)) / 1e6) == millions


def test_every_layer_of_the_seeds_mixer_has_its_shape_and_size() -> None:
    width, patches, token_hidden, channel_hidden = 512, 196, 128, 1024
    block = {
        "norm1": ((1, patches, width), 2 * width),
        "mlp_tokens": ((1, width, patches), 2 * patches * token_hidden + token_hidden + patches),
        "norm2": ((1, patches, width), 2 * width),
        "mlp_channels": ((1, patches, width), 2 * width * channel_hidden + channel_hidden + width),
    }
    expected = {"stem": ((1, patches, width), 16 * 16 * 3 * width + width)}
    expected |= {f"blocks.{i}.{layer}": facts for i in range(12) for layer, facts in block.items()}
    expected |= {"norm": ((1, patches, width), 2 * width), "head": ((1, 10), 10 * width + 10)}
    seen = shapes_and_parameters("mlp_mixer", expected, num_classes=10)
    assert seen == expected
    assert list(seen) == list(expected)  # and they run in this order


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = StochasticDepth(0.25)
    out = layer(torch.ones(4000, 3, 2))
    kept = out[:, 0, 0] > 0
    assert torch.equal(out, kept[:, None, None] * torch.full_like(out, 1 / 0.75))
    assert kept.float().mean() == pytest.approx(0.75, abs=0.03)
    x = torch.ones(5, 3)
    assert layer.eval()(x) is x
    assert StochasticDepth(0.0)(x) is x
    with pytest.raises(ValueError, match=r"less than 1 \(got 1.0\)"):
        StochasticDepth(1.0)


def test_stochastic_depth_grows_linearly_from_the_first_block_to_the_last() -> None:
    with on_meta():
        network = architectures.create("mlp_mixer", stochastic_depth=0.22)
    rates = [block.stochastic_depth.rate for block in network.blocks]
    assert rates == pytest.approx([0.02 * i for i in range(12)])


def test_an_image_that_patches_do_not_tile_is_refused_with_sizes_that_work() -> None:
    with pytest.raises(ValueError, match=r"multiple of the patch size, 32 px \(got 40; nearest: 32 or 64\)"):
        architectures.create("mixer_s32", image_size=40)
