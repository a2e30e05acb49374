"""GoogLeNet: going deeper with convolutions (Szegedy et al., CVPR 2015, arXiv 1409.4842), also called Inception v1.

New in the paper: the Inception module (section 4, figure 2b). Objects come in all sizes, so a module looks with 1x1,
3x3 and 5x5 windows and a max pooling at once and concatenates what they see. 1x1 convolutions first cut the channels,
without which the larger windows could not be paid for. Twenty-two layers cost 1.6 billion multiply-accumulates and have
7 million parameters, where AlexNet has 60. Global average pooling replaces the fully connected layers, after NIN.

Two auxiliary classifiers (section 5) hang on the middle of the network during training, to push gradient into the early
layers; their losses count 0.3 each and they are thrown away afterwards. `aux_heads=True` adds them. The paper names
no constants for its response normalisation and no initialisation; those here are of the Caffe replication
(BVLC, trained with the first author's advice).

`googlenet_bn` is what torchvision calls googlenet, and its weights load here: batch norm in every convolution (Ioffe
and Szegedy 2015) and no response normalisation, but also a 3x3 window in the 5x5 branch, 2x2 windows in the last
pooling and a different pooling in the auxiliary heads, all kept so that the weights mean the same.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.alexnet import LocalResponseNorm
from architectures.layers import average_to_grid


class Outputs(NamedTuple):
    """What the network returns in training mode with auxiliary heads: three times logits (N, num_classes)."""

    logits: Tensor
    aux2: Tensor
    """From module 4d, the deeper head."""
    aux1: Tensor
    """From module 4a."""


class Conv(nn.Module):
    """Convolution that keeps the size at stride 1, batch norm if asked for, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, batch_norm: bool, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches over the same input, side by side in the output (figure 2b).

    `widths`, in the order of table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int, int, int, int], batch_norm: bool) -> None:
        super().__init__()
        c1, reduce3, c3, reduce5, c5, pool = widths
        conv = partial(Conv, batch_norm=batch_norm)
        self.branch1 = conv(in_channels, c1, 1)
        self.branch2 = nn.Sequential(conv(in_channels, reduce3, 1), conv(reduce3, c3, 3))
        self.branch3 = nn.Sequential(conv(in_channels, reduce5, 1), conv(reduce5, c5, 3 if batch_norm else 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, pool, 1))

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, c1 + c3 + c5 + pool, H, W)
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class AuxiliaryHead(nn.Module):
    """A small classifier on a 14x14 map in the middle of the network (section 5)."""

    def __init__(self, in_channels: int, num_classes: int, batch_norm: bool, dropout: float) -> None:
        super().__init__()
        self.overlapping_pool = not batch_norm
        self.conv = Conv(in_channels, 128, 1, batch_norm)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, 14, 14) -> (N, num_classes)
        as_printed = self.overlapping_pool and x.shape[2:] == (14, 14)  # else the same grid from any other size
        x = F.avg_pool2d(x, 5, stride=3) if as_printed else average_to_grid(x, 4)  # (N, in_channels, 4, 4)
        x = F.relu(self.fc1(self.conv(x).flatten(1)), inplace=True)  # (N, 1024)
        logits: Tensor = self.fc2(self.dropout(x))
        return logits


class GoogLeNet(nn.Module):
    """A plain stem, nine Inception modules, global average pooling, one linear layer (table 1).

    Input (N, in_channels, H, W) with H, W >= 31; output logits (N, num_classes), or `Outputs` in training mode with
    auxiliary heads, each of whose losses counts `aux_weight`.
    """

    aux_weight = 0.3

    def __init__(
        self,
        batch_norm: bool,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        aux_heads: bool = False,
        dropout: float = 0.4,
        aux_dropout: float = 0.7,
    ) -> None:
        super().__init__()
        conv, inception = partial(Conv, batch_norm=batch_norm), partial(Inception, batch_norm=batch_norm)
        norm = nn.Identity if batch_norm else partial(LocalResponseNorm, k=1.0, alpha=1e-4 / 5)
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)
        self.conv1 = conv(in_channels, 64, 7, stride=2)
        self.maxpool1 = pool(3)
        self.norm1 = norm()
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        self.norm2 = norm()
        self.maxpool2 = pool(3)
        self.inception3a = inception(192, (64, 96, 128, 16, 32, 32))
        self.inception3b = inception(256, (128, 128, 192, 32, 96, 64))
        self.maxpool3 = pool(3)
        self.inception4a = inception(480, (192, 96, 208, 16, 48, 64))
        self.inception4b = inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = inception(528, (256, 160, 320, 32, 128, 128))
        self.maxpool4 = pool(2 if batch_norm else 3)
        self.inception5a = inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = inception(832, (384, 192, 384, 48, 128, 128))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        self.aux1 = AuxiliaryHead(512, num_classes, batch_norm, aux_dropout) if aux_heads else None
        self.aux2 = AuxiliaryHead(528, num_classes, batch_norm, aux_dropout) if aux_heads else None
        self.initialise()

    def initialise(self) -> None:
        """Uniform with variance 1 / fan-in, which Caffe calls Xavier, and biases of 0.2 to keep the ReLUs alive."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0.2 if isinstance(module, nn.Conv2d) else 0.0)

    def forward(self, x: Tensor) -> Tensor | Outputs:  # shapes for 224 px
        """(N, in_channels, H, W) -> logits (N, num_classes); while it trains with auxiliary heads, theirs besides."""
        x = self.norm1(self.maxpool1(self.conv1(x)))  # (N, 64, 56, 56)
        x = self.norm2(self.conv3(self.conv2(x)))  # (N, 192, 56, 56)
        x = self.maxpool2(x)  # (N, 192, 28, 28)
        x = self.inception3b(self.inception3a(x))  # (N, 480, 28, 28)
        x = self.inception4a(self.maxpool3(x))  # (N, 512, 14, 14)
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (N, 528, 14, 14)
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = self.inception4e(x)  # (N, 832, 14, 14)
        x = self.inception5b(self.inception5a(self.maxpool4(x)))  # (N, 1024, 7, 7)
        logits: Tensor = self.fc(self.dropout(x.mean(dim=(2, 3))))  # (N, num_classes)
        return logits if aux1 is None or aux2 is None else Outputs(logits, aux2, aux1)


NETWORKS = {
    "googlenet": partial(GoogLeNet, False),
    "googlenet_bn": partial(GoogLeNet, True, dropout=0.2),
}
