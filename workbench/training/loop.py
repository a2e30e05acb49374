"""The training loop, top to bottom.

    for each epoch:
        for each batch: forward, loss, backward, optimiser step, add to the sums on the device
            now and then: read the sums (the only wait for the device), write a line of metrics
        evaluate; write the epoch's line; save a checkpoint

Two promises shape it. Interrupted at any step and resumed, it computes what it would have computed: every random draw
is a function of (seed, epoch, step), and what is not (weights, optimiser, sums, counters) is in the checkpoint. And
between two flushes nothing waits for the device.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.base.errors import UserError
from workbench.data import Dataset, Split
from workbench.profile import Profile
from workbench.runs.writer import RunWriter
from workbench.training.devices import autocast, reseed
from workbench.training.metrics import Sums, Totals, objective
from workbench.training.observer import Observer, Snapshot, StopRequest
from workbench.training.optimizers import learning_rate, set_learning_rate
from workbench.training.pretrained import set_training_mode
from workbench.training.state import State, checkpoint_writer


class DivergedError(Exception):
    """The training loss is no longer a finite number."""


@dataclass
class Job:
    """All that a run needs, made ready by `session`."""

    profile: Profile
    dataset: Dataset
    network: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device
    precision: str
    recipe: dict[str, Any]
    """What decides the result besides the profile: data fingerprint, device type, precision, threads, torch version."""
    state: State
    pretrained: str | None = None
    """What the first weights were and how they were adapted, in words; None where they were drawn from the seed."""


class Trainer:
    """One attempt at a run. `fit` returns True when the run is finished, False when it was asked to stop."""

    def __init__(self, job: Job, run: RunWriter, observer: Observer, stop: StopRequest) -> None:
        self.job, self.run, self.observer, self.stop = job, run, observer, stop
        self.state = job.state
        self.profile = job.profile
        self.batch_size = job.profile.data.batch_size
        self.steps_per_epoch = job.dataset.train.steps(self.batch_size)
        self.sums = Sums(job.device, self.state.sums)
        self.flushed = self.state.sums
        self.window_start = self.saved_at = self.attempt_start = time.monotonic()
        self.seconds_before = self.state.seconds
        self.speed: float | None = None
        self.evaluation_seconds = 0.0
        self.window: dict[str, float] = {}
        self.saved_position: tuple[int, int] | None = None

    def fit(self) -> bool:
        while self.state.epoch < self.profile.train.epochs:
            if not self.train_epoch() or not self.finish_epoch():
                if self.saved_position != self.position():
                    self.save(last=True, best=False)
                return False
        return True

    # Training

    def train_epoch(self) -> bool:
        """The rest of the epoch under way. False when asked to stop; the state then stands between two steps."""
        set_training_mode(self.job.network, self.profile.model.freeze)
        self.window_start = time.monotonic()
        if self.stop.requested():
            return False
        for images, labels in self.batches():
            self.train_step(images, labels)
            self.state.step += 1
            self.state.step_in_epoch += 1
            now = time.monotonic()
            if now - self.window_start >= self.profile.train.flush_seconds:
                self.flush()
            self.observer.progress(self.snapshot("train", self.state.step_in_epoch, self.steps_per_epoch))
            if self.stop.requested() and self.state.step_in_epoch < self.steps_per_epoch:
                self.flush()
                return False
            if now - self.saved_at >= self.profile.checkpoint.every_minutes * 60:
                self.flush()
                self.save(last=True, best=False)
        self.flush()
        return self.state.step_in_epoch == self.steps_per_epoch

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The epoch's batches from where the state stands.

        A signal to the whole process group also ends the processes that decode images; then there is no further batch,
        and that is no failure.
        """
        try:
            yield from self.job.dataset.train.batches(
                self.batch_size, epoch=self.state.epoch, start=self.state.step_in_epoch
            )
        except UserError:
            if not self.stop.requested():
                raise

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        """One optimiser step: images (B, C, S, S), labels (B,)."""
        job = self.job
        reseed(job.device, self.profile.seed, "model", self.state.step)
        set_learning_rate(job.optimizer, self.lr(self.state.step))
        job.optimizer.zero_grad(set_to_none=True)
        with autocast(job.device, job.precision):
            output = job.network(images)
        loss, logits = objective(job.network, output, labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        job.optimizer.step()
        self.sums.add(loss, logits, labels)

    def flush(self) -> None:
        """Read the sums and write what was learnt since the last flush."""
        totals = self.sums.read()
        now = time.monotonic()
        window, seconds = totals - self.flushed, now - self.window_start
        if not window.count:
            return
        self.flushed = self.state.sums = totals
        self.window_start = now
        self.state.images += window.count
        self.state.train_seconds += seconds
        self.speed = window.count / seconds if seconds > 0 else None
        self.window = window.means
        self.run.metrics(
            {
                "kind": "step",
                "step": self.state.step,
                "epoch": round(self.state.epoch + self.state.step_in_epoch / self.steps_per_epoch, 6),
                "seconds": round(self.seconds(), 3),
                "train_loss": self.window["loss"],
                "train_top1": self.window["top1"],
                "lr": self.lr(self.state.step - 1),
                "images_per_second": self.speed,
            }
        )
        if not math.isfinite(totals.loss):
            self.diverge()
        self.write_status()

    def diverge(self) -> None:
        """Say where the loss stopped being a number, and end the run: no step after it can be of use."""
        lr = self.lr(self.state.step - 1)
        self.run.event("nan", step=self.state.step, epoch=self.state.epoch + 1, lr=lr)
        raise DivergedError(
            f"the training loss is not finite at step {self.state.step} (epoch {self.state.epoch + 1}, lr {lr:g}); "
            "a smaller optim.lr is the usual remedy"
        )

    # The end of an epoch

    def finish_epoch(self) -> bool:
        """Evaluate, record, save. False when asked to stop during the evaluation, which a resume does again."""
        figures: dict[str, Any] = {f"train_{name}": value for name, value in self.state.sums.means.items()}
        del figures["train_top5"]
        started = time.monotonic()
        for name, split in (("val", self.job.dataset.val), ("test", self.job.dataset.test)):
            if split is None:
                continue
            totals = self.evaluate(name, split)
            if totals is None:
                return False
            figures |= {f"{name}_{metric}": value for metric, value in totals.means.items()}
        self.evaluation_seconds = time.monotonic() - started
        self.record_epoch(figures)
        state, checkpoint = self.state, self.profile.checkpoint
        improved = self.note_best(figures)
        due = state.epoch % checkpoint.every_epochs == 0 or state.epoch == self.profile.train.epochs
        if due or (improved and checkpoint.best):
            self.save(last=due, best=improved and checkpoint.best)
        return not self.stop.requested() or state.epoch == self.profile.train.epochs

    def evaluate(self, name: str, split: Split) -> Totals | None:
        """Loss, top-1 and top-5 of a split, each image once. None when asked to stop."""
        network, job = self.job.network, self.job
        sums = Sums(job.device)
        total = split.steps(self.batch_size)
        network.eval()
        with torch.inference_mode():
            for done, (images, labels) in enumerate(split.batches(self.batch_size), 1):
                with autocast(job.device, job.precision):
                    output = network(images)
                loss, logits = objective(network, output, labels)
                sums.add(loss, logits, labels)
                self.observer.progress(self.snapshot("val" if name == "val" else "test", done, total))
                if self.stop.requested() and done < total:
                    return None
        return sums.read()

    def record_epoch(self, figures: dict[str, Any]) -> None:
        """Close the epoch in the state and write its line."""
        state = self.state
        state.epoch += 1
        state.step_in_epoch = 0
        state.sums = self.flushed = Totals()
        self.sums = Sums(self.job.device)
        state.last = {"epoch": state.epoch, **figures}
        record = {
            "kind": "epoch",
            "epoch": state.epoch,
            "step": state.step,
            "seconds": round(self.seconds(), 3),
            **figures,
            "lr": self.lr(state.step - 1),
            "images_per_second": self.images_per_second(),
        }
        self.run.metrics(record)
        self.run.event("epoch", epoch=state.epoch, step=state.step)
        self.observer.epoch_done(record)

    def note_best(self, figures: dict[str, Any]) -> bool:
        """Whether this epoch is the best so far: on validation images if there are any, else on the test images."""
        split = "val" if self.job.dataset.val else "test"
        top1 = figures.get(f"{split}_top1")
        if top1 is None or (self.state.best is not None and top1 <= self.state.best["top1"]):
            return False
        self.state.best = {"epoch": self.state.epoch, "top1": top1, "split": split}
        return True

    # Keeping

    def save(self, *, last: bool, best: bool) -> None:
        """Write a checkpoint. A disk that refuses it leaves the one before, says so, and the run goes on."""
        self.state.seconds = self.seconds()
        write = checkpoint_writer(self.state, self.job.network, self.job.optimizer, self.job.recipe)
        try:
            self.run.checkpoints.save(write, last=last, best=best)
        except OSError as error:
            self.run.event("checkpoint_failed", step=self.state.step, error=str(error))
            self.observer.note(f"could not save a checkpoint: {error.strerror or error}; the one before it stays")
        else:
            self.run.event("checkpoint", step=self.state.step, epoch=self.state.epoch, last=last, best=best)
            self.saved_position = self.position() if last else self.saved_position
        self.write_status(force=True)
        self.saved_at = self.window_start = time.monotonic()

    def write_status(self, *, force: bool = False) -> None:
        """Say in status.json where the run stands; without `force` at most once a second."""
        state = self.state
        self.run.status(
            force=force,
            state="running",
            epoch=state.epoch,
            epochs=self.profile.train.epochs,
            step=state.step,
            steps=self.steps_per_epoch * self.profile.train.epochs,
            train=self.window,
            last=state.last,
            best=state.best,
            images_per_second=self.speed,
            eta=self.eta(),
            seconds=round(self.seconds(), 3),
        )

    # Figures

    def lr(self, step: int) -> float:
        return learning_rate(self.profile, step, self.steps_per_epoch * self.profile.train.epochs)

    def position(self) -> tuple[int, int]:
        return self.state.epoch, self.state.step_in_epoch

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.attempt_start

    def images_per_second(self) -> float | None:
        return self.state.images / self.state.train_seconds if self.state.train_seconds > 0 else None

    def eta(self) -> float | None:
        """Seconds to the end: the steps left at the average speed, the evaluations left at the last one's time."""
        speed = self.images_per_second()
        if speed is None:
            return None
        size, state = self.job.dataset.train.size, self.state
        images_left = (
            size * (self.profile.train.epochs - state.epoch) - size * state.step_in_epoch / self.steps_per_epoch
        )
        return images_left / speed + self.evaluation_seconds * (self.profile.train.epochs - state.epoch)

    def snapshot(self, phase: Any, done: int, total: int) -> Snapshot:
        return Snapshot(
            phase=phase,
            epoch=min(self.state.epoch + 1, self.profile.train.epochs),
            epochs=self.profile.train.epochs,
            done=done,
            total=total,
            loss=self.window.get("loss"),
            top1=self.window.get("top1"),
            images_per_second=self.speed,
            eta=self.eta(),
        )
