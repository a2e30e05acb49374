"""`python -m serving_app PROFILE ROOT`: the program's own server, whose pages launch a profile by themselves.

Everything but the key that launches is the program's own. `python -m serving_app page PROFILE ROOT` is such a page.
"""

import sys
from pathlib import Path


def page(profile: str, root: str) -> int:
    sys.argv = ["launching_app", profile, root]
    from launching_app import Launching

    from workbench.tui import in_browser, main

    main.Workbench = Launching  # type: ignore[misc]
    return main.run(Path(root), driver=in_browser.BrowserDriver)


def server(profile: str, root: str) -> int:
    from workbench.commands import web_server

    class Launching(web_server.Screens):
        def __init__(self, place: Path, token: str) -> None:
            super().__init__(place, token)
            self.words = [sys.executable, "-m", "serving_app", "page", profile, root]

    web_server.Screens = Launching  # type: ignore[misc]
    web_server.serve(Path(root), 0, lambda address, port: print(address, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(page(*sys.argv[2:]) if sys.argv[1] == "page" else server(*sys.argv[1:]))
