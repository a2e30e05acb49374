"""What a new profile for a network can begin from."""

from dataclasses import dataclass

from workbench.inspect.catalogue import entries
from workbench.profile import Profile, ProfileError, builtin_names, load


@dataclass(frozen=True)
class Beginning:
    """`extends` is the parent's name; `settings` are keys and values that are set at once; `text` says it in words."""

    extends: str
    settings: tuple[tuple[str, str], ...]
    text: str


def beginnings(network: str) -> list[Beginning]:
    """The paper's recipe, where there is one, and the base config. `network`: of the catalogue, or module:callable."""
    base = "from the base config, base"
    entry = next((entry for entry in entries() if entry.name == network), None)
    if entry is None:
        return [Beginning("base", _settings("base", network), base)]
    recipe = f"papers/{entry.card.module}_sam" if entry.is_recipe else f"papers/{entry.card.module}"
    texts = {recipe: f"from the paper's recipe, {recipe}", "base": base}
    known = builtin_names()
    return [Beginning(name, _settings(name, entry.architecture), texts[name]) for name in texts if name in known]


def _settings(parent: str, network: str) -> tuple[tuple[str, str], ...]:
    """The network, where the parent has another one."""
    try:
        inherited = load(parent, environ={}).profile.model.arch
    except ProfileError:  # ./profiles may hold a broken file of this name: the form then says what is wrong
        inherited = Profile().model.arch
    return () if inherited == network else (("model.arch", network),)
