"""EfficientNetV2: made to train fast (Tan and Le, ICML 2021, arXiv 2104.00298).

New in the paper: the search that designs the network optimises training time as well as accuracy (section 3.2). What
it changed, against EfficientNet:

* Depthwise convolutions have few operations but keep an accelerator waiting for memory. In the early stages, where
  images are large and channels few, a plain 3x3 convolution takes the place of the 1x1 expansion and the depthwise
  one: Fused-MBConv (section 3.1, figure 2). In the late stages it would cost too much, so MBConv stays there.
* Smaller expansion (4 rather than 6 at first), 3x3 kernels only, more layers instead (table 4).
* Images grow while training goes on, and dropout, augmentation and mixup grow with them: progressive learning
  (section 4). That is a recipe, not a part of the network; every size here takes images of any size.

S is table 4's. M and L are scaled up from it, with layers added to the late stages rather than in proportion; their
layouts are those of the released code. The parameters are named as in torchvision, whose weights load here.
"""

from functools import partial

from torch import Tensor, nn

from architectures.efficientnet import MBConv, Norm, conv_norm_act, initialise
from architectures.layers import StochasticDepth


class FusedMBConv(nn.Module):
    """MBConv whose expansion and depthwise convolution are one plain convolution, without gates (figure 2, right)."""

    def __init__(
        self, in_channels: int, out_channels: int, expand: int, kernel: int, stride: int, drop: float, norm: Norm
    ) -> None:
        super().__init__()
        wide = in_channels * expand
        if expand == 1:  # nothing to project back: one convolution is the whole block
            self.block = nn.Sequential(conv_norm_act(in_channels, out_channels, kernel, stride, norm=norm))
        else:
            self.block = nn.Sequential(
                conv_norm_act(in_channels, wide, kernel, stride, norm=norm),
                conv_norm_act(wide, out_channels, 1, norm=norm, activation=False),
            )
        self.residual = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out: Tensor = self.block(x)
        return x + self.stochastic_depth(out) if self.residual else out


Stage = tuple[type[MBConv] | type[FusedMBConv], int, int, int, int]


class EfficientNetV2(nn.Module):
    """A 3x3 stem, Fused-MBConv stages, MBConv stages, a 1x1 convolution to 1280 channels, pooling, a linear head.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes). `dropout` comes before the last
    layer; `stochastic_depth` is the rate reached after the last block, growing linearly from 0 in the first.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float,
        stochastic_depth: float = 0.2,
    ) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=1e-3)
        channels = stages[0][3]
        features: list[nn.Module] = [conv_norm_act(in_channels, channels, 3, stride=2, norm=norm)]
        total, built = sum(layers for *_, layers in stages), 0
        for block, expand, stride, out_channels, layers in stages:
            stage = nn.Sequential()
            for layer in range(layers):
                drop = stochastic_depth * built / total
                first = layer == 0  # strides and changes the channels
                stage.append(block(channels, out_channels, expand, 3, stride if first else 1, drop, norm))
                channels = out_channels
                built += 1
            features.append(stage)
        features.append(conv_norm_act(channels, 1280, 1, norm=norm))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, num_classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px
        x = self.features(x)  # (N, 1280, 7, 7)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


SMALL = (  # table 4: block, expand, stride, channels, layers; every kernel is 3x3
    (FusedMBConv, 1, 1, 24, 2),
    (FusedMBConv, 4, 2, 48, 4),
    (FusedMBConv, 4, 2, 64, 4),
    (MBConv, 4, 2, 128, 6),
    (MBConv, 6, 1, 160, 9),
    (MBConv, 6, 2, 256, 15),
)
MEDIUM = (
    (FusedMBConv, 1, 1, 24, 3),
    (FusedMBConv, 4, 2, 48, 5),
    (FusedMBConv, 4, 2, 80, 5),
    (MBConv, 4, 2, 160, 7),
    (MBConv, 6, 1, 176, 14),
    (MBConv, 6, 2, 304, 18),
    (MBConv, 6, 1, 512, 5),
)
LARGE = (
    (FusedMBConv, 1, 1, 32, 4),
    (FusedMBConv, 4, 2, 64, 7),
    (FusedMBConv, 4, 2, 96, 7),
    (MBConv, 4, 2, 192, 10),
    (MBConv, 6, 1, 224, 19),
    (MBConv, 6, 2, 384, 25),
    (MBConv, 6, 1, 640, 7),
)

NETWORKS = {  # dropout: the released code's; progressive learning raises it as the images grow (table 6)
    "efficientnet_v2_s": partial(EfficientNetV2, SMALL, dropout=0.2),
    "efficientnet_v2_m": partial(EfficientNetV2, MEDIUM, dropout=0.3),
    "efficientnet_v2_l": partial(EfficientNetV2, LARGE, dropout=0.4),
}
