"""The last gate before the terminal: what it may not get is dropped, and what it cannot show is told in ASCII.

Both are line filters of Textual: every character on the screen passes them, whichever widget it comes from.
"""

import unicodedata
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from workbench.base.text import UNSAFE

UNICODE_LACKING = ("linux", "dumb", "vt")
"""How TERM begins where there is no braille, and hardly a sign beside letters and lines."""


class Gate(LineFilter):
    """Drops control, bidi and zero-width characters, which have no width.

    Strings from disk have passed `clean` long before; this is for the one that somebody forgets.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(UNSAFE.sub("", segment.text), segment.style) for segment in segments
        ]


class Ascii(LineFilter):
    """Every character as one of ASCII, and none wider or narrower than it was."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [
            segment if segment.control or segment.text.isascii() else Segment(in_ascii(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(4096)
def in_ascii(text: str) -> str:
    """The text with the nearest ASCII characters, in as many cells."""
    return "".join(character if character.isascii() else _nearest(character) for character in text)


def _nearest(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if "\u2800" <= character <= "\u28ff":
        return _dots(ord(character) - 0x2800)
    plain = unicodedata.normalize("NFKD", character)[:1]
    width = cell_len(character)
    return plain if width == 1 and plain.isascii() and plain.isprintable() else "?" * width


def _dots(bits: int) -> str:
    """A cell of a braille chart: where in it the dots are, and whether they fill it."""
    if not bits:
        return " "
    high, low = bits & 0b00011011, bits & 0b11100100
    if bits.bit_count() >= 6:
        return "#"
    return ":" if high and low else "'" if high else "."


def _signs() -> dict[str, str]:
    """States are `> + = ! |`; frames are lines, and a heavy one, where the keys go, is of `#`."""
    of = {
        "●✓■✗‖": ">+=!|", "▸▾▲▼▴◂": ">v^v^<", "←→↑↓": "<>^v", "━┅┉╍": "=-.~", "•·…×±Δ∆²³": "o.~x~DD23",
        "–—−‐‑’‘“”„«»": "-----''\"\"\"<>", "≥≤≈": "><~", "┊┆╎╏": "::::", "█▓▒░": "#%:.", "▁▂▃▄▅▆▇": "_.-=+*%",
        "─╌┄┈╴╶": "------", "│╷╵": "|||", "┃╻╹▌▐▏▕▎▍▋▊▉": "#######|||||", "╭╮╰╯┌┐└┘├┤┬┴┼╞╡╪═": "++++++++++++++++=",
        "┏┓┗┛┣┫┳┻╋": "#########", "▀▔▖▗▘▝▙▛▜▟▞▚": "''..''######",
    }  # fmt: skip
    return {sign: plain for signs, plains in of.items() for sign, plain in zip(signs, plains, strict=True)}


_SIGNS = _signs() | {"🔎": "/ "}


def forgive_bytes() -> None:
    """Have bytes that are no UTF-8 read as U+FFFD: Textual ends the program on one, and with it a run in a thread.

    They come from 8-bit terminals, Alt on some of them, and pasted text in another encoding.
    """
    with suppress(ImportError):  # another system has another driver
        from textual.drivers import linux_driver

        def decoder(name: str) -> Callable[[], IncrementalDecoder]:
            return partial(getincrementaldecoder(name), errors="replace")

        linux_driver.getincrementaldecoder = decoder  # type: ignore[assignment, attr-defined]


def wants_ascii(setting: str | bool, environ: Mapping[str, str]) -> bool:
    """Whether only ASCII is to be drawn: as the setting says, `auto` by what the terminal and the locale tell.

    A locale that is not named at all, as in most containers, is no reason: terminals have had UTF-8 for long.
    """
    if isinstance(setting, bool):
        return setting
    if environ.get("TERM", "").startswith(UNICODE_LACKING):
        return True
    named = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if named == "C.UTF-8" and not environ.get("LC_ALL"):  # what Python itself puts for C (PEP 538)
        named = environ.get("LANG") or named
    return bool(named) and "utf8" not in named.lower().replace("-", "")
