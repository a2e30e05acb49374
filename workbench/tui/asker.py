"""A thread beside a screen: the screen asks, the thread answers each question once, the newest first.

A thread of its own and not one of Textual's workers: it is a daemon, so a read on a slow disk never keeps a person
who wants to quit.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Asker(threading.Thread, Generic[Question, Answer]):
    """Hands each answer, or what went wrong, to `tell`, in this thread. `tell` must not wait for the screen."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Callable[[Question], Answer | None]],
        tell: Callable[[Answer | Exception], object],
        joined: Callable[[Question, Question], Question] = lambda _, newer: newer,
    ) -> None:
        """`make` gives what answers, in this thread, anew after a mistake; its None is no answer. `joined`: an older
        question that nobody began yet and a newer one, as one."""
        super().__init__(name=name, daemon=True)
        self._make, self._tell, self._joined = make, tell, joined
        self._changed = threading.Condition()
        self._question: Question | None = None
        self._over = False
        self.busy = 0.0
        """Seconds of a core that it has taken so far."""

    def ask(self, question: Question) -> None:
        """To be answered soon."""
        with self._changed:
            before = self._question
            self._question = question if before is None else self._joined(before, question)
            self._changed.notify()

    def end(self) -> None:
        """Answer nothing any more."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        """Answer one question after the other until `end`."""
        answer = None
        while (question := self._next()) is not None:
            try:
                answer = answer or self._make()
                found: Answer | Exception | None = answer(question)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with files, the screen shows it and lives on
                found, answer = error, None
            self.busy = time.thread_time()
            if found is not None and not self._over:
                self._tell(found)

    def _next(self) -> Question | None:
        with self._changed:
            while self._question is None and not self._over:
                self._changed.wait()
            question, self._question = self._question, None
            return None if self._over else question
