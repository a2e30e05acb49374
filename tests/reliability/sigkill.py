"""Kill a real run with SIGKILL at random moments, resume it, and compare its final weights with an undisturbed run's.

    python -m tests.reliability.sigkill --profile quick.toml --kills 25 [--seed 0] [--times-each 1]

prints one JSON object. A trial is lost when it cannot be resumed, or when its weights, its optimiser state or its
epochs' figures differ in one bit. `--times-each` kills every trial so many times before it may finish; settings such as
`--train.threads 1` are passed on.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from workbench.runs import journal
from workbench.runs.directory import run_ids
from workbench.runs.reading import last_ending, read_metrics

FIGURES = ("epoch", "step", "train_loss", "train_top1", "test_loss", "test_top1", "test_top5", "lr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick.toml")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--times-each", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options, settings = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        report = trials(options.profile, settings, Path(folder), options.kills, options.times_each, options.seed)
    print(json.dumps(report))
    sys.exit(1 if report["lost"] else 0)


def trials(
    profile: str, settings: list[str], folder: Path, kills: int, times_each: int = 1, seed: int = 0
) -> dict[str, Any]:
    """Kill `kills` trials at moments spread over the whole life of the process, from its first instant on."""
    rng = random.Random(seed)
    started = time.monotonic()
    process = start(profile, settings, folder / "whole")
    while process.poll() is None and not run_ids(folder / "whole"):
        time.sleep(0.02)
    startup = time.monotonic() - started
    process.wait()
    lifetime = time.monotonic() - started
    [whole] = [folder / "whole" / name for name in run_ids(folder / "whole")]
    steps = last_step(folder / "whole")
    expected = fingerprint(whole)
    lost: list[dict[str, Any]] = []
    before_a_run = torn = resumes = 0
    for trial in range(kills):
        root = folder / f"trial{trial}"
        process = start(profile, settings, root)
        for _ in range(times_each):
            moment = await_moment(process, root, rng, startup, steps)
            process.kill()
            process.wait()
            if not run_ids(root):  # killed before there was a run: there is nothing to resume, one starts it again
                before_a_run += 1
                process = start(profile, settings, root)
                continue
            if last_ending(root / run_ids(root)[0]) == "finished":
                break
            resumes += 1
            process = start(None, [], root, resume=True)
        code = process.wait()
        finished = [root / name for name in run_ids(root)]
        torn += sum(damaged_lines(run) for run in finished)
        if len(finished) != 1 or fingerprint(finished[0]) != expected:
            lost.append({"trial": trial, "killed": moment, "exit_code": code})
    return {
        "profile": profile,
        "settings": settings,
        "kills": kills,
        "times_each": times_each,
        "seed": seed,
        "seconds_undisturbed": round(lifetime, 1),
        "killed_before_a_run": before_a_run,
        "resumes": resumes,
        "torn_lines": torn,
        "lost": lost,
        "torch": str(torch.__version__),
        "date": time.strftime("%Y-%m-%d"),
    }


def await_moment(process: subprocess.Popen[bytes], root: Path, rng: random.Random, startup: float, steps: int) -> str:
    """Wait for a random moment: one in five while it starts, else after a step, wherever it then is. In words.

    Counted in steps and not in seconds: on a machine with other work a fixed time may come after the end.
    """
    if rng.random() < 0.2:
        seconds = rng.uniform(0, startup)
        time.sleep(seconds)
        return f"after {seconds:.2f} s"
    step, later = rng.randrange(steps), rng.uniform(0, 0.3)
    while process.poll() is None and last_step(root) < step:
        time.sleep(0.01)
    time.sleep(later)
    return f"{later:.2f} s after step {step}"


def last_step(root: Path) -> int:
    """The step that the newest line of the only run in `root` tells; -1 before there is one."""
    records = [record for name in run_ids(root) for record in journal.read(root / name / "metrics.jsonl").records]
    return int(records[-1].get("step", records[-1].get("to_step", 0))) if records else -1


def start(profile: str | None, settings: list[str], root: Path, *, resume: bool = False) -> subprocess.Popen[bytes]:
    what = ["--resume", "last"] if resume else ["--profile", str(profile), *settings]
    command = [sys.executable, "-m", "workbench", "--headless", "--runs", str(root), *what]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))


def fingerprint(run: Path) -> str:
    """SHA-256 over the last and best checkpoints' tensors and every epoch's figures."""
    digest = hashlib.sha256()
    for name in ("last.pt", "best.pt"):
        content = torch.load(run / "checkpoints" / name, weights_only=True)
        for key, tensor in content["model"].items():
            digest.update(key.encode() + tensor.numpy().tobytes())
        for slot in content["optimizer"]["state"].values():
            for key, value in slot.items():
                digest.update(key.encode() + torch.as_tensor(value).numpy().tobytes())
        digest.update(json.dumps(content["state"]["best"]).encode())
    for record in read_metrics(run).records:
        if record["kind"] == "epoch":
            digest.update(json.dumps([record[name] for name in FIGURES]).encode())
    return digest.hexdigest()


def damaged_lines(run: Path) -> int:
    return sum(journal.read(run / name).damaged for name in ("metrics.jsonl", "events.jsonl"))


if __name__ == "__main__":
    main()
