"""The worker with a program that stands in for the trainer: what becomes of each job, whatever its child does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.runs.directory import run_ids
from workbench.runs.lock import start_ticks
from workbench.runs.reading import last_ending
from workbench.sweep import worker as worker_module
from workbench.sweep.folder import SweepFolder
from workbench.sweep.worker import Slot, Worker, make_slots, visible_gpus

Make = Callable[..., SweepFolder]
Fake = Any
"""conftest.Fake."""

DRIVER = """
import sys
from pathlib import Path
from workbench.sweep.folder import SweepFolder
from workbench.sweep.worker import Slot, Worker
root, child, slots = sys.argv[1:]
folder = SweepFolder.open(Path(root), "tiny")
worker = Worker(folder, [Slot(f"cpu{n}") for n in range(int(slots))], print, program=[sys.executable, child])
worker.run()
sys.exit(worker.exit_code or 0)
"""
"""A worker in a process of its own, to be sent signals."""


@pytest.fixture
def notes() -> list[str]:
    return []


def work(folder: SweepFolder, fake: Fake, notes: list[str], slots: list[Slot] | None = None) -> Worker:
    worker = Worker(folder, slots or [Slot("cpu0")], notes.append, program=fake.program)
    worker.run()
    return worker


@pytest.fixture
def driver(fake: Fake) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker in a process of its own; whatever is left after the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(folder: SweepFolder, slots: int = 1) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, str(folder.root), str(fake.folder / "child.py"), str(slots)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
    for line in fake.ledger():
        if start_ticks(line["pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(line["pid"], signal.SIGKILL)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_every_job_is_run_once_and_its_run_known(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(3)
    work(folder, fake, notes, [Slot("cpu0"), Slot("cpu1")])
    assert set(folder.places().values()) == {"done"}
    assert sorted(line["seed"] for line in fake.ledger()) == [0, 1, 2]
    runs = [folder.run_of(job) for job in folder.jobs()]
    assert sorted(run.name for run in runs if run) == sorted(run_ids(folder.root))
    assert sum("finished in" in note and "test top-1 5" in note for note in notes) == 3
    assert notes[-1].startswith("[3/3 done]")
    assert list((folder.path / "claimed").iterdir()) == []


def test_as_many_run_at_a_time_as_there_are_slots(sweep: Make, fake: Fake, driver: Any) -> None:
    folder = sweep(3)
    fake.script(s0=["hold"], s1=["hold"], s2=["hold"])
    process = driver(folder, 2)
    until(lambda: len(fake.ledger()) == 2 and len(list(fake.folder.glob("waiting*"))) == 2)
    time.sleep(0.4)
    assert len(fake.ledger()) == 2
    (fake.folder / "go").touch()
    assert process.wait(30) == 0
    assert set(folder.places().values()) == {"done"}


def test_each_child_gets_its_gpu_its_session_and_no_settings_from_outside(
    sweep: Make, fake: Fake, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNWB_OPTIM__LR", "5")
    monkeypatch.setenv("CNNWB_RUNS", "elsewhere")
    folder = sweep(2)
    work(folder, fake, notes, make_slots(["3", "GPU-7f"], None))
    lines = fake.ledger()
    assert {line["gpu"] for line in lines} <= {"3", "GPU-7f"}
    assert all(line["sid"] == line["pid"] != os.getsid(0) for line in lines)
    assert all(line["settings"] == ["CNNWB_RUNS"] for line in lines)
    assert all(line["threads"] is None for line in lines)


def test_a_share_of_the_cores_goes_to_jobs_that_do_not_say(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(2)
    own = frozenset(folder.jobs()[:1])
    worker = Worker(folder, [Slot("cpu0", threads=3)], notes.append, own_threads=own, program=fake.program)
    worker.run()
    assert [line["threads"] for line in fake.ledger()] == [None, "3"]


def test_a_killed_job_touches_no_other_and_the_same_command_resumes_it(
    sweep: Make, fake: Fake, notes: list[str]
) -> None:
    folder = sweep(3)
    fake.script(s0=["kill", "finish"])
    work(folder, fake, notes)
    first = folder.jobs()[0]
    assert folder.places() == {first: "queue", **dict.fromkeys(folder.jobs()[1:], "done")}
    assert len(fake.ledger(0)) == 1  # once a command: one that always dies does not go round for ever
    assert any(f"{first} killed by SIGKILL" in note for note in notes)
    run = folder.run_of(first)
    assert run is not None
    work(folder, fake, notes)
    assert folder.places()[first] == "done"
    assert fake.ledger(0)[1]["resume"] == run.name
    assert last_ending(run) == "finished"
    assert len(run_ids(folder.root)) == 3


def test_a_preempted_job_is_taken_again_at_once_behind_the_others(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(2)
    fake.script(s0=["preempt", "preempt", "finish"])
    work(folder, fake, notes)
    assert set(folder.places().values()) == {"done"}
    assert [line["seed"] for line in fake.ledger()] == [0, 1, 0, 0]
    assert len(run_ids(folder.root)) == 2


def test_a_failed_job_is_told_why_and_left_until_retry(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(3)
    fake.script(s0=["fail", "finish"], s1=["refuse", "finish"])
    work(folder, fake, notes)
    failed, refused, fine = folder.jobs()
    assert folder.places() == {failed: "failed", refused: "failed", fine: "done"}
    assert any(f"{failed} failed after" in note and note.endswith("the loss is not finite") for note in notes)
    said = next(note for note in notes if f"{refused} failed after" in note)
    assert said.endswith("cannot be \ufffd[2Jtrained")  # what a child prints cannot steer the terminal
    work(folder, fake, notes)
    assert len(fake.ledger()) == 3
    folder.retry()
    work(folder, fake, notes)
    assert set(folder.places().values()) == {"done"}
    assert fake.ledger(0)[1]["resume"] == run_ids(folder.root)[0]
    assert fake.ledger(1)[1]["resume"] is None  # it never had a run


@pytest.mark.parametrize(("name", "code", "ending"), [("SIGINT", 130, "stopped"), ("SIGTERM", 75, "preempted")])
def test_a_signal_is_passed_on_and_the_jobs_go_back(
    sweep: Make, fake: Fake, notes: list[str], driver: Any, name: str, code: int, ending: str
) -> None:
    folder = sweep(3)
    fake.script(s0=["wait", "finish"], s1=["wait", "finish"])
    process = driver(folder, 2)
    until(lambda: len(list(fake.folder.glob("waiting*"))) == 2)
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code, out
    assert out.count("stopped after") == 2
    assert set(folder.places().values()) == {"queue"}  # and the third was not begun
    assert len(fake.ledger()) == 2
    runs = run_ids(folder.root)
    assert [last_ending(folder.root / run) for run in runs] == [ending, ending]
    work(folder, fake, notes)
    assert set(folder.places().values()) == {"done"}
    assert {line["resume"] for line in fake.ledger()[2:]} == {*runs, None}
    assert len(run_ids(folder.root)) == 3


def test_children_outlive_a_killed_sweep_and_the_next_waits_for_them(
    sweep: Make, fake: Fake, notes: list[str], driver: Any
) -> None:
    folder = sweep(2)
    fake.script(s0=["hold"])
    process = driver(folder)
    until(lambda: (fake.folder / "waiting0").exists())
    process.kill()
    process.wait()
    [claim] = folder.claims()
    assert claim.alive
    assert claim.holder["child"]["pid"] == fake.ledger(0)[0]["pid"]
    second = driver(folder)
    time.sleep(1.0)
    assert len(fake.ledger()) == 1  # its slot is taken
    (fake.folder / "go").touch()
    assert second.wait(30) == 0
    assert set(folder.places().values()) == {"done"}
    assert [line["seed"] for line in fake.ledger()] == [0, 1]
    assert len(run_ids(folder.root)) == 2


def test_a_child_killed_after_its_sweep_is_resumed_by_the_next(
    sweep: Make, fake: Fake, notes: list[str], driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RECOVER_SECONDS", 0.05)
    folder = sweep(1)
    fake.script(s0=["hold", "finish"])
    process = driver(folder)
    until(lambda: (fake.folder / "waiting0").exists())
    process.kill()
    process.wait()
    os.kill(fake.ledger()[0]["pid"], signal.SIGKILL)
    until(lambda: start_ticks(fake.ledger()[0]["pid"]) == 0)
    work(folder, fake, notes)
    assert set(folder.places().values()) == {"done"}
    assert [line["resume"] for line in fake.ledger()] == [None, run_ids(folder.root)[0]]


def test_a_job_whose_run_was_finished_elsewhere_is_not_trained_again(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(1)
    work(folder, fake, notes)
    [job] = folder.jobs()
    os.rename(folder.path / "done" / f"{job}.toml", folder.path / "queue" / f"{job}.toml")
    work(folder, fake, notes)
    assert len(fake.ledger()) == 1
    assert folder.places()[job] == "done"


def test_one_job_ends_with_its_childs_exit_code(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(3)
    fake.script(s0=["preempt", "finish"], s1=["refuse"], s2=["kill"])
    codes = []
    for job in folder.jobs():
        claim = folder.claim(job, "job")
        assert claim is not None
        codes.append(Worker(folder, [], notes.append, program=fake.program).run_one(claim, Slot("job")))
    assert codes == [75, 2, 137]
    assert [folder.places()[job] for job in folder.jobs()] == ["queue", "failed", "queue"]


def test_a_program_that_cannot_be_started_ends_no_sweep(sweep: Make, fake: Fake, notes: list[str]) -> None:
    folder = sweep(2)
    worker = Worker(folder, [Slot("cpu0")], notes.append, program=["/nowhere/python"])
    worker.run()
    assert set(folder.places().values()) == {"queue"}
    assert sum("could not be started" in note for note in notes) == 2


def test_gpus_are_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, GPU-9a,-1,4"}) == ["2", "GPU-9a"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "nvidia-smi"
    listed = ("GPU 0: H (UUID: GPU-1)", "  MIG 1g Device 0", "GPU 1: H (UUID: GPU-2)")
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in listed))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_gpus() == ["0", "1"]
    program.write_text("#!/bin/sh\necho 'GPU 0: has fallen off the bus'\nexit 9\n")
    assert visible_gpus() == []
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert visible_gpus() == []


def test_slots_are_one_a_gpu_or_shares_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "cpu_cores", lambda: 8)
    assert make_slots([], None) == [Slot("cpu0", {}, 0)]
    assert make_slots([], 3) == [Slot(f"cpu{n}", {}, 2) for n in range(3)]
    assert [slot.threads for slot in make_slots([], 20)] == [1] * 20
    spread = make_slots(["0", "GPU-9A b"], 3)
    assert [slot.name for slot in spread] == ["gpu0", "gpu9a-b", "gpu0.2"]
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in spread] == ["0", "GPU-9A b", "0"]


def test_a_claim_knows_its_child_from_the_first_instant(sweep: Make, fake: Fake, driver: Any) -> None:
    """Even if the sweep is killed as soon as there is a child, nobody starts the job a second time."""
    folder = sweep(1)
    fake.script(s0=["hold"])
    process = driver(folder)
    until(lambda: any(claim.holder.get("child") for claim in folder.claims()))
    process.kill()
    process.wait()
    assert folder.recover() == []
    until(lambda: (fake.folder / "waiting0").exists())
    [claim] = folder.claims()
    assert claim.holder["child"]["pid"] == fake.ledger()[0]["pid"]
    (fake.folder / "go").touch()
