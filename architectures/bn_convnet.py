"""A small convolutional network to watch batch normalisation work (Ioffe and Szegedy, ICML 2015, arXiv 1502.03167).

New in the paper: each activation is normalised over the mini-batch to mean 0 and variance 1, then given a
learnt scale and shift (algorithm 1); running averages stand in for the batch at inference (algorithm 2). For
convolutions the statistics are shared over all positions of a feature map (section 3.2), and a bias before the
normalisation is useless, since the mean removes it.

The paper shows the effect on a three-layer MNIST network (section 4.1) and on Inception (section 4.2). This is
the seed document's example instead: two stages of 5x5 convolution - batch norm - ReLU - pooling, and one linear
layer. `batch_norm=False` gives the same network without, to compare.
"""

from functools import partial

from torch import Tensor, nn


class BNConvNet(nn.Module):
    """Input (N, in_channels, H, W) with H = W = image_size >= 4; output logits (N, num_classes)."""

    def __init__(
        self,
        widths: tuple[int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.layer1 = stage(in_channels, widths[0], batch_norm)
        self.layer2 = stage(widths[0], widths[1], batch_norm)
        side = image_size // 2 // 2
        self.fc = nn.Linear(widths[1] * side * side, num_classes)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 28 px
        x = self.layer1(x)  # (N, 16, 14, 14)
        x = self.layer2(x)  # (N, 32, 7, 7)
        logits: Tensor = self.fc(x.flatten(1))  # (N, num_classes)
        return logits


def stage(in_channels: int, out_channels: int, batch_norm: bool) -> nn.Sequential:
    """5x5 convolution, batch norm before the nonlinearity (section 3.2), ReLU, 2x2 max pooling."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 5, padding=2, bias=not batch_norm),
        nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


NETWORKS = {"bn_convnet": partial(BNConvNet, (16, 32))}
