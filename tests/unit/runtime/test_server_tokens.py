"""Servers' tokens: a key speaks for one server, which may do what the file of keys says, for a short time, to one
service; keys change while services run."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy import server_keys
from services.runtime.env import ConfigError
from services.runtime.errors import CallerNotAllowed, RateLimited, Unauthenticated
from services.runtime.identity import callers, roles, scopes
from services.runtime.identity.auth import SERVICE_KIND
from services.runtime.identity.server_keys import SERVER_TOKEN_MAX_LIFE_S, Server, ServerTokens, read_servers
from services.runtime.limits.server_limits import ServerLimits
from tests.support import identities
from tests.support.clock import ManualClock
from tests.support.servers import claims, sign, tokens_of, written

MESSAGING = "parley.messaging.v1.ServerMessagingService"
NOW = int(ManualClock().now().timestamp())
BOT = server_keys.new_key("bot", ["messages:send"], ["greeter"], 30)
OTHER = server_keys.new_key("other", scopes.ALL, "*")


def refuse(tokens: ServerTokens, token: str, reason: str = "TOKEN_INVALID") -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token, MESSAGING)
    assert caught.value.reason == reason


def test_a_server_is_what_the_file_says_of_its_key(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path, ManualClock(), BOT, OTHER)
    told = claims(BOT, NOW, MESSAGING, parley_scopes=sorted(scopes.ALL), scope="moderation:write", parley_acts_as="*")
    expected = Server("bot", frozenset({"messages:send"}), frozenset({"greeter"}), 30)
    assert tokens.verify(sign(BOT, told), MESSAGING) == expected
    assert tokens.verify(sign(OTHER, claims(OTHER, NOW, MESSAGING)), MESSAGING) == Server("other", scopes.ALL, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + SERVER_TOKEN_MAX_LIFE_S + 1},
        {"exp": NOW + 10**9},
        {"exp": None},
        {"exp": NOW},
        {"exp": "soon"},
        {"iat": None},
        {"iat": NOW - 1},
        {"iat": NOW + 3600, "exp": NOW + 3601},
        {"nbf": NOW + 3600},
        {"iss": None},
        {"sub": None},
        {"iss": "server:other", "sub": "server:other"},
        {"sub": "bot"},
        {"iss": "service:bot", "sub": "service:bot"},
        {"aud": None},
        {"aud": "parley"},
        {"aud": "parley.messaging.v1.ModerationService"},
        {"aud": [MESSAGING, "parley.messaging.v1.ModerationService"]},
    ],
)
def test_claims_out_of_bounds_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    refuse(tokens_of(tmp_path, ManualClock(), BOT, OTHER), sign(BOT, claims(BOT, NOW, MESSAGING, **changes)))


def test_an_expired_token_is_told_so(tmp_path: Path) -> None:
    clock = ManualClock()
    tokens, token = tokens_of(tmp_path, clock, BOT), sign(BOT, claims(BOT, NOW, MESSAGING))
    tokens.verify(token, MESSAGING)
    clock.advance(SERVER_TOKEN_MAX_LIFE_S + 60)
    refuse(tokens, token, "TOKEN_EXPIRED")


def test_what_is_no_signature_of_a_server_is_refused(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path, ManualClock(), BOT, OTHER)
    said = claims(BOT, NOW, MESSAGING)
    stranger = server_keys.new_key("bot", scopes.ALL, "*")
    for token in (
        "",
        "a.b.c",
        "x" * 9_000,
        jwt.encode(said, b"k" * 32, "HS256"),
        jwt.encode(said, "", "none", headers={"kid": BOT["kid"], "typ": "parley-server+jwt"}),
        sign(stranger, said),
        sign(stranger, said, kid=BOT["kid"]),
        sign(BOT, said, kid=OTHER["kid"]),
        sign(BOT, said, kid=""),
        sign(BOT, said, "JWT"),
        sign(BOT, said, SERVICE_KIND),
        identities.tokens_of("gateway", ManualClock()).token(MESSAGING),
        identities.sign("gateway", said, "parley-server+jwt"),
    ):
        refuse(tokens, token)


def test_a_servers_token_is_no_service_token(tmp_path: Path) -> None:
    said = claims(BOT, NOW, MESSAGING)
    for kind in ("parley-server+jwt", SERVICE_KIND):
        with pytest.raises(Unauthenticated):
            identities.tokens_of("messaging", ManualClock()).verify(sign(BOT, said, kind), MESSAGING)


def test_keys_are_replaced_and_taken_away_without_a_restart(tmp_path: Path) -> None:
    new = server_keys.new_key("bot", ["messages:read"])
    tokens = tokens_of(tmp_path, ManualClock(), BOT)
    before, after = (sign(key, claims(key, NOW, MESSAGING)) for key in (BOT, new))
    refuse(tokens, after)
    written(tmp_path, BOT, new)
    assert [tokens.verify(token, MESSAGING).scopes for token in (before, after)] == [
        {"messages:send"},
        {"messages:read"},
    ]
    written(tmp_path, new)
    refuse(tokens, before)
    tokens.verify(after, MESSAGING)
    # Nobody is left.
    written(tmp_path)
    refuse(tokens, after)


PUBLIC = server_keys.public_of(BOT)


@pytest.mark.parametrize(
    "keys",
    [
        [7],
        [PUBLIC, PUBLIC],
        [BOT],
        [PUBLIC | {"kid": ""}],
        [PUBLIC | {"x": "short"}],
        [PUBLIC | {"parley_server": None}],
        [PUBLIC | {"parley_server": "Support Bot"}],
        [PUBLIC | {"parley_server": "b" * 41}],
        [PUBLIC | {"parley_scopes": None}],
        [PUBLIC | {"parley_scopes": "messages:send"}],
        [PUBLIC | {"parley_scopes": ["messages:sent"]}],
        [PUBLIC | {"parley_scopes": [7]}],
        [PUBLIC | {"parley_acts_as": "greeter"}],
        [PUBLIC | {"parley_acts_as": ["*"]}],
        [PUBLIC | {"parley_acts_as": ["a user"]}],
        [PUBLIC | {"parley_acts_as": None}],
        [PUBLIC | {"parley_calls_per_minute": 0}],
        [PUBLIC | {"parley_calls_per_minute": True}],
        [PUBLIC | {"parley_calls_per_minute": "30"}],
        [PUBLIC | {"parley_calls_per_minute": 10**9}],
    ],
)
def test_a_faulty_file_stops_a_start_and_changes_nothing_later(tmp_path: Path, keys: list[Any]) -> None:
    running = tokens_of(tmp_path, ManualClock(), BOT)
    token = sign(BOT, claims(BOT, NOW, MESSAGING))
    path = tmp_path / "public.json"
    path.write_text(json.dumps({"keys": keys}))
    assert running.verify(token, MESSAGING).name == "bot"
    with pytest.raises(ConfigError) as caught:
        ServerTokens(str(path), ManualClock())
    assert BOT["d"] not in str(caught.value)


def test_what_a_key_does_not_say_it_does_not_have() -> None:
    bare = {name: value for name, value in PUBLIC.items() if name not in ("parley_acts_as", "parley_calls_per_minute")}
    (key,) = read_servers(json.dumps({"keys": [bare]})).values()
    assert (key.server.accounts, key.server.calls_per_minute) == (frozenset(), 600)


def test_a_key_acts_as_the_accounts_that_it_names_and_no_others() -> None:
    bot, anybody = Server("bot", frozenset(), frozenset({"greeter"})), Server("other", frozenset(), None)
    bot.require_account("greeter")
    for user_id in ("alice", "", "*", "Greeter"):
        anybody.require_account(user_id)
        with pytest.raises(CallerNotAllowed):
            bot.require_account(user_id)
    anybody.require_every_account()
    with pytest.raises(CallerNotAllowed):
        bot.require_every_account()


def test_a_server_makes_the_calls_of_its_key_a_minute_and_no_more() -> None:
    clock = ManualClock()
    limits = ServerLimits(clock)
    slow, fast = Server("slow", frozenset(), calls_per_minute=3), Server("fast", frozenset(), calls_per_minute=60)
    for _ in range(3):
        limits.charge(slow, MESSAGING, "SendMessage")
    with pytest.raises(RateLimited) as refused:
        limits.charge(slow, MESSAGING, "SendMessage")
    assert refused.value.retry_delay_s == pytest.approx(20)
    # Another is not held up by it.
    for _ in range(60):
        limits.charge(fast, MESSAGING, "SendMessage")
    with pytest.raises(RateLimited):
        limits.charge(fast, MESSAGING, "SendMessage")
    clock.advance(20)
    limits.charge(slow, MESSAGING, "SendMessage")
    with pytest.raises(RateLimited):
        limits.charge(slow, MESSAGING, "SendMessage")


def test_no_scope_is_without_a_method_and_no_service_in_two_tables() -> None:
    rules = [rule for rows in scopes.SCOPES.values() for rule in rows.values()]
    assert {rule.takes for rule in rules} == scopes.ALL
    assert not set(scopes.SCOPES) & (set(roles.ROLES) | set(callers.CALLERS))


def test_a_method_is_had_by_its_own_scope_alone() -> None:
    for service, rows in scopes.SCOPES.items():
        for method, rule in rows.items():
            assert scopes.may_call([rule.takes], service, method)
            assert not scopes.may_call(scopes.ALL - {rule.takes}, service, method)
            assert not scopes.may_call(scopes.ALL, service, method + "s")
    assert scopes.is_change(MESSAGING, "Unknown")


def test_the_command_makes_a_key_that_the_services_take(tmp_path: Path) -> None:
    private, public = tmp_path / "own" / "support.json", tmp_path / "public.json"
    written(tmp_path, BOT)
    command = ["support", "--scope", "messages:send", "--scope", "messages:read", "--acts-as", "helpdesk"]
    files = ["--private", str(private), "--public", str(public)]
    assert server_keys.main([*command, *files]) == 0
    (key,) = json.loads(private.read_text())["keys"]
    assert private.stat().st_mode & 0o077 == 0
    tokens = ServerTokens(str(public), ManualClock())
    made = tokens.verify(sign(key, claims(key, NOW, MESSAGING)), MESSAGING)
    assert made == Server("support", frozenset({"messages:send", "messages:read"}), frozenset({"helpdesk"}))
    # Who was there before is there still, and nobody's private key is.
    assert tokens.verify(sign(BOT, claims(BOT, NOW, MESSAGING)), MESSAGING).name == "bot"
    assert '"d"' not in public.read_text()


@pytest.mark.parametrize("name", ["Support Bot", "", "b" * 41])
def test_the_command_makes_no_key_that_the_services_would_refuse(tmp_path: Path, name: str) -> None:
    files = ["--private", str(tmp_path / "a.json"), "--public", str(tmp_path / "b.json")]
    assert server_keys.main([name, "--scope", "messages:send", *files]) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_keys_of_a_stack_stay(tmp_path: Path) -> None:
    server_keys.keep(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    server_keys.keep(tmp_path)
    assert before == {path.name: path.read_text() for path in tmp_path.iterdir()}
    (key,) = read_servers(before["public.json"]).values()
    assert key.server == Server("demo", scopes.ALL, None)
