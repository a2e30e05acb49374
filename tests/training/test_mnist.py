"""Real data through the real loader: one epoch of a small network on all of MNIST."""

from pathlib import Path

import pytest
from real_mnist import link_real_mnist
from training_helpers import train

from workbench.runs.reading import read_json

PROFILE = """
[model]
arch = "bn_convnet"
[data]
dataset = "mnist"
root = "{root}"
image_size = 28
[train]
epochs = 1
device = "cpu"
"""


@pytest.mark.slow
def test_one_epoch_of_mnist_passes_97_percent(tmp_path: Path) -> None:
    link_real_mnist(tmp_path / "data")
    (tmp_path / "mnist.toml").write_text(PROFILE.format(root=tmp_path / "data"))
    outcome = train(tmp_path / "mnist.toml", tmp_path / "runs")
    assert outcome.state == "finished"
    assert outcome.last["test_top1"] > 0.97
    assert read_json(outcome.run / "run.json")["data"]["images"] == {"train": 60000, "test": 10000}
