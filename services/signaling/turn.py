"""TURN credentials that coturn checks by itself (draft-uberti-behave-turn-rest-00, `use-auth-secret`)."""

import base64
import hashlib
import hmac
from datetime import datetime

from services.signaling.core.grants import IceServer


class HmacTurnServers:
    """See ports.TurnServers. The user name is the expiry in Unix seconds and the id; the credential its HMAC-SHA1."""

    def __init__(self, urls: tuple[str, ...], secret: bytes, ttl_s: int) -> None:
        self._urls = urls
        self._secret = secret
        self._ttl_s = ttl_s

    def servers_for(self, credential_id: str, now: datetime) -> tuple[IceServer, ...]:
        """See ports.TurnServers."""
        if not self._urls:
            return ()
        username = f"{int(now.timestamp()) + self._ttl_s}:{credential_id}"
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        return (IceServer(self._urls, username, base64.b64encode(digest).decode()),)
