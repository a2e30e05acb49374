"""`cnn-workbench compare A B ...`: runs side by side."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.finding import find
from workbench.commands.parsing import add_runs, make_parser, parse, runs_root

if TYPE_CHECKING:
    from workbench.runs.compare import Comparison

EPILOG = """\
RUN is an id, a unique beginning of one, last, best:NETWORK, or the path of a run directory.

examples:
  cnn-workbench compare last best:resnet18
  cnn-workbench compare 20261122 20261123 --x time --metric test_top1,train_top1
  cnn-workbench compare last best:vit_b_16 --format html      a page with charts that zoom; it needs no network
"""

ROWS = 20
"""Lines of a chart in the terminal."""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = make_parser("cnn-workbench compare", epilog=EPILOG, description="Compare two to eight runs.")
    parser.add_argument("runs_named", metavar="RUN", nargs="+", help="the first is what the others are measured by")
    parser.add_argument("--format", choices=("table", "md", "json", "csv", "html"), default="table",
                        help="default: table, with charts")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", help="write there instead of to stdout (html: compare.html)")
    parser.add_argument("--x", choices=("epoch", "step", "time"), default="epoch", help="of the curves")
    parser.add_argument("--metric", metavar="NAMES", type=_names, help="curves to draw (default: test_top1,test_loss)")
    add_runs(parser)
    options = parse(parser, arguments)
    from workbench.runs.compare import DEFAULT_METRICS, compare

    runs = [find(runs_root(options), reference) for reference in options.runs_named]
    comparison = compare(runs, metrics=options.metric or DEFAULT_METRICS, axis=options.x)
    if options.format == "table" and not options.out:
        _show(comparison)
        return 0
    _deliver(_in_format(comparison, options.format), options.out or ("compare.html" * (options.format == "html")))
    return 0


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("must be names of metrics, separated by commas")
    return names


def _in_format(comparison: "Comparison", form: str) -> str:
    if form == "json":
        from workbench.runs.compare import as_json

        return json.dumps(as_json(comparison), indent=1, ensure_ascii=False) + "\n"
    if form == "html":
        from workbench.runs.compare_html import page

        return page(comparison)
    from workbench.runs import compare_text

    if form == "md":
        return compare_text.markdown(comparison)
    return compare_text.csv_text(comparison) if form == "csv" else _as_table(comparison)


def _show(comparison: "Comparison") -> None:
    """Tables, then charts as wide as the terminal."""
    from workbench.inspect.render import console_of_stdout, show, write
    from workbench.runs.compare_text import tables
    from workbench.runs.plots import as_text

    console = console_of_stdout()
    show(*tables(comparison), wide=True)
    color = console.is_terminal and not console.no_color
    width = console.width if console.is_terminal else 80
    write("\n".join(as_text(chart, width, ROWS, color=color) for chart in comparison.charts()))


def _as_table(comparison: "Comparison") -> str:
    """What stdout would show without a terminal, for a file."""
    from rich.console import Console

    from workbench.runs.compare_text import tables
    from workbench.runs.plots import as_text

    console = Console(width=1000, color_system=None, force_terminal=False)
    with console.capture() as capture:
        for part in tables(comparison):
            console.print(part, highlight=False, markup=False)
    lines = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    return lines + "\n".join(as_text(chart, 80, ROWS) for chart in comparison.charts())


def _deliver(text: str, out: str) -> None:
    """To the file, whose path is said; without one to stdout."""
    from workbench.inspect.render import write

    if not out:
        write(text)
        return
    from workbench.base.errors import UserError
    from workbench.runs.files import write_atomically

    path = Path(out).expanduser()
    try:
        write_atomically(path, text.encode("utf-8", "replace"), durable=False)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    write(f"{path.absolute()}\n")
