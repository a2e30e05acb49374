"""`python -m busy_app ROOT LABEL`: the program's own screen, with a run in its thread that never ends its step.

Tests run it in a real terminal; everything but the run is the program's own.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from workbench.launch.orders import Order
from workbench.tui import main
from workbench.tui.app import Workbench


class Busy(Workbench):
    """Trains what `LABEL` says."""

    def on_mount(self) -> None:
        """As the program, and the run is there."""
        super().on_mount()
        order = Order(profile="x = 1\n", label=Path(sys.argv[2]).read_text())
        self.launches.launcher.live = SimpleNamespace(  # type: ignore[assignment]
            order=order, run_id="", begun=True, is_over=False, is_alive=lambda: True, stop=lambda cause: None,
            outcome=None, error="",
            narrator=SimpleNamespace(run=None, last=order.label),
        )  # fmt: skip


if __name__ == "__main__":
    main.Workbench = Busy  # type: ignore[misc]
    sys.exit(main.run(Path(sys.argv[1])))
