"""The screen in a browser: who may see it, that it works, and what becomes of a run when page or server go."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import util
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pyte
import pytest
from browser import browser, chromium
from left_runs import LONG, SECONDS, end_trainers, events, eventually, runs
from made_runs import make_run
from terminal import CHECKOUT

from workbench.cli import main
from workbench.runs.reading import read_json

SUPPORT = Path(__file__).parents[1] / "support"


class Served:
    """A server of the program, and its address."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{SUPPORT}", "LC_ALL": "C"},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        self.address = self.said.split()[-1]

    @property
    def token(self) -> str:
        return urlsplit(self.address).path.strip("/")

    @property
    def here(self) -> str:
        """Scheme, host and port."""
        return self.address.removesuffix(f"/{self.token}/")

    def pages(self) -> list[psutil.Process]:
        """The processes of its pages."""
        return psutil.Process(self.process.pid).children()

    def end(self) -> None:
        if self.process.poll() is None:
            pages = self.pages()
            self.process.kill()
            for page in pages:
                page.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers, and sees to it that nothing of them or of their runs is left."""
    started: list[Served] = []

    def start(*words: str) -> Served:
        started.append(Served(tmp_path, *words))
        return started[-1]

    yield start
    for served in started:
        served.end()
    end_trainers(tmp_path)


@pytest.fixture
def served(serve: Callable[..., Served], tmp_path: Path) -> Served:
    (tmp_path / "runs").mkdir()
    return serve("workbench", "serve", "--port", "0", "--runs", "runs")


class Seen:
    """What came over a page's websocket, as a terminal shows it."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    async def wait_for(self, words: str) -> str:
        async with asyncio.timeout(SECONDS):
            while words not in self.text():
                message = await self.line.receive()
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), self.text()
                if message.type == aiohttp.WSMsgType.BINARY:
                    self._stream.feed(message.data)
        return self.text()

    async def type(self, text: str) -> None:
        await self.line.send_json(["stdin", text])

    async def closed(self) -> None:
        """Wait until the other side has closed it."""
        async with asyncio.timeout(SECONDS):
            while (await self.line.receive()).type not in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE):
                pass


@asynccontextmanager
async def page(served: Served) -> AsyncIterator[Seen]:
    """A page without a browser: the websocket that one would open."""
    origin = {"Origin": served.here}
    async with aiohttp.ClientSession() as client:
        address = f"{served.address}ws?width=80&height=24"
        async with client.ws_connect(address, headers=origin, max_msg_size=0) as line:
            await line.send_json(["focus"])
            yield Seen(line)


def test_nobody_gets_anything_without_the_token_or_from_elsewhere(served: Served) -> None:
    wrong = served.address.replace(served.token, served.token[:-1] + ("a" if served.token[-1] != "a" else "b"))
    port = urlsplit(served.address).port
    ours = {"Origin": served.here}

    async def ask() -> None:
        async with aiohttp.ClientSession() as client:

            async def status(address: str, **headers: str) -> int:
                async with client.get(address, headers=headers) as answer:
                    assert answer.status == 200 or served.token not in await answer.text()
                    return answer.status

            for path in ("", "static/js/textual.js", "ws?width=80&height=24", "download/1", "static/"):
                assert await status(f"{served.here}/{path}") == 403
                assert await status(wrong + path) == 403
                assert await status(served.address + path, Host=f"elsewhere.example:{port}") == 403
                assert await status(served.address + path, Origin="https://elsewhere.example") == 403
            assert await status(f"{served.here}/%ff%00/") == 403
            assert await status(served.address) == 200
            assert await status(f"{served.address}static/js/textual.js", **ours) == 200
            assert await status(served.address, Host="localhost:1234") == 200  # a forwarded port
            for address, headers in (
                (f"{served.here}/ws", ours),
                (f"{wrong}ws", ours),
                (f"{served.address}ws", {"Origin": "https://elsewhere.example"}),
                (f"{served.address}ws", {"Origin": f"http://127.0.0.1:{(port or 0) + 1}"}),
                (f"{served.address}ws", {"Origin": "null"}),
                (f"{served.address}ws", {**ours, "Host": f"elsewhere.example:{port}"}),
            ):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await client.ws_connect(address, headers=headers)
                assert refused.value.status == 403

    asyncio.run(ask())
    assert served.pages() == []


def test_it_listens_on_this_machine_alone_and_tells_nobody_the_token(served: Served) -> None:
    assert len(served.token) >= 32
    server = psutil.Process(served.process.pid)
    assert {place.laddr.ip for place in server.net_connections() if place.status == "LISTEN"} == {"127.0.0.1"}
    assert not any(served.token in word for word in server.cmdline())

    async def ask() -> None:
        async with aiohttp.ClientSession() as client, client.get(served.address) as answer:
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert f"ws://{urlsplit(served.address).netloc}/{served.token}/ws" in await answer.text()
        async with page(served) as seen:
            await seen.wait_for("[1 Models]")
            [child] = served.pages()
            told = [*child.cmdline(), *child.environ().values()]
            assert not any(served.token in text for text in told)

    asyncio.run(ask())


def test_a_page_shows_the_screen_and_its_process_goes_with_it(served: Served, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", arch="gmlp")

    async def look() -> list[psutil.Process]:
        async with page(served) as first, page(served) as second:
            text = await first.wait_for("76 networks")
            assert "╭" in text  # whatever the server's own locale can show
            await second.wait_for("76 networks")
            left = served.pages()
            assert len(left) == 2
            await first.type("4")
            await first.wait_for("[4 Runs]")
            await first.line.send_json(["resize", {"width": 60, "height": -1}])
            await first.type("q")
            await first.closed()
            await second.line.send_str('{"not": "understood"}')
            await second.closed()
        return left

    left = asyncio.run(look())
    assert psutil.wait_procs(left, timeout=30)[1] == []
    assert served.process.poll() is None
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "cnn-workbench" / "settings.toml"
    assert 'screen = "runs"' in settings.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_server_and_every_page(served: Served, number: int) -> None:
    async def look() -> list[psutil.Process]:
        async with page(served) as seen:
            await seen.wait_for("76 networks")
            pages = served.pages()
            served.process.send_signal(number)
            await seen.closed()
            return pages

    pages = asyncio.run(look())
    assert served.process.wait(timeout=30) == 0
    assert len(pages) == 1
    assert psutil.wait_procs(pages, timeout=5)[1] == []


@pytest.mark.parametrize("way", ["page", "interrupt", "kill"])
def test_a_run_goes_on_when_the_page_or_the_server_goes(serve: Callable[..., Served], tmp_path: Path, way: str) -> None:
    """In a thread of the page's process; what ends that is a closed page, Ctrl-C, or a server that was killed."""
    (tmp_path / "mine.toml").write_text(LONG)
    served = serve("serving_app", "mine.toml", "runs")

    async def launch() -> psutil.Process:
        async with page(served) as seen:
            await seen.wait_for("● running")
            [child] = served.pages()
            if way != "page":
                served.process.send_signal(signal.SIGINT if way == "interrupt" else signal.SIGKILL)
                await seen.closed()
            return child

    child = asyncio.run(launch())
    assert psutil.wait_procs([child], timeout=30)[1] == []
    [run] = runs(tmp_path)
    stopped = next(event for event in events(run) if event["event"] == "preempted")
    assert stopped["cause"] == "hand-over"
    eventually(lambda: "resumed" in [event["event"] for event in events(run)])
    resumed = next(event for event in events(run) if event["event"] == "resumed")
    assert resumed["step"] == stopped["step"], "no step is lost"
    assert read_json(run / "lock")["pid"] != child.pid
    if way == "interrupt":
        assert served.process.wait(timeout=30) == 0
        assert served.process.stdout is not None
        assert f"{run.name} goes on in a process of its own" in served.process.stdout.read()


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        told.err == f"cnn-workbench: port {port} is in use; another one: --port N, or --port 0 for any that is free\n"
    )


def test_without_the_extra_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "textual_serve" else found(name, *rest))
    assert main(["serve"]) == 2
    told = capsys.readouterr()
    assert told.err == "cnn-workbench: serve needs textual-serve: pip install 'cnn-workbench[serve]'\n"


def test_in_a_browser(served: Served, tmp_path: Path) -> None:
    """Chromium, without a window: it draws, keys work without a click, a chart is there, and nothing is fetched."""
    if (command := chromium()) is None:
        pytest.skip("there is no Chromium on this machine")
    make_run(tmp_path / "runs", arch="gmlp", epochs=5)

    async def look() -> None:
        async with browser(command, tmp_path / "chromium") as page:
            await page.ask("Page.navigate", url=served.address)
            await page.wait_for("76 networks")
            assert page.sockets[0].startswith(served.address.replace("http", "ws", 1))
            await asyncio.sleep(0.5)  # it fades in
            before = await page.picture()
            assert len(before.getcolors(1_000_000) or ()) > 20  # letters and colours, and no blank page
            await page.type("3")
            await page.wait_for("✓ finished")
            async with asyncio.timeout(SECONDS):
                while not any("\u2800" < character <= "\u28ff" for character in page.text()):  # a curve
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            assert (await page.picture()).tobytes() != before.tobytes()
            await page.type("?")
            await page.wait_for("Smooth the training curves")
            await page.type("\x1b")
            await page.wait_for("? help")  # one that is open has no such hint
            await page.type("q")
            async with asyncio.timeout(SECONDS):
                while not page.closed:
                    await asyncio.sleep(0.05)
            assert set(page.refused) <= {"csp"}  # textual-serve's page asks another site for a font

    asyncio.run(look())
    eventually(lambda: served.pages() == [])
