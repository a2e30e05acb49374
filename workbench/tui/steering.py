"""Asking a live run for something and saying what became of it: what `cnn-workbench run stop` does, for a screen."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.runs.control import ask, wait_for_answer, why_unanswered, withdraw
from workbench.runs.liveness import State
from workbench.runs.summary import LIVE

SECONDS = 10.0
"""How long to wait for the trainer's answer; it looks between two steps."""
LATE_SECONDS = 1.0
"""More of them for a request that was taken at the last moment."""


@dataclass(frozen=True)
class Told:
    """What became of a request, in one clean line."""

    text: str
    done: bool


def refusal(state: State, kind: str) -> str:
    """Why there is nobody to ask; empty where somebody may be."""
    if state.name not in LIVE:
        why = f" ({state.detail})" if state.detail else ""
        return clean(f"{in_words(kind)}: the run is over, it has {_ENDED.get(state.name, 'no known state')}{why}", 300)
    if kind == "resume" and state.name != "paused":
        return "the run is not paused"
    return ""


def resume_command(run: Path) -> str:
    """What goes on with a run from a shell: with the folder of the runs, where that is not the usual one."""
    runs = "" if str(run.parent) == "runs" else f" --runs {shlex.quote(clean(str(run.parent), 300))}"
    return f"cnn-workbench --headless --resume {run.name}{runs}"


def in_words(kind: str) -> str:
    """A request as a person says it: `stop after epoch`."""
    return kind.replace("_", " ")


_ENDED = {
    "finished": "finished", "stopped": "been stopped", "preempted": "been preempted", "failed": "failed",
    "crashed": "crashed",
}  # fmt: skip


def steer(run: Path, kind: str, *, seconds: float = SECONDS, **arguments: float) -> Told:
    """Ask, and wait for the answer. Blocks; a request that nobody took is taken back."""
    name = in_words(kind)
    try:
        request = ask(run, kind, **arguments)
    except UserError as error:
        return Told(clean(str(error), 300), False)
    answer = wait_for_answer(run, request, seconds)
    if answer is None and withdraw(run, request):
        why = why_unanswered(run)
        return Told(f"{name}: nobody answered within {seconds:g} s{why}; the request was taken back", False)
    answer = answer or wait_for_answer(run, request, LATE_SECONDS)
    if answer is None:
        return Told(f"{name}: the run took the request, and has not said yet what became of it", False)
    return Told(answer.text if answer.outcome == "done" else f"{name} {answer.outcome}: {answer.text}",
                answer.outcome == "done")  # fmt: skip


def factor_of(text: str) -> float:
    """A factor for the learning rate, as typed. ValueError, in words, for what is none."""
    try:
        factor = float(text.strip().removeprefix("×").removeprefix("x").replace(",", "."))
    except ValueError:
        raise ValueError("not a number: type 0.5 to halve the learning rate, 2 to double it") from None
    if not 0 < factor < float("inf"):
        raise ValueError("the factor must be greater than 0")
    return factor
