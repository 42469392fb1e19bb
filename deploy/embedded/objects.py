"""A small S3-compatible object store: one bucket on the local disk, reached by signed addresses alone.

PUT, GET (also in ranges), HEAD, DELETE /<bucket>/<key>   as S3 does, with X-Amz-Signature in the query
GET /healthz                                              200
The key's id and secret come from PARLEY_OBJECTS_KEY_ID and PARLEY_OBJECTS_SECRET.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import hdrs, web

from deploy.embedded.signatures import Asked, Key, SignatureError, check_signature

# What Parley names its objects; no part begins with a dot, so that no name leaves the folder.
OBJECT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,7}")
# Pages on this machine, whatever their port: the embedded edge, and a development server.
PAGES = re.compile(r"http://(localhost|127\.0\.0\.1)(:[0-9]+)?")
CHUNK_BYTES = 256 * 1024
ANY_BYTES = 1 << 40
UNFINISHED = ".unfinished"

Now = Callable[[], datetime]


class Bucket:
    """Objects as files, with their content types beside them."""

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._types = folder / "types"
        self._unfinished = folder / UNFINISHED
        for part in (self._objects, self._types, self._unfinished):
            part.mkdir(parents=True, exist_ok=True)
        # What a killed process was receiving.
        for path in self._unfinished.iterdir():
            path.unlink()

    def path(self, key: str) -> Path:
        """Where the object's bytes are, if it is there."""
        return self._objects / key

    def content_type(self, key: str) -> str:
        """As it was put."""
        path = self._types / key
        return path.read_text() if path.exists() else "application/octet-stream"

    def begin(self) -> tuple[int, Path]:
        """A file for bytes that come in, and its descriptor."""
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        return descriptor, Path(name)

    def finish(self, unfinished: Path, key: str, content_type: str, *, only_new: bool) -> bool:
        """Make the received file the object, at once; False when `only_new` and there is one."""
        for folder in (self._objects, self._types):
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
        if only_new:
            try:
                self.path(key).hardlink_to(unfinished)
            except FileExistsError:
                return False
        (self._types / key).write_text(content_type)
        if only_new:
            unfinished.unlink()
        else:
            unfinished.replace(self.path(key))
        return True

    def delete(self, key: str) -> None:
        """Remove the object. Idempotent."""
        self.path(key).unlink(missing_ok=True)
        (self._types / key).unlink(missing_ok=True)


class ObjectServer:
    """The bucket over HTTP. Of `keys` those count that are in it when a request comes."""

    def __init__(self, bucket: Bucket, name: str, keys: Collection[Key], now: Now = lambda: datetime.now(UTC)) -> None:
        self._bucket = bucket
        self._name = name
        self._keys = keys
        self._now = now

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=ANY_BYTES)
        app.router.add_get("/healthz", _healthz)
        app.router.add_route("*", "/{bucket}/{key:.+}", self._serve)
        app.on_response_prepare.append(_allow_pages)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=200)
        try:
            check_signature(_asked(request), self._keys, self._now())
        except SignatureError as error:
            return _refusal(403, error.code, str(error))
        key = request.match_info["key"]
        if request.match_info["bucket"] != self._name:
            return _refusal(404, "NoSuchBucket", "there is no such bucket")
        if not OBJECT_KEY.fullmatch(key):
            return _refusal(400, "InvalidArgument", "this store takes no such key")
        match request.method:
            case hdrs.METH_PUT:
                return await self._put(request, key)
            case hdrs.METH_GET | hdrs.METH_HEAD:
                return await self._get(request, key)
            case hdrs.METH_DELETE:
                await asyncio.to_thread(self._bucket.delete, key)
                return web.Response(status=204)
            case _:
                return _refusal(405, "MethodNotAllowed", "objects are put, got and deleted")

    async def _put(self, request: web.Request, key: str) -> web.StreamResponse:
        if request.content_length is None:
            return _refusal(411, "MissingContentLength", "say how long it is")
        only_new = request.headers.get(hdrs.IF_NONE_MATCH) == "*"
        if only_new and self._bucket.path(key).exists():
            return _refusal(412, "PreconditionFailed", "there is such an object already")
        descriptor, unfinished = await asyncio.to_thread(self._bucket.begin)
        try:
            await _receive(request, descriptor)
            content_type = request.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
            is_new = await asyncio.to_thread(self._bucket.finish, unfinished, key, content_type, only_new=only_new)
        finally:
            unfinished.unlink(missing_ok=True)
        if not is_new:
            return _refusal(412, "PreconditionFailed", "there is such an object already")
        return web.Response(status=200)

    async def _get(self, request: web.Request, key: str) -> web.StreamResponse:
        path = self._bucket.path(key)
        if not path.is_file():
            return _refusal(404, "NoSuchKey", "there is no such object")
        headers = {
            "Content-Type": request.query.get("response-content-type", self._bucket.content_type(key)),
            # Nothing that people send runs here, whatever it calls itself.
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        if disposition := request.query.get("response-content-disposition"):
            headers["Content-Disposition"] = disposition
        return web.FileResponse(path, headers=headers)


async def _receive(request: web.Request, descriptor: int) -> None:
    with os.fdopen(descriptor, "wb") as file:
        async for chunk in request.content.iter_chunked(CHUNK_BYTES):
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _allow_pages(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get(hdrs.ORIGIN, "")
    if not PAGES.fullmatch(origin):
        return
    response.headers.update(
        {
            "Access-Control-Allow-Origin": origin,
            "Vary": "Origin",
            "Access-Control-Allow-Methods": "GET, HEAD, PUT",
            "Access-Control-Allow-Headers": "content-type, if-none-match, range",
            "Access-Control-Expose-Headers": "content-disposition, content-length, content-range, etag",
            "Access-Control-Max-Age": "86400",
        }
    )


def _asked(request: web.Request) -> Asked:
    raw_path, _, raw_query = request.raw_path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(request.method, raw_path, raw_query, headers)


def _refusal(status: int, code: str, message: str) -> web.Response:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return web.Response(status=status, text=body, content_type="application/xml")


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.objects")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--bucket", required=True)
    arguments = parser.parse_args()
    key = Key(os.environ["PARLEY_OBJECTS_KEY_ID"], os.environ["PARLEY_OBJECTS_SECRET"])
    server = ObjectServer(Bucket(arguments.folder), arguments.bucket, [key])
    web.run_app(server.app(), host=arguments.host, port=arguments.port, print=None)


if __name__ == "__main__":
    main()
