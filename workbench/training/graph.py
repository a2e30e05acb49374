"""The whole step as one CUDA graph: captured once, then launched by a single call a step.

A small network's step is hundreds of kernels whose launches take longer than their work, and each launch needs the
interpreter's lock that the screen wants too. A replay is one call. What may change from step to step lives in tensors
at fixed places: images and labels, learning rates, sums, and the generators' seeds, which a replay reads anew.

A capture that computed something else would spoil a run without a word. So the first replay is compared with the same
step done eagerly, from the same weights; where they differ, or capturing fails, the run goes on without a graph and
says so.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from workbench.data.splits import Batch
from workbench.training.optimizers import set_learning_rate
from workbench.training.step import Step

EAGER_STEPS = 3
"""Steps of each shape that are done eagerly first: they make the optimiser's state and choose algorithms."""
TOLERANCE = 0.05
"""How far replay and eager step may lie apart, as a part of the way the weights went: rounding differs, no more."""

Shape = tuple[object, ...]


def why_not(step: Step) -> str | None:
    """Why this step cannot be a CUDA graph, in words; None where it can."""
    profile = step.profile
    if step.device.type != "cuda":
        return f"it needs a CUDA device, this is {step.device.type}"
    if step.ranks.world > 1:
        return "not with several processes"
    if profile.sam.rho:
        return "not with SAM, whose two passes share their random numbers"
    if step.precision == "fp16":
        return "not with fp16, whose loss scaler is changed from step to step"
    if profile.train.compile != "off":
        return "torch.compile captures its own graphs"
    if not step.guard.held and step.guard.skips:
        return f"not with {profile.optim.name} and on_nan = skip, which has to look at each step"
    if not step.tensor_lr:
        return f"not with {profile.optim.name}, which keeps its learning rate outside the device"
    return None


class GraphedStep:
    """Runs a Step by replaying it where the batch has the usual shape, and eagerly where not."""

    def __init__(self, step: Step, told: Callable[[str], None]) -> None:
        self.step, self.told = step, told
        self.graph: torch.cuda.CUDAGraph | None = None
        self.shape: Shape = ()
        self.seen = 0
        self.given_up = False
        self.input: Batch | None = None
        self.norm: Tensor | None = None
        self.gradient: list[Tensor] = []
        """Where each replay leaves them. Held here: an eager step in between puts others into `.grad`."""

    def run(self, batch: Batch, number: int, factor: float, images: int | None = None) -> None:
        """As Step.run."""
        shape = self.shape_of(batch)
        if self.given_up or len(self.step.fit.parts(len(batch.labels))) > 1:
            self.step.run(batch, number, factor, images)
        elif shape == self.shape and self.graph is not None:
            self.replay(batch, number, factor)
        elif len(batch.labels) < self.step.fit.batch_size:  # the last batch of an epoch
            self.step.run(batch, number, factor, images)
        else:
            self.seen = self.seen + 1 if shape == self.shape else 1
            self.shape = shape
            if self.seen <= EAGER_STEPS:
                self.graph = None
                self.step.run(batch, number, factor, images)
            else:
                self.capture_and_compare(batch, number, factor)

    def forget(self) -> None:
        """The optimiser has got other tensors, from a checkpoint: a graph that knows the old ones is of no use."""
        self.graph, self.shape, self.seen = None, (), 0

    def shape_of(self, batch: Batch) -> Shape:
        """What must not change for a graph to hold."""
        return (batch.images.shape, batch.other is None, self.step.regularisation.rates)

    def replay(self, batch: Batch, number: int, factor: float) -> None:
        """Step `number` by the graph; what differs from step to step is put where the graph reads it."""
        assert self.graph is not None
        self.fill(batch)
        set_learning_rate(self.step.optimizer, factor)
        self.step.reseed(number, 0)
        self.graph.replay()
        self.step.norm, self.step.newest = self.norm, self.gradient
        if self.step.ema is not None:
            self.step.ema.update()

    def fill(self, batch: Batch) -> None:
        """Put the batch where the graph reads it."""
        assert self.input is not None
        self.input.images.copy_(batch.images)
        self.input.labels.copy_(batch.labels)
        if self.input.other is not None and batch.other is not None:
            self.input.other.copy_(batch.other)
        if self.input.share is not None and batch.share is not None:
            self.input.share.copy_(batch.share)

    def capture_and_compare(self, batch: Batch, number: int, factor: float) -> None:
        """Do this step eagerly; capture it; do it again from the same weights by a replay, and compare."""
        places = self.places()
        before = [place.clone() for place in places]
        average = self.step.ema.copy() if self.step.ema else None
        self.step.run(batch, number, factor)
        eager = [place.clone() for place in places]
        problem = self.capture(batch)
        if problem is None:
            self.put(places, before)
            if self.step.ema is not None and average is not None:
                self.step.ema.put(average)
            self.replay(batch, number, factor)
            torch.cuda.synchronize(self.step.device)
            problem = self.difference(before, eager)
        if problem is not None:
            self.given_up, self.graph, self.input = True, None, None
            self.put(places, eager)
            self.step.optimizer.zero_grad(set_to_none=True)  # what a capture put there was never computed
            self.step.norm, self.step.newest = None, None
            self.told(f"without a CUDA graph: {problem}")

    def capture(self, batch: Batch) -> str | None:
        """Record the step; nothing is computed. Returns what went wrong."""
        step = self.step
        images = batch.images.contiguous(memory_format=step.layout).clone(memory_format=torch.preserve_format)
        self.input = Batch(images, batch.labels.clone(), _clone(batch.other), _clone(batch.share))
        step.optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize(step.device)
        graph = torch.cuda.CUDAGraph()
        step.capturing = True
        try:
            # Other threads may use the device meanwhile: only this thread's mistakes are to end the capture.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                step.guard.before()
                step.update(step.gradients(self.input, 0, len(batch.labels)))
        except Exception as error:  # noqa: BLE001  # whatever it is, the eager step still works
            return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        finally:
            step.capturing = False
        self.graph = graph
        self.norm = step.norm
        self.gradient = [p.grad for p in step.parameters if p.grad is not None]
        return None

    def places(self) -> list[Tensor]:
        """Every tensor that a step changes, parameters first."""
        step = self.step
        state = [t for entry in step.optimizer.state.values() for t in entry.values() if isinstance(t, Tensor)]
        guard = [step.guard.bad, step.guard.count, step.guard.first, step.guard.number]
        return [*(p.data for p in step.parameters), *step.network.buffers(), *state, *guard, step.sums.vector]

    @staticmethod
    @torch.no_grad()
    def put(places: list[Tensor], values: list[Tensor]) -> None:
        for place, value in zip(places, values, strict=True):
            place.copy_(value)

    def difference(self, before: list[Tensor], eager: list[Tensor]) -> str | None:
        """In words, if the replay did not arrive where the eager step did."""
        count = len(self.step.parameters)
        way = sum(float((e.double() - b.double()).square().sum()) for e, b in zip(eager[:count], before, strict=False))
        apart = sum(
            float((p.detach().double() - e.double()).square().sum())
            for p, e in zip(self.step.parameters, eager, strict=False)
        )
        if apart <= TOLERANCE**2 * way or apart == 0.0:
            return None
        return f"its first replay and the same step without it were {apart**0.5 / max(way**0.5, 1e-30):.2g} apart"


def _clone(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()
