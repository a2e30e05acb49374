"""SqueezeNet: AlexNet's accuracy with fifty times fewer parameters (Iandola et al. 2016, arXiv 1602.07360).

New in the paper: a network designed for few parameters rather than for accuracy, by three strategies (section 3.1): use
1x1 windows in place of 3x3, which have nine times fewer weights; narrow the input of the 3x3 windows that remain;
pool late, so that most layers see large maps. The first two make the Fire module (section 3.2, figure 1): a 1x1
convolution squeezes the channels, then 1x1 and 3x3 convolutions side by side expand them. There is no linear layer:
the last convolution makes a map a class and the mean of the map is the logit, after NIN.

`squeezenet1_0` is the paper's table 1. `squeezenet1_1` is its authors' later release: a smaller first convolution and
earlier pooling cost 2.4 times less arithmetic at the same accuracy. Weights of torchvision's load here.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

Layer = tuple[int, int] | Literal["pool"]
"""A Fire module as (squeeze width, width of each of the two expand convolutions), or a pooling."""


class Fire(nn.Module):
    """Squeeze to few channels with 1x1 windows, expand with 1x1 and 3x3 windows side by side (figure 1)."""

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 2 expand, H, W)
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], dim=1)


class SqueezeNet(nn.Module):
    """One convolution, eight Fire modules with three poolings between, one convolution to the classes, their means.

    Input (N, in_channels, H, W) with H, W >= 21; output logits (N, num_classes). As published, a ReLU on the class
    maps keeps them from being negative; `final_relu=False` leaves it out, so that no class can start without gradient.
    """

    def __init__(
        self,
        stem: tuple[int, int],
        layers: tuple[Layer, ...],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.5,
        final_relu: bool = True,
    ) -> None:
        super().__init__()
        channels, kernel = stem
        features: list[nn.Module] = [nn.Conv2d(in_channels, channels, kernel, stride=2), nn.ReLU(inplace=True)]
        for layer in layers:
            if layer == "pool":
                features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            else:
                squeeze, expand = layer
                features.append(Fire(channels, squeeze, expand))
                channels = 2 * expand
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(channels, num_classes, 1),
            nn.ReLU(inplace=True) if final_relu else nn.Identity(),
        )
        self.initialise()

    def initialise(self) -> None:
        """As in the released Caffe model: uniform with variance 1 / fan-in; the last convolution N(0, 0.01^2)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.get_parameter("1.weight"), std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 512, 13, 13) for 224 px
        maps = self.classifier(x)  # (N, num_classes, 13, 13)
        logits: Tensor = maps.mean(dim=(2, 3))  # (N, num_classes)
        return logits


NETWORKS = {
    "squeezenet1_0": partial(  # table 1
        SqueezeNet,
        (96, 7),
        ("pool", (16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192), (64, 256), "pool", (64, 256)),
    ),
    "squeezenet1_1": partial(
        SqueezeNet,
        (64, 3),
        ("pool", (16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192), (48, 192), (64, 256), (64, 256)),
    ),
}
