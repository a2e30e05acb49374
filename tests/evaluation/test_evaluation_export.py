"""A network for other programs is whole, computes the same, or is not there."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import load_file
from small_run import with_network

from workbench.base.errors import UserError
from workbench.evaluation import export as module
from workbench.evaluation.export import export
from workbench.evaluation.model import open_model


def checkpoint(run: Path, name: str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / name, weights_only=True)["model"]
    return state


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_file_of_a_finished_run_is_copied(run: Path) -> None:
    files = export(run, "safetensors", None)
    assert files == [run / "exports" / "model.safetensors", run / "exports" / "model.safetensors.sha256"]
    assert files[0].read_bytes() == (run / "model.safetensors").read_bytes()
    subprocess.run(["sha256sum", "--check", "--quiet", files[1].name], cwd=files[0].parent, check=True)
    assert sorted(path.name for path in files[0].parent.iterdir()) == [file.name for file in files]
    with pytest.raises(UserError, match="is there already; --force replaces it"):
        export(run, "safetensors", None, force=False)
    export(run, "safetensors", None)
    with pytest.raises(UserError, match="is the run's own file"):
        export(run, "safetensors", run)


@pytest.mark.parametrize("left", ["damaged", "missing"])
def test_else_the_weights_of_a_checkpoint_are_written(run: Path, tmp_path: Path, left: str) -> None:
    own = run / "model.safetensors"
    if left == "damaged":
        own.write_bytes(own.read_bytes()[:-1])
    else:
        own.unlink()
    file = export(run, "safetensors", tmp_path / "net.safetensors")[0]
    assert file == tmp_path / "net.safetensors"
    assert same(load_file(file), checkpoint(run, "best.pt"))
    with safetensors.safe_open(file, framework="pt") as opened:
        told = opened.metadata()
    assert (told["weights"], told["num_classes"], told["run"]) == ("best", "10", run.name)


def test_the_average_can_be_exported(run: Path, tmp_path: Path) -> None:
    file = export(run, "safetensors", tmp_path, weights="ema")[0]
    assert same(load_file(file), load_file(run / "model-ema.safetensors"))


def test_a_missing_package_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no_such_package_here"))
    with pytest.raises(UserError, match=r"this needs no_such_package_here: pip install 'cnn-workbench\[onnx\]'"):
        export(run, "onnx", None)
    assert not (run / "exports").exists()


@pytest.mark.parametrize(
    ("arch", "image_size"),
    [
        ("", 12),
        pytest.param("resnet18", 32, marks=pytest.mark.slow),
        pytest.param("vit_ti_16", 32, marks=pytest.mark.slow),
    ],
)
def test_onnx_computes_what_the_network_computes(trained: Path, tmp_path: Path, arch: str, image_size: int) -> None:
    for package in module.PACKAGES:
        pytest.importorskip(package)
    import onnx
    import onnxruntime

    run = with_network(trained, tmp_path / trained.name, arch, image_size) if arch else trained
    (file,) = export(run, "onnx", tmp_path / "net.onnx")
    onnx.checker.check_model(str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).normal(size=(7, 1, image_size, image_size)).astype(np.float32)
    (theirs,) = session.run(["logits"], {"images": images})
    model = open_model(run, device="cpu")
    ours = model.logits(torch.from_numpy(images)).numpy()
    assert np.abs(theirs - ours).max() <= 1e-4 * np.ptp(ours)

    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(told["mean"]) == list(model.facts.mean)
    assert (told["image_size"], told["weights"]) == (str(image_size), "best")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("net", "."))] == ["net.onnx"]


def test_a_file_that_computes_something_else_is_not_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in module.PACKAGES:
        pytest.importorskip(package)
    (file,) = export(run, "onnx", None)
    before = file.read_bytes()
    trace = module._trace

    def another(network: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
        trace(network, example, path)
        with torch.no_grad():
            next(network.parameters()).add_(0.01)

    monkeypatch.setattr(module, "_trace", another)
    with pytest.raises(UserError, match=r"computes other logits than the network"):
        export(run, "onnx", None)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
