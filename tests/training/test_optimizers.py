"""Each optimiser takes the step of its paper, leaves alone what it should, and goes on from a checkpoint to the bit."""

import copy
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from sync_counter import count_syncs
from timm.optim import Lamb as TimmLamb
from torch import Tensor, nn
from torch.nn import functional as F

import architectures
from workbench.base.errors import UserError
from workbench.inspect.meta import on_meta
from workbench.profile import schema
from workbench.training import optimizers
from workbench.training.lamb import Lamb
from workbench.training.muon import Muon, as_matrices, orthogonal
from workbench.training.optimizer_state import match_layout
from workbench.training.optimizers import build_optimizer, set_learning_rate, why_not_capturable
from workbench.training.parameter_groups import hidden_matrices, roles, undecayed

CPU = torch.device("cpu")

SECTIONS: dict[str, schema.Optim] = {
    "adam": schema.Adam(lr=0.003, beta1=0.8, beta2=0.97, eps=1e-7, weight_decay=0.02),
    "adamw": schema.AdamW(lr=0.004, beta1=0.7, beta2=0.98, eps=1e-6, weight_decay=0.3),
    "sgd": schema.SGD(lr=0.02, momentum=0.8, nesterov=True, weight_decay=0.04),
    "rmsprop": schema.RMSprop(lr=0.005, alpha=0.9, momentum=0.7, eps=0.03, centered=True, weight_decay=0.05),
    "lamb": schema.Lamb(lr=0.02, beta1=0.8, beta2=0.97, eps=1e-5, weight_decay=0.06),
    "nadam": schema.NAdam(lr=0.006, beta1=0.8, beta2=0.96, eps=1e-7, momentum_decay=0.01, weight_decay=0.07),
    "adagrad": schema.Adagrad(lr=0.05, lr_decay=0.1, eps=1e-6, weight_decay=0.08),
    "muon": schema.Muon(
        lr=0.03, momentum=0.9, ns_steps=4, weight_decay=0.09, adamw_lr=0.002, beta1=0.7, beta2=0.97, eps=1e-7
    ),
}
"""Every optimiser, with no setting at its default."""

STEPS_ON_A_CPU_IF_CAPTURABLE = ["adam", "adamw", "sgd", "lamb", "adagrad", "muon"]


def section(name: str, **changes: Any) -> schema.Optim:
    return SECTIONS[name].model_copy(update=changes)


class Small(nn.Module):
    """One of each kind: convolutions (plain, grouped, depthwise), norms, a token, positions, attention, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 12, 3, groups=2)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 12))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, 12))
        self.in_proj_weight = nn.Parameter(torch.randn(36, 12) / 4)
        self.layer_norm = nn.LayerNorm(12)
        self.gamma = nn.Parameter(torch.full((1, 1, 12), 0.5))
        self.hidden = nn.Linear(12, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 6, 6) -> (N, 5)
        x = self.grouped(self.depthwise(self.norm(self.stem(x))).relu()).flatten(2).mT
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        q, k, v = F.linear(self.layer_norm(x), self.in_proj_weight).chunk(3, dim=-1)
        x = x + self.gamma * F.scaled_dot_product_attention(q, k, v)
        logits: Tensor = self.head(self.hidden(x[:, 0]).relu())
        return logits


@pytest.fixture
def network() -> Small:
    torch.manual_seed(0)
    return Small()


def give_gradients(network: nn.Module, step: int) -> float:
    """A backward pass on a batch that belongs to the step; returns the loss."""
    generator = torch.Generator().manual_seed(step)
    images, labels = torch.randn(4, 3, 6, 6, generator=generator), torch.arange(4)
    network.zero_grad(set_to_none=True)
    loss = F.cross_entropy(network(images.to(next(network.parameters()).dtype)).float(), labels)
    loss.backward()
    return float(loss.detach())


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        set_learning_rate(optimizer, 1 / (1 + step))
        give_gradients(network, step)
        optimizer.step()


def values(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def assert_same_bits(a: nn.Module, b: nn.Module) -> None:
    for (name, own), other in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(own, other), name


def saved(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state as it comes back from a checkpoint file."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return content


# What is decayed, and what is a matrix


def test_what_a_parameter_is(network: Small) -> None:
    assert roles(network) == {
        "class_token": "token",
        "pos_embed": "position",
        "in_proj_weight": "matrix",
        "gamma": "scale",
        "stem.weight": "matrix",
        "norm.weight": "norm",
        "norm.bias": "norm",
        "depthwise.weight": "matrix",
        "depthwise.bias": "bias",
        "grouped.weight": "matrix",
        "grouped.bias": "bias",
        "layer_norm.weight": "norm",
        "layer_norm.bias": "norm",
        "hidden.weight": "matrix",
        "hidden.bias": "bias",
        "head.weight": "matrix",
        "head.bias": "bias",
    }


def test_what_a_parameter_of_a_users_network_is() -> None:
    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
            self.position_embeddings = nn.Embedding(7, 4)
            self.words = nn.Embedding(7, 4)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
            self.one = nn.Linear(4, 1)
            self.tied = nn.Linear(4, 7, bias=False)
            self.tied.weight = self.words.weight
            self.norm = nn.RMSNorm(4)
            self.prelu = nn.PReLU(4)
            self.repos = nn.Parameter(torch.zeros(3, 3))

        def no_weight_decay(self) -> list[str]:
            return ["repos"]

    network = Theirs()
    assert roles(network) == {
        "relative_position_bias_table": "position",
        "repos": "matrix",
        "attention.in_proj_weight": "matrix",
        "attention.in_proj_bias": "bias",
        "attention.bias_k": "scale",
        "attention.bias_v": "scale",
        "attention.out_proj.weight": "matrix",
        "attention.out_proj.bias": "bias",
        "position_embeddings.weight": "position",
        "words.weight": "embedding",
        "one.weight": "matrix",
        "one.bias": "bias",
        "norm.weight": "norm",
        "prelu.weight": "scale",
    }
    assert "repos" in undecayed(network)
    assert "one.weight" not in undecayed(network)


CHANNELS, CLASSES = 5, 997
"""Numbers that no hidden layer of any network has: they mark the first layer and the last."""


@contextmanager
def on_meta_with_markers(name: str) -> Iterator[nn.Module]:
    options: dict[str, Any] = {"aux_heads": True} if "aux_heads" in architectures.card(name).knobs else {}
    with on_meta():
        yield architectures.create(name, num_classes=CLASSES, in_channels=CHANNELS, image_size=224, **options)


def kinds_by_layer(network: nn.Module) -> dict[str, str]:
    """What each parameter is, by the layer's type and, for what is in no layer, the papers' own names."""
    kinds = {}
    for path, layer in network.named_modules():
        for leaf, parameter in layer.named_parameters(recurse=False):
            kind = {"class_token": "token", "pos_embedding": "position", "in_proj_weight": "hidden"}.get(leaf, "")
            if leaf in ("alpha", "beta", "ls1", "ls2"):
                kind = "scale"
            elif leaf in ("bias", "in_proj_bias"):
                kind = "bias"
            elif isinstance(layer, nn.BatchNorm2d | nn.LayerNorm):
                kind = "norm"
            elif isinstance(layer, nn.Linear | nn.Conv2d):
                outer = parameter.shape[1] == CHANNELS or parameter.shape[0] == CLASSES
                depthwise = isinstance(layer, nn.Conv2d) and layer.groups == layer.out_channels
                kind = "outer" if outer else "depthwise" if depthwise else "hidden"
            kinds[f"{path}.{leaf}" if path else leaf] = kind
    return kinds


def test_of_every_paper_decay_spares_all_but_matrices_and_muon_takes_the_hidden_ones() -> None:
    for name in architectures.names():
        with on_meta_with_markers(name) as network:
            kinds = kinds_by_layer(network)
            if name == "nin":  # the three layers of its head are as wide as there are classes, and one is the last
                kinds |= {"classifier.0.weight": "hidden", "classifier.2.weight": "hidden"}
            assert "" not in kinds.values(), name
            decayed = {full for full, kind in kinds.items() if kind in ("outer", "depthwise", "hidden")}
            assert undecayed(network) == set(kinds) - decayed, name
            hidden = hidden_matrices(network)
            assert set(hidden) == {full for full, kind in kinds.items() if kind == "hidden"}, name
            for full, blocks in hidden.items():
                owner = network.get_submodule(full.rpartition(".")[0])
                groups = owner.groups if isinstance(owner, nn.Conv2d) else 3 if "in_proj" in full else 1
                assert blocks == groups, full


@pytest.mark.parametrize("name", SECTIONS)
def test_decay_reaches_what_it_should(network: Small, name: str) -> None:
    """With gradients of zero nothing moves a parameter but its decay."""
    optimizer = build_optimizer(network, section(name, decay_norms_and_biases=False), CPU)
    before = values(network)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moved = {key for key, value in values(network).items() if not torch.equal(value, before[key])}
    assert moved == {
        "in_proj_weight", "stem.weight", "depthwise.weight", "grouped.weight", "hidden.weight", "head.weight",
    }  # fmt: skip

    everything = build_optimizer(network, section(name), CPU)
    with torch.no_grad():
        network.class_token.fill_(0.1)  # decay cannot be seen at zero
    before = values(network)
    everything.step()
    assert all(not torch.equal(value, before[key]) or not before[key].any() for key, value in values(network).items())


# torch's own: the settings arrive


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("adam", torch.optim.Adam, {"lr": 0.003, "betas": (0.8, 0.97), "eps": 1e-7, "weight_decay": 0.02}),
        ("adamw", torch.optim.AdamW, {"lr": 0.004, "betas": (0.7, 0.98), "eps": 1e-6, "weight_decay": 0.3}),
        ("sgd", torch.optim.SGD, {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.04}),
        (
            "rmsprop",
            torch.optim.RMSprop,
            {"lr": 0.005, "alpha": 0.9, "momentum": 0.7, "eps": 0.03, "centered": True, "weight_decay": 0.05},
        ),
        (
            "nadam",
            torch.optim.NAdam,
            {"lr": 0.006, "betas": (0.8, 0.96), "eps": 1e-7, "momentum_decay": 0.01, "weight_decay": 0.07},
        ),
        ("adagrad", torch.optim.Adagrad, {"lr": 0.05, "lr_decay": 0.1, "eps": 1e-6, "weight_decay": 0.08}),
    ],
)
def test_torchs_own_do_what_they_do_when_built_by_hand(
    network: Small, name: str, kind: type[torch.optim.Optimizer], settings: dict[str, Any]
) -> None:
    other = copy.deepcopy(network)
    ours, by_hand = build_optimizer(network, section(name), CPU), kind(other.parameters(), **settings)
    assert type(ours) is kind
    for step in range(3):
        give_gradients(network, step)
        for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
            parameter.grad = own.grad.clone()
        ours.step()
        by_hand.step()
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-5, atol=1e-7)  # one is fused, the other not


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adagrad"])
def test_the_fused_kernel_is_used_where_there_is_one(network: Small, name: str) -> None:
    assert all(group["fused"] for group in build_optimizer(network, section(name), CPU).param_groups)


# LAMB


def lamb_by_hand(w: Any, gradients: list[Any], optim: schema.Lamb, ratio: bool = True) -> Any:
    """Algorithm 2 of You et al. in float64."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = optim.beta1 * m + (1 - optim.beta1) * g
        v = optim.beta2 * v + (1 - optim.beta2) * g * g
        r = m / (1 - optim.beta1**t) / (np.sqrt(v / (1 - optim.beta2**t)) + optim.eps)
        u = r + optim.weight_decay * w
        length, step = np.sqrt((w * w).sum()), np.sqrt((u * u).sum())
        trust = length / step if ratio and length > 0 and step > 0 else 1.0
        w = w - optim.lr * trust * u
    return w


@pytest.mark.parametrize("tensor_rate", [False, True])
def test_lamb_takes_the_papers_step(tensor_rate: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    shapes = {"weight": (4, 6), "kernel": (3, 2, 3, 3), "bias": (5,), "zero": (7,)}
    start = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    start["zero"].zero_()  # its first ratio is 1, for want of a length
    optim = section("lamb")
    assert isinstance(optim, schema.Lamb)
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    settings: dict[str, Any] = {"betas": (optim.beta1, optim.beta2), "eps": optim.eps}
    lr = torch.tensor(optim.lr) if tensor_rate else optim.lr
    lamb = Lamb(parameters.values(), lr, weight_decay=optim.weight_decay, **settings)
    gradients = {name: [torch.randn(shape, generator=generator) for _ in range(6)] for name, shape in shapes.items()}
    for step in range(6):
        for name, parameter in parameters.items():
            parameter.grad = gradients[name][step]
        lamb.step()
    for name, parameter in parameters.items():
        expected = lamb_by_hand(start[name].double().numpy(), [g.double().numpy() for g in gradients[name]], optim)
        np.testing.assert_allclose(parameter.detach().double().numpy(), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lamb_is_timms_without_its_clipping(network: Small, weight_decay: float) -> None:
    other = copy.deepcopy(network)
    ours = build_optimizer(network, schema.Lamb(weight_decay=weight_decay), CPU)
    theirs = TimmLamb(
        other.parameters(), lr=0.005, eps=1e-6, weight_decay=weight_decay, max_grad_norm=None, always_adapt=True
    )
    for step in range(10):
        give_gradients(network, step)
        for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
            parameter.grad = own.grad.clone()
        ours.step()
        theirs.step()
    for (name, own), parameter in zip(network.named_parameters(), other.parameters(), strict=True):
        assert (own - parameter).abs().max().item() < 1e-6, name


def test_lamb_takes_what_is_not_decayed_without_a_trust_ratio(network: Small) -> None:
    optim = section("lamb", decay_norms_and_biases=False)
    assert isinstance(optim, schema.Lamb)
    optimizer = build_optimizer(network, optim, CPU)
    before = values(network)
    give_gradients(network, 0)
    optimizer.step()
    for name, ratio in (("norm.weight", False), ("hidden.weight", True)):
        parameter = network.get_parameter(name)
        assert parameter.grad is not None
        plain = optim if ratio else optim.model_copy(update={"weight_decay": 0.0})
        expected = lamb_by_hand(before[name].double().numpy(), [parameter.grad.double().numpy()], plain, ratio)
        np.testing.assert_allclose(parameter.detach().double().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_lamb_without_memory_of_the_gradient_follows_its_sign() -> None:
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    lamb = Lamb([parameter], 0.1, betas=(0.0, 0.0), weight_decay=0.0)
    parameter.grad = torch.tensor([2.0, -7.0])
    lamb.step()
    step = 0.1 * 5 / math.sqrt(2)
    torch.testing.assert_close(parameter.detach(), torch.tensor([3 - step, 4 + step]))


def test_a_checkpoints_count_of_steps_goes_to_where_the_parameters_are(network: Small) -> None:
    """It is read to the CPU, and a GPU could not use it there. The meta device stands for a GPU."""
    optimizer = build_optimizer(network, section("lamb"), CPU)
    train(network, optimizer, range(2))
    elsewhere = build_optimizer(copy.deepcopy(network).to("meta"), section("lamb"), torch.device("meta"))
    elsewhere.load_state_dict(saved(optimizer))
    assert {group["step"].device.type for group in elsewhere.param_groups} == {"meta"}
    assert {v.device.type for state in elsewhere.state.values() for v in state.values()} == {"meta"}


# Muon


def muon_by_hand(w: Any, gradients: list[Any], optim: schema.Muon) -> Any:
    """One matrix (rows, columns), in float64."""
    b = np.zeros_like(w)
    for g in gradients:
        b = optim.momentum * b + (1 - optim.momentum) * g
        x = (1 - optim.momentum) * g + optim.momentum * b if optim.nesterov else b
        x = x / np.linalg.norm(x)
        for _ in range(optim.ns_steps):
            s = x @ x.T
            x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
        w = w - optim.lr * optim.weight_decay * w
        w = w - optim.lr * math.sqrt(max(1.0, w.shape[0] / w.shape[1])) * x
    return w


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_takes_its_step_on_each_matrix(network: Small, nesterov: bool, capturable: bool) -> None:
    """A kernel is (out, all the rest); two groups are two matrices, queries, keys and values three."""
    optim = section("muon", nesterov=nesterov)
    assert isinstance(optim, schema.Muon)
    optimizer = build_optimizer(network, optim, CPU, capturable=capturable)
    hidden = {"in_proj_weight": 3, "grouped.weight": 2, "hidden.weight": 1}
    assert hidden_matrices(network) == hidden
    before = values(network)
    gradients: dict[str, list[Tensor]] = {name: [] for name in hidden}
    for step in range(3):
        give_gradients(network, step)
        for name in hidden:
            gradients[name].append(network.get_parameter(name).grad)
        optimizer.step()
    for name, blocks in hidden.items():
        after = as_matrices(network.get_parameter(name).detach(), blocks).double().numpy()
        for block in range(blocks):
            history = [as_matrices(g, blocks)[block].double().numpy() for g in gradients[name]]
            expected = muon_by_hand(as_matrices(before[name], blocks)[block].double().numpy(), history, optim)
            np.testing.assert_allclose(after[block], expected, rtol=1e-3, atol=2e-5)


def test_muon_is_torchs_on_plain_matrices() -> None:
    """Within bfloat16, in which torch's multiplies."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((20, 30), (30, 20), (20, 30))]
    ours, theirs = ([nn.Parameter(value.clone()) for value in start] for _ in range(2))
    muon = Muon(list(ours), [1] * 3, None, lr=0.1, momentum=0.9, weight_decay=0.1)
    peer = torch.optim.Muon(theirs, lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        muon.step()
        peer.step()
    for a, b, before in zip(ours, theirs, start, strict=True):
        assert ((a - b).norm() / (a - before).norm()).item() < 0.02


@pytest.mark.parametrize("shape", [(1, 64, 576), (1, 512, 64), (5, 40, 20), (1, 3, 500)])
def test_orthogonal_makes_singular_values_alike_and_keeps_the_vectors(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    result = orthogonal(x, 5)
    within = u.mT @ result @ v.mT  # diagonal if the singular vectors are those of x
    singular = within.diagonal(dim1=1, dim2=2)
    assert float(singular.min()) > 0.5
    assert float(singular.max()) < 1.3
    torch.testing.assert_close(within, torch.diag_embed(singular), rtol=0, atol=1e-4)


def test_orthogonal_takes_any_scale_and_zero() -> None:
    x = torch.randn(1, 8, 12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonal(x * 1e-4, 5), orthogonal(x * 1e4, 5))
    assert torch.equal(orthogonal(torch.zeros(2, 3, 4), 5), torch.zeros(2, 3, 4))


def test_muon_leaves_the_rest_to_adamw(network: Small) -> None:
    """To the bit: the same kernel on the same parameters."""
    optim = section("muon", decay_norms_and_biases=False)
    assert isinstance(optim, schema.Muon)
    other = copy.deepcopy(network)
    hidden, spared = set(hidden_matrices(network)), undecayed(network)
    rest = {name: parameter for name, parameter in other.named_parameters() if name not in hidden}
    groups = [
        {"params": [p for name, p in rest.items() if name not in spared], "weight_decay": optim.weight_decay},
        {"params": [p for name, p in rest.items() if name in spared], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=optim.adamw_lr, betas=(optim.beta1, optim.beta2), eps=optim.eps, fused=True)
    muon = build_optimizer(network, optim, CPU)
    for step in range(3):
        give_gradients(network, step)
        for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
            parameter.grad = own.grad.clone()
        muon.step()
        adamw.step()
    for name, parameter in rest.items():
        assert torch.equal(network.get_parameter(name), parameter), name


def test_muon_works_where_only_the_head_is_trained(network: Small) -> None:
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("head"))
    optimizer = build_optimizer(network, section("muon"), CPU)
    before = values(network)
    train(network, optimizer, range(2))
    optimizer.load_state_dict(saved(optimizer))
    train(network, optimizer, range(2, 3))
    moved = {name for name, value in values(network).items() if not torch.equal(value, before[name])}
    assert moved == {"head.weight", "head.bias"}


def test_a_copied_muon_trains_the_copy(network: Small) -> None:
    optimizer = build_optimizer(network, section("muon"), CPU)
    train(network, optimizer, range(1))
    other, copied = copy.deepcopy((network, optimizer))
    before = values(network)
    train(other, copied, range(1, 2))
    assert all(torch.equal(value, before[name]) for name, value in values(network).items())
    train(network, optimizer, range(1, 2))
    assert_same_bits(network, other)


# All of them


@pytest.mark.parametrize("name", SECTIONS)
def test_training_lowers_the_loss(network: Small, name: str) -> None:
    network.eval()
    optimizer = build_optimizer(network, section(name, weight_decay=0.0), CPU)
    first = give_gradients(network, 0)
    for _ in range(60):
        optimizer.step()
        last = give_gradients(network, 0)
    assert last < 0.88 * first


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize("name", SECTIONS)
def test_a_checkpoint_in_mid_run_goes_on_to_the_bit(network: Small, name: str, decay: bool) -> None:
    optim = section(name, decay_norms_and_biases=decay)
    optimizer = build_optimizer(network, optim, CPU)
    train(network, optimizer, range(3))
    other, content = copy.deepcopy(network), saved(optimizer)
    resumed = build_optimizer(other, optim, CPU)
    resumed.load_state_dict(content)
    train(network, optimizer, range(3, 6))
    train(other, resumed, range(3, 6))
    assert_same_bits(network, other)
    assert not torch.equal(network.head.weight, Small().head.weight)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_checkpoint_before_the_first_step_loads(network: Small, name: str) -> None:
    optimizer = build_optimizer(network, section(name), CPU)
    other = copy.deepcopy(network)
    resumed = build_optimizer(other, section(name), CPU)
    resumed.load_state_dict(saved(optimizer))
    train(network, optimizer, range(2))
    train(other, resumed, range(2))
    assert_same_bits(network, other)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("name", STEPS_ON_A_CPU_IF_CAPTURABLE)
def test_a_checkpoint_goes_on_with_or_without_a_graph(network: Small, name: str, before: bool) -> None:
    """Where steps are counted is a matter of the process, not of the run."""
    optimizer = build_optimizer(network, section(name), CPU, capturable=before)
    train(network, optimizer, range(3))
    other = copy.deepcopy(network)
    resumed = build_optimizer(other, section(name), CPU, capturable=not before)
    resumed.load_state_dict(saved(optimizer))
    train(network, optimizer, range(3, 5))
    train(other, resumed, range(3, 5))
    assert isinstance(resumed.param_groups[0]["lr"], Tensor) != before
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SECTIONS)
def test_settings_are_the_profiles_not_the_checkpoints(network: Small, name: str) -> None:
    optimizer = build_optimizer(network, section(name), CPU)
    train(network, optimizer, range(1))
    resumed = build_optimizer(network, section(name, lr=0.5, weight_decay=0.25), CPU)
    resumed.load_state_dict(saved(optimizer))
    set_learning_rate(resumed, 0.1)
    assert resumed.param_groups[0]["lr"] == pytest.approx(0.05)
    assert resumed.param_groups[0]["weight_decay"] == 0.25


def test_a_checkpoint_with_other_groups_is_refused(network: Small) -> None:
    content = saved(build_optimizer(network, section("adamw"), CPU))
    with pytest.raises(ValueError, match="parameter group"):
        build_optimizer(network, section("adamw", decay_norms_and_biases=False), CPU).load_state_dict(content)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_run_goes_on_in_another_memory_format(network: Small, name: str) -> None:
    """A fused kernel reads parameter, gradient and state in the order in which they lie in memory."""
    plain = build_optimizer(network, section(name), CPU)
    train(network, plain, range(2))
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    resumed = build_optimizer(other, section(name), CPU)
    resumed.load_state_dict(saved(plain))
    give_gradients(network, 2)
    for optimizer in (plain, resumed):
        set_learning_rate(optimizer, 1.0)
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        parameter.grad = torch.empty_like(parameter).copy_(own.grad)
    plain.step()
    resumed.step()
    assert other.grouped.weight.stride() != network.grouped.weight.stride()
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-5, atol=1e-6)


def test_match_layout_follows_a_format_changed_under_the_optimiser(network: Small) -> None:
    optimizer = build_optimizer(network, section("adam"), CPU)
    train(network, optimizer, range(1))
    before = optimizer.state[network.grouped.weight]["exp_avg"]
    network.to(memory_format=torch.channels_last)
    match_layout(optimizer)
    after = optimizer.state[network.grouped.weight]["exp_avg"]
    assert torch.equal(after, before)
    assert after.stride() == network.grouped.weight.stride() != before.stride()


@pytest.mark.parametrize("name", SECTIONS)
def test_what_has_no_gradient_stays(network: Small, name: str) -> None:
    """Frozen parameters are not in the optimiser; a layer that a step did not use is passed over."""
    network.grouped.requires_grad_(False)
    optimizer = build_optimizer(network, section(name), CPU)
    inside = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert inside == {id(p) for p in network.parameters() if p.requires_grad}
    before = values(network)
    for step in range(2):
        give_gradients(network, step)
        network.hidden.weight.grad = None
        network.class_token.grad = None
        optimizer.step()
    moved = {key for key, value in values(network).items() if not torch.equal(value, before[key])}
    assert moved == set(before) - {"grouped.weight", "grouped.bias", "hidden.weight", "class_token"}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_closure_is_called_and_its_loss_returned(network: Small, name: str) -> None:
    optimizer = build_optimizer(network, section(name), CPU)
    before = values(network)
    assert optimizer.step(lambda: give_gradients(network, 0)) == pytest.approx(give_gradients_to(before))
    assert not torch.equal(network.head.weight, before["head.weight"])


def give_gradients_to(state: dict[str, Tensor]) -> float:
    network = Small()
    network.load_state_dict(state, strict=False)
    return give_gradients(network, 0)


def test_without_anything_to_train_it_says_so(network: Small) -> None:
    network.requires_grad_(False)
    with pytest.raises(UserError, match="no parameters to train"):
        build_optimizer(network, section("adam"), CPU)


# 16-bit parameters


@pytest.mark.parametrize("name", ["lamb", "muon"])
def test_state_of_16_bit_parameters_has_32(name: str) -> None:
    """Also after loading, where torch alone would round it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 5)).bfloat16()
    optimizer = build_optimizer(network, section(name, decay_norms_and_biases=False), CPU)
    train(network, optimizer, range(3))
    assert all(parameter.dtype == torch.bfloat16 for parameter in network.parameters())
    own = optimizer.param_groups[:1] if name == "muon" else optimizer.param_groups
    state = [optimizer.state[p] for group in own for p in group["params"]]
    assert {v.dtype for s in state for v in s.values() if isinstance(v, Tensor)} == {torch.float32}
    other = copy.deepcopy(network)
    resumed = build_optimizer(other, section(name, decay_norms_and_biases=False), CPU)
    resumed.load_state_dict(saved(optimizer))
    train(network, optimizer, range(3, 5))
    train(other, resumed, range(3, 5))
    assert_same_bits(network, other)


# Learning rates


@pytest.mark.parametrize("name", SECTIONS)
def test_a_factor_of_zero_stops_and_of_one_gives_the_profiles_rate(network: Small, name: str) -> None:
    optimizer = build_optimizer(network, section(name), CPU)
    before = values(network)
    set_learning_rate(optimizer, 0.0)
    give_gradients(network, 0)
    optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in values(network).items())
    set_learning_rate(optimizer, 1.0)
    rates = {group["lr"] for group in optimizer.param_groups}
    assert rates == ({0.03, 0.002} if name == "muon" else {section(name).lr})


@pytest.mark.parametrize("name", STEPS_ON_A_CPU_IF_CAPTURABLE)
def test_a_captured_rate_is_filled_in_place(network: Small, name: str) -> None:
    """A CUDA graph reads the tensor that it was captured with. Its step is that of a number."""
    other = copy.deepcopy(network)
    captured = build_optimizer(network, section(name), CPU, capturable=True)
    plain = build_optimizer(other, section(name), CPU)
    rates = [group["lr"] for group in captured.param_groups]
    for step in range(3):
        for optimizer, trained in ((captured, network), (plain, other)):
            set_learning_rate(optimizer, 1 / (1 + step))
            give_gradients(trained, step)
            optimizer.step()
    for rate, group in zip(rates, captured.param_groups, strict=True):
        assert group["lr"] is rate
        assert float(rate) == pytest.approx(group["base_lr"] / 3)
        assert rate.dtype == torch.float32
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "nadam"])
def test_what_counts_steps_is_told_to_be_capturable(network: Small, name: str) -> None:
    for capturable in (True, False):
        optimizer = build_optimizer(network, section(name), CPU, capturable=capturable)
        assert all(group["capturable"] == capturable for group in optimizer.param_groups)


def test_what_cannot_be_captured_is_refused(network: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "has_fused", lambda *_: False)
    assert why_not_capturable(section("sgd"), CPU) == ""
    assert "adagrad" in why_not_capturable(section("adagrad"), CPU)
    with pytest.raises(UserError, match=r"train\.cuda_graph: adagrad"):
        build_optimizer(network, section("adagrad"), CPU, capturable=True)


# Steps that are skipped, and waits for the device


HOLD = ["adam", "adamw", "sgd", "lamb", "adagrad", "muon"]
"""Those that can be told on the device to leave a step out. The fused kernels can."""


@contextmanager
def asked(optimizer: torch.optim.Optimizer, found_inf: float, grad_scale: float | None = None) -> Iterator[None]:
    """What a loss scaler sets on an optimiser for the time of a step."""
    vars(optimizer)["found_inf"] = torch.tensor(found_inf)
    vars(optimizer)["grad_scale"] = None if grad_scale is None else torch.tensor(grad_scale)
    yield
    del vars(optimizer)["found_inf"], vars(optimizer)["grad_scale"]


@pytest.mark.parametrize("name", HOLD)
def test_a_step_that_is_held_back_leaves_no_trace(network: Small, name: str) -> None:
    """The first or a later one, whatever the gradients are: the run goes on as if it had not been."""
    other = copy.deepcopy(network)
    optimizer, plain = (build_optimizer(n, section(name), CPU) for n in (network, other))
    if name == "adagrad" and not hasattr(optimizer, "_step_supports_amp_scaling"):
        pytest.skip("the fused Adagrad of this torch cannot be told")
    assert optimizer._step_supports_amp_scaling
    rubbish = [torch.full_like(parameter, 1e30) for parameter in network.parameters()]
    del rubbish  # what a fused SGD's first step would find in memory
    for step in range(3):
        before = values(network)
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, math.nan if step else 1.0)
        with asked(optimizer, 1.0):
            optimizer.step()
        assert all(torch.equal(value, before[key]) for key, value in values(network).items())
        for stepped, trained in ((optimizer, network), (plain, other)):
            give_gradients(trained, step)
            with asked(stepped, 0.0):
                stepped.step()
        assert_same_bits(network, other)


@pytest.mark.parametrize("name", HOLD)
def test_a_step_that_is_not_held_back_is_an_ordinary_one(network: Small, name: str) -> None:
    other = copy.deepcopy(network)
    optimizer, plain = (build_optimizer(n, section(name), CPU) for n in (network, other))
    for step in range(3):
        give_gradients(other, step)
        plain.step()
        give_gradients(network, step)
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(1024.0)
        with asked(optimizer, 0.0, 1024.0):
            optimizer.step()
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SECTIONS)
def test_torchs_loss_scaler_works_with_each(network: Small, name: str) -> None:
    other = copy.deepcopy(network)
    optimizer, plain = (build_optimizer(n, section(name), CPU) for n in (network, other))
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for step in range(4):
        overflows = step in (0, 2)
        before = values(network)
        give_gradients(network, step)
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(scaler.get_scale())
        scaler.scale(torch.ones(()))  # it makes its tensors at the first call
        if overflows:
            network.hidden.weight.grad[0, 0] = math.inf
        scaler.step(optimizer)
        scaler.update()
        if overflows:
            assert all(torch.equal(value, before[key]) for key, value in values(network).items())
        else:
            give_gradients(other, step)
            plain.step()
    for own, parameter in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, parameter, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("name", ["lamb", "muon"])
def test_no_step_waits_for_the_device(network: Small, name: str, capturable: bool) -> None:
    """Nothing reads a value back, held or not. (AdamW's fused kernel reads a tensor on a CPU, inside the kernel.)"""
    optimizer = build_optimizer(network, section(name), CPU, capturable=capturable)
    for step in range(4):
        give_gradients(network, step)
        with count_syncs() as waits, asked(optimizer, float(step == 1)) if step else nullcontext():
            set_learning_rate(optimizer, 0.5)
            optimizer.step()
        assert waits == []
