"""`cnn-workbench evaluate RUN`: how good a run's network is, on its own images or on others."""

import argparse
import json
import sys
import time
from pathlib import Path

from workbench.commands.parsing import add_runs, make_parser, parse, positive, runs_root

REDRAW_SECONDS = 0.2

EPILOG = """\
examples:
  cnn-workbench evaluate last                                 the newest run, its best weights, its own test images
  cnn-workbench evaluate best:resnet18 --weights last         as its last epoch left it
  cnn-workbench evaluate last --dataset mnist                 on other images with as many classes
  cnn-workbench evaluate last --split val --json              all figures as one JSON object

Writes report.json, confusion.csv, per_class.csv and mistakes.png to <run>/evaluation/<data set>-<split>-<weights>/,
in place of those of an earlier evaluation. A run that still trains can be evaluated."""


def main(arguments: list[str]) -> int:
    """Evaluate, write the files, print the figures; returns the exit code."""
    parser = make_parser(
        "cnn-workbench evaluate",
        description="Top-1, top-5, loss, calibration, accuracy by class, confusions and the most confident mistakes.",
        epilog=EPILOG,
    )
    parser.add_argument("run", metavar="RUN", help="an id, a unique beginning of it, last, or best:NETWORK")
    parser.add_argument("--dataset", metavar="NAME", help="default: the run's own, where the run found it")
    parser.add_argument("--root", metavar="DIR", help="where the data set's files are")
    parser.add_argument("--split", choices=("test", "val", "train"), help="default: test, or val where there is none")
    add_model_options(parser)
    parser.add_argument("--batch-size", type=positive, metavar="N", help="default: as in training")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--out", metavar="DIR", help="where the files go, instead of below the run")
    add_runs(parser)
    options = parse(parser, arguments)

    from workbench.runs.store import RunStore

    run = RunStore(runs_root(options)).find(options.run).path

    from workbench.evaluation.evaluate import evaluate  # torch takes seconds, and a wrong RUN is told before
    from workbench.evaluation.render import pages
    from workbench.inspect.render import console_of_stdout, show, write

    report, files = evaluate(
        run,
        dataset=options.dataset,
        root=options.root,
        split=options.split,
        weights=options.weights,
        batch_size=options.batch_size,
        device=options.device,
        out=Path(options.out).expanduser() if options.out else None,
        note=say,
        progress=Progress(),
    )
    if options.json:
        write(json.dumps({**report, "files": [str(file) for file in files]}) + "\n")
        return 0
    from rich.text import Text

    from workbench.base.text import clean

    places = "\n".join(clean(str(file)) for file in files)
    show(*pages(report, console_of_stdout().width), "", Text(places), wide=True)
    return 0


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """`--weights` and `--device`, of which network and where."""
    parser.add_argument(
        "--weights",
        choices=("best", "last", "ema", "best-ema"),
        help="of the best epoch, the last one, or their moving averages (default: best, or last where there is none)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")


def say(text: str) -> None:
    """A line about what was found on the way, on stderr."""
    from workbench.base.text import clean

    print(clean(text), file=sys.stderr, flush=True)


class Progress:
    """On a terminal, a line on stderr that counts the batches and is gone at the end."""

    def __init__(self) -> None:
        self.drawn = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` batches."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now - self.drawn < REDRAW_SECONDS and done < total):
            return
        self.drawn = now
        text = f"batch {done} of {total}"
        print(f"\r{text if done < total else ' ' * len(text) + chr(13)}", end="", file=sys.stderr, flush=True)
