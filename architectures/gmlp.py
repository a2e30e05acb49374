"""gMLP: patches meet in a gate (Liu, Dai, So and Le, NeurIPS 2021, arXiv 2105.08050).

New in the paper: one block replaces both attention and the feed-forward layer of a Transformer (section 2):

    Z  = gelu(X U)                      channels widened, each patch alone
    Z~ = Z1 * (W LayerNorm(Z2) + b)     spatial gating unit: half the channels gate the other half (section 2.1)
    Y  = Z~ V + X                       back to the width, residual

W (S x S) is the only place where patches meet: a linear layer across them, the same for all channels. Because its
result *multiplies*, the block has second-order interactions of patches, as attention has third-order ones. It starts
with W near 0 and b = 1: the gate is open, the block is an ordinary feed-forward layer, and spatial mixing is learnt
gradually, which the paper found critical for stability.

Sizes: table 1. No position embedding and no class token: W knows the places. `gmlp` is the seed document's, six
shallow blocks; it had sized W for 256 patches, which is 256 px here, and could not run at 224 (196 patches). The
parameters are named as in timm.
"""

from functools import partial

from einops import rearrange
from torch import Tensor, nn

from architectures.layers import PatchEmbedding, StochasticDepth, count_patches


class SpatialGatingUnit(nn.Module):
    """Splits the channels, sends one half through a linear layer across patches and multiplies (section 2.1)."""

    def __init__(self, patches: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden // 2)
        self.proj = nn.Linear(patches, patches)

    def forward(self, z: Tensor) -> Tensor:  # (N, S, hidden) -> (N, S, hidden / 2)
        content, gate = z.chunk(2, dim=-1)
        gate = self.proj(rearrange(self.norm(gate), "n s c -> n c s"))
        result: Tensor = content * rearrange(gate, "n c s -> n s c")
        return result


class GatedMlp(nn.Module):
    """Widen, gate, narrow (figure 1). The gate halves the channels, so V takes half of what U gives."""

    def __init__(self, patches: int, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.gate = SpatialGatingUnit(patches, hidden)
        self.fc2 = nn.Linear(hidden // 2, width)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        result: Tensor = self.fc2(self.gate(self.act(self.fc1(x))))
        return result


class GMLPBlock(nn.Module):
    """Layer norm and the gated MLP, around which the input is carried."""

    def __init__(self, patches: int, width: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp_channels = GatedMlp(patches, width, hidden)
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        result: Tensor = x + self.stochastic_depth(self.mlp_channels(self.norm(x)))
        return result


class GMLP(nn.Module):
    """Patches of 16 px, `depth` gated blocks, layer norm, the mean over patches and one linear layer.

    Input (N, in_channels, H, W) with H = W = image_size, a multiple of 16; output logits (N, num_classes).
    `stochastic_depth` is the rate of the last block, growing linearly from 0 in the first. The paper prints only a
    survival probability (1 - rate, table 1); linear growth is what its reference for it proposes (Huang et al. 2016).
    """

    def __init__(
        self,
        depth: int,
        width: int,
        hidden: int,
        patch_size: int = 16,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        patches = count_patches(image_size, patch_size)
        self.stem = PatchEmbedding(in_channels, width, patch_size)
        rates = [stochastic_depth * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(GMLPBlock(patches, width, hidden, rate) for rate in rates))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """Gates open and constant (section 2.1); on the rest the paper is silent: a narrow normal, torch's own stem."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, SpatialGatingUnit):
                nn.init.normal_(module.proj.weight, std=1e-6)
                nn.init.ones_(module.proj.bias)

    def forward(self, x: Tensor) -> Tensor:  # shapes for gMLP-S at 224 px
        x = self.stem(x)  # (N, 196, 256)
        x = self.blocks(x)  # (N, 196, 256)
        logits: Tensor = self.head(self.norm(x).mean(dim=1))  # (N, num_classes)
        return logits


NETWORKS = {  # depth, width, channels before the gate; 1 - survival probability
    "gmlp": partial(GMLP, 6, 256, 1024),  # the seed document's
    "gmlp_ti16": partial(GMLP, 30, 128, 768),  # table 1
    "gmlp_s16": partial(GMLP, 30, 256, 1536, stochastic_depth=0.05),
    "gmlp_b16": partial(GMLP, 30, 512, 3072, stochastic_depth=0.2),
}
