"""Xception: Inception taken to the extreme (Chollet, CVPR 2017, arXiv 1610.02357).

New in the paper: an Inception module splits its channels into a few groups by 1x1 convolutions and filters each in
space. Take as many groups as channels and what is left is a depthwise separable convolution (section 1.2, figure 4):
cross-channel and spatial correlations are handled entirely apart. The network is a plain stack of those, with
residual shortcuts around every two or three, and beats Inception V3 at the same number of parameters.

Unlike in Inception there is no nonlinearity between the depthwise and the pointwise half; with one, training was
slower and ended worse (section 4.7, figure 10). ReLU comes *before* a separable convolution, so that the shortcut
carries what was not yet clipped.

Layout: figure 5, an entry flow, eight equal middle blocks, an exit flow. Keys are timm's for `legacy_xception`.
"""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn


class SeparableConv2d(nn.Module):
    """3x3 on each channel by itself, then 1x1 across channels; nothing in between."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H, W)
        out: Tensor = self.pointwise(self.conv1(x))
        return out


class Block(nn.Module):
    """(ReLU - separable convolution - BN) along `widths`, pooled by `stride`, around which the input is carried.

    `widths` are the channels from the input to the output: (128, 256, 256) is two convolutions. The very first block
    has no leading ReLU, since the stem ends with one.
    """

    def __init__(self, widths: tuple[int, ...], stride: int = 1, leading_relu: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            if i > 0 or leading_relu:
                layers.append(nn.ReLU(inplace=i > 0))  # not in place on the block's input: the shortcut reads it too
            layers += [SeparableConv2d(before, after), nn.BatchNorm2d(after)]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.rep = nn.Sequential(*layers)
        self.skip: nn.Module = nn.Identity()
        self.skipbn: nn.Module = nn.Identity()
        if stride > 1 or widths[0] != widths[-1]:
            self.skip = nn.Conv2d(widths[0], widths[-1], 1, stride, bias=False)
            self.skipbn = nn.BatchNorm2d(widths[-1])

    def forward(self, x: Tensor) -> Tensor:  # (N, widths[0], H, W) -> (N, widths[-1], H/stride, W/stride)
        out: Tensor = self.rep(x) + self.skipbn(self.skip(x))
        return out


class Xception(nn.Module):
    """Entry flow, middle flow and exit flow of figure 5; global average pooling, dropout, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32 (the paper: 299); output logits (N, num_classes).
    `dropout` is the paper's for ImageNet (section 4.3).
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.5,
        padded_stem: bool = False,
    ) -> None:
        super().__init__()
        # entry flow; the two stem convolutions do not pad (in the seed document's code they do)
        padding = 1 if padded_stem else 0
        self.conv1 = nn.Conv2d(in_channels, 32, 3, stride=2, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=padding, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.block1 = Block((64, 128, 128), stride=2, leading_relu=False)
        self.block2 = Block((128, 256, 256), stride=2)
        self.block3 = Block((256, 728, 728), stride=2)
        # middle flow: the same block eight times
        for i in range(4, 12):
            self.add_module(f"block{i}", Block((728, 728, 728, 728)))
        # exit flow; this block widens in its second convolution
        self.block12 = Block((728, 728, 1024), stride=2)
        self.conv3 = SeparableConv2d(1024, 1536)
        self.bn3 = nn.BatchNorm2d(1536)
        self.conv4 = SeparableConv2d(1536, 2048)
        self.bn4 = nn.BatchNorm2d(2048)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions (the paper names none)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # shapes for the paper's 299 px
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 32, 149, 149)
        x = self.relu(self.bn2(self.conv2(x)))  # (N, 64, 147, 147)
        for i in range(1, 13):  # 128 x 74², 256 x 37², 728 x 19² from block3 to block11, 1024 x 10²
            x = self.get_submodule(f"block{i}")(x)
        x = self.relu(self.bn3(self.conv3(x)))  # (N, 1536, 10, 10)
        x = self.relu(self.bn4(self.conv4(x)))  # (N, 2048, 10, 10)
        logits: Tensor = self.fc(self.dropout(x.mean(dim=(2, 3))))  # (N, num_classes)
        return logits


NETWORKS = {"xception": partial(Xception)}
