"""A person's own keys, checked: what cannot be is told in a line, and the action keeps the keys of the table."""

from collections.abc import Mapping, Sequence

from textual.keys import Keys

from workbench.base.errors import did_you_mean
from workbench.base.text import clean
from workbench.tui.actions import SIGN_OF, Action, sign

HELD = ("ctrl", "shift", "alt", "super", "hyper", "meta")
INSIDE = {"Layers": ("Models",), "Table": ("Runs",), "List": ("Profiles", "Profile form")}
"""Parts of screens that have keys of their own: their table's name, and the screens that they are in."""

_NAMED = {key.value for key in Keys} | set(SIGN_OF)


def checked(keys: Mapping[str, str], actions: Sequence[Action]) -> tuple[dict[str, str], list[str]]:
    """The keys that hold, by the action's id, and a clean line for each that does not.

    Where two actions would have one key at the same place, the one that was moved there does not get it.
    """
    known = {action.id: action for action in actions}
    chosen: dict[str, str] = {}
    problems: list[str] = []
    for name, text in keys.items():
        wanted = [_named(key) for key in text.split(",")]
        wrong = [key for key in wanted if not is_key(key)]
        if name not in known:
            problems.append(f'unknown action "{name}"{did_you_mean(name, list(known))}')
        elif wrong:
            problems.append(f'{name}: unknown key "{wrong[0]}"{did_you_mean(wrong[0], sorted(_NAMED))}')
        else:
            chosen[name] = ",".join(wanted)
    while collision := _collision(chosen, actions):
        moved, key, other = collision
        problems.append(f'{moved}: the key "{sign(key)}" is that of {other} already')
        del chosen[moved]
    return chosen, [clean(problem, 200) for problem in problems]


def is_key(name: str) -> bool:
    """Whether it is how Textual calls a key: a character, `slash`, `f5`, `ctrl+s`."""
    *held, last = name.split("+") if name != "+" else [name]
    return all(word in HELD for word in held) and (last in _NAMED or (len(last) == 1 and last.isprintable()))


def _named(key: str) -> str:
    """`slash` for `/`, as Textual has it."""
    key = key.strip()
    return next((name for name, shown in SIGN_OF.items() if shown == key and len(key) == 1 and key not in "↑↓←→"), key)


def _collision(chosen: Mapping[str, str], actions: Sequence[Action]) -> tuple[str, str, str] | None:
    """The last of the moved actions that has the key of another one: its id, the key, the other's id."""
    for moved in reversed([action for action in actions if action.id in chosen]):
        for key in chosen[moved.id].split(","):
            for other in actions:
                theirs = chosen[other.id].split(",") if other.id in chosen else other.keys
                if other.id != moved.id and key in theirs and meet(moved.where, other.where):
                    return moved.id, key, other.id
    return None


def meet(one: str, other: str) -> bool:
    """Whether the keys of two tables can hold at the same time."""
    if one == other or "" in (one, other):
        return True
    return bool(set(INSIDE.get(one, (one,))) & set(INSIDE.get(other, (other,))))
