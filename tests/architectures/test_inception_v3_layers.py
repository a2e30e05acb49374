"""Inception v3 against table 1 of its paper, and its auxiliary head."""

import pytest
import torch

import architectures
from architectures.inception_v3 import Outputs
from workbench.inspect.counts import count_macs
from workbench.inspect.meta import on_meta

TABLE_1 = {  # the table gives each row's *input*; these are the outputs of the last module of each group
    "Mixed_5d": (288, 35),
    "Mixed_6a": (768, 17),
    "Mixed_6e": (768, 17),
    "Mixed_7a": (1280, 8),
    "Mixed_7c": (2048, 8),
}


def test_maps_have_the_shapes_of_table_1() -> None:
    shapes: dict[str, torch.Size] = {}
    with on_meta():
        network = architectures.create("inception_v3", image_size=299).eval()
        for name in TABLE_1:
            module = network.get_submodule(name)
            module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: out.shape}))
        network(torch.empty(1, 3, 299, 299))
    assert shapes == {name: (1, channels, side, side) for name, (channels, side) in TABLE_1.items()}


def test_counts_are_those_of_the_seed_table_and_within_the_papers_bounds() -> None:
    card = architectures.card("inception_v3")
    assert card.params[10] == 21_806_058
    assert card.params[1000] < 25e6  # abstract
    with on_meta():
        network = architectures.create("inception_v3", image_size=299)
    assert count_macs(network, 3, 299) == pytest.approx(
        5.713e9, rel=0.001
    )  # torchvision's figure; the paper's abstract says 5 billion


@pytest.mark.parametrize("size", [75, 224, 299])
def test_auxiliary_head_works_at_every_size(size: int) -> None:
    with on_meta():
        network = architectures.create("inception_v3", num_classes=10, image_size=size, aux_heads=True)
        assert network.aux_weight == 0.4
        outputs = network(torch.empty(2, 3, size, size))
        assert isinstance(outputs, Outputs)
        assert outputs.logits.shape == outputs.aux.shape == (2, 10)
        assert network.eval()(torch.empty(2, 3, size, size)).shape == (2, 10)
        assert sum(p.numel() for p in network.parameters()) == 24_371_444
