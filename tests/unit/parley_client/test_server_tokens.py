"""The tokens that a server signs: its name, one service each, made anew in time, by whatever key the file has now."""

import json
from pathlib import Path

import jwt
import pytest

from deploy import identities, server_keys
from parley_client.server_tokens import KeyFileError, ServerTokens
from services.runtime.identity import server_keys as verified
from tests.support.clock import ManualClock
from tests.support.servers import tokens_of

MESSAGING = "parley.messaging.v1.ServerMessagingService"


def put(path: Path, *keys: server_keys.Jwk) -> Path:
    identities.write(path.parent, {path.stem: server_keys.document(keys)})
    return path


def test_the_services_take_what_the_client_signs_until_it_signs_anew(tmp_path: Path) -> None:
    clock = ManualClock()
    bot, other = (server_keys.new_key(name, ["messages:send"]) for name in ("bot", "other"))
    services = tokens_of(tmp_path / "services", clock, bot, other)
    tokens = ServerTokens(put(tmp_path / "own.json", other, bot), "bot", lambda: clock.now().timestamp())
    made = set()
    for _ in range(20):
        token = tokens.token(MESSAGING)
        made.add(token)
        assert services.verify(token, MESSAGING).name == "bot"
        clock.advance(60)
        assert services.verify(token, MESSAGING).name == "bot"
    # One for some minutes each, and not one for each call.
    assert 5 <= len(made) < 20
    assert tokens.token("another.Service") != tokens.token(MESSAGING)


def test_a_replaced_key_signs_from_the_next_token_on(tmp_path: Path) -> None:
    clock = ManualClock()
    old, new = (server_keys.new_key("bot", ["messages:send"]) for _ in range(2))
    path = put(tmp_path / "own.json", old)
    tokens = ServerTokens(path, "bot", lambda: clock.now().timestamp())

    def kid() -> str:
        return str(jwt.get_unverified_header(tokens.token(MESSAGING))["kid"])

    assert kid() == old["kid"]
    put(path, new, old)
    clock.advance(verified.SERVER_TOKEN_MAX_LIFE_S)
    assert kid() == new["kid"]


def test_a_clock_that_was_set_back_makes_a_new_token(tmp_path: Path) -> None:
    now = [10_000.0]
    key = server_keys.new_key("bot", ["messages:send"])
    tokens = ServerTokens(put(tmp_path / "own.json", key), "bot", lambda: now[0])
    before = tokens.token(MESSAGING)
    now[0] -= 1_000
    assert tokens.token(MESSAGING) != before


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"keys": 7}', '{"keys": [7]}', '{"keys": []}'])
def test_a_file_that_is_no_set_of_keys_is_said_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(KeyFileError):
        ServerTokens(path, "bot")


def test_a_public_key_anothers_key_or_no_file_is_said_at_the_start(tmp_path: Path) -> None:
    key = server_keys.new_key("bot", ["messages:send"])
    with pytest.raises(KeyFileError, match="cannot be read"):
        ServerTokens(tmp_path / "nowhere.json", "bot")
    path = put(tmp_path / "own.json", key)
    with pytest.raises(KeyFileError, match="no key of other") as caught:
        ServerTokens(path, "other")
    assert key["d"] not in str(caught.value)
    path.write_text(json.dumps({"keys": [server_keys.public_of(key)]}))
    with pytest.raises(KeyFileError, match="not a private one"):
        ServerTokens(path, "bot")
