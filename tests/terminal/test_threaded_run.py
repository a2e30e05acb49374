"""A run in a thread of the screen, in a real terminal: quitting, a terminal that goes away, signals, loaders."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from left_runs import LONG, SECONDS, end_trainers, events, eventually, runs
from PIL import Image
from small_run import PROFILE
from terminal import Terminal

from workbench.launch.queue import Queue
from workbench.runs.control import ask, wait_for_answer
from workbench.runs.reading import last_ending, read_json
from workbench.runs.run import Run

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(autouse=True)
def own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))


Open = Callable[..., Terminal]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Open]:
    """Opens the screen in a terminal, with a run that it launches by itself."""
    opened: list[Terminal] = []

    def open_it(text: str, *arguments: str) -> Terminal:
        profile = tmp_path / "mine.toml"
        profile.write_text(text)
        command = [sys.executable, "-m", "launching_app", str(profile), "runs", *arguments]
        opened.append(Terminal(command, tmp_path, 80, 24))
        return opened[-1]

    yield open_it
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()
    end_trainers(tmp_path)


def test_handed_over_by_keys_it_goes_on_and_is_seen_live_again(launch: Open, tmp_path: Path) -> None:
    terminal = launch(LONG)
    terminal.wait_for("● running", SECONDS)
    os.write(terminal.controller, b"q")
    terminal.wait_for("hand it over")
    os.write(terminal.controller, b"h")
    while terminal.read():
        pass
    assert terminal.process.wait(timeout=20) == 0
    assert "goes on in a process of its own" in terminal.text()
    [run] = runs(tmp_path)
    handed = next(event for event in events(run) if event["event"] == "preempted")
    assert handed["cause"] == "hand-over"
    stood = int(str(handed["epochs"]))
    eventually(lambda: "resumed" in [event["event"] for event in events(run)])
    assert read_json(run / "lock")["pid"] != terminal.process.pid
    eventually(lambda: read_json(run / "status.json").get("epoch", 0) > stood)
    again = Terminal([sys.executable, "-m", "workbench", "--runs", "runs"], tmp_path, 80, 24)
    try:
        again.wait_for("● running")  # the screen where the last session ended
        again.wait_for("you were away")
        os.write(again.controller, b"Q")
        again.wait_for("goes on, detached")
    finally:
        again.process.kill()
        again.process.wait()
        again.close()


def test_a_terminal_that_goes_away_takes_no_run_with_it(launch: Open, tmp_path: Path) -> None:
    terminal = launch(LONG)
    terminal.wait_for("● running", SECONDS)
    [run] = runs(tmp_path)
    terminal.close()  # the other end: what closing a window or losing the line does
    terminal.process.wait(timeout=30)
    assert events(run)[-1]["cause"] == "hand-over"
    eventually(lambda: "resumed" in [event["event"] for event in events(run)])
    resumed = next(event for event in events(run) if event["event"] == "resumed")
    stopped = next(event for event in events(run) if event["event"] == "preempted")
    assert resumed["step"] == stopped["step"], "no step is lost"
    place = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "last.json"
    assert str(run) in json.loads(place.read_text())["away"]


@pytest.mark.parametrize("way", ["by keys", "with its terminal"])
def test_a_paused_run_is_paused_still_when_it_is_handed_over(launch: Open, tmp_path: Path, way: str) -> None:
    terminal = launch(LONG)
    terminal.wait_for("● running", SECONDS)
    os.write(terminal.controller, b"P")
    terminal.wait_for("‖ paused")
    [run] = runs(tmp_path)
    if way == "by keys":
        os.write(terminal.controller, b"q")
        terminal.wait_for("hand it over")
        os.write(terminal.controller, b"h")
        while terminal.read():
            pass
    else:
        terminal.close()
    terminal.process.wait(timeout=30)
    stood = next(event for event in events(run) if event["event"] == "preempted")["step"]
    eventually(lambda: [event["event"] for event in events(run)].count("paused") == 2)
    assert Run(run).state.name == "paused"
    assert read_json(run / "lock")["pid"] != terminal.process.pid
    answer = wait_for_answer(run, ask(run, "resume"), 20)
    assert answer is not None
    assert answer.outcome == "done"
    eventually(lambda: read_json(run / "status.json").get("step", 0) > stood)


@pytest.mark.parametrize(
    ("name", "code", "ending"), [("SIGTERM", 75, "preempted"), ("SIGUSR2", 75, "preempted"), ("SIGINT", 130, "stopped")]
)
def test_whoever_ends_the_screen_by_a_signal_finds_the_run_saved(
    launch: Open, tmp_path: Path, name: str, code: int, ending: str
) -> None:
    terminal = launch(LONG)
    terminal.wait_for("● running", SECONDS)
    os.write(terminal.controller, b"\x03")  # a key, and no signal
    terminal.wait_for("q quits")
    os.kill(terminal.process.pid, getattr(signal, name))
    while terminal.read():
        pass
    assert terminal.process.wait(timeout=30) == code
    [run] = runs(tmp_path)
    assert events(run)[-1]["cause"] == name
    assert last_ending(run) == ending
    assert (run / "checkpoints" / "last.pt").is_file()
    assert Queue(tmp_path / "runs").waiting() == []
    assert f"--resume {run.name}" in terminal.text()


def test_interrupted_twice_it_waits_for_no_step(launch: Open, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(
        "import pathlib, time\nfrom small_run import Net\n\n\n"
        "class Endless(Net):\n    def forward(self, x):\n"
        "        if list(pathlib.Path('runs').glob('2*')):  # else it is only looked at\n"
        "            pathlib.Path('at-it').touch()\n            time.sleep(600)\n"
        "        return super().forward(x)\n"
    )
    terminal = launch(PROFILE.replace("small_run:Net", "endless:Endless"))
    threading.Thread(target=lambda: [None for _ in iter(terminal.read, False)], daemon=True).start()
    eventually((tmp_path / "at-it").exists)
    os.kill(terminal.process.pid, signal.SIGINT)
    time.sleep(1)  # by now the screen is gone, or about to go
    assert terminal.process.poll() is None
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.process.wait(timeout=20) == 130
    [run] = runs(tmp_path)
    assert last_ending(run) is None  # it goes back to its last checkpoint
    Queue(tmp_path / "runs").tidy()
    assert (Queue(tmp_path / "runs").waiting(), Queue(tmp_path / "runs").taken()) == ([], [])
    assert b"Traceback" not in terminal.raw, terminal.raw[terminal.raw.index(b"Traceback") :].decode(errors="replace")


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_loader_processes_of_a_threaded_run(launch: Open, tmp_path: Path, method: str) -> None:
    """Each way in which Python starts children: those of a run in a thread decode images, and none of them fails."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                Image.new("RGB", (16, 16), (number * 40, 90, 10 if name == "cat" else 200)).save(
                    folder / f"{number}.png"
                )
    text = PROFILE.replace('dataset = "digits"', f'dataset = "folder"\nroot = "{tmp_path / "images"}"\nworkers = 2')
    text = text.replace("batch_size = 100", "batch_size = 4").replace("val_fraction = 0.2\n", "")
    terminal = launch(text, method)
    terminal.wait_for("✓ finished", SECONDS)
    [run] = runs(tmp_path)
    assert events(run)[-1]["event"] == "finished"
    assert "exited" not in (run / "log.txt").read_text()
    os.write(terminal.controller, b"q")
    while terminal.read():
        pass
    assert terminal.process.wait(timeout=20) == 0
    assert b"Traceback" not in terminal.raw


def test_what_is_written_on_descriptor_2_is_in_the_log_and_not_on_the_screen(launch: Open, tmp_path: Path) -> None:
    network = tmp_path / "noisy.py"
    network.write_text(
        "import os\nfrom small_run import Net\n\n\n"
        "class Noisy(Net):\n    def forward(self, x):\n"
        "        os.write(2, b'[W Kernel.cpp:12] Warning: NOISE\\n' * 3)\n        return super().forward(x)\n"
    )
    terminal = launch(PROFILE.replace("small_run:Net", "noisy:Noisy"))
    terminal.wait_for("✓ finished", SECONDS)
    assert b"NOISE" not in terminal.raw
    log = Path(os.environ["XDG_STATE_HOME"]) / "cnn-workbench" / "log" / "screen.log"
    assert "NOISE" in log.read_text()
    os.write(terminal.controller, b"q")
    while terminal.read():
        pass
