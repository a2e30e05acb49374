"""The keys that act on the run of the Train screen: each asks the trainer through the run's control folder."""

import threading
from contextlib import suppress
from pathlib import Path

from textual.message import Message

from workbench.tui.screens.live import LiveScreen
from workbench.tui.screens.runs_dialogs import Ask, Prompt
from workbench.tui.steering import Told, factor_of, in_words, refusal, resume_command, steer
from workbench.tui.watching import Job, Look, Nothing

ACTING = ("train.end", "train.stop", "train.save", "train.pause", "train.rate")
"""What only a run that lives can be asked."""


class Steering(LiveScreen[Job, Look | Nothing]):
    """A screen that shows a run and has a `Prompt`. Whoever inherits keeps `look` up to date."""

    class Steered(Message):
        """What became of a request."""

        def __init__(self, kind: str, told: Told) -> None:
            super().__init__()
            self.kind, self.told = kind, told

    def __init__(self, root: Path | None = None, hz: float | None = None) -> None:
        """See `LiveScreen`."""
        super().__init__(root, hz)
        self.look: Look | None = None
        """The run as it was last seen."""
        self._asked: set[str] = set()

    def hinted(self, action_id: str) -> bool:
        """A run that is over cannot be steered: the footer has other keys then. These still say why."""
        return action_id not in ACTING or (self.look is not None and self.look.live)

    def close_prompt(self) -> None:
        """No more question; the keys belong to the screen again."""
        self.query_one(Prompt).close()
        self.set_focus(None)

    def act_stop(self) -> None:
        self._ask_to_stop("stop", "Stop {run} now?", "It finishes its step, saves and ends. To go on later:")

    def act_end(self) -> None:
        self._ask_to_stop(
            "stop_after_epoch",
            "Stop {run} after this epoch?",
            "It trains and tests this epoch to its end, saves and ends (K stops it now). To go on later:",
        )

    def _ask_to_stop(self, kind: str, question: str, consequence: str) -> None:
        if self._may_ask(kind) and self.look is not None:
            path, run = self.look.path, self.look.run
            lines = (consequence, resume_command(path))
            self.app.push_screen(Ask(question.format(run=run), lines), lambda yes: self._steer_if(yes, path, kind))

    def _steer_if(self, yes: bool | None, path: Path, kind: str) -> None:
        if yes:
            self._steer(path, kind)

    def act_save(self) -> None:
        if self._may_ask("checkpoint") and self.look is not None:
            self._steer(self.look.path, "checkpoint")

    def act_pause(self) -> None:
        kind = "resume" if self.look is not None and self.look.state.name == "paused" else "pause"
        if self._may_ask(kind) and self.look is not None:
            self._steer(self.look.path, kind)

    def act_rate(self) -> None:
        if self._may_ask("lr") and self.look is not None:
            self.query_one(Prompt).ask(str(self.look.path), "factor for the learning rate: 0.5 halves it, 2 doubles it")

    def on_prompt_given(self, message: Prompt.Given) -> None:
        """A factor was typed, for the run that was on the screen when it was asked for."""
        try:
            factor = factor_of(message.text)
        except ValueError as error:
            self.query_one(Prompt).wrong(str(error))
            return
        self.close_prompt()
        self._steer(Path(message.what), "lr", factor=factor)

    def _may_ask(self, kind: str) -> bool:
        if self.look is None:
            self.notify("there is no run to ask", severity="warning", markup=False)
            return False
        why = refusal(self.look.state, kind) or (
            f"{in_words(kind)}: asked already, waiting" if kind in self._asked else ""
        )
        if why:
            self.notify(why, title=self.look.run, severity="warning", markup=False)
        return not why

    def _steer(self, path: Path, kind: str, **arguments: float) -> None:
        """Ask in a thread of its own: the trainer may take its time, and a person may quit meanwhile."""
        self._asked.add(kind)

        def work() -> None:
            told = steer(path, kind, **arguments)
            with suppress(RuntimeError):  # the screen is gone
                self.post_message(self.Steered(kind, told))

        threading.Thread(target=work, name=f"steer-{kind}", daemon=True).start()

    def on_steering_steered(self, message: Steered) -> None:
        """Say what became of it, on whatever screen a person is by now."""
        self._asked.discard(message.kind)
        self.app.notify(message.told.text, severity="information" if message.told.done else "error", markup=False)
        self.ask()
