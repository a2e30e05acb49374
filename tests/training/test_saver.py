"""Checkpoints beside the training: what is saved is what was there when it was asked for, and nothing is lost."""

import errno
import io
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workbench.runs import files
from workbench.runs.checkpoints import CheckpointStore
from workbench.training import saver as saver_module
from workbench.training.saver import Saver, SaveResult, snapshot, write_checkpoint


def tag(step: int) -> dict[str, Any]:
    return {"step": step, "epoch": step // 10}


def numbered(step: int) -> dict[str, Any]:
    return {"model": {"w": torch.full((1000,), float(step))}, "state": {"step": step}}


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def steps(results: list[SaveResult]) -> list[int]:
    return [result.tag["step"] for result in results]


class GatedStore(CheckpointStore):
    """A slow disk: a save begins when it is let, and tells that it has come so far."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        super().__init__(folder, keep)
        self.begun = threading.Semaphore(0)
        self.may_write = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []
        self.together = 0

    def save(self, write: Any, **how: Any) -> None:
        self.threads.append(threading.current_thread())
        self.together += 1
        assert self.together == 1, "two saves at once"
        self.begun.release()
        assert self.may_write.acquire(timeout=30)
        try:
            super().save(write, **how)
        finally:
            self.together -= 1


@contextmanager
def slow_disk(folder: Path, keep: int = 2) -> Iterator[tuple[Saver, GatedStore]]:
    """Lets every save go on at the end, so that a failed test leaves no thread behind."""
    store = GatedStore(folder, keep)
    saver = Saver(store)
    try:
        yield saver, store
    finally:
        for _ in range(20):
            store.may_write.release()
        saver.wait()


# What is saved


def test_what_is_saved_is_what_was_there_and_not_what_came_after(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        network(torch.randn(4, 3, 8, 8)).square().mean().backward()
        optimizer.step()

    def content() -> dict[str, Any]:
        return {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "counts": [optimizer.step.__name__]}

    step()
    asked = io.BytesIO()
    torch.save(content(), asked)
    with slow_disk(tmp_path) as (saver, store):
        saver.submit(content(), last=True, best=False, tag=tag(1))
        assert store.begun.acquire(timeout=30)
        for _ in range(3):  # the training goes on while the disk does nothing
            step()
        store.may_write.release()
        saver.wait()
    assert (tmp_path / "last.pt").read_bytes() == asked.getvalue()


def test_containers_that_change_in_place_do_not_change_the_snapshot() -> None:
    live: dict[str, Any] = {"state": {"step": 1, "best": [1, {"top1": 0.5}]}, "t": (torch.ones(2), "x"), "n": None}
    taken, _ = snapshot(live)
    live["state"]["step"] = 2
    live["state"]["best"][1]["top1"] = 0.9
    live["t"][0].zero_()
    assert taken["state"] == {"step": 1, "best": [1, {"top1": 0.5}]}
    assert torch.equal(taken["t"][0], torch.ones(2))
    assert taken["t"][1] == "x"
    assert taken["n"] is None


def test_the_snapshot_is_saved_as_the_original_would_be() -> None:
    """Byte for byte: shared memory, strides, empty and scalar tensors, dtypes, a state dict's versions."""
    torch.manual_seed(0)
    base = torch.randn(6, 4)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    content = {
        "model": network.state_dict(),
        "tied": {"a": base, "b": base.detach(), "transposed": base.t(), "row": base[2]},
        "kinds": [torch.tensor(3), torch.empty(0), torch.empty(0, 3), torch.ones(3, dtype=torch.bfloat16)],
        "parameter": nn.Parameter(torch.ones(2)).detach(),
        "plain": (1, 2.5, "x", True, None),
    }
    before, after = io.BytesIO(), io.BytesIO()
    torch.save(content, before)
    taken, events = snapshot(content)
    torch.save(taken, after)
    assert after.getvalue() == before.getvalue()
    assert events == []
    assert taken["tied"]["a"].untyped_storage().data_ptr() == taken["tied"]["row"].untyped_storage().data_ptr()
    assert taken["tied"]["a"].data_ptr() != base.data_ptr()
    assert taken["model"]._metadata == content["model"]._metadata
    assert taken["model"]["0.weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_part_of_a_large_tensor_does_not_take_the_rest_along() -> None:
    whole = torch.arange(1_000_000.0)
    part = whole[10:14]
    taken, _ = snapshot({"a": part, "again": part, "alias": whole[10:14]})
    assert torch.equal(taken["a"], torch.tensor([10.0, 11.0, 12.0, 13.0]))
    assert taken["a"].untyped_storage().nbytes() == 16
    assert len({taken[name].untyped_storage().data_ptr() for name in taken}) == 1


def test_a_parameter_in_the_content_costs_no_graph() -> None:
    taken, _ = snapshot({"p": nn.Parameter(torch.ones(3)), "q": nn.Parameter(torch.ones(9))[2:4]})
    assert not taken["p"].requires_grad
    assert not taken["q"].requires_grad


# When it is saved


def test_the_training_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    with slow_disk(tmp_path) as (saver, store):
        saver.submit(numbered(1), last=True, best=True, tag=tag(1))  # would hang here if it waited for the disk
        assert store.begun.acquire(timeout=30)
        assert saver.poll() == []
        store.may_write.release()
        saver.wait()
        assert saver.poll() == [SaveResult(tag(1), None)]
        assert saver.poll() == []
        assert store.threads[0] is not threading.current_thread()
        assert not store.threads[0].daemon
    assert load(tmp_path / "last.pt")["state"]["step"] == 1
    assert load(tmp_path / "best.pt")["state"]["step"] == 1


class Copies:
    """Counts the snapshots in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive = self.most = 0
        real = saver_module.snapshot

        def taken(content: Any) -> Any:
            copied, events = real(content)
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(copied["model"]["w"], self.freed)
            return copied, events

        monkeypatch.setattr(saver_module, "snapshot", taken)

    def freed(self) -> None:
        self.alive -= 1


def test_a_newer_one_replaces_one_that_waits_and_memory_holds_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = Copies(monkeypatch)
    with slow_disk(tmp_path) as (saver, store):
        for step in range(1, 6):
            saver.submit(numbered(step), last=True, best=False, tag=tag(step))
            if step == 1:
                assert store.begun.acquire(timeout=30)
        store.may_write.release(2)
        saver.wait()
        assert copies.most == 2
        assert copies.alive == 0
        assert steps(saver.poll()) == [1, 5]
    assert load(tmp_path / "last.pt")["state"]["step"] == 5
    assert load(tmp_path / "previous.pt")["state"]["step"] == 1


@pytest.mark.parametrize(
    ("waiting", "newer", "replaced"),
    [
        ((True, False), (True, False), True),
        ((False, True), (False, True), True),
        ((True, False), (True, True), True),
        ((False, True), (True, True), True),
        ((True, True), (True, True), True),
        ((True, True), (True, False), False),
        ((True, True), (False, True), False),
        ((False, True), (True, False), False),
        ((True, False), (False, True), False),
    ],
)
def test_none_that_was_asked_for_is_dropped_but_for_a_newer_of_its_kind(
    tmp_path: Path, waiting: tuple[bool, bool], newer: tuple[bool, bool], replaced: bool
) -> None:
    with slow_disk(tmp_path) as (saver, store):
        saver.submit(numbered(1), last=True, best=False, tag=tag(1))
        assert store.begun.acquire(timeout=30)
        saver.submit(numbered(2), last=waiting[0], best=waiting[1], tag=tag(2))
        later = threading.Timer(0.1, store.may_write.release, (3,))
        if not replaced:  # submit waits for the disk, which then gets going
            later.start()
        saver.submit(numbered(3), last=newer[0], best=newer[1], tag=tag(3))
        store.may_write.release(3)
        saver.wait()
        assert steps(saver.poll()) == ([1, 3] if replaced else [1, 2, 3])
    wanted = {"last.pt": 1}
    for step, (last, best) in ((2, waiting), (3, newer)):
        wanted |= {"last.pt": step} if last else {}
        wanted |= {"best.pt": step} if best else {}
    assert {name: load(tmp_path / name)["state"]["step"] for name in wanted} == wanted


def test_results_come_in_order_and_steps_name_the_files(tmp_path: Path) -> None:
    saver = Saver(CheckpointStore(tmp_path, keep=4))
    got: list[SaveResult] = []
    for step in range(10, 60, 10):
        saver.submit(numbered(step), last=True, best=step == 20, tag=tag(step))
        saver.wait()
        got += saver.poll()
    assert got == [SaveResult(tag(step), None) for step in range(10, 60, 10)]
    assert sorted(path.name for path in tmp_path.glob("step-*.pt")) == [f"step-{step}.pt" for step in (20, 30, 40, 50)]
    assert load(tmp_path / "best.pt")["state"]["step"] == 20


def test_many_in_a_row_leave_the_last_one_whole_and_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)
    store = CheckpointStore(tmp_path)
    saver = Saver(store)
    before = threading.active_count()
    seen: list[int] = []
    for step in range(1, 301):
        saver.submit(numbered(step), last=True, best=step % 7 == 0, tag=tag(step))
        seen += steps(saver.poll())
    saver.wait()
    seen += steps(saver.poll())
    assert seen == sorted(set(seen))
    assert seen[-1] == 300
    found = store.newest_good()
    assert found.path == tmp_path / "last.pt"
    assert found.complaints == ()
    content = load(found.path)
    assert torch.equal(content["model"]["w"], torch.full((1000,), 300.0))
    assert load(tmp_path / "best.pt")["state"]["step"] == 294  # none that was to be the best was dropped
    for _ in range(1000):  # the thread ends a moment after its last word
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before


# When it cannot be saved


def full_after(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A disk with room for `size` bytes a file."""
    real, written = files._HashingWriter.write, {}

    def write(self: Any, data: Any) -> int:
        written[id(self)] = written.get(id(self), 0) + len(data)
        if written[id(self)] > size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(files._HashingWriter, "write", write)


@pytest.mark.parametrize("size", [0, 100, 3000, 4000])
def test_a_full_disk_is_told_and_the_one_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """torch turns the refusal into a RuntimeError about positions; it must arrive as what it is."""
    store = CheckpointStore(tmp_path)
    saver = Saver(store)
    copies = Copies(monkeypatch)
    saver.submit(numbered(1), last=True, best=True, tag=tag(1))
    saver.wait()
    with monkeypatch.context() as patch:
        full_after(patch, size)
        saver.submit(numbered(2), last=True, best=True, tag=tag(2))
        saver.wait()
    assert copies.alive == 0  # an error that waits to be told holds no snapshot
    first, second = saver.poll()
    assert first.error is None
    assert second.tag == tag(2)
    assert second.error is not None
    assert second.error.errno == errno.ENOSPC
    assert store.newest_good().path == tmp_path / "last.pt"
    assert {path.name: load(path)["state"]["step"] for path in tmp_path.glob("*.pt")} == {"last.pt": 1, "best.pt": 1}
    saver.submit(numbered(3), last=True, best=False, tag=tag(3))  # there is room again
    saver.wait()
    assert saver.poll() == [SaveResult(tag(3), None)]
    assert load(tmp_path / "last.pt")["state"]["step"] == 3
    assert load(tmp_path / "previous.pt")["state"]["step"] == 1


def test_what_waits_is_written_after_one_that_failed(tmp_path: Path) -> None:
    with slow_disk(tmp_path / "not" / "there") as (saver, store):
        saver.submit(numbered(1), last=True, best=False, tag=tag(1))
        assert store.begun.acquire(timeout=30)
        saver.submit(numbered(2), last=True, best=False, tag=tag(2))
        store.may_write.release()
        assert store.begun.acquire(timeout=30)
        store.folder = tmp_path
        store.may_write.release()
        saver.wait()
        failed, written = saver.poll()
    assert isinstance(failed.error, FileNotFoundError)
    assert written == SaveResult(tag(2), None)


@pytest.mark.parametrize("where", ["snapshot", "write_checkpoint"])
def test_too_little_memory_costs_the_checkpoint_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"
        )

    saver = Saver(CheckpointStore(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(saver_module, where, refuse)
        saver.submit(numbered(1), last=True, best=False, tag=tag(1))
        saver.wait()
    [result] = saver.poll()
    assert result.error is not None
    assert result.error.errno == errno.ENOMEM


def test_a_mistake_in_the_program_is_raised_where_the_training_is(tmp_path: Path) -> None:
    saver = Saver(CheckpointStore(tmp_path))
    saver.submit({"f": lambda: None}, last=True, best=False, tag=tag(1))
    saver.wait()
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="lambda|pickle"):
        saver.poll()
    saver.submit(numbered(2), last=True, best=False, tag=tag(2))
    saver.wait()
    assert saver.poll() == [SaveResult(tag(2), None)]


def test_without_a_thread_to_be_had_it_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    saver = Saver(CheckpointStore(tmp_path))
    saver.submit(numbered(1), last=True, best=False, tag=tag(1))
    assert saver.poll() == [SaveResult(tag(1), None)]
    saver.wait()
    assert load(tmp_path / "last.pt")["state"]["step"] == 1


def test_a_write_error_is_not_lost_even_if_torch_forgives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    def forgiving(content: Any, file: Any) -> None:
        with suppress(OSError):
            file.write(b"x")

    monkeypatch.setattr(torch, "save", forgiving)
    with pytest.raises(OSError, match="quota"):
        write_checkpoint({}, Full())


# The end of the program

ENDING = """
import sys, time, torch
from pathlib import Path
from workbench.runs.checkpoints import CheckpointStore
from workbench.training.saver import Saver

class Slow(CheckpointStore):
    def save(self, *a, **k):
        time.sleep(0.3)
        super().save(*a, **k)

saver = Saver(Slow(Path(sys.argv[1])))
for step in (1, 2):
    saver.submit({"step": step, "w": torch.ones(1000)}, last=True, best=False, tag={"step": step})
    time.sleep(0.1)  # the first is being written when the second comes, and it waits
raise SystemExit(3)
"""


def test_a_program_that_ends_first_writes_what_is_pending(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    ended = subprocess.run([sys.executable, "-c", ENDING, str(folder)], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert load(folder / "last.pt")["step"] == 2
    assert load(folder / "previous.pt")["step"] == 1


# On a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_snapshot_from_a_gpu_is_of_its_moment_and_nobody_waits_for_it(tmp_path: Path) -> None:
    weights = torch.full((64, 1024, 1024), 1.0, device="cuda")  # 256 MB
    tied = {"a": weights, "b": weights, "row": weights[3], "step": torch.tensor(5.0)}
    torch.cuda.synchronize()
    taken, events = snapshot(tied)
    weights.add_(1.0)  # queued behind the copy
    for event in events:
        event.synchronize()
    assert taken["a"].is_pinned()
    assert bool((taken["a"] == 1.0).all())
    assert taken["b"].untyped_storage().data_ptr() == taken["row"].untyped_storage().data_ptr()
    assert taken["step"].item() == 5.0
    saver = Saver(CheckpointStore(tmp_path))
    saver.submit(tied, last=True, best=False, tag=tag(1))
    weights.zero_()
    saver.wait()
    assert saver.poll() == [SaveResult(tag(1), None)]
    assert bool((load(tmp_path / "last.pt")["row"] == 2.0).all())
