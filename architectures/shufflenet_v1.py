"""ShuffleNet: grouped 1x1 convolutions and a channel shuffle (Zhang, Zhou, Lin and Sun, CVPR 2018, arXiv 1707.01083).

New in the paper: once the 3x3 convolutions are depthwise, nearly all the cost is in the 1x1 ones, so those are grouped
too (section 3.1). Groups alone would never exchange anything: what leaves group 1 has only seen group 1. The channel
shuffle, a transposition of (group, channel in the group), deals each group's output out over all groups of the next
convolution. It costs no arithmetic, and at equal cost g groups leave room for more channels (table 1).

The unit (section 3.2, figure 2) is a residual bottleneck: grouped 1x1, shuffle, depthwise 3x3 without a ReLU after it,
grouped 1x1, then the sum. At stride 2 the shortcut is average-pooled and *concatenated*, which widens for free.

Layout: table 1, where the first 1x1 convolution of stage 2 is not grouped since it has 24 inputs only.
`scale` multiplies the channels of the stages (section 3.3); what the groups do not divide is rounded up.
"""

from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn

WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Channels of stage 2 by number of groups, for about 140 million MACs; stages 3 and 4 double them (table 1)."""

DEPTHS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each has stride 2."""


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deal the channels of each group out over all groups (figure 1c): 3 groups of 2, aabbcc, become abcabc."""
    return rearrange(x, "n (g c) h w -> n (c g) h w", g=groups)


class ShuffleUnit(nn.Module):
    """Grouped 1x1 - shuffle - depthwise 3x3 - grouped 1x1; the input is added or, at stride 2, put beside."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__()
        middle = rounded_up(out_channels / 4, groups)
        branch = out_channels - in_channels if stride == 2 else out_channels  # the pooled input is the rest
        self.groups = groups
        self.conv1 = nn.Conv2d(in_channels, middle, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, branch, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(branch)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = channel_shuffle(out, self.groups)
        out = self.bn2(self.conv2(out))
        out = self.bn3(self.conv3(out))
        joined = x + out if self.pool is None else torch.cat((self.pool(x), out), dim=1)
        result: Tensor = self.relu(joined)
        return result


class ShuffleNetV1(nn.Module):
    """A 3x3 stem with pooling, three stages of shuffle units, global average pooling, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes).
    `scale` is the paper's factor on the channels: 0.25, 0.5, 1, 1.5 and 2 appear in its tables.
    """

    def __init__(
        self, groups: int, *, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, scale: float = 1.0
    ) -> None:
        super().__init__()
        if scale <= 0:
            raise ValueError(f"scale must be more than 0 (got {scale})")
        channels = rounded_up(stem_channels(scale), groups)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        width = rounded_up(WIDTHS[groups] * scale, groups)
        self.stage2 = stage(channels, width, DEPTHS[0], groups, first_groups=1)
        self.stage3 = stage(width, 2 * width, DEPTHS[1], groups, first_groups=groups)
        self.stage4 = stage(2 * width, 4 * width, DEPTHS[2], groups, first_groups=groups)
        self.fc = nn.Linear(4 * width, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation by fan-in, so that a depthwise filter counts its own 9 inputs (the paper names none)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px, 3 groups
        x = self.stem(x)  # (N, 24, 56, 56)
        x = self.stage2(x)  # (N, 240, 28, 28)
        x = self.stage3(x)  # (N, 480, 14, 14)
        x = self.stage4(x)  # (N, 960, 7, 7)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def stage(in_channels: int, out_channels: int, depth: int, groups: int, first_groups: int) -> nn.Sequential:
    """One unit of stride 2 that widens, then units that keep the shape."""
    first = ShuffleUnit(in_channels, out_channels, 2, groups, first_groups)
    others = (ShuffleUnit(out_channels, out_channels, 1, groups, groups) for _ in range(depth - 1))
    return nn.Sequential(first, *others)


def stem_channels(scale: float) -> int:
    """24, halved below scale 1, doubled from 2 on: what the paper's 13, 38, 292 and 524 M for 0.25x to 2x imply."""
    if scale < 1:
        return 12
    return 24 if scale < 2 else 48


def rounded_up(channels: float, groups: int) -> int:
    """The smallest multiple of `groups` that is at least `channels`."""
    return int(-(-channels // groups)) * groups


NETWORKS = {f"shufflenet_v1_g{groups}": partial(ShuffleNetV1, groups) for groups in WIDTHS}
