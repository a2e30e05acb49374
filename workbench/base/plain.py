"""The program's own signs in ASCII, for terminals and fonts that have no others: each for one of the same width."""

_SIGNS = {
    "━": "=", "┅": "-", "┉": ":", "╍": "~", "─": "-", "│": "|", "┊": ":", "┤": "|", "├": "|", "┬": "+", "┴": "+",
    "┼": "+", "┌": "+", "┐": "+", "└": "+", "┘": "+", "█": "#", "░": ".", "▌": "|", "▸": ">", "▼": "v", "▲": "^",
    "●": ">", "‖": "|", "✗": "!", "✓": "+", "■": "=", "•": "o", "×": "x", "·": ".", "…": "_", "°": " ", "–": "-",
    "←": "<", "→": ">", "↑": "^", "↓": "v", "Δ": "d", "±": "~", "⠀": " ",
}  # fmt: skip
_TABLE = str.maketrans(_SIGNS)


def ascii_of(text: str) -> str:
    """The text with the signs replaced; what a person has written in another script stays as it is."""
    return text.translate(_TABLE)
