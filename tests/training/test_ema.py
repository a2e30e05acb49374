"""The moving average: its arithmetic, its place in evaluation, and that the network gets its own weights back."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_exact_resume import profile_of
from torch import nn
from training_helpers import Noisy, load_last, train

from workbench.runs.reading import read_metrics
from workbench.training.ema import Ema


def test_it_follows_the_formula_with_its_warm_up() -> None:
    network = nn.Linear(3, 2)
    ema = Ema(network, 0.9)
    expected = network.weight.detach().double().clone()
    for update in range(1, 41):
        with torch.no_grad():
            network.weight += torch.randn(2, 3, generator=torch.Generator().manual_seed(update))
        ema.update()
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * network.weight.detach().double()
    torch.testing.assert_close(ema.average[ema.names.index("weight")].double(), expected, rtol=1e-5, atol=1e-6)


def test_in_place_and_back_to_the_bit() -> None:
    network = Noisy(num_classes=10, in_channels=1)
    ema = Ema(network, 0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    average = {name: tensor.clone() for name, tensor in zip(ema.names, ema.average, strict=True)}

    def fail_inside() -> None:
        with ema.in_place():
            inside = network.state_dict()
            assert all(torch.equal(inside[name], average[name]) for name in average)
            assert not torch.equal(inside["fc.weight"], before["fc.weight"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(torch.equal(a, average[n]) for n, a in zip(ema.names, ema.average, strict=True))


def test_tied_weights_are_averaged_once() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    ema = Ema(network, 0.5)
    assert ema.names == ["0.weight", "0.bias", "1.bias"]


def test_running_statistics_are_averaged_and_counts_are_not() -> None:
    names = Ema(Noisy(num_classes=10, in_channels=1), 0.5).names
    assert "bn.running_mean" in names
    assert "bn.num_batches_tracked" not in names


def test_both_are_evaluated_and_the_better_one_may_decide(tmp_path: Path) -> None:
    recipe = '[train]\nema = 0.9\n[checkpoint]\nmonitor = "test_ema_top1"'
    outcome = train(profile_of(tmp_path, recipe), tmp_path / "runs")
    epochs = [r for r in read_metrics(outcome.run).records if r["kind"] == "epoch"]
    assert all({"test_top1", "test_ema_top1", "test_ema_loss", "test_ema_top5"} <= set(r) for r in epochs)
    assert all(r["test_ema_loss"] != r["test_loss"] for r in epochs)
    assert outcome.best is not None
    assert outcome.best["monitor"] == "test_ema_top1"
    assert outcome.best["top1"] == max(r["test_ema_top1"] for r in epochs)
    saved = load_last(outcome.run)
    assert saved["step"]["ema"]["updates"] == saved["state"]["step"]
    plain = train(profile_of(tmp_path, ""), tmp_path / "plain")
    assert all(torch.equal(saved["model"][k], t) for k, t in load_last(plain.run)["model"].items())


class Tied(nn.Module):
    """The same weight under two names."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False)
        self.second.weight = self.first.weight
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.second(self.first(x.flatten(1)).relu()))
        return logits


def test_the_exported_average_is_the_average_under_every_name(tmp_path: Path) -> None:
    recipe = '[model]\narch = "test_ema:Tied"\n[train]\nema = 0.9\n'
    outcome = train(profile_of(tmp_path, recipe), tmp_path / "runs")
    average = load_last(outcome.run)["step"]["ema"]["average"]
    exported = load_file(outcome.run / "model-ema.safetensors")
    raw = load_file(outcome.run / "model.safetensors")
    for name in ("first.weight", "second.weight"):
        assert torch.equal(exported[name], average["first.weight"])
        assert not torch.equal(exported[name], raw[name])
