"""The worker: takes jobs from a sweep's folder and trains each in a child process, one a slot at a time.

A slot is a GPU, or a share of the CPU. At most one job is on a slot of this host, whoever started it: a second
worker, or the children of one that was killed, are waited for.

Children have sessions of their own, so that Ctrl-C reaches them once, through the worker; what they print goes to a
file, so that nothing of theirs depends on the worker's life. A signal is passed on; a child then finishes its step,
saves and ends, and its job goes back to the queue.

How a child ended, and what becomes of its job:

    its run is finished                     done/
    after a signal to the worker            queue/, to be resumed
    exit code 75 by itself (preempted)      queue/, and taken again
    killed by a signal                      queue/, and not taken again by this worker: the same command resumes it
    anything else                           failed/, until --retry
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.base import exits
from workbench.base.cpu import cpu_cores
from workbench.base.text import clean
from workbench.profile.sources import PREFIX, RESERVED
from workbench.runs import journal
from workbench.runs.reading import last_ending
from workbench.runs.units import clock
from workbench.sweep.past import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from workbench.sweep.folder import Claim, SweepFolder

PROGRAM = (sys.executable, "-m", "workbench")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP)

POLL_SECONDS = 0.1
RECOVER_SECONDS = 2.0
"""How often the claims of others are looked at."""


@dataclass(frozen=True)
class Slot:
    """Room for one job at a time."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    """Variables for the child."""
    threads: int = 0
    """CPU threads for a job whose profile does not say; 0: torch's own choice."""


def visible_gpus(environ: Mapping[str, str] | None = None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may say for one GPU each: its own entries, else as many as nvidia-smi lists."""
    environ = os.environ if environ is None else environ
    if "CUDA_VISIBLE_DEVICES" in environ:
        found: list[str] = []
        for entry in environ["CUDA_VISIBLE_DEVICES"].split(","):
            if not entry.strip() or entry.strip() == "-1":  # CUDA stops at the first that is none
                break
            found.append(entry.strip())
        return found
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = answer.stdout.splitlines() if answer.returncode == 0 else []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in lines))]


def make_slots(gpus: Sequence[str], jobs: int | None) -> list[Slot]:
    """One slot a GPU, or `jobs` of them spread over the GPUs; without GPUs `jobs` (1) shares of the CPU."""
    if gpus:
        return [_gpu_slot(gpus, number) for number in range(jobs or len(gpus))]
    count = jobs or 1
    threads = max(1, cpu_cores() // count) if count > 1 else 0
    return [Slot(f"cpu{number}", {}, threads) for number in range(count)]


def _gpu_slot(gpus: Sequence[str], number: int) -> Slot:
    """Called after the GPU, so that workers that see different ones are not in each other's way."""
    turn, place = divmod(number, len(gpus))
    name = re.sub(r"[^a-z0-9]+", "-", gpus[place].lower()).removeprefix("gpu-")
    return Slot(f"gpu{name}" + (f".{turn + 1}" if turn else ""), {"CUDA_VISIBLE_DEVICES": gpus[place]})


@dataclass
class _Child:
    claim: Claim
    slot: Slot
    process: subprocess.Popen[bytes]
    started: float


class Worker:
    """Works until the queue is empty or a signal asks it to stop."""

    def __init__(
        self,
        folder: SweepFolder,
        slots: Sequence[Slot],
        note: Callable[[str], None],
        *,
        own_threads: frozenset[str] = frozenset(),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`own_threads`: jobs whose profile says how many threads; `note` is told a line at each start and end."""
        self.folder, self.slots, self.note = folder, list(slots), note
        self.own_threads, self.program = own_threads, list(program)
        self.total = len(folder.jobs())
        self.children: list[_Child] = []
        self.tried: Counter[str] = Counter()
        self.left: set[str] = set()
        """Killed while this worker had them: not taken again."""
        self.exit_codes: dict[str, int] = {}
        """Job -> the exit code of its last child, 128 + n for one that signal n killed."""
        self.stop: int | None = None
        """The first signal that asked to stop."""
        self._signals: list[int] = []
        self._recovered = float("-inf")

    @property
    def exit_code(self) -> int | None:
        """What the program ends with because of a signal; None where there was none."""
        return None if self.stop is None else exits.exit_code(self.stop)

    def run(self) -> None:
        """Everything that can be taken, until there is no more."""
        with self._listening():
            while True:
                self._look_after()
                if self.stop is None:
                    self._fill()
                if self._over():
                    return
                time.sleep(POLL_SECONDS)

    def run_one(self, claim: Claim, slot: Slot) -> int:
        """One job that is claimed already; returns its exit code."""
        with self._listening():
            self._start(claim, slot)
            while self.children:
                self._look_after()
                time.sleep(POLL_SECONDS)
        return self.exit_codes.get(claim.job, 0)

    def _look_after(self) -> None:
        """Pass signals on, settle the children that have ended and, now and then, what the dead have left."""
        while self._signals:
            number = self._signals.pop(0)
            for child in self.children:
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(number)
        for child in [child for child in self.children if child.process.poll() is not None]:
            self.children.remove(child)
            self._end(child)
        if time.monotonic() - self._recovered >= RECOVER_SECONDS:
            self.folder.recover()
            self._recovered = time.monotonic()

    def _over(self) -> bool:
        if self.children:
            return False
        return self.stop is not None or not (self._waiting() or self._others_here())

    def _waiting(self) -> list[str]:
        """Jobs to take, those first that were tried least."""
        waiting = [job for job in self.folder.waiting() if job not in self.left]
        return sorted(waiting, key=lambda job: (self.tried[job], job))

    def _others_here(self) -> set[str]:
        """Slots of this host on which somebody else's jobs are."""
        own = {child.claim.folder for child in self.children}
        return {claim.slot for claim in self.folder.claims() if claim.here and claim.folder not in own}

    def _fill(self) -> None:
        """Give every free slot a job."""
        waiting = self._waiting()
        if not waiting or len(self.children) == len(self.slots):
            return
        taken = self._others_here() | {child.slot.name for child in self.children}
        for slot in [slot for slot in self.slots if slot.name not in taken]:
            while waiting:
                claim = self.folder.claim(waiting.pop(0), slot.name)
                if claim is not None:
                    self._start(claim, slot)
                    break

    def _start(self, claim: Claim, slot: Slot) -> None:
        """The child of a claimed job, unless its run turns out to be finished."""
        job = claim.job
        self.tried[job] += 1
        run = self.folder.run_of(job)
        if run is not None and last_ending(run) == "finished":
            self.folder.settle(claim, "done")
            return
        command = [*self.program, "--headless", "--runs", str(self.folder.root)]
        if run is not None:
            command += ["--resume", run.name]
        else:
            command += ["--profile", str(claim.path)]
            if slot.threads and job not in self.own_threads:
                command += ["--train.threads", str(slot.threads)]
        try:
            process = self._launch(command, claim, slot)
        except (OSError, subprocess.SubprocessError) as error:
            self.left.add(job)
            self.exit_codes[job] = 1
            self.folder.settle(claim, "queue")
            self._say(job, f"could not be started: {error}")
            return
        self.children.append(_Child(claim, slot, process, time.monotonic()))
        how = f"goes on with {run.name}" if run else "started"
        self._say(job, f"{how} on {slot.name}")

    def _launch(self, command: list[str], claim: Claim, slot: Slot) -> subprocess.Popen[bytes]:
        with open(self.folder.log(claim.job), "ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(slot),
                start_new_session=True,
                preexec_fn=lambda: self.folder.hand_over(claim),  # this program has no other threads
            )

    def _end(self, child: _Child) -> None:
        """Put the job of a child that has ended where it belongs, and say how it went."""
        job, code = child.claim.job, child.process.returncode
        self.exit_codes[job] = code if code >= 0 else 128 - code
        run = self.folder.find_run(job)
        ending = last_ending(run) if run else None
        seconds = time.monotonic() - child.started
        if ending == "finished":
            place, text = "done", self._finished(run, seconds)
        elif self.stop is not None and ending != "failed":
            place, text = "queue", f"stopped after {clock(seconds)}; the same command goes on with it"
        elif code == exits.PREEMPTED:
            place, text = "queue", f"preempted after {clock(seconds)}; back in the queue"
        elif code < 0:
            self.left.add(job)
            name = _signal_name(-code)
            place, text = "queue", f"killed by {name} after {clock(seconds)}; the same command goes on with it"
        else:
            place, text = "failed", f"failed after {clock(seconds)}: {reason(self.folder, job, run)}"
        self.folder.settle(child.claim, place)
        self._say(job, text)

    def _finished(self, run: Path | None, seconds: float) -> str:
        figure = figures(run) if run else None
        accuracy = f": test top-1 {figure.test_top1:.2%}" if figure and figure.test_top1 is not None else ""
        return f"finished in {clock(seconds)}{accuracy}"

    def _say(self, job: str, text: str) -> None:
        places = Counter(self.folder.places().values())
        self.note(f"[{places['done']}/{self.total} done] {job} {text}")

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Handle the signals that ask to stop, and put the old handlers back."""
        # Under nohup SIGHUP is ignored, and stays so.
        wanted = [n for n in STOPPING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._asked) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.stop = self.stop or number
        self._signals.append(number)


def reason(folder: SweepFolder, job: str, run: Path | None) -> str:
    """Why a job has failed, in one line: its run's own words, else the last line that its child printed."""
    if run is not None:
        for record in reversed(journal.read(run / "events.jsonl").records):
            if record.get("event") == "failed":
                return clean(str(record.get("error", "")), 200)
            if record.get("event") in ("stopped", "preempted"):
                return f"its run was {record['event']} by {clean(str(record.get('cause', 'somebody')), 40)}"
    try:
        lines = folder.log(job).read_bytes()[-20_000:].decode("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    return clean(said[-1], 200) if said else f"nothing was said in {folder.log(job)}"


def _environment(slot: Slot) -> dict[str, str]:
    """Ours without the settings of a profile: they are in the job's profile already, and would change it twice."""
    kept = {name: text for name, text in os.environ.items() if not name.upper().startswith(PREFIX) or name in RESERVED}
    return kept | slot.environment


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
