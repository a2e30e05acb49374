"""One run directory as a person's tools see it: everything read on first use, and again when `refresh` finds news.

Nothing here writes, and nothing raises for what is damaged, half deleted or from a newer version: what can be read is
read, and the state says the rest. Strings have passed `clean`.
"""

import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.base.text import clean
from workbench.runs.directory import SCHEMA
from workbench.runs.files import read_regular
from workbench.runs.follow import Follower
from workbench.runs.journal import parse
from workbench.runs.liveness import Ending, Heartbeats, State, state_of
from workbench.runs.reading import Metrics, ending_after, read_metrics
from workbench.runs.summary import Summary
from workbench.runs.user import User, read_user

if TYPE_CHECKING:
    from workbench.runs.history import History

_NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_SMALL = 8_000
"""Bytes of a file in which no text can be so long that it matters."""
_DEEPEST = 50
"""Levels of nested values that are read."""
_LONG = 100_000
"""Characters of a text with several lines, a traceback."""


class Run:
    """A run directory, read. Not safe for several threads at once."""

    def __init__(self, path: Path, heartbeats: Heartbeats | None = None, cache: Path | None = None) -> None:
        """`cache`: folder for what opens a long run quickly, or None for none."""
        self.path = path
        self.id = clean(path.name, 80)
        self._heartbeats = heartbeats or Heartbeats()
        self._cache = cache
        self._events = Follower(path / "events.jsonl")
        self._event_records: list[dict[str, Any]] = []
        self._ending: Ending | None = None
        self._begun = False

    def refresh(self) -> bool:
        """Look for what is new. True if anything is; costs a few `stat` calls if nothing is."""
        news = self._follow()
        if "history" in self.__dict__:
            news = self.history.refresh() or news
        if "system" in self.__dict__:
            news = self.system.refresh() or news
        before = {name: self.__dict__.get(name) for name in ("status", "user", "state")}
        for name in ("status", "user", "state", "profile", "summary"):
            self.__dict__.pop(name, None)
        return news or any(value is not None and getattr(self, name) != value for name, value in before.items())

    @cached_property
    def facts(self) -> dict[str, Any]:
        """run.json: what was known before the first step."""
        return read_clean_json(self.path / "run.json")

    @cached_property
    def profile(self) -> dict[str, Any]:
        """profile.toml as nested dictionaries; empty where it cannot be read."""
        try:
            return cleaned(tomllib.loads(read_regular(self.path / "profile.toml").decode("utf-8")))
        except (OSError, ValueError, RecursionError):
            return {}

    @cached_property
    def status(self) -> dict[str, Any]:
        """status.json: where the run stood a moment ago."""
        return read_clean_json(self.path / "status.json")

    @cached_property
    def user(self) -> User:
        """user.json: tags, note, pinned, archived."""
        return read_user(self.path)

    @cached_property
    def state(self) -> State:
        """What state the run is in, by proof."""
        if not self.facts:
            return State("unknown", "it has no run.json that can be read")
        if newer := too_new(self.facts):
            return newer
        self._begin()
        return state_of(self.path, self._ending, self.status, self._heartbeats)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every whole line of events.jsonl, oldest first; a `traceback` may have several lines."""
        self._begin()
        return self._event_records

    @property
    def damaged(self) -> int:
        """Lines of both journals whose checksum does not fit."""
        self._begin()
        return self.history.damaged + self._events.damaged

    @cached_property
    def history(self) -> "History":
        """The metrics for charts: epochs, and steps thinned, however many there are."""
        from workbench.runs.history import History  # numpy takes a while, and a list of runs needs none

        history = History(self.path, self._cache)
        history.refresh()
        return history

    @cached_property
    def system(self) -> "History":
        """What machine and GPU did meanwhile, for charts; a run of an older version, or a short one, has none."""
        from workbench.runs.history import History

        history = History(self.path, self._cache, kind="system")
        history.refresh()
        return history

    def metrics(self, kind: Literal["epoch", "step"] | None = None) -> Metrics:
        """The lines that stand, rewinds applied, of one kind or of both. Non-finite figures are floats.

        Reads the whole file each time unless only epochs are asked for; `history` is for charts.
        """
        if kind == "epoch":
            return Metrics(self.history.epochs, self.history.damaged)
        try:
            found = read_metrics(self.path)
        except OSError:
            return Metrics([], 0)
        records = [figures(record) for record in found.records]
        return Metrics([r for r in records if kind is None or r.get("kind") == kind], found.damaged)

    @cached_property
    def summary(self) -> Summary:
        """The run as a row."""
        from workbench.runs.summarise import summarise

        return summarise(self.id, self.facts, self.status, self.user, self.state, self.profile)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._follow()

    def _follow(self) -> bool:
        self._begun = True
        events = self._events.look()
        if events.restarted:
            self._event_records, self._ending = [], None
        self._event_records += [cleaned(record) for record in events.records]
        self._ending = ending_after(events.records, self._ending)
        return bool(events.records or events.restarted)


def too_new(facts: dict[str, Any]) -> State | None:
    """The state of a run that a newer version wrote; None where this version knows its schema."""
    schema = facts.get("schema")
    if isinstance(schema, int) and schema <= SCHEMA:
        return None
    return State("unknown", f"written by another version (schema {clean(str(schema), 20)}); update this one")


def figures(record: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics with its texts cleaned and "nan", "inf", "-inf" as the floats they stand for."""
    return {
        clean(key, 100): _NUMBERS.get(value, clean(value)) if isinstance(value, str) else value
        for key, value in record.items()
    }


def read_clean_json(path: Path | str) -> dict[str, Any]:
    """A JSON object from disk with every text in it cleaned; empty where there is none."""
    try:
        content = read_regular(path)
        value = parse(content)
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return value if _is_clean(content) else cleaned(value)


def _is_clean(content: bytes) -> bool:
    """Whether JSON surely holds nothing that `cleaned` would change: small, flat, ASCII, and without an escape.

    JSON that was read has no control character in a text but DEL. Nearly all files are so, and a list reads thousands.
    """
    return (
        len(content) < _SMALL
        and content.isascii()
        and b"\\" not in content
        and b"\x7f" not in content
        and content.count(b"{") + content.count(b"[") < _DEEPEST
    )


def cleaned(value: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """What a JSON or TOML file holds, with every text in it cleaned; the lines of a `traceback` stay lines.

    None stands for what is nested more deeply than anything a trainer writes: whoever walks through it could not.
    """
    return {
        clean(key, 200): lines(item) if key == "traceback" and isinstance(item, str) else _cleaned(item, depth + 1)
        for key, item in value.items()
    }


def _cleaned(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return None
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return cleaned(value, depth)
    return [_cleaned(item, depth + 1) for item in value] if isinstance(value, list) else value


def lines(text: str) -> str:
    """A text of several lines, each cleaned."""
    return "\n".join(clean(line) for line in text[:_LONG].splitlines())
