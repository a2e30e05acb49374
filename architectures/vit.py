"""ViT: an image is a sentence of patches (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929).

New in the paper: a plain Transformer encoder, with nothing built in about images, classifies them. The image is cut
into P x P patches, each patch is projected linearly to a token, and a learnt class token in front of the sequence
gathers the answer (section 3.1):

    z_0  = [class; x_1 E; ...; x_S E] + E_pos        (eq. 1, S = (image_size / P)^2)
    z'_l = MSA(LN(z_{l-1})) + z_{l-1}                (eq. 2, multi-head self-attention)
    z_l  = MLP(LN(z'_l)) + z'_l                      (eq. 3, two linear layers with a GELU between)
    y    = LN(class token of z_L)                    (eq. 4, then one linear layer)

Attention lets every patch look at every other from the first layer on, at a cost of S^2. What is near and what is
far has to be learnt: only E_pos says where a patch was. So the network needs much data, or heavy augmentation.

Base and Large are table 1's; Small and Tiny came with DeiT (Touvron et al., ICML 2021, arXiv 2012.12877). `vit` is
the seed document's: 32 px patches, six wide layers and no bias for queries, keys and values. The parameters are
named as in torchvision, whose weights load here; timm's, which has Small and Tiny, load too (see `accept_timm`).
"""

import re
from collections import OrderedDict
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import count_patches


class SelfAttention(nn.Module):
    """Every token asks every token: softmax(Q K^T / sqrt(d)) V in `heads` subspaces of d = width / heads (appendix A).

    The three projections are rows of one matrix, so that they cost one multiplication.
    """

    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width)) if qkv_bias else None
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = rearrange(qkv, "n s (qkv heads d) -> qkv n heads s d", qkv=3, heads=self.heads).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)  # (N, heads, S, d)
        result: Tensor = self.out_proj(rearrange(out, "n heads s d -> n s (heads d)"))
        return result


class EncoderBlock(nn.Module):
    """Attention mixes the tokens, the MLP works on each alone; both change what they are added to (figure 1, right)."""

    def __init__(self, width: int, heads: int, mlp_width: int, qkv_bias: bool, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = SelfAttention(width, heads, qkv_bias)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        x = x + self.dropout(self.self_attention(self.ln_1(x)))  # eq. 2
        result: Tensor = x + self.mlp(self.ln_2(x))  # eq. 3
        return result


class Encoder(nn.Module):
    """Learnt position embeddings, `depth` blocks and the last layer norm."""

    def __init__(
        self, tokens: int, depth: int, width: int, heads: int, mlp_width: int, qkv_bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, width))
        self.dropout = nn.Dropout(dropout)
        blocks = [EncoderBlock(width, heads, mlp_width, qkv_bias, dropout) for _ in range(depth)]
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", block) for i, block in enumerate(blocks)))
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:  # (N, S, width) -> (N, S, width)
        x = self.dropout(x + self.pos_embedding)
        result: Tensor = self.ln(self.layers(x))
        return result


class VisionTransformer(nn.Module):
    """Patches to tokens, an encoder, and a linear layer on the class token.

    Input (N, in_channels, H, W) with H = W = image_size, a multiple of the patch size; output logits (N, num_classes).
    `dropout` follows the embeddings and every linear layer except the query, key and value projection (appendix B.1).
    """

    def __init__(
        self,
        patch_size: int,
        depth: int,
        width: int,
        heads: int,
        mlp_width: int,
        qkv_bias: bool = True,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        tokens = 1 + count_patches(image_size, patch_size)
        # A convolution whose stride is its size sees each patch once: it is the linear projection E of eq. 1.
        self.conv_proj = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = Encoder(tokens, depth, width, heads, mlp_width, qkv_bias, dropout)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, num_classes)))
        self.initialise()
        self.register_load_state_dict_pre_hook(accept_timm)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def initialise(self) -> None:
        """As in the paper's released code; the head starts at zero, so that all classes start equally likely."""
        nn.init.normal_(self.encoder.pos_embedding, std=0.02)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                for projection in module.in_proj_weight.chunk(3):  # queries, keys and values are three matrices
                    nn.init.xavier_uniform_(projection)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.conv_proj.weight, std=self.conv_proj.weight[0].numel() ** -0.5)
        for parameter in (self.conv_proj.bias, *self.heads.parameters()):
            if parameter is not None:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:  # shapes for ViT-B/16 at 224 px
        x = rearrange(self.conv_proj(x), "n c h w -> n (h w) c")  # (N, 196, 768)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)  # (N, 197, 768)
        x = self.encoder(x)  # (N, 197, 768)
        logits: Tensor = self.heads(x[:, 0])  # (N, num_classes), from the class token alone
        return logits


TIMM_NAMES = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^norm\.", "encoder.ln."),
    (r"^head\.", "heads.head."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
)
"""Patterns of timm's parameter names and what stands for them here."""


def from_timm(name: str) -> str:
    """timm's name of a ViT parameter -> torchvision's, which is ours; any other name stays."""
    for pattern, replacement in TIMM_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def accept_timm(network: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading: rename in `state` what came from timm. The matrices are the same, only their names differ."""
    if prefix == "" and "cls_token" in state:
        for name in list(state):
            state[from_timm(name)] = state.pop(name)


NETWORKS = {  # patch size, depth, width, heads, MLP width, bias of queries, keys and values
    "vit": partial(VisionTransformer, 32, 6, 1024, 16, 2048, False),  # the seed document's
    "vit_ti_16": partial(VisionTransformer, 16, 12, 192, 3, 768),  # DeiT, table 1
    "vit_s_16": partial(VisionTransformer, 16, 12, 384, 6, 1536),
    "vit_b_16": partial(VisionTransformer, 16, 12, 768, 12, 3072),  # table 1
    "vit_b_32": partial(VisionTransformer, 32, 12, 768, 12, 3072),
    "vit_l_16": partial(VisionTransformer, 16, 24, 1024, 16, 4096),
}
