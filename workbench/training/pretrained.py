"""Weights that others trained, for fine-tuning: found, fitted to this network, and frozen but for the head.

    weights = find_weights(model)                       # torchvision's, timm's, or a file's
    fitted, changes = fit_state_dict(network, weights.state, head)
    network.load_state_dict(fitted)

What fits by name and shape is taken as it is. Four things may differ, and nothing else: the head (keeps its fresh
values), the channels of the first convolution, the grid of the position embeddings, and auxiliary heads, which are
there or not. Any other difference is a `WeightsError`, one line that ends up at `model.pretrained` of the profile.
"""

import re
from collections.abc import Collection
from math import isqrt

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.vit import TIMM_NAMES
from workbench.profile import schema
from workbench.training.weight_sources import IMAGENET_MEAN, IMAGENET_STD, State, WeightsError, find_weights

RENAMED = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        *TIMM_NAMES,
        (r"\.mlp\.linear_1\.", ".mlp.0."),  # torchvision's older ViT files
        (r"\.mlp\.linear_2\.", ".mlp.3."),
        (r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),  # torchvision's DenseNet files
    )
]
"""Patterns of others' names, and what stands for them here; used where they lead to a name that the network has."""


def load_pretrained(network: nn.Module, model: schema.Model, head: Collection[str]) -> str:
    """Give `network` the weights that `model.pretrained` names; returns in one line what they are and what was adapted.

    `head`: as from `head_names`. WeightsError where they cannot be had or do not fit; `network` is then as it was.
    """
    weights = find_weights(model)
    state = normalise_input(weights.state, weights.mean, weights.std)
    fitted, changes = fit_state_dict(network, state, head)
    network.load_state_dict(fitted)
    return "; ".join([weights.origin, *changes])


# What the head is, and training it alone


def head_names(state: State, other: State) -> set[str]:
    """The entries of `state` that belong to the head: those whose shape differs in `other`, the state of the same
    network built for another number of classes, and all of any auxiliary head.

    Found by comparison and not by looking for the last layer: NIN's head is three convolutions deep, and a hidden
    layer may happen to be as wide as there are classes.
    """
    return {key for key in state if _is_auxiliary(key) or key not in other or state[key].shape != other[key].shape}


def _is_auxiliary(key: str) -> bool:
    """Whether an entry is of an auxiliary head: by convention (ours and torchvision's) a child named aux... ."""
    return re.match(r"aux[^.]*\.", key, re.IGNORECASE) is not None


def freeze_backbone(network: nn.Module, head: Collection[str]) -> None:
    """No gradient for any parameter outside the head. Before the optimiser is built, which takes what has gradients."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in head)


def set_training_mode(network: nn.Module, freeze: str) -> None:
    """`network.train()`, but what is frozen keeps its running statistics as well as its weights.

    A batch norm whose parameters are frozen stays in evaluation mode; dropout works as ever.
    """
    network.train()
    if freeze == "none":
        return
    for module in network.modules():
        keeps_statistics = getattr(module, "running_mean", None) is not None
        if keeps_statistics and not any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            module.eval()


# Fitting a state dict to a network


def fit_state_dict(network: nn.Module, state: State, head: Collection[str]) -> tuple[dict[str, Tensor], list[str]]:
    """A state dict that `network` loads strictly, made of `state`, and in words what had to be changed.

    - The head: a module of it that is missing in `state` or has another shape there keeps the network's own values.
    - First convolution: `adapt_first_convolution`. Position embeddings: `interpolate_positions`.
    - Auxiliary heads may be missing, or left over. Old files lack batch norm's `num_batches_tracked`, which no result
      depends on.

    Pure: neither argument is changed. WeightsError names the first few entries that do not fit.
    """
    expected = network.state_dict()
    state = translate_names(state, expected)
    first = next((key for key, value in expected.items() if value.ndim == 4), None)
    counted = [key for key in expected if not key.endswith("num_batches_tracked")]
    replaced = {_owner(key) for key in counted if key in head and _shape(state, key) != expected[key].shape}
    fitted, changes = dict(expected), [f"{name} replaced" for name in sorted(_whole_heads(replaced, state))]
    missing, misshapen = [], []
    for key, own in expected.items():
        if key in head and _owner(key) in replaced:
            continue
        given = state.get(key)
        if given is None:
            if key in counted:
                missing.append(key)
        elif given.shape == own.shape:
            fitted[key] = given
        elif key == first and _differs_only_in(1, given, own):
            fitted[key] = adapt_first_convolution(given, own.shape[1])
            changes.append(f"{_owner(key)} adapted from {given.shape[1]} to {own.shape[1]} input channels")
        elif _are_positions(given, own):
            fitted[key] = interpolate_positions(given, own.shape[1])
            changes.append(f"{key} interpolated from {given.shape[1]} to {own.shape[1]} tokens")
        else:
            misshapen.append(key)
    unexpected = [key for key in state if key not in expected and not _is_auxiliary(key)]
    if misshapen and not missing and not unexpected:
        _refuse_other_patches(network, state, misshapen, first)
    shapes = [f"{key} {_dims(state[key])}, here {_dims(expected[key])}" for key in misshapen]
    complaints = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if complaints:
        raise WeightsError(f"the weights are not of this network: {'; '.join(complaints)}")
    return fitted, changes


def _whole_heads(modules: Collection[str], state: State) -> set[str]:
    """`modules` with those of an auxiliary head that `state` knows nothing of put together as one."""
    known = {key.partition(".")[0] for key in state}
    tops = {name: name.partition(".")[0] for name in modules}
    return {top if _is_auxiliary(f"{name}.") and top not in known else name for name, top in tops.items()}


def translate_names(state: State, expected: Collection[str]) -> dict[str, Tensor]:
    """`state` under the names of `expected`, where `RENAMED` leads to one of them from a name that is none of them."""

    def ours(key: str) -> str:
        new = key
        for pattern, replacement in RENAMED:
            new = pattern.sub(replacement, new)
        return new if key not in expected and new in expected else key

    return {ours(key): value for key, value in state.items()}


def adapt_first_convolution(weight: Tensor, in_channels: int) -> Tensor:
    """A convolution's weight (O, I, H, W) for another number of input channels, (O, in_channels, H, W).

    To one channel: the sum over I, so that a grey image gives exactly what it gave as I equal channels. Else the
    channels are repeated in turn (RGB, RGB, ...) and scaled by I / in_channels, so that the response to channels that
    are alike keeps its expected size (as timm does).
    """
    given = weight.shape[1]
    if in_channels == 1:
        return weight.float().sum(dim=1, keepdim=True)
    repeated = weight.float()[:, torch.arange(in_channels) % given]
    return repeated * (given / in_channels)


def interpolate_positions(positions: Tensor, tokens: int) -> Tensor:
    """Position embeddings (1, S, width) for another number of tokens, (1, tokens, width).

    Bicubic on the square grid of patches, antialiased when it shrinks; a class token in front is kept as it is
    (Dosovitskiy et al. 2021, section 3.2, who do not name the kernel; bicubic is DeiT's and timm's).
    """
    old, new = _grid(positions.shape[1]), _grid(tokens)
    if old is None or new is None or old[0] != new[0]:
        raise ValueError(f"{positions.shape[1]} and {tokens} tokens are not two square grids of patches")
    (extra, old_side), (_, side) = old, new
    positions = positions.float()
    grid = rearrange(positions[:, extra:], "one (h w) width -> one width h w", h=old_side)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
    return torch.cat([positions[:, :extra], rearrange(grid, "one width h w -> one (h w) width")], dim=1)


def normalise_input(state: State, mean: tuple[float, ...], std: tuple[float, ...]) -> State:
    """Weights trained on images normalised with `mean` and `std`, made to expect ImageNet's own mean and deviation.

    Here every data set is normalised with its own figures, as ImageNet-trained weights mostly are; those trained on
    (x - 0.5) / 0.5 would see images of twice their contrast. With x' = a x + b a channel, a goes into the first
    convolution's weight and what b adds into its bias, or the running mean of the batch norm after it (exact but at
    the border, where a convolution pads with zeros).
    """
    first = next((key for key, value in state.items() if value.ndim == 4), None)
    if (mean, std) == (IMAGENET_MEAN, IMAGENET_STD) or first is None or state[first].shape[1] != len(mean):
        return state
    a = torch.tensor(IMAGENET_STD) / torch.tensor(std)
    b = (torch.tensor(IMAGENET_MEAN) - torch.tensor(mean)) / torch.tensor(std)
    weight = state[first].float()
    added = torch.einsum("oihw,i->o", weight, b)
    changed = {**state, first: weight * a[:, None, None]}
    bias = f"{_owner(first)}.bias"
    norm = next((key for key in state if key.endswith("running_mean")), None)
    if bias in state:
        changed[bias] = state[bias] + added
    elif norm is not None and state[norm].shape == added.shape:
        changed[norm] = state[norm] - added
    return changed


def _refuse_other_patches(network: nn.Module, state: State, misshapen: list[str], first: str | None) -> None:
    """WeightsError if all that does not fit is the number of patches: layers that mix them have it in their shape."""
    stem = network.get_submodule(_owner(first)) if first and first not in misshapen else None
    if not isinstance(stem, nn.Conv2d) or stem.stride != stem.kernel_size:
        return
    own = network.state_dict()
    shapes = [(state[key].shape, own[key].shape) for key in misshapen]
    if any(len(given) != len(here) for given, here in shapes):
        return
    pairs = {pair for given, here in shapes for pair in zip(given, here, strict=True) if pair[0] != pair[1]}
    if len(pairs) != 1:
        return
    (old, new), patch = pairs.pop(), stem.kernel_size[0]
    if isqrt(old) ** 2 == old and isqrt(new) ** 2 == new:
        raise WeightsError(
            f"the weights mix {old} patches of {patch} px and fit images of {isqrt(old) * patch} px alone "
            f"(data.image_size is {isqrt(new) * patch}); set data.image_size = {isqrt(old) * patch}"
        )


def _are_positions(given: Tensor, own: Tensor) -> bool:
    """Whether these are position embeddings (1, S, width) of two grids, both with a class token or both without."""
    if given.ndim != 3 or given.shape[0] != 1 or not _differs_only_in(1, given, own):
        return False
    old, new = _grid(given.shape[1]), _grid(own.shape[1])
    return old is not None and new is not None and old[0] == new[0]


def _grid(tokens: int) -> tuple[int, int] | None:
    """(class tokens, side) of a sequence that is a square of patches after 0 or 1 class token; None for another."""
    return next(
        ((extra, isqrt(tokens - extra)) for extra in (0, 1) if isqrt(tokens - extra) ** 2 == tokens - extra), None
    )


def _differs_only_in(dimension: int, a: Tensor, b: Tensor) -> bool:
    same = [x == y for x, y in zip(a.shape, b.shape, strict=False)]
    return a.ndim == b.ndim and all(same[:dimension] + same[dimension + 1 :])


def _owner(key: str) -> str:
    """The module that an entry of a state dict belongs to."""
    return key.rpartition(".")[0]


def _shape(state: State, key: str) -> torch.Size | None:
    return state[key].shape if key in state else None


def _dims(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
