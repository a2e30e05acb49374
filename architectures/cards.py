"""Cards: the facts about a paper and its networks, kept in `<module>.toml` beside the code.

A file holds the paper's facts at the top and one `[[network]]` table a named size. Every count in
it is recomputed from the code by a test. Reading needs no torch.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent

Family = Literal["cnn", "transformer", "mlp"]


@dataclass(frozen=True)
class Card:
    """What there is to know about one network before its code is read."""

    name: str
    """What `create` calls it."""
    module: str
    """The module of this package that holds its code."""
    family: Family
    title: str
    authors: str
    venue: str
    year: int
    link: str
    """arXiv id or DOI."""
    problem: str
    """What the paper met."""
    ideas: tuple[str, ...]
    """What it brought, a sentence each."""
    diagram: str
    """The building block in box-drawing characters, at most 72 columns."""
    look_at: str
    """Where in the code to look first."""
    recipe: str
    """The paper's own training in one line."""
    reported: str
    """The accuracy that the paper reports."""
    min_image_size: int
    """The smallest height and width that the design allows, pixels."""
    params: dict[int, int]
    """Trainable parameters by number of classes, for 3 input channels at 224 px."""
    macs: dict[int, int]
    """Multiply-accumulates of one 224 px image by number of classes."""
    knobs: dict[str, str] = field(default_factory=dict)
    """Options of the constructor: name -> what it does."""
    seed: dict[str, Any] = field(default_factory=dict)
    """What the seed document prints for this row, where it has one."""


@cache
def load_cards() -> dict[str, Card]:
    """Every card by name: oldest paper first, then in the file's own order."""
    papers = [(path.stem, tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.toml"))]
    papers.sort(key=lambda paper: (paper[1]["year"], paper[0]))
    return {card.name: card for module, facts in papers for card in _cards_of(module, facts)}


def _cards_of(module: str, facts: dict[str, Any]) -> list[Card]:
    networks = facts["network"]
    shared = {name: value for name, value in facts.items() if name not in ("network", "min_image_size")}
    return [
        Card(
            **{**shared, "ideas": tuple(facts["ideas"]), "diagram": facts["diagram"].strip("\n")},
            module=module,
            name=network["name"],
            min_image_size=network.get("min_image_size", facts["min_image_size"]),
            params={int(classes): count for classes, count in network["params"].items()},
            macs={int(classes): count for classes, count in network["macs"].items()},
            seed=network.get("seed", {}),
        )
        for network in networks
    ]
