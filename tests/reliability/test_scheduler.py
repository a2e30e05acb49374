"""The batch script of docs/remote.md, run by a test that plays the scheduler: a signal, 75, requeue, to the end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slow_net import SLOW

from workbench.runs import journal
from workbench.runs.directory import run_ids
from workbench.runs.reading import last_ending, read_metrics

ROOT = Path(__file__).parents[2]
SECONDS = 120
EPOCHS = 10


def script_of_the_docs() -> str:
    text = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return str(block)


class Cluster:
    """The programs of SLURM that the script calls, as far as it can tell."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, folder / "scontrol.txt"
        self.jobs: list[subprocess.Popen[str]] = []
        programs = folder / "programs"
        programs.mkdir()
        workbench = f'exec "{sys.executable}" -m workbench "$@"'
        for name, text in {
            "srun": 'exec "$@"',
            "scontrol": f'echo "$@" >> "{self.told}"',
            "cnn-workbench": workbench,
        }.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        text = SLOW.replace("epochs = 2", f"epochs = {EPOCHS}\nflush_seconds = 0.05")
        (folder / "mine.toml").write_text(text)
        (folder / "job.sbatch").write_text(script_of_the_docs())
        self.environ = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")]),
            "SLURM_JOB_ID": "4711",
        }

    def start(self) -> subprocess.Popen[str]:
        job = subprocess.Popen(
            ["bash", "job.sbatch"], cwd=self.folder, env=self.environ, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.jobs.append(job)
        return job

    def run_after(self, steps: int) -> Path:
        """The job's run, once it has trained so far."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for name in run_ids(self.folder / "runs"):
                lines = journal.read(self.folder / "runs" / name / "metrics.jsonl").records
                if lines and lines[-1].get("step", 0) >= steps:
                    return self.folder / "runs" / name
            time.sleep(0.02)
        raise AssertionError("the run did not come so far")


@pytest.fixture
def cluster(tmp_path: Path) -> object:
    cluster = Cluster(tmp_path)
    yield cluster
    for job in cluster.jobs:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def test_at_the_end_of_its_time_it_is_queued_again_and_goes_on_to_the_end(cluster: Cluster) -> None:
    job = cluster.start()
    run = cluster.run_after(steps=3)
    assert "-job4711-" in run.name
    job.send_signal(signal.SIGUSR2)  # to the batch shell alone, as B: says
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 75, err
    assert cluster.told.read_text() == "requeue 4711\n"
    assert last_ending(run) == "preempted"
    again = cluster.start()
    _, err = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, err
    assert last_ending(run) == "finished"
    assert run_ids(run.parent) == [run.name]
    epochs = [line["epoch"] for line in read_metrics(run).records if line["kind"] == "epoch"]
    assert epochs == list(range(1, EPOCHS + 1))
    assert cluster.told.read_text() == "requeue 4711\n", "a finished job is not queued again"


def test_a_job_that_is_cancelled_is_saved_and_not_queued_again(cluster: Cluster) -> None:
    job = cluster.start()
    run = cluster.run_after(steps=3)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    for child in children:  # scancel signals the steps
        os.kill(int(child), signal.SIGTERM)
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 75, err
    assert last_ending(run) == "preempted"
    assert not cluster.told.exists()
