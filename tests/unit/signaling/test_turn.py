"""TURN credentials as coturn checks them."""

import base64
import hashlib
import hmac

import pytest

from services.runtime.env import ConfigError, EnvReader
from services.signaling.config import TurnConfig
from services.signaling.core.grants import turn_user_id
from services.signaling.core.model import UserId
from services.signaling.turn import HmacTurnServers
from tests.unit.signaling.fakes import START

URLS = ("turn:turn.example:3478?transport=udp", "turns:turn.example:5349?transport=tcp")


def test_credentials_hold_for_their_time_and_are_the_hmac_of_the_name() -> None:
    (server,) = HmacTurnServers(URLS, b"secret", 3600).servers_for("grant-7", START)
    expiry, _, name = server.username.partition(":")
    assert (server.urls, int(expiry), name) == (URLS, int(START.timestamp()) + 3600, "grant-7")
    expected = hmac.new(b"secret", server.username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(server.credential) == expected


def test_a_persons_name_is_the_same_in_each_grant_and_does_not_show_who_it_is() -> None:
    names = {turn_user_id(UserId("alice")) for _ in range(3)}
    assert len(names) == 1
    (name,) = names
    assert "alice" not in name
    assert turn_user_id(UserId("bob")) != name
    assert ":" not in name, "it would end the expiry"


@pytest.mark.parametrize(("said", "is_taken"), [("60", True), ("3600", True), ("3601", False), ("43200", False)])
def test_credentials_hold_for_an_hour_at_most(said: str, is_taken: bool) -> None:
    reader = EnvReader({"PARLEY_TURN_URLS": URLS[0], "PARLEY_TURN_SECRET": "secret", "PARLEY_TURN_TTL_S": said})
    TurnConfig.read(reader)
    if is_taken:
        reader.finish()
        return
    with pytest.raises(ConfigError, match="PARLEY_TURN_TTL_S"):
        reader.finish()


def test_without_a_time_credentials_hold_for_an_hour() -> None:
    reader = EnvReader({"PARLEY_TURN_URLS": URLS[0], "PARLEY_TURN_SECRET": "secret"})
    assert TurnConfig.read(reader).ttl_s == 3600


def test_without_addresses_there_is_no_relay() -> None:
    assert HmacTurnServers((), b"", 3600).servers_for("grant-7", START) == ()
