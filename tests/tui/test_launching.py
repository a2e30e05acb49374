"""Launching from the screen: the review, the queue, the news, leaving. The trainer is a scripted one."""

import asyncio
import shlex
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from driving import said, until
from made_runs import make_run
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from workbench.launch.orders import Order
from workbench.launch.queue import Queue
from workbench.launch.thread import HAND_OVER, Narrator
from workbench.profile import Resolved, load
from workbench.tui.app import Workbench
from workbench.tui.launches import Launches
from workbench.tui.screens.launch_dialog import LaunchDialog
from workbench.tui.screens.leaving import LeaveDialog
from workbench.tui.screens.queue_dialog import QueueDialog
from workbench.tui.screens.runs_dialogs import Ask, Prompt
from workbench.tui.screens.train import TrainScreen
from workbench.tui.settings import Settings
from workbench.tui.widgets.frame import TopLine

Story = Callable[[Workbench, Pilot[None]], Awaitable[None]]


class ScriptedRun(threading.Thread):
    """In the place of `ThreadedRun`: its run directory is there at once, and it goes on until it is told to end."""

    made: list["ScriptedRun"] = []  # noqa: RUF012
    stops_at_once = True

    def __init__(
        self, order: Order, root: Path, profile: Path, ended: Callable[["ScriptedRun"], object], said: Path
    ) -> None:
        super().__init__(daemon=True)
        self.order, self.narrator = order, Narrator()
        self.outcome = None
        self.error = "/nowhere: no such folder" if "broken" in order.label else ""
        self.cause = ""
        self.over = threading.Event()
        self._root, self._ended = root, ended
        ScriptedRun.made.append(self)

    @property
    def begun(self) -> bool:
        return self.narrator.run is not None

    @property
    def is_over(self) -> bool:
        return self.over.is_set()

    @property
    def run_id(self) -> str:
        return self.narrator.run.name if self.narrator.run else ""

    def stop(self, cause: str) -> None:
        self.cause = cause
        if self.stops_at_once:
            self.over.set()

    def run(self) -> None:
        if not self.error:
            self.narrator.run = make_run(self._root, name=self.order.label.replace(" ", "-"), state="")
            self.over.wait(60)
        self._ended(self)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    workers: list[Path] = []
    monkeypatch.setattr("workbench.tui.launching.ThreadedRun", ScriptedRun)
    monkeypatch.setattr("workbench.tui.launching.start_worker", lambda root, now="": workers.append(Path(now or root)))
    monkeypatch.setattr("workbench.launch.devices.gpu_names", list)
    ScriptedRun.made.clear()
    ScriptedRun.stops_at_once = True
    yield workers
    for run in ScriptedRun.made:
        run.over.set()


def play(root: Path, story: Story, size: tuple[int, int] = (80, 24), settings: Settings | None = None) -> Workbench:
    app = Workbench(root, settings, preload=False)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await story(app, pilot)

    try:
        asyncio.run(run())
    finally:
        app.launches.launcher._over = True  # its thread begins nothing any more
    return app


def text(app: Workbench) -> str:
    return "\n".join(str(static.content) for static in app.screen.query(Static))


def quick(name: str = "") -> Resolved:
    return load("quick", environ={"CNNWB_OPTIM__LR": "0.5"} if name == "environment" else {})


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (60, 16), (20, 5)], ids=str)
def test_the_review_says_what_on_which_device_and_what_is_not_as_in_base(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launch(quick("environment"), parent="20261122-100000-x-aaaaaa", source="profiles/quick.toml")
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        await pilot.pause()
        shown = text(app)
        for words in ("Train quick", "profiles/quick.toml", "resnet18", "digits, 32 px, batch 64", "the CPU, ",
                      "lr 0.5", "sgd", "20261122-100000-x-aaaaaa", "environment CNNWB_OPTIM__LR", "seed     0",
                      "thread: in this program", "enter launch"):  # fmt: skip
            assert words in shown
        assert "now or in turn" not in shown, "there is nothing to wait for"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LaunchDialog))
        assert not (tmp_path / ".queue").exists()

    play(tmp_path, story, size)


def test_seeds_are_typed_and_make_a_queue_whose_first_run_is_shown(tmp_path: Path) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launch(quick(), source="quick")
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        await pilot.press("s")
        assert "0..4 or 1,5,7: one run for each" in text(app)
        await pilot.press(*"0..x", "enter")  # in place of the profile's seed
        assert app.screen.query_one(Prompt).what == "seeds", "a mistake is said in the line, and the line stays"
        assert "got 0..x" in text(app)
        await pilot.press("backspace", "2", "enter")
        assert "0..2   3 runs, one after the other" in text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await until(pilot, lambda: app.screen.look is not None)  # type: ignore[attr-defined]
        assert app.screen.look.run == ScriptedRun.made[0].run_id  # type: ignore[attr-defined]
        assert app.has_threaded_run
        queue = Queue(tmp_path)
        assert [entry.order.label for entry in queue.taken()] == ["quick seed 0"]
        assert [entry.order.label for entry in queue.waiting()] == ["quick seed 1", "quick seed 2"]
        ScriptedRun.made[0].over.set()
        await until(pilot, lambda: len(ScriptedRun.made) == 2 and ScriptedRun.made[1].run_id)
        await until(pilot, lambda: "quick-seed-1" in said(app))
        assert app.screen.look.run == ScriptedRun.made[0].run_id, "another run does not take the screen"  # type: ignore[attr-defined]

    play(tmp_path, story)


def test_detached_is_one_key_or_a_setting_and_can_start_beside_others(tmp_path: Path, scripted: list[Path]) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launch(quick())
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        assert "detached: a process of its own; quit any time" in text(app)
        await pilot.press("enter")
        await until(pilot, lambda: scripted == [tmp_path])
        app.launch(quick())
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        assert "when its turn comes, after 1 run" in text(app)
        await pilot.press("n")
        assert "at once, beside 1 run" in text(app)
        await pilot.press("enter")
        await until(pilot, lambda: len(scripted) == 2)
        waiting = Queue(tmp_path).waiting()
        assert [entry.order.way for entry in waiting] == ["detached", "detached"]
        assert scripted[1].name == waiting[1].name
        app.launch(quick())
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        await pilot.press("d")
        assert "thread: in this program" in text(app)
        await pilot.press("n")
        await until(pilot, lambda: "one run at a time in this program" in said(app))

    play(tmp_path, story, settings=Settings(launch="detached"))


def test_a_run_goes_on_and_a_finished_one_needs_more_epochs(tmp_path: Path, scripted: list[Path]) -> None:
    stopped = make_run(tmp_path, state="stopped", epochs=2, planned=5)
    finished = make_run(tmp_path, epochs=3, planned=3)

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.resume(stopped.name)
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        assert "stopped, 2 of 5 epochs" in text(app)
        assert "seeds" not in text(app)
        await pilot.press("d", "enter")
        await until(pilot, lambda: scripted)
        order = Queue(tmp_path).waiting()[0].order
        assert (order.run, order.epochs, order.way) == (stopped.name, 0, "detached")
        app.resume(finished.name)
        await until(pilot, lambda: isinstance(app.screen, LaunchDialog))
        assert "6 (planned: 3)" in text(app)
        await pilot.press("e", "backspace", "3", "enter")
        assert "a whole number, 4 or more" in text(app)
        await pilot.press("backspace", "8", "enter", "d", "enter")
        await until(pilot, lambda: len(scripted) == 2)
        assert Queue(tmp_path).waiting()[1].order.epochs == 8

    play(tmp_path, story)


def test_what_cannot_begin_is_told_and_stays_in_the_queue_to_be_read(tmp_path: Path) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launches.launcher.submit([Order(profile="x = 1\n", label="broken [/b]")])
        await until(pilot, lambda: "/nowhere: no such folder" in said(app))
        assert app.busy == ""
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueDialog))
        option = app.screen.query_one(OptionList).get_option_at_index(0)
        assert str(option.prompt).startswith("✗ failed   broken [/b]")
        await pilot.press("D")
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 0)
        assert "Nothing waits" in text(app)
        assert "esc out" in text(app)

    play(tmp_path, story)


def test_the_queue_is_put_in_another_order_and_thinned_by_keys(tmp_path: Path) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launches.launcher.submit([Order(profile="x = 1\n", label=label) for label in "abcd"])
        await until(pilot, lambda: len(ScriptedRun.made) == 1 and ScriptedRun.made[0].run_id)
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueDialog))
        queue = Queue(tmp_path)
        await pilot.press("j", "J")
        assert [entry.order.label for entry in queue.waiting()] == ["c", "b", "d"]
        await pilot.press("J", "K", "K")
        assert [entry.order.label for entry in queue.waiting()] == ["b", "c", "d"]
        await pilot.press("down", "D")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("y")
        await until(pilot, lambda: len(queue.waiting()) == 2)
        assert [entry.order.label for entry in queue.waiting()] == ["b", "d"]
        await pilot.press("escape", "4", "Q")
        await until(pilot, lambda: isinstance(app.screen, QueueDialog))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))

    play(tmp_path, story)


async def asked_whether_to_leave(app: Workbench, pilot: Pilot[None]) -> None:
    """A run trains in a thread, and `q` was pressed."""
    app.launches.launcher.submit([Order(profile="x = 1\n", label="long")])
    await until(pilot, lambda: app.has_threaded_run and ScriptedRun.made[0].run_id)
    await until(pilot, lambda: isinstance(app.screen, TrainScreen))
    await pilot.press("q")
    await until(pilot, lambda: isinstance(app.screen, LeaveDialog))


@pytest.mark.parametrize(("key", "cause"), [("h", HAND_OVER), ("s", "the screen was left")])
def test_leaving_asks_what_becomes_of_the_run(tmp_path: Path, key: str, cause: str, scripted: list[Path]) -> None:
    ScriptedRun.stops_at_once = False

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await asked_whether_to_leave(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LeaveDialog))
        assert ScriptedRun.made[0].cause == ""
        app.launches.launcher.submit([Order(profile="x = 2\n", label="next")])
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueDialog))
        await pilot.press("ctrl+q")  # out of any dialog
        await until(pilot, lambda: isinstance(app.screen, LeaveDialog))
        assert "1 run waits behind it: h takes it along, s leaves it in the queue" in text(app)
        await pilot.press(key)
        await until(pilot, lambda: ScriptedRun.made[0].cause == cause)
        assert "finishes its step" in text(app)
        await pilot.press("escape")
        await pilot.pause(0.3)
        assert app.is_running, "the step is waited for"
        ScriptedRun.made[0].over.set()
        await until(pilot, lambda: not app.is_running or app._exit)

    app = play(tmp_path, story)
    words = app.launches.finish()
    run = ScriptedRun.made[0].run_id
    if key == "h":
        assert words == f"{run} goes on in a process of its own; 1 more waits for it"
        assert [entry.order.run for entry in Queue(tmp_path).waiting()] == [run, ""]
        assert scripted == [tmp_path]
    else:
        assert words.endswith(f"--resume {run} --runs {shlex.quote(str(tmp_path))}")
        assert [entry.order.label for entry in Queue(tmp_path).waiting()] == ["next"]
        assert scripted == []


def test_a_run_that_ends_just_when_somebody_quits_is_not_asked_about(tmp_path: Path) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await asked_whether_to_leave(app, pilot)
        ScriptedRun.made[0].over.set()
        await until(pilot, lambda: not app.is_running or app._exit)

    play(tmp_path, story)


def test_a_run_that_draws_its_plots_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedRun, "is_over", property(lambda run: run.begun))

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.launches.launcher.submit([Order(profile="x = 1\n", label="drawing")])
        await until(pilot, lambda: app.has_threaded_run and ScriptedRun.made[0].run_id)
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running or app._exit)
        assert not ScriptedRun.made[0].over.is_set()

    play(tmp_path, story)


def test_a_run_that_ends_while_somebody_thinks_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.screens.leaving.AT_ITS_END_SECONDS", 0.0)

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await asked_whether_to_leave(app, pilot)
        ScriptedRun.made[0].over.set()
        await until(pilot, lambda: "It is over" in text(app))
        await pilot.press("h")
        assert "It is over" in text(app)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LeaveDialog))
        assert not app._exit
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running or app._exit)

    play(tmp_path, story)


def test_leaving_without_waiting_for_the_step(tmp_path: Path) -> None:
    ScriptedRun.stops_at_once = False

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await asked_whether_to_leave(app, pilot)
        await pilot.press("s", "q")
        await until(pilot, lambda: not app.is_running or app._exit)
        run = ScriptedRun.made[0]
        assert (run.cause, run.over.is_set()) == ("the screen was left", False)

    play(tmp_path, story)


def test_what_an_earlier_session_left_is_told_and_let_go_by_a_key(tmp_path: Path, scripted: list[Path]) -> None:
    import json

    from workbench.runs.lock import own_identity

    queue = Queue(tmp_path)
    queue.add(Order(profile="x = 1\n", label="left"))
    path = queue.waiting()[0].path / "order.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "owner": {**own_identity(), "pid": 2**22 + 1}}))

    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "1 run waits from an earlier session: Q shows the queue" in said(app))
        assert ScriptedRun.made == []
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueDialog))
        assert "left by another screen" in str(app.screen.query_one(OptionList).get_option_at_index(0).prompt)
        await pilot.press("t")
        await until(pilot, lambda: len(ScriptedRun.made) == 1)

    play(tmp_path, story)


def test_what_is_made_ready_is_said_in_the_first_line(tmp_path: Path) -> None:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        from workbench.tui.launching import News

        app.post_message(Launches.Told(News("starting", "vit: downloading cifar10")))
        await until(pilot, lambda: app.busy)
        assert "downloading cifar10" in app.screen.query_one(TopLine).render().plain

    play(tmp_path, story)
