"""Every recipe, interrupted in the middle of an epoch and resumed, equals itself uninterrupted, bit for bit."""

from pathlib import Path

import pytest
from training_helpers import StopAfter, fingerprint, load_last, resume, train

from workbench.profile.schema import DISCRIMINATED
from workbench.runs.reading import read_metrics

BASE = """
seed = 5
[model]
arch = "training_helpers:Noisy"
[data]
dataset = "digits"
image_size = 8
batch_size = 300
"""

TRAIN = """
[train]
epochs = 2
device = "cpu"
threads = 1
flush_seconds = 0.001
"""

RECIPES = {
    **{f"optimiser {name}": f'[optim]\nname = "{name}"' for name in DISCRIMINATED["optim"]},
    **{f"schedule {name}": f'[schedule]\nname = "{name}"' for name in DISCRIMINATED["schedule"]},
    "no decay of norms": '[optim]\nname = "adamw"\nweight_decay = 0.1\ndecay_norms_and_biases = false',
    "plateau that drops": '[optim]\nlr = 0.2\n[schedule]\nname = "plateau"\npatience = 0\nthreshold = 0.5',
    "SAM": "[sam]\nrho = 0.05",
    "ASAM around SGD": '[optim]\nname = "sgd"\n[sam]\nrho = 0.5\nadaptive = true',
    "mixup and CutMix": "[augment]\nmixup = 0.4\ncutmix = 1.0",
    "contrastive": '[data]\naugment = "contrastive"',
    "strong": '[data]\naugment = "strong"',
    "moving average": "[train]\nema = 0.99",
    "clipping and smoothing": "[train]\nclip_norm = 0.5\nlabel_smoothing = 0.1",
    "parts": "[train]\nmicro_batch = 64",
    "parts, SAM, average, mixup": "[train]\nmicro_batch = 64\nema = 0.9\n[sam]\nrho = 0.05\n[augment]\nmixup = 0.4",
    "skip": '[train]\non_nan = "skip"',
    "bf16": '[train]\nprecision = "bf16"',
    "fp16": '[train]\nprecision = "fp16"',
}


def profile_of(folder: Path, recipe: str) -> Path:
    """BASE, TRAIN and the recipe in one file, its tables put together."""
    tables: dict[str, dict[str, str]] = {}
    table = ""
    for line in (BASE + TRAIN + recipe).splitlines():
        if line.startswith("["):
            table = line
        elif line:
            key, _, value = line.partition(" = ")
            tables.setdefault(table, {})[key] = value  # the recipe's own comes last
    path = folder / "recipe.toml"
    texts = ["\n".join([name, *(f"{key} = {value}" for key, value in keys.items())]) for name, keys in tables.items()]
    path.write_text("\n".join(texts) + "\n")
    return path


def epochs(run: Path) -> list[dict[str, object]]:
    """The figures of every epoch as they stand after rewinds, without times."""
    records = [record for record in read_metrics(run).records if record["kind"] == "epoch"]
    return [{k: v for k, v in record.items() if k not in ("seconds", "images_per_second")} for record in records]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_interrupted_in_each_epoch_it_is_the_same_run(tmp_path: Path, recipe: str) -> None:
    profile = profile_of(tmp_path, recipe)
    whole = train(profile, tmp_path / "whole")
    assert whole.state == "finished", whole.error
    root = tmp_path / "bits"
    outcome = train(profile, root, stop=StopAfter(3))  # after step 3 of 5
    evaluations = 4 if "ema" in recipe else 2
    assert outcome.state == "preempted"
    outcome = resume(root, stop=StopAfter(2 + evaluations + 2))  # after step 2 of the second epoch
    assert outcome.state == "preempted"
    assert load_last(outcome.run)["state"]["step"] == 7
    outcome = resume(root)
    assert outcome.state == "finished"
    assert epochs(outcome.run) == epochs(whole.run)
    assert fingerprint(outcome.run) == fingerprint(whole.run)


def test_progressive_resizing_too(tmp_path: Path) -> None:
    """With a network that takes any size, and dropout that grows with it."""
    recipe = """
[train]
epochs = 3
progressive_stages = 2
progressive_from = 0.5
[model]
options = { dropout = 0.5 }
"""
    text = profile_of(tmp_path, recipe).read_text()
    text = text.replace("training_helpers:Noisy", "squeezenet1_1").replace("image_size = 8", "image_size = 48")
    text = text.replace("batch_size = 300", "batch_size = 1000")
    profile = tmp_path / "progressive.toml"
    profile.write_text(text)
    whole = train(profile, tmp_path / "whole")
    assert whole.state == "finished", whole.error
    root = tmp_path / "bits"
    outcome = train(profile, root, stop=StopAfter(1))
    while outcome.state == "preempted":
        outcome = resume(root, stop=StopAfter(4))
    assert epochs(outcome.run) == epochs(whole.run)
    assert fingerprint(outcome.run) == fingerprint(whole.run)
