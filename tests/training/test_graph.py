"""The bookkeeping around a CUDA graph, with a stand-in for the graph itself; the real one needs a GPU."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from test_exact_resume import profile_of
from training_helpers import Quiet, fingerprint, train

from workbench.data.splits import Batch
from workbench.profile import ProfileError, load
from workbench.runs import journal
from workbench.training import loop, prepare
from workbench.training.graph import GraphedStep, why_not
from workbench.training.observer import Quiet as NoObserver

RECIPE = '[train]\nema = 0.9\ncuda_graph = "on"\n[augment]\nmixup = 0.3\n[data]\nbatch_size = 200'


class Recorded:
    """Replays as a graph does: the step once more, on whatever lies in its input by then, with seeds set outside."""

    replays: ClassVar[int] = 0

    def __init__(self, owner: GraphedStep, wrong: float) -> None:
        self.owner, self.wrong = owner, wrong

    def replay(self) -> None:
        Recorded.replays += 1
        step, batch = self.owner.step, self.owner.input
        assert batch is not None
        step.capturing = True
        step.guard.before()
        step.update(step.gradients(batch, 0, len(batch.labels)))
        step.capturing = False
        with torch.no_grad():
            step.parameters[0].add_(self.wrong)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    """Graphs on the CPU, recorded by `Recorded`."""
    monkeypatch.setattr(Recorded, "replays", 0)
    monkeypatch.setattr(loop, "why_not", lambda step: None)
    monkeypatch.setattr(prepare, "refuse_impossible", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)

    def capture(self: GraphedStep, batch: Batch) -> None:
        assert batch.other is not None
        assert batch.share is not None
        self.input = Batch(batch.images.clone(), batch.labels.clone(), batch.other.clone(), batch.share.clone())
        self.graph = Recorded(self, wrong=0.0)  # type: ignore[assignment]

    monkeypatch.setattr(GraphedStep, "capture", capture)
    return Recorded


def test_replayed_steps_learn_what_eager_ones_learn(tmp_path: Path, stand_in: type[Recorded]) -> None:
    graphed = train(profile_of(tmp_path, RECIPE), tmp_path / "graphed")
    assert graphed.state == "finished", graphed.error
    # 8 steps an epoch, the last of 38 images. Three eager ones, one both ways, then replays but for the two last.
    assert stand_in.replays == 16 - 2 - 3
    eager = train(profile_of(tmp_path, RECIPE.replace('"on"', '"off"')), tmp_path / "eager")
    assert fingerprint(graphed.run) == fingerprint(eager.run)


def test_a_graph_that_computes_something_else_is_given_up(
    tmp_path: Path, stand_in: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = GraphedStep.capture

    def capture(self: GraphedStep, batch: Batch) -> None:
        right(self, batch)
        self.graph.wrong = 0.5  # type: ignore[union-attr]

    monkeypatch.setattr(GraphedStep, "capture", capture)
    observer = Quiet()
    graphed = train(profile_of(tmp_path, RECIPE), tmp_path / "graphed", observer=observer)
    assert stand_in.replays == 1
    assert any("without a CUDA graph: its first replay and the same step" in note for note in observer.notes)
    assert "cuda_graph" in [r["event"] for r in journal.read(graphed.run / "events.jsonl").records]
    eager = train(profile_of(tmp_path, RECIPE.replace('"on"', '"off"')), tmp_path / "eager")
    assert fingerprint(graphed.run) == fingerprint(eager.run)


def test_a_capture_that_fails_is_told_and_costs_nothing(
    tmp_path: Path, stand_in: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GraphedStep, "capture", lambda self, batch: "operation not permitted when stream is capturing")
    observer = Quiet()
    graphed = train(profile_of(tmp_path, RECIPE), tmp_path / "graphed", observer=observer)
    assert any("without a CUDA graph: operation not permitted" in note for note in observer.notes)
    eager = train(profile_of(tmp_path, RECIPE.replace('"on"', '"off"')), tmp_path / "eager")
    assert fingerprint(graphed.run) == fingerprint(eager.run)


def test_on_without_a_gpu_is_refused_and_auto_goes_without(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"train.cuda_graph: needs a CUDA device \(this is cpu\); auto goes without"):
        train(profile_of(tmp_path, RECIPE), tmp_path / "runs")
    resolved = load(profile_of(tmp_path, RECIPE.replace('"on"', '"auto"')), environ={})
    job = prepare.prepare(resolved.profile, resolved, 1, NoObserver())
    assert why_not(job.step) == "it needs a CUDA device, this is cpu"
