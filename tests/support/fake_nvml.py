"""Stands in for pynvml: a driver with one GPU, GPU-1234, that says what a test wants it to."""

from types import ModuleType, SimpleNamespace
from typing import Any

FIGURES = {
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=11 * 10**9, total=24 * 10**9, free=13 * 10**9),
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=93, memory=40),
    "nvmlDeviceGetTemperature": 71,
    "nvmlDeviceGetPowerUsage": 318_400,
    "nvmlDeviceGetEnforcedPowerLimit": 450_000,
    "nvmlDeviceGetTemperatureThreshold": 90,
}


class NVMLError(Exception):
    """As pynvml's: of no kind but Exception."""


class Driver(ModuleType):
    """Stands in for pynvml. `answers` are the calls' results, an exception is raised."""

    NVML_TEMPERATURE_GPU = 0
    NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.answers: dict[str, Any] = dict(FIGURES)
        self.begun = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.begun += 1
        self._give("nvmlInit")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.begun -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:  # noqa: N802
        if uuid != "GPU-1234":
            raise NVMLError("Not Found")
        return self._give("nvmlDeviceGetHandleByUUID", "the handle")

    def __getattr__(self, name: str) -> Any:
        if name not in FIGURES:
            raise AttributeError(name)
        return lambda handle, *which: self._give(name)

    def _give(self, name: str, usual: Any = None) -> Any:
        answer = self.answers.get(name, usual)
        if isinstance(answer, Exception):
            raise answer
        return answer
