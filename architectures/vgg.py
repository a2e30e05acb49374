"""VGG: very deep networks of 3x3 convolutions (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556).

New in the paper: one recipe, repeated. Every convolution is 3x3 with stride 1, every pooling 2x2 with stride 2, and the
width doubles after each pooling up to 512 (section 2.1). Two stacked 3x3 layers see as far as one 5x5, three as far as
one 7x7, with more nonlinearities and fewer weights: 27 C^2 against 49 C^2 (section 2.3). With all else
fixed, the paper goes from 11 to 19 weight layers and the error falls (tables 1 and 3).

The networks are columns A, B, D and E of table 1. The `_bn` ones have batch norm before each ReLU, which came a year
later (Ioffe and Szegedy 2015) and makes the deep columns easy to train. Weights of torchvision's load here.
"""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from architectures.layers import average_to_grid

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five stages, the same in every column of table 1."""


class VGG(nn.Module):
    """Five stages of 3x3 convolutions, each closed by max pooling, then three fully connected layers.

    `depths` counts the convolutions of each stage. Input (N, in_channels, H, W) with H, W >= 32; output logits
    (N, num_classes). The first fully connected layer takes the 7x7 grid that 224 px give; at any other size the last
    map is averaged (or repeated) to that grid.
    """

    def __init__(
        self,
        depths: tuple[int, int, int, int, int],
        batch_norm: bool,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (channels, width), depth in zip(pairwise((in_channels, *WIDTHS)), depths, strict=True):
            layers += stage(channels, width, depth, batch_norm)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(  # 124 of VGG-16's 138 million parameters
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions (2015, arXiv 1502.01852), N(0, 0.01^2) for the linear layers, biases 0.

        The paper trained column A from N(0, 10^-2) and started the deeper ones from its layers, and later found
        Glorot's initialisation to make that unnecessary (section 3.1). Glorot's halves the signal at every ReLU, He's
        keeps it: for 16 and 19 layers without batch norm that is the difference between stalling and learning.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 512, H/32, W/32)
        x = average_to_grid(x, 7)  # (N, 512, 7, 7)
        logits: Tensor = self.classifier(x.flatten(1))  # (N, num_classes)
        return logits


def stage(in_channels: int, width: int, depth: int, batch_norm: bool) -> list[nn.Module]:
    """`depth` 3x3 convolutions that keep the size, then a pooling that halves it."""
    layers: list[nn.Module] = []
    for channels in (in_channels, *[width] * (depth - 1)):
        layers += [nn.Conv2d(channels, width, 3, padding=1)]
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers += [nn.ReLU(inplace=True)]
    return [*layers, nn.MaxPool2d(2)]


COLUMNS = {  # table 1: weight layers -> convolutions of each stage
    11: (1, 1, 2, 2, 2),  # A
    13: (2, 2, 2, 2, 2),  # B
    16: (2, 2, 3, 3, 3),  # D
    19: (2, 2, 4, 4, 4),  # E
}
NETWORKS = {
    f"vgg{layers}{suffix}": partial(VGG, depths, batch_norm)
    for suffix, batch_norm in (("", False), ("_bn", True))
    for layers, depths in COLUMNS.items()
}
