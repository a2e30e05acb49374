"""From a profile to a run directory: make everything ready, run the loop, record how it ended.

Whatever can be refused is refused before the run directory exists. After that every ending is written down: finished,
stopped by a person, preempted, failed.
"""

import os
import sys
import traceback
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.base.errors import UserError
from workbench.preflight import check_network
from workbench.profile import Layer, Profile, Resolved, dump, load_exact, recipe_label
from workbench.runs import journal
from workbench.runs.directory import ensure_writable, find_run
from workbench.runs.files import write_atomically
from workbench.runs.reading import TERMINAL_EVENTS, last_ending, read_attempts, read_json
from workbench.runs.writer import RunWriter
from workbench.training import devices
from workbench.training.changes import changed_since, differences, refuse_another_past
from workbench.training.distributed import RankError, Ranks, leave
from workbench.training.export import export_model
from workbench.training.facts import describe, gather_facts
from workbench.training.fit import is_out_of_memory
from workbench.training.job import Job
from workbench.training.loop import DivergedError, Trainer
from workbench.training.observer import HAND_OVER, Observer, Quiet, StopRequest
from workbench.training.prepare import meet, prepare
from workbench.training.sampler import Sampler
from workbench.training.silent import Silent
from workbench.training.state import State, load_checkpoint
from workbench.training.weight_sources import PEERS


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


def start_run(
    resolved: Resolved, root: Path, observer: Observer, stop: StopRequest, *, parent: str | None = None
) -> Outcome:
    """Train a profile from the beginning, in a new run directory under `root`; `parent`: the run it was forked from.

    ProfileError or UserError where it cannot be; then nothing was written but an empty `root`.
    """
    check_network(resolved)
    ensure_writable(root)
    profile = as_kept(resolved)
    job = prepare(profile, resolved, profile.train.threads, observer)
    stop.arm()
    if not job.ranks.leads:
        return follow(job, stop)
    with job.ranks.together():
        facts = gather_facts(job, profile) | {"parent": parent}
        observer.note(describe(job, facts))
        run = RunWriter.create(root, profile.name or profile.model.arch, dump(profile), facts, observer.note)
    try:
        job.ranks.tell(run.path)
        observer.note(f"run {run.path}")
        run.event("started", argv=sys.argv, pid=os.getpid())
        return conduct(job, run, observer, stop)
    finally:
        run.close()


def fork_run(
    reference: str, root: Path, observer: Observer, stop: StopRequest, *, options: Layer, weights: str
) -> Outcome:
    """Train the profile of another run, under `options`, in a new run directory.

    `weights`: best or last to begin with those of that run's checkpoint, none to draw them from the seed.
    """
    path = find_run(root, reference)
    resolved = load_exact(path / "profile.toml", options=options)
    if weights != "none":
        checkpoint = path / "checkpoints" / f"{weights}.pt"
        if not checkpoint.is_file():
            raise UserError(f"{path.name} has no {checkpoint.name}; fork it with --weights none, or from another run")
        model = resolved.profile.model.model_copy(update={"pretrained": str(checkpoint.absolute())})
        resolved = replace(resolved, profile=resolved.profile.model_copy(update={"model": model}))
    return start_run(resolved, root, observer, stop, parent=path.name)


def as_kept(resolved: Resolved) -> Profile:
    """The profile as a run keeps it: to be repeated and resumed from any working directory, and labelled."""
    profile = resolved.profile
    data, model = profile.data, profile.model
    if data.root:
        data = data.model_copy(update={"root": str(Path(data.root).expanduser().absolute())})
    if model.pretrained and model.pretrained not in PEERS:
        model = model.model_copy(update={"pretrained": str(Path(model.pretrained).expanduser().absolute())})
    label = profile.recipe or recipe_label(resolved.chain[0])[:60]
    return profile.model_copy(update={"data": data, "model": model, "recipe": label})


def resume_run(
    reference: str, root: Path, observer: Observer, stop: StopRequest, *, options: Layer | None = None
) -> Outcome:
    """Go on with a run from its newest whole checkpoint, or from its beginning if it had none yet.

    `options` may change what lies ahead (more epochs), never what lies behind. UserError for that, and for a run that
    is missing, still running, finished, or without a whole checkpoint.
    """
    path = find_run(root, reference)
    old = load_exact(path / "profile.toml").profile
    resolved = load_exact(path / "profile.toml", options=options)
    changed = differences(old, resolved.profile)
    refuse_another_past(path.name, changed)
    if last_ending(path) == "finished" and resolved.profile.train.epochs <= old.train.epochs:
        raise UserError(
            f"{path.name} is finished; there is nothing to resume "
            f"(--train.epochs {old.train.epochs + 10} would extend it)"
        )
    check_network(resolved)
    _, ranks = meet(resolved.profile, resolved)
    if not ranks.leads:
        return take_part(path, resolved, ranks, stop)
    with ranks.together():
        run = RunWriter.reopen(path, observer.note)
    try:
        with ranks.together():
            found = run.checkpoints.newest_good()
            if found.path is None and found.complaints:
                raise UserError(
                    f"no checkpoint of {path.name} is whole ({'; '.join(found.complaints)}); "
                    f"start it anew with: cnn-workbench --headless --profile {path / 'profile.toml'}"
                )
        asked = asked_before(path)
        ranks.tell((found.path, asked))
        job, warnings = bring_back(path, found.path, resolved, observer)
        stop.arm()
        observer.note(f"run {path}")
        if changed:
            write_atomically(path / "profile.toml", dump(resolved.profile).encode())
            run.event("changed", changes={key: list(values) for key, values in changed.items()}, step=job.state.step)
        began = read_json(path / "run.json").get("profile", {})
        run.status(changed=changed_since(began, resolved.profile))
        source = found.path.name if found.path else None
        record_resume(run, job.state, source, [*found.complaints, *warnings], observer)
        return conduct(job, run, observer, stop, asked)
    finally:
        run.close()


def bring_back(path: Path, checkpoint: Path | None, resolved: Resolved, observer: Observer) -> tuple[Job, list[str]]:
    """The job of a run as its checkpoint has it, and in what it differs without harm."""
    profile = resolved.profile
    began = read_json(path / "run.json")
    threads = profile.train.threads or int(began.get("threads", 0))
    if profile.train.channels_last == "auto":
        layout = (
            "on" if began.get("channels_last") else "off"
        )  # what was chosen then, and before there was a choice: off
        profile = profile.model_copy(update={"train": profile.train.model_copy(update={"channels_last": layout})})
    job = prepare(profile, resolved, threads, observer, from_checkpoint=checkpoint is not None)
    warnings: list[str] = []
    if checkpoint is not None:
        with job.ranks.together():
            job.state, warnings = load_checkpoint(checkpoint, job.network, job.optimizer, job.step, job.recipe)
    if job.state.epoch > profile.train.epochs:
        raise resolved.error("train.epochs", f"{job.state.epoch} epochs are done already (got {profile.train.epochs})")
    return job, warnings


def asked_before(run: Path) -> list[str]:
    """What people had asked of the attempt before, where that has handed the run over: to be paused, or to stop after
    the epoch. Whoever resumes a run that has ended otherwise wants it to go on."""
    for event in reversed(journal.read(run / "events.jsonl").records):
        if event.get("event") in ("started", "resumed", *TERMINAL_EVENTS):
            asked = event.get("asked")
            return [kind for kind in asked if isinstance(kind, str)] if isinstance(asked, list) else []
    return []


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


def follow(job: Job, stop: StopRequest) -> Outcome:
    """A rank that does not lead takes part in a new run and writes nothing."""
    with job.ranks.together():
        pass  # rank 0 makes the run directory
    return conduct(job, Silent(job.ranks.tell(Path())), Quiet(), stop)


def take_part(path: Path, resolved: Resolved, ranks: Ranks, stop: StopRequest) -> Outcome:
    """A rank that does not lead takes part in a run that goes on, from the checkpoint that rank 0 found."""
    with ranks.together():
        pass  # rank 0 takes the lock
    with ranks.together():
        pass  # and looks for the newest whole checkpoint
    found: tuple[Path | None, list[str]] = ranks.tell((None, []))
    checkpoint, asked = found
    job, _ = bring_back(path, checkpoint, resolved, Quiet())
    stop.arm()
    return conduct(job, Silent(path), Quiet(), stop, asked)


def conduct(
    job: Job, run: RunWriter | Silent, observer: Observer, stop: StopRequest, asked: Collection[str] = ()
) -> Outcome:
    """Run the loop and write down how it ended. `asked`: as `asked_before` has it."""
    trainer = Trainer(job, run, observer, stop, asked)
    error = ""
    sampled = Sampler(run.path, devices.uuid_of(job.device), trainer.where) if job.ranks.leads else nullcontext()
    try:
        trainer.write_status(force=True)
        with sampled:
            finished = trainer.fit()
        stop.cause = job.ranks.tell(stop.cause)  # by now rank 0 has saved; torchrun ends all ranks when one ends
        state = "finished" if finished else "preempted" if stop.preempts else "stopped"
        if finished and job.ranks.leads:
            leave_model(job, run, observer)
        stop.settle()
        left = {"asked": trainer.still_asked()} if stop.cause == HAND_OVER and not finished else {}
        run.event(state, epochs=job.state.epoch, step=job.state.step, cause=None if finished else stop.cause, **left)
        leave()
    except KeyboardInterrupt:  # asked a second time: at once, on what the last checkpoint holds
        stop.settle()
        trainer.saver.wait()  # nobody else may take the run while it is being written
        state = "stopped"
        run.event(state, epochs=job.state.epoch, step=job.state.step, cause="SIGINT twice")
    except Exception as problem:  # noqa: BLE001  # whatever ends a run is recorded in it
        problem = job.ranks.settle(problem)
        state, error = "failed", one_line(problem)
        if is_out_of_memory(problem):
            run.event("oom", step=job.state.step, batch_size=job.profile.data.batch_size)
            error = f"out of memory outside the step ({error}); try a smaller data.batch_size"
        trace = None if isinstance(problem, DivergedError | UserError) else traceback.format_exc()
        trace = problem.trace if isinstance(problem, RankError) else trace
        run.event(state, error=error, epochs=job.state.epoch, step=job.state.step, traceback=trace)
        if trace:
            run.log(trace)
    run.status(force=True, state=state, eta=None, images_per_second=trainer.images_per_second())
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


def leave_model(job: Job, run: RunWriter | Silent, observer: Observer) -> None:
    """What a finished run leaves: its weights for other programs, or, as sweeps want it, nothing but its records."""
    if not job.profile.checkpoint.save_model:
        run.checkpoints.clear()
        return
    profile, average = job.profile, job.step.ema
    facts = {
        "arch": profile.model.arch,
        "options": profile.model.options,
        "num_classes": len(job.dataset.classes),
        "in_channels": job.dataset.channels,
        "image_size": profile.data.image_size,
        "run": run.path.name,
        "epoch": job.state.epoch,
    }
    weights: dict[str, AbstractContextManager[None]] = {"model.safetensors": nullcontext()}
    if average is not None:
        weights["model-ema.safetensors"] = average.in_place()
    try:
        for name, in_place in weights.items():
            with in_place:
                export_model(job.network.state_dict(), run.path / name, facts)
        run.event("exported", files=list(weights))
    except (OSError, ValueError) as error:
        run.event("export_failed", error=str(error))
        observer.note(f"could not export the model: {error}; its weights are in checkpoints/last.pt")


def one_line(problem: Exception) -> str:
    """An exception as one line: its first line, or its kind where it says nothing."""
    text = str(problem).strip().splitlines()
    return (
        f"{type(problem).__name__}: {text[0]}"
        if text and not isinstance(problem, DivergedError | UserError)
        else (text[0] if text else type(problem).__name__)
    )
