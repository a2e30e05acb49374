"""NIN: network in network (Lin, Chen and Yan, ICLR 2014, arXiv 1312.4400).

New in the paper, and used ever since:

- The 1x1 convolution. A convolution followed by ReLU is a linear model of each patch. NIN slides a small multilayer
  perceptron over the image instead ("mlpconv", section 3.1, eq. 2), and applying the same fully connected layer to the
  channels of every position is just a convolution with a 1x1 window.
- Global average pooling as the classifier (section 3.2). The last mlpconv makes one map a class, and the mean of a map
  is that class's logit. The large fully connected layers of AlexNet go, with their parameters and their over-fitting.

The paper trains on 32 px images. This is the version for large ones, with AlexNet's windows, strides and widths, as in
the ImageNet model that the first author published; the last mlpconv is as wide as there are classes.
"""

from functools import partial

from torch import Tensor, nn


class NIN(nn.Module):
    """Four mlpconv layers with max pooling between, then the mean of each class's map.

    Input (N, in_channels, H, W) with H, W >= 67; output logits (N, num_classes). `final_relu` keeps the ReLU on the
    class maps as eq. 2 has it. It is off here: a class whose map starts negative everywhere gets no gradient, and with
    the narrow last layers of ten classes about four of ten fresh maps are.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.5,
        final_relu: bool = False,
    ) -> None:
        super().__init__()
        w1, w2, w3 = widths
        self.features = nn.Sequential(  # shapes for 224 px
            mlpconv(in_channels, w1, kernel=11, stride=4),  # (N, 96, 54, 54)
            nn.MaxPool2d(3, stride=2),  # (N, 96, 26, 26)
            nn.Dropout(dropout),  # on the outputs of all mlpconv layers but the last (section 4.1)
            mlpconv(w1, w2, kernel=5, padding=2),
            nn.MaxPool2d(3, stride=2),  # (N, 256, 12, 12)
            nn.Dropout(dropout),
            mlpconv(w2, w3, kernel=3, padding=1),
            nn.MaxPool2d(3, stride=2),  # (N, 384, 5, 5)
            nn.Dropout(dropout),
        )
        self.classifier = mlpconv(w3, num_classes, kernel=3, padding=1)  # (N, num_classes, 5, 5)
        if not final_relu:
            self.classifier = self.classifier[:-1]
        self.initialise()

    def initialise(self) -> None:
        """He initialisation (2015); the paper set its weights by hand and does not print them (section 4.1)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.classifier(self.features(x))  # (N, num_classes, 5, 5): where each class is seen
        logits: Tensor = maps.mean(dim=(2, 3))  # (N, num_classes)
        return logits


def mlpconv(in_channels: int, width: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """A convolution and two 1x1 convolutions: a perceptron with two hidden layers at every position."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, kernel, stride, padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
    )


NETWORKS = {"nin": partial(NIN, (96, 256, 384))}
