"""The catalogue: every network's card as a line, an object or a page. No torch."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import architectures
from architectures import Card
from workbench.base.errors import UserError, did_you_mean

FAMILIES = ("cnn", "transformer", "mlp")
TITLE_COLUMNS = 110
"""The paper's title is listed where the terminal is at least this wide."""


@dataclass(frozen=True)
class Entry:
    """One of the catalogue: a network, or a recipe that trains one in a special way."""

    name: str
    card: Card
    """Of the network; of a recipe, with the recipe's paper on top."""
    architecture: str
    """What `create` builds for it."""

    @property
    def is_recipe(self) -> bool:
        return self.name != self.architecture

    def as_json(self) -> dict[str, Any]:
        kind = "recipe" if self.is_recipe else "network"
        return {**asdict(self.card), "name": self.name, "kind": kind, "architecture": self.architecture}


def entries(family: str | None = None, word: str | None = None) -> list[Entry]:
    """The networks, oldest paper first, then the recipes; of one family, with `word` in name, title or authors."""
    found = [Entry(card.name, card, card.name) for card in architectures.cards()] + _recipes()
    chosen = [entry for entry in found if family in (None, entry.card.family) and _mentions(entry, word or "")]
    if not chosen:
        where = f" among the {family} networks" if family else ""
        raise UserError(f'no network matches "{word}"{where}{did_you_mean(word or "", architectures.names())}')
    return chosen


def card_of(name: str, image_size: int | None, options: Iterable[str]) -> Entry | None:
    """What to show for `name`; None for a user's own `module:callable`.

    UserError for an unknown name or option and for too small an image, so far as the card knows.
    """
    if ":" in name:
        return None
    found = next((entry for entry in _recipes() if entry.name == name), None)
    try:
        card = architectures.card(found.architecture if found else name)
        architectures.check_options(card.name, options, card.knobs)
    except ValueError as error:
        raise UserError(str(error)) from None
    if image_size and image_size < card.min_image_size:
        raise UserError(f"{name} needs images of at least {card.min_image_size} px (got {image_size})")
    return found or Entry(name, card, name)


def _recipes() -> list[Entry]:
    sam = replace(
        architectures.card("resnet18"),
        title="Sharpness-Aware Minimization for Efficiently Improving Generalization",
        authors="Pierre Foret, Ariel Kleiner, Hossein Mobahi, Behnam Neyshabur",
        venue="ICLR",
        year=2021,
        link="arXiv:2010.01412",
        problem="Two minima with the same training loss can do very differently on new images, and gradient descent "
        "does not ask which of them it is in.",
        ideas=(
            "Minimise the worst loss in a small neighbourhood of the weights, not the loss at the weights: that "
            "prefers flat minima over sharp ones.",
            "The worst neighbour is estimated by one step of length rho along the normalised gradient.",
            "The gradient taken there updates the original weights, so that a step costs two passes forward and back.",
        ),
        diagram="",
        look_at="A way of training and not a network: the network is resnet18.",
        recipe="resnet18 trained with sharpness-aware minimisation",
        reported="",
        knobs={},
        seed={"accuracy": 76.2, "params": "11.8M", "scheduler": "CyclicLR", "scheduler_accuracy": 76.2},
    )
    return [Entry("resnet18 + SAM", sam, "resnet18")]


def _mentions(entry: Entry, word: str) -> bool:
    return word.lower() in " ".join((entry.name, entry.card.module, entry.card.title, entry.card.authors)).lower()


def table(chosen: list[Entry], classes: int, width: int | None) -> RenderableType:
    """A line each; `width` in columns of the terminal, None for as wide as need be."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("name", no_wrap=True, min_width=max(len(entry.name) for entry in chosen), style="bold")
    grid.add_column("family", no_wrap=True)
    grid.add_column("year", no_wrap=True)
    for heading in ("params", "MACs", "min px", "seed %"):
        grid.add_column(heading, justify="right", no_wrap=True)
    with_title = width is None or width >= TITLE_COLUMNS
    if with_title:
        grid.add_column("paper", no_wrap=True, overflow="ellipsis")
    year = None
    for entry in chosen:
        card = entry.card
        grid.add_row(
            Text(entry.name),
            Text("recipe" if entry.is_recipe else card.family),
            Text(str(card.year), style="" if card.year != year else "dim"),
            Text(short(card.params[classes])),
            Text(short(card.macs[classes])),
            Text(str(card.min_image_size)),
            Text(f"{card.seed['accuracy']:.2f}" if "accuracy" in card.seed else "-"),
            *([Text(card.title)] if with_title else []),
        )
        year = card.year
    legend = (
        f"{len(chosen)} listed. Counts are for {classes} classes and one image of 3×224×224.\n"
        "min px: smallest image. seed %: accuracy that the seed document prints."
    )
    return Group(grid, Text(""), Text(legend, style="dim"))


def short(count: int) -> str:
    """Three or four digits and a unit: `11.69M`, `1.81G`, `960`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.2f}{unit}"
    return str(count)


def page(entry: Entry) -> RenderableType:
    """The card for reading."""
    card = entry.card
    parts: list[RenderableType] = [
        Text.assemble((entry.name, "bold"), "  ", (card.title, "bold cyan")),
        Text(card.authors, style="dim"),
        Text(f"{card.venue} {card.year} · {card.link} · {card.family}", style="dim"),
    ]
    parts += _section("The problem", [Text(card.problem)])
    parts += _section("The ideas", [_labelled({str(i): idea for i, idea in enumerate(card.ideas, 1)})])
    parts += ["", Text(card.diagram, no_wrap=True, overflow="ignore"), ""] if card.diagram else []
    seed = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in card.seed.items())
    facts = {
        "recipe": card.recipe,
        "reported": card.reported,
        "seed table": seed,
        "sizes": "; ".join(
            f"{short(card.params[classes])} parameters, {short(card.macs[classes])} MACs at {classes} classes"
            for classes in sorted(card.params)
        ),
        "min image": f"{card.min_image_size} px",
        "look at": f"architectures/{card.module}.py: {card.look_at}",
    }
    parts.append(_labelled({label: text for label, text in facts.items() if text}))
    if card.knobs:
        parts += _section("The knobs (--option name=value)", [_labelled(card.knobs)])
    return Group(*parts)


def _section(heading: str, parts: list[RenderableType]) -> list[RenderableType]:
    return ["", Text(heading, style="bold"), *(Padding(part, (0, 0, 0, 1)) for part in parts)]


def _labelled(texts: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column()
    for label, text in texts.items():
        grid.add_row(Text(label), Text(text))
    return grid
