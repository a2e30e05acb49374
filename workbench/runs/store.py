"""All runs of a folder: the list, what changed since, and the one that a person means.

    store = RunStore(Path("runs"))
    store.runs()      # every run as a row, oldest first
    store.watch()     # what changed since the last look; cheap enough for several times a second

The list comes from the index as far as the files are what they were (see `index`), and each run that is live is looked
at anew. Run directories are the truth: whatever reads or writes them, and whenever, the next look shows it.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.directory import find_run, is_run_id
from workbench.runs.index import VERSION, Index, Signature, place_of_index
from workbench.runs.liveness import Heartbeats, State, ended, state_of
from workbench.runs.reading import read_ending
from workbench.runs.run import Run, read_clean_json, too_new
from workbench.runs.summarise import summarise
from workbench.runs.summary import Summary
from workbench.runs.user import User, read_user

_SWEEP = 200
"""Runs that are no longer live and that one `watch` checks for a change: ten thousand are through after fifty."""
_RACY_NS = 50_000_000
"""A file changed so shortly before it was read may change again without a new time of change: it is not trusted."""

_NOBODY = User()


@dataclass(frozen=True)
class Changes:
    """What is different since the last look."""

    added: list[Summary]
    changed: list[Summary]
    removed: list[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass
class _Known:
    signature: Signature
    summary: Summary


class RunStore:
    """The runs in `root`; none where there is no such folder. Not safe for several threads at once."""

    def __init__(self, root: Path, *, index: Path | None = None) -> None:
        """`index`: file for the index, else where `index.place_of_index` says."""
        self.root = root
        place = index.parent if index else place_of_index(root) if root.is_dir() else None
        self._cache = place / "history" if place else None
        self._index = Index(index or place / f"runs-{VERSION}.sqlite") if place else None
        self._heartbeats = Heartbeats()
        self._known: dict[str, _Known] = {}
        self._live: set[str] = set()
        self._listed_at = -1
        self._loaded = False
        self._sweep_from = 0

    def runs(self) -> list[Summary]:
        """Every run, oldest first. Runs in the trash and hidden folders are none."""
        if not self._loaded:
            self._load()
        names = self._names()
        self._look_at(names, gone=self._known.keys() - set(names))
        return self._in_order()

    def watch(self) -> Changes:
        """What changed since the last `runs` or `watch`: at once for new, removed and live runs, soon for others."""
        if not self._loaded:
            return Changes(self.runs(), [], [])
        gone: set[str] = set()
        fresh: list[str] = []
        listed_at = self._time_of_list()
        if listed_at != self._listed_at:
            there = set(self._names())
            gone, fresh = self._known.keys() - there, sorted(there - self._known.keys())
        names = [name for name in dict.fromkeys([*fresh, *sorted(self._live), *self._turn()]) if name not in gone]
        before = set(self._known)
        changed = self._look_at(names, gone)
        gone |= before - self._known.keys()
        new = set(fresh)
        return Changes(
            [summary for summary in changed if summary.id in new],
            [summary for summary in changed if summary.id not in new],
            sorted(gone),
        )

    def find(self, reference: str) -> Run:
        """The run that `reference` means: an id, a unique beginning of one, `last`, `best`, `best:ARCH`, or a path.

        The best is the finished run with the highest best accuracy. UserError, in one clean line, where there is none.
        """
        kind, _, arch = reference.partition(":")
        if kind == "best":
            return self.run(self._best(arch).id)
        return self.run(find_run(self.root, reference))

    def run(self, which: str | Path) -> Run:
        """The run with this id, or in this directory, whether there is one or not."""
        path = which if isinstance(which, Path) else self.root / which
        return Run(path, self._heartbeats, self._cache)

    def _best(self, arch: str) -> Summary:
        finished = [run for run in self.runs() if run.state == "finished" and run.best_top1 is not None]
        chosen = [run for run in finished if not arch or run.arch == arch]
        if not chosen:
            what = f"of {clean(arch, 60)} " if arch else ""
            raise UserError(f"no finished run {what}in {self.root} has an accuracy")
        return max(chosen, key=lambda run: (run.best_top1 or 0.0, run.id))

    def _load(self) -> None:
        self._loaded = True
        if self._index is not None:
            self._known = {name: _Known(*row) for name, row in self._index.load().items()}
            self._live = {name for name, known in self._known.items() if known.summary.live}

    def _names(self) -> list[str]:
        """The names that may be runs. The time of the list is taken before it: what comes meanwhile is seen next."""
        self._listed_at = self._time_of_list()
        try:
            with os.scandir(self.root) as entries:
                return sorted(entry.name for entry in entries if is_run_id(entry.name))
        except OSError:
            return []

    def _time_of_list(self) -> int:
        try:
            return os.stat(self.root).st_mtime_ns
        except OSError:
            return -1

    def _look_at(self, names: Iterable[str], gone: Iterable[str]) -> list[Summary]:
        """Bring these runs up to date; returns those that are different."""
        gone = list(gone)
        different: list[Summary] = []
        to_save: list[tuple[Signature, Summary]] = []
        now = time.time_ns()
        for name in names:
            known, signature = self._known.get(name), _signature(f"{self.root}/{name}", now)
            if known and signature and known.signature == signature and not known.summary.live:
                continue
            summary = self._read(name, signature)
            if summary is None:
                gone += [name] if known else []
                continue
            if known is None or summary != known.summary:
                different.append(summary)
            if not summary.live and (known is None or known.signature != signature or summary != known.summary):
                to_save.append((signature, summary))
            self._known[name] = _Known(signature, summary)
            (self._live.add if summary.live else self._live.discard)(name)
        for name in gone:
            self._known.pop(name, None)
            self._live.discard(name)
        if self._index is not None and (to_save or gone):
            self._index.save(to_save, gone)
        return different

    def _read(self, name: str, signature: Signature) -> Summary | None:
        """The row of a run, read from its files; None where it is none, or no longer there."""
        path = f"{self.root}/{name}"
        facts = read_clean_json(f"{path}/run.json")
        if not facts and not os.path.isfile(f"{path}/run.json"):
            return None
        status = read_clean_json(f"{path}/status.json")
        if not facts:
            state = State("unknown", "its run.json cannot be read")
        elif newer := too_new(facts):
            state = newer
        else:
            ending = read_ending(path)
            state = ended(ending) if ending else state_of(Path(path), None, status, self._heartbeats)
        profile = None if "profile" in facts else Run(Path(path)).profile
        user = _NOBODY if signature.endswith("/-") else read_user(Path(path))
        return summarise(name, facts, status, user, state, profile)

    def _turn(self) -> list[str]:
        """The next few of all runs, so that each is looked at now and then."""
        names = list(self._known)
        if not names:
            return []
        first = self._sweep_from % len(names)
        self._sweep_from = first + _SWEEP
        return names[first : first + _SWEEP]

    def _in_order(self) -> list[Summary]:
        return sorted((known.summary for known in self._known.values()), key=lambda run: (run.created, run.id))


def _signature(path: str, now: int) -> Signature:
    """Changes when status.json or user.json does; empty, which fits nothing, while they may change without a trace.

    Both are only ever replaced. A file changed within the file system's clock tick may change again in the same.
    """
    parts = []
    for name in ("status.json", "user.json"):
        try:
            found = os.stat(f"{path}/{name}")
        except OSError:
            parts.append("-")
            continue
        if abs(now - found.st_mtime_ns) < _RACY_NS:
            return ""
        parts.append(f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}")
    return "/".join(parts)
