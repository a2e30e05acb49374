"""ResMLP: patches talk through one linear layer (Touvron et al., IEEE TPAMI 2022, arXiv 2105.03404).

New in the paper, against ViT (section 2): attention gives way to a single linear layer across the patches, the same
for every channel, and layer normalisation to an affine map with no statistics at all,

    Aff(x) = alpha * x + beta                              (eq. 1)
    Z = X + Aff(A Aff(X))                                  (eq. 2, A: S x S, patches mix)
    Y = Z + Aff(W2 gelu(W1 Aff(Z)))                        (eq. 3, channels mix, hidden width 4C)

Nothing depends on the batch or on the other channels, and in evaluation Aff can be folded into the layer beside it.
What keeps the training steady is the outer Aff: its scale starts small (LayerScale, from CaiT), so every block starts
close to the identity, and the deeper the network the closer. A row of A says from where a patch listens, and can be
drawn as an image: trained, many look like convolution kernels.

`ls1` and `ls2` are those outer scales, without their shifts, as in the released code. The parameters are named as
in timm.
"""

from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn

from architectures.layers import PatchEmbedding, StochasticDepth, count_patches
from architectures.mlp_mixer import Mlp


class Affine(nn.Module):
    """alpha * x + beta for each channel: what is left of layer norm without its statistics (eq. 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        return torch.addcmul(self.beta, self.alpha, x)


class ResMLPBlock(nn.Module):
    """A linear layer across patches, then an MLP across channels, both scaled down and added (eq. 2 and 3)."""

    def __init__(self, patches: int, width: int, layer_scale: float, drop: float) -> None:
        super().__init__()
        self.norm1 = Affine(width)
        self.linear_tokens = nn.Linear(patches, patches)
        self.ls1 = nn.Parameter(torch.full((width,), layer_scale))
        self.norm2 = Affine(width)
        self.mlp_channels = Mlp(width, 4 * width)
        self.ls2 = nn.Parameter(torch.full((width,), layer_scale))
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, C) -> (N, S, C)
        mixed = self.linear_tokens(rearrange(self.norm1(x), "n s c -> n c s"))
        x = x + self.stochastic_depth(self.ls1 * rearrange(mixed, "n c s -> n s c"))
        result: Tensor = x + self.stochastic_depth(self.ls2 * self.mlp_channels(self.norm2(x)))
        return result


class ResMLP(nn.Module):
    """Patches of 16 px, `depth` blocks at 384 channels, Aff, the mean over patches and one linear layer.

    Input (N, in_channels, H, W) with H = W = image_size, a multiple of 16; output logits (N, num_classes).
    `layer_scale` is where the outer scales start. `stochastic_depth` is one rate for all blocks, as in the released
    code, whose default of 0 is kept.
    """

    def __init__(
        self,
        depth: int,
        width: int = 384,
        patch_size: int = 16,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        layer_scale: float,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        patches = count_patches(image_size, patch_size)
        self.stem = PatchEmbedding(in_channels, width, patch_size)
        self.blocks = nn.Sequential(*(ResMLPBlock(patches, width, layer_scale, stochastic_depth) for _ in range(depth)))
        self.norm = Affine(width)
        self.head = nn.Linear(width, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """As in the released code: linear layers from a narrow normal, without biases; the stem is left to torch."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:  # shapes for 224 px
        x = self.stem(x)  # (N, 196, 384)
        x = self.blocks(x)  # (N, 196, 384)
        logits: Tensor = self.head(self.norm(x).mean(dim=1))  # (N, num_classes)
        return logits


NETWORKS = {  # depth; the scales start as in the released code, smaller in deeper networks (CaiT, arXiv 2103.17239)
    "resmlp_12": partial(ResMLP, 12, layer_scale=0.1),
    "resmlp_24": partial(ResMLP, 24, layer_scale=1e-5),
    "resmlp_36": partial(ResMLP, 36, layer_scale=1e-6),
}
