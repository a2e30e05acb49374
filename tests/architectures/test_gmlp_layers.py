"""gMLP where there is no peer: the seed document's row, the sizes of table 1, the open gate, and what it refuses."""

import pytest
import torch
from layer_walk import shapes_and_parameters

import architectures
from workbench.inspect.counts import count_parameters
from workbench.inspect.meta import on_meta


def test_the_seeds_row_is_reproduced_at_the_256_patches_it_was_sized_for() -> None:
    with on_meta():
        at_256 = architectures.create("gmlp", num_classes=10, image_size=256)
        at_224 = architectures.create("gmlp", num_classes=10)
    assert count_parameters(at_256) == 2_970_890  # the seed prints 2.97M
    patches = 196, 256
    gates = [6 * (s * s + s) for s in patches]
    assert count_parameters(at_224) == 2_970_890 - gates[1] + gates[0] == 2_807_810


@pytest.mark.parametrize(
    ("name", "millions", "gmacs"), [("gmlp_ti16", 5.9, 1.35), ("gmlp_s16", 19.5, 4.45), ("gmlp_b16", 73.4, 15.8)]
)
def test_sizes_are_those_of_table_1(name: str, millions: float, gmacs: float) -> None:
    """Table 1 counts a multiplication and an addition as two operations: 2.7, 8.9 and 31.6 billion."""
    card = architectures.card(name)
    assert card.params[1000] / 1e6 == pytest.approx(millions, rel=0.01)
    assert card.macs[1000] / 1e9 == pytest.approx(gmacs, rel=0.02)


def test_every_layer_of_the_seeds_gmlp_has_its_shape_and_size() -> None:
    width, patches, hidden = 256, 196, 1024
    block = {
        "norm": ((1, patches, width), 2 * width),
        "mlp_channels.fc1": ((1, patches, hidden), width * hidden + hidden),
        "mlp_channels.gate.norm": ((1, patches, hidden // 2), hidden),
        "mlp_channels.gate.proj": ((1, hidden // 2, patches), patches * patches + patches),
        "mlp_channels.fc2": ((1, patches, width), hidden // 2 * width + width),
    }
    expected = {"stem": ((1, patches, width), 16 * 16 * 3 * width + width)}
    expected |= {f"blocks.{i}.{layer}": facts for i in range(6) for layer, facts in block.items()}
    expected |= {"norm": ((1, patches, width), 2 * width), "head": ((1, 10), 10 * width + 10)}
    seen = shapes_and_parameters("gmlp", expected, num_classes=10)
    assert seen == expected
    assert list(seen) == list(expected)  # and they run in this order


def test_the_gate_starts_open_so_that_patches_do_not_meet_yet() -> None:
    torch.manual_seed(0)
    gate = architectures.create("gmlp", num_classes=5, image_size=32).blocks[0].mlp_channels.gate
    z = torch.randn(2, 4, 1024)
    torch.testing.assert_close(gate(z), z[..., :512], atol=1e-3, rtol=0)


def test_stochastic_depth_is_table_1s_unless_told_otherwise() -> None:
    with on_meta():
        rates = {
            name: architectures.create(name).blocks[-1].stochastic_depth.rate
            for name in ("gmlp", "gmlp_ti16", "gmlp_s16", "gmlp_b16")
        }
        other = architectures.create("gmlp_s16", stochastic_depth=0.29)
    assert rates == {"gmlp": 0.0, "gmlp_ti16": 0.0, "gmlp_s16": 0.05, "gmlp_b16": 0.2}
    assert [block.stochastic_depth.rate for block in other.blocks] == pytest.approx([0.01 * i for i in range(30)])


def test_an_image_that_patches_do_not_tile_is_refused_with_sizes_that_work() -> None:
    with pytest.raises(ValueError, match=r"multiple of the patch size, 16 px \(got 28; nearest: 16 or 32\)"):
        architectures.create("gmlp", image_size=28)
