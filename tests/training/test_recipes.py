"""The recipes in profiles/papers and profiles/seed: complete, their arithmetic right, and each trains on the digits."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_helpers import train

import architectures
from workbench.cli import main
from workbench.data import digits
from workbench.inspect.catalogue import entries
from workbench.profile import Profile, builtin_folder, load, schema
from workbench.training.loop import Trainer
from workbench.training.schedule import check, factor

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


def recipes(folder: str) -> list[str]:
    return sorted(path.stem for path in (builtin_folder() / folder).glob("*.toml"))


PAPERS, SEED = recipes("papers"), recipes("seed")
ALL = [f"papers/{name}" for name in PAPERS] + [f"seed/{name}" for name in SEED]
STEPS_PER_EPOCH = 391  # CIFAR-10 at the base config's batch of 128
STEPS = 10 * STEPS_PER_EPOCH


def resolved(name: str) -> Profile:
    return load(builtin_folder() / f"{name}.toml", environ={}).profile


def factors(name: str) -> list[float]:
    """What the learning rate is multiplied by in each step of the base config."""
    schedule = resolved(name).schedule
    return [factor(schedule, step, steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH) for step in range(STEPS)]


# Which there are


def test_every_row_of_the_seed_documents_table_has_its_papers_recipe() -> None:
    rows = {entry.card.module: entry.architecture for entry in entries() if entry.card.seed and not entry.is_recipe}
    [sam] = [entry for entry in entries() if entry.is_recipe]
    assert len(rows) == 22
    assert {name: resolved(f"papers/{name}").model.arch for name in PAPERS} == {**rows, "resnet_sam": sam.architecture}


def test_the_seeds_recipes_are_those_of_its_scheduler_column() -> None:
    kinds = {"CyclicLR": "cyclic", "WarmupLinearSchedule": "warmup_linear", "WarmupCosineSchedule": "warmup_cosine"}
    column = {
        "resnet_sam" if entry.is_recipe else entry.card.module: (
            entry.architecture,
            kinds[entry.card.seed["scheduler"]],
        )
        for entry in entries()
        if "scheduler" in entry.card.seed
    }
    found = {name: resolved(f"seed/{name}") for name in SEED}
    assert {name: (profile.model.arch, profile.schedule.name) for name, profile in found.items()} == column


@pytest.mark.parametrize("folder", ["papers", "seed"])
def test_sam_is_all_that_parts_its_recipe_from_resnets(folder: str) -> None:
    with_sam, plain = resolved(f"{folder}/resnet_sam"), resolved(f"{folder}/resnet")
    assert with_sam.sam == schema.Sam(rho=0.05)
    assert with_sam.model_copy(update={"sam": plain.sam, "name": plain.name}) == plain


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_is_found_by_name_and_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "check", name]) == 0
    assert capsys.readouterr().out == f"{name}: ok\n"


@pytest.mark.parametrize("name", ALL)
def test_the_rest_is_the_shared_base_config(name: str) -> None:
    chain = load(builtin_folder() / f"{name}.toml", environ={}).chain
    base, profile = load(builtin_folder() / "base.toml", environ={}).profile, resolved(name)
    assert chain[-1].resolve() == (builtin_folder() / "base.toml").resolve()
    assert profile.data == base.data
    assert (profile.seed, profile.train.epochs, profile.train.device) == (base.seed, 10, base.train.device)


# The arithmetic of the scaling

PRINTED = {
    # recipe: (learning rate, batch, exponent of the batch that it grows with)
    "alexnet": (0.01, 128, 1),
    "vgg": (0.01, 256, 1),
    "nin": (0.01, 128, 1),
    "googlenet": (0.0015, 32, 1),
    "bn_convnet": (0.0075, 32, 1),
    "inception_v3": (0.045, None, 1),
    "resnet": (0.1, 256, 1),
    "resnet_sam": (0.1, 256, 1),
    "squeezenet": (0.04, 512, 1),
    "densenet": (0.1, 64, 1),
    "resnext": (0.1, 256, 1),
    "xception": (0.045, None, 1),
    "mobilenet_v1": (0.045, None, 1),
    "mobilenet_v2": (0.045, None, 1),
    "shufflenet_v1": (0.5, 1024, 1),
    "se_resnet": (0.6, 1024, 1),
    "darknet53": (0.1, 128, 1),
    "efficientnet": (0.256, 4096, 1),
    "efficientnet_v2": (0.256, 4096, 1),
    "vit": (0.003, 4096, 0.5),
    "mlp_mixer": (0.001, 4096, 0.5),
    "resmlp": (0.005, 1024, 0.5),
    "gmlp": (0.001, 4096, 0.5),
}
"""No batch: the paper's workers did not wait for one another, or it names none, and its rate is taken as it is."""


def test_learning_rates_are_scaled_by_the_batch() -> None:
    assert sorted(PRINTED) == PAPERS
    for name, (lr, batch, exponent) in PRINTED.items():
        profile = resolved(f"papers/{name}")
        ratio = profile.data.batch_size / batch if batch else 1.0
        assert profile.optim.lr == pytest.approx(lr * ratio**exponent, rel=0.02), name
        adaptive = isinstance(profile.optim, schema.AdamW | schema.Lamb)
        assert exponent == (0.5 if adaptive else 1), name


FALLS = {
    "googlenet": 0.96 ** (775 / 8),
    "bn_convnet": 0.96 ** (150 / (8 / 6)),
    "inception_v3": 0.94 ** (100 / 2),
    "mobilenet_v1": 0.94 ** (100 / 2),
    "xception": 0.94 ** (100 / 2),
    "mobilenet_v2": 0.98**300,
    "efficientnet": 0.97 ** (350 / 2.4),
    "efficientnet_v2": 0.97 ** (350 / 2.4),
    "se_resnet": 0.1 ** (100 / 30),
    "resnext": 0.1 ** (100 / 30),
}
"""What the paper's small drops come to over its whole run."""


def test_many_small_drops_come_to_the_papers_fall() -> None:
    steps = {name for name in PAPERS if isinstance(resolved(f"papers/{name}").schedule, schema.Step)}
    assert set(FALLS) == steps
    for name, fall in FALLS.items():
        schedule = resolved(f"papers/{name}").schedule
        assert isinstance(schedule, schema.Step)
        drops = 100 / float(schedule.every.removesuffix("%"))
        assert drops * math.log(schedule.factor) == pytest.approx(math.log(fall), rel=0.03), name


@pytest.mark.parametrize("name", ALL)
def test_the_schedule_fits_the_run_and_reaches_its_peak(name: str) -> None:
    whole = factors(name)
    assert whole[0] > 0.0
    assert max(whole) == 1.0
    profile = resolved(name)
    assert check(profile, STEPS_PER_EPOCH) == []
    one_epoch = profile.model_copy(update={"train": profile.train.model_copy(update={"epochs": 1})})
    assert check(one_epoch, 12) == []  # the digits


# The seed's schedules, once they are stepped as they were meant

CYCLIC = {
    # recipe: (base_lr, step_size_up, mode); max_lr is 0.1 in all
    "alexnet": (1e-7, 100, "triangular"),
    "resnet": (1e-6, 50, "triangular2"),
    "resnet_sam": (1e-6, 50, "triangular2"),
    "se_resnet": (1e-6, 100, "exp_range"),
    "gmlp": (1e-7, 100, "exp_range"),
}


@pytest.mark.parametrize("name", CYCLIC)
def test_a_cyclic_recipe_of_the_seed_is_its_schedule_stepped_every_step(name: str) -> None:
    base, up, mode = CYCLIC[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    cyclic = torch.optim.lr_scheduler.CyclicLR(optimizer, base, 0.1, up, mode=mode, cycle_momentum=False)
    expected = []
    for _ in range(STEPS):
        expected.append(cyclic.get_last_lr()[0])
        optimizer.step()
        cyclic.step()
    lr = resolved(f"seed/{name}").optim.lr
    assert [lr * value for value in factors(f"seed/{name}")] == pytest.approx(expected, rel=1e-6)


def line(done: float) -> float:
    return 1.0 - done


def half_wave(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


WARMED_UP = {"efficientnet_v2": (100, line), "mlp_mixer": (100, line), "vit": (500, half_wave)}
"""recipe: (warmup_steps, how it falls until step 10,000)."""


@pytest.mark.parametrize("name", WARMED_UP)
def test_a_warmed_up_recipe_of_the_seed_is_its_schedule_stepped_every_step(name: str) -> None:
    warmup, fall = WARMED_UP[name]

    def seeds(step: int) -> float:
        return step / warmup if step < warmup else fall((step - warmup) / (10_000 - warmup))

    # Its first step has a rate of 0; ours begins one step later.
    expected = [seeds(step + 1) for step in range(STEPS)]
    assert factors(f"seed/{name}") == pytest.approx(expected, abs=0.003)


# What the guide says


@pytest.mark.parametrize("name", ALL)
def test_the_guide_says_what_the_recipe_does(name: str) -> None:
    profile = resolved(name)
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(lines) == 1
    cell = lines[0].split("|")[3 if name.startswith("papers") else 2]
    words = cell.replace(",", " ").replace(";", " ").split()
    assert profile.optim.name in words
    assert f"{profile.optim.lr:g}" in words
    assert profile.schedule.name in words
    if profile.optim.weight_decay:
        assert f"{profile.optim.weight_decay:g}" in words
    for key in ("ema", "clip_norm", "label_smoothing"):
        value = getattr(profile.train, key)
        assert (f"{key} {value:g}" in cell) == bool(value), key


# Training

SMALLEST = """
extends = "{recipe}"
[data]
dataset = "digits"
image_size = {size}
batch_size = {batch}
[train]
epochs = 1
device = "cpu"
threads = 1
[checkpoint]
save_model = false
"""


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """48 digits to train on, in twelve steps, and 16 to test on: few, so that every recipe is tried each time."""
    whole = digits.load()
    part = replace(
        whole,
        train_images=whole.train_images[:48],
        train_labels=whole.train_labels[:48],
        test_images=whole.test_images[:16],
        test_labels=whole.test_labels[:16],
    )
    monkeypatch.setattr(digits, "load", lambda: part)


@pytest.fixture
def train_smallest(tmp_path: Path) -> Callable[[str, int], None]:
    def run(name: str, batch: int) -> None:
        size = max(8, architectures.card(resolved(name).model.arch).min_image_size)
        recipe = (builtin_folder() / f"{name}.toml").as_posix()
        (tmp_path / "recipe.toml").write_text(SMALLEST.format(recipe=recipe, size=size, batch=batch))
        outcome = train(tmp_path / "recipe.toml", tmp_path / "runs")
        assert outcome.state == "finished", outcome.error
        assert outcome.epochs == 1
        losses = {name: value for name, value in outcome.last.items() if name.endswith("loss")}
        assert {"train_loss", "test_loss"} <= set(losses)
        assert all(math.isfinite(value) for value in losses.values()), losses

    return run


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("name", ALL)
def test_a_recipe_trains_on_some_digits(
    monkeypatch: pytest.MonkeyPatch, train_smallest: Callable[[str, int], None], name: str
) -> None:
    monkeypatch.setattr(Trainer, "save", lambda *_, **__: None)  # gigabytes, for some
    train_smallest(name, 4)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ALL)
def test_a_recipe_trains_on_all_digits(train_smallest: Callable[[str, int], None], name: str) -> None:
    train_smallest(name, 128)
