"""What every test gets: its own caches and working conditions, one CPU thread, no network."""

import os

import pytest

# Before torch is imported: with two test processes on two cores, spinning OpenMP threads cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def private_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CNNWB_ variable from outside; caches in a temporary folder."""
    for name in list(os.environ):
        if name.startswith("CNNWB_") and not name.startswith("CNNWB_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
