"""Whole weights or a clear line: damaged files, missing ones, and files that are replaced while they are read."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from small_run import save_checkpoint

from workbench.base.errors import UserError
from workbench.evaluation import weights as module
from workbench.evaluation.model import open_model, read_facts
from workbench.evaluation.weights import find_weights


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def state_of(run: Path, name: str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / name, weights_only=True)["model"]
    return state


def refused(run: Path, wanted: str | None) -> str:
    with pytest.raises(UserError) as error:
        find_weights(run, wanted, lambda text: None)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_damaged_checkpoint_is_named_and_never_loaded(run: Path) -> None:
    damage(run / "checkpoints" / "best.pt")
    assert re.search(r"best\.pt: its SHA-256 does not agree: it is damaged", refused(run, "best"))
    notes: list[str] = []
    found = find_weights(run, None, notes.append)
    assert found.origin.kind == "last"
    assert re.search(r"best\.pt: its SHA-256 does not agree.*taking the last weights", notes[0])

    damage(run / "checkpoints" / "last.pt")
    assert find_weights(run, "last", notes.append).origin.file == "model.safetensors"
    damage(run / "model.safetensors")
    assert "model.safetensors: its SHA-256" in refused(run, "last")
    assert "best.pt: its SHA-256" in refused(run, None)
    (run / "model-ema.safetensors.sha256").unlink()
    assert "model-ema.safetensors: it has no SHA-256 beside it" in refused(run, "ema")


def test_a_run_without_weights_says_so(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    assert refused(run, "best").endswith("has no checkpoints/best.pt; try --weights last")
    for name in ("model.safetensors", "model-ema.safetensors"):
        (run / name).unlink()
    for wanted in (None, "last", "ema", "best-ema"):
        assert "has no checkpoint yet, or ended with checkpoint.save_model = false" in refused(run, wanted)


def test_a_run_without_a_best_checkpoint_points_at_the_last(run: Path) -> None:
    (run / "checkpoints" / "best.pt").unlink()
    assert refused(run, "best").endswith("has no checkpoints/best.pt; try --weights last")


def test_a_run_without_a_moving_average_says_so(run: Path) -> None:
    save_checkpoint(run, state_of(run, "last.pt"))
    (run / "model-ema.safetensors").unlink()
    assert "keeps no moving average of its weights (train.ema is 0)" in refused(run, "ema")


def test_weights_of_another_network_are_refused(run: Path) -> None:
    save_checkpoint(run, {"conv.weight": torch.ones(1)})
    with pytest.raises(UserError, match=r"best\.pt: the weights are not of the network that the run's profile names"):
        open_model(run, weights="best", device="cpu")


def test_the_average_reaches_tied_weights() -> None:
    first, second = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    network = torch.nn.Sequential(first, second)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    origin = module.Origin("ema", "checkpoints/last.pt", "", None, None)
    module.Weights(origin, state, {"0.weight": torch.full((2, 2), 7.0)}).put_into(network)
    assert torch.equal(network[1].weight, torch.full((2, 2), 7.0))


@pytest.mark.parametrize("moment", ["before the digest", "after the digest"])
def test_a_checkpoint_replaced_while_it_is_read_is_read_whole(
    run: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What a trainer does: both the file and its sidecar are new, at the worst moments of a reader."""
    newer = {name: value + 1 for name, value in state_of(run, "last.pt").items()}
    examine, calls = module.examine, []

    def meanwhile(path: Path) -> tuple[str | None, str | None]:
        calls.append(path)
        if len(calls) > 1:
            return examine(path)
        if moment == "after the digest":
            answer = examine(path)
            save_checkpoint(run, newer)
            return answer
        sidecar = path.with_name(f"{path.name}.sha256").read_text()
        save_checkpoint(run, newer)
        fresh = path.with_name(f"{path.name}.sha256").read_text()
        path.with_name(f"{path.name}.sha256").write_text(sidecar)  # as if it had been read before
        answer = examine(path)
        path.with_name(f"{path.name}.sha256").write_text(fresh)
        return answer

    monkeypatch.setattr(module, "examine", meanwhile)
    found = find_weights(run, "last", lambda text: None)
    assert len(calls) == 2
    assert all(torch.equal(found.state[name], value) for name, value in newer.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": []}, "does not tell the classes"),
        ({"classes": "abc"}, "does not tell the classes"),
        ({"mean": [0.5, 0.5]}, "does not tell channels, mean and std"),
        ({"std": [0]}, "does not tell channels, mean and std"),
        ({"std": ["1"]}, "does not tell channels, mean and std"),
        ({"channels": 10**9}, "does not tell channels, mean and std"),
    ],
)
def test_a_damaged_description_is_one_line(run: Path, change: dict[str, object], words: str) -> None:
    told = json.loads((run / "run.json").read_text())
    told["data"] |= change
    (run / "run.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match=words):
        read_facts(run)


def test_class_names_are_made_safe(run: Path) -> None:
    told = json.loads((run / "run.json").read_text())
    told["data"]["classes"][0] = "\x1b]52;c;aGk=\x07\u202ecat"
    (run / "run.json").write_text(json.dumps(told))
    assert read_facts(run).classes[0] == "\ufffd]52;c;aGk=\ufffd\ufffdcat"
