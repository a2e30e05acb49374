"""Three sets of colours. None carries a meaning alone: states have a sign and a word, series a line style."""

from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.color import Color as Ground
from textual.filter import LineFilter
from textual.theme import Theme

DARK = Theme(
    name="dark", primary="#5fafd7", secondary="#87af87", accent="#d7af5f", foreground="#d0d0d0", background="#121212",
    surface="#1a1a1a", panel="#262626", success="#87af5f", warning="#d7af5f", error="#d75f5f", dark=True,
)  # fmt: skip
LIGHT = Theme(
    name="light", primary="#005f87", secondary="#3a6b35", accent="#875f00", foreground="#1c1c1c", background="#ffffff",
    surface="#f6f6f6", panel="#e4e4e4", success="#3a6b35", warning="#875f00", error="#a00000", dark=False,
)  # fmt: skip
CLEAR = Theme(  # the colours of Okabe and Ito (2008), told apart with every kind of colour vision
    name="clear", primary="#56b4e9", secondary="#009e73", accent="#e69f00", foreground="#f0f0f0", background="#000000",
    surface="#101010", panel="#202020", success="#56b4e9", warning="#f0e442", error="#d55e00", dark=True,
)  # fmt: skip

THEMES = (DARK, LIGHT, CLEAR)

ON_LIGHT = TerminalTheme(
    (255, 255, 255), (28, 28, 28),
    [(28, 28, 28), (160, 0, 0), (45, 94, 40), (120, 80, 0), (0, 80, 140), (110, 30, 130), (0, 95, 125), (80, 80, 80)],
    [(88, 88, 88), (160, 0, 0), (45, 94, 40), (120, 80, 0), (0, 80, 140), (110, 30, 130), (0, 95, 125), (28, 28, 28)],
)  # fmt: skip
"""The sixteen colours of pages that are printed on terminals too, dark enough for a light ground."""

DARKER = {
    (0, 175, 255): 25, (255, 135, 0): 130, (215, 95, 215): 127, (0, 175, 95): 29, (255, 0, 0): 160, (175, 175, 0): 58,
    (135, 135, 175): 60, (175, 135, 95): 94,
}  # fmt: skip
"""The colours of curves (`compare_draw.RUN_COLORS`), and those of the 256 that stand for them on a light ground."""


class OnLight(LineFilter):
    """Curves and what belongs to them in colours that a light ground lets one see."""

    def apply(self, segments: list[Segment], background: Ground) -> list[Segment]:
        return [Segment(segment.text, _darker(segment.style), segment.control) for segment in segments]


@lru_cache(1024)
def _darker(style: Style | None) -> Style | None:
    number = DARKER.get(style.color.get_truecolor()) if style is not None and style.color is not None else None
    return style if number is None or style is None else style + Style(color=Color.from_ansi(number))
