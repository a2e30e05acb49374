"""What is written can be read in every set of colours, and what a colour says a sign or a word says too.

The contrast is that of what reaches the terminal: every cell of every screen, after all styles, filters and dimming.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.style import Style
from scripted_runs import scripted_runs

from workbench.runs.summary import LIVE
from workbench.tui.app import Workbench
from workbench.tui.board import SHAPES
from workbench.tui.settings import Settings
from workbench.tui.terminal import Ascii, Gate, in_ascii, wants_ascii
from workbench.tui.themes import THEMES

LEAST = 4.5
"""WCAG 2, level AA, for text."""
SCREENS = {"models": "82.71", "train": "epoch 4 of 8", "runs": "82.71", "profiles": "quick"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("colours") / "runs"
    end = scripted_runs(root)
    yield root
    end()


def cells(app: Workbench) -> Iterator[tuple[str, Style]]:
    for row in app.screen._compositor.render_strips():
        for segment in row:
            if segment.text.strip() and segment.style is not None:
                yield segment.text, segment.style


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(style: Style) -> float:
    assert style.color is not None
    assert style.bgcolor is not None
    sides = [luminance(tuple(colour.get_truecolor())) for colour in (style.color, style.bgcolor)]
    return (max(sides) + 0.05) / (min(sides) + 0.05)


def faint(screen: str, theme: str, folder: Path) -> dict[str, float]:
    """Texts that can hardly be read, and their contrast."""

    async def look() -> dict[str, float]:
        app = Workbench(folder, Settings(screen=screen, theme=theme), preload=False)
        async with app.run_test(size=(160, 45)) as pilot:
            deadline = time.monotonic() + 20
            while not any(SCREENS[screen] in text for text, _ in cells(app)) and time.monotonic() < deadline:
                await pilot.pause(0.05)
            await pilot.pause(0.3)
            found: dict[str, float] = {}
            for text, style in cells(app):
                if any(character.isalnum() for character in text) and contrast(style) < LEAST:
                    found[f"{text.strip()[:40]} {style}"] = round(contrast(style), 2)
            return found

    return asyncio.run(look())


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_text_has_enough_contrast(screen: str, theme: str, folder: Path) -> None:
    assert faint(screen, theme, folder) == {}


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
