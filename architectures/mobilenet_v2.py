"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al., CVPR 2018, arXiv 1801.04381).

New in the paper: the block is ResNet's bottleneck turned inside out (section 3.3). The shortcut joins *thin* layers;
between them a 1x1 convolution expands t = 6 times, a 3x3 depthwise one filters there, where it is cheap, and a 1x1
convolution projects back to thin.

That projection has no nonlinearity (section 3.2): ReLU throws away what lies below zero, which a wide layer survives,
since other channels still carry it, and a thin one does not. Everywhere else the nonlinearity is ReLU6, chosen
because it stands low-precision arithmetic.

Layout: table 2. `width` thins every layer but the last, widths rounded to multiples of 8. Keys are torchvision's.
"""

from functools import partial

from torch import Tensor, nn

BOTTLENECKS = (  # expansion t, channels c, repeats n, stride s of the first (table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Thin - wide - thin: expand, filter depthwise, project linearly; add the input where shapes agree (table 1)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.conv = nn.Sequential(
            *([conv_bn_relu(in_channels, wide, 1)] if expansion > 1 else []),
            conv_bn_relu(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),  # and no ReLU: the linear bottleneck
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """A 3x3 stem, seventeen inverted residuals, a 1x1 convolution, global average pooling, one linear layer.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes). `width` is section 4's multiplier:
    above 1 it widens the last convolution too, below 1 not. `dropout` before the classifier is that of the released
    code; the paper names none.
    """

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width must be more than 0 (got {width})")
        channels = multiple_of_8(32 * width)
        layers: list[nn.Module] = [conv_bn_relu(in_channels, channels, 3, stride=2)]
        for expansion, full_width, repeats, first_stride in BOTTLENECKS:
            out_channels = multiple_of_8(full_width * width)
            for i in range(repeats):
                layers.append(InvertedResidual(channels, out_channels, first_stride if i == 0 else 1, expansion))
                channels = out_channels
        last = multiple_of_8(1280 * max(1.0, width))
        layers.append(conv_bn_relu(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        self.initialise()

    def initialise(self) -> None:
        """He initialisation of the convolutions, small classifier weights (torchvision's; the paper names none)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px at width 1
        # 32 x 112², then 16 x 112², 24 x 56², 32 x 28², 64 and 96 x 14², 160 and 320 x 7², 1280 x 7²
        x = self.features(x)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, or the next one where rounding down would lose more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


NETWORKS = {"mobilenet_v2": partial(MobileNetV2)}
