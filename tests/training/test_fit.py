"""A batch in parts: the same gradient, found by itself when memory runs out, without a trace of the failed try."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from test_exact_resume import profile_of
from torch import Tensor, nn
from training_helpers import Noisy, Quiet, fingerprint, load_last, train

from workbench.base.errors import UserError
from workbench.profile import ProfileError
from workbench.runs import journal
from workbench.training.fit import Fit, is_out_of_memory


class Smooth(nn.Module):
    """No batch statistics and nothing random: a batch in parts must give the same gradient."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3)
        self.norm = nn.GroupNorm(2, 6)
        self.fc = nn.Linear(6 * 36, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.norm(self.conv(x)).relu().flatten(1))
        return logits


class Hungry(Noisy):
    """Has memory for so many images; fails in the middle of the network, when batch norm has already moved."""

    most: ClassVar[int] = 10**9
    failures: ClassVar[int] = 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        if self.training and len(x) > self.most:
            Hungry.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        logits: Tensor = self.fc(self.drop(x.relu().flatten(1)))
        return logits


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hungry, "most", 10**9)
    monkeypatch.setattr(Hungry, "failures", 0)


def with_network(folder: Path, arch: str, recipe: str) -> Path:
    path = profile_of(folder, recipe)
    path.write_text(path.read_text().replace("training_helpers:Noisy", arch))
    return path


@pytest.mark.parametrize("part", [1, 7, 64, 299])
def test_parts_of_any_size_learn_what_the_whole_batch_learns(tmp_path: Path, part: int) -> None:
    sgd = '[optim]\nname = "sgd"\nlr = 0.1\n[augment]\nmixup = 0.5\n[train]\nema = 0.9\nclip_norm = 1.0\n'
    whole = train(with_network(tmp_path, "test_fit:Smooth", sgd), tmp_path / "whole")
    parts = train(with_network(tmp_path, "test_fit:Smooth", sgd + f"micro_batch = {part}"), tmp_path / "parts")
    one, other = load_last(whole.run), load_last(parts.run)
    for key, tensor in one["model"].items():
        torch.testing.assert_close(other["model"][key], tensor, rtol=1e-4, atol=1e-6)
    assert parts.last["train_loss"] == pytest.approx(whole.last["train_loss"], rel=1e-5)
    assert parts.last["train_top1"] == pytest.approx(whole.last["train_top1"], abs=1e-3)


def test_a_try_that_failed_leaves_no_trace(tmp_path: Path) -> None:
    """Found by itself, a part of 74 is bit for bit a part of 74 from the start: running statistics, dropout, all."""
    Hungry.most = 80
    observer = Quiet()
    found = train(with_network(tmp_path, "test_fit:Hungry", ""), tmp_path / "found", observer=observer)
    assert found.state == "finished", found.error
    assert Hungry.failures == 2
    assert load_last(found.run)["step"]["micro_batch"] == 74
    told = [r for r in journal.read(found.run / "events.jsonl").records if r["event"] == "oom"]
    assert [(r["before"], r["micro_batch"], r["batch_size"]) for r in told] == [(300, 150, 300), (150, 74, 300)]
    assert any("going on with 74 at a time; batch norm now sees each part by itself" in n for n in observer.notes)
    Hungry.most = 10**9
    given = train(with_network(tmp_path, "test_fit:Hungry", "[train]\nmicro_batch = 74"), tmp_path / "given")
    assert fingerprint(found.run) == fingerprint(given.run)


def test_memory_that_runs_out_in_mid_run(tmp_path: Path) -> None:
    def starve(_: object) -> None:
        Hungry.most = 200

    found = train(with_network(tmp_path, "test_fit:Hungry", ""), tmp_path / "runs", observer=Quiet(starve))
    assert found.state == "finished"
    assert Hungry.failures == 1


def test_in_the_second_pass_of_sam_the_weights_come_back(tmp_path: Path) -> None:
    Hungry.most = 80
    recipe = "[sam]\nrho = 0.05\n"
    found = train(with_network(tmp_path, "test_fit:Hungry", recipe), tmp_path / "found")
    Hungry.most = 10**9
    given = train(with_network(tmp_path, "test_fit:Hungry", recipe + "[train]\nmicro_batch = 74"), tmp_path / "given")
    assert fingerprint(found.run) == fingerprint(given.run)


def test_what_cannot_be_smaller_ends_the_run_in_one_line(tmp_path: Path) -> None:
    Hungry.most = 1
    outcome = train(with_network(tmp_path, "test_fit:Hungry", ""), tmp_path / "runs")
    assert outcome.state == "failed"
    assert outcome.error == (
        "out of memory at 2 images at a time; no smaller part can be trained: "
        "take a smaller data.image_size or a smaller network"
    )


def test_a_given_part_that_does_not_fit_says_what_to_do(tmp_path: Path) -> None:
    Hungry.most = 80
    outcome = train(with_network(tmp_path, "test_fit:Hungry", "[train]\nmicro_batch = 100"), tmp_path / "runs")
    assert outcome.state == "failed"
    assert 'set train.micro_batch = "auto", or a smaller number' in outcome.error


def test_one_image_at_a_time_and_batch_norm_is_refused_at_its_line(tmp_path: Path) -> None:
    path = with_network(tmp_path, "training_helpers:Noisy", "[train]\nmicro_batch = 1")
    line = path.read_text().splitlines().index("micro_batch = 1") + 1
    with pytest.raises(ProfileError, match=rf"recipe.toml:{line}: train.micro_batch: .* at least 2 images at a time"):
        train(path, tmp_path / "runs")


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(UserError("out of memory at 2 images"))


def test_parts_are_even_so_that_mixed_pairs_stay_together() -> None:
    fit = Fit(nn.Linear(1, 1), "auto", 300, lambda before, now: None)
    fit.shrink()
    assert fit.micro == 150
    fit.shrink()
    assert fit.micro == 74
    assert [last - first for first, last in fit.parts(149)] == [74, 75]
