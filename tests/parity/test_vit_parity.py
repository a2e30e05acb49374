"""ViT against torchvision's, and its smaller sizes against timm's."""

import pytest
import timm
import torch
from agreement import assert_networks_agree
from torch import nn
from torchvision import models

import architectures
from architectures.vit import VisionTransformer, from_timm

WEIGHTS = [
    "conv_proj.weight",
    "class_token",
    "encoder.pos_embedding",
    "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
    "encoder.layers.encoder_layer_1.mlp.0.weight",
    "heads.head.bias",
]


@pytest.mark.parametrize(("patch_size", "size"), [(16, 48), (16, 80), (32, 96)])
def test_the_base_width_agrees_with_torchvision(patch_size: int, size: int) -> None:
    """Two of the twelve equal blocks, which keeps the test fast; the next test has all of them."""
    torch.manual_seed(0)
    peer = models.VisionTransformer(size, patch_size, 2, 12, 768, 3072, num_classes=11)
    nn.init.normal_(peer.class_token)
    nn.init.normal_(peer.heads.head.weight)  # zero in both at the start: nothing would be compared
    ours = VisionTransformer(patch_size, 2, 768, 12, 3072, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS)


@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16"])
def test_vit_has_torchvisions_parameters(name: str) -> None:
    with torch.device("meta"):
        peer = getattr(models, name)(num_classes=11).state_dict()
        ours = architectures.create(name, num_classes=11).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in peer.items()}


@pytest.mark.parametrize("size", [32, 80])
@pytest.mark.parametrize(
    ("name", "theirs"), [("vit_ti_16", "vit_tiny_patch16_224"), ("vit_s_16", "vit_small_patch16_224")]
)
def test_small_vits_agree_with_timm(name: str, theirs: str, size: int) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(theirs, num_classes=11, img_size=size)
    nn.init.normal_(peer.cls_token)
    nn.init.normal_(peer.head.weight)
    ours = architectures.create(name, num_classes=11, image_size=size)
    assert_networks_agree(ours, peer, size, weights=WEIGHTS, rename=from_timm)


def test_timms_weights_load_as_they_are() -> None:
    peer = timm.create_model("vit_tiny_patch16_224", num_classes=11, img_size=32).eval()
    ours = architectures.create("vit_ti_16", num_classes=11, image_size=32).eval()
    weights = peer.state_dict()
    assert "cls_token" in weights
    ours.load_state_dict(weights, strict=True)
    assert "cls_token" in weights  # the caller's dictionary is left alone
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), peer(x))
