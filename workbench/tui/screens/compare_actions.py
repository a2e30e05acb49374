"""What can be done on the Compare screen, in which of its panes, and where its parts stand."""

from functools import partial

from workbench.tui.actions import action_of

WHERE = "Compare"
PANES = ("curves", "keys", "confusion")

_action = partial(action_of, "compare", WHERE)
ACTIONS = (
    _action("metric", "m", "metric", "Show another figure: accuracy, loss, learning rate, what the runs have."),
    _action("axis", "x", "axis", "Epochs, steps or time along the x axis."),
    _action("hide", "space", "hide", "Hide the run's curve, or show it again."),
    _action("pin", "p", "baseline", "Make the run the baseline that differences are to."),
    _action("all-keys", "d", "all keys", "All keys of the profiles, or only those that differ."),
    _action("before", "left_square_bracket", "other run", "The confusion matrix of the run before."),
    _action("after", "right_square_bracket", "other run", "The confusion matrix of the next run.", shown=False),
    _action("evaluation", "e", "evaluation", "Another evaluation: of other images or weights."),
    _action("pane", "tab", "pane", "Curves, keys of the profiles, confusion matrices."),
    _action("figures", "f", "figures", "Parameters, MACs, speed, time and memory first in the table, or the values."),
    _action("band", "b", "band", "Runs that differ by seed alone as one band: n, mean and deviation."),
    _action("large", "z", "large", "Give the chart the whole screen, or take it back."),
    _action("log", "g", "log", "A logarithmic y axis, or a linear one.", shown=False),
    _action("smooth", "s", "smooth", "Smooth the curves: 0, 0.6, 0.9, 0.99.", shown=False),
    _action("open", "enter", "open", "Open the run in the Train screen.", shown=False),
    _action("export", "o", "export", "Write the comparison to a file: HTML, Markdown, CSV or JSON.", shown=False),
    _action("copy", "y", "copy", "Copy the command that makes this comparison; also written to a file.", shown=False),
    _action("up", "up k", "up", "Move up a row.", shown=False),
    _action("down", "down j", "down", "Move down a row.", shown=False),
    _action("page-up", "pageup", "page up", "Move up a page.", shown=False),
    _action("page-down", "pagedown", "page down", "Move down a page.", shown=False),
    _action("left", "left h", "cursor", "Move the value cursor to the left; among the keys, to other runs.",
            shown=False),
    _action("right", "right l", "cursor", "Move the value cursor to the right; among the keys, to other runs.",
            shown=False),
    _action("far-left", "shift+left comma", "cursor", "Move the value cursor far to the left.", shown=False),
    _action("far-right", "shift+right full_stop", "cursor", "Move the value cursor far to the right.", shown=False),
    _action("first", "home", "first", "The value cursor at the first values; the first row.", shown=False),
    _action("last", "end", "last", "The value cursor at the last values; the last row.", shown=False),
    _action("closer", "plus equals_sign", "zoom in", "Zoom in along x, round the cursor.", shown=False),
    _action("farther", "minus", "zoom out", "Zoom out.", shown=False),
    _action("whole", "0", "all", "Show all of the runs.", shown=False),
    _action("out", "escape", "back", "One step out: the cursor, the zoom, the size, the pane.", shown=False),
)  # fmt: skip

ONLY: dict[str, tuple[str, ...]] = {
    "curves": (
        "metric", "axis", "hide", "pin", "figures", "band", "large", "log", "smooth", "open", "far-left", "far-right",
        "closer", "farther", "whole",
    ),
    "keys": ("all-keys",),
    "confusion": ("before", "after", "evaluation"),
}  # fmt: skip
"""What can be done in one pane alone; the rest can be in each."""
PANE_OF = {f"compare.{name}": pane for pane, names in ONLY.items() for name in names}

EMPTY = """\
Nothing to compare yet.

In Runs (key 4) mark two to eight runs with space, then press c: they show here, side by side."""

CSS = """
CompareView {
    layout: vertical;
    #tabs, #notes, #differs, #keys-note { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #notes { color: $text-warning; }
    #differs, #keys-note { color: $text-muted; }
    #legend { display: none; padding: 0 1; }
    #pane-curves, #pane-keys, #pane-confusion { height: 1fr; }
    #pane-confusion { padding: 0 1; }
    #empty { height: 1fr; padding: 1 2; display: none; }
}
CompareView.-empty #empty { display: block; }
CompareView.-empty #pane-curves, CompareView.-empty #pane-keys, CompareView.-empty #pane-confusion { display: none; }
CompareView.-empty #tabs { display: none; }
CompareView.-quiet #notes { display: none; }
CompareView.-low #differs { display: none; }
CompareView.-max RunTable, CompareView.-max #differs { display: none; }
CompareView.-max #legend { display: block; }
CompareView.-curves #pane-keys, CompareView.-curves #pane-confusion { display: none; }
CompareView.-keys #pane-curves, CompareView.-keys #pane-confusion { display: none; }
CompareView.-confusion #pane-curves, CompareView.-confusion #pane-keys { display: none; }
"""
"""What gives way where there is less room; nothing here shows what another rule has hidden."""
