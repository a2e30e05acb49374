"""Whether the batch fits the device, found out before the first step."""

from collections.abc import Callable, Sequence

import torch

from workbench.data.splits import part_of
from workbench.training.fit import synthetic
from workbench.training.job import Job


def probe(job: Job, spans: Sequence[tuple[int, int]], note_smaller_parts: Callable[[int, int], None]) -> None:
    """Make one step of random images as large as the first of `spans`, and take back all that it did.

    An out-of-memory error in mid-run can be survived too, but not one inside the optimiser's first step, which makes
    its state: so as much is taken away meanwhile as Adam would need. `note_smaller_parts` is told the parts of before
    and of now, where the batch has to be split. Does nothing on a CPU, or where the profile sets the parts.
    """
    step, ranks = job.step, job.ranks
    if job.device.type != "cuda" or not step.fit.auto:
        return
    state = [torch.empty_like(p) for p in step.parameters for _ in range(2)]
    images = len(range(*part_of(spans[0], ranks.world - 1, ranks.world)))
    size, classes = job.profile.data.image_size, len(job.dataset.classes)
    batch = synthetic(images, job.dataset.channels, size, classes, job.device)
    job.network.train()
    with ranks.together(), step.alone():
        step.gradients(batch, job.state.step, images)
    step.optimizer.zero_grad(set_to_none=True)
    step.fit.restore()
    own, step.fit.micro = step.fit.micro, ranks.smallest(step.fit.micro)
    if step.fit.micro < own:
        note_smaller_parts(own, step.fit.micro)
    del state
