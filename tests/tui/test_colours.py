"""What is written can be read in every set of colours, and what a colour says a sign or a word says too.

The contrast is that of what reaches the terminal: every cell of every screen and dialog, after all styles and filters.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asking_scenes import SCENES, Asking, keys, nothing_by_the_clock, played, run_of, there
from asking_scenes import form as form_of
from made_runs import evaluate, make_run
from pictures import folder, one_place_and_machine
from rich.cells import cell_len
from rich.style import Style
from scripted_runs import DAY, written_at
from textual.geometry import Region

from workbench.runs.summary import LIVE
from workbench.tui.app import Workbench
from workbench.tui.board import SHAPES
from workbench.tui.settings import Settings
from workbench.tui.terminal import Ascii, Gate, in_ascii, wants_ascii
from workbench.tui.themes import THEMES

__all__ = ["folder", "nothing_by_the_clock", "one_place_and_machine"]

LEAST = 4.5
"""WCAG 2, level AA, for text."""


async def runs(app: Workbench, pilot: Any) -> None:
    """Marks, a pin, a baseline."""
    await pilot.press("space", "down", "b", "space")


async def ended_badly(app: Workbench, pilot: Any) -> None:
    app.open_run(run_of(app, "gmlp_s16"))


async def form(app: Workbench, pilot: Any) -> None:
    """Something that was changed, and something that is wrong."""
    await form_of(app, pilot, "optim.lr", "enter", *"0.5", "enter")


async def raw(app: Workbench, pilot: Any) -> None:
    await form(app, pilot)
    await pilot.press("v")


async def two(app: Workbench, pilot: Any) -> None:
    app.compare([run_of(app, "resnet18"), run_of(app, "mobilenet_v2")])


async def keys_that_differ(app: Workbench, pilot: Any) -> None:
    await two(app, pilot)
    await there(app, pilot, "aligned at")
    await pilot.press("tab")


async def confusions(app: Workbench, pilot: Any) -> None:
    await keys_that_differ(app, pilot)
    await there(app, pilot, "[keys]")
    await pilot.press("tab")


async def eight(app: Workbench, pilot: Any) -> None:
    """With a run that is hidden, and the cursor."""
    app.compare([path.name for path in sorted(app.root.iterdir()) if path.name[0] != "."][:8])
    await there(app, pilot, "aligned at")
    await pilot.press("down", "space", "left", "left")


LOOKS = {
    "card": Asking("models", keys("home"), "82.71"),
    "source": Asking("models", keys("v"), "from torch import"),
    "train": Asking("train", keys("left", "left"), "at epoch"),
    "runs": Asking("runs", runs, "* 2 marked"),
    "groups": Asking("runs", keys("g"), "groups"),
    "profiles": Asking("profiles", keys("end"), "quick"),
    "form": Asking("profiles", form, "1 not saved"),
    "raw": Asking("profiles", raw, "lr = 0.5"),
    "compare": Asking("runs", two, "aligned at"),
    "compare-keys": Asking("runs", keys_that_differ, "[keys]"),
    "confusions": Asking("runs", confusions, "90█"),
    "compare-eight": Asking("runs", eight, "hidden"),
}
"""Screens at their fullest; what lies over them is in `asking_scenes`."""
LAST = {"train-failed": Asking("train", ended_badly, "the run has failed")}
"""After the scenes that are about a run that lives."""


@pytest.fixture
def more_runs(folder: Path) -> None:
    """Eight to compare, two of them evaluated."""
    with written_at(DAY - timedelta(hours=1)):
        make_run(folder, arch="vgg11", name="made", state="", tags=("odd",))
    for arch, right in (("resnet18", 9), ("mobilenet_v2", 6)):
        app = SimpleNamespace(root=folder)
        evaluate(folder / run_of(app, arch), "digits-test-best", [[right, 10 - right], [2, 8]], ["cat", "dog"])


def cells(app: Workbench) -> Iterator[tuple[str, Style]]:
    """What is drawn, and how; of a dialog without what it lies on, which is faint so that one sees the dialog."""
    over = [child.region for child in app.screen.children] if app.screen.is_modal else []
    for y, row in enumerate(app.screen._compositor.render_strips()):
        x = 0
        for segment in row:
            if segment.text.strip() and segment.style is not None and (not over or within(over, x, y)):
                yield segment.text, segment.style
            x += segment.cell_length


def within(regions: Iterable[Region], x: int, y: int) -> bool:
    return any(region.contains(x, y) for region in regions)


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(style: Style) -> float:
    assert style.color is not None
    assert style.bgcolor is not None
    assert not style.dim, "a terminal makes it fainter by as much as it likes"
    sides = [luminance(tuple(colour.get_truecolor())) for colour in (style.color, style.bgcolor)]
    return (max(sides) + 0.05) / (min(sides) + 0.05)


def faint(app: Workbench) -> dict[str, float]:
    """Texts that can hardly be read, and their contrast."""
    return {
        f"{text.strip()[:40]} {style}": round(contrast(style), 2)
        for text, style in cells(app)
        if any(character.isalnum() for character in text) and contrast(style) < LEAST
    }


@pytest.mark.usefixtures("one_place_and_machine", "nothing_by_the_clock", "more_runs")
def test_every_text_has_enough_contrast_in_every_theme() -> None:
    async def look() -> list[str]:
        app, found = Workbench(Path("runs"), Settings(screen="models"), preload=False), []
        themes = [theme.name for theme in THEMES]
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            async for name, _ in played(app, pilot, LOOKS | SCENES | LAST):
                themes.reverse()  # the next scene begins in the colours of this one: they take a while to change
                for theme in themes:
                    app.theme = theme
                    await pilot.pause(0.05)
                    found += [f"{theme}, {name}: {text}: {value}" for text, value in faint(app).items()]
        return found

    assert not (found := asyncio.run(look())), "\n".join(found)


def test_states_differ_by_sign_and_by_word_without_a_colour() -> None:
    alive = {SHAPES[state] for state in ("running", "paused", "silent")}
    over = {SHAPES[state] for state in ("finished", "stopped", "failed")}
    assert len(alive) == len(over) == 3
    assert not alive & over
    assert set(LIVE) <= set(SHAPES)
    signs = {
        state: in_ascii(SHAPES[state]) for state in ("running", "finished", "stopped", "failed", "paused", "silent")
    }
    assert "".join(signs.values()) == ">+=!|?"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain", "plain"), ("╭─ é ─╮", "+- e -+"), ("日本", "????"), ("⠉⣀⣿⠀", "'.# "), ("▸Δ*^", ">D*^"),
        ("x — y…", "x - y~"),         ("µm²", "um2"), ("▁▅█", "_+#"), ("\ufffd", "?"),
    ],
)  # fmt: skip
def test_ascii_is_as_wide_as_what_it_stands_for(text: str, plain: str) -> None:
    assert in_ascii(text).isascii()
    assert cell_len(in_ascii(text)) == cell_len(text)
    if text != "µm²":  # the micro sign's nearest letter is a matter of Unicode's tables
        assert in_ascii(text) == plain


def test_no_character_is_wider_or_narrower_in_ascii() -> None:
    for code in range(0x80, 0x30000):
        character = chr(code)
        if not 0xD800 <= code < 0xE000:
            assert cell_len(in_ascii(character)) == cell_len(character), hex(code)
            assert in_ascii(character).isascii()


def test_the_gate_lets_text_pass_and_nothing_else() -> None:
    from rich.segment import Segment
    from textual.color import Color

    black = Color(0, 0, 0)
    text = [Segment("résumé ⠉▸ 日本", Style(bold=True))]
    assert Gate().apply(text, black) is text
    hostile = [Segment("a\x1b]52;c;x\x07\u202eb\u200b\x9b\x7fc", Style(bold=True))]
    assert [part.text for part in Gate().apply(hostile, black)] == ["a]52;c;xbc"]
    assert [part.text for part in Ascii().apply([Segment("● x")], black)] == ["> x"]


@pytest.mark.parametrize(
    ("setting", "environ", "ascii_"),
    [
        ("auto", {}, False), ("auto", {"LANG": "C.UTF-8"}, False), ("auto", {"LANG": "en_US.utf8"}, False),
        ("auto", {"LANG": "C"}, True), ("auto", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ("auto", {"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True), ("auto", {"LC_CTYPE": "C.UTF-8"}, False),
        ("auto", {"LANG": "de_DE.ISO-8859-1"}, True), ("auto", {"TERM": "linux", "LANG": "C.UTF-8"}, True),
        ("auto", {"TERM": "xterm-256color"}, False), (True, {"LANG": "C.UTF-8"}, True),
        (False, {"TERM": "linux"}, False),
    ],
)  # fmt: skip
def test_ascii_is_chosen_by_what_terminal_and_locale_tell(
    setting: str | bool, environ: dict[str, str], ascii_: bool
) -> None:
    assert wants_ascii(setting, environ) is ascii_
