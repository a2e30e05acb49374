"""The rows of the seed document's table: in its order and under its names, with what it prints from the cards."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.runs.seed_layout import SeedRow

ORDER = {
    "CNN based": {
        "AlexNet": "alexnet",
        "VGGNet": "vgg11",
        "Network In Network": "nin",
        "ResNet": "resnet18",
        "DenseNet-Depth40": "densenet40_k12_bc",
        "MobileNetV1": "mobilenet_v1",
        "MobileNetV2": "mobilenet_v2",
        "GoogLeNet": "googlenet",
        "InceptionV3": "inception_v3",
        "Darknet-53": "darknet53",
        "Xception": "xception",
        "ResNeXt": "resnext50_32x4d",
        "SENet": "se_resnet18",
        "SqueezeNet": "squeezenet1_1",
        "ShuffleNet": "shufflenet_v1_g2",
        "EfficientNet-B0": "efficientnet_b0",
        "EfficientNetV2": "efficientnet_v2_s",
        "BatchNorm + ConvNet": "bn_convnet",  # a section of the seed; its table has no row for it
    },
    "Transformer based": {"ViT": "vit"},
    "MLP based": {"MLP-Mixer": "mlp_mixer", "ResMLP": "resmlp_12", "gMLP": "gmlp"},
    "Other": {"ResNet With SAM": "resnet18 + SAM"},
}
"""Group -> what the seed calls the row -> name in the catalogue."""


def seed_rows() -> "list[SeedRow]":
    """All 23. Reads the cards; no torch."""
    from workbench.inspect.catalogue import entries
    from workbench.runs.seed_layout import SeedRow

    catalogue = {entry.name: entry for entry in entries()}
    return [
        SeedRow(label, group, catalogue[name].architecture, catalogue[name].is_recipe, catalogue[name].card.seed)
        for group, rows in ORDER.items()
        for label, name in rows.items()
    ]
