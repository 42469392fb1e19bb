import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.errors import AccountDeleted, InvalidRequest, Unauthenticated
from services.runtime.identity.accounts import Accounts, Standing
from services.runtime.identity.auth import UserTokens, bearer_token
from services.runtime.identity.jwks import JwksKeys
from tests.support.clock import ManualClock
from tests.support.identities import tokens_of

ISSUER, AUDIENCE = "https://network.example", "parley"

AUDIENCE = "parley.sfu.v1.SfuService"


class Network:
    """A social network's issuer, with keys that can change."""

    def __init__(self) -> None:
        self.fetches = 0
        self.reachable = True
        self.keys: dict[str, Any] = {}
        self.rotate("one")

    def rotate(self, key_id: str) -> None:
        self.keys = {key_id: Ed25519PrivateKey.generate()}

    async def fetch(self) -> dict[str, Any]:
        self.fetches += 1
        if not self.reachable:
            raise OSError("unreachable")
        return {"keys": [self._jwk(key_id, key) for key_id, key in self.keys.items()]}

    def token(self, clock: ManualClock, **changes: Any) -> str:
        key_id, key = next(iter(self.keys.items()))
        now = clock.now().timestamp()
        claims = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60} | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
        return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": key_id})

    def _jwk(self, key_id: str, key: Any) -> dict[str, Any]:
        kind, name = (OKPAlgorithm, "EdDSA") if isinstance(key, Ed25519PrivateKey) else (RSAAlgorithm, "RS256")
        return {**json.loads(kind.to_jwk(key.public_key())), "kid": key_id, "alg": name, "use": "sig"}


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(network: Network, clock: ManualClock) -> UserTokens:
    return UserTokens(JwksKeys(network.fetch, clock), ISSUER, AUDIENCE, clock)


async def refused(tokens: UserTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await tokens.verify(token)
    return caught.value.reason


async def test_a_good_token_gives_its_user(tokens: UserTokens, network: Network, clock: ManualClock) -> None:
    assert (await tokens.verify(network.token(clock))).user_id == "alice"


async def test_rs256_is_accepted(tokens: UserTokens, network: Network, clock: ManualClock) -> None:
    network.keys = {"rsa": generate_private_key(public_exponent=65537, key_size=2048)}
    assert (await tokens.verify(network.token(clock))).user_id == "alice"


async def test_a_token_expires_even_when_it_was_seen_before(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    token = network.token(clock)
    await tokens.verify(token)
    clock.advance(60 + CLOCK_SKEW_S)
    assert await refused(tokens, token) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"iss": "https://other.example"},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": "x" * 65},
        {"sub": "ä"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iat": "now"},
        {"nbf": [1]},
        {"iat": True},
        {"iat": float("-inf")},
        {"iat": -1e308},
        {"device_id": 7},
        {"device_id": "a b"},
        {"device_id": "x" * 65},
        {"device_id": ["phone-01"]},
    ],
)
async def test_a_token_with_wrong_claims_is_refused(
    tokens: UserTokens, network: Network, clock: ManualClock, changes: dict[str, Any]
) -> None:
    assert await refused(tokens, network.token(clock, **changes)) == "TOKEN_INVALID"


@pytest.mark.parametrize("life_s", [86_400 + 1, 30 * 86_400, 1e12])
@pytest.mark.parametrize("issued_s_ago", [0, 3_600, 10 * 86_400])
async def test_a_token_that_lives_too_long_is_refused_whenever_it_was_issued(
    tokens: UserTokens, network: Network, clock: ManualClock, life_s: float, issued_s_ago: float
) -> None:
    issued_at = clock.now().timestamp() - issued_s_ago
    assert await refused(tokens, network.token(clock, iat=issued_at, exp=issued_at + life_s)) == "TOKEN_INVALID"


async def test_a_token_that_does_not_say_when_it_was_issued_counts_as_old_as_it_can_be(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    now = clock.now().timestamp()
    assert (await tokens.verify(network.token(clock, iat=None, exp=now + 60))).issued_at == now + 60 - 86_400
    assert (await tokens.verify(network.token(clock, iat=None, exp=now + 86_400))).issued_at == now
    for later_s in (86_400 + CLOCK_SKEW_S + 1, 31 * 365 * 86_400):
        assert await refused(tokens, network.token(clock, iat=None, exp=now + later_s)) == "TOKEN_INVALID"


async def test_a_token_of_the_longest_life_is_good(tokens: UserTokens, network: Network, clock: ManualClock) -> None:
    now = clock.now().timestamp()
    token = await tokens.verify(network.token(clock, iat=now, exp=now + 86_400, device_id="phone-01"))
    assert (token.issued_at, token.expires_at, token.device_id) == (now, now + 86_400, "phone-01")


async def test_the_longest_life_is_configured(network: Network, clock: ManualClock) -> None:
    strict = UserTokens(JwksKeys(network.fetch, clock), ISSUER, AUDIENCE, clock, max_life_s=59)
    assert await refused(strict, network.token(clock)) == "TOKEN_INVALID"


async def test_without_a_device_claim_tokens_name_no_device(network: Network, clock: ManualClock) -> None:
    tokens = UserTokens(JwksKeys(network.fetch, clock), ISSUER, AUDIENCE, clock, device_claim="")
    assert (await tokens.verify(network.token(clock, device_id=7))).device_id == ""


async def test_a_token_of_another_device_is_not_taken_for_the_one_that_is_named(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    bound = await tokens.verify(network.token(clock, device_id="phone-01"))
    bound.require_device("phone-01")
    with pytest.raises(InvalidRequest):
        bound.require_device("tablet-1")
    (await tokens.verify(network.token(clock))).require_device("tablet-1")


async def test_a_known_token_is_refused_from_the_moment_it_is_revoked(network: Network, clock: ManualClock) -> None:
    accounts = Accounts(clock, 86_400)
    tokens = UserTokens(JwksKeys(network.fetch, clock), ISSUER, AUDIENCE, clock, accounts)
    token = network.token(clock)
    await tokens.verify(token)
    accounts.note("alice", Standing(valid_from=clock.now().timestamp() + 1))
    assert await refused(tokens, token) == "TOKEN_REVOKED"
    clock.advance(1)
    await tokens.verify(network.token(clock))
    accounts.note("alice", Standing(deleted=True))
    with pytest.raises(AccountDeleted):
        await tokens.verify(network.token(clock))


async def test_a_foreign_key_is_refused_even_under_a_known_id(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    await tokens.verify(network.token(clock))
    forged = jwt.encode(
        {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": clock.now().timestamp() + 60},
        Ed25519PrivateKey.generate(),
        algorithm="EdDSA",
        headers={"kid": "one"},
    )
    assert await refused(tokens, forged) == "TOKEN_INVALID"


async def test_the_public_key_does_not_serve_as_a_shared_secret(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    public = network.keys["one"].public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    claims = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": clock.now().timestamp() + 60}
    forged = jwt.encode(claims, public, algorithm="HS256", headers={"kid": "one"})
    assert await refused(tokens, forged) == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", base64.b64encode(b"\xff" * 40).decode(), "é.é.é"])
async def test_what_is_no_token_is_refused(tokens: UserTokens, token: str) -> None:
    assert await refused(tokens, token) == "TOKEN_INVALID"


async def test_an_unsigned_token_is_refused(tokens: UserTokens, clock: ManualClock) -> None:
    claims = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": clock.now().timestamp() + 60}
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})
    assert await refused(tokens, unsigned) == "TOKEN_INVALID"


async def test_a_rotated_key_is_fetched_when_its_first_token_comes(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    await tokens.verify(network.token(clock))
    network.rotate("two")
    clock.advance(2)
    assert (await tokens.verify(network.token(clock))).user_id == "alice"


async def test_forged_key_ids_cause_few_fetches(tokens: UserTokens, network: Network, clock: ManualClock) -> None:
    for number in range(50):
        token = jwt.encode({"sub": "x"}, "s" * 32, algorithm="HS256", headers={"kid": str(number)})
        await refused(tokens, token)
    assert network.fetches == 1


def test_service_tokens_are_renewed_before_they_expire(clock: ManualClock) -> None:
    tokens = tokens_of("signaling", clock)
    first = tokens.token(AUDIENCE)
    clock.advance(200)
    second = tokens.token(AUDIENCE)
    assert second != first
    clock.advance(100 + CLOCK_SKEW_S)
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(first, AUDIENCE)
    assert caught.value.reason == "TOKEN_EXPIRED"
    assert tokens.verify(second, AUDIENCE) == "signaling"


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_an_issuer_whose_clock_is_a_bit_ahead_is_believed_and_no_other(
    tokens: UserTokens, network: Network, clock: ManualClock, claim: str
) -> None:
    now = clock.now().timestamp()
    for ahead_s in (2, CLOCK_SKEW_S):
        assert (await tokens.verify(network.token(clock, **{claim: now + ahead_s}))).user_id == "alice"
    assert await refused(tokens, network.token(clock, **{claim: now + CLOCK_SKEW_S + 1})) == "TOKEN_INVALID"


async def test_a_token_serves_as_long_as_it_may_be_good_by_another_clock(
    tokens: UserTokens, network: Network, clock: ManualClock
) -> None:
    token = network.token(clock)
    clock.advance(60 + CLOCK_SKEW_S - 1)
    assert (await tokens.verify(token)).user_id == "alice"


@pytest.mark.parametrize("ahead_s", [-CLOCK_SKEW_S, CLOCK_SKEW_S])
def test_service_tokens_pass_between_hosts_whose_clocks_differ(clock: ManualClock, ahead_s: int) -> None:
    other = ManualClock(clock.now())
    other.step(ahead_s)
    ours, theirs = tokens_of("signaling", clock), tokens_of("gateway", other)
    for _ in range(4):
        assert theirs.verify(ours.token(AUDIENCE), AUDIENCE) == "signaling"
        assert ours.verify(theirs.token(AUDIENCE), AUDIENCE) == "gateway"
        clock.advance(140)
        other.advance(140)


@pytest.mark.parametrize("by_s", [-3600, 3600])
def test_a_host_whose_clock_was_set_right_makes_tokens_that_are_good_at_once(clock: ManualClock, by_s: int) -> None:
    right = ManualClock(clock.now())
    clock.step(-by_s)
    ours, theirs = tokens_of("signaling", clock), tokens_of("sfu", right)
    ours.token(AUDIENCE)
    clock.step(by_s)
    assert theirs.verify(ours.token(AUDIENCE), AUDIENCE) == "signaling"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic abc"])
def test_a_missing_token_is_told_apart(value: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_token({"authorization": value})
    assert caught.value.reason == "TOKEN_MISSING"
