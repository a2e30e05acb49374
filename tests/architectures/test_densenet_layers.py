"""DenseNet: layouts and counts of the paper."""

import pytest
import torch
from layer_walk import output_shapes

import architectures
from workbench.inspect.counts import count_parameters
from workbench.inspect.meta import on_meta

IMAGENET = {  # table 1, DenseNet-121
    "features.conv0": (64, 112, 112),
    "features.pool0": (64, 56, 56),
    "features.denseblock1": (256, 56, 56),
    "features.transition1": (128, 28, 28),
    "features.denseblock2": (512, 28, 28),
    "features.transition2": (256, 14, 14),
    "features.denseblock3": (1024, 14, 14),
    "features.transition3": (512, 7, 7),
    "features.denseblock4": (1024, 7, 7),
}
CIFAR = {  # section 3, "Implementation details": 2k maps, blocks at 32, 16 and 8 px
    "features.conv0": (24, 32, 32),
    "features.denseblock1": (216, 32, 32),
    "features.transition1": (108, 16, 16),
    "features.denseblock2": (300, 16, 16),
    "features.transition2": (150, 8, 8),
    "features.denseblock3": (342, 8, 8),
}


def test_layers_have_the_papers_shapes() -> None:
    assert output_shapes("densenet121", IMAGENET) == IMAGENET
    assert output_shapes("densenet100_k12_bc", CIFAR, size=32) == CIFAR


@pytest.mark.parametrize(
    ("name", "layers"),
    [("densenet40_k12_bc", 40), ("densenet100_k12_bc", 100), ("densenet121", 121), ("densenet169", 169)],
)
def test_the_name_counts_convolutions_and_the_linear_layer(name: str, layers: int) -> None:
    with on_meta():
        network = architectures.create(name)
    assert sum(isinstance(module, torch.nn.Conv2d | torch.nn.Linear) for module in network.modules()) == layers


def test_counts() -> None:
    with on_meta():
        assert count_parameters(architectures.create("densenet40_k12_bc", num_classes=10)) == 176_122
        paper = count_parameters(architectures.create("densenet100_k12_bc", num_classes=10))
    assert round(paper / 1e6, 1) == 0.8  # table 2


def test_dropout_follows_every_convolution_but_the_first() -> None:
    network = architectures.create("densenet40_k12_bc", image_size=32, dropout=0.2)
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    assert rates == [0.2] * (18 + 2)  # one module a layer, used twice, and one a transition
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
