"""A loss or gradient that is not finite: noticed at the right step, named, and dealt with as the profile says."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from test_exact_resume import profile_of
from torch import Tensor, nn
from training_helpers import Noisy, Quiet, events, fingerprint, load_last, resume, train

from workbench.runs.reading import read_metrics
from workbench.training.guard import NEVER, Guard


class Poisoned(Noisy):
    """Gives NaN at chosen forward passes in training, counted from 0."""

    bad: ClassVar[set[int]] = set()
    passes: ClassVar[int] = 0
    forever: ClassVar[bool] = False

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            number = Poisoned.passes
            Poisoned.passes += 1
            if number in self.bad or (self.forever and number >= min(self.bad)):
                x = x * float("nan")
        return super().forward(x)


class Overflowing(Noisy):
    """A finite loss whose gradient is not: the square root's at zero."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.training:
            logits = logits + (self.fc.bias * 0).abs().sqrt().sum()
        return logits


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Poisoned, "passes", 0)
    monkeypatch.setattr(Poisoned, "forever", False)
    monkeypatch.setattr(Poisoned, "bad", set())


def poisoned(folder: Path, train_keys: str, arch: str = "test_guard:Poisoned") -> Path:
    path = profile_of(folder, f"[train]\n{train_keys}")
    path.write_text(path.read_text().replace("training_helpers:Noisy", arch))
    return path


def test_stop_names_step_rate_and_module_and_keeps_the_weights_of_before(tmp_path: Path) -> None:
    Poisoned.bad, Poisoned.forever = {7}, True
    outcome = train(poisoned(tmp_path, "flush_seconds = 3600.0\nepochs = 2"), tmp_path / "runs")
    assert outcome.state == "failed"
    [event] = events(outcome.run, "nan")
    assert (event["step"], event["epoch"], event["lr"]) == (8, 2, 0.001)
    assert event["module"] == "the output of conv (Conv2d)"
    assert "step 8 (epoch 2, lr 0.001): the output of conv (Conv2d)" in outcome.error
    assert load_last(outcome.run)["state"]["epoch"] == 1


def test_skip_leaves_out_the_step_and_nothing_else(tmp_path: Path) -> None:
    Poisoned.bad = {3, 9}  # steps 4 and 9: looking for the module took a pass in between
    observer = Quiet()
    outcome = train(poisoned(tmp_path, 'on_nan = "skip"'), tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    assert [event["step"] for event in events(outcome.run, "nan")] == [4, 9]
    assert sum("left out 1 step" in note for note in observer.notes) == 2
    content = load_last(outcome.run)
    assert content["state"]["skipped"] == 2
    assert all(bool(t.isfinite().all()) for t in content["model"].values())
    assert content["optimizer"]["state"][0]["step"] == 8  # ten steps, two of them left out
    losses = [r["train_loss"] for r in read_metrics(outcome.run).records]
    assert all(isinstance(loss, float) for loss in losses)


def test_skip_looks_at_the_gradient_too(tmp_path: Path) -> None:
    outcome = train(poisoned(tmp_path, 'on_nan = "skip"', "test_guard:Overflowing"), tmp_path / "runs")
    assert outcome.state == "finished"
    found = events(outcome.run, "nan")
    assert sum(int(str(event["steps"])) for event in found) == 10
    assert found[0]["module"] == "the gradient of fc.bias"


def test_skip_with_an_optimiser_that_cannot_hold_back(tmp_path: Path) -> None:
    Poisoned.bad = {3}
    path = poisoned(tmp_path, 'on_nan = "skip"')
    path.write_text(path.read_text() + '\n[optim]\nname = "rmsprop"\n')
    outcome = train(path, tmp_path / "runs")
    assert outcome.state == "finished"
    assert all(bool(t.isfinite().all()) for t in load_last(outcome.run)["model"].values())


def test_a_run_that_only_skips_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.training.loop.HOPELESS_STEPS", 4)
    Poisoned.bad, Poisoned.forever = {2}, True
    outcome = train(poisoned(tmp_path, 'on_nan = "skip"'), tmp_path / "runs")
    assert outcome.state == "failed"
    assert "steps in a row were not finite" in outcome.error


def test_rollback_goes_to_the_last_checkpoint_with_half_the_rate(tmp_path: Path) -> None:
    Poisoned.bad = {7}
    observer = Quiet()
    path = poisoned(tmp_path, 'on_nan = "rollback"\nflush_seconds = 3600.0')
    outcome = train(path, tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    [back] = events(outcome.run, "rollback")
    assert (back["to_step"], back["lr_factor"]) == (5, 0.5)
    assert any("back to step 5 with half the learning rate" in note for note in observer.notes)
    epochs = [r for r in read_metrics(outcome.run).records if r["kind"] == "epoch"]
    assert [record["lr"] for record in epochs] == [0.001, 0.0005]
    state = load_last(outcome.run)["state"]
    assert (state["step"], state["rollbacks"], state["lr_factor"]) == (10, 1, 0.5)


def test_rollback_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    Poisoned.bad, Poisoned.forever = {2}, True
    outcome = train(poisoned(tmp_path, 'on_nan = "rollback"'), tmp_path / "runs")
    assert outcome.state == "failed"
    assert "there is no checkpoint yet to go back to" in outcome.error


def test_rollback_gives_up_after_some(tmp_path: Path) -> None:
    Poisoned.bad, Poisoned.forever = {7}, True
    outcome = train(poisoned(tmp_path, 'on_nan = "rollback"'), tmp_path / "runs")
    assert outcome.state == "failed"
    assert "after 5 rollbacks" in outcome.error
    assert len(events(outcome.run, "rollback")) == 5


def test_the_guard_changes_nothing_in_a_healthy_run(tmp_path: Path) -> None:
    stop = train(profile_of(tmp_path, ""), tmp_path / "stop")
    skip = train(profile_of(tmp_path, '[train]\non_nan = "skip"'), tmp_path / "skip")
    assert fingerprint(stop.run) == fingerprint(skip.run)


@pytest.mark.parametrize("name", ["adam", "sgd", "adamw", "adagrad", "lamb", "muon"])
def test_these_optimisers_hold_back_a_step_without_a_wait(name: str) -> None:
    """To the bit: weights, moments and step counts."""
    from workbench.profile import Profile
    from workbench.training.optimizers import build_optimizer

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    cpu = torch.device("cpu")
    optimizer = build_optimizer(network, Profile.model_validate({"optim": {"name": name}}).optim, cpu)
    guard = Guard("skip", network, optimizer, cpu)
    if name == "adagrad" and not guard.held:
        pytest.skip("this torch has no fused Adagrad")
    assert guard.held

    def step(scale: float) -> None:
        optimizer.zero_grad()
        loss = network(torch.randn(3, 4, generator=torch.Generator().manual_seed(1))).square().mean() * scale
        loss.backward()
        guard.judge(loss, None)
        guard.step()

    def everything() -> list[Tensor]:
        states = [v for entry in optimizer.state.values() for v in entry.values() if isinstance(v, Tensor)]
        return [t.clone() for t in [*network.parameters(), *states]]

    step(1.0)
    before = everything()
    step(float("nan"))
    assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))
    assert guard.figures.tolist() == [1, 1]
    step(1.0)
    assert not torch.equal(before[0], everything()[0])
    guard.restart(7)
    assert guard.figures.tolist() == [0, NEVER]


def test_a_resumed_run_keeps_its_halved_rate(tmp_path: Path) -> None:
    from training_helpers import StopAfter

    Poisoned.bad = {7}
    path = poisoned(tmp_path, 'on_nan = "rollback"\nflush_seconds = 0.001\nepochs = 3')
    outcome = train(path, tmp_path / "runs", stop=StopAfter(13))
    assert outcome.state == "preempted"
    outcome = resume(tmp_path / "runs")
    assert load_last(outcome.run)["state"]["lr_factor"] == 0.5
