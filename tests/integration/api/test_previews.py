"""Previews of links, through the edge. No host is asked here: tests/integration/previews has hosts of its own."""

from __future__ import annotations

import aiohttp
import grpc
import pytest
from parley.previews.v1 import previews_pb2 as api

from deploy.embedded.record import StackRecord
from tests.integration.api.conftest import World, refused


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://localhost/"])
async def test_nothing_of_this_machine_is_asked(world: World, url: str) -> None:
    device = world.device()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "URL_NOT_ALLOWED"):
        await device.previews.GetLinkPreview(api.GetLinkPreviewRequest(url=url))


async def test_it_is_there_over_plain_http_and_asks_who_comes(world: World, record: StackRecord) -> None:
    device = world.device()
    address = f"http://{record.edge_address}/v1/link-preview"
    async with aiohttp.ClientSession() as session:
        async with session.get(address, params={"url": "http://10.0.0.1/"}) as response:
            assert response.status == 401
        headers = {"authorization": f"Bearer {await device.tokens.token()}"}
        async with session.get(address, params={"url": "http://10.0.0.1/"}, headers=headers) as response:
            assert response.status == 400
            assert "URL_NOT_ALLOWED" in await response.text()
