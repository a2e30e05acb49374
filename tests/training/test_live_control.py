"""A live run through its control folder, and what decides when it is saved and when it is over."""

import threading
import time
from pathlib import Path

import pytest
import torch
from test_exact_resume import epochs, profile_of
from training_helpers import Quiet, events, fingerprint, load_last, resume, train, write_profile

from workbench.base.errors import UserError
from workbench.profile import load
from workbench.runs.control import ask, wait_for_answer
from workbench.runs.directory import run_ids
from workbench.runs.reading import read_json, read_metrics
from workbench.training.observer import HAND_OVER, Snapshot, StopRequest
from workbench.training.session import Outcome, start_run


class Asking(Quiet):
    """Asks the run for something after so many reports, once; every report then waits for the folder to be due."""

    def __init__(self, root: Path, at: int, kind: str, **arguments: float) -> None:
        super().__init__(self.report)
        self.root, self.at, self.kind, self.arguments = root, at, kind, arguments
        self.reports = 0
        self.request = ""

    def report(self, _: Snapshot) -> None:
        self.reports += 1
        if self.reports == self.at:
            self.request = ask(self.run(), self.kind, **self.arguments)
            time.sleep(0.25)  # longer than a trainer waits between two looks

    def run(self) -> Path:
        [name] = run_ids(self.root)
        return self.root / name


def test_stop(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "stop")
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    assert outcome.state == "stopped"
    assert load_last(outcome.run)["state"]["step"] == 3
    assert events(outcome.run, "stopped")[0]["cause"] == "request"
    answer = wait_for_answer(outcome.run, observer.request, 5)
    assert answer is not None
    assert (answer.outcome, answer.text) == ("done", "stopping at step 3 (epoch 1)")


def test_stop_after_the_epoch_under_way(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "stop_after_epoch")
    outcome = train(write_profile(tmp_path, epochs="4"), tmp_path / "runs", observer=observer)
    assert (outcome.state, outcome.epochs) == ("stopped", 1)
    assert "test_top1" in outcome.last
    [asked] = events(outcome.run, "stop_after_epoch")
    assert (asked["step"], asked["epoch"]) == (3, 1)
    answer = wait_for_answer(outcome.run, observer.request, 5)
    assert answer is not None
    assert (answer.outcome, answer.text) == ("done", "the run stops when epoch 1 is over")
    resumed = resume(tmp_path / "runs")  # what was asked of the attempt before is not asked of this one
    assert (resumed.state, resumed.epochs) == ("finished", 4)
    plain = train(write_profile(tmp_path, epochs="4"), tmp_path / "plain")
    assert fingerprint(resumed.run) == fingerprint(plain.run)


def test_stop_after_the_epoch_asked_while_it_is_tested_is_now(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 2, "stop_after_epoch")  # during the first evaluation
    profile = write_profile(tmp_path, batch_size="1438", epochs="50")
    outcome = train(profile, tmp_path / "runs", observer=observer)
    assert (outcome.state, outcome.epochs) == ("stopped", 1)


def test_checkpoint_now(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "checkpoint")
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    assert 3 in [event["step"] for event in events(outcome.run, "checkpoint")]


def test_a_learning_rate_factor_is_recorded_kept_and_repeatable(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "lr", factor=0.5)
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    [event] = events(outcome.run, "lr")
    assert (event["step"], event["epoch"], event["factor"]) == (3, 1, 0.5)
    steps = [record for record in read_metrics(outcome.run).records if record["kind"] == "step"]
    assert {record["lr"] for record in steps if record["step"] <= 3} == {0.01}
    assert {record["lr"] for record in steps if record["step"] > 3} == {0.005}
    assert load_last(outcome.run)["state"]["lr_factor"] == 0.5
    again = Asking(tmp_path / "again", 3, "lr", factor=0.5)
    repeated = train(write_profile(tmp_path), tmp_path / "again", observer=again)
    assert fingerprint(repeated.run) == fingerprint(outcome.run)


def test_pause_and_resume_change_nothing(tmp_path: Path) -> None:
    plain = train(write_profile(tmp_path), tmp_path / "plain")
    observer = Asking(tmp_path / "runs", 3, "pause")
    paused: list[str] = []

    def resume_when_paused() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for name in run_ids(tmp_path / "runs"):
                state = read_json(tmp_path / "runs" / name / "status.json").get("state")
                if state == "paused":
                    paused.append(name)
                    ask(tmp_path / "runs" / name, "resume")
                    return
            time.sleep(0.01)

    helper = threading.Thread(target=resume_when_paused)
    helper.start()
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    helper.join()
    assert paused
    assert outcome.state == "finished"
    assert [len(events(outcome.run, name)) for name in ("paused", "unpaused")] == [1, 1]
    assert fingerprint(outcome.run) == fingerprint(plain.run)


def test_a_paused_run_that_saves_is_still_paused(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "pause")
    states: list[object] = []

    def save_and_go_on() -> None:
        deadline = time.monotonic() + 30
        while not states and time.monotonic() < deadline:
            for name in run_ids(tmp_path / "runs"):
                run = tmp_path / "runs" / name
                if read_json(run / "status.json").get("state") == "paused":
                    wait_for_answer(run, ask(run, "checkpoint"), 10)
                    states.append(read_json(run / "status.json").get("state"))
                    ask(run, "resume")
                    return
            time.sleep(0.01)

    helper = threading.Thread(target=save_and_go_on)
    helper.start()
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    helper.join()
    assert states == ["paused"]
    assert outcome.state == "finished"


def test_a_request_in_a_run_of_one_step_an_epoch(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 2, "stop")  # during the first evaluation
    profile = write_profile(tmp_path, batch_size="1438", epochs="50")
    outcome = train(profile, tmp_path / "runs", observer=observer)
    assert outcome.state == "stopped"
    assert outcome.epochs <= 2


def test_a_run_that_is_over_answers_nobody(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs")
    with pytest.raises(UserError, match=r"is over \(finished\)"):
        ask(outcome.run, "stop")


# What was asked of a run that is handed over to another process


class HandedOver(Asking):
    """Hands the run over when it has done what was asked: at a step, standing still, or at the end of the epoch."""

    def __init__(self, root: Path, at: int, kind: str, seen: str) -> None:
        super().__init__(root, at, kind)
        self.stop = StopRequest()
        self.seen = seen
        self.helper = threading.Thread(target=self.wait)
        self.helper.start()

    def report(self, snapshot: Snapshot) -> None:
        super().report(snapshot)
        if self.seen == "stop_after_epoch" and events(self.run(), self.seen):
            self.stop.cause = HAND_OVER

    def epoch_done(self, record: dict[str, float | int | str]) -> None:
        if self.seen == "epoch":
            self.stop.cause = HAND_OVER

    def wait(self) -> None:
        """A run that stands still reports nothing."""
        deadline = time.monotonic() + 30
        while self.seen == "paused" and self.stop.cause is None and time.monotonic() < deadline:
            if run_ids(self.root) and events(self.run(), self.seen):
                self.stop.cause = HAND_OVER
            time.sleep(0.01)


def handed_over(profile: Path, root: Path, at: int, kind: str, seen: str) -> Outcome:
    observer = HandedOver(root, at, kind, seen)
    outcome = start_run(load(profile, environ={}), root, observer, observer.stop)
    observer.helper.join()
    assert outcome.state == "preempted"
    return outcome


def test_a_paused_run_that_is_handed_over_stays_paused(tmp_path: Path) -> None:
    plain = train(write_profile(tmp_path), tmp_path / "plain")
    left = handed_over(write_profile(tmp_path), tmp_path / "runs", 3, "pause", "paused")
    at = load_last(left.run)["state"]["step"]
    states: list[object] = []

    def look_and_let_go() -> None:
        deadline = time.monotonic() + 30
        while len(events(left.run, "paused")) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)
        states.extend(read_json(left.run / "status.json")[name] for name in ("state", "step"))
        ask(left.run, "resume")

    helper = threading.Thread(target=look_and_let_go)
    helper.start()
    resumed = resume(tmp_path / "runs")
    helper.join()
    assert states == ["paused", at]
    assert resumed.state == "finished"
    assert [len(events(left.run, name)) for name in ("paused", "unpaused")] == [2, 1]
    assert fingerprint(resumed.run) == fingerprint(plain.run)


def test_a_run_that_is_to_stop_after_its_epoch_does_so_also_when_it_is_handed_over(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, epochs="4")
    left = handed_over(profile, tmp_path / "runs", 2, "stop_after_epoch", "stop_after_epoch")
    assert left.epochs == 0
    resumed = resume(tmp_path / "runs")
    assert (resumed.state, resumed.epochs) == ("stopped", 1)
    assert "test_top1" in resumed.last
    assert events(left.run, "stopped")[0]["cause"] == "request"
    assert len(events(left.run, "stop_after_epoch")) == 2, "whoever looks at the second attempt sees it too"
    again = resume(tmp_path / "runs")  # which a person asks for, by then
    assert (again.state, again.epochs) == ("finished", 4)


def test_handed_over_when_its_last_epoch_is_over_it_is_stopped(tmp_path: Path) -> None:
    observer = HandedOver(tmp_path / "runs", 2, "stop_after_epoch", "epoch")
    outcome = start_run(load(write_profile(tmp_path), environ={}), tmp_path / "runs", observer, observer.stop)
    observer.helper.join()
    assert observer.stop.cause == "request"
    assert (outcome.state, outcome.epochs) == ("stopped", 1)


def test_a_person_s_stop_counts_for_more_than_a_hand_over_at_the_same_step(tmp_path: Path) -> None:
    observer = Asking(tmp_path / "runs", 3, "stop")
    stop = StopRequest()
    told = observer.report

    def report(snapshot: Snapshot) -> None:
        told(snapshot)
        if observer.request:
            stop.cause = HAND_OVER

    observer.on_progress = report
    outcome = start_run(load(write_profile(tmp_path), environ={}), tmp_path / "runs", observer, stop)
    answer = wait_for_answer(outcome.run, observer.request, 5)
    assert answer is not None
    assert answer.outcome == "done"
    assert (outcome.state, events(outcome.run, "stopped")[0]["cause"]) == ("stopped", "request")


# When it is saved, and when it is over


def test_checkpoints_by_steps(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "[checkpoint]\nevery_steps = 2\nevery_epochs = 10\nbest = false")
    outcome = train(profile, tmp_path / "runs")
    saved = [event["step"] for event in events(outcome.run, "checkpoint")]
    assert set(saved) <= {2, 4, 6, 8, 10}  # one that waits for the disk gives way to a newer one
    assert saved[-1] == 10
    assert {path.name for path in (outcome.run / "checkpoints").glob("*.pt")} >= {"last.pt", "previous.pt"}


def test_early_stopping_counts_epochs_since_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.training.loop import Trainer
    from workbench.training.metrics import Totals

    scores = [0.5, 0.7, 0.6, 0.7, 0.9, 0.1]
    monkeypatch.setattr(Trainer, "evaluate", lambda *_, **__: Totals(loss=1.0, top1=scores.pop(0), top5=1.0, count=1))
    outcome = train(profile_of(tmp_path, "[train]\nearly_stopping = 2\nepochs = 6"), tmp_path / "runs")
    assert outcome.state == "finished"
    assert outcome.epochs == 4  # an equal score is no better one
    assert outcome.best is not None
    assert outcome.best["epoch"] == 2
    assert len(events(outcome.run, "early_stopping")) == 1
    assert load_last(outcome.run)["state"]["epoch"] == 4


def test_a_loss_is_better_when_it_is_smaller(tmp_path: Path) -> None:
    outcome = train(profile_of(tmp_path, '[checkpoint]\nmonitor = "test_loss"'), tmp_path / "runs")
    losses = [record["test_loss"] for record in epochs(outcome.run)]
    assert outcome.best is not None
    assert outcome.best["value"] == min(losses)
    assert outcome.best["monitor"] == "test_loss"


def test_the_plateau_schedule_lowers_the_rate_and_says_so(tmp_path: Path) -> None:
    recipe = '[schedule]\nname = "plateau"\npatience = 0\nthreshold = 10.0\nfactor = 0.5\n[train]\nepochs = 3'
    outcome = train(profile_of(tmp_path, recipe), tmp_path / "runs")
    assert [record["lr"] for record in epochs(outcome.run)] == [0.001, 0.001, 0.0005]
    assert [event["factor"] for event in events(outcome.run, "plateau")] == [0.5, 0.25]


# What is left behind


def test_a_finished_run_leaves_its_model_for_others(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    outcome = train(profile_of(tmp_path, "[train]\nema = 0.9"), tmp_path / "runs")
    content = load_last(outcome.run)
    weights = load_file(outcome.run / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in content["model"].items())
    averaged = load_file(outcome.run / "model-ema.safetensors")
    assert all(torch.equal(averaged[name], t) for name, t in content["step"]["ema"]["average"].items())
    assert averaged.keys() == weights.keys()
    with safe_open(outcome.run / "model.safetensors", framework="pt") as file:
        told = file.metadata()
    assert (told["arch"], told["num_classes"], told["run"]) == ("training_helpers:Noisy", "10", outcome.run.name)


def test_a_sweep_leaves_its_records_alone(tmp_path: Path) -> None:
    outcome = train(profile_of(tmp_path, "[checkpoint]\nsave_model = false"), tmp_path / "runs")
    assert outcome.state == "finished"
    assert not list((outcome.run / "checkpoints").glob("*"))
    assert not (outcome.run / "model.safetensors").exists()
    assert epochs(outcome.run)[-1]["epoch"] == 2
