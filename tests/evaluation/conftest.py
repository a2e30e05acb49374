"""One small run for all tests of this folder that run in a process."""

import shutil
from pathlib import Path

import pytest
from small_run import train_small


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Not to be changed."""
    return train_small(tmp_path_factory.mktemp("evaluation-runs"))


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / trained.name))
