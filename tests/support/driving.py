"""Screens under a pilot: what they show and say, and patience for what their threads do first."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot

PATIENCE = 20.0
"""Seconds; a busy machine takes longer, and nothing waits for them to pass."""


def screen_text(app: App[Any]) -> str:
    """What the terminal shows, line by line."""
    return "\n".join("".join(part.text for part in row) for row in app.screen._compositor.render_strips())


def said(app: App[Any]) -> str:
    """What was said in the corner, a notice a line."""
    return "\n".join(notice.message for notice in app._notifications)


async def until(pilot: Pilot[Any], true: Callable[[], object]) -> None:
    """Wait for what a thread does; fails where it never does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        await pilot.pause()
        if true() and pilot.app.screen.is_mounted:
            await pilot.pause()
            return
        assert time.monotonic() < deadline, f"it never came to that\n{screen_text(pilot.app)}\n{said(pilot.app)}"
        await asyncio.sleep(0.01)


class Host(App[None]):
    """As little of an app as a screen needs; whoever inherits pushes the screen."""

    def text(self) -> str:
        return screen_text(self)

    @property
    def toasts(self) -> list[str]:
        return [notice.message for notice in self._notifications]


class Driver:
    """Keys for an app, and patience until it shows what it should."""

    def __init__(self, app: Any, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    async def see(self, *words: str | Callable[[], bool]) -> str:
        """The screen once it shows all of the words; fails where it never does."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            await self.pilot.pause()
            text = screen_text(self.app)
            if all(word() if callable(word) else word in text for word in words):
                return text
            await asyncio.sleep(0.02)
        raise AssertionError(f"never seen: {words}\n{screen_text(self.app)}\n{said(self.app)}")

    async def told(self, words: str) -> None:
        await self.see(lambda: words in said(self.app))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


def drive(
    app: App[Any], story: Callable[[Any], Awaitable[None]], size: tuple[int, int], driver: type[Driver] = Driver
) -> None:
    """Play a story on an app, in a terminal of columns x rows."""

    async def play() -> None:
        async with app.run_test(size=size) as pilot:
            await story(driver(app, pilot))

    asyncio.run(play())
