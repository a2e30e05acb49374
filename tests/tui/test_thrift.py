"""Sending only what is different: the terminal shows what it would have shown, and gets far less."""

import pyte
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.tui.thrift import Thrift

COLUMNS, ROWS = 12, 4
STYLES = (
    "", "1", "2;31", "38;2;94;94;94;48;2;18;18;18", "1;38;2;94;94;94;48;2;18;18;18", "38;2;95;175;215;48;2;18;18;18",
    "7", "4;38;5;17", "48;5;17", "97;100", "3;38;2;1;2;3;48;5;4",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from([*"ab  ─⠃██漢字", "e\u0301"]), min_size=1, max_size=6).map("".join)


def width(text: str) -> int:
    return sum(0 if character == "\u0301" else 2 if character in "漢字" else 1 for character in text)


@st.composite
def drawings(draw: st.DrawFn) -> str:
    """As Textual draws: to a place, pieces with their whole style each, and the next place."""
    out = []
    for _ in range(draw(st.integers(1, 5))):
        row, column = draw(st.integers(1, ROWS)), draw(st.integers(1, COLUMNS - 6))
        out.append(f"\x1b[{row};{column}H")
        room = COLUMNS - column  # in the last column a combining character makes pyte wrap
        for text in draw(st.lists(TEXTS, min_size=1, max_size=3)):
            if width(text) > room:
                break
            room -= width(text)
            style = draw(st.sampled_from(STYLES))
            out.append(f"\x1b[{style}m{text}\x1b[0m" if style else text)
        if row < ROWS and draw(st.booleans()):
            out.append(draw(st.sampled_from(("\r\n", "\n"))))
    if draw(st.booleans()):
        out.append(f"\x1b[{draw(st.integers(1, ROWS))};{draw(st.integers(1, COLUMNS))}H")
    return "".join(out)


OTHERS = st.sampled_from(
    ("\x1b[?1049h\x1b[2J", "\x1b[?2026h", "\x1b[?25l", "\x1b]22;default\x07", "\x1b[?1003h", "\x07", "\x1b[?1004h", "")
)


def seen(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    """Every cell as it is seen: of a blank the front colour is not."""
    found = []
    for row in range(ROWS):
        line: list[tuple[object, ...]] = []
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            if cell.data.strip() or cell.reverse or cell.underscore or cell.strikethrough:
                line.append(tuple(cell))
            else:
                line.append((cell.data, cell.bg))
        found.append(line)
    return found


def halves(screen: pyte.Screen) -> bool:
    """Whether half of a wide character stands alone: what is seen then, every terminal has its own mind about."""
    for row in range(ROWS):
        cells = [screen.buffer[row][column].data for column in range(COLUMNS)]
        for before, after in zip([" ", *cells], [*cells, " "], strict=True):
            if (after == "") != (before[:1] in ("漢", "字")):
                return True
    return False


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(OTHERS, drawings()), min_size=1, max_size=8))
@example([("", "\x1b[1;1H漢字"), ("", "\x1b[1;2Ha"), ("", "\x1b[1;1H漢字")])
def test_the_terminal_shows_the_same(updates: list[tuple[str, str]]) -> None:
    whole, thin = pyte.Screen(COLUMNS, ROWS), pyte.Screen(COLUMNS, ROWS)
    feed_whole, feed_thin = pyte.Stream(whole).feed, pyte.Stream(thin).feed
    thrift = Thrift()
    for other, drawing in updates:
        feed_whole(other + drawing)
        feed_thin(thrift.thin(other + drawing))
        if halves(whole):
            return
        assert seen(thin) == seen(whole)


@given(drawings())
def test_what_is_shown_already_is_not_sent_and_all_of_it_is_when_it_was_forgotten(drawing: str) -> None:
    thrift = Thrift()
    first = thrift.thin(drawing)
    again = thrift.thin(drawing)
    assert len(again) <= len("\x1b[99;99H")
    assert not any(character in again for character in "ab─⠃█漢字")
    thrift.forget()
    assert thrift.thin(drawing) == first


def test_other_sequences_go_through_in_their_place() -> None:
    thrift = Thrift()
    assert thrift.thin("\x1b[?2026h\x1b[1;1Hab\x1b[0m\x1b[?2026l") == "\x1b[?2026h\x1b[1;1Hab\x1b[?2026l"
    assert thrift.thin("\x1b[?2026h\x1b[1;1Hab\x1b[0m\x1b[?2026l") == "\x1b[?2026h\x1b[?2026l"
    assert thrift.thin("\x1b[?1049h\x1b[1;1Hab") == "\x1b[?1049h\x1b[1;1Hab"
    assert thrift.thin("\x1b]52;c;YWI=\x07\x07") == "\x1b]52;c;YWI=\x07\x07"


def test_a_dialog_over_a_dimmed_screen_is_a_fraction_of_what_is_drawn() -> None:
    """Each of the pieces that Textual draws has its whole style, and most cells are blank in both pictures."""
    blank, text = "\x1b[38;2;208;208;208;48;2;18;18;18m \x1b[0m", "\x1b[38;2;208;208;208;48;2;18;18;18mabc\x1b[0m"
    thrift = Thrift()
    picture = "".join(f"\x1b[{row};1H{blank * 60}{text}{blank * 10}" for row in range(1, 25))
    thrift.thin(picture)
    dim = picture.replace("208;208;208", "94;94;94")
    assert len(thrift.thin(dim)) < len(dim) / 50
