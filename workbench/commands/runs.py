"""`cnn-workbench runs`: the leaderboard."""

import argparse
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.commands.parsing import add_runs, make_parser, parse, positive, runs_root

if TYPE_CHECKING:
    from workbench.runs.columns import Column, Columns
    from workbench.runs.from_base import Base
    from workbench.runs.query import Query
    from workbench.runs.store import RunStore
    from workbench.runs.summary import Summary
    from workbench.runs.tables import Table

PIN = "^"
"""Before a run that is pinned, here as on the Runs screen."""

FORMATS = ("table", "md", "csv", "json", "latex", "html")

EXAMPLES = """\
filters (in quotes: > and ( are the shell's too):
  'arch:resnet* acc>90'            networks by a pattern, more than 90 % of the test images right
  'state=finished tag:baseline'    both must hold; "or", "not" and ( ) combine
  'params<5M or macs<1G'           k, M, G; times as 2h or 1h30m; dates as 2026-11-01
  'optim.lr<0.01 has:note'         any key of the profile; runs that have a note
  mnist                            a word: in id, name, network, data set, recipe, note or tags

docs/leaderboard.md has all columns and the whole language.
"""


def main(arguments: list[str]) -> int:
    """Print the runs that a filter chooses, as a table on stdout. Exit code 0, also where there are none."""
    parser = _parser()
    options = parse(parser, sorted_out(parser, arguments))
    options.filter = " ".join(options.filter)
    return _seed_layout(options, arguments) if options.layout == "seed" else _plain_layout(options)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "cnn-workbench runs", description="List the runs: the best first, filtered, grouped, compared.", epilog=EXAMPLES
    )
    parser.add_argument("filter", metavar="FILTER", nargs="*", help="which runs; several words must all hold")
    parser.add_argument("--sort", metavar="KEY[,KEY]", help="columns to sort by, - descending, + ascending (acc)")
    parser.add_argument("--columns", metavar="A,B", help="columns to show; +a,-b adds to the usual ones or takes away")
    parser.add_argument("--by", metavar="A,B", help="a row for each group of runs that agree in these columns")
    parser.add_argument("--baseline", metavar="RUN", help="add differences to this run, or to its group")
    parser.add_argument("--format", choices=FORMATS, help="default: table, or md for --layout seed")
    parser.add_argument("--layout", choices=("plain", "seed"), default="plain", help="seed: the seed document's table")
    parser.add_argument("--limit", type=positive, metavar="N", help="the first N rows only")
    parser.add_argument("--all", action="store_true", help="archived runs too")
    add_runs(parser)
    return parser


def sorted_out(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    """Options first, then `--` and the words of the filter, wherever they stood.

    So `-tag:old` is a word of the filter and `--sort -acc` an option with its value, both of which argparse would
    take for options of one letter.
    """
    options: list[str] = []
    words: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*options, "--", *words, *waiting]
        if argument == "-h" or (argument.startswith("--") and "=" in argument):
            options.append(argument)
        elif argument.startswith("--"):
            action = parser._option_string_actions.get(argument)
            takes_value = action is not None and action.nargs != 0
            given = takes_value and waiting and not waiting[0].startswith("--")
            options.append(f"{argument}={waiting.pop(0)}" if given else argument)
        else:
            words.append(argument)
    return [*options, "--", *words] if words else options


def _plain_layout(options: argparse.Namespace) -> int:
    from workbench.runs.query import compile_query
    from workbench.runs.store import RunStore

    root = runs_root(options)
    store = RunStore(root)
    runs = store.runs()
    columns = columns_of(runs)
    query = compile_query(options.filter, columns)
    kept, notes = _narrowed(runs, query, with_archived=options.all)
    make = _groups_table if options.by else _runs_table
    table = make(options, kept, columns, query, store, notes)
    if not runs or not kept:
        return _nothing(options, root, table, len(runs))
    _print(options.format or "table", table)
    return 0


def _narrowed(runs: "list[Summary]", query: "Query", *, with_archived: bool) -> "tuple[list[Summary], list[str]]":
    """Those that the filter chooses; archived ones only if they are asked for, and how many that left out."""
    matching = [run for run in runs if query.match(run)]
    if with_archived or "archived" in query.fields:
        return matching, []
    kept = [run for run in matching if not run.archived]
    hidden = len(matching) - len(kept)
    return kept, [f"{hidden} archived left out (--all shows them)"] if hidden else []


def _runs_table(options: argparse.Namespace, runs: "list[Summary]", columns: "Columns", query: "Query",
                store: "RunStore", notes: list[str]) -> "Table":  # fmt: skip
    from workbench.runs.columns import DEFAULTS, chosen
    from workbench.runs.leaderboard import in_order, make_table, read_order, with_differences

    datasets = _datasets(runs)
    defaults = [*DEFAULTS[:1], *(["dataset"] if len(datasets) > 1 else []), *DEFAULTS[1:]]
    if options.format in ("csv", "json"):
        defaults.insert(0, "id")  # what a program goes on with
    shown: list[Column[Summary]] = chosen(options.columns, defaults, columns.find)
    order = read_order(options.sort or "acc,created", columns.find)
    if options.baseline:
        baseline = store.find(options.baseline).summary
        shown = with_differences(shown, baseline)
        notes = [*notes, _differences_to(baseline.id)]
    rows = in_order(runs, order)
    if options.format in (None, "table") and any(run.pinned for run in rows):
        rows.sort(key=lambda run: not run.pinned)  # stable: the order holds within
        shown = [_with_pins(shown[0]), *shown[1:]]
        notes = [*notes, f"{PIN} pinned: first, whatever the order"]
    rows = rows[: options.limit]
    data = f"; data: {datasets[0]}" if len(datasets) == 1 else ""
    return make_table(rows, shown, [_counted(len(rows), len(runs), "runs") + data, *notes])


def _with_pins(column: "Column[Summary]") -> "Column[Summary]":
    """The first column with a sign before the runs that are pinned."""
    return replace(column, words=lambda run: f"{PIN if run.pinned else ' '} {column.text(run)}")


def _groups_table(options: argparse.Namespace, runs: "list[Summary]", columns: "Columns", query: "Query",
                  store: "RunStore", notes: list[str]) -> "Table":  # fmt: skip
    from workbench.runs.columns import GROUP_DEFAULTS, chosen
    from workbench.runs.leaderboard import GroupColumns, grouped, in_order, make_table, read_order, with_differences

    counting, left_out = finished_only(runs, query)
    by = [columns.find(name.strip()) for name in options.by.split(",") if name.strip()]
    if not by:
        raise UserError("--by names no column")
    made = GroupColumns(columns, by)
    keys = [column.name for column in by]
    wanted = ["dataset", *GROUP_DEFAULTS] if len(_datasets(counting)) > 1 else GROUP_DEFAULTS
    shown = chosen(options.columns, [*keys, *(name for name in wanted if name not in keys)], made.find)
    shown = [part for column in shown for part in made.spread(column)]
    groups = grouped(counting, by)
    if options.baseline:
        baseline = store.find(options.baseline).summary
        own = [group for group in groups if any(run.id == baseline.id for run in group.runs)]
        own = own or [group for group in groups if grouped([baseline], by)[0].key == group.key]
        if not own:
            raise UserError(f"--baseline {baseline.id}: no group of the table holds this run")
        shown = with_differences(shown, own[0])
        notes = [*notes, _differences_to(f"the group of {baseline.id}")]
    rows = in_order(groups, read_order(options.sort or "acc", made.find))[: options.limit]
    return make_table(rows, shown, [_counted(len(rows), len(groups), "groups"), *left_out, *notes])


def _datasets(runs: "list[Summary]") -> list[str]:
    return sorted({run.dataset for run in runs if run.dataset})


def finished_only(runs: "list[Summary]", query: "Query") -> "tuple[list[Summary], list[str]]":
    """The runs that count in a mean: finished ones, unless the filter names a state; and how many that left out."""
    if {"state", "live"} & query.fields:
        return runs, []
    finished = [run for run in runs if run.state == "finished"]
    left = len(runs) - len(finished)
    return finished, [f"{left} left out: not finished (a filter that names a state decides itself)"] if left else []


def _counted(shown: int, there: int, what: str) -> str:
    one = what.removesuffix("s") if there == 1 else what
    return f"{there:,} {one}" if shown == there else f"{shown:,} of {there:,} {one}"


def _differences_to(name: str) -> str:
    return f"Δ, ×: against {name}; accuracies in percentage points, sizes, times and speeds as ratios"


def _nothing(options: argparse.Namespace, root: Path, table: "Table", there: int) -> int:
    """No rows: a line that says what to do; a program still gets an empty list."""
    if there:
        line = f"none of {there:,} runs in {root} is chosen; {'; '.join(table.notes[1:]) or 'try another filter'}"
    else:
        line = f'no runs in {root} yet; "cnn-workbench --headless --profile quick.toml" makes one'
    if options.format in ("csv", "json"):
        _print(options.format, table)
        print(clean(line), file=sys.stderr)
    else:
        print(clean(line))
    return 0


def _print(form: str, table: "Table") -> None:
    from workbench.inspect.render import console_of_stdout, show, write
    from workbench.runs import tables

    if form != "table":
        write(tables.FORMATS[form](table))
        return
    console = console_of_stdout()
    if console.is_terminal:
        show(tables.terminal(table, console.width))
    else:
        write(tables.plain(table))


def _seed_layout(options: argparse.Namespace, arguments: list[str]) -> int:
    unfit = [name for name in ("sort", "columns", "by", "baseline", "limit") if getattr(options, name) is not None]
    if unfit:
        raise UserError(f"--layout seed has its own rows and columns: leave out --{unfit[0]}")
    if options.format not in (None, "md"):
        raise UserError(f"--layout seed is Markdown: --format md, not {options.format}")
    from workbench.commands.seed_rows import seed_rows
    from workbench.inspect.render import write
    from workbench.runs.query import compile_query
    from workbench.runs.seed_layout import seed_table
    from workbench.runs.store import RunStore

    runs = RunStore(runs_root(options)).runs()
    columns = columns_of(runs)
    query = compile_query(options.filter, columns)
    kept, _ = _narrowed(runs, query, with_archived=options.all)
    counting, _ = finished_only(kept, query)
    command = shlex.join(["cnn-workbench", "runs", *arguments])
    write(seed_table(seed_rows(), counting, columns.base, clean(command)))
    return 0


def columns_of(runs: "list[Summary]") -> "Columns":
    """Every column there is for these runs, with the base profile and the families of the cards."""
    import architectures
    from workbench.runs.columns import Columns
    from workbench.runs.from_base import items

    return Columns(
        base=base_profile(),
        families={card.name: card.family for card in architectures.cards()},
        ids=lambda: [run.id for run in runs],
        keys=lambda: {key for run in runs for key, _ in items(run.settings)},
    )


def base_profile() -> "Base":
    """The built-in base profile, and the defaults of what only some optimisers and schedules have."""
    from workbench.profile import builtin_folder, keys, load
    from workbench.profile.schema import DISCRIMINATED
    from workbench.runs.from_base import Base

    base = load(builtin_folder() / "base.toml", environ={}).profile
    choices = {
        f"{section}.{name}": {
            f"{section}.{key}": field.default for key, field in model.model_fields.items() if not field.is_required()
        }
        for section, models in DISCRIMINATED.items()
        for name, model in models.items()
    }
    return Base(dict(_flat(base.model_dump(exclude={"extends"}, exclude_none=True))), choices, tuple(keys()))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
