"""The cache of the network's keys: what serves at once, what is fetched when, and what a fetch that fails leaves."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.runtime.errors import KeysUnavailable, Unauthenticated
from services.runtime.identity.auth import UserTokens
from services.runtime.identity.jwks import (
    JWKS_MAX_AGE_S,
    JWKS_MIN_INTERVAL_S,
    JWKS_REFRESH_S,
    JwksKeys,
)
from tests.support.clock import ManualClock
from tests.unit.runtime.test_auth import AUDIENCE, ISSUER, Network

WEEK_S = 7 * 86_400
# Of work that waits for nobody: what is waited for here would never come.
AT_ONCE_S = 10


class HangingNetwork(Network):
    """Answers only while `hangs` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.waiting = 0
        self.released = asyncio.Event()

    async def fetch(self) -> dict[str, Any]:
        if self.hangs:
            self.fetches += 1
            self.waiting += 1
            try:
                await self.released.wait()
            finally:
                self.waiting -= 1
        return await super().fetch()


@pytest.fixture
async def network() -> AsyncIterator[HangingNetwork]:
    network = HangingNetwork()
    yield network
    network.released.set()
    await rest()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(network: HangingNetwork, clock: ManualClock) -> UserTokens:
    # Keys are tried for weeks, and the tokens must last as long.
    return UserTokens(JwksKeys(network.fetch, clock), ISSUER, AUDIENCE, clock, max_life_s=10 * WEEK_S)


async def rest() -> None:
    """Let tasks do what they can do without waiting for anybody."""
    for _ in range(5):
        await asyncio.sleep(0)


def lasting(network: Network, clock: ManualClock, user_id: str = "alice") -> str:
    return network.token(clock, sub=user_id, exp=clock.now().timestamp() + 10 * WEEK_S)


@pytest.mark.parametrize("age_s", [JWKS_REFRESH_S + 1, JWKS_MAX_AGE_S + 1, WEEK_S])
async def test_tokens_of_a_known_key_wait_for_nobody_while_the_address_hangs(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock, age_s: float
) -> None:
    await tokens.verify(lasting(network, clock))
    network.hangs = True
    clock.advance(age_s)
    async with asyncio.timeout(AT_ONCE_S):
        found = await asyncio.gather(*(tokens.verify(lasting(network, clock, f"u{n}")) for n in range(8)))
    assert [token.user_id for token in found] == [f"u{n}" for n in range(8)]
    assert network.waiting == 1


async def test_one_fetch_in_the_background_renews_what_serves(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock
) -> None:
    await tokens.verify(lasting(network, clock))
    clock.advance(JWKS_REFRESH_S)
    await asyncio.gather(*(tokens.verify(lasting(network, clock, f"u{n}")) for n in range(8)))
    await rest()
    assert network.fetches == 2


@pytest.mark.parametrize("seen_before", [True, False])
@pytest.mark.parametrize("after_s", [JWKS_MAX_AGE_S, 6 * 3600])
async def test_a_withdrawn_key_serves_nobody_after_the_promised_time(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock, seen_before: bool, after_s: float
) -> None:
    seen, unseen = lasting(network, clock), lasting(network, clock, "bob")
    await tokens.verify(seen)
    network.rotate("two")
    clock.advance(after_s)
    with pytest.raises(Unauthenticated) as caught:
        await tokens.verify(seen if seen_before else unseen)
    assert caught.value.reason == "TOKEN_INVALID"


async def test_under_traffic_a_withdrawn_key_ends_with_the_next_refresh(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock
) -> None:
    token = lasting(network, clock)
    await tokens.verify(token)
    network.keys = {}
    clock.advance(JWKS_REFRESH_S)
    # It starts the refresh.
    await tokens.verify(token)
    await rest()
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


async def test_a_key_replaced_under_its_own_id_ends_the_tokens_of_the_old_one(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock
) -> None:
    token = lasting(network, clock)
    await tokens.verify(token)
    network.rotate("one")
    clock.advance(JWKS_MAX_AGE_S)
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


async def test_known_keys_serve_while_the_address_cannot_be_reached_and_are_asked_for_again(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock
) -> None:
    token = lasting(network, clock)
    await tokens.verify(token)
    network.reachable = False
    for _ in range(10):
        clock.advance(3600)
        assert (await tokens.verify(token)).user_id == "alice"
        await rest()
    network.reachable = True
    network.rotate("two")
    clock.advance(JWKS_MIN_INTERVAL_S)
    await tokens.verify(token)
    await rest()
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


async def test_who_comes_with_an_unknown_key_while_nobody_can_tell_may_come_again(
    tokens: UserTokens, network: HangingNetwork, clock: ManualClock
) -> None:
    network.reachable = False
    token = lasting(network, clock)
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await tokens.verify(token)
    assert network.fetches == 1
    network.reachable = True
    clock.advance(JWKS_MIN_INTERVAL_S)
    assert (await tokens.verify(token)).user_id == "alice"


async def test_a_caller_who_gives_up_does_not_end_the_fetch_of_the_others(clock: ManualClock) -> None:
    network, answer = Network(), asyncio.Event()

    async def fetch() -> dict[str, Any]:
        await answer.wait()
        return await network.fetch()

    keys = JwksKeys(fetch, clock)
    first, second = asyncio.create_task(keys.find("one")), asyncio.create_task(keys.find("one"))
    await rest()
    first.cancel()
    answer.set()
    assert await second is not None
    assert network.fetches == 1


@pytest.mark.parametrize(
    "document", [None, [], 7, "keys", {}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": "one"}]
)
async def test_what_is_no_set_of_keys_changes_nothing(clock: ManualClock, document: Any) -> None:
    network = Network()
    documents = [await network.fetch(), document]

    async def fetch() -> Any:
        return documents.pop(0)

    keys = JwksKeys(fetch, clock)
    assert await keys.find("one")
    clock.advance(JWKS_MAX_AGE_S)
    assert await keys.find("one")
    assert documents == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"kid": 7, "kty": "OKP"},
        {"kid": "x"},
        {"kid": "x", "kty": "made-up"},
        {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": "?"},
        {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kid": "x", "kty": "RSA", "n": "AQAB", "e": None},
        {"kid": "x", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kid": "x", "kty": [], "alg": {}},
    ],
)
async def test_one_key_that_cannot_be_used_costs_no_other(clock: ManualClock, entry: dict[str, Any]) -> None:
    network = Network()

    async def fetch() -> dict[str, Any]:
        return {"keys": [entry, *(await network.fetch())["keys"]]}

    keys = JwksKeys(fetch, clock)
    assert await keys.find("one")
    assert await keys.find("x") is None
