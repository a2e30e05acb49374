"""Every name trains and exports: one step lowers the loss in fp32 and in bf16, at two sizes, in colour and in grey."""

import contextlib

import pytest
import torch
from agreement import disable_randomness
from torch import nn

import architectures
from workbench.data.splits import Batch
from workbench.training.metrics import objective

SMALLEST = {card.module: card.name for card in sorted(architectures.cards(), key=lambda card: -card.params[10])}
ALWAYS = set(SMALLEST.values())
"""The smallest network of each paper; the others, which are the same code, are tested with `pytest -m exhaustive`."""

SLOW_IN_BF16 = {"inception_v3", "xception", "darknet53", "efficientnet_v2_s"}
"""Where one step takes seconds, even of the paper's smallest, on a CPU that has no units for bfloat16."""

FEW_CLASSES = 4


def some_always(names: set[str]) -> list[object]:
    """All networks, those besides `names` marked as exhaustive."""
    return [pytest.param(n, marks=[] if n in names else pytest.mark.exhaustive) for n in architectures.names()]


def a_larger_size(name: str) -> int:
    """The next size that the design allows after the smallest; patches want multiples."""
    smallest = architectures.card(name).min_image_size
    return 2 * smallest if architectures.card(name).family != "cnn" else smallest + 9


def build(name: str, channels: int, size: int) -> nn.Module:
    """The network; AlexNet and VGG with hidden layers of 32 in place of 4096, which would be all of the test's time."""
    shape = {"num_classes": FEW_CLASSES, "in_channels": channels, "image_size": size}
    if architectures.card(name).module not in ("alexnet", "vgg"):
        return architectures.create(name, **shape)
    with torch.device("meta"):
        network = architectures.create(name, **shape)
    first, second, last = (i for i, layer in enumerate(network.classifier) if isinstance(layer, nn.Linear))
    network.classifier[first] = nn.Linear(network.classifier[first].in_features, 32)
    network.classifier[second] = nn.Linear(32, 32)
    network.classifier[last] = nn.Linear(32, FEW_CLASSES)
    network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    network.initialise()
    for layer in (first, second, last):  # N(0, 0.01^2) is made for 4096 inputs; with 32 nothing would get through
        network.classifier[layer].reset_parameters()
    return network


@pytest.mark.parametrize("name", some_always(ALWAYS))
def test_one_step_in_fp32_lowers_the_loss_of_the_smallest_colour_images(name: str) -> None:
    assert_one_step_lowers_the_loss(name, 3, architectures.card(name).min_image_size, 8, contextlib.nullcontext())


@pytest.mark.parametrize("name", some_always(ALWAYS - SLOW_IN_BF16))
def test_one_step_in_bf16_lowers_the_loss_of_larger_grey_images(name: str) -> None:
    assert_one_step_lowers_the_loss(name, 1, a_larger_size(name), 4, torch.autocast("cpu", dtype=torch.bfloat16))


def assert_one_step_lowers_the_loss(
    name: str, channels: int, size: int, count: int, precision: contextlib.AbstractContextManager[object]
) -> None:
    """On `count` images: batch norm wants 8 values of a channel or more, and the last maps may be of one pixel."""
    torch.manual_seed(0)
    network = build(name, channels, size)
    disable_randomness(network)  # both losses are to be of the same function
    batch = Batch(torch.randn(count, channels, size, size), torch.arange(count) % 3)

    def loss_now() -> torch.Tensor:
        with precision:
            output = network(batch.images)
        return objective(network, output, batch)[0]

    loss = loss_now()
    loss.backward()
    before = [p.detach().clone() for p in network.parameters()]
    after = []
    # Adam, whose steps have the same length however steep the loss: gradients here differ by a factor of a million.
    for lr in (1e-4, 1e-3, 1e-5):
        torch.optim.Adam(network.parameters(), lr=lr).step()
        with torch.no_grad():
            after.append(loss_now().item())
            if after[-1] < loss.item():
                break
            for parameter, old in zip(network.parameters(), before, strict=True):
                parameter.copy_(old)
    assert after[-1] < loss.item(), after


@pytest.mark.parametrize("name", some_always(ALWAYS))
def test_it_exports(name: str) -> None:
    size = architectures.card(name).min_image_size
    with torch.device("meta"):  # the graph is what is asked for; tracing needs no weights
        network = architectures.create(name, num_classes=FEW_CLASSES, image_size=size).eval()
        exported = torch.export.export(network, (torch.empty(2, 3, size, size),))
    [output] = exported.graph_signature.user_outputs
    assert output
    nodes = {node.name: node for node in exported.graph.nodes}
    assert nodes[output].meta["val"].shape == (2, FEW_CLASSES)
