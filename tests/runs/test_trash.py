"""The trash: a run is in one place, whole, at every moment; a live one stays; nothing outside is touched."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.base.errors import UserError
from workbench.runs import lock, trash
from workbench.runs.journal import Journal
from workbench.runs.lock import RunLock

ID = "20261122-213059-resnet18-k3f9q2"
HOLD = "import os, sys, time; from pathlib import Path; from workbench.runs.lock import RunLock\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    path.mkdir()
    return path


def make(root: Path, name: str = ID, note: str = "") -> Path:
    path = root / name
    (path / "checkpoints").mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"schema": 1, "id": name, "note": note}))
    (path / "checkpoints" / "last.pt").write_bytes(b"w" * 10_000)
    return path


def write_events(run: Path, *names: str) -> None:
    events = Journal(run / "events.jsonl")
    for name in names:
        events.append({"event": name})
    events.close()


def names(root: Path) -> list[str]:
    return [entry.name for entry in trash.trashed(root)]


def at_once(work: Callable[[], object]) -> list[str]:
    """What two or more get who do the same at the same moment: an empty string, or the line that refuses it."""
    start = threading.Barrier(4)

    def attempt() -> str:
        start.wait()
        try:
            work()
        except UserError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        return [future.result() for future in [pool.submit(attempt) for _ in range(4)]]


# There and back


def test_deleted_restored_and_purged(root: Path) -> None:
    run = make(root)
    assert trash.trashed(root) == []
    before = time.time()
    entry = trash.delete(root, run)
    assert not run.exists()
    assert entry.path == root / ".trash" / ID
    assert (entry.path / "checkpoints" / "last.pt").read_bytes() == b"w" * 10_000
    [listed] = trash.trashed(root)
    assert (listed.name, listed.path) == (ID, entry.path)
    assert before - 2 < listed.deleted < time.time() + 2
    assert listed.size() >= 10_000
    assert trash.restore(root, ID) == run
    assert (run / "checkpoints" / "last.pt").read_bytes() == b"w" * 10_000
    assert trash.trashed(root) == []
    trash.delete(root, run)
    trash.purge(root, [ID])
    assert list((root / ".trash").iterdir()) == []
    assert not run.exists()


def test_the_time_of_deletion_is_not_that_of_the_last_file(root: Path) -> None:
    run = make(root)
    os.utime(run, (1_000_000, 1_000_000))
    trash.delete(root, run)
    assert trash.trashed(root)[0].deleted > time.time() - 60


def test_a_taken_name_gets_a_number_and_comes_back_under_its_own(root: Path) -> None:
    for note in "abc":
        trash.delete(root, make(root, note=note))
    assert sorted(names(root)) == [ID, f"{ID}.2", f"{ID}.3"]
    assert trash.restore(root, f"{ID}.2") == root / ID
    assert json.loads((root / ID / "run.json").read_text())["note"] == "b"
    with pytest.raises(UserError, match=rf"there is a run {ID} already; {ID}\.3 stays in the trash"):
        trash.restore(root, f"{ID}.3")
    assert json.loads((root / ".trash" / f"{ID}.3" / "run.json").read_text())["note"] == "c"
    trash.purge(root, [ID, f"{ID}.3"])
    assert names(root) == []
    assert (root / ID).is_dir()


def test_an_id_that_ends_in_a_number_keeps_it(root: Path) -> None:
    trash.delete(root, make(root, "run-0.2"))
    assert trash.restore(root, "run-0.2") == root / "run-0.2"
    longest = "x" * 80
    for _ in range(2):
        trash.delete(root, make(root, longest))
    assert sorted(names(root)) == [longest, f"{longest}.2"]
    (root / ".trash" / f"{longest}.2" / "run.json").unlink()  # damaged: its name is all that is left
    assert trash.restore(root, f"{longest}.2") == root / longest


def test_a_run_in_the_trash_is_found_by_the_beginning_of_its_name(root: Path) -> None:
    for name in ("alpha-1", "alpha-2", "beta"):
        trash.delete(root, make(root, name))
    assert trash.find_trashed(root, "b").name == "beta"
    assert trash.find_trashed(root, "alpha-1").name == "alpha-1"
    with pytest.raises(UserError, match='"alpha" is the beginning of 2 runs in the trash: alpha-1, alpha-2'):
        trash.find_trashed(root, "alpha")
    with pytest.raises(UserError, match=r'no run "bata" in the trash of .* \(did you mean "beta"\?\)'):
        trash.find_trashed(root, "bata")
    with pytest.raises(UserError, match='no run "" in the trash'):
        trash.find_trashed(root, "")
    with pytest.raises(UserError, match=r"it is empty"):
        trash.find_trashed(root.parent, "last")


def test_what_an_interrupted_purge_left_goes_with_the_next(root: Path) -> None:
    trash.delete(root, make(root))
    make(root / ".trash", ".purging-0badcafe-x")
    assert names(root) == [ID]  # half a run is none
    trash.purge(root, [])
    assert [path.name for path in (root / ".trash").iterdir()] == [ID]


# Several at once


@pytest.mark.parametrize("round_", range(10))
def test_one_of_several_who_delete_wins(root: Path, round_: int) -> None:
    run = make(root)
    said = at_once(lambda: trash.delete(root, run))
    assert said.count("") == 1
    assert all(ID in line and ("is gone" in line or "no run" in line) for line in said if line)
    assert names(root) == [ID]
    assert sorted(path.name for path in root.iterdir()) == [".trash"]


@pytest.mark.parametrize("round_", range(5))
def test_one_of_several_who_restore_wins(root: Path, round_: int) -> None:
    trash.delete(root, make(root))
    said = at_once(lambda: trash.restore(root, ID))
    assert said.count("") == 1
    assert all("is not in the trash any more" in line for line in said if line)
    assert (root / ID / "checkpoints" / "last.pt").is_file()


@pytest.mark.parametrize("round_", range(5))
def test_one_of_several_who_purge_wins(root: Path, round_: int) -> None:
    trash.delete(root, make(root))
    said = at_once(lambda: trash.purge(root, [ID]))
    assert said.count("") >= 1  # one may find the remainder of another's, and finish it
    assert all("is not in the trash any more" in line for line in said if line)
    trash.purge(root, [])
    assert list((root / ".trash").iterdir()) == []


# Trainers


def hold_in_another_process(run: Path, first: str = "") -> subprocess.Popen[str]:
    path = str(run / "lock")
    code = f"{HOLD}held = RunLock.acquire(Path({path!r}))\n{first}\nprint('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_live_run_stays_and_a_killed_one_goes(root: Path) -> None:
    run = make(root)
    holder = hold_in_another_process(run)
    try:
        for force in (False, True):
            with pytest.raises(UserError, match=rf"{ID} is still running \(pid {holder.pid} on .*run stop {ID}"):
                trash.delete(root, run, force=force)
        assert run.is_dir()
    finally:
        holder.kill()
        holder.wait()
    trash.delete(root, run)
    assert names(root) == [ID]


def test_the_orphaned_workers_of_a_dead_trainer_do_not_keep_it(root: Path) -> None:
    run = make(root)
    holder = hold_in_another_process(run, "if os.fork() == 0: time.sleep(20); os._exit(0)")
    child = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
    holder.kill()
    holder.wait()
    try:
        assert not trash._share(os.open(run / "lock", os.O_RDONLY))  # the child has the lock
        began = time.monotonic()
        trash.delete(root, run)
        assert time.monotonic() - began < 5
    finally:
        os.kill(child, 9)


def test_a_trainer_cannot_take_a_run_while_it_is_moved(root: Path) -> None:
    run = make(root)
    RunLock.acquire(run / "lock").release()
    with trash._unused(run, force=False), pytest.raises(UserError, match="is still running"):
        lock.RunLock.acquire(run / "lock")


@pytest.mark.parametrize(
    ("identity", "events", "free"),
    [
        ({}, (), True),  # the lock can be taken, so the one who wrote it is gone
        ({"pid": 1}, (), True),
        ({"boot_id": "another"}, ("started",), True),
        ({"host": "elsewhere"}, ("started",), False),
        ({"host": "elsewhere"}, ("started", "finished"), True),
        ({"host": "elsewhere"}, ("started", "preempted", "resumed"), False),
    ],
)
def test_a_run_of_another_machine_stays_until_it_is_over(
    root: Path, identity: dict[str, object], events: tuple[str, ...], free: bool
) -> None:
    run = make(root)
    (run / "lock").write_text(json.dumps({**lock.own_identity(), **identity}))
    write_events(run, *events)
    if not free:
        with pytest.raises(UserError, match="may still be running .*on elsewhere.*if it is over, add --force"):
            trash.delete(root, run)
        assert run.is_dir()
    trash.delete(root, run, force=not free)
    assert names(root) == [ID]


def test_a_damaged_lock_file_keeps_nobody(root: Path) -> None:
    for number, content in enumerate((b"", b"\xff", b"[]", b'{"host": ["x"]}', b'{"pid": {}}')):
        run = make(root, f"run-{number}")
        (run / "lock").write_bytes(content)
        write_events(run, "finished")
        trash.delete(root, run)
    run = make(root, "run-pipe")
    os.mkfifo(run / "lock")
    trash.delete(root, run)
    assert len(names(root)) == 6


def test_a_run_that_was_started_inside_the_trash_is_not_purged(root: Path) -> None:
    entry = trash.delete(root, make(root))
    held = RunLock.acquire(entry.path / "lock")
    with pytest.raises(UserError, match="is still running"):
        trash.purge(root, [ID])
    held.release()
    (entry.path / "lock").write_text(json.dumps({**lock.own_identity(), "host": f"not-{socket.gethostname()}"}))
    trash.purge(root, [ID])  # that it was deleted says that it is over


# What is not ours


def tree(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def test_only_directories_directly_in_the_folder_are_moved(root: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", "run-outside")
    make(root, "run-here")
    (root / "run-link").symlink_to(outside)
    (root / "run-file").write_text("")
    make(root / "run-here", "run-inner")
    before = tree(tmp_path)
    for wrong, words in (
        (outside, "does not lie directly in the runs folder"),
        (root / "run-here" / "run-inner", "does not lie directly in the runs folder"),
        (root / "run-link", "is a symbolic link"),
        (root / "run-file", "is not a directory"),
        (root / "run-none", "no run"),
        (root, "does not lie directly|no run"),
        (root / "..", "does not lie directly"),
        (Path("/etc"), "does not lie directly"),
        (root / "x\x00y", "does not lie directly"),
        (root / ("a" * 10_000), "does not lie directly"),
        (Path("a/" * 4000) / "run-here", "no run"),
        (root / ".trash", "does not lie directly"),
    ):
        with pytest.raises(UserError, match=words) as refusal:
            trash.delete(root, wrong)
        assert str(refusal.value).isprintable()
    assert tree(tmp_path) == before


def test_a_runs_folder_may_be_a_link_and_a_path_may_wind(root: Path, tmp_path: Path) -> None:
    make(root)
    (tmp_path / "link").symlink_to(root)
    trash.delete(tmp_path / "link", root / ".." / "runs" / ID)
    assert names(root) == names(tmp_path / "link") == [ID]


def test_a_trash_that_leads_elsewhere_is_not_used(root: Path, tmp_path: Path) -> None:
    run = make(root)
    elsewhere = tmp_path / "elsewhere"
    make(elsewhere)
    (root / ".trash").symlink_to(elsewhere)
    before = tree(tmp_path)
    for work in (
        lambda: trash.delete(root, run),
        lambda: trash.trashed(root),
        lambda: trash.restore(root, ID),
        lambda: trash.purge(root, [ID]),
        lambda: trash.purge(root, []),
    ):
        with pytest.raises(UserError, match="it is not a folder of its own"):
            work()
    assert tree(tmp_path) == before


def test_links_in_the_trash_are_left_alone_and_those_inside_a_run_not_followed(root: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", "run-outside")
    run = make(root)
    (run / "checkpoints" / "all").symlink_to(outside)
    (run / "file").symlink_to(outside / "run.json")
    trash.delete(root, run)
    (root / ".trash" / "run-link").symlink_to(outside)
    (root / ".trash" / ".purging-0-x").symlink_to(outside)
    assert names(root) == [ID]
    before = tree(outside)
    for work in (lambda: trash.restore(root, "run-link"), lambda: trash.purge(root, ["run-link"])):
        with pytest.raises(UserError, match="is not a directory of its own"):
            work()
    trash.purge(root, [ID])
    assert tree(outside) == before
    assert not (root / ".trash" / ID).exists()


@pytest.mark.parametrize("name", ["../runs", "..", "", ".", "/etc", "a/b", "A", ".purging-x", "a\n", "x" * 300, "\0"])
def test_no_name_leads_out_of_the_trash(root: Path, tmp_path: Path, name: str) -> None:
    trash.delete(root, make(root))
    before = tree(tmp_path)
    for work in (lambda: trash.restore(root, name), lambda: trash.purge(root, [name])):
        with pytest.raises(UserError, match=r'no run ".*" in the trash'):
            work()
    assert tree(tmp_path) == before


def test_what_the_disk_refuses_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(root)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(trash.os, "mkdir", refuse)
        with pytest.raises(UserError, match=r"cannot use the trash .*: Read-only file system"):
            trash.delete(root, run)
    trash.trashed(root)
    with monkeypatch.context() as patch:
        patch.setattr(trash.os, "rename", refuse)
        with pytest.raises(UserError, match=rf"cannot move {ID} to the trash: Read-only file system"):
            trash.delete(root, run)
    trash.delete(root, run)
    with monkeypatch.context() as patch:
        patch.setattr(trash.os, "rename", refuse)
        with pytest.raises(UserError, match=rf"cannot restore {ID}: Read-only file system"):
            trash.restore(root, ID)
        with pytest.raises(UserError, match=rf"cannot remove all of {ID}: Read-only file system"):
            trash.purge(root, [ID])
    assert names(root) == [ID]
