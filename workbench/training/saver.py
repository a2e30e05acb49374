"""Checkpoints written beside the training: a snapshot is taken at once, its bytes go to the disk on another thread.

    saver.submit(content, last=True, best=False, tag={"step": 1200})    # as long as a copy in memory takes
    for result in saver.poll(): ...                                      # written, or refused by the disk

At most two snapshots are in memory: one being written and one that waits. Everything else a run leaves (events, status)
is written by the training thread, which learns from `poll` what became of a checkpoint.
"""

import copy
import errno
import os
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from torch import Tensor

from workbench.runs.checkpoints import CheckpointStore


@dataclass(frozen=True)
class SaveResult:
    """What became of a checkpoint."""

    tag: dict[str, Any]
    """What the caller gave along."""
    error: OSError | None
    """Why it could not be written; None where it is on the disk."""


@dataclass(frozen=True)
class _Save:
    content: Any
    ready: list[torch.cuda.Event]
    last: bool
    best: bool
    tag: dict[str, Any]


class Saver:
    """Writes checkpoints into `store`, one at a time and in order, on a thread that lives while there is one to write.

    Not a daemon thread: a program that ends waits for it. Only one thread may call the methods, and `store` is the
    saver's until `wait` returns.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._pending: _Save | None = None
        self._working = False
        self._results: deque[SaveResult] = deque()
        self._fault: BaseException | None = None

    def submit(self, content: dict[str, Any], *, last: bool, best: bool, tag: dict[str, Any]) -> None:
        """Save `content` as it is now, as last.pt, as best.pt or as both; returns when it may change again.

        `content`: tensors, plain values, and dicts, lists and tuples of them. `tag` comes back with the result; its
        `step`, if any, is the checkpoint's. While one is being written the next one waits, and gives way to a newer one
        that is saved under at least the same names: it leaves no result. Where the newer one is not, submit waits until
        writing catches up, for no checkpoint that was asked for is dropped.
        """
        with self._changed:
            while self._would_lose(last=last, best=best):
                self._changed.wait()
            self._pending = None  # before the next snapshot is taken: two are all the memory that this may need
        try:
            taken, ready = snapshot(content)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            self._results.append(SaveResult(tag, _no_memory()))
            return
        with self._changed:
            self._pending = _Save(taken, ready, last, best, tag)
            if self._working:
                return
            self._working = True
        try:
            threading.Thread(target=self._work, name="checkpoints", daemon=False).start()
        except RuntimeError:  # the system has no more threads to give
            self._work()

    def poll(self) -> list[SaveResult]:
        """What was finished since the last call, in order. Does not wait.

        Anything but the disk's refusal is a mistake in the program and raised here.
        """
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        return [self._results.popleft() for _ in range(len(self._results))]

    def wait(self) -> None:
        """Until all that was submitted is on the disk, or refused; `poll` then has every result."""
        with self._changed:
            while self._working:
                self._changed.wait()

    def _would_lose(self, *, last: bool, best: bool) -> bool:
        """Whether the one that waits is to be saved under a name that the new one is not."""
        return self._pending is not None and (self._pending.last > last or self._pending.best > best)

    def _work(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """Write the one that waits; False where there is none, and the thread ends."""
        with self._changed:
            save, self._pending = self._pending, None
            self._working = save is not None
            self._changed.notify_all()
        if save is None:
            return False
        try:
            self._write(save)
        except OSError as error:
            # Without its traceback: the frames in it would keep the snapshot alive for as long as the result.
            self._results.append(SaveResult(save.tag, OSError(*error.args)))
        except BaseException as error:  # noqa: BLE001  # raised in the training thread, by poll
            self._fault = error
        else:
            self._results.append(SaveResult(save.tag, None))
        return True

    def _write(self, save: _Save) -> None:
        for event in save.ready:
            event.synchronize()
        try:
            self._store.save(
                lambda file: write_checkpoint(save.content, file),
                last=save.last,
                best=save.best,
                step=save.tag.get("step"),
            )
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise _no_memory() from None


def write_checkpoint(content: Any, file: BinaryIO) -> None:
    """torch.save into an open file. OSError where the file refuses, whatever torch makes of that.

    A file object, not a path: torch.save to a path holds Python's lock for as long as it writes.
    """
    watched = _WatchedFile(file)
    try:
        torch.save(content, watched)  # type: ignore[arg-type]  # write() and flush() are all that it asks of a file
    except RuntimeError:  # torch ends its archive even so, and complains of the wrong position instead
        if not watched.refusal:
            raise
    if watched.refusal:
        raise OSError(*watched.refusal)


class _WatchedFile:
    """Remembers the first refusal of a file: the arguments of its OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.refusal: tuple[Any, ...] = ()

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.refusal = self.refusal or error.args or (str(error),)
            raise

    def flush(self) -> None:
        self.file.flush()


# Snapshots


def snapshot(content: Any) -> tuple[Any, list[torch.cuda.Event]]:
    """(a copy of `content` in main memory, events after which it is there).

    Tensors that share memory share it in the copy too, and strides stay: torch.save writes the same of both. From a
    CUDA device the copies go into pinned memory and are queued on its current stream, so that no step queued there
    later can change them, and nobody waits but who synchronises the events.
    """
    views: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    for tensor in _tensors(content):
        views[_storage(tensor)].add(_view(tensor))
    copies: dict[tuple[Any, ...], Tensor] = {}

    def take(value: Any) -> Any:
        """`value` with the copies in the place of its tensors."""
        if isinstance(value, Tensor):
            storage = _storage(value)
            alone = len(views[storage]) == 1 and value.numel() * value.element_size() < value.untyped_storage().nbytes()
            if alone or value.device.type not in ("cpu", "cuda"):  # a part of a storage that nobody else needs
                key = (storage, *_view(value))
                if key not in copies:
                    copies[key] = _to_main_memory(value.detach())
                return copies[key]
            if (storage,) not in copies:
                copies[(storage,)] = _to_main_memory(_bytes(value))
            return _same_view(value, copies[(storage,)])
        if isinstance(value, dict):
            taken = copy.copy(value)  # of its own kind: a network's state dict carries versions beside its entries
            for key, item in value.items():
                taken[key] = take(item)
            return taken
        if isinstance(value, list | tuple):
            return type(value)([take(item) for item in value])
        return value

    with torch.no_grad():
        taken = take(content)
    return taken, _events(content)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _storage(tensor: Tensor) -> int:
    """The storage behind a tensor, told apart as torch.save does; an address would be 0 for all empty ones."""
    return int(tensor.untyped_storage()._cdata)


def _view(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _bytes(tensor: Tensor) -> Tensor:
    """The whole storage behind a tensor, (bytes,) uint8."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def _same_view(tensor: Tensor, whole: Tensor) -> Tensor:
    """What `tensor` is of its storage, of `whole`: a copy of that storage, (bytes,) uint8."""
    place = tensor.storage_offset(), tensor.size(), tensor.stride()
    return torch.empty(0, dtype=tensor.dtype).set_(whole.untyped_storage(), *place)


def _to_main_memory(tensor: Tensor) -> Tensor:
    if tensor.device.type == "cpu":
        return tensor.clone()
    if tensor.device.type != "cuda":
        return tensor.cpu()
    try:
        pinned = torch.empty_like(tensor, device="cpu", pin_memory=True)
    except RuntimeError:  # the system grants no more pinned memory: then with a wait
        return tensor.cpu()
    return pinned.copy_(tensor, non_blocking=True)


def _events(content: Any) -> list[torch.cuda.Event]:
    devices = {tensor.device for tensor in _tensors(content) if tensor.device.type == "cuda"}
    return [torch.cuda.current_stream(device).record_event() for device in devices]


def _is_out_of_memory(error: BaseException) -> bool:
    """Main memory; torch has no exception of its own for it."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def _no_memory() -> OSError:
    return OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
