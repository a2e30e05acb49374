"""From a profile to a run directory: make everything ready, run the loop, record how it ended.

Whatever can be refused is refused before the run directory exists. After that every ending is written down: finished,
stopped by a person, preempted, failed.
"""

import os
import platform
import socket
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import architectures
import workbench
from workbench.base.errors import UserError
from workbench.data import Dataset, open_dataset
from workbench.inspect.counts import count_macs, count_parameters
from workbench.preflight import check_network
from workbench.profile import Profile, Resolved, dump, load_exact
from workbench.runs.directory import ensure_writable, find_run
from workbench.runs.reading import last_ending, read_attempts, read_json
from workbench.runs.writer import RunWriter
from workbench.training import devices
from workbench.training.loop import DivergedError, Job, Trainer
from workbench.training.observer import Observer, StopRequest
from workbench.training.optimizers import build_optimizer
from workbench.training.pretrained import freeze_backbone, head_names, load_pretrained
from workbench.training.state import State, load_checkpoint
from workbench.training.weight_sources import PEERS, WeightsError


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    run: Path
    state: str
    """finished, stopped, preempted or failed."""
    epochs: int
    last: dict[str, Any]
    best: dict[str, Any] | None
    images_per_second: float | None
    seconds: float
    error: str = ""
    """One line, for a failed run."""

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        tested = {name: self.last[f"test_{name}"] for name in ("loss", "top1", "top5") if f"test_{name}" in self.last}
        return {
            "run": str(self.run),
            "state": self.state,
            "epochs": self.epochs,
            "test": tested or None,
            "best": {name: self.best[name] for name in ("epoch", "top1")} if self.best else None,
            "images_per_second": self.images_per_second,
            "seconds": round(self.seconds, 3),
        }


def start_run(resolved: Resolved, root: Path, observer: Observer, stop: StopRequest) -> Outcome:
    """Train a profile from the beginning, in a new run directory under `root`.

    ProfileError or UserError where it cannot be; then nothing was written but an empty `root`.
    """
    check_network(resolved)
    ensure_writable(root)
    profile = with_absolute_paths(resolved.profile)
    job = prepare(profile, resolved, profile.train.threads, observer)
    facts = gather_facts(job)
    observer.note(describe(job, facts))
    stop.arm()
    run = RunWriter.create(root, profile.name or profile.model.arch, dump(profile), facts, observer.note)
    try:
        observer.note(f"run {run.path}")
        run.event("started", argv=sys.argv, pid=os.getpid())
        return conduct(job, run, observer, stop)
    finally:
        run.close()


def with_absolute_paths(profile: Profile) -> Profile:
    """The profile as a run keeps it: to be repeated and resumed from any working directory."""
    data, model = profile.data, profile.model
    if data.root:
        data = data.model_copy(update={"root": str(Path(data.root).expanduser().absolute())})
    if model.pretrained and model.pretrained not in PEERS:
        model = model.model_copy(update={"pretrained": str(Path(model.pretrained).expanduser().absolute())})
    return profile.model_copy(update={"data": data, "model": model})


def resume_run(reference: str, root: Path, observer: Observer, stop: StopRequest) -> Outcome:
    """Go on with a run from its newest whole checkpoint, or from its beginning if it had none yet.

    UserError for a run that is missing, still running, finished, or without a whole checkpoint.
    """
    path = find_run(root, reference)
    if last_ending(path) == "finished":
        raise UserError(f"{path.name} is finished; there is nothing to resume")
    resolved = load_exact(path / "profile.toml")
    check_network(resolved)
    run = RunWriter.reopen(path, observer.note)
    try:
        found = run.checkpoints.newest_good()
        if found.path is None and found.complaints:
            raise UserError(
                f"no checkpoint of {path.name} is whole ({'; '.join(found.complaints)}); "
                f"start it anew with: cnn-workbench --headless --profile {path / 'profile.toml'}"
            )
        began = read_json(path / "run.json")
        threads = resolved.profile.train.threads or int(began.get("threads", 0))
        job = prepare(resolved.profile, resolved, threads, observer, from_checkpoint=found.path is not None)
        differences: list[str] = []
        if found.path is not None:
            job.state, differences = load_checkpoint(found.path, job.network, job.optimizer, job.recipe)
        stop.arm()
        observer.note(f"run {path}")
        source = found.path.name if found.path else None
        record_resume(run, job.state, source, [*found.complaints, *differences], observer)
        return conduct(job, run, observer, stop)
    finally:
        run.close()


def record_resume(
    run: RunWriter, state: State, checkpoint: str | None, warnings: list[str], observer: Observer
) -> None:
    """Write the resume and the rewind: what an earlier attempt wrote past the checkpoint no longer stands."""
    for warning in warnings:
        observer.note(f"warning: {warning}")
    where = f"from {checkpoint}" if checkpoint else "from the beginning: there was no checkpoint yet"
    observer.note(f"resuming {where} (epoch {state.epoch + 1}, step {state.step})")
    run.event(
        "resumed",
        attempt=read_attempts(run.path) + 1,
        checkpoint=checkpoint,
        step=state.step,
        warnings=warnings,
        argv=sys.argv,
        pid=os.getpid(),
    )
    run.event("rewind", to_step=state.step, to_epochs=state.epoch)
    run.metrics({"kind": "rewind", "to_step": state.step, "to_epochs": state.epoch})


def prepare(
    profile: Profile, resolved: Resolved, threads: int, observer: Observer, *, from_checkpoint: bool = False
) -> Job:
    """Data, network and optimiser, ready at step 0; if its weights will come `from_checkpoint`, none are fetched."""
    try:
        device = devices.choose_device(profile.train.device)
    except ValueError as error:
        raise resolved.error("train.device", str(error)) from None
    threads = devices.set_threads(threads)
    dataset = open_dataset(profile.data, seed=profile.seed, device=device, report=observer.note)
    if dataset.train.size == 1:
        raise UserError("data: one training image is too few to train on")
    network, pretrained = build_network(profile, dataset, resolved, from_checkpoint=from_checkpoint)
    if pretrained:
        observer.note(f"weights: {pretrained}")
    network = network.to(device)
    precision = devices.choose_precision(profile.train, device)
    recipe = {
        "data": dataset.fingerprint,
        "device": device.type,
        "precision": precision,
        "threads": threads,
        "torch": str(torch.__version__),
    }
    optimizer = build_optimizer(network, profile.optim, device)
    return Job(profile, dataset, network, optimizer, device, precision, recipe, State(), pretrained)


def build_network(
    profile: Profile, dataset: Dataset, resolved: Resolved, *, from_checkpoint: bool
) -> tuple[nn.Module, str | None]:
    """The network on the CPU, frozen as the profile says, and its pretrained weights in words if it has any.

    Weights are drawn from the seed, the same on every device, and then replaced by the pretrained ones, unless all
    weights come `from_checkpoint` later.
    """
    model = profile.model
    devices.reseed(torch.device("cpu"), profile.seed, "init")
    network = create_network(profile, dataset, resolved, len(dataset.classes))
    if not model.pretrained and model.freeze == "none":
        return network, None
    other = create_network(profile, dataset, resolved, len(dataset.classes) + 1)
    head = head_names(network.state_dict(), other.state_dict())
    pretrained = None
    if model.pretrained and not from_checkpoint:
        try:
            pretrained = load_pretrained(network, model, head)
        except WeightsError as error:
            raise resolved.error("model.pretrained", str(error)) from None
    if model.freeze == "backbone":
        if not head:
            raise resolved.error("model.freeze", f"{model.arch} has no head: nothing in it depends on the classes")
        freeze_backbone(network, head)
    return network, pretrained


def create_network(profile: Profile, dataset: Dataset, resolved: Resolved, num_classes: int) -> nn.Module:
    """The network that the profile names, with weights from torch's generator; ProfileError where it cannot be."""
    try:
        return architectures.create(
            profile.model.arch,
            num_classes=num_classes,
            in_channels=dataset.channels,
            image_size=profile.data.image_size,
            **profile.model.options,
        )
    except (ValueError, TypeError) as error:
        raise resolved.error("model.arch", f"{profile.model.arch}: {error}") from None


def gather_facts(job: Job) -> dict[str, Any]:
    """What run.json says besides id and time."""
    profile, dataset = job.profile, job.dataset
    frozen = {"trainable_parameters": count_parameters(job.network)} if profile.model.freeze != "none" else {}
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    try:
        macs = count_macs(job.network, dataset.channels, profile.data.image_size)
    except Exception:  # noqa: BLE001  # a user's own network may not run on the meta device; then MACs are not known
        macs = None
    return {
        "parent": None,
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "versions": {
            "cnn-workbench": workbench.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda if job.device.type == "cuda" else None,
        },
        "git": git_commit(),
        "device": devices.describe_device(job.device),
        "precision": job.precision,
        "threads": job.recipe["threads"],
        "seed": profile.seed,
        "arch": profile.model.arch,
        "parameters": sum(parameter.numel() for parameter in job.network.parameters()),
        **frozen,
        "pretrained": job.pretrained,
        "macs": macs,
        "data": {
            "dataset": dataset.name,
            "classes": list(dataset.classes),
            "channels": dataset.channels,
            "images": {name: split.size for name, split in splits.items() if split},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "fingerprint": dataset.fingerprint,
        },
    }


def git_commit() -> str | None:
    """The commit checked out in the working directory; None outside a repository."""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def describe(job: Job, facts: dict[str, Any]) -> str:
    """The run in one line."""
    size, images = job.profile.data.image_size, facts["data"]["images"]
    macs = f", {with_unit(facts['macs'])}MACs at {size} px" if facts["macs"] else ""
    trained = f" ({facts['trainable_parameters']:,} of them trained)" if "trainable_parameters" in facts else ""
    counts = ", ".join(f"{count:,} {name}" for name, count in images.items())
    return (
        f"{facts['arch']}: {facts['parameters']:,} parameters{trained}{macs}; "
        f"{job.dataset.name}: {counts} images, {len(job.dataset.classes)} classes; "
        f"{facts['device']}, {job.precision}, {facts['threads']} threads"
    )


def with_unit(count: int) -> str:
    """A count with three digits and a unit: 35.0 M, 1.81 G."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} "


def conduct(job: Job, run: RunWriter, observer: Observer, stop: StopRequest) -> Outcome:
    """Run the loop and write down how it ended."""
    trainer = Trainer(job, run, observer, stop)
    error = ""
    try:
        trainer.write_status(force=True)
        finished = trainer.fit()
        state = "finished" if finished else "preempted" if stop.preempts else "stopped"
        run.event(state, epochs=job.state.epoch, step=job.state.step, cause=None if finished else stop.cause)
    except KeyboardInterrupt:  # asked a second time: at once, on what the last checkpoint holds
        state = "stopped"
        run.event(state, epochs=job.state.epoch, step=job.state.step, cause="SIGINT twice")
    except Exception as problem:  # noqa: BLE001  # whatever ends a run is recorded in it
        state, error = "failed", one_line(problem)
        if isinstance(problem, torch.OutOfMemoryError):
            run.event("oom", step=job.state.step, batch_size=job.profile.data.batch_size)
            error = f"out of memory at batch size {job.profile.data.batch_size}; try a smaller data.batch_size"
        trace = None if isinstance(problem, DivergedError) else traceback.format_exc()
        run.event(state, error=error, epochs=job.state.epoch, step=job.state.step, traceback=trace)
        if trace:
            run.log(trace)
    run.status(force=True, state=state, eta=None)
    run.sync()
    return Outcome(
        run=run.path,
        state=state,
        epochs=job.state.epoch,
        last=job.state.last,
        best=job.state.best,
        images_per_second=trainer.images_per_second(),
        seconds=trainer.seconds(),
        error=error,
    )


def one_line(problem: Exception) -> str:
    """An exception as one line: its first line, or its kind where it says nothing."""
    text = str(problem).strip().splitlines()
    return (
        f"{type(problem).__name__}: {text[0]}"
        if text and not isinstance(problem, DivergedError | UserError)
        else (text[0] if text else type(problem).__name__)
    )
