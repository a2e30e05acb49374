"""A place to call the command line from."""

from pathlib import Path

import pytest
from tiny import tiny


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a profile `tiny.toml` of two epochs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(tiny(2, image_size=8, batch_size=300))
    return tmp_path
