"""The list of lines: its cursor is in sight, also when there are suddenly many more lines."""

import asyncio

from rich.text import Text
from textual.app import App, ComposeResult

from workbench.tui.widgets.rows import RowList


def test_the_cursor_is_in_sight_when_a_filter_is_taken_off() -> None:
    names = [f"line {number}" for number in range(100)]

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield RowList(lambda item, width: Text(item))

    async def play() -> None:
        async with Host().run_test(size=(40, 10)) as pilot:
            rows = pilot.app.query_one(RowList)
            rows.fill(names[70:71], names[70:71])
            await pilot.pause()
            rows.fill(names, names)
            await pilot.pause()
            await pilot.pause()
            assert rows.cursor == 70
            first = int(rows.scroll_offset.y)
            assert first <= 70 < first + rows.size.height

    asyncio.run(play())
