"""TURN credentials as coturn checks them."""

import base64
import hashlib
import hmac

from services.signaling.turn import HmacTurnServers
from tests.unit.signaling.fakes import START

URLS = ("turn:turn.example:3478?transport=udp", "turns:turn.example:5349?transport=tcp")


def test_credentials_hold_for_their_time_and_are_the_hmac_of_the_name() -> None:
    (server,) = HmacTurnServers(URLS, b"secret", 3600).servers_for("grant-7", START)
    expiry, _, name = server.username.partition(":")
    assert (server.urls, int(expiry), name) == (URLS, int(START.timestamp()) + 3600, "grant-7")
    expected = hmac.new(b"secret", server.username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(server.credential) == expected


def test_without_addresses_there_is_no_relay() -> None:
    assert HmacTurnServers((), b"", 3600).servers_for("grant-7", START) == ()
