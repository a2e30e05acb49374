"""Inception v3: rethinking the Inception architecture (Szegedy et al., CVPR 2016, arXiv 1512.00567).

New in the paper: large windows are taken apart. A 5x5 convolution becomes two 3x3, with 28 % fewer weights (section
3.1), and an nxn becomes 1xn followed by nx1 (section 3.2), which pays off on maps of 12 to 20 px. Maps shrink in two
parallel branches, a strided convolution and a pooling, so that information is not squeezed out first (section
5). Every convolution has batch norm, one auxiliary head too (section 4), and the loss smooths its labels (section 7).

Modules by the size of their map, for the paper's 299 px (table 1): `InceptionA` at 35x35 (figure 5), `InceptionC` at
17x17 with n = 7 (figure 6), `InceptionE` at 8x8, where the branches end side by side to widen the output (figure 7); B
and D shrink the map (figure 10).

The sizes are those of the authors' released network and of torchvision, whose weights load here; the stem differs from
table 1 (a 1x1 convolution and a pooling stand for two strided steps), one branch of A keeps its 5x5, and the network
costs 5.7 billion multiply-accumulates at 299 px where the paper says 5. The paper prints no weight for the auxiliary
loss and no initialisation; those here are of the authors' released code.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import average_to_grid


class Outputs(NamedTuple):
    """What the network returns in training mode with its auxiliary head: twice logits (N, num_classes)."""

    logits: Tensor
    aux: Tensor


class Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def row(in_channels: int, out_channels: int, n: int) -> Conv:
    """A window one pixel high and `n` wide."""
    return Conv(in_channels, out_channels, (1, n), padding=(0, n // 2))


def column(in_channels: int, out_channels: int, n: int) -> Conv:
    """A window `n` pixels high and one wide."""
    return Conv(in_channels, out_channels, (n, 1), padding=(n // 2, 0))


def smooth(x: Tensor) -> Tensor:
    """The pooling branch of a module that keeps the size: 3x3 averages."""
    return F.avg_pool2d(x, 3, stride=1, padding=1)


class InceptionA(nn.Module):
    """35x35: one of GoogLeNet's large windows is two 3x3 here (figure 5)."""

    def __init__(self, in_channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(in_channels, 64, 1)
        self.branch5x5_1 = Conv(in_channels, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(in_channels, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(in_channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 224 + pool, H, W)
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(smooth(x))], dim=1)


class InceptionB(nn.Module):
    """35x35 to 17x17: convolve with stride and pool side by side (figure 10)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(in_channels, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, in_channels + 480, ~H/2, ~W/2)
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class InceptionC(nn.Module):
    """17x17: a 7x7 window is 1x7 then 7x1, once and twice over (figure 6). `width` is that of the inner layers."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(in_channels, 192, 1)
        self.branch7x7_1 = Conv(in_channels, width, 1)
        self.branch7x7_2 = row(width, width, 7)
        self.branch7x7_3 = column(width, 192, 7)
        self.branch7x7dbl_1 = Conv(in_channels, width, 1)
        self.branch7x7dbl_2 = column(width, width, 7)
        self.branch7x7dbl_3 = row(width, width, 7)
        self.branch7x7dbl_4 = column(width, width, 7)
        self.branch7x7dbl_5 = row(width, 192, 7)
        self.branch_pool = Conv(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 768, H, W)
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(smooth(x))], dim=1)


class InceptionD(nn.Module):
    """17x17 to 8x8, as B does."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(in_channels, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(in_channels, 192, 1)
        self.branch7x7x3_2 = row(192, 192, 7)
        self.branch7x7x3_3 = column(192, 192, 7)
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, in_channels + 512, ~H/2, ~W/2)
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], dim=1)


class InceptionE(nn.Module):
    """8x8: 1x3 and 3x1 stand side by side instead of in line, for a wide output on a small map (figure 7)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(in_channels, 320, 1)
        self.branch3x3_1 = Conv(in_channels, 384, 1)
        self.branch3x3_2a = row(384, 384, 3)
        self.branch3x3_2b = column(384, 384, 3)
        self.branch3x3dbl_1 = Conv(in_channels, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row(384, 384, 3)
        self.branch3x3dbl_3b = column(384, 384, 3)
        self.branch_pool = Conv(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, 2048, H, W)
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            *(self.branch3x3_2a(once), self.branch3x3_2b(once)),
            *(self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)),
            self.branch_pool(smooth(x)),
        ]
        return torch.cat(branches, dim=1)


class AuxiliaryHead(nn.Module):
    """A classifier with batch norm on the last 17x17 map (section 4, figure 8)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv0 = Conv(768, 128, 1)
        self.conv1 = Conv(128, 768, 5)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:  # (N, 768, 17, 17) -> (N, num_classes)
        # 5x5 averages with stride 3; images below 299 px leave fewer of them than the 5x5 window of conv1 needs
        x = F.avg_pool2d(x, 5, stride=3) if min(x.shape[2:]) >= 17 else average_to_grid(x, 5)  # (N, 768, 5, 5)
        x = self.conv1(self.conv0(x))  # (N, 768, 1, 1)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


class InceptionV3(nn.Module):
    """A stem of plain convolutions, eleven modules, global average pooling, one linear layer (table 1).

    Input (N, in_channels, H, W) with H, W >= 75, 299 in the paper; output logits (N, num_classes), or `Outputs` in
    training mode with the auxiliary head, whose loss counts `aux_weight`.
    """

    aux_weight = 0.4

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        aux_heads: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(in_channels, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = InceptionA(192, pool=32)
        self.Mixed_5c = InceptionA(256, pool=64)
        self.Mixed_5d = InceptionA(288, pool=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, width=128)
        self.Mixed_6c = InceptionC(768, width=160)
        self.Mixed_6d = InceptionC(768, width=160)
        self.Mixed_6e = InceptionC(768, width=192)
        self.AuxLogits = AuxiliaryHead(num_classes) if aux_heads else None
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """Normal, cut at two deviations: 0.1 for convolutions, 0.01 for the last layer, less in the auxiliary head."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                std = {"fc": 0.01, "AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001}.get(name, 0.1)
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor | Outputs:  # shapes for 299 px
        """(N, in_channels, H, W) -> logits (N, num_classes); while it trains with auxiliary heads, theirs besides."""
        x = self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))  # (N, 32, 147, 147)
        x = F.max_pool2d(self.Conv2d_2b_3x3(x), 3, stride=2)  # (N, 64, 73, 73)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # (N, 192, 71, 71)
        x = F.max_pool2d(x, 3, stride=2)  # (N, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (N, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # (N, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(x))  # (N, 768, 17, 17)
        aux = self.AuxLogits(x) if self.training and self.AuxLogits is not None else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (N, 2048, 8, 8)
        logits: Tensor = self.fc(self.dropout(x.mean(dim=(2, 3))))  # (N, num_classes)
        return logits if aux is None else Outputs(logits, aux)


NETWORKS = {"inception_v3": partial(InceptionV3)}
