"""Recipes that cannot work: one line at the place where it was set, exit code 2, nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli import main

BASE = {
    "model": {"arch": '"bn_convnet"'},
    "data": {"dataset": '"digits"', "image_size": "8", "batch_size": "300"},
    "train": {"epochs": "2", "threads": "1", "device": '"cpu"'},
}

CASES = {
    "nesterov alone": (
        {"optim": {"name": '"muon"', "momentum": "0.0"}},
        "optim.momentum: nesterov needs a momentum above 0",
    ),
    "adaptive alone": ({"sam": {"adaptive": "true"}}, "sam.adaptive: adaptive needs a rho above 0"),
    "a negative rate": ({"optim": {"lr": "-0.1"}}, "optim.lr: must be greater than 0 (got -0.1)"),
    "a negative decay": ({"optim": {"weight_decay": "-1.0"}}, "optim.weight_decay: must be at least 0 (got -1.0)"),
    "a negative radius": ({"sam": {"rho": "-0.05"}}, "sam.rho: must be at least 0 (got -0.05)"),
    "warm-up in epochs": (
        {"schedule": {"name": '"warmup_cosine"', "warmup": '"5ep"'}},
        "schedule.warmup: 5ep must be shorter than the run of 2 epochs",
    ),
    "warm-up in percent": (
        {"schedule": {"name": '"warmup_linear"', "warmup": '"100%"'}},
        "schedule.warmup: 100% must be shorter than the run of 2 epochs",
    ),
    "warm-up in steps": (
        {"schedule": {"name": '"warmup_linear"', "warmup": '"10step"'}},
        "schedule.warmup: 10step must be shorter than the run of 10 steps (2 epochs of 5)",
    ),
    "no length": (
        {"schedule": {"name": '"step"', "every": '"soon"'}},
        'schedule.every: must be a length such as "5ep", "500step" or "10%" (got "soon")',
    ),
    "a monitor that is none": (
        {"checkpoint": {"monitor": '"accuracy"'}},
        "checkpoint.monitor: must be auto, or a figure such as val_top1, test_loss or test_ema_top1",
    ),
    "a monitor without its images": (
        {"checkpoint": {"monitor": '"val_top1"'}},
        "checkpoint.monitor: val_top1 needs data.val_fraction above 0",
    ),
    "a monitor without its average": (
        {"checkpoint": {"monitor": '"test_ema_top1"'}},
        "checkpoint.monitor: test_ema_top1 needs train.ema above 0",
    ),
    "a monitor that no epoch has": (
        {"checkpoint": {"monitor": '"train_top5"'}},
        "checkpoint.monitor: train_top5 is not measured here (there are train_top1, train_loss, test_top1,",
    ),
    "a graph without a GPU": ({"train": {"cuda_graph": '"on"'}}, "train.cuda_graph: needs a CUDA device (this is cpu)"),
    "a graph and a compiler": (
        {"train": {"cuda_graph": '"on"', "compile": '"default"'}},
        "compile captures its own graphs; leave one of the two",
    ),
    "one image at a time": (
        {"train": {"micro_batch": "1"}},
        "train.micro_batch: bn_convnet has batch norm, which needs at least 2 images at a time",
    ),
    "no part": (
        {"train": {"micro_batch": '"some"'}},
        "train.micro_batch: must be auto or a whole number of at least 1",
    ),
    "a fixed size on the way": (
        {
            "model": {"arch": '"vit_ti_16"'},
            "data": {"image_size": "64"},
            "train": {"progressive_stages": "2", "progressive_from": "0.5"},
        },
        "train.progressive_stages: vit_ti_16 cannot be trained at 32 px on the way",
    ),
    "too many classes smoothed": (
        {"train": {"label_smoothing": "1.0"}},
        "train.label_smoothing: must be less than 1 (got 1.0)",
    ),
    "one checkpoint": ({"checkpoint": {"keep": "1"}}, "checkpoint.keep: must be at least 2 (got 1)"),
    "an unknown optimiser": (
        {"optim": {"name": '"adamm"'}},
        'optim.name: unknown optimiser "adamm" (did you mean "adam"',
    ),
    "an unknown schedule": ({"schedule": {"name": '"onecycle"'}}, 'did you mean "one_cycle"'),
    "another optimiser's key": (
        {"optim": {"name": '"lamb"', "momentum": "0.9"}},
        "optim.momentum: not a setting of lamb (",
    ),
}


def write(changes: dict[str, dict[str, str]]) -> list[str]:
    """my.toml; returns its lines."""
    lines: list[str] = []
    for section in [*BASE, *(name for name in changes if name not in BASE)]:
        lines.append(f"[{section}]")
        merged = {**BASE.get(section, {}), **changes.get(section, {})}
        lines += [f"{key} = {value}" for key, value in merged.items()]
    Path("my.toml").write_text("\n".join(lines) + "\n")
    return lines


@pytest.mark.parametrize(("changes", "message"), CASES.values(), ids=CASES.keys())
def test_it_is_refused_at_its_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, dict[str, str]],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = write(changes)
    assert main(["--headless", "--profile", "my.toml"]) == 2
    [told] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cnn-workbench: ")]
    assert message in told
    place = int(told.split("my.toml:")[1].split(":")[0])
    blamed = lines[place - 1].partition(" = ")[0]
    assert any(blamed in section for section in changes.values()), f"line {place} ({blamed}) was not among the changes"
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_mixing_needs_two_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from workbench.profile import ProfileError, load
    from workbench.training.observer import Quiet, StopRequest
    from workbench.training.session import start_run

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images" / "train" / "only"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    lines = write(
        {
            "data": {"dataset": '"folder"', "root": f'"{tmp_path / "images"}"', "batch_size": "2", "workers": "0"},
            "augment": {"mixup": "0.2"},
        }
    )
    line = lines.index("mixup = 0.2") + 1
    with pytest.raises(
        ProfileError, match=rf"my.toml:{line}: augment.mixup: mixing needs images of at least 2 classes"
    ):
        start_run(load("my.toml", environ={}), tmp_path / "runs", Quiet(), StopRequest())


def test_what_the_profile_alone_can_tell_is_told_without_torch(tmp_path: Path) -> None:
    """In a fresh interpreter: `profile check` refuses and torch was never imported."""
    (tmp_path / "my.toml").write_text('[schedule]\nname = "warmup_cosine"\nwarmup = "20ep"\n')
    code = (
        "import sys; from workbench.cli import main; code = main(['profile', 'check', 'my.toml']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "my.toml:3: schedule.warmup: 20ep must be shorter than the run of 10 epochs" in done.stderr


def test_compile_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    write({"train": {"compile": '"default"'}})
    assert main(["--headless", "--profile", "my.toml"]) == 2
    assert "it needs a C++ compiler (no-such-compiler is not found)" in capsys.readouterr().err
