"""`cnn-workbench ps`: the runs that live, on what, how far, and for how long; and those that wait for their turn."""

import json
import os
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from workbench.base.text import clean
from workbench.commands.parsing import add_runs, make_parser, parse, runs_root
from workbench.runs.lock import read_holder
from workbench.runs.units import clock

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.launch.queue import Entry
    from workbench.runs.summary import Summary

SIGNS = {"running": "●", "paused": "‖", "silent": "?", "lost": "?", "frozen": "‖"}


def main(arguments: list[str]) -> int:
    """Print the runs that live; 0 also where none does."""
    parser = make_parser("cnn-workbench ps", description="List the runs that live, and those that wait in the queue.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_runs(parser)
    options = parse(parser, arguments)
    from workbench.inspect.render import console_of_stdout, show, write
    from workbench.launch.queue import Queue
    from workbench.runs.store import RunStore

    root = runs_root(options)
    live = [run for run in RunStore(root).runs() if run.live]
    waiting = Queue(root).waiting()
    if options.json:
        found = {"live": [_facts(root, run) for run in live], "waiting": [_waiting_facts(entry) for entry in waiting]}
        write(json.dumps(found, indent=2) + "\n")
        return 0
    if not live and not waiting:
        write(f"no run lives in {clean(str(root), 300)}\n")
        return 0
    console = console_of_stdout()
    if live:
        show(_table(root, live), wide=not console.is_terminal)
    for number, entry in enumerate(waiting, 1):
        what = "goes on" if entry.order.run else "begins"
        write(f"waits {number}: {entry.order.label}, {what} {_where(entry)}\n")
    return 0


def _table(root: "Path", runs: "list[Summary]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "state", "device", "epoch", "ETA", "images/s", "process"):
        table.add_column(name, no_wrap=name != "run", justify="right" if name in ("ETA", "images/s") else "left")
    for run in runs:
        facts = _facts(root, run)
        eta = clock(run.eta) if run.eta is not None else ""
        speed = f"{run.images_per_second:,.0f}" if run.images_per_second else ""
        state = f"{SIGNS.get(run.state, ' ')} {run.state}{f' ({run.detail})' if run.detail else ''}"
        process = f"{facts['pid']} on {facts['host']}" if facts["pid"] else ""
        row = (run.id, state, run.device, f"{run.epoch}/{run.epochs or '?'}", eta, speed, process)
        table.add_row(*(Text(text) for text in row))
    return table


def _facts(root: "Path", run: "Summary") -> dict[str, Any]:
    holder = read_holder(root / run.id / "lock")
    pid = holder.get("pid")
    return {
        "run": os.path.abspath(root / run.id), "state": run.state, "detail": run.detail, "device": run.device,
        "host": clean(str(holder.get("host", run.host)), 100), "pid": pid if isinstance(pid, int) else None,
        "epoch": run.epoch, "epochs": run.epochs, "step": run.step, "steps": run.steps, "eta": run.eta,
        "images_per_second": run.images_per_second, "best_top1": run.best_top1,
    }  # fmt: skip


def _waiting_facts(entry: "Entry") -> dict[str, Any]:
    order = entry.order
    return {"label": order.label, "way": order.way, "host": clean(entry.host, 100), "run": clean(order.run, 80) or None}


def _where(entry: "Entry") -> str:
    if not entry.here:
        return f"on {clean(entry.host, 100)}"
    if entry.orphaned:
        return "when somebody lets it go: its screen is no more (Q in the screen)"
    return "in a process of its own" if entry.order.way == "detached" else "in the screen that asked for it"
