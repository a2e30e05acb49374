"""A run directory for those that write nothing: every rank but the first."""

from pathlib import Path
from typing import Any

from workbench.runs.checkpoints import CheckpointStore


class Silent:
    """Takes what RunWriter takes, and drops it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = CheckpointStore(path / "checkpoints")

    def metrics(self, record: dict[str, Any]) -> None:
        pass

    def event(self, name: str, **facts: Any) -> None:
        pass

    def status(self, *, force: bool = False, **fields: Any) -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def sync(self) -> None:
        pass
