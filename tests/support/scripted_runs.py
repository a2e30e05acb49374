"""A folder of runs that is the same to the last byte wherever and whenever it is made: for pictures of screens.

Ids, times and figures are fixed; the trainers were of a machine called `made`, but for the live one.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from made_runs import LiveRun, make_run

from workbench.runs import directory, writer

DAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@contextmanager
def written_at(start: datetime) -> Iterator[None]:
    """Within it the writers' clock begins at `start` and goes on by half a second each time it is asked."""
    asked = [start]
    chosen = random.Random(start.isoformat())

    def now(zone: Any = None) -> datetime:
        asked[0] += timedelta(seconds=0.5)
        return asked[0]

    clock = SimpleNamespace(time=lambda: now().timestamp(), monotonic=writer.time.monotonic)
    fixed = SimpleNamespace(choice=chosen.choice)
    with (
        mock.patch.object(writer, "time", clock), mock.patch.object(writer, "datetime", SimpleNamespace(now=now)),
        mock.patch.object(directory, "datetime", SimpleNamespace(now=now)),
        mock.patch.object(directory, "secrets", fixed),
    ):  # fmt: skip
        yield


def scripted_runs(root: Path) -> Callable[[], None]:
    """Seven runs, the newest of them live: its trainer is this process until what is returned is called."""
    root.mkdir(parents=True, exist_ok=True)
    finished: tuple[dict[str, Any], ...] = (
        {"arch": "resnet18", "epochs": 5, "seed": 0, "tags": ("baseline",), "note": "longer warm-up"},
        {"arch": "resnet18", "epochs": 5, "seed": 1, "settings": {"optim.lr": 0.05, "optim.name": "sgd"}},
        {"arch": "vit_b_16", "epochs": 5, "seed": 0, "test_top1": [0.2, 0.41, 0.55, 0.6, 0.58]},
        {"arch": "alexnet", "epochs": 3, "planned": 5, "state": "stopped"},
        {"arch": "gmlp_s16", "epochs": 2, "planned": 5, "state": "failed", "test_top1": [None, None]},
        {"arch": "mobilenet_v2", "epochs": 5, "dataset": "cifar10", "settings": {"data.batch_size": 256}},
    )
    for hour, values in enumerate(finished):
        with written_at(DAY + timedelta(hours=hour)):
            make_run(root, name="made", **values)
    with written_at(DAY + timedelta(hours=len(finished))):
        live = LiveRun(root, planned=8, steps=6)
        for _ in range(3):
            live.epoch()
        live.step()
        live.step()
        live.writer.log("every image is looked at")

    def end() -> None:
        with written_at(DAY + timedelta(hours=len(finished) + 1)):
            live.end("stopped")

    return end
