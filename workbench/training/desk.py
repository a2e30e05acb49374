"""Between two steps: what people and signals ask of the run, and what rank 0 decides for all ranks."""

from dataclasses import dataclass
from typing import Literal

from workbench.runs.control import Inbox, Request
from workbench.runs.writer import RunWriter
from workbench.training.distributed import Ranks
from workbench.training.observer import StopRequest
from workbench.training.silent import Silent


@dataclass(frozen=True)
class Orders:
    """What rank 0 decided between two steps, for all ranks."""

    stop: bool = False
    save: bool = False
    requests: tuple[Request, ...] = ()
    steps: int = 1
    """Steps until the ranks look again."""

    @property
    def needs_figures(self) -> bool:
        """Whether the sums have to be known before it can be done."""
        return bool(self.stop or self.save or self.requests)


class Desk:
    """Where requests come in. Only rank 0 opens the control folder; a stop may be asked of any rank."""

    def __init__(self, run: RunWriter | Silent, ranks: Ranks, stop: StopRequest) -> None:
        self.run, self.ranks, self.stop = run, ranks, stop
        self.inbox = Inbox(run.path)

    def refuse_waiting(self, reason: str) -> None:
        """Answer what waits in the folder: nobody will do it."""
        if self.ranks.leads:
            self.inbox.refuse_waiting(reason)

    def stop_asked(self) -> bool:
        """Whether any rank was asked to stop; then all are, for the same cause. Waits for all ranks."""
        cause = self.ranks.first(self.stop.cause)
        if cause is not None:
            self.stop.cause = cause
        return cause is not None

    def requests(self, now: float) -> tuple[Request, ...]:
        """What waits in the control folder, if it is time to look. `now`: time.monotonic()."""
        if not self.ranks.leads or not self.inbox.due(now):
            return ()
        found = tuple(self.inbox.claim())
        for complaint in self.inbox.complaints():
            self.run.log(complaint)
        return found

    def answer(self, request: Request, outcome: Literal["done", "refused"], text: str) -> None:
        """Tell who asked what became of it."""
        if self.ranks.leads:
            self.inbox.answer(request, outcome, text)
