"""What a run takes of its machine, every ten seconds as a line of system.jsonl.

A thread beside the training, so that a driver that takes its time keeps no step waiting. It reads a few counters and
touches neither tensors nor generators: results are the same to the bit with and without it. What goes wrong in it costs
a line.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench.base.gpu import GpuReader
from workbench.runs.journal import Journal

SECONDS = 10.0
"""Between two lines: a day is 8,640 of them, 2 MB."""
END_SECONDS = 1.0
"""How long the end of a run waits for a driver that does not answer."""
SURELY_OLDER = 2.0
"""Seconds: a system tells when a process began to the second."""

Place = tuple[int, float, float]
"""Where the training is: step, epoch with its fraction, seconds of all attempts."""


class Sampler(threading.Thread):
    """Writes while it is entered. `where` is called in this thread and must only read."""

    def __init__(self, run: Path, gpu: str, where: Callable[[], Place], *, seconds: float = SECONDS) -> None:
        """`gpu`: UUID of the GPU that is trained on, or empty."""
        super().__init__(name="run-sampler", daemon=True)
        self._path = run / "system.jsonl"
        self._gpu, self._where, self._seconds = GpuReader(gpu), where, seconds
        self._over = threading.Event()

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join(END_SECONDS)

    def run(self) -> None:
        with suppress(Exception):  # a figure on a screen is not worth a line on anybody's terminal
            self._write()
        self._gpu.close()

    def _write(self) -> None:
        begun, spent, start = time.monotonic(), time.process_time(), self._where()
        if self._over.wait(self._seconds):
            return
        usage = Usage(begun, spent)
        lines = Journal(self._path)
        try:
            if self._path.stat().st_size:  # an earlier attempt: what it did past the checkpoint stands no more
                lines.append(_rewind(start))
            before = start[0]
            while True:
                step, epoch, seconds = place = self._where()
                if step < before:  # gone back to a checkpoint
                    lines.append(_rewind(place))
                before = step
                record = {"kind": "system", "time": round(time.time(), 3), "step": step, "epoch": round(epoch, 6)}
                lines.append({**record, "seconds": round(seconds, 3), **usage.look(), **self._of_gpu()})
                if self._over.wait(self._seconds):
                    return
        finally:
            lines.close()

    def _of_gpu(self) -> dict[str, Any]:
        gpu = self._gpu.read()
        if gpu is None:
            return {}
        found = {
            "gpu_use": gpu.use, "gpu_memory": gpu.memory, "gpu_memory_total": gpu.memory_total,
            "gpu_temperature": gpu.temperature, "gpu_power": gpu.power,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


def _rewind(place: Place) -> dict[str, Any]:
    return {"kind": "rewind", "to_step": place[0], "to_epochs": int(place[1])}


class Usage:
    """What this process and those that it started take."""

    def __init__(self, since: float, spent: float) -> None:
        """`since`: time.monotonic() from which the first look counts; `spent`: time.process_time() at that moment."""
        import psutil  # type: ignore[import-untyped]  # short runs need none

        self._psutil = psutil
        self._own = psutil.Process()
        self._at = since
        self._looked = time.time() - (time.monotonic() - since)
        self._spent = {self._own.pid: spent}

    def look(self) -> dict[str, Any]:
        """`cpu`: cores busy since the last look, `memory`: bytes; empty where the system does not tell."""
        now = time.monotonic()
        spent: dict[int, float] = {}
        busy, memory = 0.0, 0
        try:
            for process in self._family():
                with suppress(self._psutil.NoSuchProcess):  # it has ended meanwhile
                    spent[process.pid] = seconds = _seconds(process)
                    memory += process.memory_info().rss
                    busy += max(0.0, seconds - self._before(process, seconds))
        except self._psutil.Error:
            return {}
        cores = busy / max(now - self._at, 1e-3)
        self._at, self._looked, self._spent = now, time.time(), spent
        return {"cpu": round(cores, 2), "memory": memory}

    def _before(self, process: Any, seconds: float) -> float:
        """What a process had spent at the last look. One that is older, and was not seen, is taken to have rested."""
        if process.pid in self._spent:
            return self._spent[process.pid]
        return seconds if process.create_time() < self._looked - SURELY_OLDER else 0.0

    def _family(self) -> list[Any]:
        """Not those in sessions of their own: the screen has started other runs in them."""
        children = self._own.children(recursive=True)
        return [self._own, *(child for child in children if _session(child.pid) == _session(0))]


def _session(pid: int) -> int:
    """0 where the system has none, or the process has ended."""
    with suppress(OSError, AttributeError):
        return os.getsid(pid)
    return 0


def _seconds(process: Any) -> float:
    """Of processor time."""
    times = process.cpu_times()
    return float(times.user + times.system)
