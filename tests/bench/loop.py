"""The trainer's speed over that of the bare step: what data, metrics, records and safety cost.

    python -m tests.bench.loop [--models resnet18,vit] [--sizes 32,224] [--threads 1,2] [--blocks 9] [--out FILE]

The trainer is the real one on random RGB images of 32 px that lie on the device as any data set does: order, standard
augmentation, scaling to the size, the step, metrics, their reading and writing, the observer. Off the clock are the
ends of epochs: evaluation and checkpoints.

The bare step is zero_grad, forward, loss, backward and the optimiser's step on one random batch that lies on the
device, written down here with torch alone; same network, precision, memory layout, fused optimiser and threads. On a
GPU it is also tried as one CUDA graph, and counts as whichever of the two was quicker.

Both run in turns in one process (see `common`). Beside the `ratio`, which the bar is for, stand two figures to judge it
by: `same` is what the method makes of no difference at all, the bare step over itself in neighbouring turns;
`cpu_ratio` (on a CPU) is the ratio of computing time instead of time, which other programs on the machine change less.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import architectures
from tests.bench import common
from tests.bench.common import Conductor, Span, StoppedError, say, spread, timed

MODELS = "resnet18,mobilenet_v2,vit,mlp_mixer"
SIZES = "32,64,224"
BARS = {"cpu": 0.97, "cuda": 0.95, "mps": 0.95}
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--models", default=MODELS, help=f"default {MODELS}")
    parser.add_argument("--sizes", default=SIZES, help=f"pixels, default {SIZES}")
    parser.add_argument("--threads", default="", help="CPU threads, default 1,2 on a CPU (as far as it has them)")
    parser.add_argument("--batch", type=int, default=0, help="images a step, default 128 on a GPU and 32 on a CPU")
    parser.add_argument("--images", type=int, default=0, help="random training images, default 400 batches")
    options = parser.parse_args()
    device = common.choose_device(options.device)
    report = {"benchmark": "loop", **common.surroundings(device), "bar": BARS[device.type]}
    batch = options.batch or (128 if device.type == "cuda" else 32)
    if options.threads:
        counts = common.numbers(options.threads)
    else:
        counts = [n for n in (1, 2) if n <= report["cores"]] if device.type == "cpu" else [0]
    cases = []
    for size in common.numbers(options.sizes):
        for model in common.names(options.models):
            for threads in counts:
                case = {"model": model, "size": size, "batch": batch, "threads": threads}
                cases.append(measured(case, device, options))
                say(describe(cases[-1]))
    judged = [case for case in cases if "ratio" in case]
    for case in judged:
        case["holds"] = case["ratio"]["median"] >= report["bar"]
    report |= {"cases": cases, "holds": bool(judged) and all(case["holds"] for case in judged)}
    common.finish(report, options.out)


def measured(case: dict[str, Any], device: torch.device, options: Any) -> dict[str, Any]:
    """`case` with its figures, or with the reason why there are none."""
    comparison = Comparison(device, case["batch"], options.blocks, options.seconds)
    try:
        with common.random_images(options.images or 400 * case["batch"]), common.known_job() as jobs:
            comparison.jobs = jobs
            common.conducted_run(comparison.script, device=options.device, **case)
    except StoppedError as reason:
        return {**case, "skipped": str(reason)}
    except torch.OutOfMemoryError as error:
        return {**case, "skipped": f"out of memory: {str(error).splitlines()[0]}"}
    return {**case, **comparison.figures}


class Comparison:
    """The script of one case: warm up, build the bare step after the trainer's own, then take turns."""

    def __init__(self, device: torch.device, batch: int, blocks: int, seconds: float) -> None:
        self.device, self.batch, self.blocks, self.seconds = device, batch, blocks, seconds
        self.jobs: list[Any] = []
        self.figures: dict[str, Any] = {}

    def script(self, trainer: Conductor) -> Iterator[None]:
        device = self.device
        step_seconds = yield from warmed_up(trainer, device)
        steps = common.steps_for(self.seconds, step_seconds, trainer.steps_an_epoch)
        settle = step_seconds < common.LONG_STEP
        bare = BareStep(self.jobs[-1])
        step, how = bare.quickest()
        ours: list[Span] = []
        theirs: list[Span] = []
        for turn in range(self.blocks):
            for side in ("trainer", "bare") if turn % 2 == 0 else ("bare", "trainer"):
                if side == "trainer":
                    span = yield from trainer.timed_steps(steps, device, settle=settle)
                    ours.append(span)
                else:
                    theirs.append(timed(step, steps, device, settle=settle))
        self.figures = {
            "precision": bare.precision,
            "channels_last": bare.channels_last,
            "bare_step": how,
            "steps_a_turn": steps,
            **compared(ours, theirs, steps * self.batch),
        }
        if device.type != "cpu":  # there the CPU's time is spent on waiting
            del self.figures["cpu_ratio"]


def compared(ours: list[Span], theirs: list[Span], images: int) -> dict[str, Any]:
    """The figures of turns in which both sides trained on `images` images."""
    # In the order T B B T T B ... the first and second of B, the third and fourth, ... are neighbours.
    pairs = list(zip(theirs[0::2], theirs[1::2], strict=False))
    both = list(zip(ours, theirs, strict=True))
    return {
        "trainer_images_per_second": round(images * len(ours) / sum(span.wall for span in ours), 2),
        "bare_images_per_second": round(images * len(theirs) / sum(span.wall for span in theirs), 2),
        "ratio": spread([bare.wall / trainer.wall for trainer, bare in both]),
        "same": spread([first.wall / second.wall for first, second in pairs]) if pairs else None,
        "cpu_ratio": spread([bare.cpu / trainer.cpu for trainer, bare in both]),
    }


def warmed_up(trainer: Conductor, device: torch.device) -> Generator[None, None, float]:
    """Let the trainer make its first steps; the value is the seconds that a step takes after them."""
    for _ in range(common.warm_up(device)):
        yield
    count = 1
    while True:
        span = yield from trainer.timed_steps(count, device, settle=False)
        if span.wall > 0.2 or count * 4 > trainer.steps_an_epoch:
            return span.wall / count
        count *= 2


class BareStep:
    """Training a network on one random batch, with torch alone."""

    def __init__(self, job: Any) -> None:
        """Like the run that `job` is of: its network anew, in the layout that its weights have by now."""
        profile, self.device, self.precision = job.profile, job.device, job.precision
        size = profile.data.image_size
        self.channels_last = common.is_channels_last(job.network)
        self.network = architectures.create(
            profile.model.arch,
            num_classes=len(job.dataset.classes),
            in_channels=job.dataset.channels,
            image_size=size,
            **profile.model.options,
        ).to(self.device)
        self.images = torch.randn(profile.data.batch_size, job.dataset.channels, size, size, device=self.device)
        self.labels = torch.randint(len(job.dataset.classes), (profile.data.batch_size,), device=self.device)
        if self.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
            self.images = self.images.to(memory_format=torch.channels_last)
        self.lr = profile.optim.lr
        self.optimizer = self.fused_adam()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.network.train()

    def fused_adam(self, **keywords: Any) -> torch.optim.Optimizer:
        fused = True if self.device.type in ("cuda", "cpu") else None
        return torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=fused, **keywords)

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, DTYPES[self.precision]) if self.precision in DTYPES else nullcontext()

    def loss(self) -> Tensor:
        with self.autocast():
            logits = self.network(self.images)
        return F.cross_entropy(logits.float(), self.labels)

    def eager(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(self.loss()).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def quickest(self) -> tuple[Callable[[], None], str]:
        """(the step, "eager" or "graph")."""
        for _ in range(common.warm_up(self.device)):
            self.eager()
        if self.device.type != "cuda" or self.precision == "fp16":
            return self.eager, "eager"
        plain = timed(self.eager, 10, self.device, settle=True).wall
        try:
            replay = self.captured()
        except RuntimeError as error:
            say(f"  the bare step cannot be a CUDA graph: {str(error).splitlines()[0]}")
            return self.eager, "eager"
        return (replay, "graph") if timed(replay, 10, self.device, settle=True).wall < plain else (self.eager, "eager")

    def captured(self) -> Callable[[], None]:
        """The step as one CUDA graph, as torch's notes on CUDA graphs say: warmed up on a side stream, then captured.

        Gradients are None when it is captured, so each replay writes them anew and nothing needs to be zeroed.
        """
        kept, self.optimizer = self.optimizer, self.fused_adam(capturable=True)

        def step() -> None:
            self.loss().backward()
            self.optimizer.step()

        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(common.warm_up(self.device)):
                    self.optimizer.zero_grad(set_to_none=True)
                    step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            self.optimizer.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                step()
        finally:
            self.optimizer = kept
        return graph.replay


def describe(case: dict[str, Any]) -> str:
    """A line for a person."""
    what = f"{case['model']} {case['size']} px, {case['threads'] or 'default'} threads"
    if "skipped" in case:
        return f"{what}: skipped, {case['skipped']}"
    ratio = case["ratio"]
    low, high = ratio["quartiles"]
    return (
        f"{what}: {ratio['median']:.3f} ({low:.3f} to {high:.3f}), {case['trainer_images_per_second']:,.1f} of "
        f"{case['bare_images_per_second']:,.1f} images/s"
    )


if __name__ == "__main__":
    main()
