"""What the app says and asks about the runs that it starts: the dialogs before, the news, the question at the end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from workbench.base.errors import UserError
from workbench.base.text import clean

if TYPE_CHECKING:
    from workbench.launch.orders import Order
    from workbench.launch.thread import ThreadedRun
    from workbench.profile import Resolved
    from workbench.tui.app import Workbench
    from workbench.tui.launching import Launcher, News
    from workbench.tui.screens.launch_dialog import Choice, Plan
    from workbench.tui.screens.leaving import Ending

SECONDS = 8.0
"""How long news of a failure stays."""


class Launches:
    """Of one app. The launcher, and with it half of the imports, comes with the first order."""

    class Told(Message):
        """News, from the launcher's thread."""

        def __init__(self, news: "News") -> None:
            super().__init__()
            self.news = news

    def __init__(self, app: "Workbench") -> None:
        self._app = app
        self._launcher: Launcher | None = None
        self.ending: Ending | None = None
        """What is to become of the run when the app has ended."""

    @property
    def launcher(self) -> "Launcher":
        """Made when it is needed first."""
        if self._launcher is None:
            from workbench.tui.launching import Launcher

            self._launcher = Launcher(self._app.root, self._tell)
        return self._launcher

    @property
    def live(self) -> "ThreadedRun | None":
        """The run in a thread of this process."""
        return self._launcher.live if self._launcher else None

    @property
    def handed_over(self) -> Path | None:
        """The run that goes on in a process of its own when the app has ended, once that is certain."""
        live = self.live
        if self.ending != "hand over" or live is None or live.narrator.run is None:
            return None
        return live.narrator.run

    @property
    def training(self) -> bool:
        """Whether a run would be lost by leaving."""
        return self._launcher is not None and self._launcher.training

    # Before a run

    def begin(self, resolved: "Resolved", parent: str, source: str) -> None:
        """The dialog for a profile."""
        from workbench.launch.orders import begin
        from workbench.tui.launch_plans import plan_of_profile

        def answered(choice: "Choice | None") -> None:
            if choice is not None:
                self._submit(begin(resolved, way=choice.way, parent=parent, seeds=choice.seeds), choice)

        self._ask(plan_of_profile(resolved, parent, source, self._before()), answered)

    def resume(self, run_id: str) -> None:
        """The dialog for a run that goes on. A run that cannot is refused with a line."""
        from workbench.launch.orders import Order
        from workbench.tui.launch_plans import plan_of_run

        try:
            plan = plan_of_run(self._app.root, run_id, self._before())
        except UserError as error:
            self._app.notify(clean(str(error), 300), severity="warning", markup=False)
            return

        def answered(choice: "Choice | None") -> None:
            if choice is not None:
                order = Order(run=run_id, epochs=choice.epochs, way=choice.way, label=clean(run_id, 80))
                self._submit([order], choice)

        self._ask(plan, answered)

    def _ask(self, plan: "Plan", answered: Any) -> None:
        from workbench.tui.screens.launch_dialog import LaunchDialog

        way: Any = self._app.settings.launch
        self._app.push_screen(LaunchDialog(plan, way), answered)

    def _submit(self, orders: "list[Order]", choice: "Choice") -> None:
        try:
            self.launcher.submit(orders, now=choice.now)
        except UserError as error:
            self._app.notify(clean(str(error), 300), severity="error", timeout=SECONDS, markup=False)
            return
        what = orders[0].label if len(orders) == 1 else f"{len(orders)} runs"
        self._app.notify(f"{what}: {'in the queue' if self._before() > len(orders) else 'starting'}", markup=False)

    def _before(self) -> int:
        """Runs of the queue that are trained or wait on this machine."""
        queue = self.launcher.queue
        return sum(entry.here for entry in (*queue.taken(), *queue.waiting()))

    # News

    def _tell(self, news: "News") -> None:
        """In the launcher's thread. An app that has ended hears nothing."""
        self._app.post_message(self.Told(news))

    def hear(self, news: "News") -> None:
        """Say it, and show the run that the person waits for."""
        app = self._app
        if news.kind == "failed":
            app.busy = ""
            app.bell()
            app.notify(news.text, title="not trained", severity="error", timeout=SECONDS * 2, markup=False)
        elif news.kind == "starting":
            app.busy = news.text
        elif news.kind == "began":
            app.busy = ""
            app.watch_run(app.root / news.run)
            if news.shown and len(app.screen_stack) == 1:
                app.open_run(news.run)
            else:
                app.notify(f"{news.run} has begun", markup=False)
        else:
            app.busy = ""  # the app tells of the end of every run that it has watched

    def tell_of_left(self) -> None:
        """What a screen that is no more has left waiting is not trained by itself: somebody may not expect it."""
        folder = Path(self._app.root) / ".queue"
        if not folder.is_dir():
            return
        queue = self.launcher.queue
        try:
            queue.tidy()
            left = queue.left()
        except UserError:  # a folder that is only read
            return
        if left:
            runs = "1 run waits" if len(left) == 1 else f"{len(left)} runs wait"
            self._app.notify(f"{runs} from an earlier session: Q shows the queue", markup=False, timeout=SECONDS)

    def show_queue(self) -> None:
        """The queue, over whatever is shown."""
        from workbench.tui.screens.queue_dialog import QueueDialog

        def answered(run: str | None) -> None:
            if run:
                self._app.open_run(run)

        if not isinstance(self._app.screen, QueueDialog):
            self._app.push_screen(QueueDialog(self.launcher), answered)

    # The end

    def ask_before_leaving(self) -> None:
        """What becomes of the run."""
        from workbench.tui.screens.leaving import LeaveDialog

        live = self.live
        if live is None or isinstance(self._app.screen, LeaveDialog):
            return

        def answered(ending: "Ending | None") -> None:
            self.ending = ending
            if ending is not None:
                self._app.leave()

        def chosen(ending: "Ending") -> None:
            self.ending = ending  # also for a terminal that goes away while the person waits

        self._app.push_screen(LeaveDialog(self.launcher, live.run_id or live.order.label, chosen), answered)

    def stop_for(self, cause: str, *, lost: bool) -> None:
        """Ask the run to save and end. In a handler of signals: it waits for nothing. `lost`: the terminal is."""
        if self._launcher is not None and self.ending != "stop":  # which a person has chosen
            hand_over = self.ending == "hand over" or (lost and self.ending is None)
            self._launcher.stop(hand_over=hand_over, cause=cause)

    def hurry(self) -> None:
        """Do not wait for the run's step: it goes back to its last checkpoint."""
        if self._launcher is not None:
            self._launcher.patient = False

    def finish(self, cause: str = "the screen was left") -> str:
        """When the screen is gone: see to what is left; a line for the person, empty where there is nothing to say.

        `cause`: why a run is stopped that is not handed over, for its events.
        """
        if self._launcher is None:
            return ""
        hand_over = self.ending == "hand over"
        live = self.live
        self._launcher.stop(hand_over=hand_over, cause=cause)
        words = self._launcher.finish(hand_over=hand_over, cause=cause)
        if words or live is None or not live.run_id:
            return words
        if live.outcome is not None and live.outcome.state in ("finished", "failed"):
            return f"{live.run_id} has {live.outcome.state}"
        from workbench.tui.steering import resume_command

        how = "is saved" if live.outcome is not None else "was not waited for: it goes back to its last checkpoint"
        return f"{live.run_id} {how}; it goes on with: {resume_command(Path(self._app.root) / live.run_id)}"
