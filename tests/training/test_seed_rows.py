"""Every row of the seed document's table trains for an epoch on the digits without a NaN."""

import math
from pathlib import Path

import pytest
from training_helpers import train

import architectures

ROWS = [
    "alexnet", "vgg11", "nin", "resnet18", "densenet40_k12_bc", "mobilenet_v1", "mobilenet_v2", "googlenet",
    "inception_v3", "darknet53", "xception", "resnext50_32x4d", "se_resnet18", "squeezenet1_1", "shufflenet_v1_g2",
    "efficientnet_b0", "efficientnet_v2_s", "bn_convnet", "vit", "mlp_mixer", "resmlp_12", "gmlp",
]  # fmt: skip

PROFILE = """
[model]
arch = "{name}"
options = {options}
[data]
dataset = "digits"
image_size = {size}
[train]
epochs = 1
device = "cpu"
"""


@pytest.mark.exhaustive  # test_recipes.py trains the same networks on some of the digits in every run
@pytest.mark.parametrize("name", ROWS)
def test_a_row_trains_on_the_digits(tmp_path: Path, name: str) -> None:
    card = architectures.card(name)
    options = "{ aux_heads = true }" if "aux_heads" in card.knobs else "{}"
    size = 8 if name == "bn_convnet" else card.min_image_size
    (tmp_path / "row.toml").write_text(PROFILE.format(name=name, options=options, size=size))
    outcome = train(tmp_path / "row.toml", tmp_path / "runs")
    assert outcome.state == "finished", outcome.error
    assert math.isfinite(outcome.last["train_loss"])
    assert math.isfinite(outcome.last["test_loss"])
