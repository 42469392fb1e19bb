"""Calls of people whose network lets nothing through but a TURN relay: a real coturn, with a grant's credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded.settings import PARTS
from tests.support.coturn import COTURN, Coturn, run_coturn
from tests.support.stack import RunningStack, run_stack
from tests.support.talk import talking
from tests.support.waiting import PATIENCE_S

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
    allocated = relay.allocations
    record = stack_behind_relay.record
    async with talking(record, pictures_per_s=5, deadline_s=PATIENCE_S, relay_only=True) as talk:
        assert relay.allocations >= allocated + 2
        await talk.sides[0].phone.hang_up()
