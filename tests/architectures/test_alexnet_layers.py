"""AlexNet against the sizes printed in its paper."""

import pytest
import torch
from torch import nn

import architectures
from workbench.inspect.meta import on_meta

FIGURE_2 = {  # outputs of the convolutions: (channels, side); weights of the single tower, without groups
    "features.0": ((96, 55), 96 * 3 * 11 * 11 + 96),
    "features.4": ((256, 27), 256 * 96 * 5 * 5 + 256),
    "features.8": ((384, 13), 384 * 256 * 3 * 3 + 384),
    "features.10": ((384, 13), 384 * 384 * 3 * 3 + 384),
    "features.12": ((256, 13), 256 * 384 * 3 * 3 + 256),
}
NEURONS = [186_624, 64_896, 64_896, 43_264]  # of conv2 to conv5, as section 3.5 counts them


def test_every_convolution_has_the_shape_of_figure_2() -> None:
    with on_meta():
        network = architectures.create("alexnet").eval()
        shapes: dict[str, torch.Size] = {}
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: out.shape}))
        network(torch.empty(1, 3, 224, 224))
    assert list(shapes) == list(FIGURE_2)
    for name, ((channels, side), parameters) in FIGURE_2.items():
        assert shapes[name] == (1, channels, side, side)
        assert sum(p.numel() for p in network.get_submodule(name).parameters()) == parameters
    assert [shape.numel() for shape in shapes.values()][1:] == NEURONS


def test_biases_start_at_one_where_the_paper_says_and_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = architectures.create("alexnet_owt", num_classes=3, image_size=63)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [float(layer.bias.detach().unique()) for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert float(layers[6].weight.detach().std()) == pytest.approx(0.01, rel=0.01)
    x = torch.randn(2, 3, 63, 63)
    with torch.no_grad():
        assert not torch.equal(network(x), network(x))
        network.eval()
        assert torch.equal(network(x), network(x))


def test_counts_are_those_of_the_seed_table() -> None:
    card = architectures.card("alexnet")
    assert card.params[10] == 58_322_314
    assert card.macs[10] == pytest.approx(1.131e9, rel=0.005)
