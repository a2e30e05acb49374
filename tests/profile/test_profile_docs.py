"""docs/profiles.md names every key with the default it has, and docs/schedules.md every schedule."""

import re
import tomllib
from pathlib import Path

import pytest

from workbench.profile.schema import DISCRIMINATED, Profile, Section

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = [name for name in Profile.model_fields if name not in ("name", "seed", "recipe", "extends")]
SHARED = {"name", "decay_norms_and_biases"}
"""Keys of all optimisers that the text, not the table, tells."""


def rows(section: str) -> list[list[str]]:
    """The cells of the table below the heading of a section."""
    text = (DOCS / "profiles.md").read_text(encoding="utf-8").partition(f"\n### `[{section}]`\n")[2]
    lines = re.split(r"\n##", text)[0].splitlines()
    return [re.split(r" \| ", line.strip("| ")) for line in lines if line.startswith("| `")][
        1 if section in DISCRIMINATED else 0 :
    ]


def defaults(model: type[Section]) -> dict[str, object]:
    return {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in model.model_fields.items()
    }


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in DISCRIMINATED])
def test_every_key_of_a_section_is_there_with_its_default(section: str) -> None:
    told = {}
    for key, default, meaning in rows(section):
        assert meaning
        told[key.strip("`")] = None if default == "preset" else tomllib.loads(f"k = {default.strip('`')}")["k"]
    assert told == defaults(Profile.model_fields[section].annotation)


@pytest.mark.parametrize("section", [*DISCRIMINATED])
def test_every_choice_is_there_with_its_keys_and_their_defaults(section: str) -> None:
    told = {
        name.strip("`"): tomllib.loads("\n".join(re.findall("`([^`]+)`", settings))) for name, settings in rows(section)
    }
    wanted = {
        name: {key: value for key, value in defaults(model).items() if key not in SHARED}
        for name, model in DISCRIMINATED[section].items()
    }
    assert told == wanted


def test_every_schedule_has_its_formula() -> None:
    text = (DOCS / "schedules.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {*DISCRIMINATED["schedule"]}
