"""The papers: one module of code and one card of facts each, behind four functions.

    create("resnet18", num_classes=10, in_channels=1, image_size=32)   # an nn.Module with fresh weights
    names()                                                             # every network, oldest paper first
    card("resnet18"), cards()                                           # the facts, read without torch

A paper's module holds `NETWORKS`: name -> constructor. It is imported only when `create` needs it, so
listing and reading cards costs no torch import. A network outside this package is named
`module:callable` and is called with the keywords of `create` that its signature takes.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from architectures.cards import Card, load_cards

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Card", "card", "cards", "create", "names"]

_SHAPE_ARGUMENTS = ("num_classes", "in_channels", "image_size")


def cards() -> list[Card]:
    """One card a network, oldest paper first, then in the order of the paper's own sizes."""
    return list(load_cards().values())


def names() -> list[str]:
    """Every name that `create` knows, in the order of `cards`."""
    return list(load_cards())


def card(name: str) -> Card:
    """The facts about one network. ValueError with the nearest name for an unknown one."""
    known = load_cards()
    if name not in known:
        raise ValueError(f'unknown architecture "{name}"{_nearest(name, known)}')
    return known[name]


def create(
    name: str, *, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, **options: Any
) -> "nn.Module":
    """Build a network with freshly drawn weights (from torch's global generator, on the current default device).

    Its forward takes (N, in_channels, image_size, image_size) and returns logits (N, num_classes).
    `options` are the paper's own knobs, listed on the card. ValueError for an unknown name or option, or
    an `image_size` that the design does not allow.
    """
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    for argument, value in shape.items():
        if value < 1:
            raise ValueError(f"{argument} must be at least 1 (got {value})")
    if ":" in name:
        return _build_users_own(name, shape, options)
    facts = card(name)
    if image_size < facts.min_image_size:
        raise ValueError(f"{name} needs images of at least {facts.min_image_size} px (image_size is {image_size})")
    constructor = importlib.import_module(f"architectures.{facts.module}").NETWORKS[name]
    check_options(name, options, knobs_of(constructor))
    network: nn.Module = constructor(**shape, **options)
    return network


def check_options(name: str, options: Iterable[str], knobs: Iterable[str]) -> None:
    """ValueError with the nearest one for an option that is not among the network's `knobs`."""
    knobs = list(knobs)
    for option in options:
        if option not in knobs:
            known = f"it has: {', '.join(knobs)}" if knobs else "it has none"
            raise ValueError(f'{name} has no option "{option}"{_nearest(option, knobs)}; {known}')


def knobs_of(constructor: Callable[..., object]) -> list[str]:
    """The options of a constructor: its keyword-only parameters besides the shape of input and output."""
    parameters = inspect.signature(constructor).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _SHAPE_ARGUMENTS]


def _build_users_own(name: str, shape: dict[str, int], options: dict[str, Any]) -> "nn.Module":
    """`package.module:callable`, looked up with the working directory first on the path."""
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        constructor = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise ValueError(f'architecture "{name}": no module named "{error.name}"') from None
    except AttributeError:
        raise ValueError(f'architecture "{name}": module "{module_name}" has no "{attribute}"') from None
    parameters = inspect.signature(constructor).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        taken = {p.name for p in parameters}
        shape = {argument: value for argument, value in shape.items() if argument in taken}
        for option in options:
            if option not in taken:
                raise ValueError(f'architecture "{name}" takes no option "{option}"{_nearest(option, taken)}')
    network: nn.Module = constructor(**shape, **options)
    return network


def _nearest(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{close[0]}"?)' if close else ""
