"""Darknet-53: the backbone of YOLOv3 as a classifier (Redmon and Farhadi, 2018, arXiv 1804.02767).

New in the paper: Darknet-19's plain alternation of 3x3 and 1x1 convolutions, grown to 53 layers by residual shortcuts
(section 2.4, table 1). A block halves the channels by 1x1, restores them by 3x3 and adds its input. There is no pooling
before the end: five 3x3 convolutions of stride 2 each halve the resolution and double the channels. Fewer, larger
layers keep a GPU busier than ResNet-152's many small ones, so at the same accuracy it runs twice as fast (table 2).

Each convolution is followed by batch norm and leaky ReLU, and nothing follows the sum. The slope 0.01 is that of timm,
whose weights load here; the Darknet framework itself has 0.1: give `negative_slope=0.1` for that.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

DEPTHS = (1, 2, 8, 8, 4)
"""Residual blocks at each resolution; channels go from 64 to 1024 (table 1)."""


class ConvUnit(nn.Module):
    """Convolution, batch norm, leaky ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, negative_slope: float, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.activation = nn.LeakyReLU(negative_slope, inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out: Tensor = self.activation(self.bn(self.conv(x)))
        return out


class ResidualBlock(nn.Module):
    """1x1 to half of the channels, 3x3 back to all, plus the input."""

    def __init__(self, channels: int, negative_slope: float) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, channels // 2, 1, negative_slope)
        self.conv2 = ConvUnit(channels // 2, channels, 3, negative_slope)

    def forward(self, x: Tensor) -> Tensor:  # (N, channels, H, W) -> the same
        out: Tensor = self.conv2(self.conv1(x)) + x
        return out


class Darknet53(nn.Module):
    """A 3x3 stem, five stages of one strided convolution and residual blocks, global average pooling, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32 (the paper: 256); output logits (N, num_classes).
    `negative_slope` is that of every leaky ReLU.
    """

    def __init__(
        self, *, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, negative_slope: float = 0.01
    ) -> None:
        super().__init__()
        channels = 32
        self.stem = nn.Sequential(OrderedDict(conv1=ConvUnit(in_channels, channels, 3, negative_slope)))
        self.stages = nn.Sequential()
        for depth in DEPTHS:
            self.stages.append(stage(channels, depth, negative_slope))
            channels *= 2
        self.head = nn.Sequential(OrderedDict(fc=nn.Linear(channels, num_classes)))
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions by fan-in, as the Darknet framework does."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # shapes for the paper's 256 px
        x = self.stem(x)  # (N, 32, 256, 256)
        x = self.stages(x)  # 64 x 128², 128 x 64², 256 x 32², 512 x 16², 1024 x 8²
        logits: Tensor = self.head(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def stage(channels: int, depth: int, negative_slope: float) -> nn.Sequential:
    """Half the resolution at twice the channels, then `depth` residual blocks."""
    return nn.Sequential(
        OrderedDict(
            conv_down=ConvUnit(channels, 2 * channels, 3, negative_slope, stride=2),
            blocks=nn.Sequential(*(ResidualBlock(2 * channels, negative_slope) for _ in range(depth))),
        )
    )


NETWORKS = {"darknet53": partial(Darknet53)}
