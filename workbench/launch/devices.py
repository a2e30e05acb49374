"""What `device = "auto"` means on this machine, told without torch."""

import os
import platform

from workbench.base.cpu import cpu_cores
from workbench.base.text import clean


def device_in_words(wanted: str) -> str:
    """A profile's device as a person wants to read it before a run: `auto: CUDA (NVIDIA H200)`, `cpu: 2 cores`."""
    cores = cpu_cores()
    cpu = f"{cores} core{'' if cores == 1 else 's'}"
    if wanted == "cpu":
        return f"cpu: {cpu}"
    names = gpu_names()
    if wanted == "auto":
        if names:
            return f"auto: CUDA ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})"
        if platform.system() == "Darwin" and platform.machine() == "arm64":
            return "auto: MPS"
        return f"auto: no GPU was found, so the CPU, {cpu}"
    if wanted.startswith("cuda"):
        number = wanted.partition(":")[2] or "0"
        if not names:
            return f"{wanted}: no NVIDIA GPU was found"
        known = number.isdecimal() and int(number) < len(names)
        return f"{wanted}: {names[int(number)]}" if known else f"{wanted}: there are {len(names)} GPUs"
    return wanted


def gpu_names() -> list[str]:
    """Of the NVIDIA GPUs that this process may use; none where there is no driver."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
            names = [pynvml.nvmlDeviceGetName(handle) for handle in handles]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return []
    shown = [clean(name.decode(errors="replace") if isinstance(name, bytes) else str(name), 60) for name in names]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return shown
    chosen = [part.strip() for part in visible.split(",")]
    return [shown[int(part)] for part in chosen if part.isdecimal() and int(part) < len(shown)]
