"""`cnn-workbench run show|tail|export RUN`: what looks at one run and changes nothing in it."""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.finding import RUN_HELP, find
from workbench.commands.parsing import add_runs, make_parser, parse, runs_root

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workbench.runs.run import Run

POLL_SECONDS = 0.25
"""Between two looks at a run that is followed."""

ROWS = 16
"""Lines of a chart."""

SETTINGS = (
    ("optim.name", "{}"), ("optim.lr", "lr {}"), ("schedule.name", "schedule {}"), ("data.image_size", "{} px"),
    ("data.batch_size", "batch {}"), ("data.augment", "augment {}"), ("train.precision", "precision {}"),
)  # fmt: skip
"""The settings that say most about a run; profile.toml has all."""

BEGINNINGS = ("started", "resumed", "rewind", "rollback")
"""Events that come before the lines of metrics that are new with them; others come after."""

HANDED_ON = ("safetensors", "onnx")
"""Exports that need the network itself, and so torch."""


def show_main(arguments: list[str]) -> int:
    """`run show RUN`; returns the exit code."""
    parser = make_parser("cnn-workbench run show", description="What a run is, how it went, what happened last.")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=_count, metavar="N", default=10, help="of the last events (default: 10)")
    add_runs(parser)
    options = parse(parser, arguments)
    run = find(runs_root(options), options.run)
    if options.json:
        from workbench.inspect.render import write

        write(json.dumps(as_json(run, options.events), indent=1, ensure_ascii=False) + "\n")
    else:
        show(run, events=options.events)
    return 0


def tail_main(arguments: list[str]) -> int:
    """`run tail RUN`; returns the exit code, 0 once the run is over."""
    parser = make_parser("cnn-workbench run tail", description="Follow a run's metrics and events until it is over.")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--lines", type=_count, metavar="N", default=10, help="of what was before (default: 10)")
    parser.add_argument("--no-follow", action="store_true", help="end after these lines")
    add_runs(parser)
    options = parse(parser, arguments)
    from workbench.inspect.render import write

    run = find(runs_root(options), options.run)
    tail(run, lines=options.lines, follow=not options.no_follow, say=lambda line: write(f"{line}\n"))
    return 0


def export_main(arguments: list[str]) -> int:
    """`run export RUN --to FORMAT`; returns the exit code. Prints the path of each file."""
    from workbench.runs.export import KINDS

    parser = make_parser("cnn-workbench run export", description="A run for other programs.")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--to", required=True, choices=(*KINDS, *HANDED_ON), dest="kind",
                        help="metrics as a table, charts, event files, or the network")  # fmt: skip
    parser.add_argument("--out", metavar="PATH", help="a file, or a folder for svg and tensorboard "
                        "(default: below exports/ in the run)")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace what an earlier export wrote there")
    add_runs(parser)
    options = parse(parser, arguments)
    run = find(runs_root(options), options.run)
    out = Path(options.out).expanduser() if options.out else None
    from workbench.inspect.render import write

    write("".join(f"{path}\n" for path in export(run, options.kind, out, force=options.force)))
    return 0


def export(run: "Run", kind: str, out: Path | None, *, force: bool) -> list[Path]:
    """Write a run as `kind`; returns the files. UserError where something is there already, without `force`."""
    if kind not in HANDED_ON:
        from workbench.runs.export import export as export_records

        return export_records(run, kind, out, force=force)
    from workbench.base.errors import UserError
    from workbench.evaluation.export import export as export_network
    from workbench.evaluation.export import target_file

    target = target_file(run.path, kind, out)
    if target.exists() and not force:
        raise UserError(f"{target} is there already; --force replaces it, --out PATH writes elsewhere")
    return export_network(run.path, kind, out)


def show(run: "Run", *, events: int) -> None:
    """Print the facts, the last events and the charts."""
    from rich.table import Table
    from rich.text import Text

    from workbench.inspect import render
    from workbench.runs.lines import event_text, local_time
    from workbench.runs.plots import as_text, epoch_charts, name_of

    records = run.metrics("epoch").records or run.metrics().records  # in its first epoch, what its steps tell
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, text in facts(run):
        grid.add_row(Text(name), Text(text))
    pages: list[RenderableType] = [grid]
    last = run.events[-events:] if events else []
    if last:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for event in last:
            name = str(event.get("event", "?"))
            table.add_row(*map(_safe, (local_time(event.get("time")), name, event_text(event))))
        pages += ["", table]
    render.show(*pages)
    console = render.console_of_stdout()
    color = console.is_terminal and not console.no_color
    width = console.width if console.is_terminal else 80
    charts = epoch_charts(records, name_of(run)).values()
    render.write("".join("\n" + as_text(chart, width, ROWS, color=color) for chart in charts))


def facts(run: "Run") -> list[tuple[str, str]]:
    """What is known of a run, as pairs of a word and a text; what it does not tell is left out."""
    from workbench.base.text import clean
    from workbench.runs.compare_text import headline, note_line, standing
    from workbench.runs.figures import in_words
    from workbench.runs.lines import local_time
    from workbench.runs.units import read_date

    one = run.summary
    created = read_date(one.created)
    sizes = ((one.parameters, "parameters"), (one.macs, "MACs an image"))
    best = one.best_top1 is not None and f"top-1 {in_words(one.best_top1, 'accuracy')} % in epoch {one.best_epoch}"
    cost = (
        (one.images_per_second, "rate", "{} images/s"), (one.seconds, "seconds", "{} of training"),
        (one.peak_memory, "memory", "{} of memory"), (one.eta if one.live else None, "seconds", "{} to go"),
    )  # fmt: skip
    pairs = [
        ("run", one.id),
        ("what", headline(one)),
        ("state", standing(one)),
        ("created", local_time(created.timestamp()) if created else one.created),
        ("where", str(run.path.absolute())),
        ("on", ", ".join(word for word in (one.device, one.host) if word)),
        ("network", ", ".join([one.arch, *(f"{in_words(n, 'count')} {unit}" for n, unit in sizes if n is not None)])),
        ("settings", _settings(one.settings)),
        ("train", _split(run, "train")),
        ("val", _split(run, "val")),
        ("test", _split(run, "test")),
        ("best", f"{best} ({one.best_split or 'test'})" if best else ""),
        ("cost", ", ".join(form.format(in_words(n, kind)) for n, kind, form in cost if n is not None)),  # type: ignore[arg-type]
        ("forked from", one.parent),
        ("marks", ", ".join(word for word in ("pinned" * one.pinned, "archived" * one.archived) if word)),
        ("tags", ", ".join(one.tags)),
        ("note", note_line(one, 1000)),
        ("damaged", f"{run.damaged} lines do not fit their checksums and are left out" if run.damaged else ""),
    ]
    return [(name, clean(text)) for name, text in pairs if text]


def as_json(run: "Run", events: int) -> dict[str, Any]:
    """A run as one JSON object: its summary, run.json, the last events, damaged lines; NaN is a string."""
    from workbench.runs.journal import finite

    value: dict[str, Any] = finite(
        {
            "run": str(run.path.absolute()),
            **asdict(run.summary),
            "settings": dict(run.summary.settings),
            "facts": run.facts,
            "events": run.events[-events:] if events else [],
            "damaged_lines": run.damaged,
        }
    )
    return value


def tail(
    run: "Run", *, lines: int, follow: bool, say: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> None:
    """Say the last `lines` lines and, if `follow`, each new one until the run is over; `pause` waits between looks."""
    from workbench.runs.compare_text import standing
    from workbench.runs.follow import Follower
    from workbench.runs.lines import event_line, history, is_figures, metrics_line
    from workbench.runs.reading import apply_rewinds
    from workbench.runs.run import figures
    from workbench.runs.summary import LIVE

    metrics = Follower(run.path / "metrics.jsonl")
    events = list(run.events)
    before = apply_rewinds([figures(record) for record in metrics.look().records])
    for line in history(events, before)[-lines:] if lines else []:
        say(line)
    over = not follow
    while not over:
        pause(POLL_SECONDS)
        over = run.state.name not in LIVE  # of the last look: what was written meanwhile is still read below
        run.refresh()
        records = [figures(record) for record in metrics.look().records]
        fresh = [event for event in run.events[len(events) :] if event.get("event") != "epoch"]
        begins = [event for event in fresh if event.get("event") in BEGINNINGS]
        said = [*map(event_line, begins), *map(metrics_line, filter(is_figures, records))]
        for line in [*said, *(event_line(event) for event in fresh if event not in begins)]:
            say(line)
        events = list(run.events)
    if follow:
        say(f"{run.id}: {standing(run.summary)}")


def _split(run: "Run", split: str) -> str:
    """`top-1 98.33 %, top-5 100.00 %, loss 0.0442` of a split."""
    from workbench.runs.figures import in_words

    kinds = (("top1", "top-1 {} %", "accuracy"), ("top5", "top-5 {} %", "accuracy"), ("loss", "loss {}", "loss"))
    values = [(getattr(run.summary, f"{split}_{name}", None), form, kind) for name, form, kind in kinds]
    return ", ".join(form.format(in_words(value, kind)) for value, form, kind in values if value is not None)  # type: ignore[arg-type]


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(form.format(settings[key]) for key, form in SETTINGS if key in settings)


def _safe(text: str) -> Any:
    from rich.text import Text

    from workbench.base.text import clean

    return Text(clean(text))


def _count(text: str) -> int:
    """An option's type: a whole number, 0 included."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"must be a whole number (got {text[:40]})")
    return int(text)
