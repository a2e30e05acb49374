"""The server behind `cnn-workbench serve`: textual-serve's pages and protocol, for those who have the address.

Every address begins with a secret word, the token, which is printed where the server was started and nowhere else. A
cookie would do as well for those who mean well, but browsers hand it to every server of the same machine, whatever
its port. Besides, what is asked must have been asked of this machine by its name (a page whose name is made to point
here, DNS rebinding, asks under its own), and a websocket must have been opened by a page of this server.

Each page has a process of its own (`workbench.tui.in_browser`). When the page is closed, or the line to it is lost, or
the server ends, the process loses its input, which it takes as a terminal takes SIGHUP: a run in its thread is handed
over to a process of its own. So the processes have sessions of their own: Ctrl-C here is not theirs.
"""

import asyncio
import errno
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp_jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from workbench.base.errors import UserError

HOST = "127.0.0.1"
NAMES = (HOST, "localhost", "[::1]")
"""What this machine may be called; with any port, since a forwarded one is another."""
MOST = (1000, 400)
"""Columns and rows that a page can have."""
REFUSAL = "403: open the address that cnn-workbench serve has printed\n"
FOCUS = """
<script>
  new MutationObserver((changes, observer) => {
    if (document.body.classList.contains("-first-byte")) {
      observer.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  }).observe(document.body, {attributes: true, attributeFilter: ["class"]});
</script>
"""
"""The keys go to the terminal as soon as it shows something; before, textual-serve's page could not tell its app."""
BAD = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What messages that are none of textual-serve's raise in its parser."""


def serve(root: Path, port: int, told: Callable[[str, int], object]) -> None:
    """Serve the screen for the runs in `root` until Ctrl-C or SIGTERM, then end every page's process.

    `port`: 0 for any that is free. `told` is called with address and port when it listens. UserError if it cannot.
    """
    with suppress(KeyboardInterrupt):  # the second Ctrl-C: whoever is still saving goes on without us
        asyncio.run(_serve(Screens(root, secrets.token_urlsafe(24)), port, told))


async def _serve(screens: "Screens", port: int, told: Callable[[str, int], object]) -> None:
    over = asyncio.Event()
    runner = web.AppRunner(await screens.guarded(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {os.strerror(error.errno or 0)}"
        raise UserError(f"port {port} {what}; another one: --port N, or --port 0 for any that is free") from None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _end, over, number)
    port = runner.addresses[0][1]
    told(f"http://{HOST}:{port}/{screens.token}/", port)
    await over.wait()
    await screens.end()
    await runner.cleanup()


def _end(over: asyncio.Event, number: int) -> None:
    if over.is_set() and number == signal.SIGINT:
        raise KeyboardInterrupt
    over.set()


class Screens(Server):
    """A process with the screen for each page that is opened."""

    def __init__(self, root: Path, token: str) -> None:
        super().__init__("cnn-workbench", host=HOST, title="cnn-workbench")
        self.token = token
        self.words = [sys.executable, "-m", "workbench.tui.in_browser", "--runs", str(root)]
        self._open: set[Page] = set()
        self._over = False

    async def guarded(self) -> web.Application:
        """The whole application: textual-serve's below the token, and nothing beside it."""
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        app.add_subapp(f"/{self.token}/", await self._make_app())
        return app

    async def end(self) -> None:
        """End every page's process and wait for it."""
        self._over = True
        await asyncio.gather(*(page.stop() for page in list(self._open)), return_exceptions=True)

    async def on_startup(self, app: web.Application) -> None:
        """Nothing: where it listens is told by whoever has started it."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        word = request.path.split("/", 2)[1]
        origin = request.headers.get("Origin")
        known = secrets.compare_digest(word.encode("utf-8", "replace"), self.token.encode())
        if not known or not _is_here(request.host) or origin not in (None, f"http://{request.host}"):
            return web.Response(status=403, text=REFUSAL)
        response = await handler(request)
        if isinstance(response, web.FileResponse):
            response.enable_compression()  # half a megabyte of script is a quarter of that
        return response

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page. Its addresses are of the host that it was asked of, which may be a forwarded port."""
        context = {
            "font_size": min(max(to_int(request.query.get("fontsize", "16"), 16), 4), 100),
            "app_websocket_url": f"ws://{request.host}/{self.token}/ws",
            "config": {"static": {"url": f"/{self.token}/static/"}},
            "application": {"name": self.title},
        }
        page = aiohttp_jinja2.render_string("app_index.html", request, context)
        return web.Response(text=page + FOCUS, content_type="text/html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A page for as long as its websocket is open."""
        websocket = web.WebSocketResponse(heartbeat=15)
        await websocket.prepare(request)
        if self._over:
            await websocket.close()
            return websocket
        page = Page(self, websocket)
        self._open.add(page)
        try:
            width, height = (to_int(request.query.get(name, ""), 0) for name in ("width", "height"))
            await page.start(width or 80, height or 24)
            await self._process_messages(websocket, page)
        except BAD:
            await websocket.close(message=b"not understood")
        finally:
            await asyncio.shield(page.stop())
            self._open.discard(page)
        return websocket


class Page(AppService):
    """The process of one page."""

    def __init__(self, screens: Screens, websocket: web.WebSocketResponse) -> None:
        super().__init__(
            "cnn-workbench", write_bytes=websocket.send_bytes, write_str=websocket.send_str,
            close=self._close, download_manager=screens.download_manager,
        )  # fmt: skip
        self._words, self._websocket = screens.words, websocket
        self._stopping = asyncio.Lock()

    async def _close(self) -> None:
        await self._websocket.close()

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        """textual-serve's; what this server's own terminal can show says nothing of the browser."""
        environment = super()._build_environment(*_fitting(width, height))
        return {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
            env=self._build_environment(width, height),
        )  # fmt: skip
        self._stdin = process.stdin
        return process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Of a window; of one that is folded away there is next to nothing."""
        await super().set_terminal_size(*_fitting(width, height))

    async def on_data(self, payload: bytes) -> None:
        """To the page; where that is gone the process must be read all the same, or it would never end."""
        with suppress(ConnectionError, RuntimeError):
            await super().on_data(payload)

    async def run(self) -> None:
        """Until the process has ended, then the page is told so."""
        await super().run()
        await self._close()

    async def stop(self) -> None:
        """Have the process end, and wait until it has: it may have a run to save. May be called more than once."""
        async with self._stopping:
            if self._process is not None and self._stdin is not None and not self._stdin.is_closing():
                self._stdin.close()  # that is the line lost
            if self._task is not None:
                await self._task
                self._task = None
            if self._process is not None:
                await self._process.wait()


def _fitting(width: int, height: int) -> tuple[int, int]:
    return min(max(width, 1), MOST[0]), min(max(height, 1), MOST[1])


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine."""
    name, colon, port = host.rpartition(":")
    return host in NAMES or (name in NAMES and bool(colon) and port.isdigit())


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The address is a secret: it goes to nobody else, and nothing is fetched from elsewhere, a font for instance."""
    response.headers.update({
        "Cache-Control": "no-cache",
        "Content-Security-Policy":
            "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://{request.host}; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    })  # fmt: skip
