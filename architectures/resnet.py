"""ResNet: deep residual learning (He, Zhang, Ren and Sun, CVPR 2016, arXiv 1512.03385).

New in the paper: a stack of layers learns the *change* to its input, F(x), and the block returns
F(x) + x (section 3.1, eq. 1). The identity shortcut costs nothing and lets gradients pass, so 152 layers
train where 34 plain ones already did worse than 18 (figure 1).

Two blocks (figure 5): the basic one of two 3x3 convolutions (18 and 34 layers) and the bottleneck
1x1 - 3x3 - 1x1 (50 and more), whose middle works at a quarter of the width. Where the shape changes, the shortcut
is a 1x1 convolution with stride (option B of section 3.3). Layouts: table 1.

As in torchvision, whose weights load here, a bottleneck strides in its 3x3 convolution, not in the
first 1x1 as the paper has it: same cost, a little more accurate (known as ResNet v1.5).
"""

from functools import partial

from torch import Tensor, nn

from architectures.layers import shortcut


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is carried (figure 5, left)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, width, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """1x1 to a quarter of the width, 3x3 there, 1x1 back (figure 5, right)."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 4 width, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """A 7x7 stem, four stages of residual blocks at widths 64 to 512, global average pooling, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes).
    `zero_init_residual` starts every block as the identity (Goyal et al. 2017, section 5.1; off in the paper).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, 64, 64, depths[0], stride=1)
        self.layer2 = stage(block, 64 * block.expansion, 128, depths[1], stride=2)
        self.layer3 = stage(block, 128 * block.expansion, 256, depths[2], stride=2)
        self.layer4 = stage(block, 256 * block.expansion, 512, depths[3], stride=2)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self.initialise(zero_init_residual)

    def initialise(self, zero_init_residual: bool) -> None:
        """He initialisation of the convolutions (section 3.4, its reference 13)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = self.maxpool(x)  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 64e, 56, 56), e = block.expansion
        x = self.layer2(x)  # (N, 128e, 28, 28)
        x = self.layer3(x)  # (N, 256e, 14, 14)
        x = self.layer4(x)  # (N, 512e, 7, 7)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    """`depth` blocks of one width; the first strides and adapts the channels."""
    out_channels = width * block.expansion
    first = block(in_channels, width, stride)
    return nn.Sequential(first, *(block(out_channels, width, stride=1) for _ in range(depth - 1)))


NETWORKS = {  # table 1
    "resnet18": partial(ResNet, BasicBlock, (2, 2, 2, 2)),
    "resnet34": partial(ResNet, BasicBlock, (3, 4, 6, 3)),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, Bottleneck, (3, 4, 23, 3)),
    "resnet152": partial(ResNet, Bottleneck, (3, 8, 36, 3)),
}
