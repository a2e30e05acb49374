"""What a profile would cost and do, before it runs: steps, learning rate, memory, time. For a thread."""

from __future__ import annotations

import math
import platform
import socket
import statistics
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.base.errors import UserError
from workbench.profile.schema import SGD, Adagrad, Muon, RMSprop
from workbench.profile.sizes import SHAPES, TEST_IMAGES, TRAIN_IMAGES, steps_per_epoch, train_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.inspect.memory import Footprint
    from workbench.profile import Profile
    from workbench.runs.summary import Summary

ALIKE = 20
"""Newest runs of the same kind that a time is judged from."""
NEAREST = 5
"""Runs nearest in work that it is judged from where there is none of the same kind."""


@dataclass(frozen=True)
class Steps:
    """`in_epoch` is None for a folder of images, which only reading would count; then `all` and `images` are too."""

    in_epoch: int | None
    all: int | None
    images: int | None = None
    """Training images an epoch."""


@dataclass(frozen=True)
class Memory:
    """Estimated peak of training in bytes, see `memory`."""

    weights: int
    """Parameters and buffers with gradients, the optimiser's states, and the copies of a moving average and of SAM."""
    activations: int
    """What the forward pass keeps for the backward pass, and what that works with."""
    images: int = 0
    """The data set, which stays on the device; 0 for a folder."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.activations + self.images


@dataclass(frozen=True)
class Duration:
    """Estimated wall time of the run, see `duration`."""

    seconds: float
    images_per_second: float
    """Training images over the wall time: evaluation, saving and start-up are in it."""
    runs: int
    """How many runs it is judged from."""
    scaled: bool
    """From other networks, or another machine: say "~"."""


def steps(profile: Profile) -> Steps:
    """Optimiser steps an epoch and in all."""
    in_epoch = steps_per_epoch(profile.data)
    if in_epoch is None:
        return Steps(None, None)
    return Steps(in_epoch, in_epoch * profile.train.epochs, train_images(profile.data))


def learning_rate(profile: Profile, *, points: int = 400) -> tuple[list[float], list[float]]:
    """The learning rate over the run: epochs, and the rate from there on; `points` is about how many. No torch.

    Of a folder, whose steps are not known, the curve of an epoch of 100 steps. `plateau` drops as the run goes, so
    its curve has the warm-up alone.
    """
    from workbench.lr_chart import lr_points

    return lr_points(profile, points)


def memory(profile: Profile) -> Memory:
    """Peak memory of training, from the shapes on the meta device. Loads torch. UserError where the network cannot be
    built, and for one of the person's own, whose code is not run here.

    Weights, gradients and what the optimiser keeps are counted to the byte in fp32; activations are what autograd
    keeps for the images that go through the network at once, and twice the largest of them for the backward pass.
    In bf16 and fp16 activations are taken as half of it, and the weights' half-size copies are added.

    It leaves out what the program and torch take by themselves (0.7 GiB of main memory, 0.5 GiB and more of a GPU), the
    libraries' work space, fragments, what decodes a folder, and what torch.compile makes of the network. Peaks of two
    steps with Adam at 64 px and batch 32 on a CPU, measured as growth of the process, against the estimate:

        resnet18 264 MiB, estimated 242; vgg11 2,207 MiB, estimated 2,157; vit 927 MiB, estimated 884
    """
    from workbench.inspect.memory import footprint

    data, model = profile.data, profile.model
    if ":" in model.arch:
        raise UserError(f"{model.arch}: the memory of a network of your own is not estimated")
    batch = min(data.batch_size, train_images(data) or data.batch_size)
    if profile.train.micro_batch != "auto":
        batch = min(batch, profile.train.micro_batch)
    found = footprint(
        model.arch,
        classes=_classes(profile),
        channels=SHAPES.get(data.dataset, (3,))[0],
        image_size=data.image_size,
        batch=batch,
        options=model.options,
        head_only=model.freeze == "backbone",
    )
    working = found.kept + 2 * found.largest
    weights = found.weights + found.trained + _optimizer_bytes(profile, found)
    weights += found.weights * (profile.train.ema > 0) + found.trained * (profile.sam.rho > 0)
    if _precision(profile.train.precision, device_kind(profile)) != "fp32":
        working, weights = working // 2, weights + found.weights // 2
    return Memory(weights, working, _dataset_bytes(profile))


def _optimizer_bytes(profile: Profile, found: Footprint) -> int:
    """What the optimiser keeps for each trained parameter: momentum, squares, means."""
    optim = profile.optim
    if isinstance(optim, Muon):
        return found.matrices + 2 * (found.trained - found.matrices)
    if isinstance(optim, SGD):
        return found.trained * (optim.momentum > 0)
    if isinstance(optim, RMSprop):
        return found.trained * (1 + (optim.momentum > 0) + optim.centered)
    return found.trained * (1 if isinstance(optim, Adagrad) else 2)


def _dataset_bytes(profile: Profile) -> int:
    name = profile.data.dataset
    if name not in SHAPES:
        return 0
    return (sum(TRAIN_IMAGES[name]) + TEST_IMAGES[name]) * math.prod(SHAPES[name])


def _classes(profile: Profile) -> int:
    """Outputs of the network; of a folder, its subfolders in train/, 1000 where they cannot be counted."""
    known = TRAIN_IMAGES.get(profile.data.dataset)
    if known is not None:
        return len(known)
    try:
        folders = [entry for entry in (Path(profile.data.root).expanduser() / "train").iterdir() if entry.is_dir()]
    except (OSError, RuntimeError, ValueError):
        return 1000
    return len(folders) or 1000


def duration(profile: Profile, runs: Path | Sequence[Summary]) -> Duration | None:
    """Wall time of the run from what earlier ones took; None where nothing comparable ran, or the images of a folder
    are not counted. No torch.

    The median of runs with the same network, options, image size, batch, precision, kind of device and use of SAM;
    runs of this machine, if there are any. Without such runs, of the nearest in work on the same kind of device and
    in the same precision: their speed, scaled by multiply-accumulates. Small networks are slower than these say.
    """
    images = train_images(profile.data)
    if images is None:
        return None
    device = device_kind(profile)
    precision = _precision(profile.train.precision, device)
    known = [
        run
        for run in reversed(_summaries(runs))
        if run.device.partition(" ")[0].partition(":")[0] == device
        and _precision(run.settings.get("train.precision"), device) == precision
        and _rate(run)
    ]
    alike = [run for run in known if _kind(run) == _kind_of(profile)]
    if alike:
        chosen, here = _of_this_machine(alike)
        return _estimate(profile, images, [_rate(run) for run in chosen[:ALIKE]], scaled=not here)
    ours = _work(profile.model.arch, profile.data.image_size, profile.sam.rho > 0)
    chosen, _ = _of_this_machine([run for run in known if _work_of(run)])
    if not ours or not chosen:
        return None
    chosen.sort(key=lambda run: abs(math.log(_work_of(run) / ours)))
    rates = [_rate(run) * _work_of(run) / ours for run in chosen[:NEAREST]]
    return _estimate(profile, images, rates, scaled=True)


def _estimate(profile: Profile, images: int, rates: Sequence[float], *, scaled: bool) -> Duration:
    rate = statistics.median(rates)
    return Duration(images * profile.train.epochs / rate, rate, len(rates), scaled)


def _summaries(runs: Path | Sequence[Summary]) -> Sequence[Summary]:
    from workbench.runs.store import RunStore

    return RunStore(runs).runs() if isinstance(runs, Path) else runs


def _of_this_machine(runs: Iterable[Summary]) -> tuple[list[Summary], bool]:
    """Those of this machine, if there are any, else all; and which of the two."""
    everywhere = list(runs)
    here = [run for run in everywhere if run.host == socket.gethostname()]
    return (here, True) if here else (everywhere, False)


def _rate(run: Summary) -> float:
    """Training images a second over the wall time; where they are not counted, the speed of the steps. 0: unknown."""
    images = _images(run)
    if images and run.seconds and run.step and run.steps and run.epochs:
        return images * run.epochs * run.step / run.steps / run.seconds
    return run.images_per_second or 0.0


def _images(run: Summary) -> int:
    fraction = run.settings.get("data.val_fraction", 0.0)
    if not isinstance(fraction, int | float):
        return 0
    return sum(count - round(count * fraction) for count in TRAIN_IMAGES.get(run.dataset, ()))


def _kind(run: Summary) -> tuple[object, ...]:
    """What decides a run's speed on a device."""
    get, rho = run.settings.get, run.settings.get("sam.rho", 0.0)
    sam = isinstance(rho, int | float) and rho > 0
    return run.arch, get("model.options") or {}, get("data.image_size"), get("data.batch_size"), sam


def _kind_of(profile: Profile) -> tuple[object, ...]:
    model, data = profile.model, profile.data
    return model.arch, model.options, data.image_size, data.batch_size, profile.sam.rho > 0


def _work_of(run: Summary) -> float:
    return float(run.macs or 0) * (2 if _kind(run)[-1] else 1)


def _work(arch: str, image_size: int, sam: bool) -> float:
    """Multiply-accumulates for an image, by the card; 0 for a network without one."""
    from workbench.sweep.estimate import cost

    return cost(arch, image_size, sam)


def device_kind(profile: Profile) -> str:
    """cpu, cuda or mps: where a run of the profile would train on this machine, without asking torch."""
    kind = profile.train.device.partition(":")[0]
    return _automatic() if kind == "auto" else kind


@cache
def _automatic() -> str:
    from workbench.sweep.worker import visible_gpus

    if visible_gpus():
        return "cuda"
    return "mps" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "cpu"


def _precision(asked: object, device: str) -> str:
    """What `train.precision` means; auto on a GPU is taken as bf16, which all but old ones have."""
    if asked != "auto":
        return str(asked)
    return "bf16" if device == "cuda" else "fp32"
