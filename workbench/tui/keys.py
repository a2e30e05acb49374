"""All actions, and docs/keys.md, which is made from them: `python -m workbench.tui.keys > docs/keys.md`."""

import sys

from workbench.tui.actions import Action
from workbench.tui.app import Workbench
from workbench.tui.help import keys_page
from workbench.tui.screens.compare import CompareScreen
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.profile_form import ProfileForm
from workbench.tui.screens.profile_list import ProfileList
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.train import TrainScreen
from workbench.tui.widgets.layer_tree import LayerTree
from workbench.tui.widgets.rows import RowList
from workbench.tui.widgets.table import VirtualTable

OWNERS = (
    Workbench, ModelsScreen, LayerTree, ProfileList, ProfileForm, RowList, TrainScreen, RunsScreen, VirtualTable,
    CompareScreen,
)  # fmt: skip
TABLES = tuple(owner.ACTIONS for owner in OWNERS)


def all_actions() -> list[Action]:
    """Every action of every screen, each once."""
    return list(dict.fromkeys(action for table in TABLES for action in table))


if __name__ == "__main__":
    sys.stdout.write(keys_page(all_actions()))
