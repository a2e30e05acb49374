"""What is wrong with a profile, as data first and as one-line sentences second.

`file.toml:5: optim.lr: must be greater than 0 (got -0.1)`: where, which key, what. Problems are
collected, so that a person mends a file in one go rather than one complaint at a time.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_VALUE = 60
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    `where`: "my.toml:5", "environment", "command line" or the profile's file for a default value.
    `key`: the dotted path (`optim.lr`), or "" where no key is to blame.
    `shown`: what the person wrote in place of the key: `CNNWB_OPTIM__LR`, `--optim.lr`; empty: the key itself.
    """

    where: str
    key: str
    message: str
    shown: str = ""

    def __str__(self) -> str:
        parts = (self.where, self.shown or self.key, self.message)
        return printable(": ".join(part for part in parts if part))


class ProfileError(Exception):
    """A profile, a `CNNWB_` variable or an option on the command line is wrong; str() is one line per problem."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def printable(text: str) -> str:
    """`text` with every character that could steer a terminal (controls, bidi, zero width) written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown_value(value: Any) -> str:
    """A wrong value as a person would write it in TOML, cut to a length that keeps the error on one line."""
    if isinstance(value, dict):
        return "a table"
    written_as_json = isinstance(value, str | bool | list)
    text = json.dumps(value, ensure_ascii=False, default=str) if written_as_json else str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def closest(wrong: str, candidates: Iterable[str]) -> str:
    """The candidate that `wrong` is probably meant to be, or ""."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    found = difflib.get_close_matches(wrong.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def closest_key(wrong: str, keys: Sequence[str]) -> str:
    """The dotted key that `wrong` is probably meant to be, or "": `epocs` finds `train.epochs`.

    People forget the section more often than they misspell it, so the last part is compared alone
    as well, and keys of the section that was written win over equally good ones of another.
    """
    wrong = wrong.casefold()
    section, _, name = wrong.rpartition(".")

    def likeness(key: str) -> float:
        of_section, _, last = key.rpartition(".")
        by_name = difflib.SequenceMatcher(None, name, last).ratio()
        if section == of_section:
            return by_name  # what the section itself has in common with itself says nothing
        return max(by_name - 0.05, difflib.SequenceMatcher(None, wrong, key).ratio())

    best = max(keys, key=likeness, default="")
    return best if best and likeness(best) >= 0.7 else ""


def did_you_mean(suggestion: str, *, quote: bool = True) -> str:
    """` (did you mean "x"?)`, or nothing where there is nothing to suggest."""
    if not suggestion:
        return ""
    return f' (did you mean "{suggestion}"?)' if quote else f" (did you mean {suggestion}?)"
