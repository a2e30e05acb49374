"""A profile as a TOML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tomli_w

from workbench.profile.errors import printable

if TYPE_CHECKING:
    from workbench.profile.schema import Profile


def dump(profile: Profile, *, header: str = "") -> str:
    """The profile as TOML with every value written out, so that it means the same after defaults change.

    `extends` is left out: what it brought is written out too. `header` becomes comment lines at the top.
    `load_exact` of the text gives back an equal profile.
    """
    comments = "".join(f"# {printable(line)}".rstrip() + "\n" for line in header.splitlines())
    settings = profile.model_dump(exclude={"extends"}, exclude_none=True)
    return comments + ("\n" if comments else "") + tomli_w.dumps(settings)
