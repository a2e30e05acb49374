"""What each parameter is, and what follows from it: which are decayed, which are matrices for Muon.

Weight decay keeps matrices small. Recipes since the Transformer leave alone what is no matrix: norms, biases, class
tokens, position embeddings, scales (LayerScale, affine maps). The older papers decay everything; hence
`optim.decay_norms_and_biases`.

Decided by the layer that owns the parameter first, then by its name, then by its shape, so that users' own networks
are understood as well.
"""

import re
from typing import Any, Literal

from torch import Tensor, nn

from workbench.profile import schema

Role = Literal["matrix", "embedding", "bias", "norm", "token", "position", "scale"]

DECAYED: tuple[Role, ...] = ("matrix", "embedding")

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (
    nn.modules.batchnorm._NormBase,  # batch and instance norm of any dimension, and SyncBatchNorm
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)

TOKEN = re.compile(r"(^|_)(cls|class|dist|register|reg|mask)_?tokens?$")
POSITION = re.compile(r"(^|_)pos(_|ition|$)")


def roles(network: nn.Module) -> dict[str, Role]:
    """Every parameter's name -> what it is. A parameter that several modules share counts once, at its first place."""
    seen: set[Tensor] = set()
    found: dict[str, Role] = {}
    for path, owner in network.named_modules():
        for leaf, parameter in owner.named_parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                found[f"{path}.{leaf}" if path else leaf] = _role(path, owner, leaf, parameter)
    return found


def _role(path: str, owner: nn.Module, leaf: str, parameter: Tensor) -> Role:
    if isinstance(owner, NORMS):
        return "norm"
    if leaf.endswith("bias"):
        return "bias"
    if isinstance(owner, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)):
        return "matrix"
    table = isinstance(owner, nn.Embedding)
    if POSITION.search(path.rpartition(".")[2] if table else leaf):
        return "position"
    if table:
        return "embedding"
    if TOKEN.search(leaf):
        return "token"
    # (C,), and (1, 1, C) which broadcasts over patches: one number a channel.
    return "scale" if sum(length > 1 for length in parameter.shape) <= 1 else "matrix"


def undecayed(network: nn.Module) -> set[str]:
    """Names of what weight decay leaves alone if `decay_norms_and_biases` is false.

    A network that knows better may say so as timm's do: with a method `no_weight_decay` that returns names.
    """
    declared = getattr(network, "no_weight_decay", None)
    names = set(declared()) if callable(declared) else set()
    return names | {name for name, role in roles(network).items() if role not in DECAYED}


def decay_groups(network: nn.Module, optim: schema.Optimizer, names: list[str]) -> list[dict[str, Any]]:
    """Parameter groups of the parameters called `names`: what is decayed, then what is not. Empty ones are left out."""
    parameters = dict(network.named_parameters())
    spared = set() if optim.decay_norms_and_biases else undecayed(network)
    groups = []
    for decayed in (True, False):
        chosen = [parameters[name] for name in names if (name not in spared) == decayed]
        if chosen:
            weight_decay = optim.weight_decay if decayed else 0.0
            groups.append({"params": chosen, "weight_decay": weight_decay, "decayed": decayed})
    return groups


def hidden_matrices(network: nn.Module) -> dict[str, int]:
    """Names of the matrices between first and last layer -> how many matrices each holds, one below the other.

    - The first layer (a convolution or patch embedding) and the last (the head) are those that the network's
      constructor makes first and last; the last layer of an auxiliary head (a child called aux...) counts as last too.
    - A convolution's kernel is one matrix, output channels by all the rest; with groups one matrix a group, because
      no output of a group depends on another group's input. A depthwise kernel is a row for each channel: no matrix.
    - Queries', keys' and values' projections in one parameter (`in_proj_weight`) are three matrices.
    """
    layers = {
        name: module for name, module in network.named_modules() if isinstance(module, (nn.Linear, *CONVOLUTIONS))
    }
    outer = _first_and_last(list(layers))
    matrices: dict[str, int] = {}
    for path, owner in network.named_modules():
        for leaf, parameter in owner.named_parameters(recurse=False):
            name = f"{path}.{leaf}" if path else leaf
            if path in layers and leaf == "weight" and path not in outer:
                blocks = owner.groups if isinstance(owner, CONVOLUTIONS) else 1
            elif path not in layers and leaf == "in_proj_weight" and parameter.ndim == 2:
                blocks = 3 if parameter.shape[0] == 3 * parameter.shape[1] else 1
            else:
                continue
            if parameter.shape[0] > blocks:
                matrices[name] = blocks
    return matrices


def _first_and_last(layers: list[str]) -> set[str]:
    """Of layers in the order of construction: the first, the last, and the last of each auxiliary head."""
    branches: dict[str, list[str]] = {}
    for name in layers:
        top = name.partition(".")[0]
        branches.setdefault(top if re.match(r"aux", top, re.IGNORECASE) else "", []).append(name)
    trunk = branches.get("", [])
    return {*trunk[:1], *(names[-1] for names in branches.values())}
