"""Where a run computes, in which precision and with how many threads; and randomness by step."""

import ctypes
import importlib.util
import os
import resource
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext, suppress

import torch

from workbench.data.keys import key
from workbench.profile import schema

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Names of glibc's malloc.h."""


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
    """fp32, bf16 or fp16; auto is bf16 on a CUDA device whose arithmetic units have it, fp16 on another CUDA device."""
    if train.precision != "auto":
        return train.precision
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which forward passes run."""
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return torch.autocast(device.type, dtype=dtypes[precision]) if precision in dtypes else nullcontext()


def set_arithmetic(train: schema.Train, device: torch.device) -> None:
    """TF32 or not, and algorithms that repeat to the bit where the profile asks for them. For the whole process."""
    if device.type != "cuda":
        return
    mode = "tf32" if train.tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = mode
    torch.backends.cudnn.conv.fp32_precision = mode  # type: ignore[attr-defined]  # set by a module property
    torch.backends.cudnn.benchmark = not train.deterministic
    torch.backends.cudnn.deterministic = train.deterministic
    if train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before the first product on the device
        # Costs a fill for every new tensor.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(train.deterministic)


def why_not_compile(device: torch.device) -> str | None:
    """What torch.compile lacks on this machine; None where it can be used."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "it needs the package triton"
    compiler = os.environ.get("CXX", "g++")
    return None if shutil.which(compiler) else f"it needs a C++ compiler ({compiler} is not found)"


def set_threads(count: int) -> int:
    """Use `count` CPU threads (0: leave torch's choice); returns the number in force.

    The order of floating-point sums depends on it, so a resumed run takes the number that the run began with.
    """
    if count:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def keep_freed_memory(device: torch.device) -> None:
    """On a CPU under glibc, let the process keep what it frees instead of giving it back to the system.

    A step's tensors are larger than malloc's limit for memory of its own, so each would be fresh pages from the kernel,
    zeroed and mapped again in every step: 90,000 page faults and 5 % of the time for resnet18 at 224 px with 32 images.
    The same addresses are used over and over this way. `give_freed_memory_back` undoes it for the moment.
    """
    if device.type != "cpu":
        return
    with suppress(OSError, AttributeError):  # another C library
        tune = ctypes.CDLL(None).mallopt
        tune(_M_MMAP_MAX, 0)
        tune(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_freed_memory_back(device: torch.device) -> None:
    """Before much memory is taken for something else than a step: what the steps keep would come on top of it."""
    if device.type != "cpu":
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory(device: torch.device) -> int:
    """The most memory in bytes that this process has taken so far: of the GPU, or, without one, of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def describe_device(device: torch.device) -> str:
    """The device's name for people: "cuda:0 NVIDIA H100 80GB", "cpu"."""
    if device.type != "cuda":
        return device.type
    return f"{device} {torch.cuda.get_device_name(device)}"


def uuid_of(device: torch.device) -> str:
    """The GPU as its driver names it, `GPU-...`, whatever CUDA_VISIBLE_DEVICES renumbers; empty for no such device."""
    if device.type != "cuda":
        return ""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return f"GPU-{uuid}" if uuid else ""


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
