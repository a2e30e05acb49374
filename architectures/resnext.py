"""ResNeXt: residual blocks of many equal branches (Xie, Girshick, Dollar, Tu and He, CVPR 2017, arXiv 1611.05431).

New in the paper: cardinality, the number of parallel transformations in a block, as a dimension beside depth and
width (section 3.3, eq. 3). Inception's branches were each designed by hand; here all C branches have one shape, so
the block has two numbers to choose, C and the width d of a branch, written "C x d" as in 32x4d.

Summing C branches of 1x1 - 3x3 - 1x1 is the same function as one bottleneck whose 3x3 convolution is *grouped* into C
groups (section 3.3, figure 3): that is the form below. At equal cost many narrow branches beat few wide ones.

Every halving of the resolution doubles the width (section 3.1). 32x4d with 50 layers is table 1's; 32x8d with 101
appeared later, in torchvision and in Mahajan et al. 2018 (arXiv 1805.00932). Keys are torchvision's, whose weights
load; like it, a block strides in its 3x3 convolution, as the paper does too (section 4).

The 29-layer net for 32 px images is section 5.3's design, smaller than the 8x64d and 16x64d of table 7. Its first
convolution is 1x1, as in the CIFAR code that made this size popular and that the seed document ran; the paper's is
3x3, 1,536 weights more at 3 channels: put 3 for the 1 in `NETWORKS` to have it.
"""

from functools import partial

from torch import Tensor, nn

from architectures.layers import shortcut


class Block(nn.Module):
    """1x1 to `cardinality` branches of `branch_width` channels, 3x3 inside each branch, 1x1 back (figure 3c)."""

    def __init__(self, in_channels: int, out_channels: int, cardinality: int, branch_width: int, stride: int) -> None:
        super().__init__()
        width = cardinality * branch_width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class ResNeXt(nn.Module):
    """A stem of 64 maps, stages of grouped bottlenecks, global average pooling, one linear layer.

    Four stages follow a strided stem with pooling, for ImageNet; three follow a stem at full resolution, for 32 px.
    Input (N, in_channels, H, W) with H, W >= 32 (8 with three stages); output logits (N, num_classes).
    """

    def __init__(
        self,
        stem_kernel: int,
        depths: tuple[int, ...],
        cardinality: int,
        branch_width: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        small_images = len(depths) == 3
        stem_stride = 1 if small_images else 2
        self.conv1 = nn.Conv2d(in_channels, 64, stem_kernel, stem_stride, padding=stem_kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, 256, depths[0], cardinality, branch_width, stride=1)
        self.layer2 = stage(256, 512, depths[1], cardinality, 2 * branch_width, stride=2)
        self.layer3 = stage(512, 1024, depths[2], cardinality, 4 * branch_width, stride=2)
        if small_images:
            self.layer4 = nn.Sequential()
        else:
            self.layer4 = stage(1024, 2048, depths[3], cardinality, 8 * branch_width, stride=2)
        self.fc = nn.Linear(1024 if small_images else 2048, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions (section 4)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # shapes for four stages at 224 px
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = self.maxpool(x)  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 256, 56, 56)
        x = self.layer2(x)  # (N, 512, 28, 28)
        x = self.layer3(x)  # (N, 1024, 14, 14)
        x = self.layer4(x)  # (N, 2048, 7, 7)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def stage(
    in_channels: int, out_channels: int, depth: int, cardinality: int, branch_width: int, stride: int
) -> nn.Sequential:
    """`depth` blocks of one shape; the first strides and adapts the channels."""
    first = Block(in_channels, out_channels, cardinality, branch_width, stride)
    others = (Block(out_channels, out_channels, cardinality, branch_width, stride=1) for _ in range(depth - 1))
    return nn.Sequential(first, *others)


NETWORKS = {  # stem kernel, blocks a stage, cardinality C, width d of a branch in the first stage
    "resnext29_2x64d": partial(ResNeXt, 1, (3, 3, 3), 2, 64),
    "resnext50_32x4d": partial(ResNeXt, 7, (3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": partial(ResNeXt, 7, (3, 4, 23, 3), 32, 8),
}
