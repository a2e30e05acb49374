"""What a GPU is doing, asked of NVIDIA's driver. Where there is no driver, or it does not say, nothing is claimed.

One call takes from microseconds to milliseconds, on some machines more: ask in a thread, and not more than once a
second, since the driver itself averages over about that long.
"""

import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

RETRY_SECONDS = 60.0
"""After the driver said nothing at all, it is left alone so long: it is not installed, or the GPU has fallen off."""


@dataclass(frozen=True)
class Gpu:
    """One look. None stands for what this GPU does not tell: a part of one (MIG) has no use and no power of its own."""

    use: float | None = None
    """The part of the last second in which it computed anything, 0 to 1."""
    memory: int | None = None
    """Bytes in use, by everyone."""
    memory_total: int | None = None
    temperature: float | None = None
    """°C."""
    power: float | None = None
    """Watts."""
    power_limit: float | None = None
    slowdown: float | None = None
    """The temperature in °C from which it slows itself down."""

    @property
    def known(self) -> bool:
        """Whether it tells anything."""
        return any(getattr(self, entry.name) is not None for entry in fields(self))


class GpuReader:
    """Looks at the GPU of a UUID (`GPU-...`). For one thread at a time."""

    def __init__(self, uuid: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._uuid = uuid
        self._clock = clock
        self._retry = float("-inf")
        self._nvml: Any = None
        self._handle: Any = None

    def read(self) -> Gpu | None:
        """What it is doing; None where nothing is known."""
        if not self._open():
            return None
        nvml, handle = self._nvml, self._handle
        memory = _tried(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        seen = Gpu(
            use=_number(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu, 0.01, most=1.0),
            memory=_whole(lambda: memory.used),
            memory_total=_whole(lambda: memory.total),
            temperature=_number(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU), most=200.0),
            power=_number(lambda: nvml.nvmlDeviceGetPowerUsage(handle), 0.001, most=1e5),
            power_limit=_number(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle), 0.001, most=1e5),
            slowdown=_number(
                lambda: nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
                most=200.0,
            ),
        )
        if seen.known:
            return seen
        self.close()  # the driver was taken away, or the GPU lost: later a new beginning
        self._retry = self._clock() + RETRY_SECONDS
        return None

    def close(self) -> None:
        """Have no more to do with the driver; `read` begins anew."""
        if self._nvml is not None:
            _tried(self._nvml.nvmlShutdown)
        self._nvml = self._handle = None

    def _open(self) -> bool:
        if self._handle is not None:
            return True
        if not self._uuid or self._clock() < self._retry:
            return False
        self._retry = self._clock() + RETRY_SECONDS
        nvml = _tried(lambda: importlib.import_module("pynvml"))
        if nvml is None or _tried(lambda: (nvml.nvmlInit(), True)) is None:
            return False
        self._nvml, self._handle = nvml, _tried(lambda: nvml.nvmlDeviceGetHandleByUUID(self._uuid))
        if self._handle is None:
            self.close()
        return self._handle is not None


def _tried(ask: Callable[[], Any]) -> Any:
    """What it returns; None where it raises. NVML's errors have no common ground with those of a missing library."""
    try:
        return ask()
    except Exception:  # noqa: BLE001  # whatever is wrong with a driver, it costs a figure on a screen and no run
        return None


def _number(ask: Callable[[], Any], unit: float = 1.0, *, most: float) -> float | None:
    """A figure in its unit. Drivers fill what they do not know with all ones: what is beyond `most` is none."""
    value = _tried(lambda: float(ask()) * unit)
    return round(value, 3) if value is not None and math.isfinite(value) and 0 <= value <= most else None


def _whole(ask: Callable[[], Any]) -> int | None:
    value = _tried(lambda: int(ask()))
    return value if value is not None and 0 <= value < 2**63 else None
