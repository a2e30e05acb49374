"""A short version of `python -m tests.reliability.terminals`: real terminals, taken away from real screens."""

import random
import shutil
from pathlib import Path

import pytest

from tests.reliability.terminals import Expected, trial, undisturbed


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    return undisturbed(tmp_path_factory.mktemp("undisturbed") / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(("way", "moment"), [("pty", "prepare"), ("tmux", "checkpoint"), ("sigkill", "train")])
def test_no_run_is_lost_with_its_terminal(tmp_path: Path, expected: Expected, way: str, moment: str) -> None:
    if way == "tmux" and shutil.which("tmux") is None:
        pytest.skip("there is no tmux")
    found = trial(tmp_path / way, way, moment, expected, random.Random(5))
    assert found["lost"] == ""
    assert found["cpu_after"] < 20
