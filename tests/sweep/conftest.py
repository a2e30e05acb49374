"""A sweep of tiny jobs, and a program in place of the trainer: it leaves a run's files and ends as it is told."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.profile import Layer
from workbench.sweep.folder import SweepFolder
from workbench.sweep.plan import Axes, Job, plan

BASE = """
[model]
arch = "bn_convnet"
[data]
dataset = "digits"
image_size = 8
[train]
epochs = 2
device = "cpu"
"""

CHILD = '''
"""Stands in for `python -m workbench`: what it does is in script.json, a list of endings for each seed."""
import json, os, signal, sys, time, tomllib
from pathlib import Path
from workbench.runs.writer import RunWriter

HERE = Path(__file__).parent
words = sys.argv[1:]
value = {flag: words[words.index(flag) + 1] for flag in words if flag.startswith("--") and flag != "--headless"}
root = Path(value["--runs"])
if "--resume" in value:
    path = root / value["--resume"]
    profile = (path / "profile.toml").read_text()
else:
    profile = Path(value["--profile"]).read_text()
seed = str(tomllib.loads(profile)["seed"])
with open(HERE / "ledger.jsonl", "a") as ledger:
    ledger.write(json.dumps({
        "seed": int(seed), "resume": value.get("--resume"), "threads": value.get("--train.threads"), "pid": os.getpid(),
        "sid": os.getsid(0), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "settings": [name for name in os.environ if name.startswith("CNNWB_")], "time": time.time(),
    }) + "\\n")
attempt = sum(json.loads(line)["seed"] == int(seed) for line in open(HERE / "ledger.jsonl"))
endings = json.loads((HERE / "script.json").read_text()).get(seed, ["finish"])
ending = endings[min(attempt, len(endings)) - 1]
if ending == "refuse":
    print("cannot be \\x1b[2Jtrained", file=sys.stderr)
    sys.exit(2)
if "--resume" in value:
    run = RunWriter.reopen(path, print)
    run.event("resumed")
else:
    facts = {"argv": sys.argv, "arch": "bn_convnet", "seed": int(seed), "device": "cpu",
             "data": {"images": {"train": 1438}}}
    run = RunWriter.create(root, "fake", profile, facts, print)
    run.event("started")

def leave(event, code, **facts):
    run.event(event, **facts)
    run.status(force=True, state=event, epoch=2, seconds=4.0, last={"test_top1": 0.5 + int(seed) / 100})
    run.close()
    sys.exit(code)

if ending == "wait":
    for number, event, code in ((signal.SIGINT, "stopped", 130), (signal.SIGTERM, "preempted", 75)):
        signal.signal(number, lambda n, f, event=event, code=code: leave(event, code, cause=signal.Signals(n).name))
    (HERE / f"waiting{seed}").touch()
    time.sleep(60)
if ending == "hold":
    (HERE / f"waiting{seed}").touch()
    while not (HERE / "go").exists():
        time.sleep(0.02)
if ending == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if ending == "fail":
    leave("failed", 1, error="the loss is not finite")
if ending == "preempt":
    leave("preempted", 75)
leave("finished", 0)
'''


class Fake:
    """The stand-in of the trainer in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "child.py").write_text(CHILD)
        self.script()

    @property
    def program(self) -> list[str]:
        return [sys.executable, str(self.folder / "child.py")]

    def script(self, **endings: list[str]) -> None:
        """How the attempts at each seed end: `s1=["kill", "finish"]`."""
        (self.folder / "script.json").write_text(json.dumps({seed[1:]: how for seed, how in endings.items()}))

    def ledger(self, seed: int | None = None) -> list[dict[str, Any]]:
        """What was started, in order."""
        path = self.folder / "ledger.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if seed in (None, line["seed"])]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    (tmp_path / "fake").mkdir()
    return Fake(tmp_path / "fake")


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[..., list[Job]]:
    """Jobs of a tiny network, one a seed; keywords change `Axes`."""

    def make(count: int = 3, **axes: Any) -> list[Job]:
        (tmp_path / "tiny.toml").write_text(BASE)
        return plan(str(tmp_path / "tiny.toml"), Layer(), Axes(seeds=tuple(range(count)), **axes), {})

    return make


@pytest.fixture
def sweep(tmp_path: Path, jobs: Callable[..., list[Job]]) -> Callable[..., SweepFolder]:
    """A sweep's folder under tmp_path/runs."""

    def make(count: int = 3) -> SweepFolder:
        return SweepFolder.create(tmp_path / "runs", "tiny", jobs(count), {})

    return make
