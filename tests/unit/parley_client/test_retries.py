"""Trying again as the server asks."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from parley_client.error_details import fields_of, reason_of, retry_delay_s
from parley_client.retries import retrying


def refusal(*, asks_to_wait: bool) -> grpc.aio.AioRpcError:
    """A refusal as our services give it, with a delay of 1 ms or none."""
    status = status_pb2.Status(code=8, message="no")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="NO_MEDIA_WORKER", domain="parley"))
    if asks_to_wait:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(nanos=1_000_000)))
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), trailers, "no")


class Server:
    """Refuses as often as it is told, then answers."""

    def __init__(self, *refusals: grpc.aio.AioRpcError) -> None:
        self._refusals = list(refusals)
        self.calls = 0

    async def call(self) -> str:
        self.calls += 1
        if self._refusals:
            raise self._refusals.pop()
        return "answer"


async def test_a_refusal_that_asks_to_wait_is_tried_again() -> None:
    server = Server(refusal(asks_to_wait=True), refusal(asks_to_wait=True))
    assert await retrying(server.call) == "answer"
    assert server.calls == 3


async def test_a_refusal_that_asks_for_nothing_is_passed_on() -> None:
    server = Server(refusal(asks_to_wait=False))
    with pytest.raises(grpc.aio.AioRpcError):
        await retrying(server.call)
    assert server.calls == 1


async def test_the_tries_have_an_end() -> None:
    server = Server(*(refusal(asks_to_wait=True) for _ in range(20)))
    with pytest.raises(grpc.aio.AioRpcError):
        await retrying(server.call)
    assert server.calls == 6


def test_what_a_refusal_says_is_read_from_its_details() -> None:
    error = refusal(asks_to_wait=True)
    assert (reason_of(error), fields_of(error), retry_delay_s(error)) == ("NO_MEDIA_WORKER", [], 0.001)


def test_a_refusal_of_the_edge_says_nothing_more() -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "reset")
    assert (reason_of(error), fields_of(error), retry_delay_s(error)) == ("", [], 0.0)
