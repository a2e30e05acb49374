"""`cnn-workbench sweep PROFILE ...`: many runs from one base profile, here or as jobs for a scheduler."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.commands.parsing import add_runs, make_parser, parse, positive, runs_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.sweep.folder import Claim, SweepFolder
    from workbench.sweep.plan import Job
    from workbench.sweep.report import Row
    from workbench.sweep.worker import Slot

USAGE = """\
cnn-workbench sweep PROFILE [--arch NAMES] [--recipe WORDS] [--seed 0..4] [--set KEY=VALUES ...] [--section.key VALUE]
       cnn-workbench sweep PROFILE ... --dry-run
       cnn-workbench sweep PROFILE ... --emit commands|sbatch|skypilot
       cnn-workbench sweep NAME --job ID"""

EXAMPLES = """\
examples:
  cnn-workbench sweep quick.toml --arch resnet18,vit --seed 0..4 --dry-run      what would run, and for how long
  cnn-workbench sweep quick.toml --arch resnet18,vit --seed 0..4 --jobs 2       run it; again: go on where it stopped
  cnn-workbench sweep base.toml --arch all-rows --recipe paper,base             the seed's table, by two recipes
  cnn-workbench sweep quick.toml --set optim.lr=0.1,0.03,0.01 --set data.batch_size=32,64
  cnn-workbench sweep base.toml --arch all-rows --emit sbatch > table.sbatch    for a cluster

Exit codes: 0 every job is finished, 1 some are not, 2 a wrong profile or command line, 75 preempted, 130 interrupted.
"""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    from workbench.profile import add_options, read_options

    parser = _parser()
    add_options(parser)
    _add_own(parser)  # after the profile's, of which they take --seed, --recipe and --name
    options = parse(parser, arguments)
    root = runs_root(options)
    if options.job:
        return _one_job(root, options)
    if options.arch and "profile:model.arch" in vars(options):
        parser.error("give one of --arch and --model.arch")
    from workbench.sweep import plan

    layer = read_options(options)
    axes = plan.Axes(
        networks=plan.networks(options.arch) if options.arch else (),
        recipes=plan.recipes(options.recipe or "base"),
        seeds=plan.seeds(options.seed) if options.seed else (),
        settings=plan.settings(options.set),
    )
    jobs = plan.plan(options.profile, layer, axes)
    name = options.name or plan.default_name(options.profile, jobs)
    if options.dry_run:
        return _dry_run(root, name, jobs, options)
    asked = {
        "profile": options.profile, "arch": options.arch, "recipe": options.recipe, "seed": options.seed,
        "set": options.set, "argv": arguments,
    }  # fmt: skip
    return _sweep(root, name, jobs, asked, options)


def _parser() -> argparse.ArgumentParser:
    description = "Train every combination of networks, recipes, seeds and other values of one base profile."
    texts = {"usage": USAGE, "description": description, "epilog": EXAMPLES}
    return make_parser("cnn-workbench sweep", conflict_handler="resolve", **texts)


def _add_own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="the base: a path or a name; with --job, a sweep's name")
    parser.add_argument("--arch", metavar="NAMES", help="networks by comma; all-rows: the seed's table; all: every one")
    parser.add_argument("--recipe", metavar="WORDS",
                        help="base: the profile as it is; paper: each network's own; or a profile's name")  # fmt: skip
    parser.add_argument("--seed", metavar="NUMBERS", help="0,1,2 or 0..4")
    parser.add_argument("--set", metavar="KEY=VALUES", nargs="+", action="extend", default=[],
                        help="another axis: optim.lr=0.1,0.01")  # fmt: skip
    parser.add_argument("--jobs", type=positive, metavar="N", help="at a time (default: one a GPU; 1 on a CPU)")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and its estimated time; write nothing")
    parser.add_argument("--emit", choices=("commands", "sbatch", "skypilot"),
                        help="write the jobs' profiles and print what a scheduler runs")  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="of the sweep's folder (default: made from the plan)")
    parser.add_argument("--retry", action="store_true", help="try failed jobs again")
    parser.add_argument("--take-over", action="store_true", help="also take jobs that other hosts had claimed")
    parser.add_argument("--job", metavar="ID", help="run this one job of the sweep NAME, for schedulers")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout at the end")
    add_runs(parser)


def _dry_run(root: Path, name: str, jobs: "Sequence[Job]", options: argparse.Namespace) -> int:
    """Show the plan; write nothing."""
    from workbench.inspect.render import show, write
    from workbench.sweep import past, report
    from workbench.sweep.estimate import estimate
    from workbench.sweep.folder import SweepFolder, checked_name

    folder = SweepFolder(root, checked_name(name))
    exists = (folder.path / "sweep.json").is_file()
    if exists:
        folder.check(jobs)
    answers = {job: root / run for job, run in past.answered(root, jobs).items()}
    listed = report.rows(jobs, folder if exists else None, answers)
    slots, device = _slots(jobs, options.jobs)
    speeds = past.speeds(root)
    guesses = [estimate(job.profile, speeds, device(job)) for job in jobs]
    if options.json:
        rows = [report.as_json(row, guess) for row, guess in zip(listed, guesses, strict=True)]
        write(json.dumps({"sweep": name, "slots": len(slots), "jobs": rows}, indent=1) + "\n")
    else:
        show(report.plan_table(listed, guesses, len(slots)), wide=True)
    return 0


def _sweep(root: Path, name: str, jobs: "Sequence[Job]", asked: dict[str, Any], options: argparse.Namespace) -> int:
    """Write the folder, then run what is left of it, or print it for a scheduler."""
    from workbench.sweep.emit import emit
    from workbench.sweep.folder import SweepFolder
    from workbench.sweep.worker import Worker

    folder = SweepFolder.create(root, name, jobs, asked)
    freed = folder.recover(take_over=options.take_over)
    if options.retry:
        folder.retry()
    _take_answers(folder, jobs)
    places = folder.places()
    left = [job.id for job in jobs if places.get(job.id) not in ("done", "failed")]
    _say(f"sweep {name}: {len(jobs)} job{'s' * (len(jobs) != 1)}, {len(left)} left, in {folder.path}")
    if freed:
        _say(f"{len(freed)} were left by a process that is gone: {', '.join(freed[:5])}{' ...' * (len(freed) > 5)}")
    if options.emit:
        from workbench.inspect.render import write

        write(emit(options.emit, folder, [job for job in left if places.get(job) == "queue"]))
        return 0
    slots, _ = _slots(jobs, options.jobs)
    own_threads = frozenset(job.id for job in jobs if job.profile.train.threads)
    worker = Worker(folder, slots, _say, own_threads=own_threads)
    worker.run()
    return _report(folder, jobs, worker.exit_code, as_json=options.json)


def _take_answers(folder: "SweepFolder", jobs: "Sequence[Job]") -> None:
    """Jobs that wait, and that a finished run with an equal profile has answered, are done."""
    from workbench.sweep import past

    places = folder.places()
    waiting = [job for job in jobs if places.get(job.id) in ("queue", "failed")]
    for job, run in past.answered(folder.root, waiting).items():
        if folder.finish(job, run):
            _say(f"{job} is answered by {run}")


def _report(folder: "SweepFolder", jobs: "Sequence[Job]", signalled: int | None, *, as_json: bool) -> int:
    """The table of results; returns the exit code."""
    from workbench.inspect.render import show, write
    from workbench.sweep import report

    listed = report.rows(jobs, folder)
    if as_json:
        rows = [report.as_json(row) for row in listed]
        write(json.dumps({"sweep": folder.name, "folder": str(folder.path), "jobs": rows}, indent=1) + "\n")
    else:
        show(report.result_table(listed), wide=True)
    for claim in folder.claims():
        if not claim.here:
            _say(f"{claim.job} is held by {claim.by}; if that host is gone, give --take-over")
    return _exit_code(listed, signalled)


def _exit_code(listed: "Sequence[Row]", signalled: int | None) -> int:
    if all(row.state == "finished" for row in listed):
        return 0
    return 1 if signalled is None else signalled


def _one_job(root: Path, options: argparse.Namespace) -> int:
    """`sweep NAME --job ID`: this job, in this process's place; returns its exit code."""
    from workbench.sweep.folder import SweepFolder
    from workbench.sweep.worker import Slot, Worker

    folder = SweepFolder.open(root, options.profile)
    job = _find_job(folder, options.job)
    folder.recover(take_over=options.take_over, only=job)
    if folder.places().get(job) == "done":
        _say(f"{job} is finished already")
        return 0
    slot = Slot("job")
    claim = _claim(folder, job, slot)
    worker = Worker(folder, [slot], _say)
    return worker.run_one(claim, slot)


def _find_job(folder: "SweepFolder", wanted: str) -> str:
    """An id, or the number that it begins with."""
    from workbench.base.errors import did_you_mean

    known = folder.jobs()
    found = [job for job in known if wanted in (job, job.partition("-")[0])]
    if len(found) != 1:
        raise UserError(f'no job "{wanted}" in sweep {folder.name}{did_you_mean(wanted, known)}')
    return found[0]


def _claim(folder: "SweepFolder", job: str, slot: "Slot") -> "Claim":
    """The job, waiting or failed. UserError where somebody else has it."""
    claim = folder.claim(job, slot.name) or folder.claim(job, slot.name, place="failed")
    if claim is not None:
        return claim
    holder = next((claim for claim in folder.claims() if claim.job == job), None)
    if holder is None:
        raise UserError(f"{job} is neither waiting nor claimed; look into {folder.path}")
    hint = "" if holder.here else "; if that host is gone, give --take-over"
    raise UserError(f"{job} is held by {holder.by}{hint}")


def _slots(jobs: "Sequence[Job]", wanted: int | None) -> "tuple[list[Slot], Any]":
    """Where jobs run here, and a function that says on what kind of device a job does."""
    from workbench.sweep.worker import make_slots, visible_gpus

    on_cpu = all(job.profile.train.device == "cpu" for job in jobs)
    gpus = [] if on_cpu else visible_gpus()

    def device(job: "Job") -> str:
        asked = job.profile.train.device
        return ("cuda" if gpus else "cpu") if asked == "auto" else asked

    return make_slots(gpus, wanted), device


def _say(text: str) -> None:
    """A line on stderr; a terminal that went away costs the line and no more."""
    try:
        print(clean(text, 2000), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        sys.stderr = open("/dev/null", "w")  # noqa: SIM115  # open until the process ends
