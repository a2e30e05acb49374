"""NIN: no library has it, so every layer is checked against a table, and the forward pass against plain matrices."""

import pytest
import torch
from torch import nn

import architectures
from workbench.inspect.meta import on_meta

LAYERS = [  # (channels, side) and weights of every convolution for 10 classes at 224 px
    ((96, 54), 96 * 3 * 11 * 11 + 96),
    ((96, 54), 96 * 96 + 96),
    ((96, 54), 96 * 96 + 96),
    ((256, 26), 256 * 96 * 5 * 5 + 256),
    ((256, 26), 256 * 256 + 256),
    ((256, 26), 256 * 256 + 256),
    ((384, 12), 384 * 256 * 3 * 3 + 384),
    ((384, 12), 384 * 384 + 384),
    ((384, 12), 384 * 384 + 384),
    ((10, 5), 10 * 384 * 3 * 3 + 10),
    ((10, 5), 10 * 10 + 10),
    ((10, 5), 10 * 10 + 10),
]


def test_every_layer_has_its_shape_and_size() -> None:
    shapes: list[torch.Size] = []
    with on_meta():
        network = architectures.create("nin", num_classes=10).eval()
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        for module in convolutions:
            module.register_forward_hook(lambda _m, _i, out: shapes.append(out.shape))
        assert network(torch.empty(1, 3, 224, 224)).shape == (1, 10)
    assert shapes == [(1, channels, side, side) for (channels, side), _ in LAYERS]
    sizes = [sum(p.numel() for p in module.parameters()) for module in convolutions]
    assert sizes == [size for _, size in LAYERS]


def test_a_1x1_convolution_is_a_perceptron_at_every_position() -> None:
    torch.manual_seed(0)
    network = architectures.create("nin", num_classes=10, image_size=67)
    first = network.features[0]
    assert isinstance(first, nn.Sequential)
    convolution, hidden, output = first[0], first[2], first[4]
    patch = torch.randn(1, 3, 11, 11)
    x = torch.relu(convolution.weight.flatten(1) @ patch.flatten() + convolution.bias)
    x = torch.relu(hidden.weight[:, :, 0, 0] @ x + hidden.bias)
    x = torch.relu(output.weight[:, :, 0, 0] @ x + output.bias)
    torch.testing.assert_close(first(patch).flatten(), x)


def test_logits_are_the_means_of_the_class_maps() -> None:
    torch.manual_seed(0)
    network = architectures.create("nin", num_classes=10, image_size=96).eval()
    x = torch.randn(2, 3, 96, 96)
    maps = network.classifier(network.features(x))
    torch.testing.assert_close(network(x), maps.mean(dim=(2, 3)))
    assert float(maps.detach().min()) < 0  # logits can be negative, unless equation 2 is taken to the letter
    paper = architectures.create("nin", num_classes=10, image_size=96, final_relu=True).eval()
    paper.load_state_dict(network.state_dict())
    torch.testing.assert_close(paper(x), maps.relu().mean(dim=(2, 3)))


def test_counts_are_those_of_the_seed_table() -> None:
    card = architectures.card("nin")
    assert card.params[10] == 2_015_398
    assert card.macs[10] == pytest.approx(0.830e9, rel=0.005)
