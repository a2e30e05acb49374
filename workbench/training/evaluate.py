"""A pass over a split: loss, top-1 and top-5, each image once however many processes share it."""

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from workbench.data import Split
from workbench.data.prefetch import prefetch
from workbench.training.job import Job
from workbench.training.metrics import Sums, Totals, batch_sums, objective


def evaluate(
    job: Job, split: Split, *, average: bool, show: Callable[[int, int], None], stop_asked: Callable[[], bool]
) -> Totals | None:
    """The sums over a split, by the averaged weights with `average`; None when asked to stop.

    `show` is told after each batch how many are done, of how many.
    """
    network, step, ranks = job.network, job.step, job.ranks
    batch_size = job.profile.data.batch_size
    sums = Sums(job.device)
    total = split.steps(batch_size)
    network.eval()
    weights = step.ema.in_place() if average and step.ema else nullcontext()
    look_at, started = 0, time.monotonic()
    batches = split.batches(batch_size, shard=(ranks.rank, ranks.world))
    with weights, torch.inference_mode():
        for done, batch in enumerate(prefetch(batches, job.device), 1):
            if len(batch.labels):
                with step.autocast():
                    output = network(batch.images)
                loss, logits = objective(network, output, batch)
                sums.add(batch_sums(loss, logits, batch.labels))
            show(done, total)
            if look_at <= done < total:
                if stop_asked():
                    return None
                look_at = _next_look(job, done, time.monotonic() - started)
    whole = Sums(job.device)
    whole.add(ranks.sum(sums.vector))
    return whole.read()


def align_statistics(job: Job) -> None:
    """Give all ranks the running statistics, and their moving average, of rank 0: those that it saves."""
    buffers, ema = dict(job.network.named_buffers()), job.step.ema
    job.ranks.align(buffers.values())
    if ema is not None:
        averages = zip(ema.names, ema.average, strict=True)
        job.ranks.align(average for name, average in averages if name in buffers)


def _next_look(job: Job, done: int, seconds: float) -> int:
    """The batch after which all ranks look whether to stop; a single process looks after each."""
    if job.ranks.world == 1:
        return 0
    return job.ranks.tell(done + max(1, int(done / max(seconds, 1e-6) * job.profile.train.flush_seconds)))
