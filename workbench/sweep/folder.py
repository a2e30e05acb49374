"""The folder of a sweep: `<runs>/.sweeps/<name>/`. Its files are the only thing that workers share.

    sweep.json                   once: schema, what was asked for, the jobs and what is to be said about each
    queue/<job>.toml             a resolved profile that waits
    claimed/<host>-<slot>-<pid>/ holder.json, and the one job that this slot of this process works on
    done/<job>.toml              its run is finished
    failed/<job>.toml            its run has failed, or was stopped by a person
    begun/<job>.run              the id of its run, whatever became of it
    logs/<job>.log               what the child printed

The folder appears whole, by a rename. A job is claimed by renaming its file out of queue/: of two that try one gets
FileNotFoundError and takes the next. A claim lives as long as the sweep's process or the child that it started
(both in holder.json: host, boot id, pid, start ticks). What a dead claim held goes where its run says: done/, failed/
or back to the queue. On another host nobody can tell the dead from the living, so such a claim stays until a person
takes it over.

The run of a job is found by its own run.json: `argv` has the path of the claimed profile in it, from the instant the
run directory exists, and whoever was killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.base.errors import UserError, did_you_mean
from workbench.profile import dump
from workbench.runs.directory import ensure_writable, is_run_id, run_ids
from workbench.runs.files import write_atomically, write_json
from workbench.runs.lock import is_alive, own_identity
from workbench.runs.reading import last_ending, read_json
from workbench.sweep.plan import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.sweep.plan import Job

SCHEMA = 1
SWEEPS = ".sweeps"
"""Hidden, so that no reader of runs takes it for one."""
PLACES = ("queue", "claimed", "done", "failed")
"""Where a job can be, in the order in which it moves."""


@dataclass(frozen=True)
class Claim:
    """A job in somebody's hands."""

    job: str
    folder: Path
    holder: dict[str, Any]

    @property
    def path(self) -> Path:
        """The profile, which the child is given."""
        return self.folder / f"{self.job}.toml"

    @property
    def slot(self) -> str:
        return str(self.holder.get("slot", ""))

    @property
    def here(self) -> bool:
        """Whether it is held on this host."""
        worker = self.holder.get("worker")
        return isinstance(worker, dict) and worker.get("host") == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the process that claimed it, or the child that it started, may still be there."""
        worker, child = self.holder.get("worker"), self.holder.get("child")
        if not isinstance(worker, dict) or is_alive(worker):
            return True
        return isinstance(child, dict) and is_alive(child)

    @property
    def by(self) -> str:
        """Who holds it, in words."""
        worker = self.holder.get("worker")
        if not isinstance(worker, dict):
            return "an unknown process"
        return f"pid {worker.get('pid')} on {worker.get('host')}"


class SweepFolder:
    """A sweep on the disk. Any number of processes may have it open."""

    def __init__(self, root: Path, name: str) -> None:
        """`root` is the runs folder; nothing is read yet."""
        self.root = root.absolute()
        self.name = name
        self.path = self.root / SWEEPS / name

    @classmethod
    def create(cls, root: Path, name: str, jobs: Sequence[Job], asked: dict[str, Any]) -> SweepFolder:
        """The sweep of that name, new or as it stands. UserError for a name that is taken by other jobs."""
        folder = cls(root, checked_name(name))
        ensure_writable(folder.root)
        if not (folder.path / "sweep.json").is_file():
            folder._publish(jobs, asked)
        folder.check(jobs)
        return folder

    @classmethod
    def open(cls, root: Path, name: str) -> SweepFolder:
        """A sweep that exists. UserError with the nearest name where there is none."""
        folder = cls(root, name)
        if not is_run_id(name) or not (folder.path / "sweep.json").is_file():
            known = sorted(path.parent.name for path in folder.root.glob(f"{SWEEPS}/[!.]*/sweep.json"))
            raise UserError(f'no sweep "{name}" in {root}{did_you_mean(name, known)}')
        return folder

    def check(self, jobs: Sequence[Job]) -> None:
        """UserError if the sweep on the disk has other jobs than these."""
        if self.facts().get("digest") != digest(jobs):
            raise UserError(
                f"sweep {self.name} has other jobs than these (its folder: {self.path}); give another --name, or none"
            )

    def facts(self) -> dict[str, Any]:
        """sweep.json. UserError for one that cannot be read or is of a newer version."""
        facts = read_json(self.path / "sweep.json")
        schema = facts.get("schema")
        if not isinstance(schema, int):
            raise UserError(f"{self.path / 'sweep.json'} is damaged; give another --name, or delete the sweep's folder")
        if schema > SCHEMA:
            raise UserError(f"{self.path} was made by a newer version of this program")
        return facts

    def jobs(self) -> list[str]:
        """Every job's id, in the order of the plan."""
        listed = self.facts().get("jobs")
        names = [job.get("id") for job in listed if isinstance(job, dict)] if isinstance(listed, list) else []
        return [name for name in names if isinstance(name, str) and is_run_id(name)]

    def places(self) -> dict[str, str]:
        """Job -> one of `PLACES`. A job between two of them is looked for once more."""
        found = self._look()
        return found if len(found) >= len(self.jobs()) else found | self._look()

    def _look(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for place in PLACES:
            pattern = "*/*.toml" if place == "claimed" else "*.toml"
            found |= {path.stem: place for path in (self.path / place).glob(pattern)}
        return found

    def waiting(self) -> list[str]:
        """Jobs in the queue, in the order of the plan."""
        return sorted(path.stem for path in (self.path / "queue").glob("*.toml"))

    def claims(self) -> list[Claim]:
        """Who works on what."""
        paths = sorted((self.path / "claimed").glob("*/*.toml"))
        return [Claim(path.stem, path.parent, read_json(path.parent / "holder.json")) for path in paths]

    def claim(self, job: str, slot: str, *, place: str = "queue") -> Claim | None:
        """Take a job out of `place` for this process; None where another was faster."""
        folder = self._claim_folder(slot)
        holder = {"schema": SCHEMA, "slot": slot, "worker": own_identity(), "child": None}
        write_json(folder / "holder.json", holder)
        claim = Claim(job, folder, holder)
        try:
            os.rename(self.path / place / f"{job}.toml", claim.path)
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return claim

    def _claim_folder(self, slot: str) -> Path:
        host = re.sub(r"[^a-z0-9.]+", "-", socket.gethostname().lower()) or "host"
        stem = f"{host}-{slot}-{os.getpid()}"
        for number in range(1, 1000):
            path = self.path / "claimed" / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):  # of a dead process that had our pid
                path.mkdir(parents=True)
                return path
        raise UserError(f"{self.path / 'claimed'} is full of folders of dead processes; delete them")

    def hand_over(self, claim: Claim) -> None:
        """Say in the claim that this process, the child, works on it.

        To be called between fork and exec, which keep pid and start time: no kill can leave a child unknown.
        """
        write_json(claim.folder / "holder.json", {**claim.holder, "child": own_identity()}, durable=False)

    def settle(self, claim: Claim, place: str) -> bool:
        """Put a claimed job into queue, done or failed; False where somebody else has done so already."""
        try:
            os.rename(claim.path, self.path / place / claim.path.name)
        except FileNotFoundError:
            return False
        shutil.rmtree(claim.folder, ignore_errors=True)
        return True

    def recover(self, *, take_over: bool = False, only: str | None = None) -> list[str]:
        """Settle what the dead have claimed, and with `take_over` also what other hosts hold; returns the jobs.

        `only`: look at this job alone.
        """
        freed: list[str] = []
        for claim in self.claims():
            if only not in (None, claim.job) or (claim.alive and not (take_over and not claim.here)):
                continue
            if self.settle(claim, self.outcome(claim.job)):
                freed.append(claim.job)
        return freed

    def outcome(self, job: str) -> str:
        """Where a job belongs that nobody works on any more, by the ending that its run has written."""
        run = self.find_run(job)
        ending = last_ending(run) if run else None
        return {"finished": "done", "failed": "failed"}.get(ending or "", "queue")

    def retry(self) -> list[str]:
        """Put what has failed back into the queue; returns the jobs."""
        return [path.stem for path in sorted((self.path / "failed").glob("*.toml")) if self._move(path, "queue")]

    def finish(self, job: str, run: str) -> bool:
        """Note for a job that waits, or has failed, that another run has answered it already."""
        write_atomically(self.path / "begun" / f"{job}.run", run.encode() + b"\n", durable=False)
        return any(self._move(self.path / place / f"{job}.toml", "done") for place in ("queue", "failed"))

    def _move(self, path: Path, place: str) -> bool:
        try:
            os.rename(path, self.path / place / path.name)
        except FileNotFoundError:
            return False
        return True

    def run_of(self, job: str) -> Path | None:
        """The directory of the run that is known to be the job's, if it is still there."""
        try:
            name = (self.path / "begun" / f"{job}.run").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        path = self.root / name
        return path if is_run_id(name) and (path / "run.json").is_file() else None

    def find_run(self, job: str) -> Path | None:
        """The same, and where none is known the newest run that was started with the job's profile."""
        known = self.run_of(job)
        if known is not None:
            return known
        for name in reversed(run_ids(self.root)):
            argv = read_json(self.root / name / "run.json").get("argv")
            if isinstance(argv, list) and any(self._is_profile(word, job) for word in argv):
                with contextlib.suppress(OSError):  # a full disk: it is found again the next time
                    write_atomically(self.path / "begun" / f"{job}.run", name.encode() + b"\n", durable=False)
                return self.root / name
        return None

    def _is_profile(self, word: Any, job: str) -> bool:
        """Whether a word of a command line is the claimed profile of the job, under whatever path it is mounted."""
        if not isinstance(word, str) or not word.endswith(f"/{job}.toml"):
            return False
        return Path(word).parts[-5:-2] == (SWEEPS, self.name, "claimed")

    def log(self, job: str) -> Path:
        return self.path / "logs" / f"{job}.log"

    def _publish(self, jobs: Sequence[Job], asked: dict[str, Any]) -> None:
        """Make the folder, whole; where another process was faster, its own stands."""
        sweeps = self.root / SWEEPS
        sweeps.mkdir(exist_ok=True)
        hidden = sweeps / f".new-{self.name}-{secrets.token_hex(4)}"
        try:
            for name in (*PLACES, "begun", "logs"):
                (hidden / name).mkdir(parents=True)
            for job in jobs:
                header = f"Job {job.id} of sweep {self.name}"
                (hidden / "queue" / f"{job.id}.toml").write_text(dump(job.profile, header=header), encoding="utf-8")
            write_json(hidden / "sweep.json", self._record(jobs, asked))
            os.rename(hidden, self.path)
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            if not (self.path / "sweep.json").is_file():
                raise UserError(f"cannot create {self.path}: {error.strerror or error}") from None

    def _record(self, jobs: Iterable[Job], asked: dict[str, Any]) -> dict[str, Any]:
        listed = list(jobs)
        return {
            "schema": SCHEMA,
            "name": self.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "cwd": str(Path.cwd()),
            "asked": asked,
            "digest": digest(listed),
            "jobs": [{"id": job.id, **job.facts} for job in listed],
        }


def checked_name(name: str) -> str:
    """A sweep's name, if it may be a folder's. UserError else."""
    if not is_run_id(name):
        raise UserError(f'a sweep\'s name has small letters, digits, ".", "_" and "-", at most 80 (got "{name[:90]}")')
    return name
