"""What an optimiser remembers between steps: its precision, its layout in memory, and coming back from a checkpoint.

torch's optimisers take their state as it was saved. Three things can then go wrong without a word, and are put right
here: settings of the checkpoint replace those of the profile, state in another memory layout than its parameter is
read in the wrong order by the fused kernels (measured on the CPU with torch 2.11 and 2.15), and state of 16-bit
parameters is rounded to 16 bits.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

STEP = "step"
"""What LAMB's groups call the count of their steps, which is state and no setting."""


def prepare(optimizer: torch.optim.Optimizer) -> None:
    """Make `load_state_dict` safe (see above) and SGD's first step too. Once, when the optimiser is new."""
    optimizer.register_load_state_dict_pre_hook(_keep_settings)
    optimizer.register_load_state_dict_post_hook(match_layout)
    if isinstance(optimizer, torch.optim.SGD):
        optimizer.register_step_pre_hook(_start_momentum)


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Lay the state out as its parameters are. Done after loading; call it if a network's memory format is changed
    under a living optimiser.
    """
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            if value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _keep_settings(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any] | None:
    """From a checkpoint comes what was learnt; rates, decay and the choice of kernel are the profile's and device's."""
    groups = saved["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        return None  # torch refuses it with its own words
    kept = []
    for own, group in zip(optimizer.param_groups, groups, strict=True):
        learnt = {key: group[key] for key in ("params", STEP) if key in group}
        kept.append({key: value for key, value in own.items() if key != STEP} | learnt)
    return {**saved, "param_groups": kept}


@torch.no_grad()
def _start_momentum(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Give SGD buffers of zeros before its first step, from which it computes what it would have without.

    Left to itself, a fused SGD allocates them in the first step without filling them, and if a loss scaler skips that
    step (it mostly does: the scale starts too high) it goes on from whatever was in memory. Nor could a CUDA graph be
    captured of a step that is different once.
    """
    if optimizer.state:
        return
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


# For the optimisers of this package: steps that are skipped, and 32 bits


def held(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """Whether this step is to leave weights and state as they are: a bool on the device, or None if nobody asked.

    torch's loss scaler asks by setting `found_inf` (1: skip) and `grad_scale` on optimisers that say that they
    understand it (`_step_supports_amp_scaling`). So does the guard against losses that are not finite. The answer is
    not read back: a held step computes with gradients of zero, rates of zero and means that keep all they have.
    """
    found: Tensor | None = getattr(optimizer, "found_inf", None)
    return None if found is None else found > 0


def gradients_of(optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor], hold: Tensor | None) -> list[Tensor]:
    """The gradients of parameters that have one, in float32 at least, without the loss scale; zero in a held step."""
    gradients = [wide(parameter.grad) for parameter in parameters if parameter.grad is not None]
    scale: Tensor | None = getattr(optimizer, "grad_scale", None)
    if scale is not None:
        gradients = list(torch._foreach_div(gradients, scale))
    if hold is not None:  # a product would not do: 0 * nan is nan
        zero = torch.zeros((), device=hold.device)
        gradients = [torch.where(hold, zero, gradient) for gradient in gradients]
    return gradients


def unless_held(hold: Tensor | None, setting: Any, neutral: float) -> Any:
    """A rate or decay, or in a held step the value with which it changes nothing."""
    return setting if hold is None else torch.where(hold, neutral, setting)


def wide(tensor: Tensor) -> Tensor:
    """In float32 if it has 16 bits, else as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def wide_zeros(parameter: Tensor) -> Tensor:
    """Zeros of the parameter's shape and layout, of at least 32 bits."""
    dtype = torch.float32 if parameter.dtype in (torch.bfloat16, torch.float16) else parameter.dtype
    return torch.zeros_like(parameter, dtype=dtype)


def reload_wide(optimizer: torch.optim.Optimizer, saved: dict[str, Any], keys: Iterable[str]) -> None:
    """Put state back that `Optimizer.load_state_dict(saved)` has just rounded to the parameters' own precision."""
    for group, old in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        for parameter, index in zip(group["params"], old["params"], strict=True):
            for key in keys:
                value = saved["state"].get(index, {}).get(key)
                if isinstance(value, Tensor) and value.dtype != parameter.dtype:
                    optimizer.state[parameter][key] = wide_zeros(parameter).copy_(value)


def write_back(parameters: list[Tensor], widened: list[Tensor]) -> None:
    """Round to the parameters what was computed in `wide` copies of them; nothing where they are the same tensors."""
    for parameter, value in zip(parameters, widened, strict=True):
        if value is not parameter:
            parameter.copy_(value)
