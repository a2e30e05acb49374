"""The shape walk: its sums are the counts, its shapes the network's, and nothing is held in memory."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import architectures
from workbench.base.errors import UserError
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta
from workbench.inspect.walk import Layer, walk, walk_named


def named(name: str, *, image_size: int = 224, classes: int = 10, **options: object) -> Layer:
    return walk_named(name, classes=classes, channels=3, image_size=image_size, options=options)


def layers(root: Layer) -> Iterator[Layer]:
    yield root
    for child in root.children:
        yield from layers(child)


KINDS = ["resnet18", "vit_ti_16", "googlenet", "shufflenet_v1_g3", "resmlp_12", "densenet40_k12_bc", "efficientnet_b0"]


@pytest.mark.parametrize("name", KINDS)
def test_the_sums_are_the_counts_at_every_level(name: str) -> None:
    with on_meta():
        network = architectures.create(name, num_classes=10)
    root = walk(network, 3, 224)
    assert root.parameters == count_parameters(network) == architectures.card(name).params[10]
    assert root.macs == count_macs(network, 3, 224) == architectures.card(name).macs[10]
    for layer in layers(root):
        own = sum(torch.Size(shape).numel() for _, shape in layer.own_parameters)
        assert layer.parameters == own + sum(child.parameters for child in layer.children)
        assert layer.macs == layer.own_macs + sum(child.macs for child in layer.children)


@pytest.mark.parametrize("name", [*KINDS, "mlp_mixer", "gmlp", "xception", "squeezenet1_1", "se_resnet18", "alexnet"])
def test_the_quick_rules_agree_with_torchs_own_kernels_and_counter(name: str) -> None:
    """The same forward pass on torch's meta device, every module's output shape and every MAC."""
    size = max(97, architectures.card(name).min_image_size) if architectures.card(name).family == "cnn" else 64
    with on_meta():
        network = architectures.create(name, num_classes=10, image_size=size).eval()
    quick: list[object] = []
    real: list[object] = []
    for seen, context in ((quick, on_meta()), (real, torch.device("meta"))):
        hooks = [
            module.register_forward_hook(lambda module, _, out, seen=seen: seen.append((module, out.shape, out.dtype)))
            for module in network.modules()
        ]
        with context, torch.no_grad():
            network(torch.empty(1, 3, size, size))
        for hook in hooks:
            hook.remove()
    assert quick == real
    with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.no_grad():
        network(torch.empty(1, 3, size, size))
    assert count_macs(network, 3, size) == counter.get_total_flops() // 2


def test_shapes_of_resnet18() -> None:
    """Table 1 of the paper, at 224 px."""
    root = named("resnet18", classes=1000)
    by_name = {child.name: child for child in root.children}
    assert by_name["conv1"].shape == (1, 64, 112, 112)
    stages = [by_name[f"layer{i}"].shape for i in (1, 2, 3, 4)]
    assert stages == [(1, 64, 56, 56), (1, 128, 28, 28), (1, 256, 14, 14), (1, 512, 7, 7)]
    assert by_name["conv1"].macs == 112 * 112 * 64 * 3 * 7 * 7
    assert by_name["fc"].parameters == 512 * 1000 + 1000
    assert root.shape == (1, 1000)


def test_parameters_held_directly_are_shown_at_their_owner() -> None:
    root = named("vit_ti_16")
    assert root.own_parameters == (("class_token", (1, 1, 192)),)
    attention = next(layer for layer in layers(root) if layer.kind == "SelfAttention")
    assert ("in_proj_weight", (3 * 192, 192)) in attention.own_parameters
    tokens, width = 197, 192
    assert attention.own_macs == 3 * tokens * width * width + 2 * tokens * tokens * width


def test_folding_keeps_the_sums_and_names_neighbours_that_are_alike_together() -> None:
    root = named("vit_ti_16")
    whole = root.folded(0)
    assert (whole.parameters, whole.macs, whole.children) == (root.parameters, root.macs, ())
    folded = root.folded(2)
    assert max(len(child.children) for child in folded.children) > 0
    assert not any(inner.children for child in folded.children for inner in child.children)
    encoder = next(child for child in root.children if child.name == "encoder")
    blocks = next(child for child in encoder.children if child.name == "layers")
    assert [len(run) for run in blocks.runs()] == [12]


class Odd(nn.Module):
    """Shares a layer and a weight, calls one module twice, leaves one out and lists others."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(3, 7)
        self.listed = nn.ModuleList([nn.Linear(4, 4, bias=False) for _ in range(2)])
        self.twice = nn.Linear(4, 4, bias=False)
        self.alias = self.twice
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.twice.weight
        self.scale = nn.Parameter(torch.ones(4, 4))
        self.frozen = nn.Parameter(torch.ones(9), requires_grad=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x.mean(dim=1).flatten(1)  # (1, 4) for 2 px
        for layer in self.listed:
            x = layer(x)
        return {"logits": self.tied(self.alias(self.twice(x))) @ self.scale}


def test_shared_repeated_and_unused_modules() -> None:
    network = Odd().train()
    network.tied.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    root = walk(network, 3, 2)
    assert root.parameters == count_parameters(network) == 28 + 32 + 16 + 16
    assert root.macs == 6 * 16
    assert root.own_macs == 16
    assert root.shape == (1, 4)
    facts = {child.name: (child.parameters, child.macs, child.used, child.shape) for child in root.children}
    assert facts == {
        "listed": (32, 32, True, None),
        "twice": (16, 32, True, (1, 4)),
        "tied": (0, 16, True, (1, 4)),
        "unused": (28, 0, False, None),
    }
    assert list(facts)[-1] == "unused"
    assert network.training  # and it is left as it was
    assert not network.tied.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_auxiliary_heads_are_there_and_not_used() -> None:
    root = named("googlenet", aux_heads=True)
    unused = [child.name for child in root.children if not child.used]
    assert unused == ["aux1", "aux2"]
    assert root.parameters > named("googlenet").parameters
    assert root.macs == named("googlenet").macs


def test_a_size_that_does_not_fit_is_one_line() -> None:
    with pytest.raises(UserError, match="100"):
        named("vit_ti_16", image_size=100)
    with pytest.raises(UserError, match="dropot"):
        named("vit_ti_16", dropot=0.1)


def test_the_largest_network_takes_no_memory_and_no_compiler() -> None:
    """304 million parameters are 1.2 GB; torch._dynamo is the compiler, seconds to import."""
    code = (
        "import sys, resource, torch; from workbench.inspect.walk import walk_named;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "root = walk_named('vit_l_16', classes=1000, channels=3, image_size=224, options={});"
        "assert root.parameters == 304_326_632, root.parameters;"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before; assert grown < 100_000, grown;"
        "assert 'torch._dynamo' not in sys.modules and 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
