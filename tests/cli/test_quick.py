"""The README's first command, as it stands there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_quick_learns_the_digits(tmp_path: Path) -> None:
    """With one CPU thread, as all tests: another test runs on the other core."""
    command = [sys.executable, "-m", "workbench", "--headless", "--profile", "quick.toml", "--json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert result["state"] == "finished"
    assert result["test"]["top1"] > 0.97
    assert f"run {result['run']}" in answer.stderr
