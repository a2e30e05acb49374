"""MLP-Mixer: neither convolution nor attention (Tolstikhin et al., NeurIPS 2021, arXiv 2105.01601).

New in the paper: an image is kept as a table X of S patches by C channels, and two kinds of two-layer perceptron take
turns on it (section 2, eq. 1): one along the columns, shared by all channels, which mixes *places*, and one along the
rows, shared by all places, which mixes *channels*:

    U = X + W2 gelu(W1 LayerNorm(X))       over the S entries of each column (token mixing)
    Y = U + W4 gelu(W3 LayerNorm(U))       over the C entries of each row (channel mixing)

The weights of token mixing are fixed after training: where attention asks the image which patches belong together,
Mixer has learnt it once for all images. Cost grows linearly with S, not with its square, and no position embedding is
needed, since W1 knows each place by its column. The price: the network fits one image size only.

Sizes: table 1. `mlp_mixer` is the seed document's, deeper and narrower. The parameters are named as in timm.
"""

from functools import partial

from einops import rearrange
from torch import Tensor, nn

from architectures.layers import PatchEmbedding, StochasticDepth, count_patches


class Mlp(nn.Module):
    """Two linear layers with a GELU between, along the last dimension."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:  # (..., width) -> (..., width)
        result: Tensor = self.fc2(self.act(self.fc1(x)))
        return result


class MixerBlock(nn.Module):
    """Mix along the columns, then along the rows (figure 1, eq. 1)."""

    def __init__(self, patches: int, width: int, token_hidden: int, channel_hidden: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp_tokens = Mlp(patches, token_hidden)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp_channels = Mlp(width, channel_hidden)
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, C) -> (N, S, C)
        columns = rearrange(self.norm1(x), "n s c -> n c s")
        x = x + self.stochastic_depth(rearrange(self.mlp_tokens(columns), "n c s -> n s c"))
        result: Tensor = x + self.stochastic_depth(self.mlp_channels(self.norm2(x)))
        return result


class MlpMixer(nn.Module):
    """Patch embedding, Mixer blocks, layer norm, the mean over patches and one linear layer.

    Input (N, in_channels, H, W) with H = W = image_size, a multiple of the patch size; output logits (N, num_classes).
    `stochastic_depth` is the rate of the last block; it grows linearly from 0 in the first. 0.1 is the paper's for
    training on ImageNet alone.
    """

    def __init__(
        self,
        patch_size: int,
        depth: int,
        width: int,
        token_hidden: int,
        channel_hidden: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        stochastic_depth: float = 0.1,
    ) -> None:
        super().__init__()
        patches = count_patches(image_size, patch_size)
        self.stem = PatchEmbedding(in_channels, width, patch_size)
        rates = [stochastic_depth * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(MixerBlock(patches, width, token_hidden, channel_hidden, r) for r in rates))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)
        self.initialise()

    def initialise(self) -> None:
        """As in the paper's released code: weights of variance 1 / fan-in, no biases, a head of zeros."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:  # shapes for Mixer-B/16 at 224 px
        x = self.stem(x)  # (N, 196, 768)
        x = self.blocks(x)  # (N, 196, 768)
        logits: Tensor = self.head(self.norm(x).mean(dim=1))  # (N, num_classes)
        return logits


NETWORKS = {  # patch size, depth, width C, token-mixing width D_S, channel-mixing width D_C
    "mlp_mixer": partial(MlpMixer, 16, 12, 512, 128, 1024),  # the seed document's
    "mixer_s32": partial(MlpMixer, 32, 8, 512, 256, 2048),  # table 1
    "mixer_s16": partial(MlpMixer, 16, 8, 512, 256, 2048),
    "mixer_b32": partial(MlpMixer, 32, 12, 768, 384, 3072),
    "mixer_b16": partial(MlpMixer, 16, 12, 768, 384, 3072),
    "mixer_l16": partial(MlpMixer, 16, 24, 1024, 512, 4096),
}
