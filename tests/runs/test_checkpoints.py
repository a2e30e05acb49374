"""Checkpoint files: whatever is interrupted or damaged, an earlier whole one is found and nothing wrong is loaded."""

import builtins
import contextlib
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench.runs import checkpoints, files
from workbench.runs.checkpoints import CheckpointStore


def content(number: int) -> bytes:
    return b"checkpoint %d " % number * 50


def save(store: CheckpointStore, number: int, *, last: bool = True, best: bool = False) -> None:
    store.save(lambda file: file.write(content(number)), last=last, best=best, step=100 * number)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def whole(folder: Path) -> dict[str, bytes]:
    """Every checkpoint of the folder, after proof that each agrees with its sidecar."""
    found = {path.name: path.read_bytes() for path in folder.glob("*.pt") if not path.name.startswith("new")}
    for name in found:
        assert files.sha256_of(folder / name) in (folder / f"{name}.sha256").read_text(), name
    return found


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(checkpoints.os, "link", refuse)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync is a call like others, but not waited for: what is simulated is a killed process, not a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class CrashError(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it and tidy up."""


class CrashAt:
    """Let the n-th system call of a save fail: everything before it has happened, nothing after it does."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        after: int,
        error: BaseException | None = None,
        once: bool = False,
    ) -> None:
        self.left, self.error, self.once = after, error or CrashError(), once
        self.crashed = False
        for owner, name in (
            (os, "replace"),
            (os, "fsync"),
            (os, "link"),
            (os, "unlink"),
            (Path, "unlink"),
            (builtins, "open"),
        ):
            monkeypatch.setattr(owner, name, self.guard(getattr(owner, name)))

    def guard(self, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if (self.crashed and not self.once) or (self.left == 0 and not self.crashed):
                self.crashed = True  # a dead process does not tidy up either
                raise self.error
            self.left -= 1
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("keep", [2, 3])
@pytest.mark.parametrize("best", [False, True], ids=["", "best"])
def test_a_crash_at_any_moment_of_a_save_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool, keep: int, links: bool
) -> None:
    if not links:
        refuse_links(monkeypatch)
    calls = 0
    for after in range(100):
        folder = tmp_path / str(after)
        store = CheckpointStore(folder, keep)
        save(store, 0)
        save(store, 1, best=True)
        save(store, 2)
        with pytest.MonkeyPatch.context() as patch:
            crash = CrashAt(patch, after)
            with contextlib.suppress(CrashError):
                save(store, 3, best=best)
        found = CheckpointStore(folder, keep).newest_good()
        assert found.path is not None
        assert found.path.read_bytes() in (content(2), content(3))
        assert found.complaints == ()
        there = whole(folder)
        assert there["best.pt"] in (content(1), content(3))
        assert len({there[name] for name in there if name != "best.pt"}) >= keep - 1
        if not crash.crashed:
            calls = after
            break
        again = CheckpointStore(folder, keep)
        if after % 2:  # a resume looks first; a save alone must do as well
            again.newest_good()
        save(again, 4)
        there = whole(folder)
        assert there["last.pt"] == content(4)
        assert there["previous.pt"] in (content(2), content(3))
        assert len({there[name] for name in there if name != "best.pt"}) == keep
        assert not [name for name in names(folder) if name.endswith(".tmp") or name.startswith("new")]
    assert calls > 8  # the loop ran into every call of a save and through the end of one
    assert found.path.read_bytes() == content(3)


@pytest.mark.parametrize("keep", [2, 3])
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_disk_that_fails_at_any_moment_of_a_save_keeps_the_checkpoints_and_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int, links: bool
) -> None:
    """One system call fails, as on a disk that is full for a moment, and the same store goes on."""
    if not links:
        refuse_links(monkeypatch)
    for after in range(100):
        folder = tmp_path / str(after)
        store = CheckpointStore(folder, keep)
        for number in (0, 1, 2):
            save(store, number)
        with pytest.MonkeyPatch.context() as patch:
            hiccup = CrashAt(patch, after, error=OSError(28, "No space left on device"), once=True)
            with contextlib.suppress(OSError):
                save(store, 3, best=True)
        if not hiccup.crashed:
            break
        whole(folder)
        found = CheckpointStore(folder, keep).newest_good()
        assert found.path is not None
        assert found.path.read_bytes() in (content(2), content(3))
        save(store, 4)
        there = whole(folder)
        assert there["last.pt"] == content(4)
        assert there["previous.pt"] in (content(2), content(3))
        assert len({there[name] for name in there if name != "best.pt"}) == keep
    assert after > 8


def test_every_flipped_bit_is_noticed_and_the_previous_one_is_used(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    rng = random.Random(0)
    good = (tmp_path / "last.pt").read_bytes()
    for _ in range(200):
        damaged = bytearray(good)
        damaged[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        (tmp_path / "last.pt").write_bytes(damaged)
        found = CheckpointStore(tmp_path).newest_good()
        assert found.path is not None
        assert found.path.name == "previous.pt"
        assert found.complaints == ("last.pt: its SHA-256 does not agree: it is damaged",)


def test_a_damaged_last_does_not_push_out_the_good_previous(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    (tmp_path / "last.pt").write_bytes(b"rubbish")
    again = CheckpointStore(tmp_path)
    assert again.newest_good().path == tmp_path / "previous.pt"
    save(again, 3)
    assert (tmp_path / "previous.pt").read_bytes() == content(1)
    assert (tmp_path / "last.pt").read_bytes() == content(3)


def test_the_sidecar_is_what_sha256sum_checks(tmp_path: Path) -> None:
    save(CheckpointStore(tmp_path), 1, best=True)
    for name in ("last.pt", "best.pt"):
        assert (tmp_path / f"{name}.sha256").read_text() == f"{files.sha256_of(tmp_path / name)}  {name}\n"


def test_best_alone_leaves_last_as_it_was(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2, last=False, best=True)
    assert (tmp_path / "last.pt").read_bytes() == content(1)
    assert (tmp_path / "best.pt").read_bytes() == content(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.pt",
        "best.pt.sha256",
        "last.pt",
        "last.pt.sha256",
    ]


def test_without_hard_links_best_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_links(monkeypatch)
    save(CheckpointStore(tmp_path), 1, best=True)
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "last.pt").read_bytes() == content(1)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_the_newest_three_stay_under_their_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        refuse_links(monkeypatch)
    store = CheckpointStore(tmp_path, keep=3)
    for number in range(1, 6):
        save(store, number)
    there = whole(tmp_path)
    assert there == {
        "last.pt": content(5),
        "previous.pt": content(4),
        "step-300.pt": content(3),
        "step-400.pt": content(4),
        "step-500.pt": content(5),
    }
    assert names(tmp_path) == sorted([*there, *(f"{name}.sha256" for name in there)])
    files_on_disk = {(tmp_path / name).stat().st_ino for name in there}
    assert len(files_on_disk) == (3 if links else 5)  # a second name takes no room


def test_older_ones_are_found_newest_first_when_both_names_are_damaged(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=5)
    for number in (1, 2, 9, 10, 11):  # as text, step-200 comes after step-1100
        save(store, number)
    for number, name in ((11, "last.pt"), (10, "previous.pt")):
        (tmp_path / name).write_bytes(b"rubbish")  # and with it the link of that step
        assert (tmp_path / f"step-{number}00.pt").read_bytes() == b"rubbish"
    again = CheckpointStore(tmp_path, keep=5)
    found = again.newest_good()
    assert found.path == tmp_path / "step-900.pt"
    assert [complaint.partition(":")[0] for complaint in found.complaints] == [
        "last.pt",
        "previous.pt",
        "step-1100.pt",
        "step-1000.pt",
    ]
    # The resumed run saves before where it had been: what was past that belongs to a past that was taken back.
    save(again, 9)
    assert sorted(path.name for path in tmp_path.glob("step-*.pt")) == ["step-100.pt", "step-200.pt", "step-900.pt"]
    assert again.newest_good() == checkpoints.Found(tmp_path / "last.pt", ())


def test_a_directory_written_with_two_is_gone_on_with_under_more_and_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    more = CheckpointStore(tmp_path, keep=3)
    assert more.newest_good().path == tmp_path / "last.pt"
    save(more, 3)
    save(more, 4)
    assert whole(tmp_path) == {
        "last.pt": content(4),
        "previous.pt": content(3),
        "step-300.pt": content(3),
        "step-400.pt": content(4),
    }
    fewer = CheckpointStore(tmp_path)
    save(fewer, 5)
    assert whole(tmp_path) == {"last.pt": content(5), "previous.pt": content(4)}
    assert not [name for name in names(tmp_path) if name.startswith("step")]


def test_more_than_two_need_their_steps(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs its step"):
        CheckpointStore(tmp_path, keep=3).save(lambda file: file.write(b"x"), last=True, best=False)


def test_last_is_there_at_every_moment_for_whoever_reads_it(tmp_path: Path) -> None:
    """Fine-tuning from, or copying, the last.pt of a run that trains."""
    store = CheckpointStore(tmp_path)
    save(store, 0)
    missing, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            if not (tmp_path / "last.pt").exists():
                missing.append(True)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1, 60):
        save(store, number)
    stop.set()
    reader.join()
    assert not missing


def test_what_a_killed_save_left_is_taken_away(tmp_path: Path) -> None:
    save(CheckpointStore(tmp_path), 1)
    for name in (".new.pt.123.tmp", "new.pt", "new-second.pt", ".step-100.pt.sha256.9.tmp", "mine.pt", ".keep.tmp"):
        (tmp_path / name).write_bytes(b"x")
    save(CheckpointStore(tmp_path), 2)
    assert [name for name in names(tmp_path) if "sha256" not in name] == [
        ".keep.tmp",
        "last.pt",
        "mine.pt",
        "previous.pt",
    ]


def test_a_finished_run_may_leave_none_behind(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    store = CheckpointStore(folder, keep=3)
    store.clear()  # before there was any
    for number in (1, 2, 3):
        save(store, number, best=True)
    (folder / "mine.pt").write_bytes(b"x")
    store.clear()
    assert names(folder) == ["mine.pt"]
    (folder / "mine.pt").unlink()
    save(store, 4)
    store.clear()
    assert not folder.exists()


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)

    def fail(file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        store.save(fail, last=True, best=True)
    assert store.newest_good().path == tmp_path / "last.pt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "last.pt.sha256"]


def test_no_checkpoint_is_no_complaint(tmp_path: Path) -> None:
    found = CheckpointStore(tmp_path / "checkpoints").newest_good()
    assert found == checkpoints.Found(None, ())
