"""The trainer's speed over that of the usual script, on the real MNIST at 224 px.

    python -m tests.bench.versus_plain [--models resnet18,squeezenet1_1] [--root DIR] [--workers 0,1,2] [--out FILE]

The usual script is the seed's: a DataLoader over torchvision's MNIST, transforms image by image on the CPU, Adam as
torch chooses it, float32, and `.item()` on loss and hits in every step. Its transforms are the seed's too (to a
tensor, resize to 256, jitter, crop 224, flip, normalise). They name three channels, so its pictures are RGB and so is
its network's first layer. The seed's DataLoader has no workers: the bar is for that (`ratio`), and the script with
workers is measured beside it. So are two that train exactly the network that the trainer trains: `grey`, the same with
one of the three channels taken at the end, and `lean`, the least work that can be asked of a script: the trainer's own
augmentation on the small grey picture, then a resize.

The trainer is the real one with its defaults, on the same files. The sides take turns (see `common`); building a
script's workers and the batches that they prepare ahead is off the clock. Each script has a process of its own, which
waits while it is not its turn: the trainer changes settings of its whole process (how malloc gives memory back), and a
script must have what it would have by itself.
"""

import gzip
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import architectures
from tests.bench import common
from tests.bench.common import Conductor, Span, StoppedError, say, spread, timed
from tests.bench.loop import warmed_up

BARS = {"cpu": {"resnet18": 1.2, "squeezenet1_1": 1.5}, "cuda": {"resnet18": 30.0, "squeezenet1_1": 30.0}}
LARGER = 256 / 224
"""The seed resizes to 256 px and crops 224."""


def main() -> None:
    parser = common.parser(__doc__)
    parser.set_defaults(blocks=5, seconds=4.0)
    parser.add_argument("--models", default="resnet18,squeezenet1_1", help="default resnet18,squeezenet1_1")
    parser.add_argument("--size", type=int, default=224, help="pixels (default 224, what the bars are for)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of both sides; default: torch's choice")
    parser.add_argument("--batch", type=int, default=0, help="images a step, default 128 on a GPU and 32 on a CPU")
    parser.add_argument("--workers", default="0,1,2", help="of the script's DataLoader, default 0,1,2")
    parser.add_argument("--root", help="folder with MNIST's four .gz files (default: $CNNWB_TEST_MNIST or beside)")
    options = parser.parse_args()
    device = common.choose_device(options.device)
    batch = options.batch or (128 if device.type == "cuda" else 32)
    report = {"benchmark": "versus_plain", **common.surroundings(device)}
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        unpack_mnist(mnist_folder(options.root), Path(folder))
        for model in common.names(options.models):
            case = {"model": model, "size": options.size, "batch": batch, "threads": options.threads}
            cases.append(measured(case, Path(folder), device, options))
            say(describe(cases[-1]))
    judged = [case for case in cases if "ratio" in case]
    for case in judged:
        case["bar"] = BARS.get(device.type, {}).get(case["model"]) if options.size == 224 else None
        case["holds"] = None if case["bar"] is None else case["ratio"]["median"] >= case["bar"]
    report |= {"cases": cases, "holds": bool(judged) and all(case["holds"] is not False for case in judged)}
    common.finish(report, options.out)


def mnist_folder(given: str | None) -> Path:
    """Where the four files are: as given, as the tests find them, or beside the checkout. Ends the program if not."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "mnist"
    folder = Path(given or os.environ.get("CNNWB_TEST_MNIST") or beside)
    if not list(folder.glob("train-images-idx3-ubyte*")):
        raise SystemExit(f"{folder}: no MNIST there; give --root FOLDER with its four .gz files")
    return folder


def unpack_mnist(source: Path, root: Path) -> None:
    """MNIST's files, unpacked as torchvision wants them, below `root`."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        name = f"{part}-ubyte"
        if (source / name).is_file():
            shutil.copyfile(source / name, raw / name)
        else:
            (raw / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))


def seeds_transforms(size: int) -> transforms.Compose:
    """What the seed does to a training image, which must be RGB."""
    larger = round(size * LARGER)
    return transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Resize((larger, larger)),
            transforms.ColorJitter(brightness=0.5, hue=0.3),
            transforms.RandomCrop((size, size)),
            transforms.RandomHorizontalFlip(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )


def lean_transforms(size: int) -> transforms.Compose:
    """What the trainer does to an MNIST image, image by image."""
    return transforms.Compose(
        [
            transforms.RandomCrop(28, padding=4),
            transforms.Resize((size, size)),
            transforms.ToTensor(),
            transforms.Normalize((0.1307,), (0.3081,)),
        ]
    )


class Script:
    """The usual training script, a few steps at a time."""

    def __init__(self, case: dict[str, Any], root: Path, device: torch.device, kind: str, workers: int) -> None:
        rgb = kind != "lean"
        self.channels = 3 if kind == "seed" else 1
        work = seeds_transforms(case["size"]) if rgb else lean_transforms(case["size"])
        before = [transforms.Grayscale(3)] if rgb else []
        dataset = datasets.MNIST(str(root), train=True, transform=transforms.Compose([*before, work]))
        self.loader = DataLoader(dataset, batch_size=case["batch"], shuffle=True, num_workers=workers)
        # What its workers hold ready, and one more: after so many steps they prepare what is used, no more and no less.
        self.ahead = 2 * workers + 1
        self.device = device
        self.network = architectures.create(
            case["model"], num_classes=10, in_channels=self.channels, image_size=case["size"]
        )
        self.network.to(device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=common.LEARNING_RATE)
        self.criterion = nn.CrossEntropyLoss()
        self.running_loss = 0.0
        self.correct = 0

    def run(self, steps: int) -> Span:
        """How long `steps` steps take."""
        batches = iter(self.loader)
        for _ in range(self.ahead):
            self.step(batches)
        return timed(lambda: self.step(batches), steps, self.device, settle=False)

    def step(self, batches: Iterator[Any]) -> None:
        images, labels = next(batches)
        images, labels = images[:, : self.channels].to(self.device), labels.to(self.device)
        outputs = self.network(images)
        loss = self.criterion(outputs, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.running_loss += loss.item()
        self.correct += outputs.max(1)[1].eq(labels).sum().item()


class Apart:
    """A `Script` in a process of its own, which computes only while `run` waits for it."""

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, torch.get_num_threads(), *arguments))
        self.process.start()
        other.close()

    def run(self, steps: int) -> Span:
        """How long `steps` steps take. EOFError if the process has died."""
        self.pipe.send(steps)
        span: Span = self.pipe.recv()
        return span

    def close(self) -> None:
        self.pipe.close()
        self.process.join()


def serve(pipe: Connection, threads: int, *arguments: Any) -> None:
    """The other process: run as many steps as it is told to, until nobody is there to tell."""
    torch.set_num_threads(threads)
    script = Script(*arguments)
    with suppress(EOFError):
        while True:
            pipe.send(script.run(pipe.recv()))


def measured(case: dict[str, Any], root: Path, device: torch.device, options: Any) -> dict[str, Any]:
    """`case` with its figures, or with the reason why there are none."""
    kinds = [("seed", workers) for workers in common.numbers(options.workers)]
    comparison = Comparison(case, root, device, [*kinds, ("grey", kinds[0][1]), ("lean", kinds[0][1])], options)
    try:
        common.conducted_run(comparison.script, dataset="mnist", root=root, device=options.device, **case)
    except StoppedError as reason:
        return {**case, "skipped": str(reason)}
    return {**case, **comparison.figures}


class Comparison:
    """Warm up, then turns of the trainer and of each script."""

    def __init__(
        self, case: dict[str, Any], root: Path, device: torch.device, kinds: list[tuple[str, int]], options: Any
    ) -> None:
        self.case, self.root, self.device, self.kinds, self.options = case, root, device, kinds, options
        self.figures: dict[str, Any] = {}

    def script(self, trainer: Conductor) -> Iterator[None]:
        with ExitStack() as stack:
            scripts = []
            for kind, workers in self.kinds:
                scripts.append(Apart(self.case, self.root, self.device, kind, workers))
                stack.callback(scripts[-1].close)
            yield from self.turns(trainer, scripts)

    def turns(self, trainer: Conductor, scripts: list[Apart]) -> Iterator[None]:
        step_seconds = yield from warmed_up(trainer, self.device)
        steps = common.steps_for(self.options.seconds, step_seconds, trainer.steps_an_epoch)
        # A loader-bound script may be many times slower; it need not be watched for as long.
        lengths = [max(1, min(steps, round(steps * step_seconds / script.run(1).wall))) for script in scripts]
        ours: list[float] = []
        theirs: list[list[float]] = [[] for _ in scripts]
        for turn in range(self.options.blocks):
            sides = [None, *range(len(scripts))]
            for side in sides if turn % 2 == 0 else reversed(sides):
                if side is None:
                    span = yield from trainer.timed_steps(steps, self.device, settle=step_seconds < common.LONG_STEP)
                    ours.append(steps * self.case["batch"] / span.wall)
                else:
                    span = scripts[side].run(lengths[side])
                    theirs[side].append(lengths[side] * self.case["batch"] / span.wall)
        self.figures = self.compared(steps, ours, theirs)

    def compared(self, steps: int, ours: list[float], theirs: list[list[float]]) -> dict[str, Any]:
        """Figures from the images a second of each turn."""
        scripts = []
        for (kind, workers), rates in zip(self.kinds, theirs, strict=True):
            ratio = spread([mine / other for mine, other in zip(ours, rates, strict=True)])
            speed = spread(rates)["median"]
            scripts.append({"transforms": kind, "workers": workers, "images_per_second": speed, "ratio": ratio})
        return {
            "steps_a_turn": steps,
            "trainer_images_per_second": spread(ours)["median"],
            "scripts": scripts,
            "ratio": scripts[0]["ratio"],
        }


def describe(case: dict[str, Any]) -> str:
    """Lines for a person."""
    if "skipped" in case:
        return f"{case['model']} {case['size']} px: skipped, {case['skipped']}"
    lines = [f"{case['model']} {case['size']} px: trainer {case['trainer_images_per_second']:,.1f} images/s"]
    for script in case["scripts"]:
        low, high = script["ratio"]["quartiles"]
        what = f"{script['transforms']} script, {script['workers']} workers"
        speed, ratio = script["images_per_second"], script["ratio"]["median"]
        lines.append(f"  {what}: {speed:,.1f} images/s, ratio {ratio:.2f} ({low:.2f} to {high:.2f})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
