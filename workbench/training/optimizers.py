"""The optimiser of a network, from a profile's [optim], and its learning rate.

torch's own where torch has it: fused into one kernel (or one loop) where that exists for the device, else over all
tensors at once on a CUDA device, else one by one. LAMB and Muon are `lamb.py`'s and `muon.py`'s.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from workbench.base.errors import UserError
from workbench.profile import schema
from workbench.training.lamb import Lamb
from workbench.training.muon import Muon
from workbench.training.optimizer_state import prepare
from workbench.training.parameter_groups import decay_groups, hidden_matrices


def build_optimizer(
    network: nn.Module, optim: schema.Optim, device: torch.device, *, capturable: bool = False
) -> torch.optim.Optimizer:
    """The optimiser of all parameters of `network` that have gradients. UserError if there are none.

    Each parameter group keeps its learning rate as `base_lr`; a schedule is a factor on it (`set_learning_rate`).
    Call it when the network is on its device in its memory format; a format changed later wants `match_layout`.

    `capturable`: for a CUDA graph of the step. The learning rate is then a float32 tensor on the device and steps are
    counted there. UserError where it cannot be, see `why_not_capturable`. A CPU has no graphs: RMSprop and NAdam refuse
    to step there with it, the others do.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    if not names:
        raise UserError("model: the network has no parameters to train")
    reason = why_not_capturable(optim, device) if capturable else ""
    if reason:
        raise UserError(f"train.cuda_graph: {reason}")
    optimizer = _build(network, optim, names, device, capturable)
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
        if capturable:
            group["lr"] = torch.tensor(group["base_lr"], dtype=torch.float32, device=device)
    prepare(optimizer)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Every group's learning rate = `factor` times its own `base_lr`. Where it is a tensor on the device, it is filled:
    a captured graph reads it there, and nothing waits.
    """
    for group in optimizer.param_groups:
        lr = group["base_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def why_not_capturable(optim: schema.Optim, device: torch.device) -> str:
    """Why a step of this optimiser cannot be part of a CUDA graph; empty if it can."""
    if isinstance(optim, schema.Adagrad) and not has_fused(torch.optim.Adagrad, device.type):
        # Its other implementation counts steps on the CPU: a replayed graph would not count.
        return f"adagrad of torch {torch.__version__} cannot be part of a CUDA graph; use off, or a newer torch"
    return ""


def _build(
    network: nn.Module, optim: schema.Optim, names: list[str], device: torch.device, capturable: bool
) -> torch.optim.Optimizer:
    if isinstance(optim, schema.Muon):
        return _build_muon(network, optim, names, device, capturable)
    groups = decay_groups(network, optim, names)
    if isinstance(optim, schema.Lamb):
        for group in groups:
            group["trust_ratio"] = group["decayed"]
        return Lamb(groups, optim.lr, betas=(optim.beta1, optim.beta2), eps=optim.eps)
    kind, settings = _torch_own(optim)
    optimizer: torch.optim.Optimizer = kind(groups, lr=optim.lr, **settings, **implementation(kind, device, capturable))
    return optimizer


def _torch_own(optim: schema.Optim) -> tuple[Any, dict[str, Any]]:
    """torch's class for a section, and its settings besides learning rate and weight decay."""
    match optim:
        case schema.Adam() | schema.AdamW():
            kind = torch.optim.AdamW if isinstance(optim, schema.AdamW) else torch.optim.Adam
            return kind, {"betas": (optim.beta1, optim.beta2), "eps": optim.eps}
        case schema.SGD():
            return torch.optim.SGD, {"momentum": optim.momentum, "nesterov": optim.nesterov}
        case schema.RMSprop():
            return torch.optim.RMSprop, {
                "alpha": optim.alpha,
                "momentum": optim.momentum,
                "eps": optim.eps,
                "centered": optim.centered,
            }
        case schema.NAdam():
            return torch.optim.NAdam, {
                "betas": (optim.beta1, optim.beta2),
                "eps": optim.eps,
                "momentum_decay": optim.momentum_decay,
            }
        case schema.Adagrad():
            return torch.optim.Adagrad, {"lr_decay": optim.lr_decay, "eps": optim.eps}
    raise AssertionError(f"no optimiser for {type(optim).__name__}")


def _build_muon(
    network: nn.Module, optim: schema.Muon, names: list[str], device: torch.device, capturable: bool
) -> Muon:
    parameters = dict(network.named_parameters())
    hidden = {name: blocks for name, blocks in hidden_matrices(network).items() if name in names}
    groups = decay_groups(network, optim, [name for name in names if name not in hidden])
    rest = None
    if groups:
        rest = torch.optim.AdamW(
            groups,
            lr=optim.adamw_lr,
            betas=(optim.beta1, optim.beta2),
            eps=optim.eps,
            **implementation(torch.optim.AdamW, device, capturable),
        )
    return Muon(
        [parameters[name] for name in hidden],
        list(hidden.values()),
        rest,
        lr=optim.lr,
        momentum=optim.momentum,
        nesterov=optim.nesterov,
        ns_steps=optim.ns_steps,
        weight_decay=optim.weight_decay,
    )


CAPTURABLE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RMSprop)
"""Those that have to be told. SGD counts no steps, and a fused Adagrad counts on the device anyway."""


def implementation(kind: Any, device: torch.device, capturable: bool) -> dict[str, Any]:
    """Which of torch's implementations of an optimiser: fused if it exists; else torch's choice, which is over all
    tensors at once on CUDA and one by one elsewhere (on a CPU, foreach took RMSprop on ResNet-18 twice as long).
    """
    choice: dict[str, Any] = {"capturable": True} if capturable and kind in CAPTURABLE else {}
    if has_fused(kind, device.type):
        choice["fused"] = True
    return choice


@cache
def has_fused(kind: Any, device_type: str) -> bool:
    """Whether this version of torch has a fused kernel of the optimiser for the device: tried on a single number, since
    some versions take the setting and refuse only to step.
    """
    number = torch.zeros(1, device=device_type, requires_grad=True)
    number.grad = torch.ones_like(number)
    try:
        kind([number], fused=True).step()
    except (RuntimeError, TypeError):
        return False
    return True
