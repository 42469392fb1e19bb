"""Headless Chromium over its DevTools protocol, and a page that joins a call."""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

# Brings a user's offer to a worker and returns its answer.
Join = Callable[[str, str], Awaitable[str]]
# For a browser to start and a page to answer. Raising it: one that hangs is found later. Lowering it: a busy machine's
# browser looks like one that hangs.
_ANSWER_S = 90.0

PAGE = Path(__file__).with_name("page.html")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--remote-debugging-port=0",
)


def find() -> str | None:
    """Where Chromium is, if it is installed."""
    return os.environ.get("PARLEY_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        await self._socket.send_json({"id": number, "method": "Runtime.evaluate", "params": params})
        async with asyncio.timeout(_ANSWER_S):
            answer = await self._answers[number]
        if "exceptionDetails" in answer["result"]:
            raise AssertionError(json.dumps(answer["result"]["exceptionDetails"])[:2000])
        return answer["result"]["result"].get("value")

    async def loaded(self, function: str) -> None:
        """Wait until the page has this function; the tab's first document is an empty one."""
        async with asyncio.timeout(_ANSWER_S):
            while True:
                if await self.evaluate(f"document.readyState === 'complete' && typeof {function} === 'function'"):
                    return
                await asyncio.sleep(0.05)

    async def _read(self) -> None:
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer.get("id") in self._answers:
                self._answers[answer["id"]].set_result(answer)

    async def close(self) -> None:
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)


class Browser:
    """A Chromium process with a profile of its own, and the server of its page. `fps`: of the camera, at most 15.

    `url` is where its page is served.
    """

    def __init__(self, join: Join, fps: int = 15) -> None:
        self._join_call = join
        self._fps = fps
        self._pages: list[Page] = []

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    async def start(self) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = await asyncio.create_subprocess_exec(
            find() or "chromium",
            *FLAGS,
            f"--use-fake-device-for-media-stream=fps={self._fps}",
            f"--user-data-dir={self._profile.name}",
            "about:blank",
            stderr=asyncio.subprocess.DEVNULL,
        )
        app = web.Application()
        app.add_routes([web.get("/", self._serve_page), web.post("/join", self._join)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        self._http = aiohttp.ClientSession()
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        async with asyncio.timeout(_ANSWER_S):
            # Another process writes it: there is no event for that here.
            while not port_file.exists() or "\n" not in port_file.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        self._port = int(port_file.read_text().split()[0])

    async def open(
        self, user: str, codec: str | None = None, *, simply: bool = False, follows: bool = False, mode: str = ""
    ) -> Page:
        """A tab in which the user has joined the call; with a codec, such as "video/VP9", in that one and one layer.

        `simply`: as pages do that know nothing of Parley: one line a kind, of both directions. `follows`: it sends only
        the layers that are wanted, and in the codec that is, as the web client does. `mode`: with layers within the one
        picture, such as "L3T3_KEY".
        """
        url = f"http://127.0.0.1:{self._port}/json/new?{self.url}"
        async with self._http.put(url) as response:
            target = await response.json(content_type=None)
        page = Page(await self._http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
        self._pages.append(page)
        await page.loaded("join")
        arguments = [user] if simply else [user, codec, follows, mode]
        await page.evaluate(f"join{'Simply' * simply}({', '.join(map(json.dumps, arguments))})")
        return page

    async def stop(self) -> None:
        for page in self._pages:
            await page.close()
        await self._http.close()
        self._process.terminate()
        await self._process.wait()
        await self._runner.cleanup()
        self._profile.cleanup()

    async def _serve_page(self, _request: web.Request) -> web.Response:
        return web.Response(text=PAGE.read_text(), content_type="text/html")

    async def _join(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.Response(text=await self._join_call(body["user"], body["offer"]))
