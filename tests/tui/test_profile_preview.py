"""What a profile would take: steps, learning rate, memory held against a process that trains, time by earlier runs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_runs import SECONDS, make_run
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

import architectures
from workbench.base.errors import UserError
from workbench.inspect.memory import footprint
from workbench.profile import Profile, load
from workbench.profile.schema import SGD, Data, Model, Muon, Plateau, RMSprop, Sam, Train
from workbench.runs.summary import Summary
from workbench.tui import profile_preview as preview

CIFAR = Data(dataset="cifar10", image_size=64, batch_size=32)


def profile_of(arch: str = "resnet18", **sections: object) -> Profile:
    return Profile.model_validate({"model": Model(arch=arch), "data": CIFAR, "train": Train(device="cpu"), **sections})


# Steps and learning rate.


def test_steps_are_those_of_the_run() -> None:
    assert preview.steps(load("quick", environ={}).profile) == preview.Steps(23, 115, 1438)
    assert preview.steps(profile_of(data=Data(dataset="folder"))) == preview.Steps(None, None)


def test_the_curve_of_the_learning_rate_begins_peaks_and_ends_with_the_run() -> None:
    profile = load("papers/vit", environ={}).profile
    epochs, rates = preview.learning_rate(profile)
    assert len(epochs) == len(rates) <= 402
    assert (epochs[0], epochs[-1]) == (0.0, 10.0)
    assert max(rates) == pytest.approx(0.00053, rel=1e-3)
    assert epochs[rates.index(max(rates))] == pytest.approx(1.0, abs=0.05)  # a warm-up of 10 %
    assert rates[-1] < 1e-8
    folder = profile_of(data=Data(dataset="folder"), schedule=Plateau(warmup="2ep"))
    assert preview.learning_rate(folder, points=50)[0][-1] == 10.0


def test_neither_steps_nor_rates_nor_time_load_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from workbench.profile import load; "
        "from workbench.tui import profile_preview as p; profile = load('papers/vit').profile; "
        f"p.steps(profile), p.learning_rate(profile), p.duration(profile, Path({str(tmp_path)!r})); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


# Memory.

TRAINED = """
import sys, torch, architectures
from workbench.profile import Profile
from workbench.profile.schema import Data, Model
from workbench.training.distributed import Ranks
from workbench.training.fit import Fit, synthetic
from workbench.training.optimizers import build_optimizer
from workbench.training.step import Step

torch.set_num_threads(1)
cpu = torch.device("cpu")

def two_steps(arch, size, images):
    profile = Profile(model=Model(arch=arch), data=Data(image_size=size, batch_size=images))
    network = architectures.create(arch, num_classes=10, in_channels=3, image_size=size).train()
    optimizer = build_optimizer(network, profile.optim, cpu)
    step = Step(profile, network, network, optimizer, cpu, "fp32", Fit(network, "auto", images), Ranks())
    for number in range(2):
        step.run(synthetic(images, 3, size, 10, cpu), number, 1.0)

def figure(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

two_steps("bn_convnet", 32, 2)  # what the libraries take once
with open("/proc/self/clear_refs", "w") as peaks:
    peaks.write("5")
before = figure("VmRSS")
two_steps(sys.argv[1], 64, 32)
print(figure("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("arch", ["resnet18", "vgg11", "vit"])
def test_the_estimated_memory_is_what_training_takes(arch: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", TRAINED, arch], capture_output=True, text=True, check=True, timeout=280
    )
    estimated = preview.memory(profile_of(arch))
    taken = int(answer.stdout)
    print(f"{arch}: {taken / 2**20:.0f} MiB, estimated {(estimated.total - estimated.images) / 2**20:.0f}")
    assert taken * 0.85 < estimated.weights + estimated.activations < taken * 1.1


@pytest.mark.parametrize("arch", ["resnet18", "googlenet", "mobilenet_v2", "vit", "mlp_mixer", "gmlp", "se_resnet18"])
def test_what_is_kept_on_paper_is_what_autograd_keeps(arch: str) -> None:
    size = architectures.card(arch).min_image_size
    size = 32 if size <= 32 else size
    network = architectures.create(arch, num_classes=10, in_channels=3, image_size=size).train()
    own = {tensor.data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(2, 3, size, size))
    found = footprint(arch, classes=10, channels=3, image_size=size, batch=2, options={}, head_only=False)
    really = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert found.kept == pytest.approx(really, rel=0.05)
    assert found.weights == sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    assert found.trained == sum(parameter.nbytes for parameter in network.parameters())


def test_the_optimiser_the_average_and_sam_take_their_copies() -> None:
    plain = preview.memory(profile_of(optim=SGD(momentum=0.0))).weights
    found = footprint("resnet18", classes=10, channels=3, image_size=64, batch=32, options={}, head_only=False)
    one = found.trained

    def more(**sections: object) -> int:
        return preview.memory(profile_of(**sections)).weights - plain

    assert plain == found.weights + one
    assert more(optim=SGD()) == one
    assert more() == 2 * one  # Adam
    assert more(optim=RMSprop(momentum=0.9, centered=True)) == 3 * one
    assert one < more(optim=Muon()) < 1.01 * one
    assert more(optim=SGD(momentum=0.0), sam=Sam(rho=0.05)) == one
    assert more(optim=SGD(momentum=0.0), train=Train(device="cpu", ema=0.99)) == found.weights


def test_parts_of_a_batch_precision_and_a_frozen_backbone_take_less() -> None:
    whole = preview.memory(profile_of())
    parts = preview.memory(profile_of(train=Train(device="cpu", micro_batch=8)))
    half = preview.memory(profile_of(train=Train(device="cpu", precision="bf16")))
    head = preview.memory(profile_of(model=Model(arch="resnet18", freeze="backbone")))
    assert parts.activations == pytest.approx(whole.activations / 4, rel=0.01)
    assert half.activations == whole.activations // 2
    assert head.weights < whole.weights / 3
    assert head.activations < whole.activations / 20
    assert whole.images == 60_000 * 3 * 32 * 32
    assert whole.total == whole.weights + whole.activations + whole.images


def test_a_folder_has_as_many_classes_as_it_has_folders(tmp_path: Path) -> None:
    for name in ("cat", "dog", "owl"):
        (tmp_path / "train" / name).mkdir(parents=True)
    few = preview.memory(profile_of(data=Data(dataset="folder", root=str(tmp_path), image_size=64, batch_size=32)))
    many = preview.memory(profile_of(data=Data(dataset="folder", root="/nowhere", image_size=64, batch_size=32)))
    assert many.weights - few.weights == 4 * 4 * 513 * 997  # a row of the last layer and a bias, with Adam's copies
    assert few.images == 0


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        (profile_of("alexnet", data=Data(image_size=32)), "alexnet "),
        (profile_of(model=Model(arch="resnet18", options={"depht": 3})), "resnet18"),
        (profile_of("mine:Net"), "mine:Net: the memory of a network of your own is not estimated"),
    ],
)
def test_a_network_that_cannot_be_built_is_one_line(profile: Profile, line: str) -> None:
    with pytest.raises(UserError) as error:
        preview.memory(profile)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


# Time.

RUN = Summary(
    id="20261122-213059-resnet18-k3f9q2", created="2026-11-22T21:30:59+00:00", state="finished", detail="",
    name="resnet18", arch="resnet18", dataset="cifar10", recipe="base", seed=0, device="cpu", host="", parent="",
    parameters=11_173_962, macs=150_000_000, epoch=10, epochs=10, step=15_630, steps=15_630, test_top1=0.9,
    test_top5=1.0, test_loss=0.3, val_top1=None, val_loss=None, train_top1=0.9, train_loss=0.3, best_top1=0.9,
    best_epoch=10, best_split="test", images_per_second=1200.0, peak_memory=None, seconds=500.0, eta=None, tags=(),
    note="", pinned=False, archived=False,
    settings={
        "model.options": {}, "data.image_size": 64, "data.batch_size": 32, "data.val_fraction": 0.0, "sam.rho": 0.0,
        "train.precision": "auto",
    },
)  # fmt: skip


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "home")


def run(seconds: float, host: str = "home", *, settings: dict[str, object] | None = None, **changed: object) -> Summary:
    more = {"settings": {**RUN.settings, **(settings or {})}, **changed}
    return replace(RUN, seconds=seconds, host=host, **more)  # type: ignore[arg-type]


def test_the_time_is_the_median_of_like_runs_of_this_machine(at_home: None) -> None:
    runs = [
        run(400.0),
        run(500.0),
        run(900.0),
        run(5.0, "elsewhere"),
        run(5.0, arch="vit"),
        run(5.0, device="cuda:0 X"),
    ]
    found = preview.duration(profile_of(train=Train(device="cpu", epochs=20)), runs)
    assert found == preview.Duration(1000.0, 1000.0, 3, scaled=False)


@pytest.mark.parametrize(
    "other",
    [
        {"data.image_size": 32},
        {"data.batch_size": 64},
        {"model.options": {"width": 2}},
        {"sam.rho": 0.05},
        {"train.precision": "bf16"},
    ],
)
def test_a_run_that_differs_in_what_decides_the_speed_is_not_alike(at_home: None, other: dict[str, object]) -> None:
    found = preview.duration(profile_of(), [run(5.0, settings=other), run(500.0)])
    assert found == preview.Duration(500.0, 1000.0, 1, scaled=False)


def test_runs_of_another_machine_are_better_than_none_and_say_so(at_home: None) -> None:
    assert preview.duration(profile_of(), [run(500.0, "elsewhere")]) == preview.Duration(500.0, 1000.0, 1, scaled=True)


def test_a_run_that_was_stopped_counts_what_it_did(at_home: None) -> None:
    found = preview.duration(profile_of(), [run(100.0, epoch=2, step=3_126)])
    assert found is not None
    assert found.seconds == pytest.approx(500.0)
    young = run(3.0, epoch=0, step=0, steps=None, images_per_second=None)
    assert preview.duration(profile_of(), [young]) is None


def test_without_like_runs_the_nearest_in_work_are_scaled(at_home: None) -> None:
    ours = architectures.card("resnet18").macs[10] * (64 / 224) ** 2
    half, far = run(500.0, arch="other", macs=round(ours / 2)), run(500.0, arch="far", macs=10)
    found = preview.duration(profile_of(), [half])
    assert found is not None
    assert (found.scaled, found.runs) == (True, 1)
    assert found.seconds == pytest.approx(1000.0, rel=1e-6)
    with_far = preview.duration(profile_of(), [*[far] * 9, *[half] * 5])
    assert with_far is not None
    assert with_far.seconds == pytest.approx(1000.0, rel=1e-6)
    assert preview.duration(profile_of("mine:Net"), [half]) is None


def test_no_runs_or_uncounted_images_give_no_time(tmp_path: Path) -> None:
    assert preview.duration(profile_of(), tmp_path / "nowhere") is None
    assert preview.duration(profile_of(data=Data(dataset="folder")), [RUN]) is None


def test_runs_are_read_from_their_folder(tmp_path: Path) -> None:
    settings = {"model.options": {}, "data.image_size": 32, "data.batch_size": 64, "train.precision": "auto"}
    for seed in range(3):
        make_run(tmp_path, arch="resnet18", epochs=3, steps=23, seed=seed, settings=settings)
    data = Data(dataset="digits", image_size=32, batch_size=64)
    found = preview.duration(profile_of(data=data, train=Train(device="cpu", epochs=5)), tmp_path)
    assert found is not None
    assert (found.runs, found.seconds) == (3, pytest.approx(5 * SECONDS, rel=0.1))
