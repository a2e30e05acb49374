"""One table of actions: keys, help, palette and docs/keys.md agree because they are made from it."""

from collections import Counter
from pathlib import Path

import pytest
from textual.binding import BindingsMap

from workbench.tui.actions import bindings, method_name, prints, sign
from workbench.tui.app import Workbench
from workbench.tui.help import fitting, keys_page
from workbench.tui.keys import OWNERS, TABLES, all_actions
from workbench.tui.screens.compare import CompareScreen
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.profile_form import ProfileForm
from workbench.tui.screens.profile_list import ProfileList
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.train import TrainScreen
from workbench.tui.widgets.rows import RowList


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.__name__)
def test_each_action_has_a_method(owner: type) -> None:
    missing = [action.id for action in owner.ACTIONS if not callable(getattr(owner, method_name(action.id), None))]
    assert not missing


def test_ids_are_unique() -> None:
    counted = Counter(action.id for table in TABLES for action in dict.fromkeys(table))
    assert [name for name, count in counted.items() if count > 1] == []


@pytest.mark.parametrize(
    "screen", [ModelsScreen, TrainScreen, RunsScreen, CompareScreen], ids=lambda screen: screen.__name__
)
def test_no_key_means_two_things_on_a_screen(screen: type) -> None:
    keys = Counter(key for action in (*screen.ACTIONS, *Workbench.ACTIONS) for key in action.keys)
    assert [key for key, count in keys.items() if count > 1] == []


def test_no_key_means_two_things_in_the_list_of_profiles_or_in_their_form() -> None:
    """But q, which goes back from the form before it ends the program."""
    for actions in ((*ProfileList.ACTIONS, *Workbench.ACTIONS), ProfileForm.ACTIONS):
        keys = Counter(key for action in (*actions, *RowList.ACTIONS) for key in action.keys)
        assert [key for key, count in keys.items() if count > 1] == []


def test_every_key_is_bound_to_its_action() -> None:
    bound = BindingsMap(bindings(ModelsScreen.ACTIONS)).key_to_bindings
    for action in ModelsScreen.ACTIONS:
        for key in action.keys:
            assert [binding.id for binding in bound[key]] == [action.id]


def test_keys_are_written_as_people_write_them() -> None:
    assert [sign(key) for key in ("slash", "ctrl+p", "S", "question_mark", "left")] == ["/", "^p", "S", "?", "←"]
    assert [key for key in ("s", "slash", "space", "left", "ctrl+p", "f1", "escape") if prints(key)] == [
        "s", "slash", "space",
    ]  # fmt: skip


def test_help_finds_an_action_by_any_of_its_words() -> None:
    assert [action.id for action in fitting(ModelsScreen.ACTIONS, "shape SIZE")] == ["models.size"]
    assert fitting(ModelsScreen.ACTIONS, "no such thing") == []


def test_the_page_of_keys_is_made_from_the_tables() -> None:
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert page == keys_page(all_actions()), "python -m workbench.tui.keys > docs/keys.md"
