"""A short version of `python -m tests.reliability.sigkill`: real processes, killed at random moments and resumed."""

from pathlib import Path

import pytest
from sigkill import trials

TINY = """
[model]
arch = "bn_convnet"
[data]
dataset = "digits"
image_size = 16
batch_size = 32
[train]
epochs = 10
threads = 1
device = "cpu"
flush_seconds = 0.01
"""


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    report = trials(str(tmp_path / "tiny.toml"), [], tmp_path, kills=4)
    assert report["lost"] == []
    assert report["torn_lines"] <= report["kills"]
    assert report["resumes"] > 0
