"""The network of a run for other programs: its weights as .safetensors, or weights and computation as ONNX.

    export(run, "onnx", None)       # <run>/exports/model.onnx

An ONNX file is kept only if onnxruntime computes from it what the network here computes.
"""

import contextlib
import importlib.util
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import workbench
from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.evaluation.model import Model, build, open_model, read_facts
from workbench.evaluation.weights import EXPORTS, find_weights
from workbench.profile import load_exact
from workbench.runs.checkpoints import examine, put_hashed
from workbench.runs.files import sync_folder, write_hashed
from workbench.training.export import as_text, export_model

KINDS = ("safetensors", "onnx")

PACKAGES = ("onnx", "onnxscript", "onnxruntime")

TOLERANCE = 1e-4
"""Largest difference of a logit, as a part of the range of all logits. fp32 sums in another order differ by about
1e-6 of it."""

CHECKED_BATCHES = (1, 3)
"""Images in the batches that are compared: neither is the size that the network was traced with."""
TRACED_BATCH = 2


def export(run: Path, kind: str, out: Path | None, *, weights: str | None = None, force: bool = True) -> list[Path]:
    """Write the network of `run` as `kind` (one of `KINDS`); returns the files.

    `out`: a file with that suffix, or a folder; None: `<run>/exports`. `weights`: one of `weights.CHOICES`; None means
    the run's model.safetensors where a .safetensors is wanted and that one is whole, and else the best there are.
    A file that is there is refused without `force`, and stays as it was where the new one cannot be made; nothing half
    written is left behind. UserError with what to do.
    """
    if kind not in KINDS:
        raise UserError(f"there is no export to {kind}; it may be {' or '.join(KINDS)}")
    if kind == "onnx":
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"this needs {', '.join(missing)}: pip install 'cnn-workbench[onnx]'")
    target = target_file(run, kind, out)
    if target.parent.resolve() == run.resolve() and target.name in EXPORTS.values():
        raise UserError(f"{target} is the run's own file; choose another place")
    if os.path.lexists(target) and not (force and target.is_file()):
        raise UserError(f"{target} is there already; --force replaces it, --out PATH writes elsewhere")
    try:
        target.parent.mkdir(parents=out is not None, exist_ok=True)
        if kind == "onnx":
            return [_export_onnx(open_model(run, weights=weights, device="cpu"), target)]
        return _export_safetensors(run, target, weights)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from None


def target_file(run: Path, kind: str, out: Path | None) -> Path:
    """Where an export goes. UserError where that is a link that leads out of the run."""
    suffix = f".{kind}"
    if out is not None:
        return out if out.suffix == suffix and not out.is_dir() else out / f"model{suffix}"
    folder = run / "exports"
    if folder.is_symlink():
        raise UserError(f"{folder} is a link and is not followed; remove it, or choose another place with --out")
    return folder / f"model{suffix}"


# .safetensors


def _export_safetensors(run: Path, target: Path, weights: str | None) -> list[Path]:
    """A copy of what the run left, or the weights of a checkpoint."""
    whole = run / "model.safetensors"
    if weights is None and whole.is_file() and (digest := examine(whole)[0]):
        _copy(whole, target, digest)
    else:
        profile, facts = load_exact(run / "profile.toml").profile, read_facts(run)
        found = find_weights(run, weights, lambda text: None)
        told = {
            "arch": profile.model.arch,
            "options": profile.model.options,
            "num_classes": len(facts.classes),
            "in_channels": facts.channels,
            "image_size": profile.data.image_size,
            "run": run.name,
            "epoch": found.origin.epoch,
            "weights": found.origin.kind,
        }
        network = build(profile, facts)
        found.put_into(network)
        export_model(network.state_dict(), target, told)
    return [target, target.with_name(f"{target.name}.sha256")]


def _copy(source: Path, target: Path, digest: str) -> None:
    fresh = target.with_name(f".{target.name}.new")
    try:
        with open(source, "rb") as file:
            copied = write_hashed(fresh, lambda to: shutil.copyfileobj(file, to))
        if copied != digest:
            raise UserError(f"{source} has changed while it was copied; try again")
        put_hashed(fresh, target, digest)
    finally:
        fresh.unlink(missing_ok=True)


# ONNX


class Plain(nn.Module):
    """A network as others call it: `images` (N, C, S, S) in, `logits` (N, classes) out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(images)
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits


def _export_onnx(model: Model, target: Path) -> Path:
    network = Plain(model.network.float().to(memory_format=torch.contiguous_format)).eval()
    shape = (model.facts.channels, model.image_size, model.image_size)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        _trace(network, torch.zeros(TRACED_BATCH, *shape), fresh)
        _describe(fresh, _facts(model))
        _compare(network, shape, fresh)
        with open(fresh, "rb") as file:
            os.fsync(file.fileno())
        os.replace(fresh, target)
    sync_folder(target.parent)
    return target


def _trace(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write `network` to `path`, by torch's newer exporter or, where that one cannot, by the older one."""
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    batch = torch.export.Dim("batch", min=1)
    newer: dict[str, Any] = {"dynamo": True, "dynamic_shapes": ({0: batch},), "external_data": False}
    older: dict[str, Any] = {"dynamo": False, "dynamic_axes": {"images": {0: "batch"}, "logits": {0: "batch"}}}
    reasons = []
    for way in (newer, older):
        try:
            with _in_silence(), torch.no_grad():
                torch.onnx.export(network, (example,), str(path), verbose=False, **names, **way)
            return
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # the exporters raise whatever their compilers raise
            reasons.append(clean((str(error).strip() or type(error).__name__).splitlines()[0], 200))
    raise UserError(f"torch cannot write this network as ONNX: {'; the older exporter: '.join(reasons)}")


def _facts(model: Model) -> dict[str, str]:
    """What a program has to know to use the file."""
    told = {
        "run": model.run.name,
        "arch": model.profile.model.arch,
        "weights": model.origin.kind,
        "epoch": model.origin.epoch,
        "dataset": model.facts.dataset,
        "classes": list(model.facts.classes),
        "mean": list(model.facts.mean),
        "std": list(model.facts.std),
        "image_size": model.image_size,
        "channels": model.facts.channels,
        "input": "images: float32 (batch, channels, image_size, image_size), (pixel / 255 - mean) / std",
        "producer": f"cnn-workbench {workbench.__version__}",
    }
    texts = as_text(told)
    del texts["format"]  # a matter of .safetensors
    return texts


def _describe(path: Path, facts: dict[str, str]) -> None:
    """Put `facts` into the file's metadata."""
    import onnx

    written = onnx.load(str(path))
    onnx.helper.set_model_props(written, facts)
    onnx.save(written, str(path))


def _compare(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """UserError unless onnxruntime computes the same logits of random images, in batches of several sizes."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    for size in CHECKED_BATCHES:
        images = torch.randn(size, *shape, generator=random)
        with torch.no_grad():
            ours = network(images)
        theirs = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
        if theirs.shape != ours.shape:
            raise UserError(f"onnxruntime gives {tuple(theirs.shape)} logits where {tuple(ours.shape)} are right")
        limit = TOLERANCE * max(float(ours.max() - ours.min()), 1e-6)
        difference = float((theirs - ours).abs().max())
        if not difference <= limit:  # also where either is not finite
            raise UserError(
                f"the ONNX file computes other logits than the network (by {difference:.3g}, and {limit:.3g} is "
                "allowed); nothing was written"
            )


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    """The exporters tell of their progress and of what they dislike, on stdout, on stderr and through logging."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
