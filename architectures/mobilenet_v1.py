"""MobileNet: depthwise separable convolutions for phones (Howard et al., 2017, arXiv 1704.04861).

New in the paper: a network made of almost nothing but depthwise separable convolutions (section 3.1). A 3x3 convolution
both filters in space and mixes channels; here one 3x3 filter a channel does the first, a 1x1 convolution the second.
To N output channels that costs 1/N + 1/9 of the full convolution: eight to nine times less.

Two numbers trade accuracy for cost: the width multiplier alpha thins every layer, with cost falling as alpha squared
(section 3.3; `width` here), and the resolution multiplier rho shrinks the image (section 3.4; `image_size` here).

Layout: table 1, whose last depthwise row says stride 2 but keeps 7x7, so it is 1. The nonlinearity is ReLU6, as in the
authors' released code; the paper writes ReLU (figure 3). Keys are timm's for `mobilenetv1_100`.
"""

from functools import partial

from torch import Tensor, nn

STEM = 32
STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
"""Channels and number of blocks at each resolution (table 1)."""


class SeparableBlock(nn.Module):
    """3x3 depthwise, then 1x1 pointwise, each with batch norm and ReLU6 (figure 3, right)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        x = self.relu(self.bn1(self.conv_dw(x)))  # space: every channel by itself
        out: Tensor = self.relu(self.bn2(self.conv_pw(x)))  # channels: every pixel by itself
        return out


class MobileNetV1(nn.Module):
    """A 3x3 stem, thirteen separable blocks, global average pooling, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes).
    `width` is alpha of section 3.3; a layer keeps at least 8 channels.
    """

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, width: float = 1.0
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width must be more than 0 (got {width})")
        channels = thinned(STEM, width)
        self.conv_stem = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU6(inplace=True)
        stages = []
        for i, (full_width, depth) in enumerate(STAGES):
            out_channels = thinned(full_width, width)
            first = SeparableBlock(channels, out_channels, stride=1 if i == 0 else 2)
            others = (SeparableBlock(out_channels, out_channels, stride=1) for _ in range(depth - 1))
            stages.append(nn.Sequential(first, *others))
            channels = out_channels
        self.blocks = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation by fan-in, so that a depthwise filter counts its own 9 inputs (the paper names none)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px at width 1
        x = self.relu(self.bn1(self.conv_stem(x)))  # (N, 32, 112, 112)
        x = self.blocks(x)  # stages end at 64 x 112², 128 x 56², 256 x 28², 512 x 14², 1024 x 7²
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def thinned(channels: int, width: float) -> int:
    """alpha times the channels, and never fewer than 8 (as in the released code)."""
    return max(8, int(channels * width))


NETWORKS = {  # table 6
    "mobilenet_v1": partial(MobileNetV1),
    "mobilenet_v1_075": partial(MobileNetV1, width=0.75),
    "mobilenet_v1_050": partial(MobileNetV1, width=0.5),
    "mobilenet_v1_025": partial(MobileNetV1, width=0.25),
}
