"""ResNet against torchvision's: same keys and shapes, same logits, same gradients, in float64."""

import pytest
import torch
from torch import nn
from torchvision import models

import architectures


def randomise(network: nn.Module) -> None:
    """Random norm statistics, scales and biases, so that no zero or one hides a difference."""
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim == 1:
            tensor.normal_(0.0, 0.2).add_(1.0 if name.endswith("weight") else 0.0)


@pytest.mark.parametrize("size", [32, 65])
@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_logits_and_gradients_agree_with_torchvision(name: str, size: int) -> None:
    torch.manual_seed(0)
    peer = getattr(models, name)(num_classes=11).double()
    randomise(peer)
    ours = architectures.create(name, num_classes=11, image_size=size).double()
    ours.load_state_dict(peer.state_dict(), strict=True)
    for training in (False, True):
        x1 = torch.randn(2, 3, size, size, dtype=torch.float64, requires_grad=True)
        x2 = x1.detach().clone().requires_grad_()
        peer.train(training)
        ours.train(training)
        out1, out2 = peer(x1), ours(x2)
        torch.testing.assert_close(out2, out1, rtol=1e-8, atol=1e-8)
        out1.square().mean().backward()
        out2.square().mean().backward()
        torch.testing.assert_close(x2.grad, x1.grad, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(ours.conv1.weight.grad, peer.conv1.weight.grad, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(ours.bn1.running_mean, peer.bn1.running_mean)
