"""From a run directory to its network, ready to look at images: arithmetic and normalisation are the training's."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import architectures
from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.evaluation.weights import Origin, find_weights
from workbench.profile import Profile, load_exact
from workbench.runs.reading import read_json
from workbench.training import devices

MOST_THREADS = 1024
"""As in a profile."""


@dataclass(frozen=True)
class Facts:
    """What run.json tells of the training that an evaluation has to know."""

    dataset: str
    classes: tuple[str, ...]
    channels: int
    mean: tuple[float, ...]
    """Per channel, of values 0..1; the same digits as in training."""
    std: tuple[float, ...]
    fingerprint: str
    """Of the images; equal means the same splits."""
    device_type: str
    precision: str
    threads: int
    """0 where it is not known."""
    channels_last: bool


@dataclass(frozen=True, eq=False)
class Model:
    """The network of a run in evaluation mode, on a device, with what it needs to look at images."""

    run: Path
    profile: Profile
    facts: Facts
    origin: Origin
    network: nn.Module
    device: torch.device
    precision: str

    @property
    def image_size(self) -> int:
        """Height and width that the network sees, pixels."""
        return self.profile.data.image_size

    @property
    def mean(self) -> Tensor:
        """float32 (C, 1, 1) on the device."""
        return torch.tensor(self.facts.mean, dtype=torch.float32, device=self.device)[:, None, None]

    @property
    def std(self) -> Tensor:
        """float32 (C, 1, 1) on the device."""
        return torch.tensor(self.facts.std, dtype=torch.float32, device=self.device)[:, None, None]

    def logits(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, S, S) on the device to logits (B, classes), in the precision of the training."""
        with torch.inference_mode(), devices.autocast(self.device, self.precision):
            output = self.network(images)
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits


def open_model(
    run: Path,
    *,
    weights: str | None = None,
    device: str = "auto",
    note: Callable[[str], None] = lambda text: None,
) -> Model:
    """The network of `run` with its `weights` (of `weights.CHOICES`; None: the best there are) on `device`.

    On the device type of the training it computes exactly as the training's own evaluation did: precision, memory
    layout, threads (those of the whole process are set). Elsewhere a CPU computes in fp32. UserError where the run
    lacks something, with what to do.
    """
    profile = load_exact(run / "profile.toml").profile
    facts = read_facts(run)
    try:
        place = devices.choose_device(device)
    except ValueError as error:
        raise UserError(f"--device {device}: {error}") from None
    found = find_weights(run, weights, note)
    if place.type == "cpu":
        devices.set_threads(facts.threads)
    devices.set_arithmetic(profile.train, place)
    network = build(profile, facts)
    found.put_into(network)
    layout = torch.channels_last if facts.channels_last else torch.contiguous_format
    try:
        network = network.to(place).to(memory_format=layout).eval()
    except torch.OutOfMemoryError:
        raise UserError(f"{profile.model.arch} does not fit on {place}; try --device cpu") from None
    return Model(run, profile, facts, found.origin, network, place, _precision(profile, facts, place))


def build(profile: Profile, facts: Facts) -> nn.Module:
    """The network that the run's profile names, on the CPU with weights that mean nothing yet."""
    model = profile.model
    try:
        return architectures.create(
            model.arch,
            num_classes=len(facts.classes),
            in_channels=facts.channels,
            image_size=profile.data.image_size,
            **model.options,
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"the network of the run cannot be built: {clean(str(error), 300)}") from None


def read_facts(run: Path) -> Facts:
    """What run.json tells. UserError where it is damaged or tells too little."""
    told = read_json(run / "run.json")
    data = told.get("data")
    data = data if isinstance(data, dict) else {}
    classes, channels = data.get("classes"), data.get("channels")
    mean, std = _numbers(data.get("mean"), channels), _numbers(data.get("std"), channels)
    if not isinstance(classes, list) or len(classes) == 0 or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{run / 'run.json'} does not tell the classes of the run: it is damaged")
    if mean is None or std is None or min(std) <= 0:
        raise UserError(f"{run / 'run.json'} does not tell channels, mean and std of the run's images: it is damaged")
    threads = told.get("threads")
    return Facts(
        dataset=clean(str(data.get("dataset", "")), 100),
        classes=tuple(clean(name, 100) for name in classes),
        channels=int(channels),  # type: ignore[arg-type]  # as many as there are means
        mean=mean,
        std=std,
        fingerprint=str(data.get("fingerprint", "")),
        device_type=str(told.get("device", "")).partition(" ")[0].partition(":")[0],
        precision=str(told.get("precision", "")),
        threads=threads if isinstance(threads, int) and 0 < threads <= MOST_THREADS else 0,
        channels_last=told.get("channels_last") is True,
    )


def _numbers(values: Any, count: Any) -> tuple[float, ...] | None:
    """`count` finite numbers, one a channel; None for anything else."""
    if not isinstance(values, list) or not values or len(values) != count:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return tuple(float(value) for value in values)


def _precision(profile: Profile, facts: Facts, device: torch.device) -> str:
    """That of the training where the device is of its type. fp16 and bf16 on a CPU are slow where they work at all."""
    if device.type == facts.device_type and facts.precision in ("fp32", "bf16", "fp16"):
        return facts.precision
    return "fp32" if device.type == "cpu" else devices.choose_precision(profile.train, device)
