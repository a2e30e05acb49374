"""Text that came from disk, made safe for a terminal.

Textual and Rich pass raw control sequences in a string on to the terminal, so a run name could
clear the screen or write the clipboard. Every string read from disk goes through `clean` once, at
the load boundary.
"""

import re

# C0, DEL, C1; Arabic letter mark; zero-width and direction marks; line and paragraph
# separators, embeddings and overrides; isolates; byte-order mark.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def clean(text: str, limit: int = 1000) -> str:
    """`text` with every control, bidi and zero-width character as U+FFFD, at most `limit` characters."""
    safe = _UNSAFE.sub("\ufffd", text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
