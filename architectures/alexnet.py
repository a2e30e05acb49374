"""AlexNet: ImageNet with a deep convolutional network (Krizhevsky, Sutskever and Hinton, NeurIPS 2012).

New in the paper, each with what it brought (sections 3 and 4): ReLU instead of tanh (six times fewer epochs to the
same training error on CIFAR-10, figure 1), local response normalisation (top-1 error down 1.4 points), max pooling
whose windows overlap (0.4 points), dropout in the fully connected layers, and colour jitter along the
principal components of RGB.

The paper splits every layer over two 3 GB cards, and conv2, conv4 and conv5 see only their own card's half of the
channels. One card holds all of it today: this is one tower without groups, with the same widths. Two pixels of
padding make the stated 224 px give the 55x55 maps of figure 2.

`alexnet_owt` is the later single tower of "One weird trick for parallelizing convolutional neural networks"
(Krizhevsky 2014, arXiv 1404.5997), narrower in its first layers; as in torchvision, whose weights load here, it has no
response normalisation.
"""

from functools import partial

from torch import Tensor, nn

from architectures.layers import average_to_grid


class LocalResponseNorm(nn.Module):
    """b = a / (k + alpha * (sum of a^2 over the 5 nearest channels))^beta (section 3.3, whose constants these are).

    A channel that fires strongly at a position damps its neighbours there. `nn.LocalResponseNorm` does the same with
    alpha divided by 5, by three-dimensional pooling, which has no deterministic gradient on a GPU.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        squares = x.pow(2).flatten(2)  # (N, C, HW): one plane an image, to pool along C only
        mean = nn.functional.avg_pool2d(squares, (self.size, 1), stride=1, padding=(self.size // 2, 0))
        return x / (self.k + self.alpha * self.size * mean.view_as(x)).pow(self.beta)


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers (section 3.5).

    Input (N, in_channels, H, W) with H, W >= 63; output logits (N, num_classes). The first fully connected layer takes
    the 6x6 grid that 224 px give; at any other size the last map is averaged to that grid.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        response_norm: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = widths

        def norm() -> list[nn.Module]:
            return [LocalResponseNorm()] if response_norm else []

        self.features = nn.Sequential(  # shapes for 224 px
            nn.Conv2d(in_channels, c1, 11, stride=4, padding=2),  # (N, c1, 55, 55)
            nn.ReLU(inplace=True),
            *norm(),
            nn.MaxPool2d(3, stride=2),  # (N, c1, 27, 27); stride below window: overlapping (section 3.4)
            nn.Conv2d(c1, c2, 5, padding=2),
            nn.ReLU(inplace=True),
            *norm(),
            nn.MaxPool2d(3, stride=2),  # (N, c2, 13, 13)
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),  # (N, c5, 6, 6)
        )
        self.classifier = nn.Sequential(  # 94 % of the parameters; dropout after both hidden layers (section 4.2)
            nn.Flatten(),
            nn.Linear(c5 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(dropout)),  # one entry: the next keeps torchvision's name
            nn.Linear(4096, num_classes),
        )
        self.initialise()

    def initialise(self) -> None:
        """Weights N(0, 0.01^2); bias 1 before the ReLUs of conv2, conv4, conv5 and the hidden layers (section 5).

        The ones start those ReLUs with positive inputs, so that gradients flow from the first step.
        """
        layers = [module for module in self.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        for layer, bias in zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = average_to_grid(self.features(x), 6)  # (N, c5, 6, 6)
        logits: Tensor = self.classifier(x)  # (N, num_classes)
        return logits


NETWORKS = {
    "alexnet": partial(AlexNet, (96, 256, 384, 384, 256)),  # figure 2, both towers together
    "alexnet_owt": partial(AlexNet, (64, 192, 384, 256, 256), response_norm=False),
}
