"""Between two flushes nothing waits for the device, and a step computes little besides what it must.

Counts, not clocks. On a CPU nothing has to wait, but what would wait on a GPU can be seen all the same: a value that
goes to Python, a shape that depends on values, a copy to the host.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from training_helpers import Quiet, train

from workbench.training.observer import Snapshot

WAITING_METHODS = {
    "item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__",
    "__contains__", "nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "equal", "allclose",
    "is_nonzero", "bincount", "histc", "__repr__", "__format__",
}  # fmt: skip
"""What Python code asks of a tensor that needs its values on the host."""
WAITING_OPERATIONS = {
    "_local_scalar_dense", "item", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
    "equal", "is_nonzero", "bincount", "repeat_interleave", "_assert_scalar",
}  # fmt: skip
"""The same as operations, for those that Python code never sees."""


class Calls(TorchFunctionMode):
    """Notes the calls of torch's functions and methods that would wait for the device.

    A copy to a device that is named counts only where our own code asks for it: torch's optimisers and norms bring
    tensors to where they already are, and here the device is the host.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        name = getattr(function, "__name__", str(function))
        copies = name == "to" and any(is_host(value) for value in [*args[1:], *keywords.values()])
        own = "torch" not in Path(sys._getframe(1).f_code.co_filename).parts
        if name in WAITING_METHODS or (copies and own) or (name == "where" and len(args) + len(keywords) == 1):
            self.found.append(f"{name} in {caller()}")
        return function(*args, **keywords)


class Operations(TorchDispatchMode):
    """Counts the operations that reach the device (views do not), and notes those that would wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        self.counts[name] += not function.is_view
        if name in WAITING_OPERATIONS or (name.startswith("index") and has_mask(args)):
            self.found.append(f"{name} in {caller()}")
        return function(*args, **(kwargs or {}))


def is_host(value: Any) -> bool:
    return value == "cpu" if isinstance(value, str) else isinstance(value, torch.device) and value.type == "cpu"


def has_mask(args: Any) -> bool:
    """Whether an index is a mask: how many elements it picks is only known on the device."""
    indices = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else ()
    return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in indices)


def caller() -> str:
    """Where in the workbench (or in a test) the call came from."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "torch" not in path.parts and frame.f_globals.get("__name__") != __name__:
            return f"{path.name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "a test"


class Watch:
    """An observer's ear: watches from the end of an epoch's first step to the end of its last, before the flush."""

    def __init__(self) -> None:
        self.operations, self.calls = Operations(), Calls()
        self.steps = 0

    def __enter__(self) -> "Watch":
        self.calls.__enter__()
        self.operations.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.operations.__exit__(None, None, None)
        self.calls.__exit__(None, None, None)

    def at(self, snapshot: Snapshot) -> None:
        if snapshot.phase != "train" or snapshot.epoch != 2:
            return
        if snapshot.done == 1:
            self.__enter__()
        elif snapshot.done == snapshot.total:
            self.__exit__()
            self.steps = snapshot.done - 1

    @property
    def found(self) -> list[str]:
        return self.operations.found + self.calls.found


PROFILE = """
[model]
arch = "test_no_sync:Small"
[data]
dataset = "digits"
image_size = {image_size}
batch_size = 128
augment = "{augment}"
[optim]
name = "{optim}"
[train]
epochs = 2
device = "{device}"
threads = 1
flush_seconds = 3600.0
{train}
"""


class Small(nn.Module):
    """Convolutions, batch norm, dropout, linear: the kinds of layer that a step treats differently."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.hidden = nn.Conv2d(6, 6, 1)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(self.bn(self.conv(x)).relu()).mean((2, 3))
        logits: Tensor = self.fc(self.drop(x))
        return logits


def start(folder: Path, observe: Callable[[Snapshot], None], *, more: str = "", **values: str) -> None:
    """Train for two epochs without a flush inside them. `values` are of PROFILE, `more` sections below it."""
    defaults = {"image_size": "8", "augment": "none", "optim": "adam", "device": "cpu", "train": ""}
    (folder / "profile.toml").write_text(PROFILE.format(**{**defaults, **values}) + more)
    outcome = train(folder / "profile.toml", folder / "runs", observer=Quiet(observe))
    assert outcome.state == "finished", outcome.error


def watched(folder: Path, **values: str) -> Watch:
    """Train and watch the second epoch's steps."""
    watch = Watch()
    start(folder, watch.at, **values)
    assert watch.steps == 11
    return watch


# NAdam is missing: on the CPU, and only there, torch's reads its own step counters. So is RMSprop with bad steps left
# out, which has to look at each step and says so (guard.py).
VARIANTS: dict[str, dict[str, str]] = {
    "adam": {},
    "sgd": {"optim": "sgd"},
    "adamw": {"optim": "adamw"},
    "rmsprop": {"optim": "rmsprop"},
    "adagrad": {"optim": "adagrad"},
    "lamb": {"optim": "lamb"},
    "muon": {"optim": "muon"},
    "standard augmentation": {"augment": "standard"},
    "contrastive augmentation": {"augment": "contrastive"},
    "strong augmentation": {"augment": "strong"},
    "images scaled up": {"image_size": "12"},
    "clipping, averaging, smoothing": {"train": "clip_norm = 1.0\nema = 0.99\nlabel_smoothing = 0.1"},
    "bad steps left out": {"train": 'on_nan = "skip"'},
    "bad steps taken back": {"train": 'on_nan = "rollback"'},
    "a batch in parts": {"train": "micro_batch = 50"},
    "sam": {"more": "[sam]\nrho = 0.05\n"},
    "asam": {"more": "[sam]\nrho = 0.5\nadaptive = true\n"},
    "mixup and cutmix": {"more": "[augment]\nmixup = 0.2\ncutmix = 1.0\n"},
    "a schedule": {"more": '[schedule]\nname = "warmup_cosine"\n'},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_step_waits_for_the_device(tmp_path: Path, variant: str) -> None:
    assert watched(tmp_path, **VARIANTS[variant]).found == []


WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda t: t[0].item(),
    "tolist": lambda t: t.tolist(),
    "float": lambda t: float(t[0]),
    "int": lambda t: int(t[0]),
    "if": lambda t: 1 if t[0] > 0 else 0,
    "numpy": lambda t: t.numpy(),
    "cpu": lambda t: t.cpu(),
    "to cpu": lambda t: t.to("cpu"),
    "to device cpu": lambda t: t.to(device=torch.device("cpu"), dtype=torch.float64),
    "mask": lambda t: t[t > 0],
    "mask assignment": lambda t: t.clone().__setitem__(t > 0, torch.tensor([5.0, 6.0])),
    "masked_select": lambda t: t.masked_select(t > 0),
    "nonzero": lambda t: t.nonzero(),
    "where of one": lambda t: torch.where(t > 0),
    "unique": lambda t: t.unique(),
    "equal": lambda t: torch.equal(t, t),
    "print": lambda t: f"{t[0]}",
    "in": lambda t: 3.0 in t,
    "range": lambda t: range(t.long()[1]),
}


@pytest.mark.parametrize("wait", WAITS)
def test_the_watch_sees_what_waits(wait: str) -> None:
    tensor = torch.tensor([1.0, 2.0, -1.0])
    with Watch() as watch:
        WAITS[wait](tensor)
    assert watch.found


def test_the_watch_lets_pass_what_does_not_wait() -> None:
    tensor = torch.tensor([1.0, 2.0, -1.0])
    with Watch() as watch:
        positive = torch.where(tensor > 0, tensor, torch.zeros_like(tensor))
        (positive.topk(2).indices == tensor[:2].long()).sum().to(torch.float64).add_(1.0)
    assert watch.found == []
    assert watch.operations.counts["topk"] == 1


BARE_STEPS = 3


def bare_operations() -> int:
    """Operations of one step of the same network and optimiser, written with torch alone."""
    network = Small(num_classes=10, in_channels=1)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    images, labels = torch.randn(128, 1, 8, 8), torch.randint(10, (128,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    step()
    with Operations() as operations:
        for _ in range(BARE_STEPS):
            step()
    assert operations.counts.total() % BARE_STEPS == 0
    return operations.counts.total() // BARE_STEPS


OVERHEAD = 34
"""Operations of a step besides the network's, the loss's and the optimiser's.

Measured 32: 5 for the batch (gather, to float, normalise), 9 for loss and hits, 17 for the guard against numbers that
are not finite, 1 to keep the buffers for another try when memory runs out.
"""
AUGMENTATION = 22
"""And of standard augmentation; measured 21."""


@pytest.mark.parametrize(("augment", "allowed"), [("none", OVERHEAD), ("standard", OVERHEAD + AUGMENTATION)])
def test_a_step_dispatches_few_operations_besides_its_own(tmp_path: Path, augment: str, allowed: int) -> None:
    watch = watched(tmp_path, augment=augment)
    spent = watch.operations.counts.total() / watch.steps
    assert spent - bare_operations() <= allowed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_cuda_itself_reports_no_wait_between_two_flushes(tmp_path: Path, variant: str) -> None:
    """A wait raises in mode 2, "error", and the run then fails."""
    modes = []

    def at(snapshot: Snapshot) -> None:
        if snapshot.phase == "train" and snapshot.epoch == 2:
            modes.append(torch.cuda.get_sync_debug_mode())
            last = snapshot.done == snapshot.total
            torch.cuda.set_sync_debug_mode("default" if last else "error")

    try:
        start(tmp_path, at, **{"device": "cuda", **VARIANTS[variant]})
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert modes == [0] + [2] * 11, "every step of the epoch after its first"
