"""What the benchmarks share: a real run under control, timing in turns, and the facts that a figure needs beside it.

All of them compare two or more ways of training in one process, in turns, because a machine is never twice the same:
frequencies, neighbours and caches drift by more than the overhead that is looked for. Within a turn every way makes the
same number of steps, one right after the other; every second turn has the order reversed; what counts is the median of
the turns' ratios.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import torch
import torchvision
from torch import nn

from workbench.base.cpu import cpu_cores
from workbench.data import standard
from workbench.data.arrays import Arrays
from workbench.profile import load
from workbench.training import session
from workbench.training.observer import Snapshot, StopRequest

PROFILE = """\
[model]
arch = "{model}"
[data]
dataset = "{dataset}"
root = "{root}"
image_size = {size}
batch_size = {batch}
[optim]
name = "adam"
lr = {lr}
[train]
epochs = 1000000
device = "{device}"
threads = {threads}
[checkpoint]
every_epochs = 1000000
every_minutes = 1000000.0
best = false
"""
"""The base config, but nothing is saved while it is timed, and it ends when it is told to."""

LEARNING_RATE = 1e-6
"""So small that nothing is learnt: a batch known by heart has gradients next to nothing, and a CPU is slow at those."""

LONG_STEP = 1.0
"""Seconds. Before a shorter step is timed an untimed one fills the caches again; for a longer one that is nothing."""


class StoppedError(Exception):
    """The run ended before it was measured; the text says why."""


Script = Callable[["Conductor"], Iterator[None]]


@dataclass(frozen=True)
class Span:
    """Seconds that passed, and seconds that this process computed on all its threads together."""

    wall: float
    cpu: float


class Clock:
    """Started when it is made, and when the device has done all it was given."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        synchronise(device)
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Span:
        synchronise(self.device)
        return Span(time.perf_counter() - self.wall, time.process_time() - self.cpu)


class Conductor:
    """An observer whose script takes over after every training step; each `yield` in it lets the trainer make one more.

    Everything happens in the thread that trains, so nothing else computes while a clock runs. The script's end is the
    run's end.
    """

    def __init__(self, script: Script) -> None:
        self.stop = StopRequest()
        self.position = (0, 0)
        """Epoch and step in it of the last training step."""
        self.steps_an_epoch = 0
        self.problem: Exception | None = None
        self.finished = False
        self._script = script(self)

    def note(self, text: str) -> None:
        pass

    def epoch_done(self, record: dict[str, Any]) -> None:
        pass

    def progress(self, snapshot: Snapshot) -> None:
        if snapshot.phase != "train" or self.stop.requested():
            return
        self.position, self.steps_an_epoch = (snapshot.epoch, snapshot.done), snapshot.total
        try:
            next(self._script)
        except StopIteration:
            self.finished = True
            self.stop.set("the measurement is over")
        except Exception as problem:  # noqa: BLE001  # the loop must not see it; `conducted_run` raises it
            self.problem = problem
            self.stop.set("the measurement failed")

    def timed_steps(self, count: int, device: torch.device, *, settle: bool) -> Generator[None, None, Span]:
        """How long the trainer takes for `count` steps, as the value of `yield from`; first one untimed to `settle`.

        Steps between which an epoch ended are not counted, and as many are made again: an evaluation is no step.
        """
        while True:
            if settle:
                yield
            epoch, first = self.position
            clock = Clock(device)
            for _ in range(count):
                yield
            span = clock.stop()
            if self.position == (epoch, first + count):
                return span


def warm_up(device: torch.device) -> int:
    """Steps to make before the first that is timed: libraries choose algorithms, the trainer captures a CUDA graph."""
    return 3 if device.type == "cpu" else 12


def timed(step: Callable[[], object], count: int, device: torch.device, *, settle: bool) -> Span:
    """How long `count` calls of `step` take, after an untimed one to `settle`."""
    if settle:
        step()
    clock = Clock(device)
    for _ in range(count):
        step()
    return clock.stop()


def steps_for(seconds: float, step_seconds: float, steps_an_epoch: int) -> int:
    """How many steps of `step_seconds` take at least `seconds`; at most what fits well into an epoch."""
    return max(1, min(round(seconds / step_seconds + 0.5), (steps_an_epoch - 1) // 2))


@contextmanager
def known_job() -> Iterator[list[Any]]:
    """Inside the block `start_run` leaves here what it has made ready: network, device, precision, optimiser."""
    jobs: list[Any] = []
    prepare = session.prepare

    def remember(*arguments: Any, **keywords: Any) -> Any:
        jobs.append(prepare(*arguments, **keywords))
        return jobs[-1]

    with mock.patch.object(session, "prepare", remember):
        yield jobs


@contextmanager
def random_images(train: int, test: int = 256, *, side: int = 32, classes: int = 10) -> Iterator[None]:
    """Inside the block cifar10 is `train` random RGB images: real bytes to prepare, and nothing to download."""

    def arrays(name: str, root: Path, report: object) -> Arrays:
        rng = torch.Generator().manual_seed(0)
        images = [torch.randint(256, (n, 3, side, side), dtype=torch.uint8, generator=rng) for n in (train, test)]
        labels = [torch.arange(n) % classes for n in (train, test)]
        return Arrays(tuple(f"class {i}" for i in range(classes)), images[0], labels[0], images[1], labels[1])

    with mock.patch.object(standard, "load", arrays):
        yield


def conducted_run(script: Script, **values: Any) -> None:
    """Train the profile with `values` (see PROFILE) until the script ends. StoppedError where it cannot or will not."""
    conductor = Conductor(script)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.toml"
        path.write_text(PROFILE.format(**{"dataset": "cifar10", "root": "", "lr": LEARNING_RATE, **values}))
        try:
            outcome = session.start_run(load(path, environ={}), Path(folder) / "runs", conductor, conductor.stop)
        except Exception as error:
            if not hasattr(error, "exit_code"):
                raise
            # The place in a profile that no one has written would only puzzle.
            raise StoppedError(str(error).partition(".toml:")[2].partition(": ")[2] or str(error)) from None
    if conductor.problem is not None:
        raise conductor.problem
    if not conductor.finished:
        raise StoppedError(outcome.error or f"the run {outcome.state} before it was measured")


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def is_channels_last(network: nn.Module) -> bool:
    """Whether the kernels of `network` lie channels last. Those of 1 x 1 or of one channel fit both layouts."""
    kernels = [p for p in network.parameters() if p.ndim == 4 and not p.is_contiguous()]
    return any(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


def choose_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, ... means here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and the values themselves."""
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {
        "median": round(statistics.median(values), 4),
        "quartiles": [round(quartiles[0], 4), round(quartiles[2], 4)],
        "values": [round(value, 4) for value in values],
    }


def surroundings(device: torch.device) -> dict[str, Any]:
    """What a figure means nothing without."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": processor(),
        "cores": cpu_cores(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "torchvision": torchvision.__version__,
            "cuda": torch.version.cuda if device.type == "cuda" else None,
        },
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def parser(text: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    result = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--device", default="auto", help="auto (CUDA, else CPU), cpu, cuda, cuda:N or mps")
    result.add_argument("--blocks", type=int, default=9, help="turns; what counts is their median (default 9)")
    result.add_argument("--seconds", type=float, default=2.0, help="time of one side in a turn (default 2)")
    result.add_argument("--out", metavar="FILE", help="write the JSON object here too")
    return result


def names(text: str) -> list[str]:
    """`resnet18,vit` as a list."""
    return [part for part in text.replace(" ", "").split(",") if part]


def numbers(text: str) -> list[int]:
    """`32,64` as a list."""
    return [int(part) for part in names(text)]


def say(text: str) -> None:
    """Progress, for a person."""
    print(text, file=sys.stderr, flush=True)


def finish(report: dict[str, Any], out: str | None) -> NoReturn:
    """Print the report and end the program: with 0 if all bars hold, else with 1."""
    report["load_after"] = round(os.getloadavg()[0], 2)
    text = json.dumps(report)
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(text)
    sys.exit(0 if report["holds"] else 1)
