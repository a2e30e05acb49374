"""`cnn-workbench serve`: the screen in a browser of this machine, or, through a forwarded port, of another one."""

import argparse
import importlib.util
import socket

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.commands.parsing import add_runs, make_parser, parse, runs_root

PORT = 8000


def main(arguments: list[str]) -> int:
    """Serve until Ctrl-C; returns the exit code. UserError where the extra is missing, or the port is taken."""
    parser = make_parser("cnn-workbench serve", description="Show the screen in a browser, for this machine alone.")
    parser.add_argument("--port", type=_port, default=PORT, metavar="N", help=f"default: {PORT}; 0: any that is free")
    add_runs(parser)
    options = parse(parser, arguments)
    if importlib.util.find_spec("textual_serve") is None:
        raise UserError("serve needs textual-serve: pip install 'cnn-workbench[serve]'")
    root = runs_root(options)
    from workbench.commands.web_server import HOST, serve

    def told(address: str, port: int) -> None:
        print(f"the screen, for the runs in {clean(str(root), 300)}: {address}")
        here = clean(socket.gethostname(), 100)
        print(f"from another machine: ssh -L {port}:{HOST}:{port} {here}, and there the same address")
        print("whoever has the address can do what you can; Ctrl-C ends it", flush=True)

    serve(root, options.port, told)
    return 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535 (got {text})")
    return int(text)
