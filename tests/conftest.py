"""What every test gets: its own caches and working conditions, one CPU thread, no network."""

import os
import shutil
import sys
import tempfile

import pytest

# All this before torch is imported, in the process that starts the workers; they and those that they start inherit it.

# With two test processes on two cores, spinning OpenMP threads cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PYTHON_KEEPS_NOTHING = sys.dont_write_bytecode
"""Then each of the many processes started here would compile torch anew: 3 of the 5 seconds that importing it takes."""

if PYTHON_KEEPS_NOTHING:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = tempfile.mkdtemp(prefix="cnn-workbench-pycache-")
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": sys.pycache_prefix}


def pytest_unconfigure() -> None:
    """The process that made the folder removes it, after its workers have ended."""
    if PYTHON_KEEPS_NOTHING and sys.pycache_prefix:
        shutil.rmtree(sys.pycache_prefix, ignore_errors=True)


@pytest.fixture(autouse=True)
def private_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CNNWB_ variable from outside; caches, settings and logs in temporary folders."""
    for name in list(os.environ):
        if name.startswith("CNNWB_") and not name.startswith("CNNWB_TEST_"):
            monkeypatch.delenv(name)
    for kind in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path_factory.mktemp(kind.lower())))
