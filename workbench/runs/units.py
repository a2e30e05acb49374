"""Figures as people read and write them: `91.25`, `11.2M`, `1:30:00`, `1.53 GB`, `2026-11-01`.

Inside, accuracies are fractions, times seconds, memory bytes. One half of this module turns a figure into text for
a screen, the other turns the text in a filter into a figure. Prefixes are powers of 1000 in both.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Kind = Literal[
    "text", "words", "config", "setting", "flag", "date",
    "number", "accuracy", "loss", "count", "seconds", "rate", "memory",
    "points", "factor", "change",
]  # fmt: skip
"""What a column holds. words: tags. config: settings that differ from base. setting: a value of the profile. number:
a whole number. points, factor, change: differences to a baseline in percentage points, as a ratio, as they are."""

FIGURES: tuple[Kind, ...] = ("number", "accuracy", "loss", "count", "seconds", "rate", "memory")
"""Kinds that a filter compares with a number."""

RIGHT: tuple[Kind, ...] = (*FIGURES, "points", "factor", "change")
"""Kinds that stand at the right of their column."""

MISSING = "–"
"""Shown where a run does not tell."""

_PREFIXES = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BINARY = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}

_NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)?(?:\.(\d*))?(?:e([+-]?\d+))?", re.IGNORECASE | re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)", re.ASCII)
_DATE = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2})(?::(\d{2})(?::(\d{2}))?)?Z?)?)?)?", re.IGNORECASE | re.ASCII
)


def show(kind: Kind, value: Any) -> str:
    """A value for a screen or a page; `MISSING` for None and for an empty text."""
    if value is None or value == "" or value in ((), {}):
        return MISSING
    if kind in ("text", "date"):
        return short_date(value) if kind == "date" else str(value).replace("\n", " ")
    if kind == "words":
        return " ".join(value)
    if kind == "flag":
        return "yes" if value else "no"
    if kind == "setting" or isinstance(value, (str, bool, Mapping)):
        return show_setting(value)
    return _show_figure(kind, value)


def _show_figure(kind: Kind, value: Any) -> str:
    if not math.isfinite(value):
        return str(value)
    match kind:
        case "accuracy":
            return f"{value * 100:.2f}"
        case "points":
            return f"{value * 100:+.2f}"
        case "loss":
            return f"{value:.4f}"
        case "change":
            return f"{value:+.4f}"
        case "factor":
            return f"×{value:.2f}" if value < 100 else f"×{value:.3g}"
        case "count":
            return short_count(value)
        case "memory":
            return short_memory(value)
        case "seconds":
            return clock(value)
        case "rate":
            return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)


def show_setting(value: Any) -> str:
    """A value of a profile as a person writes it: `true`, `0.0001`, words without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def short_count(count: float) -> str:
    """Three or four digits and a prefix: `11.69M`, `1.81G`, `960`."""
    for prefix, size in _PREFIXES:
        if count >= size:
            return f"{count / size:.2f}{prefix}"
    return f"{count:.0f}"


def short_memory(size: float) -> str:
    """Bytes: `1.53 GB`, `312 MB`."""
    for unit, bytes_ in (("TB", 10**12), ("GB", 10**9)):
        if size >= bytes_:
            return f"{size / bytes_:.2f} {unit}"
    return f"{size / 10**6:.0f} MB" if size >= 10**6 else f"{size / 10**3:.0f} kB"


def clock(seconds: float) -> str:
    """`00:36`, `1:02:03`, `2d 03:04:05`."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, minutes, left = rest // 3600, rest % 3600 // 60, rest % 60
    if days:
        return f"{days}d {hours:02}:{minutes:02}:{left:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes:02}:{left:02}"


def short_date(text: str) -> str:
    """An ISO 8601 time to the minute, UTC; what is none as it is."""
    moment = read_date(text)
    return f"{moment:%Y-%m-%d %H:%M}" if moment else text


def read_date(text: str) -> datetime | None:
    """An ISO 8601 time, taken as UTC where it names no zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Quantity:
    """A figure that a person wrote: its value and half of its last digit, in the units of a summary."""

    value: float
    slack: float

    def is_written_for(self, figure: float) -> bool:
        """Whether `figure`, rounded to the digits that were written, is this."""
        return abs(figure - self.value) <= self.slack * (1 + 1e-9)


def read_quantity(kind: Kind, text: str) -> Quantity:
    """The figure that `text` means in a column of a kind: 90 and 0.9 and 90% (accuracy), 5M, 1h30m, 2GiB.

    ValueError, with what is understood, for anything else.
    """
    if kind == "seconds" and (found := _read_seconds(text)):
        return found
    matched = _NUMBER.match(text)
    unit = text[matched.end() :].strip() if matched else ""
    if not matched or not (matched[2] or matched[3]):
        raise ValueError(_understood(kind))
    plain = _read_number(matched)
    factor = _factor(kind, unit, plain.value)
    if factor is None:
        raise ValueError(_understood(kind))
    value, slack = plain.value * factor, plain.slack * factor
    if not math.isfinite(value) or not math.isfinite(slack):
        raise ValueError("is too large a number")
    if kind == "number":  # exact, since a seed may have more digits than a float
        return Quantity(int(matched[0].replace(",", "")) if matched[0].isdigit() and not unit else value, 0.0)
    return Quantity(value, slack)


def _read_number(matched: re.Match[str]) -> Quantity:
    """The digits; the half of the last one is built as text, which overflows to infinity without an error."""
    decimals = matched[3] or ""
    exponent = int(matched[4] or 0)
    value = float(f"{matched[1]}{(matched[2] or '0').replace(',', '')}.{decimals or '0'}e{exponent}")
    return Quantity(value, float(f"5e{exponent - len(decimals) - 1}"))


def _factor(kind: Kind, unit: str, value: float) -> float | None:
    """By how much to multiply; None for a unit that the kind does not have."""
    if kind == "accuracy":
        return 0.01 if unit == "%" or (not unit and abs(value) > 1) else None if unit else 1.0
    if not unit:
        return 1.0
    lower = unit.lower()
    if kind == "memory":
        if lower in _BINARY:
            return float(_BINARY[lower])
        lower = lower.removesuffix("b")
        if not lower:
            return 1.0
    if kind in ("memory", "count", "rate", "number", "setting"):
        return next((float(size) for prefix, size in _PREFIXES if prefix.lower() == lower), None)
    return None


def _read_seconds(text: str) -> Quantity | None:
    """`90s`, `1h30m`, `1:30:00`; None for what is neither (a plain number is seconds)."""
    if re.fullmatch(r"\d{1,6}(:\d{2}){1,2}", text, re.ASCII):
        value = 0
        for part in text.split(":"):
            value = value * 60 + int(part)
        return Quantity(float(value), 0.5)
    parts = _PART.findall(text.lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.lower():
        return None
    if any(unit not in _SECONDS for _, unit in parts):
        return None
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    number, unit = parts[-1]
    slack = float(f"5e{-len(number.partition('.')[2]) - 1}") * _SECONDS[unit]
    return Quantity(total, slack) if math.isfinite(total) else None


def _understood(kind: Kind) -> str:
    examples = {
        "accuracy": "a percentage (90, 90%) or a fraction (0.9)",
        "seconds": "a time (90s, 2h, 1h30m, 1:30:00)",
        "memory": "a size (800M, 2GB, 2GiB)",
        "count": "a number (960, 5M, 1.8G)",
    }
    return f"is not {examples.get(kind, 'a number')}"


def read_period(text: str) -> tuple[datetime, datetime]:
    """From when until when (not included) a date lasts, UTC: a year, a month, a day, an hour, a minute or a second.

    ValueError for what is no date.
    """
    matched = _DATE.fullmatch(text)
    try:
        if matched is None:
            raise ValueError
        parts = [int(part) for part in matched.groups() if part is not None]
        start = datetime(*[*parts, *(1, 1)[max(0, len(parts) - 1) :]], tzinfo=UTC)  # type: ignore[arg-type,misc]
        if len(parts) == 1:
            return start, start.replace(year=start.year + 1)
        if len(parts) == 2:
            return start, (start + timedelta(days=31)).replace(day=1)
        length = {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1)}
        return start, start + length.get(len(parts), timedelta(seconds=1))
    except (ValueError, OverflowError):
        raise ValueError("is not a date (2026, 2026-11, 2026-11-01, 2026-11-01T10:30)") from None
