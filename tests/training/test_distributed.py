"""Several processes that train one network: the same run as one process, written once, stopped together, never in part.

Ranks are real processes that meet by gloo on the CPU, as torchrun would start them: RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT in the environment. All are forked from one server that has loaded torch, since loading it costs more than
all the training here. One test goes through torchrun itself.
"""

import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from test_exact_resume import epochs, profile_of
from torch import Tensor, nn
from training_helpers import Noisy, Quiet, StopAfter, events, fingerprint, load_last, resume, train

from workbench import cli
from workbench.base import ranks
from workbench.base.ranks import leads, several
from workbench.data.splits import Batch
from workbench.profile import load
from workbench.runs.control import ask, wait_for_answer
from workbench.runs.directory import run_ids
from workbench.runs.lock import RunLock
from workbench.runs.reading import last_ending, read_json, read_metrics
from workbench.training import prepare as preparing
from workbench.training import session
from workbench.training.distributed import Ranks, filled, is_lost_touch

PATIENCE = 120.0
"""Seconds after which processes that should have ended have hung."""
TIMEOUT = 6.0
"""CNNWB_RANK_TIMEOUT where a rank is made to hang."""

# Networks


class Plain(nn.Module):
    """Neither batch norm nor dropout: each image's gradient depends on nothing but the image."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3)
        self.fc = nn.Linear(6 * 36, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(x).tanh().flatten(1))
        return logits


class Deep(Noisy):
    """With enough weights that the order in which gradients are added up shows."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.more = nn.ModuleList(nn.Linear(216, 216) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.bn(self.conv(x)).relu().flatten(1))
        for layer in self.more:
            x = x + layer(x).tanh()
        logits: Tensor = self.fc(x)
        return logits


class BadOnRankOne(Noisy):
    """Gives NaN on rank 1 alone, in its fourth and ninth forward pass in training.

    The fifth is that of the search for the module to blame; so the ninth is that of step 8.
    """

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
            if not leads() and self.passes in (4, 9):
                x = x * float("nan")
        return super().forward(x)


class BadForeverOnRankOne(Noisy):
    """Gives NaN on rank 1 alone whenever it trains."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * float("nan") if self.training and not leads() else x)


class FailsOnRankOne(Noisy):
    """Cannot go on, on rank 1 alone, in its fourth forward pass in training."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        if not leads() and self.passes == 4:
            raise RuntimeError("the fourth batch is one too many")
        return super().forward(x)


class HungryOnRankOne(Noisy):
    """Finds no memory, on rank 1 alone."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not leads():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


def only_on_rank_zero(*, num_classes: int, in_channels: int) -> nn.Module:
    """A network that cannot be built where rank 1 runs, as with a library that is missing there."""
    if not leads():
        raise ValueError("no such library here")
    return Noisy(num_classes=num_classes, in_channels=in_channels)


# Processes


@dataclass
class Group:
    """Processes that were started together."""

    processes: list[Any]
    folder: Path

    def end(self) -> list[int]:
        """Wait for all; their exit codes in order of ranks."""
        deadline = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        hung = [rank for rank, process in enumerate(self.processes) if process.is_alive()]
        self.kill()
        assert not hung, f"ranks {hung} hung; " + self.said()
        return [process.exitcode for process in self.processes]

    def kill(self) -> None:
        for process in self.processes:
            if process.is_alive():
                process.kill()  # SIGCONT is not needed: SIGKILL ends stopped ones too
            process.join()

    def out(self, rank: int) -> str:
        return (self.folder / f"out{rank}").read_text()

    def err(self, rank: int) -> str:
        return (self.folder / f"err{rank}").read_text()

    def said(self) -> str:
        return "\n".join(f"rank {rank}: {self.err(rank)}" for rank in range(len(self.processes)))


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """start(work, *arguments): `work(*arguments)` in two processes, or `world` of them.

    `timeout` is CNNWB_RANK_TIMEOUT; the last process also has the variables `last_has`.
    """
    groups: list[Group] = []

    def begin(
        work: Callable[..., Any],
        *arguments: Any,
        world: int = 2,
        timeout: object = 60.0,
        last_has: dict[str, str] | None = None,
    ) -> Group:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch._dynamo", "workbench.training.session", "test_distributed"])
        folder = tmp_path / f"group{len(groups)}"
        folder.mkdir()
        common = dict(os.environ) | {
            "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_ports(1)[0]),
            "CNNWB_RANK_TIMEOUT": str(timeout),
            "OMP_NUM_THREADS": "1",
        }
        environments = [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]
        environments[-1] |= last_has or {}
        processes = [
            context.Process(target=be_a_rank, args=(environment, folder, work, arguments), daemon=True)
            for environment in environments
        ]
        for process in processes:
            process.start()
        groups.append(Group(processes, folder))
        return groups[-1]

    yield begin
    for group in groups:
        group.kill()


@pytest.fixture
def in_ranks(start: Any) -> Any:
    """in_ranks(work, *arguments): what `work(*arguments)` returned in each of two processes."""

    def run(work: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
        group = start(work, *arguments, **options)
        codes = group.end()
        assert codes == [0] * len(codes), group.said()
        return [pickle.loads((group.folder / f"result{rank}").read_bytes()) for rank in range(len(codes))]

    return run


def be_a_rank(environment: dict[str, str], folder: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    rank = environment["RANK"]
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{name}{rank}", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
    torch.set_num_threads(1)
    ranks.PATIENCE = 0.1  # nobody ends the other processes here
    if work is cli.main:
        sys.exit(cli.main(*arguments))
    (folder / f"result{rank}").write_bytes(pickle.dumps(work(*arguments)))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    return pytest.fail("it did not happen in two minutes")


def profile_with(folder: Path, recipe: str, arch: str) -> Path:
    path = profile_of(folder, recipe)
    path.write_text(path.read_text().replace("training_helpers:Noisy", arch))
    return path


def only_run(root: Path) -> Path:
    [name] = run_ids(root)
    return root / name


# What a rank does


def trained(profile: Path, root: Path, stop_after: int = 0, stopper: int = 0) -> dict[str, Any]:
    """Train, or go on where there is a run; how it ended, and the weights that this rank ended with."""
    jobs: list[Any] = []
    evaluated: list[int] = []
    original = session.prepare

    def count(network: nn.Module, inputs: tuple[Tensor], _: Any) -> None:
        if not network.training:
            evaluated.append(len(inputs[0]))

    def keep(*arguments: Any, **options: Any) -> Any:
        jobs.append(original(*arguments, **options))
        jobs[-1].network.register_forward_hook(count)
        if stop_after and not leads() and stopper:  # rank 1 has no observer: it counts its own steps
            count_steps(jobs[-1].step, stop)
        return jobs[-1]

    session.prepare = keep
    rank = int(os.environ.get("RANK", "0"))
    stop = StopAfter(stop_after if stop_after and rank == stopper else -1)
    outcome = resume(root, stop=stop) if run_ids(root) else train(profile, root, stop=stop)
    network = jobs[0].network
    return {
        "state": outcome.state,
        "error": outcome.error,
        "run": outcome.run,
        "best": outcome.best,
        "last": outcome.last,
        "evaluated": sum(evaluated),
        "weights": {name: parameter.detach().clone() for name, parameter in network.named_parameters()},
        "optimizer": [
            value.clone() if isinstance(value, Tensor) else value
            for state in jobs[0].optimizer.state.values()
            for value in state.values()
        ],
    }


def count_steps(step: Any, stop: StopAfter) -> None:
    run = step.run

    def counted(*arguments: Any) -> None:
        run(*arguments)
        stop.tick(None)  # type: ignore[arg-type]  # it looks at nothing

    step.run = counted


def several_recipes(profiles: dict[int, Path], root: Path) -> list[dict[str, Any]]:
    """Each profile's first gradient, its run and its weights, one after the other in the same processes.

    The keys are free ports: each run is a meeting of its own.
    """
    found = []
    for number, (port, profile) in enumerate(profiles.items()):
        os.environ["MASTER_PORT"] = str(port)
        gradients = first_gradients(profile)
        found.append(trained(profile, root / str(number)) | {"gradients": gradients})
    return found


def first_gradients(profile: Path) -> list[Tensor]:
    """The gradient of the first batch of the first epoch."""
    resolved = load(profile, environ={})
    job = preparing.prepare(resolved.profile, resolved, 1, Quiet())
    split, place = job.dataset.train, job.ranks
    size = resolved.profile.data.batch_size
    batch = next(split.batches(size, epoch=0, shard=(place.rank, place.world)))
    job.network.train()
    job.step.gradients(batch, 0, size)
    return [parameter.grad.clone() for parameter in job.network.parameters()]


SGD = '[optim]\nname = "sgd"\nlr = 0.02\n'
AS_ONE = {
    "an odd batch, and a last one of 3": SGD + "[data]\nbatch_size = 205",
    "mixup and CutMix, a last one of 2": SGD + "[data]\nbatch_size = 359\n[augment]\nmixup = 0.4\ncutmix = 1.0",
    "SAM, clipping, parts, smoothing": SGD
    + "[sam]\nrho = 0.05\n[train]\nclip_norm = 0.5\nmicro_batch = 64\nlabel_smoothing = 0.1",
    "a moving average and decay": SGD
    + 'weight_decay = 0.1\n[train]\nema = 0.9\non_nan = "skip"\nflush_seconds = 3600.0',
}
"""All of 1,438 images; 1,438 = 7 * 205 + 3 = 4 * 359 + 2, so ranks get one image of a batch, or none."""


def test_several_processes_do_what_one_does(tmp_path: Path, in_ranks: Any) -> None:
    profiles = []
    for number, recipe in enumerate(AS_ONE.values()):
        (tmp_path / str(number)).mkdir()
        profiles.append(profile_with(tmp_path / str(number), recipe, "test_distributed:Plain"))
    ports = free_ports(len(profiles))
    first, second = in_ranks(several_recipes, dict(zip(ports, profiles, strict=True)), tmp_path / "two")
    for recipe, profile, ours, theirs in zip(AS_ONE, profiles, first, second, strict=True):
        alone = trained(profile, tmp_path / "one" / recipe[:2]) | {"gradients": first_gradients(profile)}
        assert (ours["state"], alone["state"]) == ("finished", "finished"), (recipe, ours["error"], alone["error"])
        for a, b in zip(ours["gradients"], alone["gradients"], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6, msg=lambda text, at=recipe: f"{at}: {text}")
        for name, weight in alone["weights"].items():
            torch.testing.assert_close(ours["weights"][name], weight, rtol=0, atol=1e-6, msg=f"{recipe}: {name}")
            assert torch.equal(ours["weights"][name], theirs["weights"][name]), (recipe, name)
        two, one = epochs(ours["run"]), epochs(alone["run"])
        assert len(two) == len(one) == 2
        for a, b in zip(two, one, strict=True):
            assert {**a, "kind": 0} == pytest.approx({**b, "kind": 0}, rel=1e-5), recipe
        assert read_json(ours["run"] / "run.json")["world"] == 2
        assert theirs["last"] == ours["last"]
        assert ours["evaluated"] + theirs["evaluated"] == alone["evaluated"]
        assert abs(ours["evaluated"] - theirs["evaluated"]) <= 2 * 2 * 2 * 2  # a pair a batch and evaluation
        if "average" in recipe:
            flushes = [record for record in read_metrics(ours["run"]).records if record["kind"] == "step"]
            assert len(flushes) <= 5  # of ten steps: ranks that waited for each other at every one would be slow
            saved, single = (load_last(result["run"])["step"]["ema"]["average"] for result in (ours, alone))
            for name, average in single.items():
                torch.testing.assert_close(saved[name], average, rtol=0, atol=1e-6)


MUCH = '[train]\nema = 0.9\nmicro_batch = 64\n[augment]\nmixup = 0.4\n[data]\naugment = "strong"'
"""Around Adam, batch norm and dropout: all that a resume can get wrong."""
AND_SAM = MUCH + "\n[sam]\nrho = 0.05"
"""Its second pass leaves all ranks with the same running statistics; without it they differ after a step."""


@pytest.mark.parametrize(
    ("recipe", "stopper", "world"),
    [(AND_SAM, 0, 2), (MUCH, 1, 2), (MUCH, 0, 3)],
    ids=["SAM, by rank 0", "by rank 1", "three, by rank 0"],
)
def test_stopped_by_either_rank_and_resumed_it_is_the_same_run(
    tmp_path: Path, in_ranks: Any, recipe: str, stopper: int, world: int
) -> None:
    profile = profile_with(tmp_path, recipe, "test_distributed:Deep")
    whole = in_ranks(trained, profile, tmp_path / "whole", world=world)
    stopped = in_ranks(trained, profile, tmp_path / "bits", 3, stopper, world=world)
    assert [result["state"] for result in stopped] == ["preempted"] * world
    assert 3 <= load_last(stopped[0]["run"])["state"]["step"] < 5  # in the middle of the first epoch
    [event] = events(stopped[0]["run"], "preempted")
    assert event["cause"] == "SIGTERM"
    resumed = in_ranks(trained, profile, tmp_path / "bits", world=world)
    assert [result["state"] for result in [*whole, *resumed]] == ["finished"] * 2 * world, whole[0]["error"]
    assert epochs(resumed[0]["run"]) == epochs(whole[0]["run"])
    assert fingerprint(resumed[0]["run"]) == fingerprint(whole[0]["run"])
    for results in (whole, resumed):
        assert all(torch.equal(t, results[1]["weights"][name]) for name, t in results[0]["weights"].items())
    assert whole[0]["last"]["test_loss"] == pytest.approx(loss_of_checkpoint(profile, whole[0]["run"]), rel=1e-6)


def loss_of_checkpoint(profile: Path, run: Path) -> float:
    """The test loss of last.pt in one process: of its own weights and running statistics."""
    resolved = load(profile, environ={})
    job = preparing.prepare(resolved.profile, resolved, 1, Quiet())
    job.network.load_state_dict(load_last(run)["model"])
    job.network.eval()
    test = job.dataset.test
    assert test is not None
    with torch.no_grad():
        losses = [
            nn.functional.cross_entropy(job.network(batch.images), batch.labels, reduction="sum")
            for batch in test.batches(300)
        ]
    return float(sum(losses)) / test.size


def test_with_another_number_of_processes_it_goes_on_and_says_so(tmp_path: Path, in_ranks: Any) -> None:
    profile = profile_with(tmp_path, SGD, "test_distributed:Plain")
    in_ranks(trained, profile, tmp_path / "runs", 3)
    observer = Quiet()
    outcome = resume(tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    warning = "world was 2 and is 1: the result is no longer the same to the bit"
    assert f"warning: {warning}" in observer.notes
    assert events(outcome.run, "resumed")[0]["warnings"] == [warning]


# A number that is not finite on one rank


def test_a_bad_step_of_one_rank_is_left_out_by_all(tmp_path: Path, in_ranks: Any) -> None:
    for optim in ("adam", "rmsprop"):  # one that holds back on the device, one that cannot
        (tmp_path / optim).mkdir()
        recipe = f'[train]\non_nan = "skip"\n[optim]\nname = "{optim}"'
        profile = profile_with(tmp_path / optim, recipe, "test_distributed:BadOnRankOne")
        ours, theirs = in_ranks(trained, profile, tmp_path / optim / "runs")
        assert ours["state"] == theirs["state"] == "finished", ours["error"]
        found = events(ours["run"], "nan")
        assert [event["step"] for event in found] == [4, 8]
        assert load_last(ours["run"])["state"]["skipped"] == 2
        for name, weight in ours["weights"].items():
            assert weight.isfinite().all()
            assert torch.equal(weight, theirs["weights"][name])
        for a, b in zip(ours["optimizer"], theirs["optimizer"], strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


def test_a_bad_step_of_one_rank_takes_all_back(tmp_path: Path, in_ranks: Any) -> None:
    recipe = '[train]\non_nan = "rollback"\nepochs = 3\n[checkpoint]\nevery_steps = 2'
    profile = profile_with(tmp_path, recipe, "test_distributed:BadOnRankOne")
    ours, theirs = in_ranks(trained, profile, tmp_path / "runs")
    assert ours["state"] == theirs["state"] == "finished", ours["error"]
    assert [event["lr_factor"] for event in events(ours["run"], "rollback")] == [0.5, 0.25]
    assert all(torch.equal(weight, theirs["weights"][name]) for name, weight in ours["weights"].items())


def test_a_run_that_stops_at_a_bad_step_names_module_and_rank(tmp_path: Path, in_ranks: Any) -> None:
    profile = profile_with(tmp_path, "", "test_distributed:BadForeverOnRankOne")
    ours, theirs = in_ranks(trained, profile, tmp_path / "runs")
    assert ours["state"] == theirs["state"] == "failed"
    [event] = events(ours["run"], "nan")
    assert event["module"] == "the output of conv (Conv2d) on rank 1"
    assert "step 1 (epoch 1, lr 0.001): the output of conv (Conv2d) on rank 1" in ours["error"]
    assert all(torch.equal(weight, theirs["weights"][name]) for name, weight in ours["weights"].items())


# A person's mistakes


def test_a_mistake_is_told_once_and_ends_all(tmp_path: Path, start: Any) -> None:
    for name in ("common", "lopsided"):
        (tmp_path / name).mkdir()
    profile = profile_with(tmp_path / "common", "[data]\nbatch_size = 3", "training_helpers:Noisy")
    lopsided = profile_with(tmp_path / "lopsided", "", "test_distributed:only_on_rank_zero")
    root = ["--runs", str(tmp_path / "runs")]
    mistakes = {
        "unknown option --optim.rate": ["--profile", str(profile), "--optim.rate", "1"],
        "train.device: several processes take a GPU each; use auto or cuda (got cuda:1)": [
            "--profile", str(profile), "--train.device", "cuda:1",
        ],
        "data.batch_size: 2 processes need a batch of at least 4 images": ["--profile", str(profile)],
        "train.sync_bn: torch has it for GPUs only (this is cpu)": [
            "--profile", str(profile), "--data.batch_size", "8", "--train.sync_bn", "true",
        ],
        "rank 1: ": ["--profile", str(lopsided)],
    }  # fmt: skip
    for text, arguments in mistakes.items():
        group = start(cli.main, ["--headless", "--json", *arguments, *root])
        assert group.end() == [2, 2], text
        [line] = group.err(0).splitlines()
        assert line.startswith("cnn-workbench: ")
        assert text in line
        assert (group.out(0), group.out(1), group.err(1)) == ("", "", "")
        assert run_ids(tmp_path / "runs") == []
    assert line.endswith("model.arch: test_distributed:only_on_rank_zero: no such library here")


def test_a_mistake_in_one_process_or_in_its_surroundings(tmp_path: Path, start: Any) -> None:
    profile = profile_with(tmp_path, "", "training_helpers:Noisy")
    begun = train(profile, tmp_path / "runs", stop=StopAfter(2)).run
    held = RunLock.acquire(begun / "lock")  # as a trainer that is still at it does; rank 1 does not look
    try:
        for text, arguments, surroundings in (
            ("rank 1 has another profile than rank 0", ["--profile", str(profile)], {"last_has": {"CNNWB_SEED": "3"}}),
            ("CNNWB_RANK_TIMEOUT: must be a number", ["--profile", str(profile)], {"timeout": "soon"}),
            (f"{begun.name} is still running", ["--resume", "last"], {}),
        ):
            group = start(cli.main, ["--headless", *arguments, "--runs", str(tmp_path / "runs")], **surroundings)
            assert group.end() == [2, 2]
            [line] = group.err(0).splitlines()
            assert text in line
            assert group.err(1) == ""
    finally:
        held.release()
    assert run_ids(tmp_path / "runs") == [begun.name]


def test_a_mistake_is_not_cut_short_by_a_faster_process(capfd: pytest.CaptureFixture[str]) -> None:
    """torchrun ends all processes when one has ended: the others stay until the first has spoken, or are told to go."""

    def wrong() -> int:
        print("to nobody")
        raise SystemExit(2)

    before = signal.getsignal(signal.SIGTERM)
    try:
        began = time.monotonic()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert ranks.in_silence(wrong) == 2
        assert 0.3 <= time.monotonic() - began < ranks.PATIENCE
        assert ranks.in_silence(lambda: 75) == 75
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capfd.readouterr() == ("", "")


# Loss of a rank


ENDLESS = '[train]\nepochs = 100000\n[checkpoint]\nevery_steps = 5\n[optim]\nname = "sgd"'


def begin_endless(folder: Path, start: Any, arch: str = "training_helpers:Noisy", **options: Any) -> tuple[Group, Path]:
    profile = profile_with(folder, ENDLESS, arch)
    group = start(
        cli.main, ["--headless", "--json", "--profile", str(profile), "--runs", str(folder / "runs")], **options
    )
    return group, wait_until(lambda: (found := run_ids(folder / "runs")) and folder / "runs" / found[0])


def test_a_killed_rank_ends_the_run_with_its_likely_cause(tmp_path: Path, start: Any) -> None:
    group, run = begin_endless(tmp_path, start)
    wait_until(lambda: len(events(run, "checkpoint")) > 2)
    group.processes[1].kill()
    began = time.monotonic()
    codes = group.end()
    assert codes == [1, -signal.SIGKILL]
    assert time.monotonic() - began < 60
    [failed] = events(run, "failed")
    assert failed["error"].startswith("rank 1 of 2 ended without a word, as a process does that is killed")
    assert failed["traceback"] is None
    assert last_ending(run) == read_json(run / "status.json")["state"] == "failed"
    content = load_last(run)
    assert content["state"]["step"] > 0
    assert f"failed: {failed['error']}" in group.err(0)
    assert f"--resume {run.name}" in group.err(0)
    assert "Traceback" not in group.err(0)
    assert json.loads(group.out(0))["state"] == "failed"
    assert (group.out(1), group.err(1)) == ("", "")


def test_a_rank_that_hangs_is_waited_for_and_no_longer(tmp_path: Path, start: Any) -> None:
    group, run = begin_endless(tmp_path, start, timeout=TIMEOUT)
    wait_until(lambda: events(run, "checkpoint"))
    os.kill(group.processes[1].pid, signal.SIGSTOP)
    group.processes[0].join(PATIENCE)
    group.kill()
    assert group.processes[0].exitcode == 1
    [failed] = events(run, "failed")
    assert failed["error"].startswith(f"rank 1 of 2 gave no sign of life for {TIMEOUT:g} s (CNNWB_RANK_TIMEOUT)")
    assert load_last(run)["state"]["step"] > 0


@pytest.mark.parametrize(
    ("arch", "error", "traced"),
    [
        ("FailsOnRankOne", "RuntimeError: the fourth batch is one too many", True),
        (
            "HungryOnRankOne",
            "out of memory at 150 images at a time in one of several processes; resume with --train.micro_batch 75",
            False,
        ),
    ],
    ids=["an error", "no memory"],
)
def test_a_rank_that_fails_has_the_last_word(tmp_path: Path, start: Any, arch: str, error: str, traced: bool) -> None:
    group, run = begin_endless(tmp_path, start, f"test_distributed:{arch}")
    assert group.end() == [1, 1]
    [failed] = events(run, "failed")
    assert failed["error"] == f"rank 1 failed: {error}"
    assert ("in forward" in failed["traceback"]) if traced else failed["traceback"] is None
    assert "Traceback" not in group.err(0)
    assert group.err(1) == ""


# A live run


def test_requests_and_signals_reach_all_ranks(tmp_path: Path, start: Any) -> None:
    group, run = begin_endless(tmp_path, start)
    wait_until(lambda: read_json(run / "status.json").get("step"))
    for kind, arguments in (("lr", {"factor": 0.5}), ("checkpoint", {}), ("pause", {})):
        answer = wait_for_answer(run, ask(run, kind, **arguments), PATIENCE)
        assert answer is not None
        assert answer.outcome == "done"
    wait_until(lambda: read_json(run / "status.json").get("state") == "paused")
    os.kill(group.processes[1].pid, signal.SIGUSR2)  # rank 1 alone hears it, while all stand still
    assert group.end() == [75, 75]
    assert [event["factor"] for event in events(run, "lr")] == [0.5]
    [event] = events(run, "preempted")
    assert event["cause"] == "SIGUSR2"
    assert load_last(run)["state"]["step"] == event["step"]
    answer = json.loads(group.out(0))
    assert answer["state"] == "preempted"
    assert (group.out(1), group.err(1)) == ("", "")
    assert group.err(0).count("run " + str(run)) == 2


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_once_all_ranks_save_and_twice_they_end_at_once(tmp_path: Path, start: Any, times: int) -> None:
    group, run = begin_endless(tmp_path, start)
    wait_until(lambda: read_json(run / "status.json").get("step"))
    for process in group.processes * times:  # as Ctrl-C: to every process of the terminal
        os.kill(process.pid, signal.SIGINT)
    assert group.end() == [130, 130]
    [event] = events(run, "stopped")
    assert event["cause"] in ("SIGINT", "SIGINT twice")[: 1 + (times == 2)]
    if times == 1:
        assert load_last(run)["state"]["step"] == event["step"]
    assert "Traceback" not in group.err(0) + group.err(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_torchrun_from_start_to_signal(tmp_path: Path, name: str) -> None:
    profile = profile_with(tmp_path, ENDLESS, "bn_convnet")
    profile.write_text(profile.read_text().replace("image_size = 8", "image_size = 32"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    torchrun += ["--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGUSR2"] if name == "SIGUSR2" else []
    command = [*torchrun, "-m", "workbench", "--headless", "--json", "--profile", str(profile)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        run = wait_until(lambda: (found := run_ids(tmp_path / "runs")) and tmp_path / "runs" / found[0])
        wait_until(lambda: read_json(run / "status.json").get("step", 0) > 3)
        os.kill(process.pid, getattr(signal, name))  # to torchrun, which passes it on
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0  # torchrun's own: it takes a signal for a failure
    answer = json.loads(out)
    assert answer["state"] == "preempted"
    assert err.count("parameters, ") == 1
    assert err.count("everything is saved") == 1
    status = read_json(run / "status.json")
    assert last_ending(run) == status["state"] == "preempted"
    assert load_last(run)["state"]["step"] == status["step"]
    assert read_json(run / "run.json")["world"] == 2


# Small parts


def test_a_part_of_a_batch_is_filled_up_to_two_images() -> None:
    images, labels = torch.randn(3, 1, 4, 4), torch.tensor([4, 5, 6])
    whole = Batch(images, labels, labels, torch.rand(3))
    assert filled(whole) is whole
    one = filled(whole[:1])
    assert torch.equal(one.images, images[[0, 0]])
    assert torch.equal(one.labels, labels[[0, 0]])
    assert one.other is not None
    assert torch.equal(one.other, labels[[0, 0]])
    none = filled(whole[:0])
    assert none.images.shape == (2, 1, 4, 4)
    assert none.images.std() > 0.1  # a norm of it has a gradient
    assert none.labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (False, True)),
        ({"WORLD_SIZE": "1", "RANK": "0"}, (False, True)),
        ({"WORLD_SIZE": "2"}, (False, True)),
        ({"WORLD_SIZE": "2", "RANK": "0"}, (True, True)),
        ({"WORLD_SIZE": "2", "RANK": "1"}, (True, False)),
        ({"WORLD_SIZE": "two", "RANK": "1"}, (False, True)),
    ],
)
def test_who_leads(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[bool, bool]) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (several(), leads()) == expected


def test_one_process_waits_for_nobody() -> None:
    alone = Ranks()
    assert alone.share("mine") == ["mine"]
    assert alone.first(None) is None
    tensor = torch.ones(2)
    assert alone.sum(tensor) is tensor
    with pytest.raises(ValueError, match="mine"), alone.together():
        raise ValueError("mine")


def test_what_is_about_other_ranks() -> None:
    assert is_lost_touch(RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:1214"))
    assert is_lost_touch(torch.distributed.DistBackendError("watchdog"))
    assert not is_lost_touch(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost_touch(OSError("Connection reset by peer"))  # a download, a network drive
