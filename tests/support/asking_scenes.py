"""All that lies over a screen or opens in it to ask: dialogs, lists to choose from, lines to type in, toasts.

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        async for name, shown in played(app, pilot, SCENES): ...

One app plays them one after the other, on the runs of `scripted_runs` and with the built-in profiles in `builtin`.
A new dialog is a line in `SCENES`.
"""

import json
import shutil
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import make_run
from pictures import dump
from scripted_runs import DAY, written_at

from workbench.launch.orders import Order
from workbench.launch.queue import Queue
from workbench.profile import load
from workbench.runs import trash
from workbench.runs.lock import own_identity
from workbench.tui.app import Workbench
from workbench.tui.launches import Launches
from workbench.tui.torch_loader import TorchLoader

PATIENCE = 30.0
STILL = 0.3
"""Seconds without a change after which a screen is as it stays."""

Opens = Callable[[Workbench, Any], Awaitable[None]]


@dataclass(frozen=True)
class Asking:
    """Where one is when it is opened, how it is opened, and what it shows then on any terminal of 60x16 or more."""

    mode: str
    opens: Opens
    shows: str


def keys(*pressed: str) -> Opens:
    """Opened by keys alone."""

    async def opens(app: Workbench, pilot: Any) -> None:
        await pilot.press(*pressed)

    return opens


async def launch(app: Workbench, pilot: Any) -> None:
    """The review with all that it can say."""
    resolved = load("quick", environ={"CNNWB_OPTIM__LR": "0.5"})
    app.launch(resolved, parent=run_of(app, "resnet18"), source="profiles/quick.toml")


async def mistaken_seeds(app: Workbench, pilot: Any) -> None:
    await launch(app, pilot)
    await there(app, pilot, "enter launch")
    await pilot.press("s", "backspace", *"0..x", "enter")


async def several_seeds(app: Workbench, pilot: Any) -> None:
    make_queue(app.root)
    await launch(app, pilot)
    await there(app, pilot, "enter launch")
    await pilot.press("s", "backspace", *"0..4", "enter", "d", "n")


async def go_on(app: Workbench, pilot: Any) -> None:
    app.resume(run_of(app, "mobilenet_v2"))


async def queue(app: Workbench, pilot: Any) -> None:
    make_queue(app.root)
    await pilot.press("Q")


async def cancel(app: Workbench, pilot: Any) -> None:
    await queue(app, pilot)
    await there(app, pilot, "The queue")
    await pilot.press("j", "D")


async def leave(app: Workbench, pilot: Any) -> None:
    live(app)
    await pilot.press("ctrl+q")


async def leaving(app: Workbench, pilot: Any) -> None:
    await leave(app, pilot)
    await there(app, pilot, "stay")
    await pilot.press("h")


async def form(app: Workbench, pilot: Any, setting: str, *then: str) -> None:
    """The form of a profile, on a setting of it."""
    app.edit_profile(Path("builtin/quick.toml"))
    await until(pilot, lambda: app.drafts is not None and app.drafts.is_mounted and app.drafts.form.draft is not None)
    await pilot.press("slash", *setting, "enter")
    await pilot.press(*then)


async def choice(app: Workbench, pilot: Any) -> None:
    await form(app, pilot, "schedule.name", "enter")


async def network(app: Workbench, pilot: Any) -> None:
    await form(app, pilot, "model.arch", "enter", *"resn")


async def wrong_number(app: Workbench, pilot: Any) -> None:
    await form(app, pilot, "optim.lr", "enter", "minus", "1", "enter")


async def save_as(app: Workbench, pilot: Any) -> None:
    await form(app, pilot, "optim.lr", "W")


async def unsaved(app: Workbench, pilot: Any) -> None:
    await form(app, pilot, "schedule.name", "right", "escape", "escape")


async def in_trash(app: Workbench, pilot: Any) -> None:
    with written_at(DAY):
        trash.delete(app.root, make_run(app.root, arch="vgg11", name="thrown"))
    await pilot.press("U")


async def toasts(app: Workbench, pilot: Any) -> None:
    app.notify("the run is over: finished", title="20261123-160000-made", markup=False, timeout=60)
    app.notify("the disk is nearly full: 300 MB left, 1.0 GB wanted", title="20261123-160000-made", severity="warning",
               markup=False, timeout=60)  # fmt: skip
    app.notify("quick: no images in /nowhere", title="not trained", severity="error", markup=False, timeout=60)


SCENES = {
    "launch": Asking("profiles", launch, "enter launch"),
    "launch-mistake": Asking("profiles", mistaken_seeds, "seeds are whole"),
    "launch-seeds": Asking("profiles", several_seeds, "5 runs"),
    "launch-again": Asking("runs", go_on, "Go on with"),
    "queue": Asking("runs", queue, "The queue"),
    "queue-empty": Asking("runs", keys("Q"), "Nothing waits"),
    "queue-cancel": Asking("runs", cancel, "out of the queue?"),
    "leave": Asking("runs", leave, "stop and save"),
    "leave-waits": Asking("runs", leaving, "leave at once"),
    "help": Asking("runs", keys("question_mark"), "type to filter"),
    "help-none": Asking("runs", keys("question_mark", *"xyz"), "no key does that"),
    "palette": Asking("runs", keys("colon", *"sort"), "Runs: sort"),
    "delete": Asking("runs", keys("down", "D"), "to the trash?"),
    "columns": Asking("runs", keys("v"), "space on or off"),
    "note": Asking("runs", keys("down", "n"), "Note of"),
    "copy": Asking("runs", keys("down", "y"), "command that"),
    "export": Asking("runs", keys("o"), "LaTeX"),
    "trash": Asking("runs", in_trash, "fetches a run back"),
    "filter": Asking("runs", keys("slash", *"nosuch=3", "enter"), "unknown"),
    "choice": Asking("profiles", choice, "enter takes it"),
    "network": Asking("profiles", network, "type module:callable"),
    "number": Asking("profiles", wrong_number, "greater than 0"),
    "save-as": Asking("profiles", save_as, "enter saves"),
    "unsaved": Asking("profiles", unsaved, "not saved"),
    "new": Asking("models", keys("n"), "A new profile for"),
    "stop": Asking("train", keys("S"), "after this epoch?"),
    "figure": Asking("train", keys("f"), "Show in the marked chart"),
    "rate": Asking("train", keys("L", "x", "enter"), "a number"),
    "toasts": Asking("runs", toasts, "no images in"),
}


UNSTEADY = ("trash", "copy", "rate")
"""Those with an hour or a path of this machine in them, or with a chart that is drawn anew for another room."""


@pytest.fixture
def nothing_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No words about this machine's cores, no torch that comes when it is loaded, no alert that waits for its time."""
    monkeypatch.setattr("workbench.tui.launch_plans.device_in_words", lambda wanted: f"{wanted}: 2 cores")
    monkeypatch.setattr("workbench.tui.profile_preview._automatic", lambda: "cpu")
    monkeypatch.setattr("workbench.tui.alerts.STALL_SECONDS", 1e9)
    monkeypatch.setattr(Launches, "tell_of_left", lambda launches: None)
    monkeypatch.setattr(TorchLoader, "start", lambda loader: None)
    monkeypatch.setattr(TorchLoader, "load", lambda loader: threading.Event().wait())


async def played(app: Workbench, pilot: Any, scenes: Mapping[str, Asking]) -> AsyncIterator[tuple[str, str]]:
    """Each scene and its picture, while it is shown; then it is cleared away."""
    for name, scene in scenes.items():
        app.go(scene.mode)
        await until(pilot, partial(ready, app, scene.mode))
        if scene.mode == "runs":
            await pilot.press("home")
        await scene.opens(app, pilot)
        yield name, await there(app, pilot, scene.shows)
        await cleared(app, pilot)


def ready(app: Workbench, mode: str) -> bool:
    """Whether the screen is there and has read what its keys need."""
    screen: Any = app.screen
    if app.current_mode != mode or not screen.is_mounted:
        return False
    needs = {"runs": lambda: screen.board.rows, "train": lambda: screen.look, "profiles": lambda: screen.listed.files}
    return bool(needs.get(mode, lambda: True)())


async def there(app: Workbench, pilot: Any, words: str) -> str:
    """The picture, once it shows the words, where there is room for them, and has not changed for a while."""
    small = app.size.width < 60 or app.size.height < 16
    deadline = time.monotonic() + PATIENCE
    before, since = "", time.monotonic()
    while time.monotonic() < deadline:
        await pilot.pause(0.02)
        now = dump(app)
        if now != before or not (small or words in now):
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STILL:
            return now
    raise AssertionError(f"never there, or never still: {words}\n{before}")


async def until(pilot: Any, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        await pilot.pause(0.02)
    await pilot.pause()


async def cleared(app: Workbench, pilot: Any) -> None:
    """Nothing is asked any more."""
    while len(app.screen_stack) > 1:
        app.pop_screen()
        await pilot.pause()
    if app.drafts is not None and app.drafts.is_mounted and app.drafts.form.draft is not None:
        form_ = app.drafts.form
        form_.draft = None
        form_.post_message(form_.Left())
    await pilot.press("escape", "escape", "escape")
    app.clear_notifications()
    app.launches.launcher.live = None
    app.launches.ending = None
    shutil.rmtree(app.root / ".queue", ignore_errors=True)


def run_of(app: Any, arch: str) -> str:
    """The id of the oldest run of a network."""
    for path in sorted(app.root.iterdir()):
        if path.name[:1] != "." and json.loads((path / "run.json").read_text())["arch"] == arch:
            return path.name
    raise AssertionError(arch)


def make_queue(root: Path) -> None:
    """One that is trained, three that wait (one of them of a screen that is no more), one that could not begin."""
    shutil.rmtree(root / ".queue", ignore_errors=True)
    orders = Queue(root)
    for label in ("quick seed 0", "broken"):
        orders.add(Order(profile="x = 1\n", label=label))
    trained = orders.take("thread")
    failed = orders.take("thread")
    assert trained is not None
    assert failed is not None
    orders.done(failed, "/nowhere: no such folder")
    orders.add(Order(profile="x = 1\n", label="quick seed 1"))
    orders.add(Order(run="20261123-130000-made-abcdef", way="detached", label="20261123-130000-made-abcdef"))
    orders.add(Order(profile="x = 1\n", label="left"))
    path = orders.waiting()[-1].path / "order.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "owner": {**own_identity(), "pid": 2**22 + 1}}))


def live(app: Workbench) -> None:
    """A run in a thread of this program, that takes its time to end."""
    order = Order(profile="x = 1\n", label="quick seed 0")
    app.launches.launcher.live = SimpleNamespace(  # type: ignore[assignment]
        run_id=run_of(app, "resnet18"),
        order=order,
        begun=True,
        is_over=False,
        is_alive=lambda: True,
        stop=lambda cause: None,
    )
