"""The object store's key is replaced while files are put and got: both are valid for a while, then the old one ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from deploy.embedded.objects import UNFINISHED
from deploy.embedded.signatures import Key
from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.ports import SignedPut
from services.messaging.kernel.errors import ObjectsUnavailable
from services.runtime.clock import SystemClock
from services.runtime.ids import new_id
from tests.support.attachments import object_endpoint, s3_objects
from tests.support.rotation import Load, Serving, load
from tests.support.waiting import eventually

OLD, NEW = Key("old", "the old secret"), Key("new", "the new secret")
TTL = timedelta(minutes=5)
TEXT = "text/plain"
DATA = b"0123456789"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def put(http: aiohttp.ClientSession, to: SignedPut, data: bytes | AsyncIterator[bytes] = DATA) -> int:
    headers = {**to.headers, "content-length": str(len(DATA))}
    async with http.put(URL(to.url, encoded=True), headers=headers, data=data) as response:
        return response.status


async def get(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(URL(url, encoded=True)) as response:
        await response.read()
        return response.status


def get_address(objects: S3Objects, name: str) -> str:
    return objects.sign_get(name, TTL, content_type=TEXT, disposition="inline")


async def share_a_file(http: aiohttp.ClientSession, serving: Serving[S3Objects]) -> None:
    """As two devices and messaging do: announced, put, looked for, got, deleted."""
    name = str(new_id(SystemClock().now()))
    with serving.one() as objects:
        assert await put(http, objects.sign_put(name, TEXT, len(DATA), TTL)) == 200
        assert await objects.size_of(name) == len(DATA)
        assert await get(http, get_address(objects, name)) == 200
        await objects.delete(name)


@asynccontextmanager
async def upload_that_waits(http: aiohttp.ClientSession, to: SignedPut) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A part of it was sent; the rest follows when its status is asked for."""
    rest = asyncio.Event()

    async def data() -> AsyncIterator[bytes]:
        yield DATA[:1]
        await rest.wait()
        yield DATA[1:]

    async def finish() -> int:
        rest.set()
        return await upload

    upload = asyncio.create_task(put(http, to, data()))
    try:
        yield finish
    finally:
        rest.set()
        await asyncio.wait({upload})


async def is_let_in(folder: Path, files: Load) -> bool:
    """Whether the store has an unfinished file that outlives each of the load's."""
    before = set(await asyncio.to_thread(os.listdir, folder / UNFINISHED))
    await files.goes_on("an upload that waits")
    return bool(before & set(await asyncio.to_thread(os.listdir, folder / UNFINISHED)))


async def test_files_come_and_go_while_the_key_is_replaced(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    keys = [OLD]
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(object_endpoint(tmp_path, keys))
        old, new = s3_objects(endpoint, OLD), s3_objects(endpoint, NEW)
        for objects in (old, new):
            await objects.start()
            stack.push_async_callback(objects.stop)
        serving = Serving(old)
        files = await stack.enter_async_context(load(lambda: share_a_file(http, serving)))
        assert not await new.ready()
        keys.append(NEW)
        assert await new.ready()
        await files.goes_on("a second key")
        early, late, too_late = (old.sign_put(name, TEXT, len(DATA), TTL) for name in ("early", "late", "too-late"))
        await serving.replace(new)
        await files.goes_on("a rollout to it")
        assert await put(http, early) == 200
        assert await get(http, get_address(old, "early")) == 200
        async with upload_that_waits(http, late) as finish:
            await eventually(lambda: is_let_in(tmp_path, files), what="an upload that is let in")
            keys.remove(OLD)
            await files.goes_on("the end of the old key")
            assert await finish() == 200
        assert await put(http, too_late) == 403
        assert await get(http, get_address(old, "early")) == 403
        assert await get(http, get_address(new, "early")) == 200
        assert await new.size_of("late") == len(DATA)
        with pytest.raises(ObjectsUnavailable):
            await old.size_of("early")
        assert not await old.ready()
