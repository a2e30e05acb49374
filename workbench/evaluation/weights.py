"""Which weights of a run, from which file, and only if the file is whole.

    best        checkpoints/best.pt
    last        checkpoints/last.pt, else model.safetensors: a finished run's end is in both
    ema         the moving average in last.pt, else model-ema.safetensors
    best-ema    the moving average in best.pt

A run that is still training replaces its checkpoints meanwhile; what is read is one of them, whole.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from torch import Tensor, nn

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.checkpoints import BEST, LAST, examine
from workbench.training.state import SCHEMA

CHOICES = ("best", "last", "ema", "best-ema")

CHECKPOINTS = {"best": BEST, "last": LAST, "ema": LAST, "best-ema": BEST}
EXPORTS = {"last": "model.safetensors", "ema": "model-ema.safetensors"}
"""What a finished run leaves beside its checkpoints."""

ATTEMPTS = 20
"""Times that a file may be replaced while it is read. A trainer saves seconds apart at the very least."""


@dataclass(frozen=True)
class Origin:
    """Where weights are from."""

    kind: str
    """One of `CHOICES`."""
    file: str
    """Relative to the run directory."""
    sha256: str
    epoch: int | None
    """Epochs that were over when they were saved, and optimiser steps; None where the file does not tell."""
    step: int | None


@dataclass(frozen=True, eq=False)
class Weights:
    """A state dict; of averaged weights, what replaces a part of it."""

    origin: Origin
    state: Mapping[str, Tensor]
    average: Mapping[str, Tensor]

    @torch.no_grad()
    def put_into(self, network: nn.Module) -> None:
        """Give `network` these weights. UserError where they are not those of this network."""
        try:
            network.load_state_dict(self.state)
            # One by one into the network's own tensors: of tied weights, the average has only one name.
            own = network.state_dict(keep_vars=True)
            for name, value in self.average.items():
                own[name].copy_(value)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            first = clean((str(error).splitlines() or [""])[0], 300)
            raise UserError(
                f"{self.origin.file}: the weights are not of the network that the run's profile names ({first})"
            ) from None


def find_weights(run: Path, wanted: str | None, note: Callable[[str], None]) -> Weights:
    """The weights `wanted` of the run; without a wish its best ones, or its last ones where those cannot be had.

    UserError where there are none or where they are damaged; `note` hears of what was passed over.
    """
    if wanted is not None:
        return _read(run, wanted)
    try:
        return _read(run, "best")
    except UserError as error:
        try:
            weights = _read(run, "last")
        except UserError as second:
            raise error if (run / "checkpoints" / BEST).exists() else second from None
        note(f"{error}; taking the last weights")
        return weights


def _read(run: Path, kind: str) -> Weights:
    """Of the files that may hold these weights, the first that is there and whole."""
    checkpoint, export = run / "checkpoints" / CHECKPOINTS[kind], EXPORTS.get(kind)
    problem: UserError | None = None
    if checkpoint.is_file():
        try:
            return _from_checkpoint(run, checkpoint, kind)
        except UserError as error:
            problem = error
    if export and (run / export).is_file():
        state, digest = read_whole(run / export)
        return Weights(Origin(kind, export, digest, None, None), _checked(state, run / export), {})
    raise problem or _nothing(run, kind, checkpoint)


def _nothing(run: Path, kind: str, checkpoint: Path) -> UserError:
    if not (run / "checkpoints").is_dir() and not any((run / name).is_file() for name in EXPORTS.values()):
        return UserError(
            f"{run.name} left no weights: it has no checkpoint yet, or ended with checkpoint.save_model = false"
        )
    other = "last" if kind.startswith("best") else "best"
    return UserError(f"{run.name} has no checkpoints/{checkpoint.name}; try --weights {other}")


def _from_checkpoint(run: Path, path: Path, kind: str) -> Weights:
    content, digest = read_whole(path)
    if not isinstance(content, dict) or "model" not in content:
        raise UserError(f"{path} is no checkpoint of cnn-workbench")
    if not isinstance(content.get("schema"), int) or content["schema"] > SCHEMA:
        raise UserError(f"{path} was written by a newer version of cnn-workbench; update this one")
    average: Mapping[str, Tensor] = {}
    if kind.endswith("ema"):
        kept = _table(_table(content.get("step")).get("ema"))
        if not kept:
            raise UserError(f"{run.name} keeps no moving average of its weights (train.ema is 0)")
        average = _checked(kept.get("average"), path)
    state = _table(content.get("state"))
    origin = Origin(kind, f"checkpoints/{path.name}", digest, _count(state.get("epoch")), _count(state.get("step")))
    return Weights(origin, _checked(content["model"], path), average)


def read_whole(path: Path) -> tuple[Any, str]:
    """(content, SHA-256) of a checkpoint or a .safetensors file whose digest agrees with the one beside it.

    UserError where it does not, or cannot be read. The bytes that are loaded are those that were hashed, even if the
    file is replaced at the same time; a sidecar that belonged to the file before is looked at again.
    """
    for _ in range(ATTEMPTS):
        before = _identity(path)
        digest, complaint = examine(path)
        if digest is None:
            if before == _identity(path):
                raise UserError(f"{path}: {complaint}")
            continue
        try:
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                    file.seek(0)
                    return _parse(path, file), digest
        except OSError as error:
            raise UserError(f"{path}: it cannot be read ({error.strerror or error})") from None
    raise UserError(f"{path}: it is replaced again and again while it is read; try again later")


def _parse(path: Path, file: BinaryIO) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(file.read())
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # readers have no common exception for a file that is not theirs
        first = clean((str(error).strip() or type(error).__name__).splitlines()[0], 300)
        raise UserError(f"{path}: it is whole and yet cannot be read ({first})") from None


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Which file this is, and in which state."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _checked(state: Any, path: Path) -> Mapping[str, Tensor]:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict: names with a tensor each")
    return state


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
