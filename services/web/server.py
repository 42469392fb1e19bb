"""The HTTP side: serves the files of the build from memory."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from services.web import metrics
from services.web.core import Asset, asset_for, make_asset, security_headers

log = structlog.get_logger()

# How long a stop waits for answers that are on their way. Raising it makes stops slower; lowering it cuts answers off.
SHUTDOWN_TIMEOUT_S = 5.0


def load_assets(root: Path) -> dict[str, Asset]:
    """All files below a folder by their path in the address. Hidden files are left out."""
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    shown = [path for path in files if not any(part.startswith(".") for part in path.parts)]
    return {f"/{path.as_posix()}": make_asset(f"/{path.as_posix()}", (root / path).read_bytes()) for path in shown}


class WebServer:
    """A part of the service: listens from `start` to `stop`. GET and HEAD of files, and /healthz."""

    name = "http"

    def __init__(self, address: str, root: Path, objects_origin: str = "", sticker_hosts: Sequence[str] = ()) -> None:
        self._headers = security_headers(objects_origin, sticker_hosts)
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._root = root
        self._assets: dict[str, Asset] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Reads the build and listens. Raises OSError when the address is taken."""
        self._assets = load_assets(self._root)
        app = web.Application(middlewares=[_count])
        app.on_response_prepare.append(self._secure)
        app.add_routes([web.get("/healthz", _healthz), web.get("/{path:.*}", self._serve)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        log.info("http_listening", address=f"{self._host}:{self._port}", files=len(self._assets))

    async def stop(self) -> None:
        """Finishes the answers that are on their way."""
        if self._runner:
            await self._runner.cleanup()

    async def _secure(self, _: web.Request, response: web.StreamResponse) -> None:
        # Here, so that refusals of the server itself bear them too.
        response.headers.update(self._headers)

    async def _serve(self, request: web.Request) -> web.Response:
        asset = asset_for(self._assets, request.path)
        if asset is None:
            return web.Response(status=404, text="Not found\n")
        headers = {"Cache-Control": asset.cache_control, "ETag": asset.etag}
        if asset.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=asset.body, headers={**headers, "Content-Type": asset.content_type})
        response.enable_compression()
        return response


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        metrics.REQUESTS.labels(str(error.status)).inc()
        raise
    metrics.REQUESTS.labels(str(response.status)).inc()
    return response
