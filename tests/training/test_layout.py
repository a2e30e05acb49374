"""Which memory layout a run takes, and that a resume keeps it."""

from pathlib import Path

import pytest
import torch
from test_exact_resume import profile_of
from training_helpers import StopAfter, load_last, resume, train

import architectures
from workbench.profile import Profile
from workbench.runs.reading import read_json
from workbench.training.layout import choose_layout


@pytest.mark.parametrize(
    ("arch", "size", "wanted", "expected"),
    [
        ("resnet18", 64, "auto", torch.channels_last),
        ("resnet18", 32, "auto", torch.contiguous_format),
        ("vit_ti_16", 64, "auto", torch.contiguous_format),  # its one convolution cuts patches
        ("resnet18", 64, "off", torch.contiguous_format),
        ("vit_ti_16", 64, "on", torch.channels_last),
    ],
)
def test_on_a_cpu_a_rule_decides(arch: str, size: int, wanted: str, expected: torch.memory_format) -> None:
    with torch.device("meta"):
        network = architectures.create(arch, image_size=size)
    profile = Profile.model_validate({"data": {"image_size": size}, "train": {"channels_last": wanted}})
    layout = choose_layout(profile, network, None, torch.device("cpu"), "fp32")  # type: ignore[arg-type]
    assert layout is expected


def test_a_run_says_its_layout_and_a_resume_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = profile_of(tmp_path, '[train]\nchannels_last = "auto"')
    monkeypatch.setattr("workbench.training.layout.CPU_PIXELS", 8)
    outcome = train(profile, tmp_path / "runs", stop=StopAfter(3))
    assert read_json(outcome.run / "run.json")["channels_last"] is True
    monkeypatch.setattr("workbench.training.layout.CPU_PIXELS", 64)
    resumed = resume(tmp_path / "runs")
    assert load_last(resumed.run)["recipe"]["channels_last"] is True
    assert load_last(resumed.run)["model"]["conv.weight"].is_contiguous(memory_format=torch.channels_last)


def test_both_layouts_learn_the_same(tmp_path: Path) -> None:
    text = "[train]\nepochs = 1\nchannels_last = "
    on = train(profile_of(tmp_path, text + '"on"'), tmp_path / "on")
    off = train(profile_of(tmp_path, text + '"off"'), tmp_path / "off")
    one, other = load_last(on.run)["model"], load_last(off.run)["model"]
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)
