"""What the actions of `cnn-workbench run` have in common: their arguments, the run that is meant, lines to print."""

import argparse
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn, TypeVar

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.commands.finding import RUN_HELP, find
from workbench.commands.parsing import Parser, add_runs

LONGEST_REFERENCE = 4096
"""Characters of the longest path that can name a run."""

T = TypeVar("T")


class _Parser(Parser):
    """Repeats no control character of what was typed, which may have been pasted."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message, 500))


def parser_of(action: str, text: str) -> argparse.ArgumentParser:
    """The parser of `cnn-workbench run <action>`, with --runs."""
    parser = _Parser(prog=f"cnn-workbench run {action}", description=text, allow_abbrev=False)
    add_runs(parser)
    return parser


def add_run(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The argument RUN, or RUN...; either way it is `options.run`."""
    parser.add_argument("run", metavar="RUN", nargs="+" if several else None, help=RUN_HELP)


def find_own(root: Path, reference: str) -> Path:
    """The directory of the run that `reference` means, directly inside `root`. UserError for anything else."""
    from workbench.runs.trash import own

    if not reference or shown(reference, LONGEST_REFERENCE) != reference:
        raise UserError(f'no run can be called "{shown(reference)}"')
    return own(root, find(root, reference).path)


def each(found: Iterable[T]) -> list[T]:
    """Each once, in order: all are found before anything is changed."""
    return list(dict.fromkeys(found))


def elsewhere(options: argparse.Namespace) -> str:
    """` --runs DIR` for a command line to copy, where it was given."""
    return f" --runs {shown(shlex.quote(options.runs), 200)}" if options.runs else ""


def shown(text: str, limit: int = 80) -> str:
    """Something typed, or read, as it may be printed."""
    return clean(text[: limit + 1].encode("utf-8", errors="replace").decode(), limit)


def say(line: str) -> None:
    """A line on stdout."""
    from workbench.inspect.render import write

    write(f"{shown(line, 4000)}\n")


def complain(line: str) -> None:
    """A line on stderr."""
    print(f"cnn-workbench: {shown(line, 1000)}", file=sys.stderr)
