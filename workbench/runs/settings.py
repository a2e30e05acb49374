"""A run's profile as a row has it, `{"optim.lr": 0.1, ...}`: made when somebody looks, for most rows never."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

import orjson

from workbench.runs.journal import finite, parse

Made = TypeVar("Made")


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A nested profile as `{"optim.lr": 0.1, ...}`; tables further down stay values."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                found[f"{name}.{key}"] = inner
        else:
            found[name] = value
    return found


class Settings(Mapping[str, Any]):
    """From a nested profile whose texts are clean, or from what `text` of another gave."""

    def __init__(self, source: dict[str, Any] | str) -> None:
        self._source = source

    @property
    def text(self) -> str:
        """As JSON, for the index."""
        if isinstance(self._source, str):
            return self._source
        try:
            return orjson.dumps(self._source, default=str).decode()
        except TypeError:  # a number of more than 64 bits in somebody's profile
            return json.dumps(finite(self._source), default=str)

    @cached_property
    def _values(self) -> dict[str, Any]:
        if not isinstance(self._source, str):
            return flat(self._source)
        from workbench.runs.run import cleaned

        try:
            found = parse(self._source.encode())
        except ValueError:
            return {}
        return flat(cleaned(found)) if isinstance(found, dict) else {}

    def once(self, maker: Callable[["Settings"], Made]) -> Made:
        """What `maker` makes of these settings: kept, for the tables to come that ask with the same maker."""
        known: tuple[object, Any] = self.__dict__.get("_made", (None, None))
        if known[0] != maker:
            known = self.__dict__["_made"] = (maker, maker(self))
        made: Made = known[1]
        return made

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash(self.text)
