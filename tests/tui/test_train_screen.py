"""The Train screen, driven by keys, on a run that grows while it is looked at."""

import asyncio
import json
import math
import shutil
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import driving
import pytest
from driving import Driver
from fake_nvml import Driver as NvidiaDriver
from made_runs import LiveRun, make_run
from textual.events import AppBlur, AppFocus
from textual.widgets import Input

from workbench.base.gpu import Gpu
from workbench.notify import Notify
from workbench.runs import journal
from workbench.runs.control import Inbox
from workbench.runs.run import Run
from workbench.runs.writer import RunWriter
from workbench.tui import pace
from workbench.tui.ends import End, Ends, TellsEnds, tells_itself
from workbench.tui.run_lines import facts
from workbench.tui.screens.train import TrainScreen
from workbench.tui.settings import Settings
from workbench.tui.steering import factor_of, refusal
from workbench.tui.usage import STALE_SECONDS, Meter, Usage, sampled
from workbench.tui.watching import Job, Look, Nothing, Wanted, Watch
from workbench.tui.widgets.chart_view import View

CHARTS = (Wanted("loss", False, 80, 8),)
EVIL = "\x1b]52;c;aGk=\x07\x1b[2J[/oops]\u202e"


class Host(TellsEnds, driving.Host):
    """With what the screen asks of an app."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.ends = Ends(self._over, seconds=0.05)

    def on_mount(self) -> None:
        self.push_screen(TrainScreen(hz=20))

    @property
    def train(self) -> TrainScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, TrainScreen))


def drive(root: Path, size: tuple[int, int], story: Callable[[Driver], Awaitable[None]]) -> None:
    driving.drive(Host(root), story, size)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRun]:
    run = LiveRun(tmp_path)
    yield run
    run.end()


def test_a_run_is_followed_from_its_first_step_to_its_end(live: LiveRun, tmp_path: Path) -> None:
    async def story(see: Driver) -> None:
        text = await see.see("● running")
        assert "nothing to draw yet" in text
        live.epoch()
        text = await see.see("epoch 2 of 4")
        assert "25%  step 4 of 16" in text
        assert "━ train 1.99" in text
        assert "┅ test 2.19" in text
        assert f"best {live.best['top1'] * 100:.2f} % in epoch 1 (test)" in text
        assert "UTC  epoch 1  train 1.9" in text  # the event, with the figures of the epoch
        live.epoch()
        await see.see("epoch 3 of 4")
        live.end("stopped")
        await see.see("■ stopped")
        await see.told("the run is over: stopped")

    drive(tmp_path, (80, 24), story)


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (60, 16), (20, 5)])
def test_it_fits_every_size(live: LiveRun, tmp_path: Path, size: tuple[int, int]) -> None:
    live.epoch()

    async def story(see: Driver) -> None:
        if size == (20, 5):
            await see.see("needs 60x16")
            await see.press("z", "x", "left", "plus", "tab", "l", "s", "y")
            await see.pilot.pause()
            return
        text = await see.see("━ train 1.99")
        assert "┅ test" in text
        assert "25%" in text
        assert "epoch 1  train 1.9" in text
        assert ("accuracy, %" in text) == (size != (60, 16))
        both = "epoch=1 step=4" in text  # the log beside the events
        assert both == (size == (160, 45))

    drive(tmp_path, size, story)


def test_charts_obey_their_keys(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()
    live.epoch()

    async def story(see: Driver) -> None:
        await see.see("x epoch")
        await see.press("x")
        await see.see("x step")
        await see.press("s")
        await see.see("smooth 0.6")
        await see.press("y")
        await see.see("log  smooth 0.6")
        await see.press("left")  # at the newest step
        await see.see("at step 8")
        await see.press("home")
        text = await see.see("at step 0")
        assert "┊" in text
        await see.press("end", "plus")
        await see.see("zoom")
        await see.press("0", "escape")
        await see.see(lambda: "zoom" not in see.app.text() and "at step" not in see.app.text())
        await see.press("z")
        await see.see(lambda: "accuracy" not in see.app.text())
        await see.press("z", "tab", "m", "m", "m")  # past the top-5 accuracy and the learning rate
        await see.see("▸ images/s")
        await see.press("m")
        await see.see("▸ accuracy")
        await see.press("f", "down", "down", "enter")
        await see.see("▸ learning rate")
        await see.press("d", "d")
        await see.see(lambda: "*" in see.app.text())
        rows = see.app.train.charts[1].picture.rows
        assert rows
        assert all(row.isascii() for row in rows)
        await see.press("d")
        await see.see(lambda: "*" not in see.app.text())

    drive(tmp_path, (100, 30), story)


def test_log_y_is_refused_with_the_reason(tmp_path: Path) -> None:
    make_run(tmp_path, train_loss=-1.0, test_loss=0.0)

    async def story(see: Driver) -> None:
        await see.see("✓ finished")
        await see.see("━ train -1")
        await see.press("y")
        await see.told("no value is positive")
        assert not see.app.train.charts[0].log_y

    drive(tmp_path, (80, 24), story)


def test_a_key_that_comes_before_its_chart_is_drawn_is_obeyed(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()

    async def story(see: Driver) -> None:
        await see.see("x epoch")
        train = see.app.train
        train._show_metric("lr")  # two keys at once, as a slow line delivers them: `m`, and `y` for what it shows
        train.act_log_y()
        await see.see(lambda: "learning rate" in see.app.text() and "log  x epoch" in see.app.text())
        assert see.app.toasts == []

    drive(tmp_path, (100, 30), story)


def test_a_run_that_vanishes_is_said_to_have(tmp_path: Path) -> None:
    kept, gone = make_run(tmp_path, arch="alexnet"), make_run(tmp_path, arch="vgg11")

    async def story(see: Driver) -> None:
        await see.see(gone.name)
        shutil.rmtree(gone)
        await see.see(kept.name)
        await see.told(f"{gone.name} is not there any more")

    drive(tmp_path, (80, 24), story)


def test_the_footer_has_what_can_be_asked_of_the_run(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()

    async def story(see: Driver) -> None:
        text = await see.see("● running")
        assert " S stop  C save  P pause  L lr " in text
        live.end("stopped")
        text = await see.see("■ stopped")
        await see.see(lambda: "S stop" not in see.app.text())
        assert "l events  p freeze  m metric" in see.app.text()
        assert "i it was stopped before its end; screen 4, R goes on with it" in text
        await see.press("S")
        await see.told("it has been stopped")

    drive(tmp_path, (80, 24), story)


def test_a_frozen_display_stands_still_and_can_be_looked_at(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()

    async def story(see: Driver) -> None:
        await see.see("epoch 2 of 4")
        await see.press("p")
        await see.see("DISPLAY PAUSED, p goes on")
        live.epoch()
        await asyncio.sleep(0.3)
        assert "epoch 2 of 4" in await see.see("DISPLAY PAUSED")
        await see.press("x")
        await see.see("x step")
        await see.press("p")
        await see.see("epoch 3 of 4")

    drive(tmp_path, (80, 24), story)


def test_steering_is_answered_in_a_toast(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()
    asked: list[tuple[str, dict[str, float]]] = []
    over = threading.Event()

    def trainer() -> None:
        inbox = Inbox(live.path)
        while not over.wait(0.02):
            for request in inbox.claim():
                asked.append((request.kind, request.arguments))
                inbox.answer(request, "done", f"{request.kind} it is, said [/oops] the trainer")

    async def story(see: Driver) -> None:
        await see.see("● running")
        await see.press("C")
        await see.told("checkpoint it is, said [/oops]")
        await see.press("P")
        await see.told("pause it is")
        live.status("paused")
        await see.see("‖ paused, P goes on")
        await see.press("P")
        await see.told("resume it is")
        await see.press("L", *"half", "enter")
        await see.see("not a number")
        see.app.train.query_one(Input).value = ""
        await see.press(*"0.5", "enter")
        await see.told("lr it is")
        await see.press("S")
        await see.see("after this epoch?")
        await see.press("y")
        await see.told("stop_after_epoch it is")
        await see.press("K")
        await see.see("y yes")
        await see.press("n")
        await see.press("K")
        await see.see("now?")
        await see.press("y")
        await see.told("stop it is")

    thread = threading.Thread(target=trainer)
    thread.start()
    try:
        drive(tmp_path, (80, 24), story)
    finally:
        over.set()
        thread.join()
    kinds = ("checkpoint", "pause", "resume", "lr", "stop_after_epoch", "stop")
    assert asked == [(kind, {"factor": 0.5} if kind == "lr" else {}) for kind in kinds]


@pytest.mark.parametrize(("state", "why"), [("finished", "it has finished"), ("", "it has crashed")])
def test_a_run_that_is_over_cannot_be_steered(tmp_path: Path, state: str, why: str) -> None:
    path = make_run(tmp_path, state=state)

    async def story(see: Driver) -> None:
        await see.see("✗ crashed" if not state else "✓ finished")
        for key in "SCPLK":
            await see.press(key)
        await see.see(lambda: sum(why in toast for toast in see.app.toasts) == 5)

    drive(tmp_path, (80, 24), story)
    assert not (path / "control").exists()


def test_an_empty_folder_says_what_to_do_and_shows_the_first_run(tmp_path: Path) -> None:
    async def story(see: Driver) -> None:
        text = await see.see("There is no run")
        assert "Press 2, choose a profile" in text
        assert "    cnn-workbench --headless --profile quick.toml --runs" in text
        assert "�" not in text
        run = LiveRun(tmp_path)
        run.epoch()
        await see.see("epoch 2 of 4")
        run.end()

    drive(tmp_path, (80, 24), story)


def test_a_run_that_begins_takes_the_place_of_one_that_nobody_chose(tmp_path: Path) -> None:
    old = make_run(tmp_path)
    now = [0.0]
    watch, chooser = Watch(tmp_path, lambda: now[0]), Watch(tmp_path, lambda: now[0])
    for one, job in ((watch, Job()), (chooser, Job(run=old.name))):
        assert isinstance(look := one.look(job), Look)
        assert look.run == old.name
    run = LiveRun(tmp_path)
    now[0] = 5.0
    assert isinstance(look := watch.look(Job()), Look)
    assert (look.run, look.place) == (run.path.name, (2, 2))
    assert isinstance(look := chooser.look(Job()), Look)
    assert (look.run, look.place) == (old.name, (1, 2))  # who has chosen one stays with it, and it is counted
    assert chooser.look(Job()) is None
    shutil.rmtree(run.path)
    now[0] = 20.0
    assert isinstance(look := chooser.look(Job()), Look)
    assert look.place == (1, 1)
    run.end()


def test_brackets_go_to_the_runs_before_and_after(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, arch="alexnet"), make_run(tmp_path, arch="vgg11", note=EVIL)

    async def story(see: Driver) -> None:
        await see.see(second.name)
        await see.press("left_square_bracket")
        await see.see(first.name)
        await see.press("left_square_bracket")  # there is none before it
        await see.press("right_square_bracket")
        await see.see(second.name)
        see.app.train.open_run(first.name)
        await see.see(first.name)

    drive(tmp_path, (80, 24), story)


def test_what_is_on_disk_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    make_run(tmp_path, facts={"arch": EVIL, "device": EVIL}, settings={"data.dataset": EVIL})
    run = LiveRun(tmp_path)
    run.writer.event(EVIL, text=EVIL)
    run.writer.log(EVIL * 500)
    run.step(**{EVIL: 1.0})
    run.end("failed", error=EVIL)

    async def story(see: Driver) -> None:
        await see.see("✗ failed")
        await see.press("l", "m", "m", "m", "m", "left_square_bracket")
        await see.see("✓ finished")
        text = see.app.text()
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[/oops]" in text

    drive(tmp_path, (160, 45), story)


def test_a_run_that_is_deleted_gives_way_to_another(tmp_path: Path) -> None:
    kept, gone = make_run(tmp_path, arch="alexnet"), make_run(tmp_path, arch="alexnet")
    watch = Watch(tmp_path)
    assert isinstance(look := watch.look(Job(charts=CHARTS)), Look)
    assert look.run == gone.name
    gone.rename(tmp_path / ".gone")
    assert isinstance(look := watch.look(Job(charts=CHARTS)), Look)
    assert (look.run, look.gone) == (kept.name, gone.name)
    assert watch.look(Job(charts=CHARTS)) is None
    assert isinstance(look := watch.look(Job(run=gone.name, again=True)), Look)
    assert (look.run, look.gone) == (kept.name, gone.name)
    kept.rename(tmp_path / ".kept")
    assert isinstance(watch.look(Job(charts=CHARTS)), Nothing)


def test_nothing_new_is_nothing_to_draw(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()
    watch = Watch(tmp_path, clock=lambda: 0.0)
    first = watch.look(Job(charts=CHARTS))
    assert isinstance(first, Look)
    watch.look(Job(charts=CHARTS))  # what the process takes is measured from the second look on
    assert watch.look(Job(charts=CHARTS)) is None
    live.step()
    second = watch.look(Job(charts=CHARTS))
    assert isinstance(second, Look)
    assert second.events == ()
    assert second.charts != first.charts
    again = watch.look(Job(charts=CHARTS, again=True))
    assert isinstance(again, Look)
    assert again.charts[0].picture is second.charts[0].picture


def test_each_step_of_a_short_run_is_on_the_chart_also_after_a_rewind(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, steps=1000, planned=1)
    watch = Watch(tmp_path)

    def losses() -> list[float]:
        look = watch.look(Job(charts=CHARTS, again=True, view=View("step")))
        assert isinstance(look, Look)
        return look.charts[0].series[0].y.tolist()

    expected: list[float] = []
    for count in (3, 256, 2, 300):
        for _ in range(count):
            expected.append(float(len(expected)))
            run.writer.metrics({"kind": "step", "step": len(expected), "train_loss": expected[-1]})
        assert losses() == expected
    del expected[400:]
    run.writer.metrics({"kind": "rewind", "to_step": 400, "to_epochs": 0})
    run.writer.event("rewind", to_step=400, to_epochs=0)
    assert losses() == expected
    for _ in range(200):
        expected.append(-1.0)
        run.writer.metrics({"kind": "step", "step": len(expected), "train_loss": -1.0})
    assert losses() == expected
    run.end()


def test_only_changed_lines_of_a_chart_are_refreshed(
    live: LiveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.epoch()

    async def story(see: Driver) -> None:
        live.step()  # the first of an epoch: the axis grows
        await see.see("epoch 2 of 4, 25%")
        chart = see.app.train.charts[0]
        refreshed: list[int] = []
        monkeypatch.setattr(chart, "refresh", lambda *regions, **_: refreshed.append(len(regions) or 99))
        live.step()
        await see.see(lambda: bool(refreshed))
        assert refreshed[0] < chart.size.height
        del refreshed[:]
        await asyncio.sleep(0.3)
        assert not refreshed  # ticks without news

    drive(tmp_path, (80, 24), story)


def test_a_hidden_screen_asks_for_nothing(live: LiveRun, tmp_path: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("● running")
        looker = see.app.train._asker
        assert looker is not None
        asked: list[Job] = []
        looker.ask = asked.append  # type: ignore[method-assign]
        see.app.push_screen("other")
        await see.pilot.pause()
        del asked[:]
        await asyncio.sleep(0.3)
        assert not asked
        see.app.pop_screen()
        await see.see(lambda: bool(asked))
        assert asked[0].again

    from textual.screen import Screen

    Host.SCREENS = {"other": Screen}
    drive(tmp_path, (80, 24), story)


def test_the_end_of_a_run_is_told_once_also_on_another_screen(live: LiveRun, tmp_path: Path) -> None:
    from textual.screen import Screen

    async def story(see: Driver) -> None:
        rung: list[bool] = []
        see.app.bell = lambda: rung.append(True)  # type: ignore[method-assign]
        await see.see("● running")
        see.app.push_screen(Screen())
        await see.pilot.pause()
        live.end("failed", error="out of memory")
        await see.told("the run is over: failed, out of memory")
        see.app.pop_screen()
        await see.see("✗ failed")
        await asyncio.sleep(0.2)
        assert len(rung) == 1
        assert [toast for toast in see.app.toasts if "over" in toast or "has failed" in toast] == [
            "the run is over: failed, out of memory"
        ]

    drive(tmp_path, (80, 24), story)


def test_ends_are_told_once_an_attempt_and_nothing_is_looked_at_without_a_live_run(tmp_path: Path) -> None:
    told: list[End] = []
    ends = Ends(told.append, seconds=0.02)

    def wait(count: int) -> None:
        deadline = time.monotonic() + 10
        while (len(told) < count or ends._thread is not None) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [end.state for end in told] == ["finished", "crashed"][:count]
        assert ends._thread is None

    one = LiveRun(tmp_path)
    ends.watch(one.path)
    ends.watch(one.path)
    time.sleep(0.1)
    assert not told
    one.end()
    wait(1)
    ends.watch(one.path)  # by a look that was under way
    wait(1)
    again = RunWriter.reopen(one.path, print)
    again.event("resumed")
    ends.watch(one.path)
    again.close()
    wait(2)
    assert told[0].text == "the run is over: finished"
    assert (told[0].bad, told[1].bad) == (False, True)


def test_the_person_s_command_is_run_once_for_an_end(live: LiveRun, tmp_path: Path) -> None:
    """A process of its own runs it by itself when it has ended, so the screen does for its own runs and killed ones."""
    finished, crashed = End(live.path.name, "finished"), End(live.path.name, "crashed")
    assert not tells_itself(live.path, finished)  # this process holds the lock
    holder = json.loads((live.path / "lock").read_text())
    (live.path / "lock").write_text(json.dumps({**holder, "pid": holder["pid"] + 1}))
    assert tells_itself(live.path, finished)
    assert not tells_itself(live.path, crashed)

    said = tmp_path / "said"
    app = Host(tmp_path)
    app.settings = Settings(notify=Notify(command=("touch", str(said))))  # type: ignore[attr-defined]
    app._tell_outside(finished)
    app._tell_outside(crashed)
    deadline = time.monotonic() + 10
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert said.exists()


def test_the_machine_s_figures_are_those_that_the_trainer_wrote_where_it_is_elsewhere(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="", epochs=2, planned=4)
    seconds = Run(run).status["seconds"]
    system = journal.Journal(run / "system.jsonl")
    place = {"kind": "system", "time": 1.0, "step": 4, "epoch": 1.0}
    system.append({**place, "seconds": seconds - 10, "cpu": 1.5, "memory": 2e9})
    assert sampled(Run(run)) == Usage(1.5, 2e9, None)
    gpu = {"gpu_use": 0.93, "gpu_memory": 11.2e9, "gpu_memory_total": 24e9, "gpu_temperature": 71, "gpu_power": "nan"}
    system.append({**place, "seconds": seconds, "cpu": "[/oops]", "memory": -1, **gpu})
    usage = sampled(Run(run))
    assert usage == Usage(None, None, Gpu(0.93, 11.2e9, 24e9, 71.0, None))  # type: ignore[arg-type]
    watch = Watch(tmp_path)
    look = watch.look(Job(charts=(Wanted("gpu_temperature", False, 80, 8), Wanted("gpu_memory", False, 80, 8))))
    assert isinstance(look, Look)
    assert look.metrics[-6:] == ("gpu_use", "gpu_memory", "gpu_temperature", "gpu_power", "cpu", "memory")
    assert look.charts[0].series[0].y.tolist() == pytest.approx([math.nan, 71.0], nan_ok=True)
    assert look.charts[1].series[0].y.tolist() == pytest.approx([math.nan, 11.2], nan_ok=True)
    line = facts(replace(look, usage=usage), 100).plain
    assert "gpu 93 % 71 °C  11.2 of 24.0 GB" in line
    assert "cores" not in line
    system.append({**place, "seconds": seconds - 2 * STALE_SECONDS, "cpu": 1.0})
    assert sampled(Run(run)) is None
    system.close()


def test_new_samples_are_drawn_as_they_come(live: LiveRun, tmp_path: Path) -> None:
    live.epoch()
    system = journal.Journal(live.path / "system.jsonl")
    watch = Watch(tmp_path)
    charts = (Wanted("cpu", False, 80, 8),)

    def seen(step: int, cpu: float) -> list[float]:
        system.append({"kind": "system", "time": float(step), "step": step, "epoch": step / 4, "cpu": cpu})
        look = watch.look(Job(charts=charts))
        assert isinstance(look, Look)
        return look.charts[0].series[0].y.tolist()

    assert seen(1, 1.0) == [1.0]
    assert seen(2, 2.0) == [1.0, 2.0]
    system.append({"kind": "rewind", "to_step": 1, "to_epochs": 0})
    assert seen(2, 3.0) == [1.0, 3.0]
    system.close()


def test_a_live_run_of_this_machine_is_asked_itself(live: LiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = NvidiaDriver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    run = Run(live.path)
    run.__dict__["facts"] = {**run.facts, "gpu": "GPU-1234"}
    usage = Meter(run).look()
    assert usage is not None
    assert usage.gpu is not None
    assert usage.gpu.power_limit == 450.0
    assert usage.memory is not None
    run.__dict__["facts"]["gpu"] = ["no", "uuid"]
    usage = Meter(run).look()
    assert usage is not None
    assert usage.gpu is None


def test_it_looks_less_often_without_focus_and_at_once_when_that_is_back(live: LiveRun, tmp_path: Path) -> None:
    async def story(see: Driver) -> None:
        await see.see("● running")
        looker = see.app.train._asker
        assert looker is not None
        asked: list[float] = []
        looker.ask = lambda job: asked.append(time.monotonic())  # type: ignore[method-assign]

        async def count(seconds: float) -> int:
            del asked[:]
            await asyncio.sleep(seconds)
            return len(asked)

        with_focus = await count(1.0)
        see.app.post_message(AppBlur())
        await see.pilot.pause()
        assert await count(1.0) <= with_focus / 2
        see.app.post_message(AppFocus())
        del asked[:]
        await see.see(lambda: bool(asked))

    drive(tmp_path, (80, 24), story)


def test_a_run_in_this_process_is_spared_a_screen_that_costs_much(
    live: LiveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "WINDOW_SECONDS", 0.3)

    async def story(see: Driver) -> None:
        await see.see("● running")
        looker = see.app.train._asker
        assert looker is not None
        asked: list[float] = []

        def costly(job: Job) -> None:
            asked.append(time.monotonic())
            looker.busy += 0.02  # 40 % of a core at 20 looks a second

        looker.ask = costly  # type: ignore[method-assign]
        await asyncio.sleep(0.6)
        assert len(asked) > 6
        see.app.has_threaded_run = True  # type: ignore[attr-defined]
        await see.see(lambda: see.app.train._beat._pace.seconds > 0.3)
        see.app.has_threaded_run = False  # type: ignore[attr-defined]
        await see.see(lambda: see.app.train._beat._pace.seconds == 0.05)

    drive(tmp_path, (80, 24), story)


def test_factors_and_refusals_in_words(tmp_path: Path) -> None:
    assert [factor_of(text) for text in ("0.5", " 2 ", "x10", "0,1")] == [0.5, 2.0, 10.0, 0.1]
    for text in ("", "half", "-1", "0", "nan", "inf"):
        with pytest.raises(ValueError, match="number|greater"):
            factor_of(text)
    state = Run(make_run(tmp_path)).state
    assert refusal(state, "stop") == "stop: the run is over, it has finished"
