"""model.safetensors: written whole, and read back as the same network by us and by the safetensors package."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

import architectures
from workbench.profile import schema
from workbench.runs import files
from workbench.training.export import export_model
from workbench.training.pretrained import load_pretrained
from workbench.training.weight_sources import WeightsError, read_file

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
FACTS = {"arch": "resnet18", "num_classes": 7, "options": {"width": 2.0, "act": "ß"}, "top1": 0.98, "epoch": None}


class Tied(nn.Module):
    """A network that uses one matrix twice, once turned around."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.encode = nn.Linear(8, 8, bias=False)
        self.decode = nn.Linear(8, 8, bias=False)
        self.decode.weight = self.encode.weight


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_a_fine_tuning_starts_from_the_exported_weights_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = architectures.create("resnet18", num_classes=7, in_channels=1, image_size=32)
    network = network.to(memory_format=torch.channels_last)
    for buffer in network.buffers():
        buffer.copy_(torch.rand(buffer.shape) * 9)
    path = tmp_path / "model.safetensors"
    export_model(network.state_dict(), path, FACTS)
    other = architectures.create("resnet18", num_classes=7, in_channels=1, image_size=32)
    said = load_pretrained(other, schema.Model(arch="resnet18", pretrained=str(path)), head=set())
    assert said == str(path)
    assert same(network.state_dict(), other.state_dict())


def test_tied_weights_are_under_each_of_their_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Tied().to(memory_format=torch.channels_last)
    state = network.state_dict()
    state["turned"] = state["encode.weight"].t()  # the same memory in another order
    state["row"] = state["encode.weight"][2]
    path = tmp_path / "model.safetensors"
    export_model(state, path, {})
    assert same(load_file(path), state)
    assert same(dict(read_file(path).state), state)
    del state["turned"], state["row"]
    again = Tied()
    again.load_state_dict({name: tensor for name, tensor in load_file(path).items() if name in state})
    assert torch.equal(again.decode.weight, network.encode.weight)


def test_every_dtype_and_shape_is_read_back_by_the_package(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state: dict[str, Any] = {f"{dtype}": (torch.randn(5, 3) * 3).to(dtype) for dtype in DTYPES}
    state |= {"scalar": torch.tensor(7), "empty": torch.empty(0), "empty 2d": torch.empty(0, 4), 'ä\n"': torch.ones(1)}
    state["every other"] = torch.arange(10.0)[::2]
    state["expanded"] = torch.ones(1).expand(4)
    state["parameter"] = nn.Parameter(torch.ones(2, 2))
    state["nan"] = torch.tensor([float("nan"), float("inf")])
    path = tmp_path / "all.safetensors"
    export_model(state, path, FACTS)
    back = load_file(path)
    assert torch.isnan(back["nan"][0])
    assert torch.isinf(back.pop("nan")[1])
    del state["nan"]
    assert same(back, {name: tensor.detach() for name, tensor in state.items()})
    size = int.from_bytes(path.read_bytes()[:8], "little")
    assert size % 8 == 0  # and so every tensor begins where its type wants it


def test_the_header_says_what_the_weights_are_of(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    export_model({"w": torch.ones(1)}, path, FACTS)
    with safetensors.safe_open(path, framework="pt") as file:
        told = file.metadata()
    assert told["format"] == "pt"
    assert told["arch"] == "resnet18"
    assert told["num_classes"] == "7"
    assert json.loads(told["options"]) == FACTS["options"]
    assert json.loads(told["top1"]) == 0.98
    assert "epoch" not in told


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    export_model({"w": torch.ones(100)}, path, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the package itself reads this as another number
    path.write_bytes(content)
    assert not torch.equal(load_file(path)["w"], torch.ones(100))
    with pytest.raises(WeightsError, match="its SHA-256 does not agree"):
        read_file(path)


def test_a_second_export_replaces_the_first_and_a_failed_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    export_model({"w": torch.ones(100)}, path, {})
    export_model({"w": torch.zeros(100)}, path, {})
    assert torch.equal(dict(read_file(path).state)["w"], torch.zeros(100))

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files._HashingWriter, "write", refuse)
        with pytest.raises(OSError, match="No space left"):
            export_model({"w": torch.ones(100)}, path, {})
    with pytest.raises(ValueError, match=r"extra \(dict\) is nothing that a .safetensors file can hold"):
        export_model({"w": torch.ones(100), "extra": {}}, path, {})
    assert torch.equal(dict(read_file(path).state)["w"], torch.zeros(100))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "model.safetensors.sha256"]
