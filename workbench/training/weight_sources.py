"""Where weights come from: torchvision, timm (an optional extra), a .safetensors file, a checkpoint of ours."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from workbench.base.errors import did_you_mean
from workbench.profile import schema
from workbench.runs.files import sha256_of
from workbench.training.state import SCHEMA

State = Mapping[str, Tensor]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

_TORCHVISION = [
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *("resnext50_32x4d", "resnext101_32x8d"),
    *("inception_v3", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1"),
    *(f"densenet{depth}" for depth in (121, 169, 201)),
    *(f"efficientnet_b{size}" for size in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    *("vit_b_16", "vit_b_32", "vit_l_16"),
]

PEERS: dict[str, dict[str, str]] = {
    "torchvision": {name: name for name in _TORCHVISION} | {"alexnet_owt": "alexnet", "googlenet_bn": "googlenet"},
    "timm": {  # what torchvision lacks
        "mobilenet_v1": "mobilenetv1_100",
        "xception": "legacy_xception",
        "darknet53": "darknet53",
        **{f"se_resnet{depth}": f"legacy_seresnet{depth}" for depth in (18, 34, 50)},
        **{f"mixer_{size}": f"mixer_{size}_224" for size in ("s32", "s16", "b32", "b16", "l16")},
        **{f"resmlp_{depth}": f"resmlp_{depth}_224" for depth in (12, 24, 36)},
        **{f"gmlp_{size}": f"gmlp_{size}_224" for size in ("ti16", "s16", "b16")},
        "vit_ti_16": "vit_tiny_patch16_224",
        "vit_s_16": "vit_small_patch16_224",
    },
}
"""Where weights come from -> our name -> the name there."""

TRAINED_WITH: dict[str, dict[str, schema.Scalar]] = {"darknet53": {"negative_slope": 0.01}}
"""Options that leave every shape as it is and yet decide what the peer's weights mean."""


class WeightsError(Exception):
    """The weights asked for cannot be had, or are not of this network: one line that says what to do."""


@dataclass(frozen=True)
class Weights:
    """A state dict, where it is from in words, and how the images were normalised that it was trained on."""

    state: State
    origin: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def find_weights(model: schema.Model) -> Weights:
    """The weights that `model.pretrained` names. WeightsError where they are not there, not whole or out of reach."""
    if model.pretrained not in PEERS:
        return read_file(Path(model.pretrained).expanduser())
    if model.arch not in PEERS[model.pretrained]:
        others = [source for source in PEERS if model.arch in PEERS[source]]
        where = f'{others[0]} may have them: model.pretrained = "{others[0]}"' if others else "give a path to a file"
        raise WeightsError(f"{model.pretrained} has no weights for {model.arch}; {where}")
    for option, value in TRAINED_WITH.get(model.arch, {}).items():
        if model.options.get(option, value) != value:
            raise WeightsError(
                f"{model.pretrained}'s weights for {model.arch} were trained with {option} = {value}; "
                f"set model.options.{option} = {value}"
            )
    name = PEERS[model.pretrained][model.arch]
    return from_torchvision(name) if model.pretrained == "torchvision" else from_timm(name)


def from_torchvision(name: str) -> Weights:
    """torchvision's default weights of one of its networks, checked against the hash in their file name.

    Through torchvision's own network: its old files have names that only it knows how to read.
    """
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    bar = sys.stderr is not None and sys.stderr.isatty()
    network = _fetch(lambda: models.get_model(name, weights=weights, progress=bar), weights.url)
    if getattr(network, "transform_input", False):  # it turns ImageNet's normalisation into (x - 0.5) / 0.5
        return Weights(network.state_dict(), f"torchvision {weights}", HALF, HALF)
    return Weights(network.state_dict(), f"torchvision {weights}")


def from_timm(name: str) -> Weights:
    """timm's default weights of one of its networks."""
    timm = _extra("timm", "timm")
    if not timm.is_model_pretrained(name):
        raise WeightsError(f"timm has no weights for {name}; give a path to a file")
    network = _fetch(lambda: timm.create_model(name, pretrained=True), f"timm's {name}")
    facts = network.pretrained_cfg
    return Weights(network.state_dict(), f"timm {name}.{facts['tag']}", tuple(facts["mean"]), tuple(facts["std"]))


def read_file(path: Path) -> Weights:
    """A .safetensors file, a checkpoint of ours, or a plain state dict that torch.save wrote.

    A SHA-256 beside it (`<name>.sha256`) must agree. Nothing but tensors and plain values is ever unpickled.
    """
    if not path.is_file():
        guess = did_you_mean(path.name, list(PEERS)) or "; it may be torchvision, timm or a path to a file"
        raise WeightsError(f"no such file: {path}{guess}")
    _check_digest(path)
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except Exception as error:  # noqa: BLE001  # readers have no common exception for a file that is not theirs
        raise WeightsError(f"{path} cannot be read: {_first_line(error)}") from None
    state = content
    if isinstance(content, dict) and "model" in content:  # a checkpoint of ours
        state = content["model"]
        if content.get("schema", 0) > SCHEMA:
            raise WeightsError(f"{path} was written by a newer version of cnn-workbench; update this one")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f'{path} holds no state dict: names with a tensor each, alone or under "model"')
    return Weights(state, str(path))


def _torch_load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_digest(path: Path) -> None:
    """While a run replaces its checkpoint the sidecar names both contents: any line of it may agree."""
    try:
        text = path.with_name(f"{path.name}.sha256").read_text(encoding="ascii", errors="replace")
        digests = [line.split()[0] for line in text.splitlines() if line.strip()]
    except OSError:
        return
    if sha256_of(path) not in digests:
        raise WeightsError(f"{path}: its SHA-256 does not agree: it is damaged")


def _fetch(get: Callable[[], Any], what: str) -> Any:
    try:
        return get()
    except Exception as error:  # noqa: BLE001  # each hub and HTTP library has its own kinds; all mean the same here
        raise WeightsError(
            f"could not fetch {what} ({_first_line(error)}); fetch the file where there is a network and "
            'give its place: model.pretrained = "path/to/file"'
        ) from None


def _extra(module: str, extra: str) -> ModuleType:
    """An optional package, or how to install it."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise WeightsError(f"this needs {extra}, which is not installed: pip install 'cnn-workbench[{extra}]'")
    return importlib.import_module(module)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
