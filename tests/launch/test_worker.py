"""The worker of the queue as a process: what waits is trained one after the other, whoever is gone meanwhile."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from left_runs import SECONDS, eventually
from small_run import PROFILE

from workbench.launch.orders import Order, begin
from workbench.launch.queue import Queue, run_in
from workbench.launch.worker import start_worker
from workbench.profile import load
from workbench.runs.reading import last_ending, read_json

HERE = Path(__file__).parents[1] / "support"


@pytest.fixture(autouse=True)
def own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`small_run:Net` can be found by the children."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("CNNWB_SEED", "77")  # what a profile says was settled when it was launched


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "runs")


def an_order(queue: Queue, text: str = PROFILE, **how: object) -> Order:
    path = queue.root.parent / "mine.toml"
    path.write_text(text)
    return begin(load(path, environ={}), way="detached", **how)[0]  # type: ignore[arg-type]


def test_all_that_waits_is_trained_and_what_cannot_be_says_why(queue: Queue) -> None:
    queue.add(an_order(queue, PROFILE.replace('dataset = "digits"', 'dataset = "folder"\nroot = "/nowhere/at/all"')))
    queue.add(an_order(queue, parent="20261122-100000-x-aaaaaa"))
    queue.add(Order(profile=PROFILE, way="thread", label="somebody's"))  # of this process, which never takes it
    start_worker(queue.root)
    start_worker(queue.root)  # two of them do not train two at a time, nor one of them twice
    eventually(lambda: not queue.taken() and len(queue.waiting()) == 1)
    runs = [path for path in queue.root.iterdir() if (path / "run.json").exists()]
    assert [last_ending(run) for run in runs] == ["finished"]
    facts = read_json(runs[0] / "run.json")
    assert (facts["seed"], facts["parent"], facts["profile"]["recipe"]) == (3, "20261122-100000-x-aaaaaa", "mine")
    assert "/nowhere/at/all" in queue.failed()[0].why()
    assert ".taken" not in queue.failed()[0].why()


@pytest.mark.parametrize(("name", "code", "ending"), [("SIGUSR2", 75, "preempted"), ("SIGINT", 130, "stopped")])
def test_a_worker_that_is_asked_to_end_has_its_child_save_and_leaves_what_waits(
    queue: Queue, name: str, code: int, ending: str
) -> None:
    queue.add(an_order(queue, PROFILE.replace("epochs = 2", "epochs = 5000")))
    queue.add(Order(profile=PROFILE, way="detached", label="waits"))
    worker = subprocess.Popen([sys.executable, "-m", "workbench.launch", "--runs", str(queue.root)])
    try:
        eventually(lambda: bool(queue.taken()) and run_in(queue.taken()[0].output) != "")
        run = queue.root / run_in(queue.taken()[0].output)
        eventually(lambda: int(read_json(run / "status.json").get("step", 0)) > 0)
        for pid in (worker.pid, int(read_json(run / "lock")["pid"])):
            os.kill(pid, signal.SIGHUP)  # of no concern to those who have no terminal
        time.sleep(0.3)
        assert last_ending(run) is None
        worker.send_signal(getattr(signal, name))
        assert worker.wait(SECONDS) == code
    finally:
        worker.kill()
    assert last_ending(run) == ending
    assert (queue.taken(), queue.failed()) == ([], [])
    waiting = [(entry.order.run, entry.order.label) for entry in queue.waiting()]
    assert waiting == ([(run.name, "small")] if code == 75 else []) + [("", "waits")]
    assert queue.waiting()[0].order.way == "detached"


def test_a_worker_that_is_asked_to_end_before_there_is_a_run_leaves_the_order(queue: Queue) -> None:
    queue.add(an_order(queue))
    worker = subprocess.Popen([sys.executable, "-m", "workbench.launch", "--runs", str(queue.root)])
    try:
        eventually(lambda: bool(queue.taken()) and (queue.taken()[0].path / "child.json").exists())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(SECONDS) == 75
    finally:
        worker.kill()
    assert [entry.order.label for entry in queue.waiting()] == ["small"]
    assert (queue.taken(), queue.failed()) == ([], [])


def test_a_killed_worker_leaves_its_child_at_work_and_the_turn_with_it(queue: Queue) -> None:
    long = PROFILE.replace("epochs = 2", "epochs = 5000")
    queue.add(an_order(queue, long))
    queue.root.mkdir(exist_ok=True)
    worker = subprocess.Popen([sys.executable, "-m", "workbench.launch", "--runs", str(queue.root)])
    eventually(lambda: bool(queue.taken()) and run_in(queue.taken()[0].output) != "")
    run = queue.root / run_in(queue.taken()[0].output)
    worker.kill()
    worker.wait()
    holder = read_json(run / "lock")
    assert queue.turn() is None
    os.kill(int(holder["pid"]), signal.SIGTERM)
    eventually(lambda: last_ending(run) == "preempted")

    def free() -> bool:
        turn = queue.turn()
        if turn is not None:
            turn.release()
        return turn is not None

    eventually(free)
    queue.tidy()
    assert (queue.taken(), queue.waiting(), queue.failed()) == ([], [], [])
