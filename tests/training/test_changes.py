"""Going on differently: longer, never with another past; and a new run from an old one's profile."""

from pathlib import Path

import pytest
import torch
from test_exact_resume import epochs, profile_of
from training_helpers import ADAM, Quiet, StopAfter, fingerprint, load_last, resume, train, write_profile

from workbench.base.errors import UserError
from workbench.profile import Layer, Origin, ProfileError, load_exact
from workbench.runs import journal
from workbench.runs.reading import read_json
from workbench.training.observer import StopRequest
from workbench.training.session import Outcome, fork_run


def options(**values: object) -> Layer:
    """The command line's layer: `train__epochs=4` for --train.epochs 4."""
    layer = Layer()
    for name, value in values.items():
        section, _, key = name.partition("__")
        layer.data.setdefault(section, {})[key] = value
        layer.origins[(section, key)] = Origin("command line", f"--{section}.{key}")
    return layer


def fork(root: Path, weights: str = "none", observer: Quiet | None = None, **values: object) -> Outcome:
    return fork_run("last", root, observer or Quiet(), StopRequest(), options=options(**values), weights=weights)


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    """With a constant rate four epochs are two and two more, to the bit."""
    first = train(write_profile(tmp_path), tmp_path / "runs")
    longer = resume(tmp_path / "runs", options=options(train__epochs=4))
    assert longer.run == first.run
    assert longer.epochs == 4
    (tmp_path / "at once").mkdir()
    whole = train(write_profile(tmp_path / "at once", epochs="4"), tmp_path / "whole")
    assert fingerprint(longer.run) == fingerprint(whole.run)
    assert epochs(longer.run) == epochs(whole.run)
    assert load_exact(longer.run / "profile.toml").profile.train.epochs == 4
    [event] = [r for r in journal.read(longer.run / "events.jsonl").records if r["event"] == "changed"]
    assert event["changes"] == {"train.epochs": [2, 4]}


def test_a_schedule_stretches_with_the_run(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, '[schedule]\nname = "cosine"')
    train(profile, tmp_path / "runs")
    longer = resume(tmp_path / "runs", options=options(train__epochs=4))
    rates = [record["lr"] for record in epochs(longer.run)]
    assert rates[1] < 0.0001  # the end of two epochs' cosine
    assert rates[2] > 0.0002  # and the middle of four epochs'
    assert rates[3] < 0.0001


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"optim__lr": 0.5}, "optim.lr was 0.01 and would be 0.5"),
        ({"data__batch_size": 100}, "data.batch_size was 300 and would be 100"),
        ({"model__arch": "resnet18"}, "model.arch was training_helpers:Noisy and would be resnet18"),
        ({"sam__rho": 0.1}, "sam.rho was 0.0 and would be 0.1"),
        ({"augment__mixup": 0.1}, "augment.mixup was None and would be 0.1"),
    ],
)
def test_another_past_is_refused_with_the_list(tmp_path: Path, change: dict[str, object], told: str) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(3))
    before = (outcome.run / "events.jsonl").read_bytes(), (outcome.run / "profile.toml").read_bytes()
    with pytest.raises(UserError, match="cannot go on with another past: ") as caught:
        resume(tmp_path / "runs", options=options(train__epochs=9, **change))
    assert told in str(caught.value)
    assert "train.epochs" not in str(caught.value)
    assert f"--fork {outcome.run.name} starts a new run" in str(caught.value)
    assert ((outcome.run / "events.jsonl").read_bytes(), (outcome.run / "profile.toml").read_bytes()) == before


def test_fewer_epochs_than_are_done_is_refused(tmp_path: Path) -> None:
    train(write_profile(tmp_path, epochs="4"), tmp_path / "runs", stop=StopAfter(24))  # in the fourth epoch
    with pytest.raises(ProfileError, match="--train.epochs: 3 epochs are done already|3 epochs are done already"):
        resume(tmp_path / "runs", options=options(train__epochs=2))


def test_a_finished_run_says_how_to_extend_it(tmp_path: Path) -> None:
    train(write_profile(tmp_path), tmp_path / "runs")
    with pytest.raises(UserError, match=r"is finished; there is nothing to resume \(--train.epochs 12 would extend"):
        resume(tmp_path / "runs", options=options(train__flush_seconds=2.0))


def test_a_fork_is_a_new_run_of_the_same_profile(tmp_path: Path) -> None:
    parent = train(write_profile(tmp_path), tmp_path / "runs")
    child = fork(tmp_path / "runs")
    assert child.run != parent.run
    assert read_json(child.run / "run.json")["parent"] == parent.run.name
    assert fingerprint(child.run) == fingerprint(parent.run)


def test_a_fork_may_begin_with_the_parents_weights(tmp_path: Path) -> None:
    parent = train(write_profile(tmp_path), tmp_path / "runs")
    child = fork(tmp_path / "runs", weights="last", optim__lr=1e-30, optim__weight_decay=0.0)
    mine, theirs = load_last(child.run)["model"], load_last(parent.run)["model"]
    assert torch.equal(mine["fc.weight"], theirs["fc.weight"])
    assert load_exact(child.run / "profile.toml").profile.model.pretrained == str(
        (parent.run / "checkpoints" / "last.pt").absolute()
    )


def test_weights_that_are_not_there_are_refused(tmp_path: Path) -> None:
    parent = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(2))
    assert not (parent.run / "checkpoints" / "best.pt").exists()
    with pytest.raises(UserError, match=r"has no best.pt; fork it with --weights none"):
        fork(tmp_path / "runs", weights="best")
    assert len([path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]) == 1


def test_a_changed_fork_is_the_run_of_the_changed_profile(tmp_path: Path) -> None:
    train(write_profile(tmp_path), tmp_path / "runs")
    child = fork(tmp_path / "runs", optim__lr=0.02)
    (tmp_path / "other").mkdir()
    plain = train(write_profile(tmp_path / "other", optim=ADAM.replace("0.01", "0.02", 1)), tmp_path / "plain")
    assert fingerprint(child.run) == fingerprint(plain.run)
