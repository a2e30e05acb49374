"""How quickly saved runs are read: ten thousand in a list, a million points in one.

    python -m tests.bench.runs [--runs 10000] [--points 1000000] [--out FILE]

The runs are made here, in a temporary folder, with files of the size that real ones have. A figure is the median of
`--blocks` looks; the bars are those of docs/runs.md. `naive` beside it is what reading the same without an index and
without buckets takes in the same process: every file parsed, every line decoded.
"""

import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.bench.common import finish, say, surroundings
from workbench.profile import load
from workbench.runs import journal
from workbench.runs.history import History
from workbench.runs.index import VERSION
from workbench.runs.reading import apply_rewinds
from workbench.runs.run import Run
from workbench.runs.store import RunStore

BARS = {"list_warm": 0.3, "list_without_index": 1.5, "see_a_line": 0.005, "open_long": 0.5, "follow_long": 0.005}
"""Seconds."""


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--blocks", type=int, default=5, help="looks, of which the median counts (default 5)")
    parser.add_argument("--out", help="write the JSON object here too")
    options = parser.parse_args()
    report: dict[str, Any] = {"benchmark": "runs", **surroundings(torch.device("cpu"))}
    with tempfile.TemporaryDirectory() as folder:
        say(f"making {options.runs} runs")
        root = Path(folder) / "runs"
        make_runs(root, options.runs)
        report |= {"runs": options.runs, "list": measured_list(root, options.blocks)}
        shutil.rmtree(root)
        say(f"making a run of {options.points} points")
        long = make_long_run(Path(folder) / "long", options.points)
        report |= {"points": options.points, "long": measured_long(long, options.points, options.blocks)}
    figures = {**report["list"], **report["long"]}
    full = options.runs == 10_000 and options.points == 1_000_000
    report["bars"] = {name: {"seconds": figures[name], "bar": bar} for name, bar in BARS.items()}
    report["holds"] = all(figures[name] <= bar for name, bar in BARS.items()) if full else None
    finish(report, options.out)


def measured_list(root: Path, blocks: int) -> dict[str, float]:
    """Seconds of the list: from the index, without one, file by file, and of seeing one new line."""
    index = Path(root, ".index", f"runs-{VERSION}.sqlite")
    RunStore(root).runs()
    time.sleep(0.1)  # until no file counts as just written
    RunStore(root).runs()

    def without_index() -> None:
        shutil.rmtree(index.parent, ignore_errors=True)
        RunStore(root).runs()

    sides: dict[str, Callable[[], object]] = {
        "list_without_index": without_index,
        "list_warm": lambda: RunStore(root).runs(),
        "list_naive": lambda: [Run(path).summary for path in root.iterdir() if not path.name.startswith(".")],
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(blocks):
        for name, side in sides.items():
            times[name].append(seconds(side))
    store = RunStore(root)
    store.runs()
    live = sorted(path for path in root.iterdir() if not path.name.startswith("."))[-1]
    seen = []
    for step in range(1, 10 * blocks):
        status = json.loads((live / "status.json").read_text())
        put_json(live / "status.json", status | {"seq": step + 100, "step": step + 100})
        started = time.perf_counter()
        changes = store.watch()
        seen.append(time.perf_counter() - started)
        assert [(run.id, run.step) for run in changes.changed] == [(live.name, step + 100)]
    return {name: round(statistics.median(found), 4) for name, found in (times | {"see_a_line": seen}).items()}


def measured_long(run: Path, points: int, blocks: int) -> dict[str, float]:
    """Seconds of opening a long run and drawing its curve: the first time, later, and with one more line."""
    cache = run.parent / ".index" / "history"

    def drawn() -> History:
        history = History(run, cache)
        history.refresh()
        assert history.curve("train_loss", points=2000).lines == points
        return history

    first = seconds(drawn)
    naive, later = [], []
    for _ in range(blocks):
        later.append(seconds(drawn))
    naive.append(seconds(lambda: apply_rewinds(journal.read(run / "metrics.jsonl").records)))
    history, follow = drawn(), []
    with open(run / "metrics.jsonl", "ab", buffering=0) as file:
        for step in range(points + 1, points + 1 + 20 * blocks):
            file.write(journal.encode(step_line(step)))
            started = time.perf_counter()
            assert history.refresh()
            assert history.curve("train_loss", points=2000).lines == step
            follow.append(time.perf_counter() - started)
    return {
        "open_long_first": round(first, 3),
        "open_long": round(statistics.median(later), 4),
        "open_long_naive": round(naive[0], 3),
        "follow_long": round(statistics.median(follow), 5),
    }


def make_runs(root: Path, count: int) -> None:
    """`count` runs of five epochs, all finished but the last, which this process trains."""
    profile = load("quick", environ={}).profile.model_dump(exclude={"extends"}, exclude_none=True, mode="json")
    events = b"".join(
        journal.encode({"event": e, "time": 1.0, "epochs": 5, "step": 110}) for e in ("started", "finished")
    )
    lines = b"".join(journal.encode(step_line(step)) for step in range(1, 20))
    for number in range(count):
        path = root / f"20261101-{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}-quick-{number:06d}"
        (path / "checkpoints").mkdir(parents=True)
        (path / "run.json").write_text(json.dumps(facts(path.name, number, profile)))
        (path / "profile.toml").write_text("seed = 0\n")
        live = number == count - 1
        put_json(path / "status.json", status(number, "running" if live else "finished"))
        (path / "events.jsonl").write_bytes(events if not live else events[: events.index(b"\n") + 1])
        (path / "metrics.jsonl").write_bytes(lines)
        holder = {"host": "elsewhere", "boot_id": "", "pid": 1, "start_ticks": 1}
        (path / "lock").write_text(json.dumps(holder))


def make_long_run(root: Path, points: int) -> Path:
    run = root / "20261101-000000-long-aaaaaa"
    run.mkdir(parents=True)
    with open(run / "metrics.jsonl", "wb") as file:
        for step in range(1, points + 1):
            file.write(journal.encode(step_line(step)))
    return run


def facts(name: str, number: int, profile: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1, "id": name, "created": f"2026-11-01T00:00:00.{number:06d}+00:00", "argv": ["cnn-workbench"],
        "host": "elsewhere",
        "versions": {"cnn-workbench": "0.1.0", "torch": "2.15.0"}, "device": "cpu", "threads": 2, "seed": number % 5,
        "arch": "resnet18", "parameters": 11_175_370, "macs": 35_400_000, "profile": profile,
        "data": {"dataset": "digits", "classes": list("0123456789"), "channels": 1,
                 "images": {"train": 1438, "test": 359}},
    }  # fmt: skip


def status(number: int, state: str) -> dict[str, Any]:
    last = {
        "epoch": 5,
        "train_loss": 0.02,
        "train_top1": 0.99,
        "test_loss": 0.05,
        "test_top1": 0.9 + number % 90 / 1000,
    }
    return {
        "schema": 1, "seq": 40, "updated": 1.0, "state": state, "epoch": 5, "epochs": 5, "step": 110, "steps": 110,
        "train": {"loss": 0.02, "top1": 0.99}, "last": last, "best": {"epoch": 5, "top1": 0.98, "split": "test"},
        "images_per_second": 210.5, "eta": None, "seconds": 36.2, "peak_memory": 900_000_000,
    }  # fmt: skip


def step_line(step: int) -> dict[str, Any]:
    loss = 2.0 / (1 + step / 1000) + (step * 7919 % 1000) / 5000
    return {
        "kind": "step", "step": step, "epoch": round(step / 1000, 6), "seconds": step / 10, "train_loss": loss,
        "train_top1": 1 - loss / 3, "lr": 0.1, "images_per_second": 1234.5,
    }  # fmt: skip


def put_json(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_name(".fresh")
    fresh.write_text(json.dumps(value))
    os.utime(fresh, ns=(time.time_ns() - 10**9,) * 2)  # nothing here is to count as just written
    os.replace(fresh, path)


def seconds(work: Callable[[], object]) -> float:
    gc.collect()  # what the side before left behind is not this one's
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
