"""`python -m workbench.tui.in_browser --runs DIR`: the screen for one page of `cnn-workbench serve`.

It speaks textual-serve's protocol on standard input and output. Where those end, nobody looks any more: it ends as it
does when a terminal is lost, and hands a run in its thread over to a process of its own.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from textual.drivers.web_driver import WebDriver

from workbench.commands.parsing import add_runs, make_parser, parse, runs_root
from workbench.tui.drivers import Sparing
from workbench.tui.main import run

if TYPE_CHECKING:
    from workbench.tui.app import Workbench


class BrowserDriver(Sparing, WebDriver):
    """Textual's, that also ends with its server, and leaves SIGTERM to the app."""

    def start_application_mode(self) -> None:
        """Textual's own handler would end the app without saying that it was a signal."""
        handler = signal.getsignal(signal.SIGTERM)
        super().start_application_mode()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, handler)

    def run_input_thread(self) -> None:
        """Until the app ends, or its input does."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            cast("Workbench", self._app).end_soon()

    def write(self, data: str) -> None:
        """To the server; where that is gone, to nobody: the input, which has ended too, tells of it."""
        with suppress(BrokenPipeError):
            super().write(data)

    def write_meta(self, data: dict[str, object]) -> None:
        """As `write`."""
        with suppress(BrokenPipeError):
            super().write_meta(data)


def main() -> int:
    """Returns the exit code."""
    parser = make_parser("python -m workbench.tui.in_browser", description=__doc__)
    add_runs(parser)
    root = runs_root(parse(parser, sys.argv[1:]))
    return run(root, driver=BrowserDriver)


if __name__ == "__main__":
    sys.exit(main())
