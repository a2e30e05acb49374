"""What a run's profile says that the base profile does not: `lr 0.01, optim sgd, 32 px`.

The profile room is not imported here: whoever makes a table hands over the base profile and the choices' defaults.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workbench.runs.units import show_setting

NOT_COUNTED = frozenset(
    ("name", "seed", "recipe", "extends", "model.arch", "data.dataset", "data.root", "data.workers", "train.device",
     "train.threads", "train.flush_seconds")
)  # fmt: skip
"""Settings that have a column of their own or do not change what is learnt; `checkpoint.*` neither."""

_LABELS = {"optim.name": "optim {}", "schedule.name": "{}", "data.image_size": "{} px", "data.batch_size": "batch {}",
           "train.epochs": "{} epochs", "data.augment": "augment {}", "sam.rho": "SAM rho {}"}  # fmt: skip
_SECTIONS = ("optim", "schedule", "sam", "data", "augment", "model", "train")


@dataclass(frozen=True)
class Base:
    """The profile that others are compared with, flat: `{"optim.lr": 0.001, ...}`."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Defaults of settings that only some choices have: `{"optim.sgd": {"optim.momentum": 0.9}, ...}`."""
    keys: tuple[str, ...] = ()
    """Every key that a profile can have, in the schema's order."""

    def differences(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that count and are not as in base, in the order in which they are shown.

        A setting that base lacks, since it belongs to another optimiser or schedule, is compared with that one's
        default. Empty where there is no base to compare with.
        """
        if not self.settings:
            return {}
        found = {key: value for key, value in items(settings) if _counts(key) and self._differs(key, value, settings)}
        return dict(sorted(found.items(), key=lambda item: self._place(item[0])))

    def _differs(self, key: str, value: Any, settings: Mapping[str, Any]) -> bool:
        if key in self.settings:
            return bool(value != self.settings[key])
        section = key.partition(".")[0]
        defaults = self.choices.get(f"{section}.{settings.get(f'{section}.name')}", {})
        return key not in defaults or bool(value != defaults[key])

    def _place(self, key: str) -> tuple[int, int, int, str]:
        section = key.partition(".")[0]
        rank = _SECTIONS.index(section) if section in _SECTIONS else len(_SECTIONS)
        order = self._order.get(key, len(self._order))
        return rank, 0 if key == "optim.lr" else 1, order, key

    @cached_property
    def _order(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def _short(self) -> dict[str, str]:
        return short_names({*self.keys, *self.settings})

    def text(self, differences: Mapping[str, Any]) -> str:
        """The differences in words; an empty text for none."""
        return ", ".join(self._words(key, value) for key, value in differences.items())

    def _words(self, key: str, value: Any) -> str:
        shown = show_setting(value)
        if key in _LABELS:
            return _LABELS[key].format(shown)
        label = self._short.get(key) or (key.removeprefix("model.options.") if key not in self._order else key)
        label = label.replace("_", " ")
        if isinstance(value, bool):
            return label if value else f"no {label}"
        return f"{label} {shown}" if shown else f"no {label}"


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Each key's last part, where no other key ends in it; a section's `name` is called as the section."""
    last = {key: key.removesuffix(".name") if key.endswith(".name") else key.rpartition(".")[2] for key in keys}
    count: dict[str, int] = {}
    for name in last.values():
        count[name] = count.get(name, 0) + 1
    return {key: name for key, name in last.items() if count[name] == 1}


def _counts(key: str) -> bool:
    return key not in NOT_COUNTED and not key.startswith("checkpoint.")


def lookup(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a key, also of one in a table that is a setting: `model.options.width`. None if it is not set."""
    if key in settings:
        return settings[key]
    table, _, name = key.rpartition(".")
    options = settings.get(table)
    return options.get(name) if isinstance(options, Mapping) else None


def items(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values, those of a table that is a setting one by one."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value
