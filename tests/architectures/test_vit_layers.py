"""ViT where there is no peer: the seed document's row, the sizes of the papers' tables, and what it refuses."""

import pytest
import torch
from layer_walk import shapes_and_parameters

import architectures
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta


def test_the_seeds_row_is_reproduced() -> None:
    with on_meta():
        assert count_parameters(architectures.create("vit", num_classes=10)) == 53_592_074
    with on_meta():
        network = architectures.create("vit", num_classes=10)
    macs = count_macs(network, 3, 224)
    assert macs == pytest.approx(2.701e9, rel=0.005)


@pytest.mark.parametrize(
    ("name", "millions"), [("vit_ti_16", 5.7), ("vit_s_16", 22), ("vit_b_16", 86), ("vit_l_16", 307)]
)
def test_sizes_are_those_of_the_papers(name: str, millions: float) -> None:
    """Table 1 of ViT, which counts a larger head, and table 1 of DeiT."""
    assert architectures.card(name).params[1000] / 1e6 == pytest.approx(millions, rel=0.015)


def test_every_layer_of_the_seeds_vit_has_its_shape_and_size() -> None:
    width, hidden, tokens = 1024, 2048, 50  # 7 x 7 patches of 32 px and the class token
    block = {
        "ln_1": ((1, tokens, width), 2 * width),
        "self_attention": ((1, tokens, width), 4 * width * width + width),  # a bias after it, none for q, k and v
        "ln_2": ((1, tokens, width), 2 * width),
        "mlp": ((1, tokens, width), 2 * width * hidden + hidden + width),
    }
    expected = {"conv_proj": ((1, width, 7, 7), 32 * 32 * 3 * width + width)}
    expected |= {f"encoder.layers.encoder_layer_{i}.{layer}": facts for i in range(6) for layer, facts in block.items()}
    expected |= {"encoder.ln": ((1, tokens, width), 2 * width), "heads": ((1, 10), 10 * width + 10)}
    seen = shapes_and_parameters("vit", expected, num_classes=10)
    assert seen == expected
    assert list(seen) == list(expected)  # and they run in this order


def test_dropout_follows_every_dense_layer_but_qkv_and_stops_in_evaluation() -> None:
    network = architectures.create("vit_ti_16", num_classes=5, image_size=32, dropout=0.3)
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    assert rates == [0.3] * (1 + 12 * 3)  # after the embeddings, and three in each block
    torch.nn.init.normal_(network.heads.head.weight)
    x = torch.randn(2, 3, 32, 32)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_the_order_of_the_patches_matters_only_through_the_position_embedding() -> None:
    network = architectures.create("vit_ti_16", num_classes=5, image_size=32).eval()
    torch.nn.init.normal_(network.heads.head.weight)
    x = torch.randn(1, 3, 32, 32)
    swapped = torch.cat([x[:, :, 16:], x[:, :, :16]], dim=2)  # upper and lower half exchanged
    assert not torch.allclose(network(x), network(swapped), atol=1e-2)
    torch.nn.init.zeros_(network.encoder.pos_embedding)
    torch.testing.assert_close(network(x), network(swapped), rtol=1e-4, atol=1e-4)


def test_an_image_that_patches_do_not_tile_is_refused_with_sizes_that_work() -> None:
    with pytest.raises(ValueError, match=r"multiple of the patch size, 16 px \(got 100; nearest: 96 or 112\)"):
        architectures.create("vit_b_16", image_size=100)
