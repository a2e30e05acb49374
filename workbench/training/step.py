"""One optimiser step: forward, loss, backward, update. Everything a step may need stands here in its order.

    for each part of the batch that fits the device: forward, loss, backward        (fit.py)
    SAM: climb, the same once more from there, come back                             (sam.py)
    clip the gradient, look whether it is finite, update the weights                 (guard.py)
    update the moving average of the weights                                         (ema.py)
    add loss and hits to the sums                                                    (metrics.py)

Nothing in it waits for the device.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from workbench.base.errors import UserError
from workbench.data.splits import Batch
from workbench.profile import Profile
from workbench.training.devices import autocast, reseed
from workbench.training.distributed import Ranks, filled
from workbench.training.ema import Ema
from workbench.training.fit import Fit, is_out_of_memory
from workbench.training.guard import Guard
from workbench.training.metrics import Sums, batch_sums, counted_labels, objective
from workbench.training.optimizers import set_learning_rate
from workbench.training.progressive import Regularisation
from workbench.training.sam import frozen_batch_norm, perturb, restore, unscaled

Forward = Callable[[Tensor], Any]


def compiled(forward: Forward, mode: str) -> Forward:
    """The network through torch.compile, as `train.compile` says."""
    if mode == "off":
        return forward
    whole: Forward = torch.compile(forward, mode=None if mode == "default" else mode)
    return whole


class Step:
    """The step of one network and one optimiser. `forward` is the network as it is called: compiled, or distributed."""

    def __init__(
        self,
        profile: Profile,
        network: nn.Module,
        forward: Forward,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        precision: str,
        fit: Fit,
        ranks: Ranks,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.profile, self.network, self.forward, self.optimizer = profile, network, forward, optimizer
        self.device, self.precision, self.fit, self.ranks = device, precision, fit, ranks
        self.layout = layout
        self.capturing = False
        """While a CUDA graph records the step: what the host decides each time is left to the replay."""
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.unscaled = unscaled(network) if profile.sam.adaptive else set()
        self.guard = Guard(profile.train.on_nan, network, optimizer, device)
        self.sums = Sums(device)
        self.regularisation = Regularisation(network)
        self.ema = Ema(network, profile.train.ema) if profile.train.ema else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.norm: Tensor | None = None
        """Of the gradient of the newest step before clipping, where the step needed to know it."""
        self.newest: list[Tensor] | None = None
        """That gradient, where a CUDA graph holds it; else it is in `.grad`."""

    def run(self, batch: Batch, number: int, factor: float, images: int | None = None) -> None:
        """Step `number` of the run at `factor` times each group's own learning rate.

        `images`: of the whole batch, where this rank has only its share of it.
        """
        set_learning_rate(self.optimizer, factor)
        self.guard.before()
        sums = self.gradients(batch, number, images or len(batch.labels))
        self.update(sums)

    def gradients(self, batch: Batch, number: int, images: int) -> Tensor:
        """The gradient of the batch in `.grad`, and its sums (4,): in smaller parts each time memory runs out."""
        while True:
            self.fit.keep()
            try:
                return self.passes(batch, number, images)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if self.forward is not self.network and self.ranks.world > 1:
                # The others wait for this rank's gradients, some of which may be on their way already.
                size = min(self.fit.micro, len(batch))
                raise UserError(
                    f"out of memory at {size} images at a time in one of several processes; "
                    f"resume with --train.micro_batch {max(size // 2, 1)}"
                )
            # Outside the handler: its traceback would hold the very tensors that there was no room for.
            self.optimizer.zero_grad(set_to_none=True)
            self.fit.restore()
            self.fit.shrink()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def passes(self, batch: Batch, number: int, images: int) -> Tensor:
        """One pass, or SAM's two: the gradient at the worst point near the weights instead of at the weights."""
        sums = self.accumulate(batch, number, images)
        sam = self.profile.sam
        if sam.rho:
            # The direction does not depend on the scale of the gradient, so a loss scaler needs no undoing here.
            own = perturb(self.parameters, sam.rho, sam.adaptive, self.unscaled)
            try:
                with frozen_batch_norm(self.network):
                    self.accumulate(batch, number, images)
            finally:
                restore(self.parameters, own)
        return sums

    def accumulate(self, batch: Batch, number: int, images: int) -> Tensor:
        """Forward and backward of all parts; the gradient is that of the mean over `images`. Returns the sums (4,)."""
        self.optimizer.zero_grad(set_to_none=True)
        own = len(batch)
        if self.ranks.world > 1:
            batch = filled(batch)
        parts = self.fit.parts(len(batch))
        total: Tensor | None = None
        for index, (first, last) in enumerate(parts):
            part = batch if len(parts) == 1 else batch[first:last]
            self.reseed(number, index)
            with self.ranks.gradients_stay_here(self.forward) if index < len(parts) - 1 else nullcontext():
                loss, logits = self.loss(part)
                weight = (last - first) * (own / len(batch)) * self.ranks.world / images
                self.scaler.scale(loss if weight == 1.0 else loss * weight).backward()  # type: ignore[no-untyped-call]
            sums = batch_sums(loss, logits, counted_labels(part))
            total = sums if total is None else total + sums
        assert total is not None
        return total if own == len(batch) else total * (own / len(batch))

    def loss(self, part: Batch) -> tuple[Tensor, Tensor]:
        """(loss, logits) of images (B, C, S, S)."""
        with self.autocast():
            output = self.forward(part.images.contiguous(memory_format=self.layout))
        return objective(self.network, output, part, self.profile.train.label_smoothing)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, the network is called without the other ranks: nobody waits, and no gradient is shared."""
        forward = self.forward
        if self.ranks.world > 1:
            self.forward = self.network
        try:
            yield
        finally:
            self.forward = forward

    def autocast(self) -> AbstractContextManager[None]:
        return autocast(self.device, self.precision)

    def reseed(self, number: int, index: int) -> None:
        """Dropout and stochastic depth of a part: a function of step, part and rank. SAM's passes share it."""
        if self.capturing:
            return
        extra = (self.ranks.rank, index) if self.ranks.rank or index else ()
        reseed(self.device, self.profile.seed, "model", number, *extra)

    def update(self, sums: Tensor) -> None:
        """Clip, judge, move the weights; `sums` (4,) of this rank's part of the batch that made the gradient."""
        sums = self.ranks.sum(sums)  # so that all ranks judge alike, and none takes a step that another leaves out
        clip = self.profile.train.clip_norm
        if self.unscales:
            self.scaler.unscale_(self.optimizer)
        norm = None
        if clip:
            norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        elif self.guard.checks_gradients and not self.scaler.is_enabled():
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        self.norm, self.newest = norm, None
        # A loss scaler makes gradients overflow on purpose now and then, and leaves out such steps by itself.
        self.guard.judge(sums[0], None if self.scaler.is_enabled() else norm)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.guard.step()
        self.guard.after()
        if self.ema is not None and not self.capturing:
            self.ema.update()
        self.sums.add(torch.where(self.guard.bad > 0, torch.zeros_like(sums), sums))

    @property
    def unscales(self) -> bool:
        """Whether a loss scaler's factor is taken off the gradient before the optimiser sees it."""
        return self.scaler.is_enabled() and bool(self.profile.train.clip_norm or self.guard.checks_gradients)

    def gradient_norm(self) -> Tensor | None:
        """Of the newest step: a scalar on the device, for which nothing waits. None where there is no such gradient.

        A step that does not clip has no use for it, so it is computed here, once a flush instead of once a step.
        """
        if self.norm is not None:
            return self.norm
        if self.scaler.is_enabled() and not self.unscales:
            return None
        found = self.newest or [p.grad for p in self.parameters if p.grad is not None]
        return nn.utils.get_total_norm(found) if found else None

    @property
    def tensor_lr(self) -> bool:
        """Whether the learning rates live on the device, where a CUDA graph finds each step's."""
        return all(isinstance(group["lr"], Tensor) for group in self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of the step besides network and optimiser."""
        return {
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "micro_batch": self.fit.micro,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None and state.get("ema"):
            self.ema.load_state_dict(state["ema"])
        if self.fit.auto and state.get("micro_batch"):
            self.fit.micro = min(int(state["micro_batch"]), self.fit.batch_size)
