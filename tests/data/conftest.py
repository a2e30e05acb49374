"""No test here reads or writes the person's own cache, and none may reach the network."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.data import Dataset, open_dataset
from workbench.profile.schema import Augment, Data

Open = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache-home"
    for variable in ("XDG_CACHE_HOME", "HOME"):  # the second where platformdirs asks for it
        monkeypatch.setenv(variable, str(home))
    return home


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def opened() -> Open:
    """Open a data set from [data] keys; `seed`, `report` and `changes`, the section [augment], as extra keys."""

    def call(
        *,
        seed: int = 0,
        report: Callable[[str], None] = lambda line: None,
        changes: Augment | None = None,
        **keys: Any,
    ) -> Dataset:
        device = torch.device("cpu")
        return open_dataset(Data(**keys), seed=seed, device=device, report=report, augment=changes or Augment())

    return call
