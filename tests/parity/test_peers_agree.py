"""Every network that torchvision or timm has, or can be made to build, against theirs."""

from collections.abc import Callable

import pytest
import torch
from agreement import assert_networks_agree, without_memory
from peers import CLASSES, PEERS, Peer
from torch import nn
from torchvision import models

import architectures

ALWAYS = {
    "googlenet_bn-torchvision", "googlenet_bn-aux_heads-torchvision", "inception_v3-torchvision",
    "resnet18-torchvision", "resnet50-torchvision", "squeezenet1_0-torchvision", "squeezenet1_1-torchvision",
    "densenet40_k12_bc-torchvision", "densenet121-torchvision", "mobilenet_v1-timm", "mobilenet_v1_025-timm",
    "resnext29_2x64d-torchvision", "resnext50_32x4d-torchvision", "xception-timm", "darknet53-timm",
    "mobilenet_v2-torchvision", "se_resnet18-timm", "efficientnet_b0-torchvision", "efficientnet_v2_s-torchvision",
    "gmlp-timm", "gmlp_ti16-timm", "mlp_mixer-timm", "vit_ti_16-timm", "vit_ti_16-torchvision", "resmlp_12-timm",
}  # fmt: skip
"""One or two cheap ones of each paper; the others, which are the same code, with `pytest -m exhaustive`."""


def test_the_list_of_those_always_compared_has_no_misprint() -> None:
    assert {str(peer) for peer in PEERS} > ALWAYS


@pytest.mark.parametrize("peer", PEERS, ids=str)
def test_every_weight_has_the_peers_name_and_shape(peer: Peer) -> None:
    """At 224 px, the size that weights are published for."""
    with without_memory():
        ours = architectures.create(peer.name, num_classes=CLASSES, **peer.options).state_dict()
        theirs = peer.build(224).state_dict()
    shapes = {key: value.shape for key, value in ours.items()}
    assert shapes == {peer.rename(key): value.shape for key, value in theirs.items()}


@pytest.mark.parametrize(
    "peer",
    [pytest.param(peer, id=str(peer), marks=[] if str(peer) in ALWAYS else pytest.mark.exhaustive) for peer in PEERS],
)
def test_networks_agree(peer: Peer, record_property: Callable[[str, object], None]) -> None:
    torch.manual_seed(0)
    worst = 0.0
    for sizes in [peer.sizes] if peer.any_size else [(size,) for size in peer.sizes]:
        with without_memory():
            ours = architectures.create(peer.name, num_classes=CLASSES, image_size=sizes[0], **peer.options)
            theirs = peer.build(sizes[0])
        difference = assert_networks_agree(
            ours, theirs, *sizes, weights=peer.watched, rename=peer.rename, gain=peer.gain
        )
        worst = max(worst, difference)
    record_property("largest relative difference", worst)


@pytest.mark.parametrize(("name", "sizes"), [("alexnet_owt", (63, 97)), ("vgg11", (32, 49)), ("vgg11_bn", (32, 49))])
def test_the_widest_networks_agree_but_for_the_width_of_hidden_layers(name: str, sizes: tuple[int, int]) -> None:
    """Which is cut from 4096 to 16 on both sides; the whole networks are compared with `pytest -m exhaustive`."""
    torch.manual_seed(0)
    with without_memory():
        ours = architectures.create(name, num_classes=CLASSES, image_size=sizes[0])
        peer = getattr(models, name.removesuffix("_owt"))(num_classes=CLASSES)
        for network in (ours, peer):
            first, second, last = (i for i, layer in enumerate(network.classifier) if isinstance(layer, nn.Linear))
            network.classifier[first] = nn.Linear(network.classifier[first].in_features, 16)
            network.classifier[second] = nn.Linear(16, 16)
            network.classifier[last] = nn.Linear(16, CLASSES)
    assert_networks_agree(ours, peer, *sizes, weights=["features.0.weight", "features.8.weight", "classifier.6.weight"])
