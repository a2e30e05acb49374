"""DenseNet: densely connected networks (Huang, Liu, van der Maaten and Weinberger, CVPR 2017, arXiv 1608.06993).

New in the paper: inside a block, every layer reads the feature maps of *all* layers before it, joined by
concatenation where ResNet adds (section 3, eq. 2). Nothing has to be learnt twice, so a layer need only add a few
maps of its own: k, the growth rate, is 12 or 32 where other networks have hundreds of channels.

A layer is BN - ReLU - convolution in that order ("composite function"). The B in DenseNet-BC is a bottleneck, a 1x1
convolution to 4k maps before the 3x3 one; the C is compression, a transition between blocks that keeps half of the
maps (theta = 0.5) and halves the resolution. Two stems: 7x7 with pooling for ImageNet (table 1), and one 3x3
convolution for 32 px images (section 3, "Implementation details"). Keys are torchvision's, whose weights load.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

BOTTLENECK = 4
"""Maps of the 1x1 convolution, in growth rates (section 3, "Bottleneck layers")."""

Stem = Callable[[int, int], OrderedDict[str, nn.Module]]


class DenseLayer(nn.Module):
    """BN - ReLU - 1x1 - BN - ReLU - 3x3: reads everything so far, returns `growth_rate` new maps."""

    def __init__(self, in_channels: int, growth_rate: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, BOTTLENECK * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth_rate)
        self.conv2 = nn.Conv2d(BOTTLENECK * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, k, H, W)
        out = self.dropout(self.conv1(self.relu(self.norm1(x))))
        new_maps: Tensor = self.dropout(self.conv2(self.relu(self.norm2(out))))
        return new_maps


class DenseBlock(nn.Sequential):
    """Layers at one resolution; each adds its maps to what the next ones read (figure 1)."""

    def __init__(self, depth: int, in_channels: int, growth_rate: int, dropout: float) -> None:
        super().__init__()
        for i in range(depth):
            self.add_module(f"denselayer{i + 1}", DenseLayer(in_channels + i * growth_rate, growth_rate, dropout))

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C + depth k, H, W)
        for layer in self:
            x = torch.cat((x, layer(x)), dim=1)
        return x


def transition(in_channels: int, out_channels: int, dropout: float) -> nn.Sequential:
    """BN - ReLU - 1x1 - 2x2 average pooling: fewer maps at half the resolution (section 3, "Pooling layers")."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(in_channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(in_channels, out_channels, 1, bias=False),
            dropout=nn.Dropout(dropout),
            pool=nn.AvgPool2d(2),
        )
    )


def imagenet_stem(in_channels: int, out_channels: int) -> OrderedDict[str, nn.Module]:
    """7x7 convolution and max pooling, a quarter of the resolution (table 1)."""
    return OrderedDict(
        conv0=nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False),
        norm0=nn.BatchNorm2d(out_channels),
        relu0=nn.ReLU(inplace=True),
        pool0=nn.MaxPool2d(3, stride=2, padding=1),
    )


def cifar_stem(in_channels: int, out_channels: int) -> OrderedDict[str, nn.Module]:
    """One 3x3 convolution at full resolution; the first dense layer brings its own BN and ReLU."""
    return OrderedDict(conv0=nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False))


class DenseNet(nn.Module):
    """A stem of 2k maps, dense blocks with transitions between them, global average pooling, one linear layer.

    Input (N, in_channels, H, W): H, W >= 32 with four blocks and the ImageNet stem, >= 8 with three and the CIFAR
    stem. Output logits (N, num_classes). `dropout` follows every convolution but the first; the paper has 0.2 where
    images are not augmented, else none (section 4.2).
    """

    def __init__(
        self,
        stem: Stem,
        growth_rate: int,
        depths: tuple[int, ...],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels = 2 * growth_rate
        self.features = nn.Sequential(stem(in_channels, channels))
        for i, depth in enumerate(depths, start=1):
            self.features.add_module(f"denseblock{i}", DenseBlock(depth, channels, growth_rate, dropout))
            channels += depth * growth_rate
            if i < len(depths):
                self.features.add_module(f"transition{i}", transition(channels, channels // 2, dropout))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))  # torchvision's name, after its four blocks
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(channels, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions (section 4.2)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:  # shapes for densenet121 at 224 px
        x = self.features(x)  # stem (N, 64, 56, 56); blocks end at 256 x 56², 512 x 28², 1024 x 14², 1024 x 7²
        x = self.relu(x)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


NETWORKS = {  # depth L = 4 + 2 x layers with three blocks (section 3), 5 + 2 x layers with four (table 1)
    "densenet40_k12_bc": partial(DenseNet, cifar_stem, 12, (6, 6, 6)),
    "densenet100_k12_bc": partial(DenseNet, cifar_stem, 12, (16, 16, 16)),
    "densenet121": partial(DenseNet, imagenet_stem, 32, (6, 12, 24, 16)),
    "densenet169": partial(DenseNet, imagenet_stem, 32, (6, 12, 32, 32)),
    "densenet201": partial(DenseNet, imagenet_stem, 32, (6, 12, 48, 32)),
}
