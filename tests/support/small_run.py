"""A small run to look at afterwards: a network of a few thousand weights, two epochs on the embedded digits."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import architectures
from workbench.profile import load
from workbench.runs.checkpoints import CheckpointStore
from workbench.runs.journal import read
from workbench.training.observer import Quiet, StopRequest
from workbench.training.session import start_run

PROFILE = """
name = "small"
seed = 3
[model]
arch = "small_run:Net"
[data]
dataset = "digits"
image_size = 12
batch_size = 100
val_fraction = 0.2
[optim]
name = "adam"
lr = 0.01
[train]
epochs = 2
device = "cpu"
threads = 1
ema = 0.9
"""


class Net(nn.Module):
    """Convolution, batch norm, dropout: what differs between training and evaluation."""

    def __init__(self, *, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(8 * (image_size - 2) ** 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(self.bn(self.conv(x)).relu().flatten(1)))
        return logits


def train_small(root: Path) -> Path:
    """The run directory, finished."""
    root.mkdir(parents=True, exist_ok=True)
    profile = root / "profile.toml"
    profile.write_text(PROFILE)
    return start_run(load(profile, environ={}), root, Quiet(), StopRequest()).run


def epoch_lines(run: Path) -> list[dict[str, Any]]:
    return [line for line in read(run / "metrics.jsonl").records if line["kind"] == "epoch"]


def with_network(run: Path, target: Path, arch: str, image_size: int) -> Path:
    """A copy of `run` whose profile names another network; its checkpoint has fresh weights of it."""
    shutil.copytree(run, target)
    for name in ("model.safetensors", "model-ema.safetensors"):
        (target / name).unlink()
    profile = (target / "profile.toml").read_text()
    profile = re.sub(r'arch = ".*"', f'arch = "{arch}"', profile)
    (target / "profile.toml").write_text(re.sub(r"image_size = \d+", f"image_size = {image_size}", profile))
    torch.manual_seed(0)
    network = architectures.create(arch, num_classes=10, in_channels=1, image_size=image_size)
    save_checkpoint(target, network.state_dict())
    return target


def save_checkpoint(run: Path, state: Mapping[str, Tensor]) -> None:
    """Make `state` the weights of best.pt and last.pt."""
    content = {"schema": 2, "model": state, "state": {"epoch": 1, "step": 12}}
    CheckpointStore(run / "checkpoints").save(lambda file: torch.save(content, file), last=True, best=True)
