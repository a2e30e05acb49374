"""EfficientNet: depth, width and resolution grow together (Tan and Le, ICML 2019, arXiv 1905.11946).

New in the paper: with more computation to spend, a network should become deeper, wider *and* see larger images, in
fixed proportion (section 3.3, eq. 3). With a single knob phi

    depth alpha^phi,  width beta^phi,  resolution gamma^phi,     alpha * beta^2 * gamma^2 ~ 2

the cost grows by about 2^phi, since convolutions cost linearly in depth and quadratically in the other two. A small
grid search on the baseline B0 found alpha = 1.2, beta = 1.1, gamma = 1.15.

B0 itself (table 1) came out of an architecture search over the inverted bottleneck of MobileNetV2 with squeeze and
excitation: MBConv. From a narrow input, 1x1 up to `expand` times the channels, a depthwise convolution there, channel
gates, 1x1 down without a nonlinearity, and the input added where the shape has not changed.

The released B1 to B7 are *not* the powers above but a table of rounded multipliers, which stands at the bottom of
this file and which all published weights need: phi = 7 would give depth 3.6, width 1.9 and 596 px; B7 has 3.1,
2.0 and 600 px. The parameters are named as in torchvision, whose weights load here.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from architectures.layers import StochasticDepth

Norm = Callable[[int], nn.Module]


class SqueezeExcitation(nn.Module):
    """Each channel is scaled by a gate in (0, 1) that is computed from the mean of all channels (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        gate = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        gate = self.fc2(self.activation(self.fc1(gate)))
        return x * torch.sigmoid(gate)


class MBConv(nn.Module):
    """Mobile inverted bottleneck: wide in the middle, narrow where it meets its neighbours.

    The gates squeeze to a quarter of the block's *input*, not of the expanded width.
    """

    def __init__(
        self, in_channels: int, out_channels: int, expand: int, kernel: int, stride: int, drop: float, norm: Norm
    ) -> None:
        super().__init__()
        wide = in_channels * expand
        self.block = nn.Sequential(
            *([conv_norm_act(in_channels, wide, 1, norm=norm)] if expand != 1 else []),
            conv_norm_act(wide, wide, kernel, stride, groups=wide, norm=norm),
            SqueezeExcitation(wide, max(1, in_channels // 4)),
            conv_norm_act(wide, out_channels, 1, norm=norm, activation=False),
        )
        self.residual = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)
        out: Tensor = self.block(x)
        return x + self.stochastic_depth(out) if self.residual else out


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: Norm,
    activation: bool = True,
) -> nn.Sequential:
    """Convolution that keeps the size (up to its stride), batch norm, and SiLU, which the paper calls Swish-1."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, norm(out_channels), *([nn.SiLU(inplace=True)] if activation else []))


def round_channels(channels: float) -> int:
    """To a multiple of 8, as hardware likes it, but never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


STAGES = (  # table 1, B0: expand, kernel, stride, channels, layers
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNet(nn.Module):
    """A 3x3 stem, the seven MBConv stages of table 1 scaled in width and depth, a 1x1 convolution, pooling, a head.

    Input (N, in_channels, H, W) with H, W >= 32; output logits (N, num_classes). The third dimension of scaling,
    resolution, is the image one feeds. `dropout` comes before the last layer; `stochastic_depth` is the rate reached
    after the last block, growing linearly from 0 in the first.
    """

    def __init__(
        self,
        width: float,
        depth: float,
        norm: Norm = nn.BatchNorm2d,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float,
        stochastic_depth: float = 0.2,
    ) -> None:
        super().__init__()
        layers_of = [math.ceil(layers * depth) for *_, layers in STAGES]
        channels = round_channels(32 * width)
        stages: list[nn.Module] = [conv_norm_act(in_channels, channels, 3, stride=2, norm=norm)]
        built = 0
        for (expand, kernel, stride, base, _), layers in zip(STAGES, layers_of, strict=True):
            out_channels = round_channels(base * width)
            stage = nn.Sequential()
            for layer in range(layers):
                drop = stochastic_depth * built / sum(layers_of)
                first = layer == 0  # strides and changes the channels
                stage.append(MBConv(channels, out_channels, expand, kernel, stride if first else 1, drop, norm))
                channels = out_channels
                built += 1
            stages.append(stage)
        stages.append(conv_norm_act(channels, 4 * channels, 1, norm=norm))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * channels, num_classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:  # shapes for B0 at 224 px
        x = self.features(x)  # (N, 1280, 7, 7)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))  # (N, num_classes)
        return logits


def initialise(network: nn.Module) -> None:
    """As in the released code: He et al. by fan-out, that of one group, which matters for depthwise convolutions.

    The head is torch's uniform of 1 / sqrt(fan-in), not the released 1 / sqrt(number of classes): the two are nearly
    equal at 1000 classes, but with ten the released one starts with logits so large that the loss is far above chance.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


# The paper trains with running averages of momentum 0.99, which is 0.01 in torch's convention, and eps 1e-3.
# torchvision, whose weights fix eps, has that only from B5 on and torch's own 0.1 and 1e-5 before.
slow_norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)

NETWORKS = {  # width, depth; the resolution each was made for
    "efficientnet_b0": partial(EfficientNet, 1.0, 1.0, dropout=0.2),  # 224 px
    "efficientnet_b1": partial(EfficientNet, 1.0, 1.1, dropout=0.2),  # 240
    "efficientnet_b2": partial(EfficientNet, 1.1, 1.2, dropout=0.3),  # 260
    "efficientnet_b3": partial(EfficientNet, 1.2, 1.4, dropout=0.3),  # 300
    "efficientnet_b4": partial(EfficientNet, 1.4, 1.8, dropout=0.4),  # 380
    "efficientnet_b5": partial(EfficientNet, 1.6, 2.2, slow_norm, dropout=0.4),  # 456
    "efficientnet_b6": partial(EfficientNet, 1.8, 2.6, slow_norm, dropout=0.5),  # 528
    "efficientnet_b7": partial(EfficientNet, 2.0, 3.1, slow_norm, dropout=0.5),  # 600
}
