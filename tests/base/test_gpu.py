"""A GPU's figures where the driver answers, where it does not, and where it goes away: with a driver of our own."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fake_nvml import FIGURES, Driver, NVMLError

from workbench.base.gpu import RETRY_SECONDS, Gpu, GpuReader

WHOLE = Gpu(0.93, 11 * 10**9, 24 * 10**9, 71.0, 318.4, 450.0, 90.0)
FIELDS = {
    "nvmlDeviceGetMemoryInfo": ("memory", "memory_total"),
    "nvmlDeviceGetUtilizationRates": ("use",),
    "nvmlDeviceGetTemperature": ("temperature",),
    "nvmlDeviceGetPowerUsage": ("power",),
    "nvmlDeviceGetEnforcedPowerLimit": ("power_limit",),
    "nvmlDeviceGetTemperatureThreshold": ("slowdown",),
}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


@pytest.fixture
def now() -> list[float]:
    return [0.0]


def reader(now: list[float], uuid: str = "GPU-1234") -> GpuReader:
    return GpuReader(uuid, lambda: now[0])


def test_figures_are_in_people_s_units(driver: Driver, now: list[float]) -> None:
    one = reader(now)
    assert one.read() == WHOLE
    one.close()
    assert driver.begun == 0


@pytest.mark.parametrize("call", FIELDS)
def test_a_call_that_fails_costs_its_own_figures_alone(driver: Driver, now: list[float], call: str) -> None:
    driver.answers[call] = NVMLError("Not Supported")  # as a part of a GPU (MIG) says of its use and power
    seen = reader(now).read()
    assert seen is not None
    assert {name for name in vars(WHOLE) if getattr(seen, name) is None} == set(FIELDS[call])


@pytest.mark.parametrize("nonsense", [2**32 - 1, -1, float("nan"), None, "N/A"])
def test_nonsense_is_no_figure(driver: Driver, now: list[float], nonsense: Any) -> None:
    driver.answers["nvmlDeviceGetPowerUsage"] = nonsense
    driver.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=nonsense)
    seen = reader(now).read()
    assert seen is not None
    assert (seen.power, seen.use, seen.temperature) == (None, None, 71.0)


@pytest.mark.parametrize("missing", ["nvmlInit", "nvmlDeviceGetHandleByUUID"])
def test_without_a_driver_nothing_is_claimed_and_it_is_not_asked_over_and_over(
    driver: Driver, now: list[float], missing: str
) -> None:
    driver.answers[missing] = NVMLError("Driver Not Loaded")
    one = reader(now)
    assert one.read() is None
    driver.answers = dict(FIGURES)
    assert one.read() is None  # too soon
    now[0] = RETRY_SECONDS
    assert one.read() == WHOLE


def test_without_the_library_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, now: list[float]) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it is an ImportError
    assert reader(now).read() is None


def test_another_gpu_than_the_one_asked_for_is_none(driver: Driver, now: list[float]) -> None:
    assert reader(now, "GPU-5678").read() is None
    assert driver.begun == 0
    assert reader(now, "").read() is None


def test_a_gpu_that_is_lost_is_looked_for_again(driver: Driver, now: list[float]) -> None:
    one = reader(now)
    assert one.read() == WHOLE
    driver.answers = {name: NVMLError("GPU is lost") for name in FIGURES}
    assert one.read() is None
    assert driver.begun == 0
    driver.answers = dict(FIGURES)
    assert one.read() is None
    now[0] = RETRY_SECONDS
    assert one.read() == WHOLE


def test_the_real_library_has_what_is_asked_of_it() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in (*FIGURES, "nvmlInit", "nvmlShutdown", "nvmlDeviceGetHandleByUUID"):
        assert callable(getattr(pynvml, name))
    assert pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN == Driver.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
