"""The training loop, top to bottom.

    for each epoch:
        for each batch: one step (step.py); it adds to sums on the device
            now and then: read the sums (the only wait for the device), write a line of metrics, look at what was asked
        evaluate; write the epoch's line; save a checkpoint

Two promises shape it. Interrupted at any step and resumed, it computes what it would have computed: every random draw
is a function of (seed, epoch, step), and what is not (weights, optimiser, sums, counters) is in the checkpoint. And
between two flushes nothing waits for the device.
"""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from workbench.base.errors import UserError
from workbench.data import Split
from workbench.data.prefetch import prefetch
from workbench.data.splits import Batch, batch_spans
from workbench.profile import schema
from workbench.runs.control import Request
from workbench.runs.writer import RunWriter
from workbench.training.desk import Desk, Orders
from workbench.training.devices import give_freed_memory_back, peak_memory
from workbench.training.diagnose import first_bad_module
from workbench.training.distributed import filled
from workbench.training.eta import time_to_go
from workbench.training.evaluate import align_statistics, evaluate
from workbench.training.fit import has_batch_norm
from workbench.training.graph import GraphedStep, why_not
from workbench.training.job import Job
from workbench.training.metrics import Reading, Totals, as_totals
from workbench.training.monitor import Monitor
from workbench.training.observer import HAND_OVER, Observer, Snapshot, StopRequest
from workbench.training.pretrained import set_training_mode
from workbench.training.probe import probe
from workbench.training.progressive import stage_of
from workbench.training.saver import Saver
from workbench.training.schedule import Plateau, factor
from workbench.training.silent import Silent
from workbench.training.state import State, checkpoint_content, load_checkpoint

PAUSE_SECONDS = 0.2
"""How often a paused run looks whether it may go on."""
MOST_ROLLBACKS = 5
DONE = {
    "stop": "stopping", "checkpoint": "checkpoint saved", "pause": "paused", "resume": "going on",
    "lr": "learning rate {factor:g} times the schedule's",
}  # fmt: skip
"""What has become of a request, for whoever asked."""
LEAST_FACTOR = 1e-6
"""People may multiply the learning rate down to this factor of the schedule's, and up to its inverse."""
HOPELESS_STEPS = 50
"""A run that skips bad steps ends when it does nothing else for so many."""


class DivergedError(Exception):
    """The training loss, or its gradient, is no longer a finite number."""


class _WentBackError(Exception):
    """The state is an earlier one: the epoch under way begins anew from there."""


class Trainer:
    """One attempt at a run. `fit` returns True when the run is finished, False when it was asked to stop."""

    def __init__(
        self, job: Job, run: RunWriter | Silent, observer: Observer, stop: StopRequest, asked: Collection[str] = ()
    ) -> None:
        """`asked`: what `still_asked` of the attempt that has handed the run over to this one."""
        self.job, self.run, self.observer, self.stop = job, run, observer, stop
        self.state, self.step, self.ranks = job.state, job.step, job.ranks
        self.plateau: Plateau | None = None
        self.flushed, self.flushed_step = Totals(), 0
        self.reading: Reading | None = None
        self.reading_at = (0, 0)
        self.graphed: GraphedStep | None = None
        self.profile = job.profile
        self.batch_size = job.profile.data.batch_size
        self.spans = batch_spans(job.dataset.train.size, self.batch_size)
        self.steps_per_epoch = len(self.spans)
        self.steps = self.steps_per_epoch * job.profile.train.epochs
        self.monitor = Monitor(job.profile, job.dataset)
        run.checkpoints.keep = job.profile.checkpoint.keep
        self.saver = Saver(run.checkpoints)
        self.step.fit.told = self.note_smaller_parts
        self.run_step = self.choose_step()
        self.desk = Desk(run, self.ranks, stop)
        self.saved_position: tuple[int, int] | None = None
        self.take_up(self.state)
        self.window_start = self.saved_at = self.attempt_start = time.monotonic()
        self.seconds_before = self.state.seconds
        self.speed: float | None = None
        self.evaluation_seconds = 0.0
        self.window: dict[str, float] = {}
        self.look_at = self.state.step
        self.skipped_in_a_row = 0
        self.paused = "pause" in asked
        self.last_epoch = "stop_after_epoch" in asked  # whether a person wants it to stop when this epoch is over

    def fit(self) -> bool:
        """Train until the run is over. False when asked to stop; either way everything is saved when it returns."""
        self.desk.refuse_waiting("it was asked of an earlier attempt at this run, which is over")
        probe(self.job, self.spans, self.note_smaller_parts)
        if self.last_epoch:
            self.note_last_epoch(by=HAND_OVER)
        try:
            while not self.over():
                try:
                    if not self.train_epoch() or not self.finish_epoch():
                        if self.saved_position != self.position():
                            self.save(last=True, best=False)
                        return False
                except _WentBackError:
                    continue
            return True
        finally:
            self.saver.wait()
            self.record_saves()
            self.desk.refuse_waiting("the run is over")

    def over(self) -> bool:
        state = self.state
        return state.epoch >= self.profile.train.epochs or (
            state.step_in_epoch == 0 and self.monitor.gave_up(state.epoch, state.best)
        )

    def choose_step(self) -> Callable[[Batch, int, float, int], None]:
        """The step as a CUDA graph where it can be one and the profile lets it."""
        wanted = self.profile.train.cuda_graph
        obstacle = why_not(self.step)
        if wanted == "off" or (wanted == "auto" and self.job.device.type != "cuda"):
            return self.step.run
        if obstacle is not None:
            self.tell_of_graph(f"without a CUDA graph: {obstacle}")
            return self.step.run
        self.graphed = GraphedStep(self.step, self.tell_of_graph)
        return self.graphed.run

    def tell_of_graph(self, text: str) -> None:
        self.run.event("cuda_graph", text=text)
        self.observer.note(text)

    # Training

    def train_epoch(self) -> bool:
        """The rest of the epoch under way. False when asked to stop; the state then stands between two steps."""
        set_training_mode(self.job.network, self.profile.model.freeze)
        self.step.regularisation.scale(stage_of(self.profile, self.state.epoch).strength)
        self.window_start = time.monotonic()
        self.look_at = self.state.step
        if self.wait_while_paused():
            return False
        for batch in self.batches(self.state.step_in_epoch):
            first, last = self.spans[self.state.step_in_epoch]
            self.run_step(batch, self.state.step, self.lr_factor(self.state.step), last - first)
            self.state.step += 1
            self.state.step_in_epoch += 1
            self.observer.progress(self.snapshot("train", self.state.step_in_epoch, self.steps_per_epoch))
            if self.state.step_in_epoch < self.steps_per_epoch and not self.look_around():
                return False
        self.flush()
        return self.state.step_in_epoch == self.steps_per_epoch

    def batches(self, start: int) -> Iterator[Batch]:
        """The epoch's batches from step `start` of it.

        A signal to the whole process group also ends the processes that decode images; then there is no further batch,
        and that is no failure.
        """
        stage = stage_of(self.profile, self.state.epoch)
        try:
            yield from prefetch(
                self.job.dataset.train.batches(
                    self.batch_size,
                    epoch=self.state.epoch,
                    start=start,
                    size=stage.size,
                    strength=stage.strength,
                    shard=(self.ranks.rank, self.ranks.world),
                ),
                self.job.device,
            )
        except UserError:
            if self.ranks.world > 1 or not self.stop.requested():  # the other ranks go on to where all stop together
                raise

    # Between two steps

    def look_around(self) -> bool:
        """Flush, save and obey, each where it is time. False when the run is to stop.

        With several ranks all look at the same steps, because a flush adds up what every rank has.
        """
        if self.ranks.world == 1:
            orders = self.orders()
        elif self.state.step >= self.look_at:
            orders = self.ranks.tell(self.orders() or Orders(steps=self.steps_of_a_flush()))
            self.look_at = self.state.step + orders.steps
        else:
            return True
        if orders is None:
            return True
        self.flush(wait=orders.needs_figures or self.ranks.world > 1)
        for request in orders.requests:
            self.obey(request)
        if orders.save and self.saved_position != self.position():
            self.save(last=True, best=False)
        return not orders.stop and not self.wait_while_paused()

    def orders(self) -> Orders | None:
        """What is to be done now, as rank 0 sees it; None where it is nothing."""
        now, checkpoint = time.monotonic(), self.profile.checkpoint
        requests = self.desk.requests(now)
        at_step = checkpoint.every_steps and self.state.step % checkpoint.every_steps == 0
        save = bool(at_step) or now - self.saved_at >= checkpoint.every_minutes * 60
        arrived = self.reading is not None and self.reading.ready()
        flush = arrived or (self.reading is None and now - self.window_start >= self.profile.train.flush_seconds)
        if not (requests or save or flush or self.stop.requested()):
            return None
        return Orders(stop=self.stop.requested(), save=save, requests=requests, steps=self.steps_of_a_flush())

    def steps_of_a_flush(self) -> int:
        """About how many steps fit between two flushes; never past one at which a checkpoint is due."""
        seconds = self.profile.train.flush_seconds
        steps = max(1, int((self.speed or 0.0) * seconds / self.batch_size))
        every = self.profile.checkpoint.every_steps
        return min(steps, every - self.state.step % every) if every else steps

    def obey(self, request: Request) -> None:
        """Do what a person asked through the control folder, and tell them."""
        step, epoch = self.state.step, self.state.epoch + 1
        if request.kind == "stop":
            self.stop.cause = "request"  # a person's word counts for more than a signal's at the same step
        elif request.kind == "stop_after_epoch":
            return self.stop_after_epoch(request)
        elif request.kind == "checkpoint":
            self.save(last=True, best=False)
        elif request.kind in ("pause", "resume"):
            self.paused = request.kind == "pause"
        elif request.kind == "lr":
            factor_now = self.state.lr_factor * request.arguments["factor"]
            if not LEAST_FACTOR <= factor_now <= 1 / LEAST_FACTOR:
                return self.desk.answer(request, "refused", f"the factor would become {factor_now:g}")
            self.state.lr_factor = factor_now
            self.run.event("lr", step=step, epoch=epoch, factor=self.state.lr_factor, by=request.by)
        done = DONE[request.kind].format(factor=self.state.lr_factor)
        return self.desk.answer(request, "done", f"{done} at step {step} (epoch {epoch})")

    def stop_after_epoch(self, request: Request) -> None:
        """Stop at the end of the epoch under way; between two epochs that is now."""
        self.note_last_epoch(by=request.by)
        when = self.state.epoch + (self.state.step_in_epoch > 0)
        self.desk.answer(request, "done", f"the run stops when epoch {when} is over")

    def note_last_epoch(self, *, by: str) -> None:
        """Whoever looks at this attempt sees what it was asked."""
        if self.state.step_in_epoch:
            self.last_epoch = True
            self.run.event("stop_after_epoch", step=self.state.step, epoch=self.state.epoch + 1, by=by)
        else:
            self.stop.cause = "request"

    def still_asked(self) -> list[str]:
        """What people have asked for, and the run is at: kinds of requests."""
        asked = {"pause": self.paused, "stop_after_epoch": self.last_epoch and not self.over()}
        return [kind for kind, wanted in asked.items() if wanted]

    def wait_while_paused(self) -> bool:
        """Stand still until a person asks to go on. True when asked to stop, now or meanwhile."""
        if self.paused:
            self.run.event("paused", step=self.state.step, epoch=self.state.epoch + 1)
            self.run.status(force=True, state="paused")
            self.observer.note(f"paused at step {self.state.step}")
            while not (stopped := self.desk.stop_asked()) and "pause" in self.still_asked():
                time.sleep(PAUSE_SECONDS)
                self.run.status()  # readers on other hosts watch it grow
                for request in self.ranks.tell(self.desk.requests(time.monotonic())):
                    self.obey(request)
            if not stopped:
                self.run.event("unpaused", step=self.state.step, epoch=self.state.epoch + 1)
            self.write_status(force=True)
            self.window_start = time.monotonic()
        return self.desk.stop_asked()

    def flush(self, *, wait: bool = True) -> None:
        """Read the sums and write what was learnt since the last flush.

        Without `wait` the sums are asked for, and written at a later call, when the device has got there.
        """
        if self.reading is None:
            norm = self.step.gradient_norm() if self.state.step != self.flushed_step else None
            self.reading = Reading([self.step.sums.vector, self.step.guard.figures, *([] if norm is None else [norm])])
            self.reading_at = self.state.step, self.state.step_in_epoch
        if not wait and not self.reading.ready():
            return
        sums, (bad, first), *norms = self.reading.values()
        self.reading = None
        if self.reading_at[0] != self.state.step and (wait or bad):
            self.flush()  # what was asked for earlier is not all there is by now
            return
        self.record_window(as_totals(sums), *self.reading_at, norm=norms[0][0] if norms else None)
        step = self.reading_at[0]
        steps, self.flushed_step = step - self.flushed_step, step
        self.skipped_in_a_row = self.skipped_in_a_row + round(bad) if bad == steps else 0
        self.record_saves()
        if bad:
            self.face_bad_steps(round(bad), round(first))
        self.write_status()

    def record_window(self, sums: Totals, step: int, step_in_epoch: int, *, norm: float | None) -> None:
        """Write the figures of the steps between the last flush and `step`; `norm` is of that step's gradient."""
        now = time.monotonic()
        window, seconds = sums - self.flushed, now - self.window_start
        self.window_start = now
        if window.count:
            self.flushed = self.state.sums = sums
            self.state.images += window.count
            self.state.train_seconds += seconds
            self.speed = window.count / seconds if seconds > 0 else None
            self.window = window.means
            self.run.metrics(
                {
                    "kind": "step",
                    "step": step,
                    "epoch": round(self.state.epoch + step_in_epoch / self.steps_per_epoch, 6),
                    "seconds": round(self.seconds(), 3),
                    "train_loss": self.window["loss"],
                    "train_top1": self.window["top1"],
                    "lr": self.lr(step - 1),
                    "images_per_second": self.speed,
                    **({} if norm is None else {"gradient_norm": norm}),
                }
            )

    def note_smaller_parts(self, before: int, now: int) -> None:
        """The batch does not fit: smaller parts of it go through the network, which batch norm can tell."""
        self.run.event("oom", step=self.state.step, micro_batch=now, before=before, batch_size=self.batch_size)
        ghost = "; batch norm now sees each part by itself" if has_batch_norm(self.job.network) else ""
        self.observer.note(f"out of memory at {before} images: going on with {now} at a time{ghost}")

    # When a number is not finite

    def face_bad_steps(self, bad: int, first: int) -> None:
        """A loss or gradient was not finite in `bad` steps since the last flush, in step `first` first."""
        lr, module = self.lr(first), self.name_bad_module(first)
        where = f"step {first + 1} (epoch {self.state.epoch + 1}, lr {lr:g}): {module}"
        mode = self.profile.train.on_nan
        self.run.event("nan", step=first + 1, epoch=self.state.epoch + 1, lr=lr, module=module, steps=bad, on_nan=mode)
        if mode == "skip":
            self.skip(bad, where)
        elif mode == "rollback" and self.state.rollbacks < MOST_ROLLBACKS:
            self.go_back(where)
        else:
            tried = f" after {self.state.rollbacks} rollbacks" if mode == "rollback" else ""
            raise DivergedError(
                f"the training loss or gradient is not finite{tried} at {where}; "
                "a smaller optim.lr or train.clip_norm is the usual remedy"
            )

    def name_bad_module(self, number: int) -> str:
        """What went non-finite first, as far as the weights of that moment are still there."""
        if not self.step.guard.held and not self.step.guard.skips:
            return f"not known: {self.profile.optim.name} has already changed the weights"
        batch = next(self.batches(self.state.step_in_epoch - (self.state.step - number)))
        batch = filled(batch) if self.ranks.world > 1 else batch
        with self.step.alone():
            found = first_bad_module(self.step, batch, number)
        if self.ranks.world == 1:
            return found
        names = {f"{name} on rank {rank}": name for rank, name in enumerate(self.ranks.share(found))}
        return min(names, key=lambda place: names[place].startswith("nothing"))

    def skip(self, bad: int, where: str) -> None:
        """Go on: the guard has kept the bad steps from the weights."""
        self.observer.note(f"left out {bad} step{'s' if bad > 1 else ''}: not finite at {where}")
        self.state.skipped += bad
        if self.skipped_in_a_row >= HOPELESS_STEPS:
            raise DivergedError(f"{self.skipped_in_a_row} steps in a row were not finite; the last from {where}")
        self.step.guard.restart(self.state.step)

    def go_back(self, where: str) -> None:
        """Continue from the last checkpoint with half the learning rate."""
        self.saver.wait()
        self.record_saves()
        path = self.ranks.tell(self.run.checkpoints.newest_good().path if self.ranks.leads else None)
        if path is None:
            raise DivergedError(f"not finite at {where}, and there is no checkpoint yet to go back to")
        job, factor_now, rollbacks = self.job, self.state.lr_factor, self.state.rollbacks
        state, _ = load_checkpoint(path, job.network, job.optimizer, self.step, job.recipe)
        state.lr_factor, state.rollbacks = factor_now / 2, rollbacks + 1
        self.take_up(state)
        if self.graphed is not None:
            self.graphed.forget()
        self.run.event("rollback", to_step=state.step, checkpoint=path.name, lr_factor=state.lr_factor)
        self.run.event("rewind", to_step=state.step, to_epochs=state.epoch)
        self.run.metrics({"kind": "rewind", "to_step": state.step, "to_epochs": state.epoch})
        self.observer.note(f"not finite at {where}; back to step {state.step} with half the learning rate")
        raise _WentBackError

    def take_up(self, state: State) -> None:
        """Stand where `state` stands: after load_checkpoint has filled network, optimiser and step."""
        self.job.state = self.state = state
        self.step.sums.restart(state.sums)
        self.step.guard.restart(state.step)
        self.flushed, self.flushed_step = state.sums, state.step
        self.reading = None
        schedule = self.profile.schedule
        self.plateau = Plateau.from_dict(schedule, state.plateau) if isinstance(schedule, schema.Plateau) else None
        self.saved_position = None

    # The end of an epoch

    def finish_epoch(self) -> bool:
        """Evaluate, record, save. False when asked to stop during the evaluation, which a resume does again."""
        figures: dict[str, Any] = {f"train_{name}": value for name, value in self.state.sums.means.items()}
        del figures["train_top5"]
        started = time.monotonic()
        align_statistics(self.job)
        for name, split in (("val", self.job.dataset.val), ("test", self.job.dataset.test)):
            if split is None:
                continue
            for average in (False, True) if self.step.ema else (False,):
                totals = self.evaluate(name, split, average=average)
                if totals is None:
                    return False
                prefix = f"{name}_ema" if average else name
                figures |= {f"{prefix}_{metric}": value for metric, value in totals.means.items()}
        self.evaluation_seconds = time.monotonic() - started
        self.record_epoch(figures)
        state, checkpoint = self.state, self.profile.checkpoint
        improved = self.note_best(figures)
        due = state.epoch % checkpoint.every_epochs == 0 or self.over()
        if due or (improved and checkpoint.best):
            self.save(last=due, best=improved and checkpoint.best)
        for request in self.ranks.tell(self.desk.requests(time.monotonic())):  # an epoch may be a single step
            self.obey(request)
        if self.last_epoch:
            self.stop.cause = "request"
        return not self.wait_while_paused() or self.over()

    def evaluate(self, name: str, split: Split, *, average: bool) -> Totals | None:
        phase = "val" if name == "val" else "test"

        def show(done: int, total: int) -> None:
            self.run.status()  # as above: an evaluation may take long
            self.observer.progress(self.snapshot(phase, done, total))

        return evaluate(self.job, split, average=average, show=show, stop_asked=self.desk.stop_asked)

    def record_epoch(self, figures: dict[str, Any]) -> None:
        """Close the epoch in the state and write its line."""
        state = self.state
        state.epoch += 1
        state.step_in_epoch = 0
        state.sums = self.flushed = Totals()
        self.step.sums.restart(Totals())
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
        """Whether this epoch is the best so far; the plateau schedule looks at the same figure."""
        state = self.state
        if self.plateau is not None:
            if self.plateau.step(figures[self.monitor.name], higher_is_better=self.monitor.higher_is_better):
                self.run.event("plateau", epoch=state.epoch, factor=self.plateau.factor)
            state.plateau = self.plateau.as_dict()
        best = self.monitor.note(state.epoch, figures, state.best)
        state.best = best or state.best
        if self.over() and state.epoch < self.profile.train.epochs:
            self.run.event("early_stopping", epoch=state.epoch, best=state.best)
            self.observer.note(f"no better {self.monitor.name} in {self.monitor.patience} epochs: stopping early")
        return best is not None

    # Keeping

    def save(self, *, last: bool, best: bool) -> None:
        """Hand a checkpoint to the saver's thread. A disk that refuses it leaves the one before; the run goes on."""
        self.state.seconds = self.seconds()
        if self.ranks.leads:
            job, state = self.job, self.state
            give_freed_memory_back(job.device)  # the copy is as large as weights and optimiser together
            content = checkpoint_content(state, job.network, job.optimizer, self.step, job.recipe)
            tag = {"step": state.step, "epoch": state.epoch, "last": last, "best": best}
            self.saver.submit(content, last=last, best=best, tag=tag)
        self.saved_position = self.position() if last else self.saved_position
        self.record_saves()
        self.write_status(force=True)
        self.saved_at = self.window_start = time.monotonic()

    def record_saves(self) -> None:
        """Write down what the saver's thread has done meanwhile."""
        for result in self.saver.poll():
            if result.error is None:
                self.run.event("checkpoint", **result.tag)
                continue
            self.saved_position = None
            self.run.event("checkpoint_failed", step=result.tag["step"], error=str(result.error))
            self.observer.note(
                f"could not save a checkpoint: {result.error.strerror or result.error}; the one before it stays"
            )

    def write_status(self, *, force: bool = False) -> None:
        """Say in status.json where the run stands; without `force` at most once a second."""
        state = self.state
        self.run.status(
            force=force,
            state="paused" if self.paused else "running",
            epoch=state.epoch,
            epochs=self.profile.train.epochs,
            step=state.step,
            steps=self.steps,
            train=self.window,
            last=state.last,
            best=state.best,
            images_per_second=self.speed,
            eta=self.eta(),
            seconds=round(self.seconds(), 3),
            peak_memory=peak_memory(self.job.device),
        )

    # Figures

    def lr_factor(self, number: int) -> float:
        """What the optimiser's learning rates are multiplied by in step `number`."""
        scheduled = factor(self.profile.schedule, number, steps=self.steps, steps_per_epoch=self.steps_per_epoch)
        return scheduled * (self.plateau.factor if self.plateau else 1.0) * self.state.lr_factor

    def lr(self, number: int) -> float:
        return self.profile.optim.lr * self.lr_factor(number)

    def position(self) -> tuple[int, int]:
        return self.state.epoch, self.state.step_in_epoch

    def where(self) -> tuple[int, float, float]:
        """Step, epoch with its fraction, seconds. Also for other threads: a single number of the state is read."""
        step = self.state.step
        return step, step / self.steps_per_epoch, self.seconds()

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.attempt_start

    def images_per_second(self) -> float | None:
        return self.state.images / self.state.train_seconds if self.state.train_seconds > 0 else None

    def eta(self) -> float | None:
        """Seconds to the end: the steps left at the average speed, the evaluations left at the last one's time."""
        state, epochs = self.state, self.profile.train.epochs - self.state.epoch
        images = self.job.dataset.train.size * (epochs - state.step_in_epoch / self.steps_per_epoch)
        return time_to_go(images, self.images_per_second(), epochs, self.evaluation_seconds)

    def snapshot(self, phase: Any, done: int, total: int) -> Snapshot:
        """Where the run is, for the observer: `done` of `total` steps or batches of the phase."""
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
