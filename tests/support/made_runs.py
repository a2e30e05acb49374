"""Run directories as a trainer would leave them, made in milliseconds and without torch.

    path = make_run(tmp_path, arch="vit_b_16", epochs=5, seed=1, test_top1=[0.2, 0.4, 0.5, 0.5, 0.6])

All is written by the trainer's own `RunWriter`. Figures that are not given fall or rise as they do in a training.
"""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from workbench.runs.user import User, change_user
from workbench.runs.writer import RunWriter

SECONDS = 2.0
"""What an epoch takes."""

Figures = float | Sequence[float | None]


def make_run(
    root: Path,
    *,
    arch: str = "resnet18",
    epochs: int = 3,
    planned: int | None = None,
    seed: int = 0,
    name: str = "",
    dataset: str = "digits",
    state: str = "finished",
    steps: int = 4,
    settings: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    note: str = "",
    **figures: Figures,
) -> Path:
    """A run of `epochs` epochs of `steps` steps each, out of `planned`; returns its directory.

    `state`: how it ended, or empty for one whose trainer is gone without a word. `settings`: keys of the profile
    (`{"optim.lr": 0.1}`) and their values. `figures`: a value an epoch, or one for all; a None is not written.
    """
    planned = planned or max(epochs, 1)
    profile = _profile(arch, seed, name, dataset, planned, settings or {})
    run = RunWriter.create(
        root, name or arch, tomli_w.dumps(profile), _facts(arch, seed, dataset) | dict(facts or {}), print
    )
    run.event("started", argv=["cnn-workbench"], pid=1)
    last: dict[str, Any] = {}
    best: dict[str, Any] = {}
    for epoch in range(1, epochs + 1):
        values = _figures(epoch, seed, figures)
        for step in range((epoch - 1) * steps + 1, epoch * steps + 1):
            run.metrics(_step_line(step, steps, values))
        place = {"kind": "epoch", "epoch": epoch, "step": epoch * steps, "seconds": epoch * SECONDS}
        run.metrics({**place, **values, "lr": 0.1, "images_per_second": 400.0})
        run.event("epoch", epoch=epoch, step=epoch * steps)
        last = {"epoch": epoch, **values}
        top1 = values.get("test_top1")
        if top1 is not None and not top1 <= best.get("top1", -1.0):
            best = {"epoch": epoch, "top1": top1, "split": "test"}
    if state:
        run.event(state, epochs=epochs, step=epochs * steps, cause=None)
    run.status(
        force=True, state=state or "running", epoch=epochs, epochs=planned, step=epochs * steps, steps=planned * steps,
        train={}, last=last, best=best, images_per_second=400.0, eta=None, seconds=epochs * SECONDS,
    )  # fmt: skip
    run.close()
    if tags or note:
        change_user(run.path, lambda _: User(tuple(tags), note))
    return run.path


def evaluate(run: Path, name: str, counts: list[list[int]], classes: list[str] | None = None, **more: Any) -> Path:
    """A report as `cnn-workbench evaluate` writes it, as far as the screen reads it."""
    names = classes or [str(place) for place in range(len(counts))]
    right, total = sum(row[place] for place, row in enumerate(counts)), sum(map(sum, counts))
    report = {
        "schema": 1, "run": run.name, "weights": {"kind": "best", "epoch": 2}, "images": total, "top1": right / total,
        "classes": [{"class": name, "images": sum(row)} for name, row in zip(names, counts, strict=True)],
        "confusion": counts, **more,
    }  # fmt: skip
    path = run / "evaluation" / name / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return path


class LiveRun:
    """A run whose trainer is this process, and that grows when it is told to: `step()`, `epoch()`, `end()`."""

    def __init__(self, root: Path, *, arch: str = "resnet18", planned: int = 4, steps: int = 4) -> None:
        profile = tomli_w.dumps(_profile(arch, 0, arch, "digits", planned, {}))
        self.writer = RunWriter.create(root, arch, profile, _facts(arch, 0, "digits"), print)
        self.path = self.writer.path
        self.planned, self.steps, self.done, self.over = planned, steps, 0, False
        self.last: dict[str, Any] = {}
        self.best: dict[str, Any] = {}
        self.writer.event("started", argv=["cnn-workbench"], pid=1)
        self.status()

    def step(self, **figures: Any) -> None:
        """One more step."""
        self.done += 1
        values = _figures(1 + (self.done - 1) // self.steps, 0, {})
        self.writer.metrics({**_step_line(self.done, self.steps, values), **figures})
        self.status()

    def epoch(self, **figures: Any) -> None:
        """What is left of an epoch, and its figures."""
        while self.done % self.steps or not self.done or self.last.get("epoch") == self.done // self.steps:
            self.step()
        epoch = self.done // self.steps
        values = {**_figures(epoch, 0, {}), **figures}
        self.writer.metrics({"kind": "epoch", "epoch": epoch, "step": self.done, "seconds": epoch * SECONDS, **values})
        self.writer.event("epoch", epoch=epoch, step=self.done)
        self.last = {"epoch": epoch, **values}
        self.best = max(self.best, {"epoch": epoch, "top1": values["test_top1"], "split": "test"},
                        key=lambda best: best.get("top1", -1.0))  # fmt: skip
        self.status()

    def status(self, state: str = "running", **fields: Any) -> None:
        """status.json, without the second between two of them."""
        self.writer.status(
            force=True, state=state, epoch=self.done // self.steps, epochs=self.planned, step=self.done,
            steps=self.planned * self.steps, train={}, last=self.last, best=self.best, images_per_second=400.0,
            eta=(self.planned * self.steps - self.done) * 0.5, seconds=self.done * 0.5, **fields,
        )  # fmt: skip

    def end(self, state: str = "finished", **facts: Any) -> None:
        """The trainer writes how it ended, or dies without a word where `state` is empty."""
        if not self.over:
            self.over = True
            if state:
                self.writer.event(state, epochs=self.done // self.steps, step=self.done, cause=None, **facts)
                self.status(state)
            self.writer.close()


def _profile(arch: str, seed: int, name: str, dataset: str, epochs: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "model": {"arch": arch},
        "data": {"dataset": dataset, "image_size": 32, "batch_size": 64, "augment": "standard"},
        "optim": {"name": "adam", "lr": 0.001},
        "schedule": {"name": "constant"},
        "train": {"epochs": epochs, "precision": "fp32"},
    }
    for key, value in settings.items():
        *sections, last = key.split(".")
        table = profile
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return profile


def _facts(arch: str, seed: int, dataset: str) -> dict[str, Any]:
    return {
        "argv": ["cnn-workbench"], "host": "made", "pid": 1, "device": "cpu", "precision": "fp32", "threads": 1,
        "versions": {"cnn-workbench": "0.1.0", "torch": "2.11.0"}, "git": None, "world": 1, "channels_last": False,
        "seed": seed, "arch": arch, "parameters": 11_175_370, "macs": 35_400_000, "parent": None, "pretrained": "",
        "data": {"dataset": dataset, "classes": list("0123456789"), "channels": 1,
                 "images": {"train": 1438, "test": 359}},
    }  # fmt: skip


def _figures(epoch: int, seed: int, given: Mapping[str, Figures]) -> dict[str, Any]:
    noise = random.Random(f"{seed} {epoch}").uniform(-0.01, 0.01)
    values: dict[str, Any] = {
        "train_loss": 2.0 / epoch + noise,
        "train_top1": 1.0 - 0.8 / epoch + noise,
        "test_loss": 2.2 / epoch + noise,
        "test_top1": 0.98 - 0.8 / epoch + noise,
        "test_top5": 0.99,
    }
    for name, figure in given.items():
        values[name] = figure if isinstance(figure, float | int) else figure[epoch - 1]
    return {name: value for name, value in values.items() if value is not None}


def _step_line(step: int, steps: int, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "step",
        "step": step,
        "epoch": round(step / steps, 6),
        "seconds": round(step / steps * SECONDS, 3),
        "train_loss": values.get("train_loss", 1.0),
        "train_top1": values.get("train_top1", 0.5),
        "lr": 0.1 * 0.5 ** (step / steps),
        "images_per_second": 400.0 + step,
    }
