"""Text that came from disk, made safe for a terminal.

Textual and Rich pass raw control sequences in a string on to the terminal, so a run name could
clear the screen or write the clipboard. Every string read from disk goes through `clean` once, at
the load boundary.
"""

import json
import re
from typing import Any

# C0, DEL, C1; Arabic letter mark; zero-width and direction marks; line and paragraph
# separators, embeddings and overrides; isolates; halves of surrogate pairs, which no encoding has; the
# byte-order mark.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def clean(text: str, limit: int = 1000) -> str:
    """`text` with every control, bidi and zero-width character as U+FFFD, at most `limit` characters."""
    safe = UNSAFE.sub("\ufffd", text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def csv_cell(value: Any) -> str:
    """A value that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it.

    Text is to have passed `clean`.
    """
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    text = str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    harmful = text[:1] in _FORMULA and not _NUMBER.fullmatch(text)
    return ("'" if harmful else "") + text
