"""The norm of the gradient in the step lines: of the newest step, before clipping, and at no cost to the results."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from test_exact_resume import profile_of
from torch import Tensor
from training_helpers import fingerprint, train

from workbench.data.splits import Batch
from workbench.runs.reading import read_metrics
from workbench.training.graph import GraphedStep
from workbench.training.step import Step

VARIANTS = {
    "plain": "",
    "clipped": "[train]\nclip_norm = 0.01",
    "bad steps left out": '[train]\non_nan = "skip"',
    "in parts": "[train]\nmicro_batch = 70",
    "sam": "[sam]\nrho = 0.05",
}


@pytest.fixture
def norms(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of each step's gradient as it comes to the update, computed with other means."""
    found: list[float] = []
    update = Step.update

    def noted(self: Step, sums: Tensor) -> None:
        gradient = torch.cat([p.grad.double().flatten() for p in self.parameters if p.grad is not None])
        found.append(float((gradient * gradient).sum() ** 0.5))
        update(self, sums)

    monkeypatch.setattr(Step, "update", noted)
    return found


def recorded(run: Path) -> dict[int, float]:
    lines = [record for record in read_metrics(run).records if record["kind"] == "step"]
    assert lines
    return {line["step"]: line["gradient_norm"] for line in lines}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_line_has_the_norm_of_its_last_step(tmp_path: Path, norms: list[float], variant: str) -> None:
    outcome = train(profile_of(tmp_path, VARIANTS[variant]), tmp_path / "runs")
    found = recorded(outcome.run)
    assert len(found) >= 4
    for step, norm in found.items():
        assert norm == pytest.approx(norms[step - 1], rel=1e-5)


def test_it_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_norm = train(profile_of(tmp_path, ""), tmp_path / "with")
    monkeypatch.setattr(Step, "gradient_norm", lambda self: None)
    without = train(profile_of(tmp_path, ""), tmp_path / "without")
    assert all("gradient_norm" not in record for record in read_metrics(without.run).records)
    assert fingerprint(with_norm.run) == fingerprint(without.run)


def test_after_a_replay_it_is_that_of_the_graph_s_own_gradient() -> None:
    """An eager step in between, the last batch of an epoch, has put another one into `.grad`."""
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([100.0, 0.0])
    step = SimpleNamespace(
        norm=None, newest=None, parameters=[weight], scaler=torch.amp.GradScaler("cpu", enabled=False), unscales=False,
        optimizer=torch.optim.SGD([{"params": [weight], "base_lr": 0.1}], lr=0.1), reseed=lambda *_: None, ema=None,
    )  # fmt: skip
    graphed = GraphedStep(cast(Any, step), print)
    batch = Batch(torch.zeros(1, 1, 2, 2), torch.zeros(1, dtype=torch.int64))
    graphed.graph, graphed.input = cast(Any, SimpleNamespace(replay=lambda: None)), batch
    assert float(Step.gradient_norm(cast(Any, step))) == 100.0  # type: ignore[arg-type]
    graphed.gradient = [torch.tensor([3.0, 4.0])]
    graphed.replay(batch, 0, 1.0)
    assert float(Step.gradient_norm(cast(Any, step))) == 5.0  # type: ignore[arg-type]
    graphed.norm = torch.tensor(7.0)  # the captured step clips
    graphed.replay(batch, 1, 1.0)
    assert float(Step.gradient_norm(cast(Any, step))) == 7.0  # type: ignore[arg-type]
