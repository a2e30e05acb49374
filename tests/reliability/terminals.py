"""Take the terminal away from a screen that trains, and see what becomes of the run.

    python -m tests.reliability.terminals --trials 20 [--ways hangup,pty,...] [--seed 0]

prints one JSON object. Every trial is a real screen in a pseudo-terminal of its own, harmed at a random moment: while
its run is made ready, trains, evaluates or writes a checkpoint. A trial is lost unless the run finishes by itself, in
the same directory, with the weights, optimiser state and figures of an undisturbed run to the bit; no step is missing
in its metrics or there twice; the queue is clean; and no process of the trial is left.

    hangup            SIGHUP to the screen; its terminal stays
    pty               the terminal's other end is closed: a window, an SSH session
    pty-unheard       the same, where the kernel tells the screen nothing: it is not the terminal of its session
    tmux              the pane is killed
    stalled           nobody reads the terminal any more, then SIGTERM: the run is saved, and the trial resumes it
    sigkill           nothing can be handed over: the run has crashed, and the trial resumes it
    detached-pty      the run is in a process of its own, which must not notice
    detached-sigkill  likewise
"""

import argparse
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reliability.sigkill import fingerprint
from workbench.launch.queue import Queue
from workbench.runs import journal
from workbench.runs.directory import run_ids
from workbench.runs.lock import own_identity, read_holder
from workbench.runs.reading import last_ending, read_json, read_metrics
from workbench.runs.run import Run

CHECKOUT = Path(__file__).parents[2]
SUPPORT = CHECKOUT / "tests" / "support"
EPOCHS = 6
HEADLESS = [sys.executable, "-m", "workbench", "--headless"]
MOMENTS = ("prepare", "train", "evaluate", "checkpoint")
SECONDS = 240.0
"""Nothing takes so long; a trial that does is lost."""
GONE_SECONDS = 30.0
"""How long the screen may be there after its terminal."""


class LostError(Exception):
    """What a trial found."""


@dataclass
class Expected:
    """Of the undisturbed run."""

    weights: str
    step: int
    preparing: float
    """Seconds from the start of the process to the run directory."""


@dataclass
class Screen:
    """A screen that trains, in a terminal of its own."""

    folder: Path
    way: str
    token: str
    pid: int = 0
    controller: int = -1
    process: subprocess.Popen[bytes] | None = None
    drained: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> Path:
        return self.folder / "runs"

    @property
    def detached(self) -> bool:
        return self.way.startswith("detached")

    def start(self) -> None:
        profile = write_profile(self.folder)
        way = "detached" if self.detached else "thread"
        command = [sys.executable, "-m", "watched_app", str(profile), str(self.root), way, str(self.folder / "mark")]
        if self.way == "tmux":
            words = [f"{name}={value}" for name, value in environment(self.folder, self.token).items()]
            tmux(self.token, "new-session", "-d", "-x", "80", "-y", "24", "sleep", "1000")
            tmux(self.token, "new-window", "env", "-i", *words, *command)
        else:
            self.controller, terminal = pty.openpty()
            unheard = self.way == "pty-unheard"
            self.process = subprocess.Popen(
                command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                preexec_fn=None if unheard else own_terminal, env=environment(self.folder, self.token),
            )  # fmt: skip
            os.close(terminal)
            threading.Thread(target=self._drain, daemon=True).start()
        eventually(lambda: self.mark()[0] > 0, "the screen never started")
        self.pid = self.mark()[0]

    def _drain(self) -> None:
        with suppress(OSError):
            while not self.drained.is_set() and os.read(self.controller, 65536):
                pass

    def mark(self) -> tuple[int, str, int, int]:
        """Process, phase, epoch and step, as the screen has told last."""
        with suppress(OSError, ValueError):
            pid, phase, epoch, done = (self.folder / "mark").read_text().split()
            return int(pid), phase, int(epoch), int(done)
        return 0, "", 0, 0

    def harm(self) -> None:
        """What the way is about."""
        if self.way == "hangup":
            os.kill(self.pid, signal.SIGHUP)
        elif self.way == "tmux":
            tmux(self.token, "kill-pane", "-t", ":1")
        elif self.way == "stalled":
            os.kill(self.pid, signal.SIGTERM)
        elif self.way.endswith("sigkill"):
            os.kill(self.pid, signal.SIGKILL)
        else:
            os.close(self.controller)
            self.controller = -1

    def end(self) -> None:
        for pid in of_trial(self.token):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        if self.controller >= 0:
            os.close(self.controller)
        if self.way == "tmux":
            tmux(self.token, "kill-server")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of each way")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = trials(options.ways.split(","), Path(folder), options.trials, options.seed, tell=True)
    print(json.dumps(report, indent=1))
    sys.exit(1 if any(way["lost"] for way in report["ways"].values()) else 0)


def trials(ways: list[str], folder: Path, count: int, seed: int = 0, *, tell: bool = False) -> dict[str, Any]:
    """`count` trials of each way, at moments of all kinds in turn."""
    rng = random.Random(seed)
    expected = undisturbed(folder / "whole")
    report: dict[str, Any] = {
        "trials_of_each_way": count, "seed": seed, "steps": expected.step,
        "date": time.strftime("%Y-%m-%d"), "ways": {},
    }  # fmt: skip
    for way in ways:
        if way == "tmux" and shutil.which("tmux") is None:
            report["ways"][way] = {"skipped": "there is no tmux", "lost": []}
            continue
        found = [trial(folder / f"{way}{number}", way, MOMENTS[number % 4], expected, rng) for number in range(count)]
        report["ways"][way] = summed_up(found)
        if tell:
            print(way, json.dumps(report["ways"][way]), file=sys.stderr, flush=True)
    return report


def summed_up(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a way's trials."""
    gone, work = [one["gone_after"] for one in found], [one["cpu_after"] for one in found]
    moments = [one["met_at"] for one in found]
    return {
        "trials": len(found), "lost": [one for one in found if one["lost"]],
        "met_at": {phase: moments.count(phase) for phase in sorted(set(moments))},
        "screen_gone_after_seconds": {"median": sorted(gone)[len(gone) // 2], "most": max(gone)},
        "cpu_seconds_after": {"median": sorted(work)[len(work) // 2], "most": max(work)},
    }  # fmt: skip


def undisturbed(folder: Path) -> Expected:
    """Train it headless."""
    profile = write_profile(folder)
    began = time.monotonic()
    command = [*HEADLESS, "--runs", str(folder / "runs"), "--profile", str(profile)]
    process = subprocess.Popen(command, env=environment(folder, "whole"), stderr=subprocess.DEVNULL)
    eventually(lambda: run_ids(folder / "runs"), "there was never a run")
    preparing = time.monotonic() - began
    if process.wait() != 0:
        raise LostError("the undisturbed run failed")
    run = folder / "runs" / run_ids(folder / "runs")[0]
    return Expected(fingerprint(run), read_json(run / "status.json")["step"], preparing)


def trial(folder: Path, way: str, moment: str, expected: Expected, rng: random.Random) -> dict[str, Any]:
    """One: what it found, `lost` being empty where all is well."""
    screen = Screen(folder, way, f"trial-{os.getpid()}-{folder.name}")
    found: dict[str, Any] = {"moment": moment, "met_at": "", "gone_after": 0.0, "cpu_after": 0.0, "lost": ""}
    try:
        screen.start()
        await_moment(screen, moment, expected, rng)
        found["met_at"] = screen.mark()[1] if not screen.detached else where_detached(screen)
        before = cpu_seconds(screen.pid)
        screen.harm()
        found["gone_after"], cpu = wait_until_gone(screen)
        found["cpu_after"] = round(max(0.0, cpu - before), 2)
        if way == "sigkill":
            bring_back_crashed(screen)
        elif way == "stalled":
            bring_back_saved(screen)
        check(screen, expected)
    except LostError as error:
        found["lost"] = str(error)
    finally:
        screen.end()
    return found


def await_moment(screen: Screen, moment: str, expected: Expected, rng: random.Random) -> None:
    """A random one of its kind."""
    if screen.way == "stalled":
        screen.drained.set()  # what the screen draws from here on fills the terminal
    epoch = rng.randint(1, EPOCHS - 1)
    if screen.detached:
        step = rng.randrange(expected.step - 5)
        if moment == "prepare":
            eventually(lambda: Queue(screen.root).taken(), "no worker took the order")
            time.sleep(rng.uniform(0, expected.preparing))
        else:
            eventually(lambda: last_step(screen.root) >= step, "the run did not come so far")
        return
    if moment == "prepare":
        eventually(lambda: screen.mark()[1] == "prepare", "the run was never made ready")
        time.sleep(rng.uniform(0, expected.preparing))
        return
    done = rng.randint(1, 10) if moment == "train" else 0

    def there() -> bool:
        _, phase, now, step = screen.mark()
        return phase == moment and (now, step) >= (epoch, done)

    eventually(there, f"it was never at {moment}", pause=0.001)


def where_detached(screen: Screen) -> str:
    return "train" if last_step(screen.root) >= 0 else "prepare"


def wait_until_gone(screen: Screen) -> tuple[float, float]:
    """Seconds until the screen's process is gone, and the processor time it had used by then."""
    began, cpu = time.monotonic(), 0.0
    while (now := cpu_seconds(screen.pid)) >= 0:
        cpu = max(cpu, now)
        if screen.process is not None and screen.process.poll() is not None:
            break
        if time.monotonic() - began > GONE_SECONDS:
            raise LostError(f"the screen is still there after {GONE_SECONDS:g} s, {cpu:.1f} s of processor time")
        time.sleep(0.01)
    return round(time.monotonic() - began, 2), cpu


def check(screen: Screen, expected: Expected) -> None:
    """LostError unless all is as it should be."""
    root = screen.root
    eventually(lambda: run_ids(root), "there was never a run")
    run = root / run_ids(root)[0]
    session_of_trainer = 0

    def over() -> bool:
        nonlocal session_of_trainer
        pid = read_holder(run / "lock").get("pid")
        if isinstance(pid, int) and pid != screen.pid:
            session, terminal = session_of(pid)
            if session == pid and terminal == 0:
                session_of_trainer = session
        return last_ending(run) == "finished"

    eventually(over, "the run did not finish by itself", pause=0.02)
    eventually(lambda: not of_trial(screen.token), "processes are left")
    events = [record["event"] for record in journal.read(run / "events.jsonl").records]
    steps = [record["step"] for record in read_metrics(run).records if record["kind"] == "step"]
    epochs = [record["epoch"] for record in read_metrics(run).records if record["kind"] == "epoch"]
    found = {
        "runs": len(run_ids(root)) == 1,
        "the same weights, optimiser and figures": fingerprint(run) == expected.weights,
        "each epoch once": epochs == list(range(1, EPOCHS + 1)),
        "steps that grow": steps == sorted(set(steps)) and steps[-1] == expected.step,
        "a clean queue": clean(Queue(root)),
        "a detached run that noticed nothing": not screen.detached or "resumed" not in events,
    }
    if screen.way != "sigkill":
        found["no step done twice"] = no_step_twice(run)
        found["a session of its own"] = screen.way == "stalled" or "resumed" not in events or session_of_trainer > 0
    if not all(found.values()):
        raise LostError("not: " + "; ".join(name for name, good in found.items() if not good))


def no_step_twice(run: Path) -> bool:
    """Whether each attempt went on where the one before had been saved."""
    events = journal.read(run / "events.jsonl").records
    ends = [record["step"] for record in events if record["event"] == "preempted"]
    return ends == [record["step"] for record in events if record["event"] == "resumed"]


def bring_back_crashed(screen: Screen) -> None:
    """Nobody could hand it over: a run is there to be resumed, or else the order is there to be let go."""
    queue = Queue(screen.root)
    queue.tidy()
    runs = run_ids(screen.root)
    orders = (len(queue.waiting()), len(queue.taken()), len(queue.failed()))
    if orders != ((0, 0, 0) if runs else (1, 0, 0)):
        raise LostError(f"{len(runs)} runs, and orders (waiting, taken, failed): {orders}")
    if not runs:
        command = [sys.executable, "-c", LET_GO, str(screen.root)]
        subprocess.run(command, env=environment(screen.folder, screen.token), check=True)
        return
    state = Run(screen.root / runs[0]).state.name
    if state == "finished":
        return
    if state != "crashed":
        raise LostError(f"the run of a killed screen is shown as {state}")
    resume(screen, runs[0])


def bring_back_saved(screen: Screen) -> None:
    """As a scheduler that starts the job again."""
    [run] = run_ids(screen.root) or [""]
    if screen.process is not None and screen.process.wait() != 75:
        raise LostError(f"exit code {screen.process.returncode}")
    if not run:
        return bring_back_crashed(screen)
    if last_ending(screen.root / run) == "preempted":
        resume(screen, run)
    return None


def resume(screen: Screen, run: str) -> None:
    command = [*HEADLESS, "--runs", str(screen.root), "--resume", run]
    subprocess.run(command, env=environment(screen.folder, screen.token), stderr=subprocess.DEVNULL, check=False)


# Small things


LET_GO = """
import sys
from pathlib import Path
from workbench.launch.queue import Queue
from workbench.launch.worker import start_worker
Queue(Path(sys.argv[1])).adopt(way="detached", orphans=True)
start_worker(Path(sys.argv[1]))
"""
"""What the screen does when a person lets go what an earlier one has left."""


def write_profile(folder: Path) -> Path:
    sys.path[:] = [*dict.fromkeys([*sys.path, str(SUPPORT)])]
    from slow_net import SLOW

    folder.mkdir(parents=True)
    text = SLOW.replace("epochs = 2", f"epochs = {EPOCHS}\nflush_seconds = 0.05") + "[checkpoint]\nevery_steps = 5\n"
    (folder / "mine.toml").write_text(text)
    return folder / "mine.toml"


def environment(folder: Path, token: str) -> dict[str, str]:
    """Of a trial's processes, which can be told by it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CNNWB_", "TMUX"))}
    own = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "STATE")}
    path = os.pathsep.join([str(CHECKOUT), str(SUPPORT)])
    return {**kept, **own, "TERM": "xterm-256color", "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TRIAL": token}


def own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def tmux(name: str, *words: str) -> None:
    subprocess.run(["tmux", "-L", name, "-f", "/dev/null", *words], check=False, capture_output=True)


def eventually(true: Callable[[], object], why: str, *, pause: float = 0.01) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > end:
            raise LostError(why)
        time.sleep(pause)


def last_step(root: Path) -> int:
    """-1 before there is one."""
    lines = [line for name in run_ids(root) for line in journal.read(root / name / "metrics.jsonl").records]
    return int(lines[-1].get("step", -1)) if lines else -1


def clean(queue: Queue) -> bool:
    """Nothing of an order is left."""
    names = [name for name in os.listdir(queue.folder) if name not in ("lock", "worker.log")]
    return all(name.startswith("turn-") for name in names)


def of_trial(token: str) -> list[int]:
    """The processes that live with a trial's token, zombies left out."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdecimal() and f"TRIAL={token}\0".encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return found


def stat_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"]


def cpu_seconds(pid: int) -> float:
    """Of a process; -1 for one that is gone."""
    fields = stat_of(pid)
    return -1.0 if fields[0] in "ZX" else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def session_of(pid: int) -> tuple[int, int]:
    """(session, controlling terminal; 0 for none)."""
    fields = stat_of(pid)
    return (0, -1) if fields[0] in "ZX" else (int(fields[3]), int(fields[4]))


WAYS = ("hangup", "pty", "pty-unheard", "tmux", "stalled", "sigkill", "detached-pty", "detached-sigkill")

if __name__ == "__main__":
    assert own_identity()["start_ticks"], "needs /proc"
    main()
