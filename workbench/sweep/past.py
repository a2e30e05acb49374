"""What the runs folder already holds: finished runs of the same profile, and how fast they were."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.base.text import clean
from workbench.profile import ProfileError, load_exact
from workbench.runs.directory import run_ids
from workbench.runs.reading import last_ending, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from workbench.profile import Profile
    from workbench.sweep.plan import Job

NOT_OF_THE_RESULT = frozenset(
    {
        "name",
        "train.threads",
        "train.flush_seconds",
        "data.workers",
        "checkpoint.every_epochs",
        "checkpoint.every_minutes",
        "checkpoint.every_steps",
        "checkpoint.keep",
        "checkpoint.save_model",
    }
)
"""Keys in which a finished run may differ from a job that it answers: they do not decide its figures (threads decide
the last bits)."""

NEWEST = 500
"""Finished runs that an estimate looks at."""


@dataclass(frozen=True)
class Figures:
    """How a run stands, from its status.json. Accuracies are fractions, times seconds."""

    epoch: int | None = None
    test_top1: float | None = None
    best_top1: float | None = None
    seconds: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True)
class Speed:
    """How fast a finished run went through its training images, all that a run does included."""

    run: str
    arch: str
    dataset: str
    image_size: int
    sam: bool
    device: str
    """cpu, cuda or mps."""
    images_per_second: float
    """Training images of all epochs over the wall time."""


def answered(root: Path, jobs: Sequence[Job]) -> dict[str, str]:
    """Job -> the newest finished run in the folder with an equal profile (but for `NOT_OF_THE_RESULT`)."""
    open_jobs = {job.id: identity(job.profile) for job in jobs}
    kinds = {(job.profile.model.arch, job.profile.seed) for job in jobs}
    found: dict[str, str] = {}
    for name, _ in _finished(root, kinds):
        try:
            settings = identity(load_exact(root / name / "profile.toml").profile)
        except ProfileError:  # of a newer version, or damaged: it answers nothing
            continue
        for job_id in [job_id for job_id, wanted in open_jobs.items() if wanted == settings]:
            found[job_id] = name
            del open_jobs[job_id]
        if not open_jobs:
            break
    return found


def identity(profile: Profile) -> dict[str, Any]:
    """What decides a run's result, flat."""
    flat: dict[str, Any] = {}
    for name, value in profile.model_dump(exclude={"extends"}, exclude_none=True).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return {key: value for key, value in flat.items() if key not in NOT_OF_THE_RESULT}


def figures(run: Path) -> Figures:
    """What status.json says; nothing of what is missing or damaged."""
    status = read_json(run / "status.json")
    last, best = status.get("last"), status.get("best")
    epoch = _number(status.get("epoch"))
    return Figures(
        epoch=None if epoch is None else int(epoch),
        test_top1=_number(last.get("test_top1")) if isinstance(last, dict) else None,
        best_top1=_number(best.get("top1")) if isinstance(best, dict) else None,
        seconds=_number(status.get("seconds")),
        images_per_second=_number(status.get("images_per_second")),
    )


def speeds(root: Path) -> list[Speed]:
    """Of the finished runs, newest first."""
    found: list[Speed] = []
    for name, facts in _finished(root, None):
        speed = _speed(root / name, facts)
        if speed is not None:
            found.append(speed)
        if len(found) >= NEWEST:
            break
    return found


def _finished(root: Path, kinds: set[tuple[str, int]] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and run.json of each finished run, newest first; `kinds`: only those with such an arch and seed."""
    for name in reversed(run_ids(root)):
        facts = read_json(root / name / "run.json")
        arch, seed = facts.get("arch"), facts.get("seed")
        if kinds is not None and (not isinstance(arch, str) or not isinstance(seed, int) or (arch, seed) not in kinds):
            continue
        try:
            ended = last_ending(root / name)
        except OSError:  # unreadable, or being deleted
            continue
        if ended == "finished":
            yield name, facts


def _speed(run: Path, facts: dict[str, Any]) -> Speed | None:
    try:
        profile = tomllib.loads((run / "profile.toml").read_text(encoding="utf-8"))
        data, arch = profile["data"], profile["model"]["arch"]
        size, dataset = data["image_size"], data["dataset"]
        rho = profile.get("sam", {}).get("rho", 0.0)
        images = facts["data"]["images"]["train"]
        device = str(facts["device"]).partition(" ")[0].partition(":")[0]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    figure = figures(run)
    if not figure.seconds or not figure.epoch or not isinstance(size, int) or not isinstance(images, int):
        return None
    rate = figure.epoch * images / figure.seconds
    sam = isinstance(rho, int | float) and rho > 0
    return Speed(run.name, clean(str(arch)), clean(str(dataset)), size, sam, device, rate) if rate > 0 else None


def _number(value: Any) -> float | None:
    """A finite number as such; None for all else (NaN and infinities are strings in our files)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
