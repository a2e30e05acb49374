"""Signals to a real headless process: it finishes its step, saves, says so, and ends with the contract's exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny import tiny

from workbench.runs import journal
from workbench.runs.directory import run_ids
from workbench.runs.reading import last_ending, read_json
from workbench.training.signals import SignalStop


def hear_hangups() -> None:
    """Under nohup children inherit that SIGHUP is ignored, and a run rightly leaves it so."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a run of a thousand epochs in a folder; whatever is still there after the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        (folder / "tiny.toml").write_text(tiny(1000, image_size=32, flush_seconds=0.01))
        command = [sys.executable, "-m", "workbench", "--headless", "--profile", "tiny.toml", "--json", *arguments]
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_hangups,  # no thread of this process holds a lock that the child needs
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for_steps(folder: Path) -> Path:
    """The run's directory, once it has trained some steps."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for name in run_ids(folder / "runs"):
            if read_json(folder / "runs" / name / "status.json").get("step", 0) > 3:
                return folder / "runs" / name
        time.sleep(0.02)
    pytest.fail("the run did not begin within two minutes")


@pytest.mark.parametrize(
    ("name", "code", "state"),
    [
        ("SIGINT", 130, "stopped"),
        ("SIGTERM", 75, "preempted"),
        ("SIGUSR2", 75, "preempted"),
        ("SIGHUP", 75, "preempted"),
    ],
)
def test_a_signal_saves_and_ends(tmp_path: Path, start: Start, name: str, code: int, state: str) -> None:
    process = start(tmp_path)
    run = wait_for_steps(tmp_path)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in err
    answer = json.loads(out)
    assert answer["state"] == state
    assert answer["run"] == str(run.relative_to(tmp_path))
    assert f"--resume {run.name}" in err
    assert last_ending(run) == state
    status = read_json(run / "status.json")
    assert status["state"] == state
    saved = [r for r in journal.read(run / "events.jsonl").records if r["event"] == "checkpoint"]
    assert saved[-1]["step"] == status["step"]
    assert journal.read(run / "events.jsonl").records[-1]["cause"] == name


def test_asked_twice_it_ends_at_once(tmp_path: Path, start: Start) -> None:
    process = start(tmp_path)
    run = wait_for_steps(tmp_path)
    os.kill(process.pid, signal.SIGSTOP)  # so that both arrive while it is in one step
    process.send_signal(signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert last_ending(run) == "stopped"


class Raised:
    """A run under `listening`, as far as signals go: what each of them does to it."""

    def __init__(self) -> None:
        self.stop = SignalStop()
        self.stop.arm()

    def send(self, *names: str) -> list[bool]:
        """For each signal, whether the loop is left at once."""
        found = []
        for name in names:
            try:
                self.stop.handle(getattr(signal, name), None)
                found.append(False)
            except KeyboardInterrupt:
                found.append(True)
        return found


def test_a_second_interrupt_counts_whatever_was_asked_before() -> None:
    assert Raised().send("SIGINT", "SIGTERM", "SIGINT") == [False, False, True]
    run = Raised()
    assert run.send("SIGTERM", "SIGINT", "SIGUSR2", "SIGINT") == [False, False, False, True]
    assert run.stop.cause == "SIGTERM"
    run = Raised()
    run.stop.cause = "request"  # `run stop`, in the middle of a long step
    assert run.send("SIGINT", "SIGINT") == [False, True]


def test_whoever_presses_on_does_not_keep_the_ending_from_being_written(tmp_path: Path, start: Start) -> None:
    process = start(tmp_path)
    run = wait_for_steps(tmp_path)
    for _ in range(60):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
        if process.poll() is not None:
            break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert last_ending(run) == "stopped"


WAITING = """
import pathlib, time
import torch

def build(num_classes, in_channels, image_size):
    pathlib.Path("ready").touch()
    {wait}
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(in_channels * image_size**2, num_classes))
"""
"""A network of the user's own that takes a minute to build: a start that can be interrupted at a known place."""

SWALLOWS = """
    try:
        time.sleep(60)
    except BaseException:
        pass
"""


@pytest.mark.parametrize(
    ("name", "code", "wait"),
    [("SIGINT", 130, "time.sleep(60)"), ("SIGTERM", 75, SWALLOWS.strip())],
    ids=["raised", "swallowed"],
)
def test_before_there_is_a_run_nothing_is_left(tmp_path: Path, start: Start, name: str, code: int, wait: str) -> None:
    (tmp_path / "waiting.py").write_text(WAITING.format(wait=wait))
    process = start(tmp_path, "--model.arch", "waiting:build")
    deadline = time.monotonic() + 120
    while not (tmp_path / "ready").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the network was never built"
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert out == ""
    assert "Traceback" not in err
    assert f"{name}: ended before there was a run" in err
    assert run_ids(tmp_path / "runs") == []
    assert not list((tmp_path / "runs").glob(".new-*")) if (tmp_path / "runs").exists() else True
