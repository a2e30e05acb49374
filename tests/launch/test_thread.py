"""A run in a thread: how it ends, what is left to do of it, and that whatever it dies of, the screen lives on."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import PROFILE

from workbench.launch.orders import Order, begin
from workbench.launch.queue import Queue
from workbench.launch.thread import HAND_OVER, ThreadedRun
from workbench.profile import load
from workbench.runs import journal
from workbench.runs.reading import read_json
from workbench.training import session
from workbench.training.loop import Trainer
from workbench.training.observer import Quiet, StopRequest
from workbench.training.session import resume_run
from workbench.tui.launching import Launcher, News, rest_of

SECONDS = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def an_order(folder: Path, text: str = PROFILE, **how: str) -> Order:
    path = folder / "mine.toml"
    path.write_text(text)
    return begin(load(path, environ={}), way="thread", **how)[0]  # type: ignore[arg-type]


def started(order: Order, root: Path) -> ThreadedRun:
    root.mkdir(exist_ok=True)
    profile = root / "order.toml"
    profile.write_text(order.profile)
    run = ThreadedRun(order, root, profile)
    run.start()
    return run


def ended(run: ThreadedRun) -> ThreadedRun:
    run.join(SECONDS)
    assert not run.is_alive()
    return run


def events(root: Path, run: str) -> list[dict[str, object]]:
    return [dict(line) for line in journal.read(root / run / "events.jsonl").records]


def weights(root: Path, run: str) -> dict[str, torch.Tensor]:
    content = torch.load(root / run / "checkpoints" / "last.pt", weights_only=True)
    found: dict[str, torch.Tensor] = content["model"]
    return found


def test_to_the_end(tmp_path: Path, root: Path) -> None:
    run = ended(started(an_order(tmp_path, parent="20261122-100000-x-aaaaaa"), root))
    assert run.error == ""
    assert run.outcome is not None
    assert (run.outcome.state, run.outcome.epochs) == ("finished", 2)
    assert run.narrator.step is not None
    assert (root / run.run_id / "plots" / "accuracy.svg").is_file()
    facts = read_json(root / run.run_id / "run.json")
    assert (facts["parent"], facts["profile"]["recipe"]) == ("20261122-100000-x-aaaaaa", "mine")
    assert rest_of(run) is None


@pytest.mark.parametrize("cause", [HAND_OVER, "the screen was left"])
def test_asked_to_stop_it_saves_and_another_goes_on_with_the_same_bits(tmp_path: Path, root: Path, cause: str) -> None:
    whole = ended(started(an_order(tmp_path), root))
    stopped = ThreadedRun(an_order(tmp_path), root, root / "order.toml")
    told = stopped.narrator.progress

    def progress(snapshot: object) -> None:
        told(snapshot)  # type: ignore[arg-type]
        if getattr(snapshot, "epoch", 0) == 2 and getattr(snapshot, "done", 0) == 3:
            stopped.stop(cause)

    stopped.narrator.progress = progress  # type: ignore[method-assign, assignment]
    stopped.start()
    ended(stopped)
    assert stopped.outcome is not None
    last = events(root, stopped.run_id)[-1]
    assert (last["event"], last["cause"]) == ("preempted" if cause == HAND_OVER else "stopped", cause)
    assert (root / stopped.run_id / "plots").exists() == (cause != HAND_OVER)  # whoever goes on draws them
    rest = rest_of(stopped)
    assert rest == (Order(run=stopped.run_id, way="detached", label="small") if cause == HAND_OVER else None)
    resumed = resume_run(stopped.run_id, root, Quiet(), StopRequest())
    assert resumed.state == "finished"
    expected, found = weights(root, whole.run_id), weights(root, stopped.run_id)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_folder_named_from_here(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the run was not known as one, and handed over as if it had not begun."""
    monkeypatch.chdir(tmp_path)
    run = ended(started(an_order(tmp_path), Path("runs")))
    assert (root / run.run_id / "run.json").is_file()
    assert run.run_id


def test_going_on_for_longer(tmp_path: Path, root: Path) -> None:
    first = ended(started(an_order(tmp_path), root))
    again = ThreadedRun(Order(run=first.run_id, epochs=3, label="more"), root, root / "none")
    again.start()
    ended(again)
    assert again.error == ""
    assert again.outcome is not None
    assert again.outcome.epochs == 3


def test_what_cannot_begin_says_why_and_leaves_no_run(tmp_path: Path, root: Path) -> None:
    text = PROFILE.replace('dataset = "digits"', f'dataset = "folder"\nroot = "{tmp_path / "nowhere"}"')
    run = ended(started(an_order(tmp_path, text), root))
    assert run.outcome is None
    assert "nowhere" in run.error
    assert "Traceback" not in run.error
    assert [path.name for path in root.iterdir()] == ["order.toml"]
    assert rest_of(run) is None


@pytest.mark.parametrize(
    "problem", [RuntimeError("the kernel broke"), MemoryError("no room"), torch.OutOfMemoryError("out of CUDA memory")]
)
def test_whatever_it_dies_of_is_in_its_events(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def broken(self: Trainer) -> bool:
        raise problem

    monkeypatch.setattr(Trainer, "fit", broken)
    run = ended(started(an_order(tmp_path), root))
    assert run.outcome is not None
    assert run.outcome.state == "failed"
    last = events(root, run.run_id)[-1]
    assert last["event"] == "failed"
    assert str(problem) in str(last["error"])
    out_of_memory = not isinstance(problem, RuntimeError) or isinstance(problem, torch.OutOfMemoryError)
    assert ("oom" in [event["event"] for event in events(root, run.run_id)]) == out_of_memory


def test_stopped_before_there_is_a_run(tmp_path: Path, root: Path) -> None:
    order = an_order(tmp_path)
    run = ThreadedRun(order, root, root / "none")
    run.stop(HAND_OVER)
    run.start()
    ended(run)
    assert (run.error, run.outcome, run.run_id) == ("", None, "")
    rest = rest_of(run)
    assert rest is not None
    assert (rest.profile, rest.way) == (order.profile, "detached")
    assert not root.exists()


def test_asked_to_stop_while_it_is_made_ready_there_is_never_a_run(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it then: the program ends, and a run that came to be would be a crashed one."""
    run = ThreadedRun(an_order(tmp_path), root, tmp_path / "mine.toml")
    made_ready = session.prepare

    def prepare(*arguments: Any) -> Any:
        assert not run.begun
        run.stop(HAND_OVER)
        return made_ready(*arguments)

    monkeypatch.setattr(session, "prepare", prepare)
    run.start()
    ended(run)
    assert (run.begun, run.error, run.run_id) == (False, "", "")
    assert list(root.iterdir()) == []


def test_what_a_person_has_stopped_is_not_handed_over(tmp_path: Path, root: Path) -> None:
    run = ThreadedRun(an_order(tmp_path), root, tmp_path / "mine.toml")
    run._request.set("request")
    run.stop(HAND_OVER)
    assert run._request.cause == "request"


class Heard:
    """Keeps the news."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.arrived = threading.Condition()

    def tell(self, news: News) -> None:
        with self.arrived:
            self.news.append(news)
            self.arrived.notify_all()

    def wait_for(self, kind: str, times: int = 1) -> list[News]:
        """The news of a kind, as soon as there are so many."""
        with self.arrived:
            enough = self.arrived.wait_for(lambda: sum(news.kind == kind for news in self.news) >= times, SECONDS)
        assert enough, self.news
        return [news for news in self.news if news.kind == kind]


def test_two_orders_one_after_the_other_and_no_call_a_step(tmp_path: Path, root: Path) -> None:
    told = Heard()
    launcher = Launcher(root, told.tell)
    launcher.submit(begin(load(_file(tmp_path), environ={}), way="thread", seeds=(1, 2)))
    ends = told.wait_for("ended", 2)
    began = told.wait_for("began", 2)
    assert [news.text for news in began] == ["small seed 1", "small seed 2"]
    assert [news.shown for news in began] == [True, False]
    assert [news.run for news in ends] == [news.run for news in began]
    assert [read_json(root / news.run / "run.json")["seed"] for news in began] == [1, 2]
    steps = sum(read_json(root / news.run / "status.json")["step"] for news in began)
    assert steps >= 40
    assert len(told.news) < 20, "the screen hears of a run's beginning and end, never of its steps"
    assert not launcher.busy
    assert (Queue(root).waiting(), Queue(root).taken(), Queue(root).failed()) == ([], [], [])


def test_one_that_cannot_begin_does_not_keep_the_next_from_it(tmp_path: Path, root: Path) -> None:
    told = Heard()
    launcher = Launcher(root, told.tell)
    bad = an_order(tmp_path, PROFILE.replace('dataset = "digits"', 'dataset = "folder"\nroot = "/nowhere/at/all"'))
    launcher.submit([bad, an_order(tmp_path)])
    assert "/nowhere/at/all" in told.wait_for("failed")[0].text
    assert told.wait_for("ended")[0].text == "finished"
    failed = Queue(root).failed()
    assert [entry.order.label for entry in failed] == ["small"]
    assert "/nowhere/at/all" in failed[0].why()


def test_left_while_it_is_made_ready_the_order_stays_in_the_queue(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = threading.Event()
    monkeypatch.setattr(ThreadedRun, "_train", lambda self: ready.wait(SECONDS))
    told = Heard()
    launcher = Launcher(root, told.tell)
    launcher.submit([an_order(tmp_path)])
    told.wait_for("starting")
    launcher.stop(hand_over=False)
    assert launcher.settled
    assert launcher.finish(hand_over=False) == "small had not begun yet; it waits in the queue"
    assert [(entry.order.label, entry.order.way) for entry in Queue(root).waiting()] == [("small", "thread")]
    ready.set()


def test_one_that_begins_while_the_screen_ends_is_not_forgotten(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher had just looked whether the end has come."""
    monkeypatch.setattr("workbench.tui.launching.start_worker", lambda root, now="": None)
    told = Heard()
    launcher = Launcher(root, told.tell)
    take = launcher.queue.take

    def taken_late(way: Any) -> Any:
        entry = take(way)
        launcher.stop(hand_over=True)
        return entry

    monkeypatch.setattr(launcher.queue, "take", taken_late)
    launcher.submit([an_order(tmp_path)])
    told.wait_for("starting")
    assert "small goes on in a process of its own" in launcher.finish(hand_over=True)
    assert [(entry.order.label, entry.order.way) for entry in Queue(root).waiting()] == [("small", "detached")]
    assert Queue(root).taken() == []


def test_handed_over_the_rest_comes_first_in_the_queue(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[Path] = []
    monkeypatch.setattr("workbench.tui.launching.start_worker", lambda root, now="": workers.append(root))
    told = Heard()
    launcher = Launcher(root, told.tell)
    long = an_order(tmp_path, PROFILE.replace("epochs = 2", "epochs = 5000"))
    launcher.submit([long, an_order(tmp_path)])
    run = told.wait_for("began")[0].run
    launcher.stop(hand_over=True)
    words = launcher.finish(hand_over=True)
    assert words == f"{run} goes on in a process of its own; 1 more waits for it"
    waiting = Queue(root).waiting()
    assert [(entry.order.run, entry.order.way) for entry in waiting] == [(run, "detached"), ("", "detached")]
    assert workers == [root]
    assert events(root, run)[-1]["cause"] == HAND_OVER
    turn = Queue(root).turn()
    assert turn is not None, "the worker must be able to begin"
    turn.release()


def _file(folder: Path) -> Path:
    path = folder / "mine.toml"
    path.write_text(PROFILE)
    return path
