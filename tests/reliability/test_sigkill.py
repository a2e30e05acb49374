"""A short version of `python -m tests.reliability.sigkill`: real processes, killed at random moments and resumed."""

from pathlib import Path

import pytest
from sigkill import trials
from tiny import tiny


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny(10, flush_seconds=0.01))
    report = trials(str(tmp_path / "tiny.toml"), [], tmp_path, kills=4)
    assert report["lost"] == []
    assert report["torn_lines"] <= report["kills"]
    assert report["resumes"] > 0
