"""The command line. Parsing and dispatch only: what a command needs is imported when it runs.

Exit codes: 0 done, 1 the run failed, 2 a wrong profile or command line, 75 preempted, 130 interrupted.
"""

import argparse
import json
import os
import sys
from importlib import import_module

import workbench
from workbench.base import exits, ranks
from workbench.base.text import clean
from workbench.commands.parsing import add_runs, make_parser, parse, positive, runs_root

USAGE = """\
cnn-workbench [--runs DIR]
       cnn-workbench --headless --profile FILE [--section.key VALUE ...]
       cnn-workbench --headless --resume RUN [--train.epochs N ...]
       cnn-workbench --headless --fork RUN [--weights best|last|none] [--section.key VALUE ...]
       cnn-workbench profile check|show FILE [--section.key VALUE ...]
       cnn-workbench profile show FILE --plot-lr
       cnn-workbench profile schema
       cnn-workbench models [WORD] [--family FAMILY]
       cnn-workbench show NETWORK [--image-size N] [--depth N]
       cnn-workbench source NETWORK
       cnn-workbench runs [FILTER ...] [--sort KEY] [--by A,B] [--baseline RUN] [--format F] [--layout seed]
       cnn-workbench ps [--json]
       cnn-workbench attach [RUN]
       cnn-workbench serve [--port N]
       cnn-workbench compare RUN RUN ... [--format table|md|json|csv|html]
       cnn-workbench run show|tail|stop|pause|resume|checkpoint|lr|tag|note|pin|archive|delete|export ... RUN
       cnn-workbench evaluate RUN [--dataset NAME] [--split test]
       cnn-workbench predict RUN IMAGE ...
       cnn-workbench sweep FILE --arch A,B --recipe paper,base --seed 0..4 [--jobs N] [--dry-run]"""

EXAMPLES = """\
examples:
  cnn-workbench                                                 the screen: networks, runs, training
  cnn-workbench --headless --profile quick.toml                 train on the embedded digits, a minute on a laptop
  cnn-workbench --headless --profile base.toml --optim.lr 0.01  the shared base config, one value changed
  cnn-workbench --headless --resume last                        go on with the newest run
  cnn-workbench --headless --resume last --train.epochs 20      the same, for longer than was planned
  cnn-workbench profile show base.toml                          every value and where it came from
  cnn-workbench models --family transformer                     the networks there are, with their sizes
  cnn-workbench show vit_b_16 --image-size 384                  a paper's card, and the network layer by layer
  cnn-workbench source resnet18                                 the code of the paper
  cnn-workbench runs 'arch:resnet* acc>90' --by arch,recipe     the leaderboard: mean and deviation over seeds
  cnn-workbench compare last best:vit                           what differs in settings and figures, and the curves
  cnn-workbench run tail last                                   follow a run, whoever trains it
  cnn-workbench ps                                              the runs that live, and those that wait
  cnn-workbench attach                                          the screen, on the run that lives
  cnn-workbench serve                                           the screen in a browser, at an address that it prints
  cnn-workbench evaluate best:resnet18                          per-class accuracy, confusion matrix, calibration
  cnn-workbench sweep quick.toml --arch resnet18,vit --seed 0..4    ten runs, one after the other

A profile is looked up as a path, then in ./profiles, then in your own folder (on Linux
~/.config/cnn-workbench/profiles), then among the built-in ones. Every key can also be set by an environment
variable: CNNWB_OPTIM__LR=0.01. Results go to ./runs (or --runs DIR, or CNNWB_RUNS).

exit codes: 0 finished, 1 the run failed, 2 wrong profile or command line, 75 preempted (SIGTERM, SIGUSR2, SIGHUP),
130 interrupted (Ctrl-C); a stopped run is saved and goes on with --resume.
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code. A user's mistake is one clear line on stderr, never a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    return _run(arguments) if ranks.leads() else ranks.in_silence(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
        if name in COMMAND_MODULES:
            return int(import_module(f"workbench.commands.{name}").main(rest))
        if name in COMMANDS:
            return COMMANDS[name](rest)
        return _screen_command(arguments) if _wants_screen(arguments) else _main_command(arguments)
    except BrokenPipeError:  # `cnn-workbench profile show base.toml | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # nothing may complain on the way out
        return 0
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        for line in str(error).splitlines():
            print(f"cnn-workbench: {clean(line, 4000)}", file=sys.stderr)
        return int(error.exit_code)


def _wants_screen(arguments: list[str]) -> bool:
    """Nothing but perhaps `--runs DIR`, on a terminal."""
    alone = not arguments or (arguments[0] == "--runs" and len(arguments) == 2)
    alone = alone or (len(arguments) == 1 and arguments[0].startswith("--runs="))
    return alone and _on_terminal()


def _screen_command(arguments: list[str]) -> int:
    parser = make_parser("cnn-workbench")
    add_runs(parser)
    root = runs_root(parse(parser, arguments))
    from workbench.tui.main import run

    return run(root)


def _attach_command(arguments: list[str]) -> int:
    parser = make_parser(
        "cnn-workbench attach", description="Open the screen on a run: the newest that lives, unless one is named."
    )
    parser.add_argument("run", metavar="RUN", nargs="?", default="", help="default: the newest that lives, or the last")
    add_runs(parser)
    options = parse(parser, arguments)
    root = runs_root(options)
    from workbench.commands.finding import find

    run = find(root, options.run or "last").path
    if not _on_terminal():
        parser.error(f"a terminal is needed; without one: cnn-workbench run tail {run.name}")
    from workbench.tui.main import run as run_screen

    return run_screen(run.parent, attach=run.name if options.run else "")


def _on_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _main_command(arguments: list[str]) -> int:
    from workbench.profile import add_options, load, read_options

    parser = make_parser("cnn-workbench", usage=USAGE, description=workbench.__doc__, epilog=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"cnn-workbench {workbench.__version__}")
    parser.add_argument("--headless", action="store_true", help="train without the screen, as a script would")
    parser.add_argument("--profile", metavar="FILE", help="what to train: a path or a name (quick, base, mnist, ...)")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its id, a unique beginning of it, or last")
    parser.add_argument("--fork", metavar="RUN", help="start a new run from the profile of another one")
    parser.add_argument("--weights", choices=("best", "last", "none"), default="none",
                        help="with --fork: begin with the weights of its checkpoint (default: none)")  # fmt: skip
    parser.add_argument("--parent", metavar="RUN", default="", help=argparse.SUPPRESS)  # the screen's: a form's run
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object about the run on stdout at the end")
    add_options(parser)
    options = parse(parser, arguments)
    if not options.headless:
        if arguments:
            parser.error("add --headless to train (without it, and on a terminal, only --runs DIR can be given)")
        parser.print_help()
        return 2
    if sum(map(bool, (options.profile, options.resume, options.fork))) != 1:
        parser.error("give one of --profile FILE, --resume RUN and --fork RUN")
    if options.weights != "none" and not options.fork:
        parser.error("--weights goes with --fork")
    root = runs_root(options)
    layer = read_options(options)
    if options.resume:
        from workbench.headless import resume

        return resume(options.resume, root, layer, as_json=options.json)
    if options.fork:
        from workbench.headless import fork

        return fork(options.fork, root, layer, weights=options.weights, as_json=options.json)
    resolved = load(options.profile, options=layer)
    from workbench.lr_chart import check_schedule
    from workbench.preflight import check_network

    check_network(resolved)
    check_schedule(resolved)
    from workbench.headless import train

    return train(resolved, root, as_json=options.json, parent=options.parent or None)


def _profile_command(arguments: list[str]) -> int:
    from workbench.profile import add_options, load, read_options, schema_json, show

    parser = make_parser(
        "cnn-workbench profile", description="Check or show a profile, or print the schema of all profiles."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="check|show|schema")
    for name, text in (
        ("check", "say whether a profile is right, and what is wrong with it"),
        ("show", "print a profile with every value, and where each came from"),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("file", metavar="FILE", help="a path or a name")
        if name == "show":
            command.add_argument("--plot-lr", action="store_true", help="draw the learning rate over the run instead")
        add_options(command)
    commands.add_parser("schema", help="print the JSON Schema of a profile, for editors and taplo")
    options = parse(parser, arguments)
    if options.command == "schema":
        print(schema_json())
        return 0
    from workbench.lr_chart import check_schedule, draw_lr
    from workbench.preflight import check_network

    resolved = load(options.file, options=read_options(options))
    check_network(resolved)
    check_schedule(resolved)
    if options.command == "check":
        print(f"{options.file}: ok")
    elif options.plot_lr:
        from workbench.inspect.render import console_of_stdout, write

        console = console_of_stdout()
        width = console.width if console.is_terminal else 80
        write(draw_lr(resolved.profile, width=width, color=console.is_terminal and not console.no_color))
    else:
        print(show(resolved))
    return 0


def _models_command(arguments: list[str]) -> int:
    from workbench.inspect.catalogue import FAMILIES, entries, table
    from workbench.inspect.render import console_of_stdout, show, write

    parser = make_parser("cnn-workbench models", description="List the networks, oldest paper first, then the recipes.")
    parser.add_argument("word", metavar="WORD", nargs="?", help="those with this in the name, the title or the authors")
    parser.add_argument("--family", choices=FAMILIES, help="cnn, transformer or mlp")
    parser.add_argument("--classes", type=int, choices=(10, 1000), default=1000, help="count for 10 or 1000 classes")
    parser.add_argument("--json", action="store_true", help="print the cards as a JSON list")
    options = parse(parser, arguments)
    chosen = entries(options.family, options.word)
    if options.json:
        write(json.dumps([entry.as_json() for entry in chosen], indent=2) + "\n")
        return 0
    console = console_of_stdout()
    show(table(chosen, options.classes, console.width if console.is_terminal else None), wide=True)
    return 0


def _show_command(arguments: list[str]) -> int:
    parser = make_parser(
        "cnn-workbench show", description="Print a network's card and what each of its layers gives out."
    )
    parser.add_argument("name", metavar="NETWORK", help='a name of "cnn-workbench models", or module:callable')
    parser.add_argument("--image-size", type=positive, metavar="N", help="height and width, pixels (default: 224)")
    parser.add_argument("--classes", type=positive, metavar="N", default=1000, help="default: 1000")
    parser.add_argument("--channels", type=positive, metavar="N", default=3, help="of the image (default: 3)")
    parser.add_argument("--depth", type=positive, metavar="N", help="levels of modules (default: 2; all for --json)")
    parser.add_argument("--option", metavar="KEY=VALUE", nargs="+", action="extend", default=[], type=_setting,
                        help="the network's own knobs")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parse(parser, arguments)
    from workbench.inspect.catalogue import card_of, page

    knobs = dict(options.option)
    entry = card_of(options.name, options.image_size, knobs)  # mistakes are told before torch is loaded
    size = options.image_size or max(224, entry.card.min_image_size if entry else 0)
    network = entry.architecture if entry else options.name
    from workbench.inspect import render
    from workbench.inspect.walk import walk_named

    root = walk_named(network, classes=options.classes, channels=options.channels, image_size=size, options=knobs)
    if options.json:
        shape = {"image_size": size, "num_classes": options.classes, "in_channels": options.channels}
        layers = render.as_json(root.folded(options.depth) if options.depth else root)
        facts = {"card": entry.as_json() if entry else None, **shape, "options": knobs, "layers": layers}
        render.write(json.dumps(facts, indent=2) + "\n")
        return 0
    heading = f"One image of {options.channels}×{size}×{size}, {options.classes} classes"
    render.show(*([page(entry), ""] if entry else []), heading, "", render.tree(root.folded(options.depth or 2)))
    return 0


def _source_command(arguments: list[str]) -> int:
    from workbench.inspect.source import find_source, show_source

    parser = make_parser("cnn-workbench source", description="Print the module that holds a network's code.")
    parser.add_argument("name", metavar="NETWORK", help='a name of "cnn-workbench models", or module:callable')
    show_source(find_source(parse(parser, arguments).name))
    return 0


COMMAND_MODULES = ("runs", "run", "ps", "compare", "evaluate", "predict", "sweep", "serve")
"""Commands that are a module of `workbench.commands` each, with a `main` that takes the arguments."""

COMMANDS = {
    "profile": _profile_command,
    "models": _models_command,
    "show": _show_command,
    "source": _source_command,
    "attach": _attach_command,
}


def _setting(text: str) -> tuple[str, object]:
    """`width=0.5`, the value as in a profile; what is no TOML value is a string."""
    import tomllib

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE (got {text})")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
