"""Checkpoint files: whatever is interrupted or damaged, an earlier whole one is found and nothing wrong is loaded."""

import builtins
import contextlib
import os
import random
from pathlib import Path
from typing import Any

import pytest

from workbench.runs import checkpoints, files
from workbench.runs.checkpoints import CheckpointStore


def content(number: int) -> bytes:
    return b"checkpoint %d " % number * 50


def save(store: CheckpointStore, number: int, *, last: bool = True, best: bool = False) -> None:
    store.save(lambda file: file.write(content(number)), last=last, best=best)


class CrashError(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it and tidy up."""


class CrashAt:
    """Let the n-th system call of a save fail: everything before it has happened, nothing after it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left, self.after = after, after
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
            if self.crashed or self.left == 0:
                self.crashed = True  # a dead process does not tidy up either
                raise CrashError
            self.left -= 1
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("best", [False, True])
def test_a_crash_at_any_moment_of_a_save_leaves_a_whole_checkpoint(tmp_path: Path, best: bool) -> None:
    steps = 0
    for after in range(100):
        folder = tmp_path / str(after)
        store = CheckpointStore(folder)
        save(store, 1, best=True)
        save(store, 2)
        with pytest.MonkeyPatch.context() as patch:
            crash = CrashAt(patch, after)
            with contextlib.suppress(CrashError):
                save(store, 3, best=best)
        found = CheckpointStore(folder).newest_good()
        assert found.path is not None
        assert found.path.read_bytes() in (content(2), content(3))
        assert found.complaints == ()
        best_bytes = (folder / "best.pt").read_bytes()
        assert best_bytes in (content(1), content(3))
        assert files.sha256_of(folder / "best.pt") in (folder / "best.pt.sha256").read_text()
        if not crash.crashed:
            steps = after
            break
        after_crash = CheckpointStore(folder)
        after_crash.newest_good()
        save(after_crash, 4)
        assert (folder / "last.pt").read_bytes() == content(4)
    assert steps > 8  # the loop ran into every call of a save and through the end of one
    assert found.path.read_bytes() == content(3)


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
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(checkpoints.os, "link", refuse)
    save(CheckpointStore(tmp_path), 1, best=True)
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "last.pt").read_bytes() == content(1)


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
