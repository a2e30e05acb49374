"""A small run in this process: a few steps an epoch on the embedded digits, with a network that draws randomly."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.profile import Layer, load
from workbench.runs import journal
from workbench.training.observer import Snapshot, StopRequest
from workbench.training.session import Outcome, resume_run, start_run

PROFILE = """
seed = 5
[model]
arch = "training_helpers:Noisy"
[data]
dataset = "digits"
image_size = 8
batch_size = 300
[optim]
{optim}
[train]
epochs = 2
device = "cpu"
threads = 1
flush_seconds = 0.001
"""

ADAM = 'name = "adam"\nlr = 0.01\nweight_decay = 0.01'
SGD = 'name = "sgd"\nlr = 0.05\nmomentum = 0.9\nnesterov = true'


class Noisy(nn.Module):
    """Convolution, batch norm, dropout: running statistics and random draws are what a resume can get wrong."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(6 * 36, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(self.bn(self.conv(x)).relu().flatten(1)))
        return logits


class Quiet:
    """An observer that keeps what it is told, and may act after every report of progress."""

    def __init__(self, on_progress: Callable[[Snapshot], None] = lambda snapshot: None) -> None:
        self.notes: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.on_progress = on_progress

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, snapshot: Snapshot) -> None:
        self.on_progress(snapshot)

    def epoch_done(self, record: dict[str, Any]) -> None:
        self.records.append(record)


class StopAfter(StopRequest):
    """Asks to stop after so many reports of progress."""

    def __init__(self, reports: int) -> None:
        super().__init__()
        self.left = reports

    def tick(self, _: Snapshot) -> None:
        self.left -= 1
        if self.left == 0:
            self.set("SIGTERM")


def write_profile(folder: Path, text: str = PROFILE, *, optim: str = ADAM, **changes: str) -> Path:
    """profile.toml in `folder`; `changes` replace values, as `epochs="3"`."""
    path = folder / "profile.toml"
    text = text.replace("{optim}", optim)
    for key, value in changes.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines()]
        assert "\n".join(lines) != text.rstrip("\n"), f"nothing changed for {key}"
        text = "\n".join(lines) + "\n"
    path.write_text(text)
    return path


def train(profile: Path, root: Path, *, stop: StopAfter | None = None, observer: Quiet | None = None) -> Outcome:
    observer = observer or Quiet(stop.tick if stop else lambda snapshot: None)
    return start_run(load(profile, environ={}), root, observer, stop or StopRequest())


def resume(
    root: Path, *, stop: StopAfter | None = None, observer: Quiet | None = None, options: Layer | None = None
) -> Outcome:
    observer = observer or Quiet(stop.tick if stop else lambda snapshot: None)
    return resume_run("last", root, observer, stop or StopRequest(), options=options)


def load_last(run: Path, name: str = "last.pt") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "checkpoints" / name, weights_only=True)
    return content


def events(run: Path, name: str) -> list[dict[str, Any]]:
    """The lines of events.jsonl that tell of `name`."""
    return [record for record in journal.read(run / "events.jsonl").records if record["event"] == name]


def fingerprint(run: Path) -> str:
    """SHA-256 over all of the last checkpoint that the rest of a run depends on: equal means equal to the bit.

    Weights, buffers, the optimiser's state, the moving average, the schedule's state.
    """
    content = load_last(run)
    state = {name: content["state"][name] for name in ("epoch", "step", "best", "plateau", "lr_factor", "skipped")}
    digest = hashlib.sha256()
    learnt = content["optimizer"]["state"]  # and not the groups' settings, which are set anew in each step
    _digest(digest, {"model": content["model"], "optimizer": learnt, "step": content["step"], **state})
    return digest.hexdigest()


def _digest(digest: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            digest.update(repr(key).encode())
            _digest(digest, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _digest(digest, inner)
    else:
        digest.update(value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode())
