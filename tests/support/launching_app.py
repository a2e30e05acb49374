"""`python -m launching_app PROFILE ROOT [start method]`: the program's own screen, that launches a profile by itself.

Tests run it in a real terminal; everything but the key that launches is the program's own.
"""

import multiprocessing
import sys
from pathlib import Path

from workbench.launch.orders import begin
from workbench.profile import load
from workbench.tui import main
from workbench.tui.app import Workbench


class Launching(Workbench):
    """Launches as soon as it is there."""

    def on_mount(self) -> None:
        """As the program, and launch."""
        super().on_mount()
        self.launches.launcher.submit(begin(load(sys.argv[1], environ={}), way="thread"))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        multiprocessing.set_start_method(sys.argv[3])
    main.Workbench = Launching  # type: ignore[misc]
    sys.exit(main.run(Path(sys.argv[2])))
