"""A line to type in that keeps the order of the keys."""

import asyncio
import time
from collections.abc import Mapping

from textual import events
from textual.binding import Binding
from textual.widgets import Input


def _actions() -> Mapping[str, str]:
    """Key -> action of the keys of Textual's own line that put no character into it."""
    table: dict[str, str] = {}
    for binding in Input.BINDINGS:
        if isinstance(binding, Binding):
            table |= dict.fromkeys(binding.key.split(","), binding.action)
    return table


SETTLE_SECONDS = 0.5
"""How long the keys after `enter` wait at most for what it does."""


class Line(Input):
    """Textual's, but that `^u` and its like are done in their turn.

    There a character is put in when the line sees it, and a key with an action is done later, when the app does: of
    `^u32` that arrives at once, as a slow line delivers it, `^u` would come last and take the 32 with it.
    """

    DONE_HERE = _actions()

    async def on_key(self, event: events.Key) -> None:
        """Do what the key stands for, now."""
        action = self.DONE_HERE.get(event.key)
        if action is not None and not event.is_printable:
            event.stop()
            event.prevent_default()
            await self.run_action(action)

    async def settle(self) -> None:
        """Wait until what `enter` does here is done: the next key may be there already, and is for what comes then.

        That is so when neither the line nor what it is in has a message left, and none came meanwhile.
        """
        pumps = [node for node in self.ancestors_with_self if node is not self.app]
        latest, quiet = time.monotonic() + SETTLE_SECONDS, 0
        while quiet < 3 and time.monotonic() < latest:
            await asyncio.sleep(0)
            quiet = 0 if any(pump.message_queue_size for pump in pumps) else quiet + 1
