"""Command lines: one line for a mistake, the nearest word that would have been right, the runs folder."""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from workbench.base.text import clean


class Parser(argparse.ArgumentParser):
    """Mistakes are one line, without control characters, with the exit code of the contract."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {clean(message)}\n")


def make_parser(prog: str, **texts: str | None) -> Parser:
    """A parser that takes no abbreviations and prints its texts as they are; `prog` with the program's name."""
    return Parser(prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **texts)  # type: ignore[arg-type]


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse everything; what is unknown is named, with the nearest flag that exists."""
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        kind = "option" if unknown[0].startswith("-") else "argument"
        parser.error(f"unknown {kind} {unknown[0]}{_nearest(parser, unknown[0])}")
    return options


def add_runs(parser: argparse.ArgumentParser) -> None:
    """`--runs DIR`, which every command that touches runs takes."""
    parser.add_argument("--runs", metavar="DIR", help="where runs are kept (default: $CNNWB_RUNS or ./runs)")


def runs_root(options: argparse.Namespace) -> Path:
    """The folder that `--runs` names, else `$CNNWB_RUNS`, else ./runs; it need not exist."""
    return Path(options.runs or os.environ.get("CNNWB_RUNS") or "runs").expanduser()


def positive(text: str) -> int:
    """An option's type: a whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1 (got {text})")
    return int(text)


def _nearest(parser: argparse.ArgumentParser, word: str) -> str:
    from difflib import get_close_matches

    from workbench.profile import suggest_flag

    if not word.startswith("-"):
        return ""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    close = get_close_matches(word.partition("=")[0], [flag for flag in flags if "." not in flag], n=1, cutoff=0.75)
    takes_settings = any("." in flag for flag in flags)
    found = close[0] if close else suggest_flag(word) if takes_settings else ""
    return f" (did you mean {found}?)" if found else ""
