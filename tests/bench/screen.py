"""What a screen costs the run beside it: speed of a run in a thread of the screen's process over that without a screen.

    python -m tests.bench.screen [--models resnet18,mobilenet_v2] [--threads 1,2] [--hz 2] [--out FILE]

The run is the real one, `start_run` in a thread of its own, and goes on all the time. In turns there is a Textual app
in the main thread of the process, and there is none. The app has a terminal: a pseudo-terminal of 120 x 40, whose other
end another process reads. Speed is the number of training steps in the time of a turn; what the app needs to appear
and to go away is off the clock.

The app is the workbench's own, on the Train screen of that run: it reads the run directory's new lines in a thread of
its own and draws two charts, figures, events and the log anew, at most `--hz` times a second.

That is the part `beside`. `--only first,attach,bytes,chart,table,quit` measures what the screen costs by itself:
see `tests/bench/screen_parts.py`. `--only all` measures these six.
"""

import asyncio
import bisect
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from tests.bench import common
from tests.bench.common import StoppedError, say, spread
from workbench.profile import load
from workbench.runs.directory import run_ids
from workbench.training import session
from workbench.training.observer import Snapshot, StopRequest
from workbench.tui.app import Workbench
from workbench.tui.settings import Settings

BAR = 0.97
PARTS = ("first", "attach", "bytes", "chart", "table", "quit")
COLUMNS, ROWS = 120, 40
LEAD_SECONDS = 1.0
"""After the app has appeared, or has gone: then the clock starts."""
CHILD = "CNNWB_BENCH_SCREEN_REPORT"
"""Set for the process inside the pseudo-terminal: where it is to write its report."""


def main() -> None:
    parser = common.parser(__doc__)
    parser.set_defaults(seconds=4.0)
    parser.add_argument("--models", default="resnet18,mobilenet_v2", help="default resnet18,mobilenet_v2")
    parser.add_argument("--size", type=int, default=32, help="pixels (default 32: many short steps)")
    parser.add_argument("--threads", default="", help="CPU threads of the run, default 1,2 (as far as there are)")
    parser.add_argument("--batch", type=int, default=0, help="images a step, default 128 on a GPU and 32 on a CPU")
    parser.add_argument("--hz", type=float, default=2.0, help="redraws a second at most (default 2)")
    parser.add_argument(
        "--switch", type=float, default=0.0, help="interpreter's switch interval in seconds, else as is"
    )
    parser.add_argument(
        "--only", default="beside", help="beside (default), or of first, attach, bytes, chart, table, quit; all: these"
    )
    parser.add_argument("--points", type=int, default=1_000_000, help="of each of the eight runs of the part chart")
    parser.add_argument("--runs", type=int, default=10_000, help="of the part table")
    options = parser.parse_args()
    if options.only != "beside":
        parts(options)
    if CHILD in os.environ:
        Path(os.environ[CHILD]).write_text(json.dumps(measure_all(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report = in_a_terminal(sys.argv[1:], Path(folder))
    for case in report["cases"]:
        say(describe(case))
    common.finish(report, options.out)


def parts(options: Any) -> NoReturn:
    """Measure the parts that are no comparison, say what was found, and end."""
    from tests.bench import screen_parts

    wanted = PARTS if options.only == "all" else tuple(common.names(options.only))
    if unknown := set(wanted) - set(PARTS):
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}, and beside")
    report = {"benchmark": "screen", **common.surroundings(common.choose_device("cpu")), "only": list(wanted)}
    report["parts"] = screen_parts.measure(wanted, options)
    report["holds"] = all(part["holds"] for part in report["parts"].values())
    for name, part in report["parts"].items():
        say(screen_parts.describe(name, part))
    common.finish(report, options.out)


def in_a_terminal(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run this module again in a pseudo-terminal, reading what it draws as a terminal would; returns its report."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.screen", *arguments],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env={**os.environ, CHILD: str(folder / "report.json"), "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )  # fmt: skip
    os.close(terminal)
    drawn, tail = 0, b""
    with contextlib.suppress(OSError):  # the other end is closed
        while content := os.read(controller, 65536):
            drawn, tail = drawn + len(content), (tail + content)[-4000:]
    os.close(controller)
    if child.wait() != 0:
        raise SystemExit(f"the benchmark ended with {child.returncode}:\n{tail.decode(errors='replace')}")
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return {**report, "bytes_drawn": drawn}


def measure_all(options: Any) -> dict[str, Any]:
    """The report, from inside the terminal."""
    device = common.choose_device(options.device)
    report = {"benchmark": "screen", **common.surroundings(device), "bar": BAR}
    report |= {"hz": options.hz, "terminal": f"{COLUMNS} x {ROWS}"}
    if options.switch:
        sys.setswitchinterval(options.switch)
    report["switch_interval"] = sys.getswitchinterval()
    batch = options.batch or (128 if device.type == "cuda" else 32)
    counts = common.numbers(options.threads) or ([1, 2] if device.type == "cpu" else [0])
    cases = []
    for model in common.names(options.models):
        for threads in counts:
            case = {"model": model, "size": options.size, "batch": batch, "threads": threads}
            cases.append(measured(case, options))
    judged = [case for case in cases if "ratio" in case]
    for case in judged:
        case["holds"] = case["ratio"]["median"] >= BAR
    return {**report, "cases": cases, "holds": bool(judged) and all(case["holds"] for case in judged)}


def measured(case: dict[str, Any], options: Any) -> dict[str, Any]:
    """`case` with its figures, or with the reason why there are none."""
    with common.random_images(400 * case["batch"]), tempfile.TemporaryDirectory() as folder:
        run = ThreadedRun({**case, "device": options.device}, Path(folder))
        try:
            run.wait_until_it_trains()
            return {**case, **take_turns(run, options)}
        except StoppedError as reason:
            return {**case, "skipped": str(reason)}
        finally:
            run.end()


class ThreadedRun:
    """A run in a thread of its own, and an observer that notes when each step was done."""

    def __init__(self, values: dict[str, Any], folder: Path) -> None:
        self.device = common.choose_device(values["device"])
        self.root = folder / "runs"
        self.stop = StopRequest()
        self.times: list[float] = []
        self.epochs: list[int] = []
        self.problem: str | None = None
        path = folder / "bench.toml"
        path.write_text(common.PROFILE.format(dataset="cifar10", root="", lr=common.LEARNING_RATE, **values))
        self.profile = path
        self.thread = threading.Thread(target=self.train, name="training")
        self.thread.start()

    def train(self) -> None:
        try:
            outcome = session.start_run(load(self.profile, environ={}), self.root, self, self.stop)
            self.problem = outcome.error or f"the run {outcome.state}"
        except Exception as error:  # noqa: BLE001  # told by the main thread
            self.problem = str(error)

    def note(self, text: str) -> None:
        pass

    def epoch_done(self, record: dict[str, Any]) -> None:
        pass

    def progress(self, snapshot: Snapshot) -> None:
        if snapshot.phase == "train":
            self.epochs.append(snapshot.epoch)
            self.times.append(time.perf_counter())  # last: what is found here has its epoch

    def wait_until_it_trains(self) -> None:
        while len(self.times) < common.warm_up(self.device) + 1:
            self.check()
            time.sleep(0.05)

    def check(self) -> None:
        if self.problem is not None:
            raise StoppedError(self.problem)

    def steps_between(self, start: float, end: float) -> float | None:
        """Training steps from `start` to `end`, with parts of the first and last; None if an epoch ended meanwhile."""
        while not self.times or self.times[-1] < end:
            self.check()
            time.sleep(0.01)
        count = len(self.times)
        times = self.times[:count]
        first, last = bisect.bisect(times, start), bisect.bisect(times, end)
        if first == 0 or self.epochs[first - 1] != self.epochs[last]:
            return None

        def position(moment: float, index: int) -> float:
            return index + (moment - times[index - 1]) / (times[index] - times[index - 1])

        return position(end, last) - position(start, first)

    @property
    def path(self) -> Path:
        return self.root / run_ids(self.root)[0]

    def end(self) -> None:
        self.stop.set("the measurement is over")
        self.thread.join()


def take_turns(run: ThreadedRun, options: Any) -> dict[str, Any]:
    """Steps a second with the app and without it, in turns whose order changes."""
    speeds: dict[bool, list[float]] = {True: [], False: []}
    shares: list[float] = []
    for turn in range(options.blocks):
        for with_app in (True, False) if turn % 2 == 0 else (False, True):
            steps = None
            while steps is None:
                if with_app:
                    start, end, busy = shown(Shown(run.path, options.hz), options.seconds)
                else:
                    time.sleep(LEAD_SECONDS)
                    start = time.perf_counter()
                    time.sleep(options.seconds)
                    end = time.perf_counter()
                steps = run.steps_between(start, end)
            speeds[with_app].append(steps / (end - start))
            if with_app:
                shares.append(busy / (end - start))
    pairs = zip(speeds[True], speeds[False], strict=True)
    return {
        "ratio": spread([beside / alone for beside, alone in pairs]),
        "steps_per_second_beside": spread(speeds[True])["median"],
        "steps_per_second_alone": spread(speeds[False])["median"],
        "screen_share_of_a_core": spread(shares)["median"],
    }


def shown(app: "Shown", seconds: float) -> tuple[float, float, float]:
    """Run `app` for a while: (start, end, seconds of this thread's computing time in between)."""
    marks: list[tuple[float, float]] = []

    async def live() -> None:
        await asyncio.sleep(LEAD_SECONDS)
        marks.append((time.perf_counter(), time.thread_time()))
        await asyncio.sleep(seconds)
        marks.append((time.perf_counter(), time.thread_time()))
        app.exit()

    app.while_shown = live
    app.run()
    if len(marks) < 2:
        raise StoppedError(f"the screen ended by itself: {app.return_value}")
    (start, before), (end, after) = marks
    return start, end, after - before


class Shown(Workbench):
    """The workbench's own app, on the Train screen of one run."""

    def __init__(self, run: Path, hz: float) -> None:
        super().__init__(run.parent, Settings(screen="train", hz=hz), preload=False)
        self.run_id = run.name
        self.while_shown: Any = None

    def on_mount(self) -> None:
        self.open_run(self.run_id)
        self.run_worker(self.while_shown())


def describe(case: dict[str, Any]) -> str:
    """A line for a person."""
    what = f"{case['model']} {case['size']} px, {case['threads'] or 'default'} threads"
    if "skipped" in case:
        return f"{what}: skipped, {case['skipped']}"
    low, high = case["ratio"]["quartiles"]
    return (
        f"{what}: {case['ratio']['median']:.3f} ({low:.3f} to {high:.3f}), "
        f"the screen's thread takes {case['screen_share_of_a_core']:.1%} of a core"
    )


if __name__ == "__main__":
    main()
