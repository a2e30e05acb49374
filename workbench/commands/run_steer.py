"""`cnn-workbench run stop|pause|resume|checkpoint|lr RUN`: ask a live trainer, and say what became of it."""

import argparse
import math
from pathlib import Path

from workbench.base.errors import UserError
from workbench.commands.parsing import parse, runs_root
from workbench.commands.run_shared import add_run, complain, elsewhere, find_own, parser_of, say, shown

TEXTS = {
    "stop": "Ask a live run to finish its step, save and end.",
    "pause": "Ask a live run to stand still between two steps.",
    "resume": "Ask a paused run to go on. One that is over goes on with cnn-workbench --headless --resume RUN.",
    "checkpoint": "Ask a live run to save now.",
    "lr": "Ask a live run to multiply its learning rate, from the next step on.",
}

LATE_ANSWER = 1.0
"""Seconds more to wait for the answer to a request that was taken at the last moment."""


def main(action: str, arguments: list[str]) -> int:
    """Ask for one of `TEXTS`; returns 0 where it was done and 1 where it was not."""
    parser = parser_of(action, TEXTS[action])
    add_run(parser)
    if action == "stop":
        parser.add_argument("--after-epoch", action="store_true", help="let it train and test this epoch to its end")
    if action == "lr":
        parser.add_argument("--factor", metavar="F", type=_factor, required=True,
                            help="above 0; it multiplies the rate as it is")  # fmt: skip
    parser.add_argument("--timeout", metavar="S", type=_seconds, default=10.0,
                        help="seconds to wait for the trainer's answer (default: 10)")  # fmt: skip
    options = parse(parser, arguments)
    try:
        run = find_own(runs_root(options), options.run)
    except UserError as error:
        raise UserError(f"{error}{_waiting(runs_root(options), options.run)}") from None
    _refuse_without_trainer(run, action, elsewhere(options))
    kind = "stop_after_epoch" if action == "stop" and options.after_epoch else action
    return _ask(run, kind, options.timeout, {"factor": options.factor} if action == "lr" else {})


def _waiting(root: Path, reference: str) -> str:
    """What is to be said of an order of that name, of which there is no run yet; empty where there is none."""
    from workbench.launch.queue import Queue

    labels = [entry.order.label for entry in Queue(root).waiting()]
    names = [label for label in labels if label.startswith(reference)]
    return f"; {shown(names[0], 80)} has not begun: it waits in the queue (Q in the screen)" if names else ""


def _refuse_without_trainer(run: Path, action: str, runs: str) -> None:
    """UserError where nobody is there to do it, with what does. `runs`: ` --runs DIR`, where it was given."""
    from workbench.runs.run import Run

    state = Run(run).state
    go_on = f"cnn-workbench --headless --resume {run.name}{runs}"
    if state.name == "crashed":
        why = f" ({shown(state.detail, 200)})" if state.detail else ""
        raise UserError(f"{run.name} has crashed{why}: there is nobody to ask; go on training with: {go_on}")
    if action == "resume" and state.name in ("stopped", "preempted", "failed"):
        raise UserError(f"{run.name} is over ({state.name}), not paused; go on training with: {go_on}")
    if action == "resume" and state.name == "finished":
        raise UserError(f"{run.name} is finished, not paused; train it for longer with: {go_on} --train.epochs N")


def _ask(run: Path, action: str, timeout: float, given: dict[str, float]) -> int:
    """Ask, wait, and say what became of it."""
    from workbench.runs.control import ask, wait_for_answer, why_unanswered, withdraw

    request = ask(run, action, **given)
    try:
        answer = wait_for_answer(run, request, timeout)
    except KeyboardInterrupt:
        withdraw(run, request)
        raise
    if answer is None and withdraw(run, request):
        complain(
            f"{run.name}: no trainer answered within {timeout:g} s{why_unanswered(run)}; the request was taken back"
        )
        return 1
    answer = answer or wait_for_answer(run, request, LATE_ANSWER)
    if answer is None:
        complain(f"{run.name}: the trainer took the request to {action}, and has not said yet what became of it")
        return 1
    if answer.outcome != "done":
        complain(f"{run.name}: {action} {answer.outcome}: {answer.text}")
        return 1
    say(f"{run.name}: {answer.text}")
    return 0


def _seconds(text: str) -> float:
    """An option's type: a finite number of at least 0."""
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0 (got {text})")
    return value


def _factor(text: str) -> float:
    """An option's type: a finite number above 0."""
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be greater than 0 (got {text})")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number (got {text})")
    return value
