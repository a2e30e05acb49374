"""Where a run computes, in which precision and with how many threads; and randomness by step."""

from contextlib import AbstractContextManager, nullcontext

import torch

from workbench.data.keys import key
from workbench.profile import schema


def choose_device(name: str) -> torch.device:
    """The device that `train.device` means: auto is CUDA, else MPS, else the CPU. ValueError if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if name == "cuda" and torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device on this machine; use auto or cpu")
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise ValueError(f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("torch finds no MPS device on this machine; use auto or cpu")
    return device


def choose_precision(train: schema.Train, device: torch.device) -> str:
    """fp32 or bf16; auto is bf16 on a CUDA device whose arithmetic units have it."""
    if train.precision != "auto":
        return train.precision
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def set_threads(count: int) -> int:
    """Use `count` CPU threads (0: leave torch's choice); returns the number in force.

    The order of floating-point sums depends on it, so a resumed run takes the number that the run began with.
    """
    if count:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def describe_device(device: torch.device) -> str:
    """The device's name for people: "cuda:0 NVIDIA H100 80GB", "cpu"."""
    if device.type != "cuda":
        return device.type
    return f"{device} {torch.cuda.get_device_name(device)}"


def reseed(device: torch.device, *parts: int | str) -> None:
    """Set the generators that networks draw from (dropout, stochastic depth, initial weights) from a key.

    The generators are reseeded one by one: torch.manual_seed costs about 150 us a call, this about 1 us.
    """
    seed = key(*parts)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
