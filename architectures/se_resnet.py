"""SE-ResNet: squeeze and excitation in every residual block (Hu, Shen and Sun, CVPR 2018, arXiv 1709.01507).

New in the paper: a convolution weighs its channels the same way for every image. An SE block lets the image decide:
*squeeze* each map to its mean (section 3.1, eq. 2), let a two-layer network with a narrow middle judge all channels
together (*excitation*, section 3.2, eq. 3), and scale each map by the answer between 0 and 1 (eq. 4). The middle is
r = 16 times narrower than the channels, so the whole costs next to no arithmetic.

In a ResNet the SE block sits at the end of the residual branch, before the sum (figure 3); the rest is ResNet's. The
paper builds on ResNet-50 and deeper (tables 1 and 2); 18 and 34 are the same block around ResNet's basic unit.

As in the authors' Caffe code, and so in timm's `legacy_seresnet*` whose keys these are, the pooling of the stem does
not pad but rounds up, and a bottleneck strides in its first 1x1 convolution. The blocks for 18 and 34 layers have one
ReLU that figure 3 has not, between the last batch norm and the gate: timm's have it, and their weights load here.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from architectures.layers import shortcut


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate in (0, 1) computed from all channels' means (figure 1)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)  # on 1x1 maps: the paper's fully connected W1
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)  # W2
        self.sigmoid = nn.Sigmoid()  # not softmax: several channels may matter at once (section 3.2)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        squeezed = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        gate: Tensor = self.sigmoid(self.fc2(self.relu(self.fc1(squeezed))))  # (N, C, 1, 1)
        return x * gate


class SEBasicBlock(nn.Module):
    """ResNet's two 3x3 convolutions, recalibrated before the input is added."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.se_module = SqueezeExcitation(width, reduction)
        self.downsample = shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, width, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))  # this second ReLU is timm's, not the paper's
        identity = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(self.se_module(out) + identity)
        return result


class SEBottleneck(nn.Module):
    """ResNet's 1x1 - 3x3 - 1x1, recalibrated before the input is added (figure 3)."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.se_module = SqueezeExcitation(width * self.expansion, reduction)
        self.downsample = shortcut(in_channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 4 width, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        identity = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(self.se_module(out) + identity)
        return result


class SEResNet(nn.Module):
    """ResNet's stem and four stages with a squeeze and excitation in every block, mean over space, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes).
    `reduction` is r of section 3.2: how many times narrower the middle of the excitation is; at most 64.
    """

    def __init__(
        self,
        block: type[SEBasicBlock] | type[SEBottleneck],
        depths: tuple[int, int, int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        if not 1 <= reduction <= 64:  # the narrowest block has 64 channels
            raise ValueError(f"reduction must be between 1 and 64 (got {reduction})")
        self.layer0 = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False),
                bn1=nn.BatchNorm2d(64),
                relu1=nn.ReLU(inplace=True),
            )
        )
        self.pool0 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.layer1 = stage(block, 64, 64, depths[0], 1, reduction)
        self.layer2 = stage(block, 64 * block.expansion, 128, depths[1], 2, reduction)
        self.layer3 = stage(block, 128 * block.expansion, 256, depths[2], 2, reduction)
        self.layer4 = stage(block, 256 * block.expansion, 512, depths[3], 2, reduction)
        self.last_linear = nn.Linear(512 * block.expansion, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation, as the paper takes it over (section 5.1)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px
        x = self.pool0(self.layer0(x))  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 64e, 56, 56), e = block.expansion
        x = self.layer2(x)  # (N, 128e, 28, 28)
        x = self.layer3(x)  # (N, 256e, 14, 14)
        x = self.layer4(x)  # (N, 512e, 7, 7)
        logits: Tensor = self.last_linear(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def stage(
    block: type[SEBasicBlock] | type[SEBottleneck],
    in_channels: int,
    width: int,
    depth: int,
    stride: int,
    reduction: int,
) -> nn.Sequential:
    """`depth` blocks of one width; the first strides and adapts the channels."""
    first = block(in_channels, width, stride, reduction)
    return nn.Sequential(first, *(block(width * block.expansion, width, 1, reduction) for _ in range(depth - 1)))


NETWORKS = {  # table 1 for se_resnet50
    "se_resnet18": partial(SEResNet, SEBasicBlock, (2, 2, 2, 2)),
    "se_resnet34": partial(SEResNet, SEBasicBlock, (3, 4, 6, 3)),
    "se_resnet50": partial(SEResNet, SEBottleneck, (3, 4, 6, 3)),
}
