"""What a step frees is kept for the next one, and given back before a checkpoint is copied."""

import subprocess
import sys

import pytest

PAGES = """
import resource, sys, torch
from workbench.training import devices

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def ten_times():
    before = faults()
    for _ in range(10):
        torch.ones(16_000_000)  # 64 MB: 15,625 pages
    return faults() - before

ten_times()
usual = ten_times()
devices.keep_freed_memory(torch.device("cpu"))
ten_times()
kept = ten_times()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 10**6

large = [torch.ones(16_000_000) for _ in range(6)]
del large
before = resident()
devices.give_freed_memory_back(torch.device("cpu"))
print(usual, kept, devices.peak_memory(torch.device("cpu")), before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_memory_that_was_freed_is_used_again_without_the_kernel() -> None:
    answer = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True, timeout=120)
    usual, kept, peak, given_back = map(int, answer.stdout.split())
    assert usual > 1_000
    assert kept < usual / 100
    assert 64e6 < peak < 4e9
    assert given_back > 300  # MB
