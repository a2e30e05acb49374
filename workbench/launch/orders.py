"""What is to be trained: a profile from its beginning, or a run that goes on."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.base.text import clean
from workbench.profile import Layer, Origin, Profile, Resolved, dump, recipe_label
from workbench.profile.sources import PREFIX, RESERVED

Way = Literal["thread", "detached"]


@dataclass(frozen=True)
class Order:
    """One run to train. `run` is the id of one to go on with; else `profile` is the text of a resolved profile."""

    profile: str = ""
    run: str = ""
    parent: str = ""
    """The run whose profile this one's was made from."""
    epochs: int = 0
    """For a run that goes on: more epochs than it was planned for; 0 leaves it at those."""
    way: Way = "thread"
    label: str = ""
    """What lists call it."""

    def as_json(self) -> dict[str, Any]:
        """All but the profile, which has a file of its own."""
        return {"run": self.run, "parent": self.parent, "epochs": self.epochs, "way": self.way, "label": self.label}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], profile: str) -> "Order":
        """ValueError where it is none."""
        texts = {key: found.get(key, "") for key in ("run", "parent", "label")}
        epochs, way = found.get("epochs", 0), found.get("way")
        if not all(isinstance(text, str) for text in texts.values()) or not isinstance(epochs, int):
            raise ValueError("not the text of an order")
        if way not in ("thread", "detached") or not (profile or texts["run"]):
            raise ValueError("neither a profile nor a run")
        return cls(profile=profile, epochs=epochs, way=way, **{**texts, "label": clean(texts["label"], 120)})

    def command(self, root: Path, profile: Path) -> list[str]:
        """The command line that trains it; `profile`: the file that holds the profile's text."""
        words = [sys.executable, "-m", "workbench", "--headless", "--runs", str(root.absolute())]
        if self.run:
            return [*words, "--resume", self.run, *(["--train.epochs", str(self.epochs)] if self.epochs else [])]
        return [*words, "--profile", str(profile.absolute()), *(["--parent", self.parent] if self.parent else [])]

    def more_epochs(self) -> Layer:
        """What a run that goes on is told besides, as the command line would say it."""
        if not self.epochs:
            return Layer()
        return Layer(
            {"train": {"epochs": self.epochs}}, {("train", "epochs"): Origin("command line", "--train.epochs")}
        )


def begin(resolved: Resolved, *, way: Way, parent: str = "", seeds: tuple[int, ...] = ()) -> list[Order]:
    """The orders for a profile: one for each of `seeds`, or one with the profile's own."""
    profile = resolved.profile
    recipe = profile.recipe or recipe_label(resolved.chain[0])[:60]
    orders = []
    for seed in seeds or (profile.seed,):
        one = profile.model_copy(update={"seed": seed, "recipe": recipe})
        label = name_of(one) + (f" seed {seed}" if len(seeds) > 1 else "")
        orders.append(Order(profile=dump(one), parent=parent, way=way, label=label))
    return orders


def name_of(profile: Profile) -> str:
    """What the run's directory will be called after."""
    return clean(profile.name or profile.model.arch, 80)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a process that trains an order: without the settings in variables, which are in its profile already."""
    return {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(PREFIX) or name.upper() in RESERVED
    }


def read_seeds(text: str) -> tuple[int, ...]:
    """`3`, `0..4`, `1,5,7..9`: seeds in the order given, each once. ValueError, in words, for what is none."""
    seeds: dict[int, None] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dots, last = part.partition("..")
        if not first.strip().isdecimal() or (dots and not last.strip().isdecimal()):
            raise ValueError(f"seeds are whole numbers, such as 3, 0..4 or 1,5,7 (got {clean(part, 40)})")
        low, high = int(first), int(last or first)
        if high < low or high - low >= MOST_SEEDS:
            raise ValueError(f"{clean(part, 40)}: must go from a smaller to a larger seed, at most {MOST_SEEDS} in all")
        seeds |= dict.fromkeys(range(low, high + 1))
    if len(seeds) > MOST_SEEDS or any(seed >= 2**63 for seed in seeds):
        raise ValueError(f"at most {MOST_SEEDS} seeds, each below 2**63")
    return tuple(seeds)


MOST_SEEDS = 100
