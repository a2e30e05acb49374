"""Several processes that train one network: `torchrun --standalone --nproc-per-node=N -m workbench --headless ...`.

Rank 0 alone writes. A batch is cut into one part a rank, gradients are averaged by DistributedDataParallel with each
rank's share weighed by its images, and each step's sums are added over the ranks, so that all ranks see the same
figures and judge a step alike. What a person or a clock decides (stop, pause, save) is agreed on at steps that all
ranks know.

A mistake that only one rank can see ends all of them with its text (`together`); so does an error in mid-run, which a
rank leaves behind as its last word (`settle`). A rank that ends without one was killed.
"""

import itertools
import math
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from workbench.base.errors import UserError
from workbench.base.ranks import several
from workbench.data.splits import Batch

T = TypeVar("T")

TIMEOUT_VARIABLE = "CNNWB_RANK_TIMEOUT"
TIMEOUT_SECONDS = 600.0
"""How long a rank waits for the others before the run fails; the variable above changes it."""
MEETING_SECONDS = 300.0
"""How long at least they wait for each other at the start: one may have to load its libraries from a slow disk."""
GRACE_SECONDS = 3.0
"""How long rank 0 waits for the last words of the others once it has lost one."""
LOOK_SECONDS = 0.05

LOST_TOUCH = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out waiting")
"""What an error says, in small letters, that is about the way to another rank; torch has no class for all of them."""


class RankError(UserError):
    """What ended another rank and ends this one too."""

    def __init__(self, text: str, exit_code: int = 1, trace: str | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.trace = trace
        """Where in the other rank's program it happened, if that is worth knowing."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run. The default is a run of one process, for which everything here is free."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    seconds: float = TIMEOUT_SECONDS
    store: Any = field(default=None, compare=False, repr=False)
    """A table that all ranks read and write, which stays when the connections between them break."""

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and decides."""
        return self.rank == 0

    def own_device(self, device: torch.device) -> torch.device:
        """The device of this rank: one GPU each where the run is on GPUs. ValueError where there are too few."""
        if self.world == 1 or device.type != "cuda":
            return device
        count = torch.cuda.device_count()
        if self.local_rank >= count:
            raise ValueError(f"each process needs a GPU of its own; this machine has {count}")
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        return device

    # Figures on the device

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, on each; `values` stays. On a GPU nothing waits for it."""
        if self.world == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Give each tensor, in place, the values that it has on rank 0."""
        if self.world == 1:
            return
        for tensor in tensors:
            whole = tensor.contiguous()
            dist.broadcast(whole, 0)
            tensor.copy_(whole)

    # Plain values between the hosts' memories

    def share(self, value: T) -> list[T]:
        """Every rank's `value`, in the order of ranks, on each. Any plain value; waits for all ranks."""
        if self.world == 1:
            return [value]
        told: list[Any] = [None] * self.world
        try:
            dist.all_gather_object(told, value, group=_host_group())
        except RuntimeError as error:
            raise self.settle(error) from None
        return told

    def tell(self, value: T) -> T:
        """Rank 0's `value`, on every rank. Any plain value; waits for all ranks."""
        return self.share(value if self.leads else None)[0]  # type: ignore[return-value]  # the first is rank 0's

    def first(self, value: T | None) -> T | None:
        """The first rank's `value` that is not None, on every rank; waits for all ranks."""
        return next((told for told in self.share(value) if told is not None), None)

    def smallest(self, value: int) -> int:
        """The smallest `value` of all ranks, on each; waits for all ranks."""
        return min(self.share(value))

    def insist(self, **same: str) -> None:
        """UserError on every rank, with the name, where a value is not the same on all of them."""
        told = self.share(same)
        for name in same:
            other = next((rank for rank, theirs in enumerate(told) if theirs[name] != told[0][name]), None)
            if other is not None:
                raise UserError(
                    f"rank {other} has another {name} than rank 0: all processes need the same profile, command line, "
                    "CNNWB_ variables and files"
                )

    # What one rank does and all have to know

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that all ranks leave well or none: an error on one rank is raised on each.

        No rank may wait for another inside it.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as problem:
            if self.world == 1:
                raise
            error = problem
        try:
            mistakes = self.share(None if error is None else (in_words(error), int(getattr(error, "exit_code", 1))))
        finally:
            if error is not None:
                raise error  # also where nobody is left to hear of it
        for rank, mistake in enumerate(mistakes):
            if mistake is not None:
                text, exit_code = mistake
                raise RankError(f"rank {rank}: {text}", exit_code)

    def in_turn(self, make: Callable[[], T]) -> T:
        """`make()` on rank 0 and then on the others, who find what rank 0 has left on the disk.

        The others wait as long as it takes: a download or a first look at a million images may take hours.
        """
        made: list[T] = []
        done = f"turn/{next(_turns)}"
        with self.together():
            if self.leads:
                try:
                    made.append(make())
                finally:
                    if self.store is not None:
                        self.store.set(done, "")
            else:
                while not self.store.check([done]):
                    time.sleep(LOOK_SECONDS)
        with self.together():
            if not self.leads:
                made.append(make())
        return made[0]

    # The network

    def wrap(self, network: nn.Module, device: torch.device, *, exact: bool) -> Callable[[Tensor], Any]:
        """The network as the step calls it: with gradients averaged over the ranks, where there are several.

        `exact`: a resumed run has to have the same gradients to the bit.
        """
        if self.world == 1:
            return network
        ids = [device.index] if device.type == "cuda" else None
        # Each forward pass begins with the running statistics of rank 0 (torch's default): what each rank saw differs,
        # and rank 0's are those in the checkpoint.
        try:
            wrapped = DistributedDataParallel(network, device_ids=ids)
        except RuntimeError as error:
            raise self.settle(error) from None
        if exact and self.world > 2:  # the sum of two has but one order
            wrapped.register_comm_hook(None, average_in_order)
        return wrapped

    def gradients_stay_here(self, forward: Callable[[Tensor], Any]) -> AbstractContextManager[None]:
        """Inside, backward adds to this rank's gradients only: for all parts of a batch but the last."""
        forward = getattr(forward, "_orig_mod", forward)  # what torch.compile wraps
        if isinstance(forward, DistributedDataParallel):
            context: AbstractContextManager[None] = forward.no_sync()
            return context
        return nullcontext()

    # The end

    def settle(self, problem: Exception) -> Exception:
        """The error that ends this rank: `problem`, or what became of the rank that it shows to be lost.

        Leaves this rank's last word for rank 0 to tell.
        """
        if self.world == 1 or isinstance(problem, RankError):
            return problem
        lost = is_lost_touch(problem)
        with suppress(RuntimeError):  # the table is gone where it was kept by a rank that is
            self.store.set(_word(self.rank), "" if lost else _last_word(problem))
        if not lost:
            return problem
        return self._what_became(problem) if self.leads else RankError("another rank was lost")

    def _what_became(self, problem: Exception) -> RankError:
        """Why rank 0 lost a rank, from what the others have left behind."""
        words = self._last_words()
        for rank, word in words.items():
            if word:
                line, _, trace = word.partition("\n")
                return RankError(f"rank {rank} failed: {line}", trace=trace or None)
        return RankError(self._of_the_silent([r for r in range(1, self.world) if r not in words], problem))

    def _of_the_silent(self, silent: list[int], problem: Exception) -> str:
        """What probably became of ranks that left no word, in one line."""
        if not silent:
            return f"the processes lost touch with each other ({in_words(problem)})"
        names = f"rank{'s' if len(silent) > 1 else ''} {', '.join(map(str, silent))} of {self.world}"
        if "timed out" in str(problem).lower():
            return (
                f"{names} gave no sign of life for {self.seconds:g} s ({TIMEOUT_VARIABLE}): hanging, stopped, or the "
                "network between the machines is down"
            )
        return (
            f"{names} ended without a word, as a process does that is killed: by kill -9, or by the system for want of "
            "memory (dmesg tells)"
        )

    def _last_words(self) -> dict[int, str]:
        """Rank -> its last word, empty where it only noticed that another was lost. Waits a moment for them."""
        words: dict[int, str] = {}
        deadline = time.monotonic() + GRACE_SECONDS
        with suppress(RuntimeError):
            while len(words) < self.world - 1 and not any(words.values()) and time.monotonic() < deadline:
                for rank in range(1, self.world):
                    if rank not in words and self.store.check([_word(rank)]):
                        words[rank] = self.store.get(_word(rank)).decode()
                time.sleep(LOOK_SECONDS)
        return words


_turns = itertools.count()
_joined: Ranks | None = None
_hosts: Any = None


def join(device: torch.device) -> Ranks:
    """Meet the other processes that torchrun started; `Ranks()` where there are none. Leave with `leave`.

    ValueError for a device on which processes cannot train together, UserError where they do not meet.
    """
    global _joined
    if not several():
        return Ranks()
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"several processes train on GPUs of CUDA or on the CPU, not on {device.type}; use cpu")
    if _joined is None:
        seconds = _timeout()
        patience = timedelta(seconds=max(seconds, MEETING_SECONDS))
        try:
            store, rank, world = next(rendezvous("env://", timeout=patience))
            dist.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=PrefixStore("group", store),
                rank=rank,
                world_size=world,
                timeout=timedelta(seconds=seconds),
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the processes of the run could not meet ({in_words(error)}); "
                "start them with: torchrun --standalone --nproc-per-node=N -m workbench --headless ..."
            ) from None
        local = int(os.environ.get("LOCAL_RANK", rank))
        _joined = Ranks(rank, world, local, seconds, PrefixStore("workbench", store))
    return _joined


def leave() -> None:
    """End the group of processes, if there is one."""
    global _joined, _hosts
    _joined = _hosts = None
    if dist.is_initialized():
        dist.destroy_process_group()


def average_in_order(
    _: Any,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # torch looks for this very annotation
) -> torch.futures.Future[Tensor]:
    """A bucket of gradients averaged in the order of ranks; DistributedDataParallel calls it.

    Its own sum goes round the ranks and begins at another one in each part of a bucket, and buckets are put together
    anew after the first step of a process: so the first step after a resume would differ in the last bit.
    """
    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    gathered = dist.all_gather(parts, own, async_op=True).get_future()

    def average(_: Any) -> Tensor:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total.div_(len(parts))

    future: torch.futures.Future[Tensor] = gathered.then(average)
    return future


def filled(batch: Batch) -> Batch:
    """A rank's part of a batch with two images at least, which is what batch norm needs; to be weighed by the old part.

    One image is taken twice. Where there is none, two made-up ones keep the rank in step with the others; all of their
    weight is 0.
    """
    if len(batch) >= 2:
        return batch
    if len(batch) == 1:
        twice = [None if t is None else torch.cat((t, t)) for t in (batch.other, batch.share)]
        return Batch(torch.cat((batch.images, batch.images)), torch.cat((batch.labels, batch.labels)), *twice)
    shape = (2, *batch.images.shape[1:])
    images = torch.linspace(-1.0, 1.0, math.prod(shape))
    return Batch(images.reshape(shape).to(batch.images), batch.labels.new_zeros(2))


def in_words(error: Exception) -> str:
    """An exception as one line: a person's mistake as it is, anything else with its kind."""
    text = " ".join(str(error).split())
    if hasattr(error, "exit_code"):
        return text
    return f"{type(error).__name__}: {text.partition('. ')[0]}" if text else type(error).__name__


def is_lost_touch(error: Exception) -> bool:
    """Whether an error is about the connection to another rank, whoever is to blame."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in LOST_TOUCH)


def _word(rank: int) -> str:
    return f"word/{rank}"


def _last_word(error: Exception) -> str:
    """What a rank that fails leaves behind: a line, and below it the traceback of what is no person's mistake."""
    line = in_words(error)
    return line if hasattr(error, "exit_code") else "\n".join([line, *traceback.format_exception(error)])


def _timeout() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE, str(TIMEOUT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"environment: {TIMEOUT_VARIABLE}: must be a number of seconds above 0 (got {text})")
    return seconds


def _host_group() -> Any:
    """A group that passes plain values between the hosts' memories, whatever the gradients travel by."""
    global _hosts
    if _hosts is None:
        _hosts = dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
    return _hosts
