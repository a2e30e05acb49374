"""A sweep's jobs as text for programs that run jobs: a shell, SLURM, SkyPilot.

Each job is one command, `sweep NAME --job ID`, that starts the job's run or goes on with it, passes signals on and ends
with the run's exit code. So what emits the text needs to know nothing of runs, and 75 always means: start me again.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.base.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.sweep.folder import SweepFolder

KINDS = ("commands", "sbatch", "skypilot")

SBATCH = """\
#!/usr/bin/env bash
# Jobs of the sweep {name}: {count}. Submit with: sbatch FILE
# Add what your cluster wants: --partition, --gres=gpu:1, --time; %8 behind --array runs eight at a time.
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR2@120
# What srun starts gets the signal 120 s before the end: the run saves, ends with 75, and the job is queued again.

jobs=(
{jobs}
)
cd {where} || exit 2
srun {command} --job "${{jobs[$SLURM_ARRAY_TASK_ID]}}" --take-over
code=$?
if [ "$code" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""

SKYPILOT = """\
# One job of the sweep {name}; JOB says which. All {count}:
#   for job in {ids}; do
#     sky jobs launch --yes --name "$job" --env JOB="$job" FILE
#   done
# All jobs share a volume with the runs folder, on which files can be renamed (a bucket will not do). Copy
# {path} to .sweeps/{name} there first, change the volume's name below, and add the
# accelerators you want.
name: {title}
envs:
  JOB: {first}
resources:
  use_spot: true
  job_recovery:
    max_restarts_on_errors: 0
    recover_on_exit_codes: [75]
volumes:
  /runs: cnn-workbench-runs
workdir: .
setup: |
  pip install uv
  uv sync
run: |
  exec uv run cnn-workbench sweep {quoted} --runs /runs --job "$JOB" --take-over
"""


def emit(kind: str, folder: SweepFolder, jobs: Sequence[str]) -> str:
    """The text for `kind`, one of `KINDS`, of the given jobs. UserError where a path cannot be written in it."""
    where = str(Path.cwd())
    for path in (where, str(folder.root)):
        if not path.isprintable():
            raise UserError(f"the path {path!r} has characters that a script cannot hold safely; use another folder")
    command = shlex.join([sys.executable, "-m", "workbench", "sweep", folder.name, "--runs", str(folder.root)])
    if kind == "commands":
        return "".join(f"cd {shlex.quote(where)} && {command} --job {shlex.quote(job)}\n" for job in jobs)
    if not jobs:
        return "# nothing is left to do\n"
    if kind == "sbatch":
        return SBATCH.format(
            name=folder.name,
            count=len(jobs),
            last=len(jobs) - 1,
            log=shlex.quote(str(folder.path / "logs" / "slurm-%A_%a.out")),
            jobs="\n".join(f"  {shlex.quote(job)}" for job in jobs),
            where=shlex.quote(where),
            command=command,
        )
    return SKYPILOT.format(
        name=folder.name,
        title=json.dumps(folder.name),
        count=len(jobs),
        ids=" ".join(shlex.quote(job) for job in jobs),
        first=json.dumps(jobs[0]),
        path=folder.path,
        quoted=shlex.quote(folder.name),
    )
