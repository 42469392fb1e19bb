"""Service tokens: one key speaks for one service, for a short time, to one other; keys change while services run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy import identities
from services.runtime.env import ConfigError
from services.runtime.errors import Unauthenticated
from services.runtime.identity.auth import SERVICE_KIND, SERVICE_TOKEN_TTL_S, ServiceTokens
from services.runtime.identity.callers import IDENTITIES
from services.runtime.identity.service_keys import ServiceKeys, read_public
from services.sfu.core.errors import JoinTokenInvalid
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import JwtJoinTokens
from tests.support.clock import ManualClock
from tests.support.identities import FOLDER, keys_of, sign, tokens_of

AUDIENCE = "parley.messaging.v1.MembershipService"


def claims(clock: ManualClock, service: str = "gateway", **changes: Any) -> dict[str, Any]:
    now, subject = int(clock.now().timestamp()), f"service:{service}"
    good = {"iss": subject, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + SERVICE_TOKEN_TTL_S}
    return {name: value for name, value in (good | changes).items() if value is not None}


def refuse(clock: ManualClock, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens_of("messaging", clock).verify(token, AUDIENCE)
    assert caught.value.reason == "TOKEN_INVALID"


@pytest.mark.parametrize("service", IDENTITIES)
def test_a_service_is_known_by_its_own_key(service: str) -> None:
    clock = ManualClock()
    assert tokens_of("messaging", clock).verify(tokens_of(service, clock).token(AUDIENCE), AUDIENCE) == service
    assert (
        tokens_of("messaging", clock).verify(sign(service, claims(clock, service), SERVICE_KIND), AUDIENCE) == service
    )


@pytest.mark.parametrize("owner", IDENTITIES)
@pytest.mark.parametrize("claimed", [*IDENTITIES, "messaging", "nobody", ""])
def test_a_key_speaks_for_nobody_but_its_owner(owner: str, claimed: str) -> None:
    clock = ManualClock()
    if claimed != owner:
        refuse(clock, sign(owner, claims(clock, claimed), SERVICE_KIND))


NOW = int(ManualClock().now().timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 10**9},
        {"exp": NOW + SERVICE_TOKEN_TTL_S + 1},
        {"iat": None},
        {"iat": NOW - 1},
        {"iat": NOW + 3600, "exp": NOW + 3601},
        {"exp": NOW},
        {"exp": NOW - 10},
        {"exp": None},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"iat": "now"},
        {"iat": True},
        {"nbf": NOW + 3600},
        {"iss": None},
        {"iss": "service:signaling"},
        {"sub": None},
        {"sub": "gateway"},
        {"sub": ["service:gateway"]},
        {"aud": None},
        {"aud": "parley-internal"},
        {"aud": "parley.sfu.v1.SfuService"},
        {"aud": [AUDIENCE, "parley.sfu.v1.SfuService"]},
    ],
)
def test_claims_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    clock = ManualClock()
    refuse(clock, sign("gateway", claims(clock, **changes), SERVICE_KIND))


def test_what_is_no_signature_of_ours_is_refused(tmp_path: Path) -> None:
    clock = ManualClock()
    identities.write(tmp_path, identities.key_sets())
    kid = keys_of("gateway").signing_key_id()
    headers = {"kid": kid, "typ": SERVICE_KIND}
    keys = read_public((FOLDER / f"{identities.PUBLIC}.json").read_text())
    public = keys[kid].public.public_bytes_raw()
    for token in (
        "",
        "a.b.c",
        "x" * 9_000,
        jwt.encode(claims(clock), b"k" * 32, "HS256"),
        # The public key taken for a shared one.
        jwt.encode(claims(clock), public, "HS256", headers=headers),
        jwt.encode(claims(clock), "", "none", headers=headers),
        sign("gateway", claims(clock), SERVICE_KIND, tmp_path),
        sign("gateway", claims(clock), SERVICE_KIND, tmp_path, kid=kid),
        sign("gateway", claims(clock), SERVICE_KIND, kid=keys_of("signaling").signing_key_id()),
        sign("gateway", claims(clock), SERVICE_KIND, kid=""),
        sign("gateway", claims(clock), "JWT"),
        sign("signaling", claims(clock, "signaling"), "parley-join+jwt"),
    ):
        refuse(clock, token)


@pytest.mark.parametrize("service", ["presence", "sfu"])
def test_who_calls_nobody_has_no_key_to_sign_with(service: str) -> None:
    assert service not in IDENTITIES
    with pytest.raises(LookupError):
        tokens_of(service).token(AUDIENCE)


def test_a_service_token_admits_to_no_media() -> None:
    clock = ManualClock()
    more = {"aud": "parley-sfu", "iss": "parley-signaling", "sub": "ann", "call": "c", "device": "d", "worker": "w"}
    token = sign("signaling", claims(clock, **more, jti="1"), SERVICE_KIND)
    with pytest.raises(JoinTokenInvalid):
        JwtJoinTokens(keys_of("sfu"), WorkerId("w"), clock).verify(token)


def test_keys_are_replaced_without_a_restart_and_without_a_refused_call(tmp_path: Path) -> None:
    """At each step the files of the two sides are replaced one by one, in either order."""
    clock = ManualClock()
    old, new = identities.new_key("gateway"), identities.new_key("gateway")
    first = identities.written({"gateway": [old]})
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        identities.write(folder, first)
    caller, called = tokens_of("gateway", clock, ours), tokens_of("messaging", clock, theirs)
    before = caller.token(AUDIENCE)

    def call() -> None:
        assert called.verify(caller.token(AUDIENCE), AUDIENCE) == "gateway"

    # First everybody knows the new key, then its owner signs with it, then nobody knows the old one.
    for keys in ([old, new], [new, old], [new]):
        for folder in (ours, theirs):
            identities.write(folder, identities.written({"gateway": keys}))
            call()
    assert jwt.get_unverified_header(caller.token(AUDIENCE))["kid"] == new["kid"]
    with pytest.raises(Unauthenticated):
        called.verify(before, AUDIENCE)


PRIVATE = identities.new_key("gateway")
PUBLIC = {name: value for name, value in PRIVATE.items() if name != "d"}


@pytest.mark.parametrize(
    "public",
    [
        "",
        "{",
        "[]",
        '{"keys": []}',
        '{"keys": [7]}',
        json.dumps({"keys": [PUBLIC, PUBLIC]}),
        json.dumps({"keys": [PRIVATE]}),
        json.dumps({"keys": [PUBLIC | {"kid": ""}]}),
        json.dumps({"keys": [PUBLIC | {"parley_service": None}]}),
        json.dumps({"keys": [PUBLIC | {"x": "short"}]}),
        json.dumps({"keys": [PUBLIC | {"crv": "P-256"}]}),
        json.dumps({"keys": [{"kty": "oct", "k": "a2tr", "kid": "a", "parley_service": "gateway"}]}),
    ],
)
def test_a_faulty_file_stops_a_start_and_changes_nothing_later(tmp_path: Path, public: str) -> None:
    folder = tmp_path / "keys"
    identities.write(folder, identities.key_sets())
    running = tokens_of("messaging", folder=folder)
    token = tokens_of("gateway", folder=folder).token(AUDIENCE)
    identities.write(folder, {"public": public})
    assert running.verify(token, AUDIENCE) == "gateway"
    with pytest.raises(ConfigError) as caught:
        ServiceKeys("messaging", str(folder / "public.json"))
    assert PRIVATE["d"] not in str(caught.value)


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_a_key_that_is_lost_serves_on_until_the_end(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    identities.write(tmp_path, identities.key_sets())
    ours, theirs = tokens_of("gateway", folder=tmp_path), tokens_of("messaging", folder=tmp_path)
    for name in ("gateway.json", "public.json"):
        spoil(tmp_path / name)
    assert theirs.verify(ours.token(AUDIENCE), AUDIENCE) == "gateway"


def test_a_service_does_not_start_with_the_key_of_another(tmp_path: Path) -> None:
    identities.write(tmp_path, identities.key_sets())
    with pytest.raises(ConfigError):
        ServiceKeys("gateway", str(tmp_path / "public.json"), str(tmp_path / "signaling.json"))


def test_tokens_are_made_once_for_each_that_is_called(tmp_path: Path) -> None:
    tokens: ServiceTokens = tokens_of("signaling", ManualClock())
    one, other = tokens.token("a"), tokens.token("b")
    assert (tokens.token("a"), tokens.token("b")) == (one, other)
    assert one != other
