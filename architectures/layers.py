"""Blocks that three papers or more use in exactly the same way. Everything else stands in its own paper's module."""

import torch
from einops import rearrange
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Leaves out a residual branch at random, per sample (Huang et al. 2016, arXiv 1603.09382).

    In training a sample's branch is zeroed with probability `rate` and otherwise divided by 1 - rate, so that its
    mean stays; in evaluation nothing happens.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"the rate of stochastic depth must be at least 0 and less than 1 (got {rate})")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:  # (N, ...) -> (N, ...)
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        kept = branch.new_empty(branch.shape[0], *[1] * (branch.ndim - 1)).bernoulli_(keep)
        return branch * (kept / keep)


class PatchEmbedding(nn.Module):
    """Cuts the image into patches and projects each to a row of a table: a convolution whose stride is its size.

    As in MLP-Mixer, ResMLP and gMLP; the parameters are named as in timm.
    """

    def __init__(self, in_channels: int, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:  # (N, in_channels, H, W) -> (N, S, C)
        tokens: Tensor = rearrange(self.proj(x), "n c h w -> n (h w) c")
        return tokens


def count_patches(image_size: int, patch_size: int) -> int:
    """Patches in a square image. ValueError where they do not tile it."""
    if image_size % patch_size:
        smaller = image_size // patch_size * patch_size
        nearest = f"{smaller} or {smaller + patch_size}" if smaller else str(patch_size)
        raise ValueError(
            f"image_size must be a multiple of the patch size, {patch_size} px (got {image_size}; nearest: {nearest})"
        )
    return int((image_size // patch_size) ** 2)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """None where the identity fits, else a 1x1 projection with batch norm (ResNet, section 3.3, option B)."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


def average_to_grid(x: Tensor, side: int) -> Tensor:
    """(N, C, H, W) -> (N, C, side, side): what `nn.AdaptiveAvgPool2d(side)` computes, nothing at all where it fits.

    For networks whose first linear layer wants a fixed grid (AlexNet, VGG, the heads of Inception). Written as two
    small matrix products, because the layer's own gradient is not deterministic on a GPU.
    """
    height, width = x.shape[2:]
    if height == width == side:
        return x
    return averaging(height, side, x) @ x @ averaging(width, side, x).T


def averaging(size: int, side: int, like: Tensor) -> Tensor:
    """(side, size) matrix: row i averages the i-th of `side` near-equal spans of `size` positions."""
    span, position = torch.arange(side, device=like.device)[:, None], torch.arange(size, device=like.device)
    inside = (position >= span * size // side) & (position * side < (span + 1) * size)
    return inside.to(like.dtype) / inside.sum(1, keepdim=True)
