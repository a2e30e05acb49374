"""A line to type in keeps the order of keys that arrive at once."""

import asyncio

from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import Input

from workbench.tui.widgets.line import Line


def typed_at_once(line: Input, *keys: str) -> str:
    """The line's text after keys that were all there before the first was done."""

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield line

    async def play() -> str:
        host = Host()
        async with host.run_test() as pilot:
            line.focus()
            await pilot.pause()
            for key in keys:
                host.post_message(Key(key, key if len(key) == 1 else None))
            await pilot.pause(0.1)
            await pilot.pause()
            return line.value

    return asyncio.run(play())


def test_what_is_typed_after_an_emptying_key_stays() -> None:
    assert typed_at_once(Line("224", select_on_focus=False), "ctrl+u", "3", "2") == "32"
    assert typed_at_once(Line("224", select_on_focus=False), "home", "delete", "9", "end", "backspace", "0") == "920"
    assert typed_at_once(Line("a b", select_on_focus=False), "ctrl+w", "c") == "a c"


def test_textuals_own_line_loses_it() -> None:
    """When this fails, `Line` is no longer needed."""
    assert typed_at_once(Input("224", select_on_focus=False), "ctrl+u", "3", "2") != "32"
