"""What the loop computes and leaves behind, against the plainest way of computing it."""

import errno
import json
import math
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_helpers import Quiet, StopAfter, load_last, train, write_profile

import architectures
from workbench.data import open_dataset
from workbench.data.splits import Batch
from workbench.profile import ProfileError, load, load_exact
from workbench.runs import journal
from workbench.runs.reading import read_json, read_metrics
from workbench.training import devices
from workbench.training.metrics import Reading, Sums, batch_sums, objective
from workbench.training.session import Outcome


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("finished")
    return train(write_profile(folder), folder / "runs")


def plain_training(profile_path: Path) -> tuple[nn.Module, list[float], float, float]:
    """The same run as a script would write it: (network, mean loss of each epoch, test loss, test top-1)."""
    profile = load(profile_path, environ={}).profile
    cpu = torch.device("cpu")
    dataset = open_dataset(profile.data, seed=profile.seed, device=cpu, report=print)
    devices.reseed(cpu, profile.seed, "init")
    network = architectures.create(profile.model.arch, num_classes=10, in_channels=1, image_size=8)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.01, fused=True)
    losses = []
    step = 0
    for epoch in range(profile.train.epochs):
        network.train()
        total = 0.0
        for batch in dataset.train.batches(profile.data.batch_size, epoch=epoch):
            devices.reseed(cpu, profile.seed, "model", step)
            loss = F.cross_entropy(network(batch.images), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch.labels)
            step += 1
        losses.append(total / dataset.train.size)
    network.eval()
    assert dataset.test is not None
    with torch.no_grad():
        [batch] = dataset.test.batches(dataset.test.size)
        logits = network(batch.images)
    hits = (logits.argmax(1) == batch.labels).double().mean().item()
    return network, losses, F.cross_entropy(logits, batch.labels).item(), hits


def test_a_run_computes_what_a_plain_script_computes(tmp_path: Path) -> None:
    profile = write_profile(tmp_path)
    outcome = train(profile, tmp_path / "runs")
    network, losses, test_loss, test_top1 = plain_training(profile)
    weights = load_last(outcome.run)["model"]
    for key, tensor in network.state_dict().items():
        assert torch.equal(weights[key], tensor), key
    records = [record for record in read_metrics(outcome.run).records if record["kind"] == "epoch"]
    assert [record["train_loss"] for record in records] == pytest.approx(losses, rel=1e-6)
    assert records[-1]["test_loss"] == pytest.approx(test_loss, rel=1e-5)
    assert records[-1]["test_top1"] == pytest.approx(test_top1)


def test_batch_norm_learns_in_every_epoch_and_rests_in_evaluation(finished: Outcome) -> None:
    content = load_last(finished.run)
    assert content["model"]["bn.num_batches_tracked"] == content["state"]["step"] == 10


def test_the_directory_holds_what_the_contract_says(finished: Outcome) -> None:
    run = finished.run
    names = {path.name for path in run.iterdir()}
    assert names == {
        "run.json", "profile.toml", "metrics.jsonl", "events.jsonl", "status.json", "lock", "log.txt", "checkpoints",
        "model.safetensors", "model.safetensors.sha256",
    }  # fmt: skip
    facts = read_json(run / "run.json")
    assert facts["parameters"] == sum(
        t.numel() for k, t in load_last(run)["model"].items() if "running" not in k and "num_b" not in k
    )
    assert facts["macs"] == 6 * 9 * 36 + 216 * 10
    assert facts["seed"] == 5
    assert facts["data"]["images"] == {"train": 1438, "test": 359}
    status = read_json(run / "status.json")
    assert status["state"] == "finished"
    assert status["epoch"] == 2
    assert status["step"] == status["steps"] == 10
    assert status["best"] == finished.best
    told = [r["event"] for r in journal.read(run / "events.jsonl").records]
    # A checkpoint is told when it is on the disk, and a small epoch may be over before.
    assert [name for name in told if name != "checkpoint"] == ["started", "epoch", "epoch", "exported", "finished"]
    assert 1 <= told.count("checkpoint") <= 2
    assert "finished" in (run / "log.txt").read_text()


def test_the_stored_profile_repeats_the_run_to_the_bit(finished: Outcome, tmp_path: Path) -> None:
    assert load_exact(finished.run / "profile.toml").profile.seed == 5
    again = train(finished.run / "profile.toml", tmp_path / "runs")
    first, second = load_last(finished.run)["model"], load_last(again.run)["model"]
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_steps_and_epochs_are_both_recorded(finished: Outcome) -> None:
    records = read_metrics(finished.run).records
    steps = [record for record in records if record["kind"] == "step"]
    assert steps[-1]["step"] == 10
    assert steps[-1]["epoch"] == 2.0
    assert all({"train_loss", "train_top1", "lr", "images_per_second", "seconds"} <= set(record) for record in steps)
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert all(0 <= record["test_top1"] <= record["test_top5"] <= 1 for record in epochs)


def test_another_seed_is_another_run(finished: Outcome, tmp_path: Path) -> None:
    other = train(write_profile(tmp_path, seed="6"), tmp_path / "runs")
    assert not torch.equal(load_last(other.run)["model"]["fc.weight"], load_last(finished.run)["model"]["fc.weight"])


def test_validation_images_decide_what_is_best(tmp_path: Path) -> None:
    text = Path(write_profile(tmp_path)).read_text().replace("batch_size = 300", "batch_size = 300\nval_fraction = 0.2")
    (tmp_path / "val.toml").write_text(text)
    outcome = train(tmp_path / "val.toml", tmp_path / "runs")
    assert outcome.best is not None
    assert outcome.best["split"] == "val"
    assert {"train_top1", "val_top1", "test_top1"} <= set(outcome.last)
    images = read_json(outcome.run / "run.json")["data"]["images"]
    assert images["train"] + images["val"] == 1438


class Scripted:
    """Replaces evaluation by given top-1 figures."""

    def __init__(self, figures: list[float]) -> None:
        self.figures = figures

    def __call__(self, *_: object, **__: object) -> object:
        from workbench.training.metrics import Totals

        top1 = self.figures.pop(0)
        return Totals(loss=1.0, top1=top1, top5=1.0, count=1)


def test_best_is_the_best_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.training.loop import Trainer

    monkeypatch.setattr(Trainer, "evaluate", Scripted([0.5, 0.7, 0.6]))
    outcome = train(write_profile(tmp_path, epochs="3"), tmp_path / "runs")
    assert outcome.best == {"epoch": 2, "top1": 0.7, "split": "test", "monitor": "test_top1", "value": 0.7}
    assert load_last(outcome.run, "best.pt")["state"]["epoch"] == 2
    assert load_last(outcome.run)["state"]["epoch"] == 3
    assert outcome.as_json()["best"] == {"epoch": 2, "top1": 0.7}


def test_a_diverging_run_fails_with_the_step_and_keeps_its_good_checkpoint(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path, optim='name = "sgd"\nlr = 3e38\nmomentum = 0.0'), tmp_path / "runs")
    assert outcome.state == "failed"
    assert "the training loss or gradient is not finite at step" in outcome.error
    records = journal.read(outcome.run / "events.jsonl").records
    assert [record["event"] for record in records][-2:] == ["nan", "failed"]
    assert records[-2]["lr"] == 3e38
    assert not (outcome.run / "checkpoints" / "last.pt").exists()
    assert read_json(outcome.run / "status.json")["state"] == "failed"
    lines = (outcome.run / "metrics.jsonl").read_text()
    json.loads(lines.splitlines()[-1], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


class Broken(nn.Module):
    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("wrong shape\nsecond line")


def test_an_error_in_the_network_is_recorded_with_its_traceback(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path, arch='"test_loop:Broken"'), tmp_path / "runs")
    assert outcome.state == "failed"
    assert outcome.error == "RuntimeError: wrong shape"
    failed = journal.read(outcome.run / "events.jsonl").records[-1]
    assert failed["event"] == "failed"
    assert "in forward" in failed["traceback"]
    assert "in forward" in (outcome.run / "log.txt").read_text()


def test_out_of_memory_says_what_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Broken, "forward", refuse)
    outcome = train(write_profile(tmp_path, arch='"test_loop:Broken"'), tmp_path / "runs")
    assert outcome.error.startswith("out of memory at 1 image at a time; no smaller part can be trained")
    assert "oom" in [record["event"] for record in journal.read(outcome.run / "events.jsonl").records]


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write, full = os.write, [False]

    def write(descriptor: int, data: bytes) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data)

    reports = [0]

    def switch(_: object) -> None:
        reports[0] += 1
        full[0] = 2 <= reports[0] < 6

    monkeypatch.setattr(os, "write", write)
    observer = Quiet(switch)
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    assert sum("cannot write to" in note for note in observer.notes) == 1
    steps = [r["step"] for r in read_metrics(outcome.run).records if r["kind"] == "step"]
    assert steps == sorted(set(steps))
    names = [record["event"] for record in journal.read(outcome.run / "events.jsonl").records]
    assert "disk_full" in names
    assert "disk_ok" in names


def test_a_checkpoint_that_cannot_be_written_leaves_the_run_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.runs.checkpoints import CheckpointStore

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CheckpointStore, "save", refuse)
    observer = Quiet()
    outcome = train(write_profile(tmp_path), tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    assert any("could not save a checkpoint: No space left" in note for note in observer.notes)


def test_the_last_smaller_batch_weighs_what_it_should() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1000, 10), torch.randint(10, (1000,))
    sums = Sums(torch.device("cpu"))
    for first in range(0, 1000, 128):  # the last batch has 104
        part = slice(first, min(first + 128, 1000))
        sums.add(batch_sums(F.cross_entropy(logits[part], labels[part]), logits[part], labels[part]))
    means = sums.read().means
    assert means["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert means["top1"] == (logits.argmax(1) == labels).double().mean().item()
    in_five = (logits.topk(5, 1).indices == labels[:, None]).any(1)
    assert means["top5"] == in_five.double().mean().item()


def test_top5_of_three_classes_is_everything() -> None:
    sums = Sums(torch.device("cpu"))
    logits = torch.randn(8, 3)
    sums.add(batch_sums(torch.tensor(1.0), logits, torch.randint(3, (8,))))
    assert sums.read().means["top5"] == 1.0


def test_auxiliary_heads_count_by_their_weight() -> None:
    network = nn.Linear(1, 1)
    network.aux_weight = 0.3  # type: ignore[assignment]
    labels = torch.tensor([0, 1])
    main, side = torch.randn(2, 3), torch.randn(2, 3)
    loss, logits = objective(network, (main, side), Batch(torch.zeros(2, 1, 1, 1), labels))
    assert torch.equal(logits, main)
    assert loss.item() == pytest.approx((F.cross_entropy(main, labels) + 0.3 * F.cross_entropy(side, labels)).item())


def test_a_flush_is_the_only_wait_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [0]

    def count(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def counted(self: object) -> object:
            reads[0] += 1
            return real(self)

        monkeypatch.setattr(owner, name, counted)

    count(Sums, "read")  # of an evaluation
    count(Reading, "values")  # of the training
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        real = getattr(Tensor, name)

        def counted(
            self: Tensor, *arguments: object, _real: object = real, _name: str = name, **options: object
        ) -> object:
            if self.requires_grad or self.grad_fn is not None:
                pytest.fail(f"Tensor.{_name} on a training tensor")
            return _real(self, *arguments, **options)  # type: ignore[operator]

        monkeypatch.setattr(Tensor, name, counted)
    outcome = train(write_profile(tmp_path, flush_seconds="3600.0"), tmp_path / "runs")
    assert outcome.state == "finished"
    assert reads[0] == 2 * 2  # an epoch: one for training, one for the test set


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "torch finds no CUDA device"), ("cuda:7", "torch finds no CUDA device|there is no cuda:7")],
)
def test_a_device_that_is_not_there_is_refused_at_its_line(tmp_path: Path, device: str, message: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ProfileError, match=rf"profile.toml:15: train.device: .*({message})"):
        train(write_profile(tmp_path, device=f'"{device}"'), tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_bf16_trains_too(tmp_path: Path) -> None:
    text = write_profile(tmp_path).read_text() + 'precision = "bf16"\n'
    (tmp_path / "bf16.toml").write_text(text)
    outcome = train(tmp_path / "bf16.toml", tmp_path / "runs")
    assert outcome.state == "finished"
    assert math.isfinite(outcome.last["train_loss"])
    assert read_json(outcome.run / "run.json")["precision"] == "bf16"


def test_stopping_twice_in_one_place_saves_once(tmp_path: Path) -> None:
    outcome = train(write_profile(tmp_path), tmp_path / "runs", stop=StopAfter(7))  # in the evaluation of epoch 1
    names = [record["event"] for record in journal.read(outcome.run / "events.jsonl").records]
    assert [name for name in names if name != "checkpoint"] == ["started", "epoch", "preempted"]
    assert names.count("checkpoint") == 1
