"""`cnn-workbench run delete|trash|restore|purge`: to the trash, back from it, and away for good."""

import argparse
import re
import sys
import time
from collections.abc import Iterable, Sized
from datetime import UTC, datetime

from workbench.base.errors import UserError
from workbench.commands.parsing import parse, runs_root
from workbench.commands.run_shared import add_run, complain, each, elsewhere, find_own, parser_of, say
from workbench.runs import trash

TEXTS = {
    "delete": "Move runs to the trash, from where run restore fetches them back.",
    "trash": "List the trash, in the order of deletion.",
    "restore": "Move runs back from the trash.",
    "purge": "Remove runs from the trash for good: those named, or all.",
}

_AGE_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


def main(action: str, arguments: list[str]) -> int:
    """Do one of `TEXTS`; returns the exit code."""
    actions = {"delete": _delete, "trash": _list, "restore": _restore, "purge": _purge}
    return actions[action](parser_of(action, TEXTS[action]), arguments)


def _delete(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    add_run(parser, several=True)
    _add_yes(parser)
    parser.add_argument("--force", action="store_true",
                        help="also those that began on another machine and wrote no ending")  # fmt: skip
    options = parse(parser, arguments)
    root = runs_root(options)
    runs = each(find_own(root, reference) for reference in options.run)
    for run in runs:
        trash.check_unused(run, force=options.force)
    if not _confirmed(f"Move {_count(runs)} to the trash ({_listed(run.name for run in runs)})?", options.yes):
        return 1
    for run in runs:
        entry = trash.delete(root, run, force=options.force)
        back = f"cnn-workbench run restore {entry.name}{elsewhere(options)}"
        say(f"{run.name}: in the trash; fetch it back with: {back}")
    return 0


def _restore(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    _add_names(parser, "+")
    options = parse(parser, arguments)
    root = runs_root(options)
    for entry in each(trash.find_trashed(root, reference) for reference in options.names):
        say(f"{trash.restore(root, entry.name).name}: restored")
    return 0


def _purge(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    _add_names(parser, "*")
    parser.add_argument("--older-than", metavar="AGE", type=_age,
                        help="only what was deleted so long ago: 30d, 12h, 4w")  # fmt: skip
    _add_yes(parser)
    options = parse(parser, arguments)
    root = runs_root(options)
    named = each(trash.find_trashed(root, reference) for reference in options.names)
    entries = named if options.names else trash.trashed(root)
    if options.older_than is not None:
        entries = [entry for entry in entries if entry.deleted <= time.time() - options.older_than]
    if not entries:
        trash.purge(root, [])  # what an interrupted purge has left
        say("nothing to purge")
        return 0
    size = _bytes(sum(entry.size() for entry in entries))
    names = _listed(entry.name for entry in entries)
    if not _confirmed(f"Remove {_count(entries)}, {size}, for good ({names})?", options.yes):
        return 1
    trash.purge(root, [entry.name for entry in entries])
    say(f"removed {_count(entries)}, {size}")
    return 0


def _list(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    entries = trash.trashed(runs_root(parse(parser, arguments)))
    if not entries:
        say("the trash is empty")
        return 0
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from workbench.inspect.render import show
    from workbench.runs.user import read_user

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold")
    table.add_column("deleted (UTC)", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("tags", overflow="fold")
    table.add_column("note", no_wrap=True, overflow="ellipsis", max_width=40)
    for entry in entries:
        user = read_user(entry.path)
        cells = (entry.name, _when(entry.deleted), _bytes(entry.size()), ", ".join(user.tags), user.note_line)
        table.add_row(*map(Text, cells))
    show(table, wide=True)
    return 0


def _add_names(parser: argparse.ArgumentParser, number: str) -> None:
    parser.add_argument("names", metavar="ID", nargs=number, help="its name in the trash, or a unique beginning of it")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _confirmed(question: str, yes: bool) -> bool:
    """Whether it is to be done. UserError where there is nobody to ask and no --yes."""
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError(f"{question} There is no terminal to ask on: add --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    complain("nothing was changed")
    return False


def _age(text: str) -> float:
    """An option's type: `30d`, `12h` or `4w`, in seconds."""
    match = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be hours, days or weeks as in 12h, 30d, 4w (got {text})")
    return float(int(match[1]) * _AGE_SECONDS[match[2]])


def _count(things: Sized) -> str:
    return "1 run" if len(things) == 1 else f"{len(things):,} runs"


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3:,} more" if len(listed) > 3 else "")


def _when(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return "?"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
