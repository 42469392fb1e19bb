"""Files go to the store as the service says, and again when it did not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from parley.messaging.v1 import attachments_pb2 as api

from parley_client import TransferError
from parley_client.client import Device
from parley_client.uploads import Uploads

BODY = b"RIFF and so on"


class Store:
    """An object store that answers as it is told, and the service in front of it."""

    def __init__(self) -> None:
        self.address = ""
        self.answers: list[int] = []
        self.put: list[tuple[bytes, str]] = []
        self.announced: list[api.CreateUploadRequest] = []

    async def take(self, request: web.Request) -> web.Response:
        self.put.append((await request.read(), request.headers.get("x-for-the-store", "")))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def CreateUpload(self, request: api.CreateUploadRequest) -> api.CreateUploadResponse:
        self.announced.append(api.CreateUploadRequest.FromString(request.SerializeToString()))
        answer = api.CreateUploadResponse(upload_url=f"{self.address}/a", headers={"x-for-the-store": "signed"})
        answer.attachment.attachment_id = "a"
        return answer

    def uploads(self) -> Uploads:
        return Uploads(cast(Device, SimpleNamespace(attachments=self)))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    app = web.Application()
    app.router.add_put("/a", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    made.address = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


async def test_a_file_is_announced_and_put_with_the_headers_of_the_service(store: Store) -> None:
    assert await store.uploads().put("a.wav", "audio/wav", BODY, length_s=1.5) == "a"
    assert store.put == [(BODY, "signed")]
    (announced,) = store.announced
    assert (announced.file_name, announced.content_type, announced.size_bytes) == ("a.wav", "audio/wav", len(BODY))
    assert announced.length.ToMilliseconds() == 1_500


async def test_a_store_that_is_down_is_asked_again_under_the_same_id(store: Store) -> None:
    store.answers = [503, 200]
    assert await store.uploads().put("a.wav", "audio/wav", BODY) == "a"
    assert len({request.client_upload_id for request in store.announced}) == 1
    assert len(store.put) == 2


async def test_what_arrived_before_is_well(store: Store) -> None:
    store.answers = [412]
    assert await store.uploads().put("a.wav", "audio/wav", BODY) == "a"


async def test_what_the_store_refuses_is_told(store: Store) -> None:
    store.answers = [403]
    with pytest.raises(TransferError) as told:
        await store.uploads().put("a.wav", "audio/wav", BODY)
    assert (told.value.status, len(store.put)) == (403, 1)


async def test_two_files_have_ids_of_their_own(store: Store) -> None:
    uploads = store.uploads()
    await asyncio.gather(uploads.put("a.wav", "audio/wav", BODY), uploads.put("a.wav", "audio/wav", BODY))
    assert len({request.client_upload_id for request in store.announced}) == 2
