"""What a run directory says never reaches the terminal as anything but text, on any surface; and the app lives.

Read off a real pseudo-terminal: what arrives there is searched byte by byte. A new surface is one line in `SURFACES`.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w
from made_runs import LiveRun, evaluate, make_run
from terminal import CHECKOUT, Terminal

from workbench.launch.orders import Order
from workbench.launch.queue import Queue
from workbench.runs import trash

SEQUENCES = {
    "clipboard": "\x1b]52;c;aGFja2Vk\x07", "title": "\x1b]2;hacked\x1b\\", "icon": "\x1b]0;hacked\x07",
    "cursor": "\x1b[13;66H", "report": "\x1b[6n", "reset": "\x1bc", "sixel": "\x1bPq#0;2;0;0;0\x1b\\",
    "image": "\x1b]1337;File=:aGFja2Vk\x07", "kitty": "\x1b_Ga=T;aGFja2Vk\x1b\\", "link": "\x1b]8;;http://hacked\x07",
    "C1": "\x9b13;66H\x9d2;hacked\x9c\x90q\x9c", "bell": "\x07\x08\x0b\x0c", "bidi": "\u202egnp.\u2066x\u2069\u200f",
    "zero width": "a\u200bb\u200dc\ufeff", "separators": "\u2028\u2029\x85", "lines": "\r\n\t\x00\x7f",
}  # fmt: skip
"""What a hostile run would have a terminal do."""
MARKUP = "[/oops][@click=app.quit]x[/][bold"
EVIL = MARKUP + "".join(SEQUENCES.values()) + "W" * 10_000
FORBIDDEN = (
    b"\x1b]52", b"\x1b]2;", b"\x1b]0;", b"\x1b]1337", b"\x1b]8;", b"\x1b_", b"\x1bP", b"\x1bc", b"\x1b[6n",
    b"\x1b[13;66H", b"\xc2\x9b", b"\xc2\x9d", b"\xc2\x90", b"\xc2\x9c", b"\xc2\x85", "\u202e".encode(),
    "\u2066".encode(), "\u200f".encode(), "\u200b".encode(),
    "\u200d".encode(), "\ufeff".encode(), "\u2028".encode(), b"\x00",
    b"\x7f", b"\x0b",
)  # fmt: skip
"""No drawing of ours has any of these in it."""


ESC, UP, DOWN, END = "\x1b", "\x1b[A", "\x1b[B", "\x1b[F"


@dataclass(frozen=True)
class Surface:
    """Somewhere that strings from disk are shown: the keys that lead there, and words that tell when it is there."""

    name: str
    keys: tuple[str, ...]
    words: str


SURFACES = (
    Surface("mistakes in the settings", (), "unknown setting"),
    Surface("own runs on a card", ("z", END), "r shows them"),
    Surface("palette", (":",), "Models: sort"),
    Surface("table of runs", (ESC, "4"), "3 runs  sort"),
    Surface("preview", (DOWN,), " settings "),
    Surface("note", ("n",), "Note of"),
    Surface("tags", (ESC, "t"), "tags to put on"),
    Surface("deletion", (ESC, "D"), "to the trash?"),
    Surface("trash", ("n", "U"), "fetches a run back"),
    Surface("columns", (ESC, "v"), "space on or off"),
    Surface("copies", (ESC, "y"), "command that shows it"),
    Surface("formats", (ESC, "o"), "rows as"),
    Surface("an export", ("\r",), "rows written"),
    Surface("groups", ("g",), "by arch,recipe"),
    Surface("a mistake in the filter", ("g", "/", "nosuch=3\r"), "unknown"),
    Surface("a live run", (ESC, "3"), "run 3 of 3"),
    Surface("its log", ("l",), "hacked"),
    Surface("another run", ("[",), "run 2 of 3"),
    Surface("a failed run", ("[",), "run 1 of 3"),
    Surface("help", ("?",), "type to filter"),
    Surface("profiles", (ESC, "2"), "[2 Profiles]"),
    Surface("a profile of one's own", (END, "\x1b[H", DOWN), "differs"),
    Surface("compare", ("4", "\x1b[H", " ", " ", "c"), "[5 Compare]"),
    Surface("keys that differ", ("\t",), "differ"),
)

ASKING = (
    Surface("what the last session left", (), "were away"),
    Surface("the name that a profile begins with", ("2", "/", "launchable\r"), "▸   launchable"),
    Surface("the review", ("G",), "enter launch"),
    Surface("seeds", ("s",), "one run for each"),
    Surface("the queue", (ESC, ESC, "Q"), "J K later"),
    Surface("why it failed", (END, "\r"), "nowhere"),
    Surface("out of the queue", (UP, "D"), "queue?"),
    Surface("the form", ("n", ESC, "\r"), "quick"),
    Surface("the text of the file", ("v",), "extends"),
    Surface("what a form may extend", (ESC, "e"), "enter takes it"),
    Surface("a value that is typed", (ESC, "/", "data.root\r", "\r"), "enter takes it"),
    Surface("save as", (ESC, "W"), "enter saves"),
    Surface("a draft that is not saved", (ESC, ESC, "/", "seed\r", "\r", "7\r", ESC, ESC), "not saved"),
    Surface("deletion of a profile", (DOWN, "\r", "D"), "to the trash?"),
    Surface("the trash of profiles", ("y", "U"), "fetches a file back"),
    Surface("a profile full of mistakes", (ESC, ESC, "/", "evil\r", "\r"), "problem"),
    Surface("its text", ("v",), "name ="),
    Surface("the live run", (ESC, ESC, "3"), "run 3 of 3"),
    Surface("the question whether to stop", ("S",), "y yes"),
    Surface("figures of a chart", ("n", "f"), "Show in the marked chart"),
    Surface("the table", (ESC, "4"), "3 runs  sort"),
    Surface("confusions", ("\x1b[H", " ", " ", "c", "\t", "\t"), "true class"),
    Surface("exports of a comparison", ("o",), "Write the comparison"),
    Surface("leaving", (ESC, "\x11"), "is trained in this program"),
    Surface("waiting for the step", ("s",), "leave at once"),
)
"""With a run in the program's own thread, and a queue."""

PRINTING = (
    ("ps",), ("runs",), ("run", "show", "last"), ("attach", "x" + EVIL.replace("\x00", "")[:200]),
    ("compare", "last", "best"), ("profile", "show", "launchable"),
)  # fmt: skip
"""Commands that print what runs, queue and profiles say of themselves."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Three runs whose every text is hostile, the newest live, one in the trash; the folder's name is hostile too."""
    root = tmp_path / ("runs" + MARKUP.replace("/", "") + SEQUENCES["clipboard"] + SEQUENCES["bidi"])
    root.mkdir()
    facts = {"host": EVIL, "device": EVIL, "git": {"commit": EVIL}, "argv": [EVIL], "parent": EVIL, "recipe": EVIL,
             "data": {"classes": [EVIL, EVIL], "dataset": EVIL, "images": {"train": EVIL}}}  # fmt: skip
    settings = {"optim.name": EVIL, "optim.lr": EVIL, "schedule.name": EVIL, "data.augment": EVIL, "model.extra": EVIL}
    failed = make_run(root, arch="alexnet", dataset=EVIL, name=EVIL, state="", facts=facts, settings=settings)
    finished = make_run(root, arch=EVIL, dataset="digits", name=EVIL, facts=facts, settings=settings)
    live = LiveRun(root)
    live.epoch(**{f"train_{EVIL}": 1.0})
    live.status(phase=EVIL, detail=EVIL)
    for run in (failed, finished, live.path):
        labels = {"schema": 1, "tags": [EVIL, MARKUP], "note": f"{EVIL}\n{EVIL}", "pinned": False, "archived": False}
        (run / "user.json").write_text(json.dumps(labels))
        (run / "log.txt").write_bytes((EVIL + "\n" + SEQUENCES["clipboard"] + "hacked\n").encode() + b"\x9b2J\xff\n")
    live.writer.event(EVIL, text=EVIL, error=EVIL)
    live.writer.event("nan", step=EVIL, on_nan=EVIL)
    with (failed / "events.jsonl").open("ab") as events:
        events.write(json.dumps({"event": "failed", "time": 1.0, "error": EVIL, "traceback": EVIL}).encode() + b"\n")
    trash.delete(root, make_run(root, name=EVIL))
    strange = root / ".trash" / ("x" + SEQUENCES["clipboard"] + MARKUP.replace("/", ""))
    strange.mkdir()
    (strange / "run.json").write_text("{}")
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / ("x" + SEQUENCES["clipboard"] + SEQUENCES["bidi"] + "[bold].toml")).write_text(
        f"# {MARKUP}\nseed = 1\n"
    )
    (profiles / "evil.toml").write_text(tomli_w.dumps({"name": EVIL, EVIL: 1, "optim": {"name": EVIL, "lr": EVIL}}))
    place = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "settings.toml"
    place.parent.mkdir()
    own = {"line": "fast", "theme": EVIL, EVIL: "1", "keys": {EVIL: "o", "models.sort": EVIL}}
    place.write_text(tomli_w.dumps(own))  # fast: then the program itself asks the terminal nothing
    yield root
    live.end()


@pytest.fixture
def asked(folder: Path) -> Path:
    """A queue, a profile that can be launched, evaluations and a last session besides; no mistake in the settings."""
    queue = Queue(folder)
    for label in ("broken", "waits", "elsewhere"):
        queue.add(Order(profile="x = 1\n", label=label, way="detached"))
    failed = queue.take("detached")
    assert failed is not None
    queue.done(failed, f"nowhere {EVIL}\n{EVIL}")
    here = socket.gethostname()
    for entry, host in zip((*queue.failed(), *queue.waiting()), (here, here, EVIL), strict=True):
        order = entry.path / "order.json"
        order.write_text(json.dumps(json.loads(order.read_text()) | {"label": EVIL, "host": host, "parent": EVIL}))
    written = {"extends": "quick", "model": {"arch": f"{EVIL}:x", "options": {EVIL: EVIL}, "pretrained": EVIL},
               "data": {"dataset": "folder", "root": EVIL}}  # fmt: skip
    (folder.parent / "profiles" / "launchable.toml").write_text(tomli_w.dumps(written))
    runs = [path for path in sorted(folder.iterdir()) if (path / "run.json").exists()]
    for run in runs:
        evaluate(run, f"x{MARKUP.replace('/', '')}{SEQUENCES['clipboard']}", [[9, 1], [2, 8]], [EVIL, EVIL])
    place = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench"
    (place / "settings.toml").write_text('line = "fast"\n')
    stood = {str(run.absolute()): {"epoch": -1, "best": None, "time": 1.0} for run in runs}
    (place / "last.json").write_text(
        json.dumps({"away": stood, "rescued": {"path": EVIL}, "models": {"network": EVIL}})
    )
    (folder.parent / "label").write_text(EVIL)
    return folder


def see(terminal: Terminal, surfaces: Sequence[Surface]) -> None:
    """Go from one to the next, and search what arrives at each."""
    for surface in surfaces:
        for keys in surface.keys:
            os.write(terminal.controller, keys.encode())
            terminal.listen_until_something(1.0)  # the machine may be busy
            terminal.settle()  # an escape with a key right behind it is another key, and focus moves in its time
        terminal.wait_for(surface.words, seconds=20)
        terminal.listen(0.2)
        found = [bytes_ for bytes_ in FORBIDDEN if bytes_ in terminal.raw]
        assert not found, f"{surface.name}: {found}"
        assert terminal.process.poll() is None, surface.name


def see_all(terminal: Terminal, surfaces: Sequence[Surface], last: bytes) -> None:
    """From the first picture to the end, which the key `last` asks for."""
    try:
        terminal.wait_for("76 networks")
        see(terminal, surfaces)
        assert MARKUP[:6] in terminal.said, "the hostile strings were never shown"
        assert "hacked" not in terminal.screen.title + terminal.screen.icon_name
        os.write(terminal.controller, last)
        while terminal.read():
            pass
        assert terminal.process.wait(timeout=20) == 0
        assert b"Traceback" not in terminal.raw
    finally:
        terminal.end()


def test_nothing_hostile_reaches_the_terminal_from_any_surface(folder: Path) -> None:
    command = [sys.executable, "-m", "workbench", "--runs", str(folder)]
    see_all(Terminal(command, folder.parent, 100, 30), SURFACES, b"\x11")


def test_nor_from_anything_that_asks(asked: Path) -> None:
    support = str(Path(__file__).parents[1] / "support")
    command = [sys.executable, "-m", "busy_app", str(asked), str(asked.parent / "label")]
    environ = {"PYTHONPATH": os.pathsep.join((str(CHECKOUT), support))}
    see_all(Terminal(command, asked.parent, 100, 30, environ), ASKING, b"q")


@pytest.mark.parametrize("words", PRINTING, ids=lambda words: " ".join(words)[:16])
def test_nor_from_a_command_that_prints(asked: Path, words: tuple[str, ...]) -> None:
    place = () if words[0] == "profile" else ("--runs", str(asked))
    terminal = Terminal([sys.executable, "-m", "workbench", *words, *place], asked.parent, 100, 30)
    try:
        while terminal.read():
            pass
        assert terminal.process.wait(timeout=20) in (0, 2)
        assert [bytes_ for bytes_ in FORBIDDEN if bytes_ in terminal.raw] == []
        assert MARKUP[:6] in terminal.said, "the hostile strings were never shown"
        assert b"Traceback" not in terminal.raw
    finally:
        terminal.end()
