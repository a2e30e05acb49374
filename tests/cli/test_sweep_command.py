"""`cnn-workbench sweep` as a person and a scheduler meet it, once with the real trainer."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.cli import main
from workbench.commands.sweep import _exit_code
from workbench.profile import dump, load
from workbench.runs import journal
from workbench.runs.directory import run_ids
from workbench.runs.files import write_json
from workbench.runs.lock import own_identity
from workbench.runs.reading import last_ending, read_json
from workbench.runs.writer import RunWriter
from workbench.sweep.estimate import total
from workbench.sweep.folder import SweepFolder


@pytest.fixture
def told(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command prints on stdout when all is well."""

    def run(*arguments: str) -> str:
        assert main(["sweep", *arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that it complains with; nothing is written."""

    def run(*arguments: str) -> str:
        try:
            code = main(["sweep", *arguments])
        except SystemExit as end:
            code = end.code  # type: ignore[assignment]
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1, captured.err
        assert not (here / "runs").exists()
        return captured.err

    return run


def test_a_dry_run_shows_every_job_and_writes_nothing(told: Callable[..., str], here: Path) -> None:
    text = told("tiny", "--arch", "bn_convnet,alexnet", "--recipe", "base,paper", "--seed", "0..1", "--dry-run")
    rows = [line.split() for line in text.splitlines() if line[:3].isdigit()]
    assert [row[0] for row in rows][:2] == ["001-bn_convnet-base-s0", "002-bn_convnet-paper-s0"]
    assert len(rows) == 8
    assert "63 px instead of 8: alexnet takes no smaller images" in text
    assert "8 jobs, 8 left, 1 at a time: time not known" in text
    assert "no run to estimate from" in text
    assert sorted(os.listdir(here)) == ["tiny.toml"]


def test_the_plan_of_the_whole_table_has_23_rows_and_needs_no_torch(here: Path) -> None:
    code = (
        "import sys; from workbench.cli import main;"
        "main(['sweep', 'quick.toml', '--arch', 'all-rows', '--dry-run', '--json']);"
        "assert not {'torch', 'textual', 'plotext'} & set(sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    jobs = json.loads(answer.stdout)["jobs"]
    assert len(jobs) == len({job["network"] for job in jobs}) == 23
    assert {job["state"] for job in jobs} == {"new"}
    assert [job["recipe"] for job in jobs][-1] == "sam"


def make_run(root: Path, seconds: float, **changes: Any) -> Path:
    """A finished run of tiny.toml."""
    profile = load("tiny", environ={}).profile
    profile = profile.model_copy(update=changes)
    root.mkdir(exist_ok=True)
    facts = {
        "arch": profile.model.arch, "seed": profile.seed, "device": "cpu", "data": {"images": {"train": 1438}},
    }  # fmt: skip
    run = RunWriter.create(root, "made", dump(profile), facts, print)
    run.event("started")
    run.event("finished")
    run.status(force=True, epoch=2, seconds=seconds, last={"test_top1": 0.9}, best={"epoch": 1, "top1": 0.95})
    run.close()
    return run.path


def test_times_are_estimated_from_finished_runs(told: Callable[..., str], here: Path) -> None:
    run = make_run(here / "runs", seconds=20.0)  # 2 epochs
    plan = json.loads(told("tiny", "--arch", "bn_convnet,nin", "--train.epochs", "6", "--dry-run", "--json"))
    same, other = (job["estimate"] for job in plan["jobs"])
    assert same == {"seconds": pytest.approx(60.0), "source": f"as fast as {run.name}"}
    assert other["source"] == "by MACs, from bn_convnet at 8 px"
    assert other["seconds"] > 60
    text = told("tiny", "--arch", "bn_convnet", "--seed", "0..2", "--jobs", "2", "--dry-run")
    assert "3 jobs, 3 left, 2 at a time: about 00:40" in text


def test_a_total_is_that_of_the_busiest_slot() -> None:
    assert total([4, 3, 2, 1], 2) == 5
    assert total([4, 3, 2, 1], 1) == 10
    assert total([], 3) == 0


def test_a_finished_run_of_an_equal_profile_is_skipped(told: Callable[..., str], here: Path) -> None:
    run = make_run(here / "runs", 1.0, name="by hand", recipe="base")
    result = json.loads(told("tiny", "--json"))
    [job] = result["jobs"]
    assert (job["state"], job["run"], job["test_top1"], job["best_top1"]) == ("finished", run.name, 0.9, 0.95)
    assert "finished" in told("tiny")
    assert run_ids(here / "runs") == [run.name]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing.toml"], "profile not found: nothing.toml"),
        (["tiny", "--arch", "resnt18"], 'did you mean "resnet18"'),
        (["tiny", "--arch", "vit", "--model.arch", "vit"], "give one of --arch and --model.arch"),
        (["tiny", "--sed", "1"], "did you mean --seed?"),
        (["tiny", "--seed", "x"], '"x" is no seed'),
        (["tiny", "--optim.lr", "-1"], "command line: --optim.lr: must be greater than 0 (got -1.0)"),
        (["tiny", "--set", "optim.lr=1,-1"], "job bn_convnet-base-s0-lr-1: command line: --optim.lr: must be greater"),
        (["tiny", "--jobs", "0"], "must be a whole number of at least 1"),
        (["tiny", "--name", "../up"], "a sweep's name has small letters"),
        (["tiny", "--emit", "pbs"], "invalid choice: 'pbs'"),
        (["tiny", "--job", "1"], 'no sweep "tiny"'),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    refused: Callable[..., str], arguments: list[str], expected: str
) -> None:
    assert expected in refused(*arguments)


def test_a_name_that_other_jobs_have_is_refused(told: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    told("tiny", "--name", "mine", "--emit", "commands")
    for more in ([], ["--dry-run"]):
        assert main(["sweep", "tiny", "--name", "mine", "--seed", "3", *more]) == 2
        assert "sweep mine has other jobs than these" in capsys.readouterr().err


def test_emitted_commands_are_safe_lines(told: Callable[..., str], here: Path) -> None:
    odd = here / "a folder; with $(odd) 'letters'"
    odd.mkdir()
    text = told("tiny", "--seed", "0..2", "--runs", str(odd), "--emit", "commands")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    lines = text.splitlines()
    assert len(lines) == 3
    words = shlex.split(lines[1])
    assert words[:3] == ["cd", str(here), "&&"]
    assert words[3:6] == [sys.executable, "-m", "workbench"]
    assert words[words.index("--runs") + 1] == str(odd)
    assert words[words.index("--job") + 1] == "002-bn_convnet-base-s1"


@pytest.mark.parametrize(("code", "requeued"), [(75, True), (0, False), (1, False)])
def test_the_sbatch_script_requeues_what_was_preempted(
    told: Callable[..., str], here: Path, code: int, requeued: bool
) -> None:
    script = told("tiny", "--seed", "0..2", "--emit", "sbatch")
    for wanted in ("--array=0-2", "--signal=USR2@120", "--requeue", "--open-mode=append"):
        assert f"#SBATCH {wanted}\n" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    programs = here / "programs"
    programs.mkdir()
    (programs / "srun").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {here}/srun.txt\nexit {code}\n')
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {here}/scontrol.txt\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "42", "SLURM_ARRAY_TASK_ID": "2",
    }  # fmt: skip
    answer = subprocess.run(["bash"], input=script, text=True, env=environment, capture_output=True, check=False)
    assert answer.returncode == code, answer.stderr
    words = (here / "srun.txt").read_text().splitlines()
    assert words[:4] == [sys.executable, "-m", "workbench", "sweep"]
    assert words[words.index("--job") + 1] == "003-bn_convnet-base-s2"
    assert "--take-over" in words
    assert (here / "scontrol.txt").exists() is requeued
    if requeued:
        assert (here / "scontrol.txt").read_text() == "requeue 42\n"


def test_the_skypilot_file_is_yaml_that_recovers_on_75(told: Callable[..., str]) -> None:
    yaml = pytest.importorskip("yaml")
    text = told("tiny", "--seed", "0..1", "--name", "sky", "--emit", "skypilot")
    task = yaml.safe_load(text)
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]
    assert task["envs"] == {"JOB": "001-bn_convnet-base-s0"}
    assert task["name"] == "sky"
    subprocess.run(["bash", "-n"], input=task["run"], text=True, check=True)
    assert '--job "$JOB"' in task["run"]
    assert "for job in 001-bn_convnet-base-s0 002-bn_convnet-base-s1; do" in text


def left(told: Callable[..., str], *more: str) -> list[str]:
    """Jobs of the sweep `mine` that a scheduler would be given."""
    text = told("tiny", "--seed", "0..2", "--name", "mine", "--emit", "commands", *more)
    return [line.rpartition("--job ")[2][:3] for line in text.splitlines()]


def test_what_failed_and_what_another_host_holds_wait_until_told(told: Callable[..., str], here: Path) -> None:
    assert left(told) == ["001", "002", "003"]
    folder = SweepFolder.open(here / "runs", "mine")
    failed, held = (folder.claim(job, "cpu0") for job in folder.jobs()[:2])
    assert failed is not None
    assert held is not None
    folder.settle(failed, "failed")
    write_json(held.folder / "holder.json", {**held.holder, "worker": {**own_identity(), "host": "elsewhere"}})
    assert left(told) == ["003"]
    assert left(told, "--retry") == ["001", "003"]
    assert left(told, "--take-over") == ["001", "002", "003"]


def test_one_job_is_run_by_nobody_twice(
    told: Callable[..., str], capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    left(told)
    folder = SweepFolder.open(here / "runs", "mine")
    first, second, _ = folder.jobs()
    capsys.readouterr()
    claim = folder.claim(first, "cpu0")
    assert claim is not None
    assert main(["sweep", "mine", "--job", "001"]) == 2
    assert f"{first} is held by pid {os.getpid()} on " in capsys.readouterr().err
    folder.settle(claim, "done")
    assert main(["sweep", "mine", "--job", first]) == 0
    assert f"{first} is finished already" in capsys.readouterr().err
    assert main(["sweep", "mine", "--job", second + "x"]) == 2
    assert f'no job "{second}x" in sweep mine (did you mean "{second}"?)' in capsys.readouterr().err


def test_the_exit_code_says_whether_all_is_finished() -> None:
    finished, waiting = SimpleNamespace(state="finished"), SimpleNamespace(state="waiting")
    assert _exit_code([finished, finished], None) == 0  # type: ignore[list-item]
    assert _exit_code([finished, waiting], None) == 1  # type: ignore[list-item]
    assert _exit_code([finished, waiting], 130) == 130  # type: ignore[list-item]
    assert _exit_code([finished], 75) == 0  # type: ignore[list-item]


@pytest.mark.slow
def test_a_sweep_survives_the_kill_of_its_child(here: Path) -> None:
    """The real trainer. One job as an emitted line, then the sweep; its child is killed; the same command again."""
    program = [sys.executable, "-m", "workbench", "sweep", "tiny.toml", "--seed", "0,1", "--train.epochs", "12"]

    def sweep(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *more], capture_output=True, text=True, check=False)

    lines = sweep("--emit", "commands").stdout.splitlines()
    first = subprocess.run(["bash", "-c", lines[0]], capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    [done] = run_ids(here / "runs")
    assert last_ending(here / "runs" / done) == "finished"

    process = subprocess.Popen([*program, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    begun: list[str] = []
    while not begun:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
        others = [name for name in run_ids(here / "runs") if name != done]
        begun = [name for name in others if read_json(here / "runs" / name / "status.json").get("step", 0) > 5]
    [killed] = begun
    os.kill(int(read_json(here / "runs" / killed / "lock")["pid"]), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert [job["state"] for job in json.loads(out)["jobs"]] == ["finished", "begun"]
    assert "killed by SIGKILL" in err

    again = sweep("--json")
    assert again.returncode == 0, again.stderr
    jobs = json.loads(again.stdout)["jobs"]
    assert [job["run"] for job in jobs] == [done, killed]
    assert [job["state"] for job in jobs] == ["finished", "finished"]
    assert all(0 <= job["test_top1"] <= 1 for job in jobs)
    assert f"goes on with {killed}" in again.stderr
    assert run_ids(here / "runs") == sorted([done, killed])
    events = [record["event"] for record in journal.read(here / "runs" / killed / "events.jsonl").records]
    assert events.count("resumed") == 1
    profile = load(str(here / "runs" / done / "profile.toml"), environ={}).profile
    assert (profile.recipe, profile.name, profile.seed) == ("base", "bn_convnet-base-s0", 0)
    assert "2 finished" in sweep().stdout
