"""Calls of people whose network lets nothing through but a TURN relay: a real coturn, with a grant's credentials."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.settings import PARTS
from loadtests.headless.client import Edge
from loadtests.headless.person import person
from loadtests.headless.tracks import SourceOptions
from tests.support.coturn import COTURN, Coturn, run_coturn
from tests.support.stack import RunningStack, run_stack

DEADLINE_S = 90.0

pytestmark = pytest.mark.skipif(COTURN is None, reason="no coturn here; .ci/coturn installs it")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    with run_coturn(tmp_path_factory.mktemp("coturn")) as running:
        yield running


@pytest.fixture(scope="module", params=["udp", "tls"])
def stack_behind_relay(request: pytest.FixtureRequest, relay: Coturn) -> Iterator[RunningStack]:
    """A stack that gives its clients that relay, over one transport."""
    env = {"PARLEY_TURN_URLS": relay.urls[request.param], "PARLEY_TURN_SECRET": relay.secret}
    with run_stack(f"relay-{request.param}", parts=tuple(part for part in PARTS if part != "web"), env=env) as running:
        yield running


async def test_two_people_talk_through_a_relay_and_by_no_other_way(
    stack_behind_relay: RunningStack, relay: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over TLS the clients know the relay by its certificate, as they would know a public authority.
    monkeypatch.setenv("SSL_CERT_FILE", str(relay.certificate))
    edge = Edge(stack_behind_relay.record.edge_address, stack_behind_relay.record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=5)
    allocated = relay.allocations
    async with AsyncExitStack() as cleanup:
        caller, callee = [
            await cleanup.enter_async_context(
                person(edge, f"{name}-{secrets.token_hex(4)}", source, source.tone_hz, DEADLINE_S, relay_only=True)
            )
            for name in ("caller", "callee")
        ]
        request = messaging.CreateDirectConversationRequest(peer_user_id=callee.user_id)
        conversation = (await caller.device.messaging.CreateDirectConversation(request)).conversation
        call = await caller.phone.start(conversation.conversation_id)
        await caller.phone.join_media()
        await callee.phone.until_ring(DEADLINE_S)
        await callee.phone.accept(call.call_id)
        await callee.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(DEADLINE_S) for side in (caller, callee)))
        assert relay.allocations >= allocated + 2
        await caller.phone.hang_up()
