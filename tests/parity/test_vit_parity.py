"""timm's ViT weights load into ours, whose parameters have torchvision's names."""

import timm
import torch

import architectures


def test_timms_weights_load_as_they_are() -> None:
    peer = timm.create_model("vit_tiny_patch16_224", num_classes=11, img_size=32).eval()
    ours = architectures.create("vit_ti_16", num_classes=11, image_size=32).eval()
    weights = peer.state_dict()
    assert "cls_token" in weights
    ours.load_state_dict(weights, strict=True)
    assert "cls_token" in weights  # the caller's dictionary is left alone
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), peer(x))
