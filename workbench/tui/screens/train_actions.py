"""What can be done on the Train screen (lower case looks, upper case acts on the run), and where its parts stand."""

from workbench.tui.actions import Action

WHERE = "Train"

ACTIONS = (
    Action("train.end", ("S",), "stop", "Let the run train and test this epoch, then save and end (asks).",
           WHERE),
    Action("train.stop", ("K",), "stop now", "Stop the run now: it finishes its step, saves and ends (asks).", WHERE,
           shown=False),
    Action("train.save", ("C",), "save", "Save a checkpoint now.", WHERE),
    Action("train.pause", ("P",), "pause", "Let the run stand still between two steps, or go on.", WHERE),
    Action("train.rate", ("L",), "lr", "Multiply the learning rate by a factor (asks).", WHERE, typed=True),
    Action("train.axis", ("x",), "axis", "Epochs, steps or time along the x axis.", WHERE),
    Action("train.log-y", ("y",), "log", "A logarithmic y axis for the marked chart, or a linear one.", WHERE),
    Action("train.smooth", ("s",), "smooth", "Smooth the training curves: 0, 0.6, 0.9, 0.99; grey is as it was.",
           WHERE),
    Action("train.maximise", ("z",), "large", "Give the marked chart the whole screen, or take it back.", WHERE),
    Action("train.panel", ("l",), "events", "Events, log or neither below the charts.", WHERE),
    Action("train.freeze", ("p",), "freeze", "Pause the display, or go on; the run does not notice.", WHERE),
    Action("train.metric", ("m",), "metric", "Show the next figure in the marked chart.", WHERE),
    Action("train.figure", ("f",), "figures", "Choose the marked chart's figure from a list.", WHERE, shown=False),
    Action("train.markers", ("d",), "dots", "Draw curves with braille dots, blocks or asterisks.", WHERE, shown=False),
    Action("train.chart", ("tab",), "next", "Mark the other chart, then the log, to scroll in it.", WHERE,
           shown=False),
    Action("train.left", ("left",), "cursor", "Move the value cursor to the left.", WHERE, shown=False),
    Action("train.right", ("right",), "cursor", "Move the value cursor to the right.", WHERE, shown=False),
    Action("train.far-left", ("shift+left", "comma"), "cursor", "Move the value cursor far to the left.", WHERE,
           shown=False),
    Action("train.far-right", ("shift+right", "full_stop"), "cursor", "Move the value cursor far to the right.",
           WHERE, shown=False),
    Action("train.first", ("home",), "first", "Move the value cursor to the beginning.", WHERE, shown=False),
    Action("train.last", ("end",), "last", "Move the value cursor to the newest point.", WHERE, shown=False),
    Action("train.closer", ("plus", "equals_sign"), "zoom in", "Zoom in along x, round the cursor.", WHERE,
           shown=False),
    Action("train.farther", ("minus",), "zoom out", "Zoom out.", WHERE, shown=False),
    Action("train.whole", ("0",), "all", "Show all of the run.", WHERE, shown=False),
    Action("train.before", ("left_square_bracket",), "older run", "Watch the run before this one.", WHERE,
           shown=False),
    Action("train.after", ("right_square_bracket",), "newer run", "Watch the run after this one.", WHERE,
           shown=False),
    Action("train.out", ("escape",), "back", "One step out: the question, the log, the cursor, the zoom, the size.",
           WHERE, shown=False),
)  # fmt: skip

CSS = """
TrainScreen {
    layout: vertical;
    #head, #bar, #facts { height: 1; }
    #alerts { height: auto; color: $text-warning; }
    #charts { height: 1fr; }
    #panel { height: 3; }
    #panel Log { width: 1fr; scrollbar-size: 1 1; background: $background; overflow-x: hidden; }
    #panel Log { border-left: vkey $panel; }
    #panel Log:focus { border-left: vkey $primary; }
    #empty { height: 1fr; padding: 1 2; }
    Prompt { dock: bottom; margin-bottom: 1; }
}
TrainScreen.-tall #panel { height: 9; }
TrainScreen.-max #panel, TrainScreen.-no-panel #panel { display: none; }
TrainScreen.-narrow.-events #log, TrainScreen.-narrow.-log #events { display: none; }
TrainScreen.-low.-first #second, TrainScreen.-low.-second #first { display: none; }
TrainScreen.-slow.-first #second, TrainScreen.-slow.-second #first { display: none; }
TrainScreen.-max.-first #second, TrainScreen.-max.-second #first { display: none; }
TrainScreen.-well #alerts { display: none; }
TrainScreen.-some #empty { display: none; }
TrainScreen.-none #head, TrainScreen.-none #bar, TrainScreen.-none #facts { display: none; }
TrainScreen.-none #charts, TrainScreen.-none #panel { display: none; }
"""
"""What gives way where there is less room; nothing here shows what another rule has hidden."""
