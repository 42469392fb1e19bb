"""Previews of links, as a program asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.previews.v1 import previews_pb2 as api
from parley.previews.v1 import previews_pb2_grpc

from parley_client.asking import Failure
from parley_client.client import AccessToken, Device, Edge, TokenSource
from parley_client.previews import Previews
from services.previews.core.errors import AddressNotAllowed, PreviewsOff, TooManyFetches
from services.previews.rpc import ERRORS
from services.runtime.errors import DETAILS_KEY, find_refusal, status_details

URL = "https://page.example/"


class Service(previews_pb2_grpc.PreviewsServiceServicer):
    """Answers, or refuses as the service does."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.title = "T"
        self.asked = 0

    async def GetLinkPreview(self, request: api.GetLinkPreviewRequest, context: Any) -> api.GetLinkPreviewResponse:
        self.asked += 1
        if self.error:
            refusal = find_refusal(ERRORS, self.error)
            assert refusal
            status = status_details(refusal, self.error)
            await context.abort(refusal.code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
        return api.GetLinkPreviewResponse(url=request.url, title=self.title)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def previews(service: Service) -> AsyncIterator[Previews]:
    server = grpc.aio.server()
    previews_pb2_grpc.add_PreviewsServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def login(_user_id: str) -> AccessToken:
        return AccessToken("t", float("inf"))

    device = Device(Edge(f"127.0.0.1:{port}", ""), "alice", "alice-phone", TokenSource("alice", login))
    yield Previews(device)
    await device.close()
    await server.stop(0)


async def test_a_preview_is_given(previews: Previews) -> None:
    assert await previews.get(URL) == api.GetLinkPreviewResponse(url=URL, title="T")


async def test_that_there_is_none_is_no_failure(previews: Previews, service: Service) -> None:
    service.title = ""
    assert await previews.get(URL) is None


async def test_nor_is_that_none_are_made(previews: Previews, service: Service) -> None:
    service.error = PreviewsOff()
    assert await previews.get(URL) is None


@pytest.mark.parametrize(
    ("error", "reason", "field"),
    [(AddressNotAllowed("x"), "URL_NOT_ALLOWED", "url"), (TooManyFetches("x"), "TOO_MANY_FETCHES", "")],
)
async def test_other_refusals_are_told_at_once(
    previews: Previews, service: Service, error: Exception, reason: str, field: str
) -> None:
    service.error = error
    with pytest.raises(Failure) as failed:
        await previews.get(URL)
    assert (failed.value.reason, failed.value.field) == (reason, field)
    assert service.asked == 1
