"""Screens as text, beside what they were: `tests/tui/golden/<name>-<columns>x<rows>.txt`.

After a change that is meant, write them anew, look at the difference with `git diff`, and commit it with the change:

    CNNWB_TEST_GOLDEN=write pytest -n 0 tests/tui/test_golden_screens.py tests/tui/test_golden_dialogs.py

Nothing on these pictures may depend on the machine, the hour or torch.
"""

import difflib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_runs import scripted_runs

from workbench.profile import builtin_folder, files
from workbench.tui import usage, watching
from workbench.tui.app import Workbench

GOLDEN = Path(__file__).parents[1] / "tui" / "golden"
WRITING = os.environ.get("CNNWB_TEST_GOLDEN") == "write"
Size = tuple[int, int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The runs; the built-in profiles are beside it."""
    root = tmp_path_factory.mktemp("pictures") / "runs"
    shutil.copytree(builtin_folder(), root.with_name("builtin"))
    end = scripted_runs(root)
    yield root
    end()


@pytest.fixture
def one_place_and_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """UTC, English, no figures of this machine, and a folder that is called `runs`."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(folder.parent)
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR", *(name for name in os.environ if name.startswith("CNNWB_"))):
        monkeypatch.delenv(name, raising=False)  # a variable of the tests is a problem of a profile
    for module in (
        sys.modules["workbench.profile.find"],
        files,
    ):  # a path of this machine would be on the screen, and cut where it is long
        monkeypatch.setattr(module, "builtin_folder", lambda: Path("builtin"))
        monkeypatch.setattr(module, "user_folder", lambda: Path("config"))
    monkeypatch.setattr(usage.Meter, "look", lambda meter: None)
    monkeypatch.setattr(watching, "_free", lambda path: None)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def dump(app: Workbench) -> str:
    """What the terminal shows, without styles and without blanks at the ends of lines."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row).rstrip() for row in rows) + "\n"


def place_of(name: str, size: Size) -> Path:
    """The file of a picture."""
    return GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"


def difference(name: str, size: Size, found: str) -> str:
    """What is another than it was, line by line; empty for nothing. Writes the file where that is asked for."""
    path = place_of(name, size)
    if WRITING:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return ""
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), path.name, "now", lineterm="", n=1)
    return "\n".join(["", *lines, "", "if this is meant: see tests/support/pictures.py"]) if found != wanted else ""
