"""The independent implementations that our networks are compared with: torchvision's and timm's.

Most are networks that the library has a name for. Some are sizes that its class takes and its list of names lacks (the
seed document's rows, MobileNet's widths), and three are its network for large images with the few layers replaced in
which the paper's network for small images differs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import timm
from timm.models import efficientnet, mlp_mixer, vision_transformer
from torch import nn
from torchvision import models
from torchvision.models import resnet

from architectures.vit import from_timm

CLASSES = 11


@dataclass(frozen=True)
class Peer:
    """One library's counterpart of `architectures.create(name, num_classes=CLASSES, **options)`."""

    name: str
    library: str
    build: Callable[[int], nn.Module]
    """Image size in px -> the network."""
    sizes: tuple[int, int]
    """Image sizes to compare at: the smallest that the design allows, or nearly, and one that it divides badly."""
    watched: tuple[str, ...] = ()
    """Parameters (our names) whose gradients are compared; by default the first, the middle and the last matrix."""
    any_size: bool = True
    """Whether one network takes images of every size; else each size has a network of its own."""
    rename: Callable[[str], str] = str
    """The peer's name of a parameter -> ours."""
    gain: float = 2.0
    """Of the kernels' random weights: see `agreement.fill`."""
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *self.options, self.library])


def torchvisions(name: str, sizes: tuple[int, int], *watched: str, theirs: str = "", **kwargs: Any) -> Peer:
    """A network that torchvision has, for images of any size; `theirs` is its name there, where it is not ours."""
    build = partial(getattr(models, theirs or name), num_classes=CLASSES, **kwargs)
    options = {"aux_heads": True} if kwargs.get("aux_logits") else {}
    return Peer(name, "torchvision", lambda size: build(), sizes, watched, options=options)


def timms(name: str, theirs: str, sizes: tuple[int, int], *watched: str, **kwargs: Any) -> Peer:
    """A network that timm has, for images of any size."""
    build = partial(timm.create_model, theirs, num_classes=CLASSES, **kwargs)
    return Peer(name, "timm", lambda size: build(), sizes, watched)


def timms_patches(name: str, theirs: str, sizes: tuple[int, int], *watched: str) -> Peer:
    """A network that timm builds for one image size."""
    build = partial(timm.create_model, theirs, num_classes=CLASSES)
    return Peer(name, "timm", lambda size: build(img_size=size), sizes, watched, any_size=False)


def torchvisions_vit(name: str, sizes: tuple[int, int]) -> Peer:
    build = partial(getattr(models, name), num_classes=CLASSES)
    return Peer(name, "torchvision", lambda size: build(image_size=size), sizes, VIT, any_size=False)


def timms_vit(name: str, theirs: str, sizes: tuple[int, int]) -> Peer:
    return replace(timms_patches(name, theirs, sizes, *VIT), rename=from_timm)


def mobilenet_v1(width: float) -> nn.Module:
    """What builds timm's mobilenetv1_100, at another width; no public name of timm's takes one."""
    return efficientnet._gen_mobilenet_v1("mobilenetv1_100", width, num_classes=CLASSES)


def the_seeds_vit(size: int) -> nn.Module:
    return vision_transformer.VisionTransformer(
        size, 32, num_classes=CLASSES, embed_dim=1024, depth=6, num_heads=16, mlp_ratio=2, qkv_bias=False
    )


def tiny_vit(size: int) -> nn.Module:
    return models.VisionTransformer(size, 16, 12, 3, 192, 768, num_classes=CLASSES)


def the_seeds_mixer(size: int) -> nn.Module:
    return mlp_mixer.MlpMixer(CLASSES, size, num_blocks=12, embed_dim=512, mlp_ratio=(0.25, 2.0))


def the_seeds_gmlp(size: int) -> nn.Module:
    gated = {"block_layer": mlp_mixer.SpatialGatingBlock, "mlp_layer": mlp_mixer.GatedMlp}
    return mlp_mixer.MlpMixer(CLASSES, size, num_blocks=6, embed_dim=256, mlp_ratio=4, **gated)


def densenet_for_small_images(depth: int, size: int) -> nn.Module:
    """torchvision's DenseNet with the paper's stem for 32 px images, one 3x3 convolution."""
    network = models.DenseNet(12, (depth, depth, depth), 24, num_classes=CLASSES)
    network.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for layer in ("norm0", "relu0", "pool0"):
        delattr(network.features, layer)
    return network


def resnext_for_small_images(size: int) -> nn.Module:
    """torchvision's ResNeXt with a stem at full resolution, one 1x1 convolution, and without the last stage."""
    network = resnet.ResNet(resnet.Bottleneck, [3, 3, 3, 1], num_classes=CLASSES, groups=2, width_per_group=64)
    network.conv1 = nn.Conv2d(3, 64, 1, bias=False)
    network.maxpool = network.layer4 = nn.Identity()
    network.fc = nn.Linear(1024, CLASSES)
    return network


MIXER = ("stem.proj.weight", "blocks.1.mlp_tokens.fc1.weight", "blocks.7.mlp_channels.fc2.bias", "norm.weight")
GMLP = (
    "stem.proj.weight",
    "blocks.1.mlp_channels.gate.proj.weight",
    "blocks.3.mlp_channels.gate.norm.bias",
    "blocks.5.mlp_channels.fc1.weight",
    "head.bias",
)
RESMLP = ("stem.proj.weight", "blocks.1.linear_tokens.weight", "blocks.3.ls2", "blocks.7.norm1.alpha", "head.weight")
VIT = (
    "conv_proj.weight",
    "class_token",
    "encoder.pos_embedding",
    "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
    "encoder.layers.encoder_layer_1.mlp.0.weight",
    "heads.head.bias",
)
EFFICIENTNET = (
    "features.0.0.weight",
    "features.5.1.block.2.fc1.weight",
    "features.5.0.block.1.1.bias",
    "classifier.1.bias",
)
RESNET = ("conv1.weight", "layer2.0.conv2.weight", "layer2.0.bn1.bias", "fc.weight")
DENSENET = ("features.conv0.weight", "features.denseblock2.denselayer3.norm1.weight", "classifier.weight")
XCEPTION = ("conv1.weight", "block5.rep.4.pointwise.weight", "block12.skip.weight", "fc.weight")
FIRE = ("features.0.weight", "features.7.squeeze.weight", "features.9.expand3x3.weight", "classifier.1.bias")
SE_RESNET = ("layer0.conv1.weight", "layer2.0.se_module.fc1.weight", "last_linear.weight")
GOOGLENET = ("conv1.conv.weight", "inception4b.branch3.1.bn.weight", "fc.weight")
INCEPTION = ("Conv2d_1a_3x3.conv.weight", "Mixed_6c.branch7x7dbl_3.conv.weight", "fc.weight")


def _peers() -> Iterator[Peer]:
    """Oldest paper first, as the cards are."""
    yield torchvisions("alexnet_owt", (64, 97), theirs="alexnet")
    for aux, sizes in ((False, (33, 64)), (True, (49, 96))):
        yield torchvisions("googlenet_bn", sizes, *GOOGLENET, theirs="googlenet", aux_logits=aux, init_weights=False)
    for layers, norm in product((11, 13, 16, 19), ("", "_bn")):
        yield torchvisions(f"vgg{layers}{norm}", (32, 49), init_weights=False)
    # torchvision's auxiliary head has no room below the paper's own 299 px.
    for aux, sizes in ((False, (75, 96)), (True, (299, 320))):
        yield torchvisions("inception_v3", sizes, *INCEPTION, aux_logits=aux, init_weights=False)
    for layers in (18, 34, 50, 101, 152):
        yield torchvisions(f"resnet{layers}", (32, 49), *RESNET)
    for version in (0, 1):
        yield torchvisions(f"squeezenet1_{version}", (33, 96), *FIRE)
    for layers, depth in ((40, 6), (100, 16)):
        build = partial(densenet_for_small_images, depth)
        yield Peer(f"densenet{layers}_k12_bc", "torchvision", build, (16, 33))
    for layers in (121, 169, 201):
        yield torchvisions(f"densenet{layers}", (32, 49), *DENSENET)
    for name, width in (("", 1.0), ("_075", 0.75), ("_050", 0.5), ("_025", 0.25)):
        yield Peer(f"mobilenet_v1{name}", "timm", lambda size, width=width: mobilenet_v1(width), (32, 49))
    yield Peer("resnext29_2x64d", "torchvision", resnext_for_small_images, (8, 17))
    for name in ("resnext50_32x4d", "resnext101_32x8d"):
        yield torchvisions(name, (32, 33), *RESNET)
    yield timms("xception", "legacy_xception", (32, 41), *XCEPTION)
    yield timms("darknet53", "darknet53", (32, 33))
    yield torchvisions("mobilenet_v2", (32, 49))
    for layers in (18, 34, 50):
        yield timms(f"se_resnet{layers}", f"legacy_seresnet{layers}", (32, 49), *SE_RESNET, drop_rate=0.0)
    for number in range(8):
        yield torchvisions(f"efficientnet_b{number}", (32, 49), *EFFICIENTNET)
    for size in "sml":
        peer = torchvisions(f"efficientnet_v2_{size}", (32, 33), *EFFICIENTNET, "features.1.0.block.0.0.weight")
        yield replace(peer, gain=4 / 3)
    yield Peer("gmlp", "timm", the_seeds_gmlp, (32, 80), GMLP, any_size=False)
    for size in ("ti16", "s16", "b16"):
        yield timms_patches(f"gmlp_{size}", f"gmlp_{size}_224", (32, 80), *GMLP)
    yield Peer("mlp_mixer", "timm", the_seeds_mixer, (32, 80), MIXER, any_size=False)
    for size in ("s32", "s16", "b32", "b16", "l16"):
        sizes = (64, 96) if size.endswith("32") else (32, 80)
        yield timms_patches(f"mixer_{size}", f"mixer_{size}_224", sizes, *MIXER)
    yield Peer("vit", "timm", the_seeds_vit, (64, 96), VIT, any_size=False, rename=from_timm)
    yield timms_vit("vit_ti_16", "vit_tiny_patch16_224", (32, 80))
    yield Peer("vit_ti_16", "torchvision", tiny_vit, (32, 80), VIT, any_size=False)
    yield timms_vit("vit_s_16", "vit_small_patch16_224", (32, 80))
    for name, theirs in (("b", "base"), ("l", "large")):
        yield torchvisions_vit(f"vit_{name}_16", (32, 80))
        yield timms_vit(f"vit_{name}_16", f"vit_{theirs}_patch16_224", (32, 80))
    yield torchvisions_vit("vit_b_32", (64, 96))
    yield timms_vit("vit_b_32", "vit_base_patch32_224", (64, 96))
    for depth in (12, 24, 36):
        yield timms_patches(f"resmlp_{depth}", f"resmlp_{depth}_224", (32, 80), *RESMLP)


PEERS = list(_peers())
