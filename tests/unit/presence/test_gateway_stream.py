import pytest

from services.presence.core.model import RegisterAck
from services.presence.gateway_stream import GatewayStream, GatewayTooSlow


def ack(number: int) -> RegisterAck:
    return RegisterAck((number,))


async def test_a_link_gives_its_frames_in_order_until_it_is_closed() -> None:
    stream = GatewayStream(10)
    for number in range(3):
        assert stream.push(ack(number))
    stream.close()
    assert [batch async for batch in stream.batches()] == [[ack(0), ack(1), ack(2)]]


async def test_a_link_that_overflows_ends_at_once_and_says_so() -> None:
    stream = GatewayStream(2)
    assert [stream.push(ack(number)) for number in range(4)] == [True, True, False, False]
    with pytest.raises(GatewayTooSlow):
        await anext(stream.batches())
