"""A headless Chromium, steered by its DevTools protocol: what it was sent, what it shows, and keys typed into it."""

import asyncio
import base64
import io
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pyte
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--remote-debugging-port=0", "--window-size=1000,700", "about:blank",
)  # fmt: skip
SECONDS = 60.0


def chromium() -> str | None:
    """Where it is, if it is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """The one page of a browser. The terminal in it is known by what came over its websocket."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.sockets: list[str] = []
        """Addresses of the websockets that it has opened."""
        self.refused: list[str] = []
        """What it says that it was not allowed to load."""
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.closed = False
        """Whether the terminal's websocket is closed."""

    async def listen(self) -> None:
        """Until the browser is gone."""
        async for message in self._line:
            told = message.json()
            if answer := self._answers.pop(told.get("id", 0), None):
                answer.set_result(told)
            elif told.get("method"):
                self._hear(told["method"], told["params"])

    def _hear(self, method: str, facts: dict[str, Any]) -> None:
        if method == "Network.webSocketCreated":
            self.sockets.append(facts["url"])
            size = dict(pair.split("=") for pair in facts["url"].partition("?")[2].split("&"))
            self.screen.resize(int(size["height"]), int(size["width"]))
        elif method == "Network.webSocketFrameReceived" and facts["response"]["opcode"] == 2:
            self._stream.feed(base64.b64decode(facts["response"]["payloadData"]))
        elif method == "Network.webSocketClosed":
            self.closed = True
        elif method == "Network.loadingFailed":
            self.refused.append(facts.get("blockedReason") or facts["errorText"])

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; returns its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._line.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, SECONDS)
        assert "error" not in told, told
        return dict(told["result"])

    def text(self) -> str:
        """What the terminal shows, by what was sent to it."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def wait_for(self, words: str, seconds: float = SECONDS) -> str:
        """The terminal's text as soon as it shows `words`."""
        end = time.monotonic() + seconds
        while words not in self.text():
            assert not self.closed, self.text()
            assert time.monotonic() < end, self.text()
            await asyncio.sleep(0.02)
        return self.text()

    async def type(self, text: str) -> None:
        """Keys, one after the other."""
        for character in text:
            code = {"\r": ("Enter", 13), "\x1b": ("Escape", 27)}.get(character, (character, 0))
            await self.ask("Input.dispatchKeyEvent", type="keyDown", key=code[0], windowsVirtualKeyCode=code[1],
                           text="" if character == "\x1b" else character)  # fmt: skip
            await self.ask("Input.dispatchKeyEvent", type="keyUp", key=code[0], windowsVirtualKeyCode=code[1])

    async def picture(self) -> Image.Image:
        """What a person would see."""
        shot = await self.ask("Page.captureScreenshot", format="png")
        return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


@asynccontextmanager
async def browser(command: str, folder: Path) -> AsyncIterator[Page]:
    """A browser whose profile is in a new `folder`, with an empty page."""
    process = subprocess.Popen(
        [command, *FLAGS, f"--user-data-dir={folder}"], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(one for one in await answer.json() if one["type"] == "page")
            async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as line:
                page = Page(line)
                listening = asyncio.create_task(page.listen())
                await page.ask("Network.enable")
                await page.ask("Page.enable")
                yield page
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _port(told: Path) -> int:
    end = time.monotonic() + SECONDS
    while not (told.exists() and (lines := told.read_text().split())):
        assert time.monotonic() < end, "the browser has not started"
        await asyncio.sleep(0.05)
    return int(lines[0])
