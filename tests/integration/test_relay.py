"""Calls of people whose network lets nothing through but a TURN relay: a real coturn, with a grant's credentials."""

from __future__ import annotations

import pytest

from tests.support.coturn import Coturn
from tests.support.stack import RunningStack
from tests.support.talk import talking

pytestmark = pytest.mark.coturn


@pytest.mark.parametrize("scheme", ["turn", "turns"])
async def test_two_people_talk_through_a_relay_and_by_no_other_way(
    stack: RunningStack, turn: Coturn, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over TLS the clients know the relay by its certificate, as they would know a public authority.
    monkeypatch.setenv("SSL_CERT_FILE", str(turn.certificate))
    allocated = turn.allocations
    async with talking(stack.record, pictures_per_s=5, relay=scheme) as talk:
        assert turn.allocations >= allocated + 2
        await talk.sides[0].phone.hang_up()
